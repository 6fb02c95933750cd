import { describe, expect, it } from 'vitest';
import { WITHIN, keepSamples, middle, pathOf, sampleOf, type Sample } from '../src/live/latency';
import type { AreaCollection, AreaFeature } from '../src/api';
import { aggregatesOf, valuesByArea } from '../src/live/layer';
import { bordersOf, figureLines, membersOf, placeByArea, placesOf, shapesOf } from '../src/live/places';
import { MOST_POINTS, piecesOf } from '../src/live/span';
import { STEP, roundOf, stepAt, tellingField } from '../src/live/wall';
import type { MeasurementView } from '../src/wire';
import { T0, figure, update } from './make';

describe('the way from an event to the screen', () => {
  it('begins at the end of the newest window that was published for the first time', () => {
    const frame = update(7, { figures: [figure('1', { end: T0 }), figure('2', { end: T0 + 4_000 }), figure('3', { end: T0 + 6_000, revision: 1 }), figure('4', { end: T0 + 6_500, state: 'provisional' })] });
    expect(sampleOf(frame, 5)).toEqual({ at: 5, computed: 3_000, painted: null });
  });
  it('says nothing of frames without such a figure, nor while catching up', () => {
    expect(sampleOf(update(1), 5)).toBeNull();
    expect(sampleOf(update(1, { figures: [figure('1')], tick: { number: 1, time: T0, live: false } }), 5)).toBeNull();
  });
  it('adds up only what was measured', () => {
    const samples: Sample[] = [{ at: 0, computed: 5_000, painted: 20 }, { at: 1, computed: 7_000, painted: null }, { at: 2, computed: 9_000, painted: 40 }];
    expect(pathOf(samples, 60)).toEqual({ computed: 7_000, line: 30, painted: 20, whole: 7_050 });
    expect(pathOf(samples, null).whole).toBeNull();
    expect(pathOf([], 60)).toEqual({ computed: null, line: 30, painted: null, whole: null });
    expect(middle([3, 1, 2, 9])).toBe(2);
  });
  it('remembers a minute, and no more than so many', () => {
    const s = (at: number): Sample => ({ at, computed: 1, painted: 1 });
    expect(keepSamples([s(0), s(10)], [s(WITHIN + 5)], WITHIN + 5).map((x) => x.at)).toEqual([10, WITHIN + 5]);
    expect(keepSamples(Array.from({ length: 900 }, () => s(0)), [], 0)).toHaveLength(600);
  });
});

const m = (measurement: string, fields: [string, string][], tags = ['area', 'source']): MeasurementView =>
  ({ measurement, pipeline: 'p', sector: 's', every_ms: 60_000, tags, fields: fields.map(([field, unit]) => ({ field, unit })) });

describe('the wall', () => {
  const measurements = [m('traffic_queue', [['count', ''], ['queue', 'm']]), m('empty', [['n', '']]), m('bus', [['calls', '']], ['source'])];
  const areas = new Map([
    ['1', { worst: 'minor' as const, open: 9, unacknowledged: 9, noData: false }],
    ['2', { worst: 'major' as const, open: 1, unacknowledged: 0, noData: false }],
    ['3', { worst: 'major' as const, open: 1, unacknowledged: 1, noData: false }],
    ['4', { worst: 'notice' as const, open: 1, unacknowledged: 1, noData: false }],
  ]);
  const round = roundOf(measurements, (name) => name !== 'empty', areas);
  it('goes round the whole, the measurements that have figures of areas, the worst areas', () => {
    expect(round).toEqual([{ kind: 'whole' }, { kind: 'layer', measurement: 'traffic_queue', field: 'queue' }, { kind: 'area', code: '3' }, { kind: 'area', code: '2' }, { kind: 'area', code: '1' }]);
  });
  it('moves by the clock of the data, and stands still while anything is critical', () => {
    expect([0, STEP - 1, STEP, 5 * STEP, 6 * STEP].map((now) => round.indexOf(stepAt(round, now, false)))).toEqual([0, 0, 1, 0, 1]);
    expect(stepAt(round, STEP, true)).toEqual({ kind: 'whole' });
  });
  it('shows the field that says most', () => {
    expect([tellingField(m('a', [['count', ''], ['n', ''], ['speed', 'km/h']]))?.field, tellingField(m('b', [['count', ''], ['n', '']]))?.field, tellingField(m('c', [['count', '']]))]).toEqual(['speed', 'n', null]);
  });
});

