import { describe, expect, it } from 'vitest';
import { anchorOf, boxOf } from '../src/map/place';
import { alertLooks, layerLooks, mix } from '../src/map/looks';
import { defaultAggregate, niceBreaks, stepOf, valuesByArea } from '../src/live/layer';
import { endedBy, mergePoint, toSeries } from '../src/live/trend';
import { NO_FILTER } from '../src/live/queue';
import { WHOLE_PAST, formatRoute, parseRoute } from '../src/route';
import { parseInline, parseMarkdown } from '../src/ui/parse-markdown';
import { T0, figure } from './make';
import type { TrendPoint } from '../src/wire';

describe('the layer', () => {
  const m = { measurement: 'traffic_queue', pipeline: 'p', sector: 's', every_ms: 60_000, tags: ['area', 'source'], fields: [{ field: 'queue', unit: 'm' }] };
  const of = new Map([['1', figure('1', { values: { queue: 10 } })], ['2', figure('2', { values: { queue: 30 } })], ['3', figure('3', { values: {} })], ['4', figure('4', { values: { queue: 500 }, end: T0 - 600_000 })]]);
  it.each([['mean', 20], ['sum', 40], ['max', 30]] as const)('combines by %s, without absent and stale values', (how, value) => {
    expect(valuesByArea(of, m, 'queue', how, T0).get('24617')).toEqual({ value, end: T0, keys: 2, freshness: 'fresh' });
  });
  it('shows a stale value where there is no other', () => {
    expect(valuesByArea(new Map([['4', figure('4', { end: T0 - 600_000 })]]), m, 'queue', 'mean', T0).get('24617')?.freshness).toBe('stale');
  });
  it('sums counts and averages the rest', () => {
    expect([defaultAggregate({ field: 'n', unit: '' }), defaultAggregate({ field: 'v', unit: 'km/h' })]).toEqual(['sum', 'mean']);
  });
  it('steps on round numbers', () => {
    expect(niceBreaks([0, 97])).toEqual([20, 40, 60, 80]);
    expect(niceBreaks([0.1, 0.52])).toEqual([0.2, 0.3, 0.4, 0.5]);
    expect([niceBreaks([]), niceBreaks([5, 5])]).toEqual([[], []]);
    expect([0, 19.9, 20, 81].map((v) => stepOf(v, [20, 40, 60, 80]))).toEqual([0, 0, 1, 4]);
  });
});

describe('looks', () => {
  const severity = { critical: '#ff0000', major: '#00ff00', minor: '#0000ff', notice: '#ffffff' };
  const colors = { ground: '#000', area: '#000', line: '#000', text: '#fff', quiet: '#888', severity };
  it('mix flat colours, long or short', () => {
    expect(mix('#fff', '#000000', 0.5)).toBe('rgb(128,128,128)');
  });
  it('give an area the colour of its worst alert, less when acknowledged', () => {
    const looks = alertLooks(new Map([['a', { worst: 'critical', open: 1, unacknowledged: 1, noData: false }], ['b', { worst: 'critical', open: 1, unacknowledged: 0, noData: true }]]), colors);
    expect([looks.get('a')?.fill, looks.get('b')?.fill, looks.get('b')?.hatched]).toEqual(['rgb(184,0,0)', 'rgb(101,0,0)', true]);
  });
  it('leave alerts their edge under a layer', () => {
    const looks = layerLooks(new Map([['a', { value: 50, end: T0, keys: 1, freshness: 'stale' }]]), [20, 40, 60, 80], ['0', '1', '2', '3', '4'], new Map([['a', { worst: 'major', open: 1, unacknowledged: 1, noData: false }]]), colors);
    expect(looks.get('a')).toEqual({ fill: '2', hatched: true, edge: '#00ff00' });
  });
});

describe('the trend', () => {
  it('of a moment in the past holds no window that ended after it', () => {
    const points = [0, 60_000, 120_000].map((start) => ({ start, value: 1, state: 'final' as const, revision: 0 }));
    expect(endedBy(points, 60_000, 120_000).map((p) => p.start)).toEqual([0, 60_000]);
    expect(endedBy(points, 60_000, 179_999).map((p) => p.start)).toEqual([0, 60_000]);
  });

  const point = (minute: number, over: Partial<TrendPoint> = {}): TrendPoint => ({ start: minute * 60_000, value: minute, state: 'final', revision: 0, ...over });
  it('puts a live row in its place, replaces its window, lets old ones go', () => {
    const row = (start: number, value: number) => figure('1', { start, end: start + 60_000, values: { queue: value } });
    const list = mergePoint([point(1), point(2), point(4)], row(180_000, 33), 'queue', 120_000);
    expect(list.map((p) => p.value)).toEqual([2, 33, 4]);
    expect(mergePoint(list, row(240_000, 44), 'queue', 0).map((p) => p.value)).toEqual([2, 33, 44]);
    expect(mergePoint(list, figure('1', { start: 300_000, state: 'withdrawn' }), 'queue', 0).at(-1)?.value).toBeNull();
  });
  it('leaves a gap where a window is missing', () => {
    expect(toSeries([point(1), point(4)], 60_000)).toMatchObject({ x: [120, 180, 300], solid: [1, null, 4] });
  });
  it('draws provisional parts dashed, joined to what is final on both sides', () => {
    const s = toSeries([point(1), point(2, { state: 'provisional' }), point(3)], 60_000);
    expect([s.solid, s.dashed]).toEqual([[1, null, 3], [1, 2, 3]]);
  });
  it('rings revised points', () => {
    expect(toSeries([point(1), point(2, { revision: 2 }), point(3, { revision: 1, value: null })], 60_000).ringed).toEqual([1]);
  });
});

