import { describe, expect, it } from 'vitest';
import { compareSources, sourcesByArea, trouble } from '../src/live/sources';
import { source } from './make';

describe('sources by area', () => {
  it('puts together, worst area first, worst source first', () => {
    const list = [
      source('quiet', { area: { code: '1', name: 'Xã An' } }),
      source('gone', { area: { code: '2', name: 'Xã Bình' }, silent: true, last_heard: 5 }),
      source('well', { area: { code: '2', name: 'Xã Bình' }, last_heard: 9, late: 2 }),
      source('fast', { area: null, clock_offset_ms: 90_000, rejected: 4, registered: false, cadence_ms: null }),
    ];
    const areas = sourcesByArea(list);
    expect(areas.map((a) => a.code)).toEqual(['2', null, '1']);
    expect(areas[0]).toMatchObject({ expected: 2, heard: 1, late: 2, lastHeard: 9 });
    expect(areas[0]?.sources.map((s) => s.id)).toEqual(['gone', 'well']);
    expect(areas[1]).toMatchObject({ expected: 0, heard: 0, unregistered: 1, rejected: 4, ahead: 90_000 });
  });

  it('counts a clock that is behind as no fault: the road may be slow', () => {
    expect(trouble(source('a', { clock_offset_ms: -90_000 }))).toBe(0);
    expect(trouble(source('a', { clock_offset_ms: 6_000 }))).toBe(4);
  });

  it('orders in one way', () => {
    expect([source('b'), source('a')].sort(compareSources).map((s) => s.id)).toEqual(['a', 'b']);
  });
});
