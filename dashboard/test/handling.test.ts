import { describe, expect, it } from 'vitest';
import { changesBetween, markTo, peopleOf, toggled } from '../src/live/handling';
import { AGAIN, NOTHING_HEARD, nextTone, type Heard } from '../src/live/tone';
import { missesBefore } from '../src/live/trend';
import { formatDayTime, formatStamp, parseStamp } from '../src/format';
import { numberItems, parseMarkdown } from '../src/ui/parse-markdown';
import { T0, alert } from './make';

const LAN = { by: 'Lan', at: T0, note: '' };

describe('what another one did', () => {
  it('is said part by part', () => {
    const seen = alert('a');
    const now = alert('a', { version: 4, condition: 'resolved', handling: 'closed', acknowledged: LAN, assigned: { to: 'Hạnh', by: 'Lan', at: T0, note: '' }, closed: { by: 'Hạnh', at: T0, verdict: 'false', note: '' }, steps: [{ step: 0, by: 'Hạnh', at: T0 }], notes: 2 });
    expect(changesBetween(seen, now)).toEqual([
      { what: 'condition', from: 'firing', to: 'resolved' }, { what: 'handling', from: 'new', to: 'closed' }, { what: 'owner', from: null, to: 'Hạnh' },
      { what: 'verdict', from: null, to: 'false' }, { what: 'steps', from: 0, to: 1 }, { what: 'notes', from: 0, to: 2 },
    ]);
    expect(changesBetween(now, now)).toEqual([]);
  });
  it('suggests whose names stand on alerts, me first', () => {
    const list = [alert('1', { acknowledged: LAN }), alert('2', { acknowledged: { ...LAN, by: 'Đức' } }), alert('3', { acknowledged: LAN })];
    expect(peopleOf(list, 'Hạnh')).toEqual(['Hạnh', 'Lan', 'Đức']);
    expect(peopleOf(list, '')).toEqual(['Lan', 'Đức']);
  });
});

describe('marks', () => {
  const order = ['a', 'b', 'c', 'd'];
  it('go through from the last one, in either direction', () => {
    expect([...markTo(order, new Set(['a']), 'c', 'a')]).toEqual(['a', 'b', 'c']);
    expect([...markTo(order, new Set(['d']), 'b', 'd')].sort()).toEqual(['b', 'c', 'd']);
    expect([...markTo(order, new Set(), 'c', null)]).toEqual(['c']);
    expect([...markTo(order, new Set(), 'c', 'gone')]).toEqual(['c']);
  });
  it('come and go', () => {
    expect([[...toggled(new Set(['a']), 'a')], [...toggled(new Set(['a']), 'b')]]).toEqual([[], ['a', 'b']]);
  });
});

describe('the tone', () => {
  const critical = alert('c', { severity: 'critical' });
  const after = (heard: Heard, list: Parameters<typeof nextTone>[1], at: number, quiet = false) => nextTone(heard, list, at, quiet);
  it('sounds at once, then every 30 s until acknowledged', () => {
    const first = after(NOTHING_HEARD, [critical], 1_000);
    expect(first.sound).toBe(true);
    expect(after(first.heard, [critical], 1_000 + AGAIN - 1).sound).toBe(false);
    const second = after(first.heard, [critical], 1_000 + AGAIN);
    expect(second.sound).toBe(true);
    const done = after(second.heard, [{ ...critical, handling: 'acknowledged' }], 1_000 + 2 * AGAIN);
    expect(done).toEqual({ sound: false, heard: NOTHING_HEARD });
  });
  it('sounds for another one without waiting', () => {
    const { heard } = after(NOTHING_HEARD, [critical], 1_000);
    expect(after(heard, [critical, alert('d', { severity: 'critical' })], 2_000).sound).toBe(true);
  });
  it('is silent where muted, and sounds once it no longer is', () => {
    const muted = after(NOTHING_HEARD, [critical], 1_000, true);
    expect(muted.sound).toBe(false);
    expect(after(muted.heard, [critical], 2_000).sound).toBe(true);
  });
  it('is for criticals that stand, nothing else', () => {
    expect(after(NOTHING_HEARD, [alert('m'), { ...critical, condition: 'resolved' as const }, { ...critical, id: 'p', condition: 'pending' as const }], 1_000).sound).toBe(false);
  });
});

describe('steps of a procedure', () => {
  it('are counted over all lists, an item before those within it', () => {
    const blocks = parseMarkdown('1. a\n2. b\n   - c\n   - d\n3. e\n\ntext\n\n> - f\n\n- [ ] g');
    const words = [...numberItems(blocks)].map(([item, n]) => [n, (item.children[0] as { text: string }).text]);
    expect(words).toEqual([[0, 'a'], [1, 'b'], [2, 'c'], [3, 'd'], [4, 'e'], [5, 'f'], [6, 'g']]);
  });
});

describe('the store behind the screen', () => {
  const p = (minute: number) => ({ start: minute * 60_000, value: 1, state: 'final' as const, revision: 0 });
  it('is asked again where windows are missing between its last and the first live one', () => {
    expect(missesBefore([p(1), p(2)], [p(5)], 60_000)).toBe(true);
    expect(missesBefore([p(1), p(2)], [p(3)], 60_000)).toBe(false);
    expect(missesBefore([], [p(3)], 60_000)).toBe(true);
    expect(missesBefore([p(1)], [], 60_000)).toBe(false);
    expect(missesBefore([p(7)], [p(5)], 60_000)).toBe(false);
  });
});

describe('moments that people write', () => {
  const zone = 'Asia/Ho_Chi_Minh';
  it('are read in the zone of the area', () => {
    const at = Date.UTC(2026, 10, 24, 7, 5);
    expect([formatStamp(at, zone), parseStamp('24/11/2026 14:05', zone), parseStamp(' 1/2/2026 ', zone)]).toEqual(['24/11/2026 14:05', at, Date.UTC(2026, 0, 31, 17)]);
    expect(parseStamp('30/03/2026 09:00', 'Europe/Berlin')).toBe(Date.UTC(2026, 2, 30, 7));
  });
  it.each(['', 'soon', '31/02/2026', '24/11/2026 25:00', '2026-11-24'])('are refused where there is no such moment: %s', (text) => expect(parseStamp(text, zone)).toBeNull());
  it('stand on an axis of days', () => {
    expect([formatDayTime(Date.UTC(2026, 0, 14, 17), zone), formatDayTime(Date.UTC(2026, 0, 14, 18), zone)]).toEqual(['15/01', '15/01 01:00']);
  });
});
