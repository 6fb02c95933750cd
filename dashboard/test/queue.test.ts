import { describe, expect, it } from 'vitest';
import { NO_FILTER, alertsByArea, countBySector, countBySeverity, hiddenCriticals, holdOrder, nextSelection, orderQueue } from '../src/live/queue';
import { T0, alert } from './make';

const ids = (list: { id: string }[]): string[] => list.map((a) => a.id);

const READER = { name: '', members: new Set<string>() };

describe('order of the queue', () => {
  it('is unacknowledged, severity, newest', () => {
    const list = [
      alert('acked-critical', { severity: 'critical', handling: 'acknowledged' }),
      alert('notice', { severity: 'notice', since: T0 + 9 }),
      alert('old-major', { since: T0 - 5 }),
      alert('new-major', { since: T0 + 5 }),
      alert('critical', { severity: 'critical', since: T0 - 99 }),
      alert('minor', { severity: 'minor' }),
    ];
    expect(ids(orderQueue(list, NO_FILTER, READER))).toEqual(['critical', 'new-major', 'old-major', 'minor', 'notice', 'acked-critical']);
  });

  it('lists what stands and what is over but unseen; neither pending nor settled', () => {
    const list = [
      alert('1', { condition: 'pending' }), alert('2', { condition: 'no_data' }), alert('3', { condition: 'resolved' }),
      alert('4', { condition: 'resolved', handling: 'acknowledged' }), alert('5', { handling: 'closed' }), alert('6', { handling: 'assigned' }),
    ];
    expect(ids(orderQueue(list, NO_FILTER, READER))).toEqual(['2', '3', '6']);
  });

  it('leaves out what came and went before anybody could look, criticals excepted', () => {
    const past = { condition: 'resolved' as const, retroactive: true };
    expect(ids(orderQueue([alert('1', past), alert('2', { ...past, severity: 'critical' }), alert('3', { retroactive: true })], NO_FILTER, READER))).toEqual(['2', '3']);
  });

  it('is total: equal alerts go by id', () => {
    expect(ids(orderQueue([alert('b'), alert('a')], NO_FILTER, READER))).toEqual(['a', 'b']);
  });

  it('filters, and says how many criticals are hidden', () => {
    const list = [alert('w', { sector: 'water', severity: 'critical' }), alert('t'), alert('seen', { sector: 'water', severity: 'critical', handling: 'acknowledged' })];
    const filter = { ...NO_FILTER, sectors: ['traffic'], severities: [] };
    expect(ids(orderQueue(list, filter, READER))).toEqual(['t']);
    expect(hiddenCriticals(list, filter, READER)).toBe(1);
    expect(hiddenCriticals(list, NO_FILTER, READER)).toBe(0);
  });

  it('counts the scope, not the filter', () => {
    const counts = countBySeverity([alert('a'), alert('b', { handling: 'acknowledged' }), alert('c', { condition: 'resolved' }), alert('d', { condition: 'pending' })]);
    expect(counts.major).toEqual({ open: 2, unacknowledged: 2 });
    expect(counts.critical).toEqual({ open: 0, unacknowledged: 0 });
  });
});

describe('filters', () => {
  const mine = alert('mine', { handling: 'acknowledged', acknowledged: { by: 'Lan', at: T0, note: '' } });
  const far = alert('far', { area: { code: '24615', name: 'Nam Gia Nghĩa' } });
  const nowhere = alert('nowhere', { area: null });
  const list = [mine, far, nowhere];
  const shown = (filter: Partial<typeof NO_FILTER>, name = 'Lan', members: string[] = []): string[] =>
    orderQueue(list, { ...NO_FILTER, ...filter }, { name, members: new Set(members) }).map((a) => a.id);
  it('show what is mine, nothing to who has no name', () => {
    expect([shown({ mine: true }), shown({ mine: true }, 'Hạnh'), shown({ mine: true }, '')]).toEqual([['mine'], [], []]);
  });
  it('show an area or the members of a group', () => {
    expect([shown({ areas: ['24615'] }, '', ['24615']), shown({ areas: ['660'] }, '', ['660', '24615', '24617'])]).toEqual([['far'], ['far', 'mine']]);
  });
  it('leave the counts of sectors alone', () => {
    expect([...countBySector([...list, alert('w', { sector: 'water' }), alert('over', { sector: 'water', condition: 'resolved' })])]).toEqual([['traffic', 3], ['water', 1]]);
  });
});

describe('stillness under the hand', () => {
  const all = (): boolean => true;
  it('follows while nobody is there', () => {
    expect(holdOrder(['a'], ['n', 'a'], false, all)).toEqual({ order: ['n', 'a'], fresh: [] });
  });
  it('keeps rows in place, those that left too, and counts the new ones', () => {
    expect(holdOrder(['a', 'b', 'c'], ['n', 'c', 'a'], true, all)).toEqual({ order: ['a', 'b', 'c'], fresh: ['n'] });
  });
  it('drops only what is forgotten', () => {
    expect(holdOrder(['a', 'b'], ['b'], true, (id) => id !== 'a').order).toEqual(['b']);
  });
  it('fills an empty list at once', () => {
    expect(holdOrder([], ['a'], true, all)).toEqual({ order: ['a'], fresh: [] });
  });
});

describe('j and k', () => {
  const order = ['a', 'b', 'c'];
  it.each([
    [null, 1, null, 'a'], [null, -1, null, 'a'], ['a', 1, null, 'b'], ['b', -1, null, 'a'], ['c', 1, null, 'c'], ['a', -1, null, 'a'], ['gone', 1, null, 'a'],
    // "a" was acknowledged and went down; "b" followed it.
    ['c', 1, 'a', 'a'], ['c', -1, 'b', 'a'], ['c', 1, 'gone', 'c'],
  ] as const)('from %s by %s, resuming at %s: %s', (selected, step, resume, next) => {
    expect(nextSelection(order, selected, step, resume)).toBe(next);
  });
  it('has nowhere to go in an empty list', () => expect(nextSelection([], 'a', 1, null)).toBeNull());
});

describe('areas', () => {
  it('take their worst open alert', () => {
    const areas = alertsByArea([alert('a', { handling: 'acknowledged' }), alert('b', { severity: 'critical', condition: 'no_data', handling: 'acknowledged' }), alert('c', { condition: 'resolved', severity: 'critical' }), alert('d', { area: null })]);
    expect([...areas]).toEqual([['24617', { worst: 'critical', open: 2, unacknowledged: 0, noData: true }]]);
  });
});