describe('places', () => {
  const areas = [{ code: '24617', name: 'Phường Đông Gia Nghĩa', level: 'commune' }, { code: '24615', name: 'Phường Nam Gia Nghĩa', level: 'commune' }, { code: '22918', name: 'Xã Bảo Lâm 1', level: 'commune' }];
  const groups = [{ code: '660', name: { vi: 'Thành phố Gia Nghĩa (cũ)', en: 'Gia Nghĩa City (former)' }, level: 'former-district', members: ['24615', '24617'] }];
  it('are communes now; before, districts and what had none', () => {
    expect(placesOf(areas, groups, 'now').map((p) => p.code)).toEqual(['24617', '24615', '22918']);
    expect(placesOf(areas, groups, 'former').map((p) => [p.code, p.members.size])).toEqual([['660', 2], ['22918', 1]]);
  });
  const square = (code: string, x: number): AreaFeature => ({ type: 'Feature', properties: { code, name: code, level: 'commune', parent: null }, geometry: { type: 'Polygon', coordinates: [[[x, 0], [x + 1, 0], [x + 1, 1], [x, 1], [x, 0]]] } });
  it('are drawn as the shapes of their communes, without the borders between these', () => {
    const map: AreaCollection = { type: 'FeatureCollection', features: [square('24615', 0), square('24617', 1), square('22918', 5)] };
    const former = placesOf(areas, groups, 'former');
    const shapes = shapesOf(map, former);
    expect(shapes.features.map((f) => [f.properties.code, f.geometry.type, f.geometry.coordinates.length])).toEqual([['660', 'MultiPolygon', 2], ['22918', 'Polygon', 1]]);
    expect(bordersOf(shapes).features.map((f) => f.geometry.coordinates)).toEqual([
      [[[0, 0], [1, 0]], [[1, 1], [0, 1], [0, 0]], [[1, 0], [2, 0], [2, 1], [1, 1]]],
      [[[5, 0], [6, 0], [6, 1], [5, 1], [5, 0]]],
    ]);
    expect(shapesOf(map, placesOf(areas, groups, 'now')).features).toEqual(map.features);
  });
  it('of several communes have sums and greatest values, never a mean of means', () => {
    expect(aggregatesOf({ field: 'speed', unit: 'km/h' }, true)).toEqual(['max']);
    expect(aggregatesOf({ field: 'speed', unit: 'km/h' }, false)).toEqual(['mean', 'sum', 'max']);
    expect(aggregatesOf({ field: 'vehicles', unit: '' }, true)).toEqual(['sum', 'max']);
    const measurement = m('traffic_queue', [['queue', 'm']]);
    const rows = new Map([['a', figure('1', { values: { queue: 10 } })], ['b', figure('2', { values: { queue: 30 }, area: { code: '24615', name: '' } })]]);
    const at = placeByArea(placesOf(areas, groups, 'former'));
    expect([...valuesByArea(rows, measurement, 'queue', 'max', T0, at)].map(([code, v]) => [code, v.value, v.keys])).toEqual([['660', 30, 2]]);
    const lines = figureLines(new Map([['traffic_queue', rows]]), [measurement], new Set(['24615', '24617']), T0);
    expect(lines.map((line) => [line.aggregate, line.value, line.keys])).toEqual([['max', 30, 2]]);
  });
  it('are found by the code of a group or an area', () => {
    expect([...membersOf(['660', '22918'], groups)]).toEqual(['660', '24615', '24617', '22918']);
  });
  it('put their figures together: fresh ones, with how many of how many, and what is not exact', () => {
    const measurement = m('traffic_queue', [['count', ''], ['queue', 'm'], ['halting', 's'], ['third', 's']]);
    const rows = [
      figure('1', { values: { queue: 10, count: 1 }, heard: 3, expected: 4 }),
      figure('2', { values: { queue: 30, count: 1 }, heard: 5, expected: 5, approx: true }),
      figure('old', { values: { queue: 500 }, end: T0 - 900_000 }),
      figure('gone', { values: { queue: 900 }, state: 'withdrawn' }),
      figure('far', { values: { queue: 700 }, area: { code: '22918', name: '' } }),
    ];
    const lines = figureLines(new Map([['traffic_queue', new Map(rows.map((r) => [r.key.source ?? '', r]))]]), [measurement], new Set(['24617']), T0);
    expect(lines).toMatchObject([{ field: { field: 'queue' }, aggregate: 'mean', value: 20, keys: 2, heard: 8, expected: 9, approx: true, freshness: 'fresh', provisional: false }]);
    expect(lines).toHaveLength(1);
  });
});

describe('a long span', () => {
  it('is asked for in pieces that the server answers', () => {
    expect(piecesOf(0, 7 * 86_400_000, 0)).toEqual([[0, 7 * 86_400_000]]);
    expect(piecesOf(0, 7 * 86_400_000, 60_000)).toEqual([[0, MOST_POINTS * 60_000], [MOST_POINTS * 60_000, 2 * MOST_POINTS * 60_000], [2 * MOST_POINTS * 60_000, 7 * 86_400_000]]);
  });
});