describe('the address', () => {
  it('restores each view', () => {
    const route = {
      view: 'sources' as const, selection: { kind: 'alert' as const, id: 'ab12' }, figure: { measurement: 'm', field: 'f', key: { area: '24617', source: 'L&0=1' } },
      second: { measurement: 'm', field: 'f', key: { area: '24615', source: 'x' } }, span: '7d' as const, daysBack: 7,
      filter: { sectors: ['traffic', 'water'], severities: ['critical' as const], areas: ['660', '24617'], mine: true },
      layer: { measurement: 'rain_1h', field: 'mm', aggregate: 'max' as const }, era: 'former' as const,
      past: { text: 'ngập lụt', area: '660', rule: 'p/flood', severity: 'major', owner: 'Hạnh', verdict: 'true', from: 1_000, to: 2_000 }, pipeline: 'water_level',
      lang: 'en' as const, theme: 'light' as const, at: Date.UTC(2026, 10, 24, 7, 2, 10),
    };
    expect(parseRoute(formatRoute(route))).toEqual(route);
  });
  it('takes nothing from nonsense', () => {
    expect(parseRoute('#lang=xx&theme=pink&severity=deadly&layer=x&figure=&span=9y&back=-3&era=x&q.from=soon&at=yesterday')).toEqual({
      view: 'desk', selection: null, figure: null, second: null, span: '2h', daysBack: 0, filter: NO_FILTER, layer: null, era: 'now', past: WHOLE_PAST, pipeline: null, lang: null, theme: null, at: null,
    });
  });
  it.each([['#wall', 'wall'], ['#local&lang=vi', 'local'], ['#view=history', 'history'], ['#nowhere', 'desk']])('%s is the view %s', (hash, view) => {
    expect(parseRoute(hash).view).toBe(view);
  });
});

describe('procedures', () => {
  it('become a tree', () => {
    expect(parseMarkdown('# T\n\n1. a **b**\n2. c\n   - d\n\n- [ ] e\n- [x] f\n\n> q\n\n```\n<b>\n```')).toMatchObject([
      { kind: 'heading', level: 1 },
      { kind: 'list', ordered: true, items: [{ children: [{ text: 'a ' }, { kind: 'strong' }] }, { nested: [{ kind: 'list', items: [{ children: [{ text: 'd' }] }] }] }] },
      { kind: 'list', ordered: false, items: [{ done: false }, { done: true }] },
      { kind: 'quote' },
      { kind: 'code', text: '<b>' },
    ]);
  });
  it.each(['javascript:alert(1)', 'data:text/html,x', ' javascript:x', 'vbscript:x', '/relative', '//host'])('never link to %s', (href) => {
    expect(JSON.stringify(parseInline(`[x](${href})`))).not.toContain('href');
  });
  it('keep HTML and images as text', () => {
    expect(parseInline('<img src=x onerror=y> ![alt](https://x/y.png)')).toEqual([{ kind: 'text', text: '<img src=x onerror=y> ' }, { kind: 'text', text: 'alt' }]);
  });
  it('link by https and telephone', () => {
    expect(parseInline('[a](tel:113)')).toEqual([{ kind: 'link', href: 'tel:113', children: [{ kind: 'text', text: 'a' }] }]);
  });
  it('end, however they are made', () => {
    for (const text of ['>'.repeat(5000), '*'.repeat(5000), `${'['.repeat(3000)}](`, '- '.repeat(3000), '_a'.repeat(3000), '#', '```', '\n \n', '`'.repeat(2000)]) expect(parseMarkdown(text)).toBeDefined();
  });
});

describe('names on the map', () => {
  const u = { type: 'Feature' as const, properties: { code: 'u', name: 'U', level: 'commune', parent: null }, geometry: { type: 'Polygon' as const, coordinates: [[[0, 0], [10, 0], [10, 10], [8, 10], [8, 2], [2, 2], [2, 10], [0, 10], [0, 0]]] as [number, number][][] } };
  it('stand inside their area', () => {
    const [x, y] = anchorOf(u).at;
    expect(y < 2 || x < 2 || x > 8).toBe(true);
    expect(boxOf([u])).toEqual([0, 0, 10, 10]);
  });
});
