import { describe, expect, it } from 'vitest';
import { KEEP_SETTLED, KEEP_UNSEEN, MAX_ALERTS, MAX_FIGURES, applyAlert, applySnapshot, applyUpdates, keyOf } from '../src/live/board';
import { T0, alert, figure, health, snapshot, update } from './make';

describe('the board', () => {
  const first = applySnapshot('e1', snapshot(5, { alerts: [alert('a')], figures: [figure('A1')] }));

  it('is whole after a snapshot', () => {
    expect([first.epoch, first.seq, first.alerts.size, first.figures.get('traffic_queue')?.size]).toEqual(['e1', 5, 1, 1]);
  });

  it('replaces alerts by id and figures by measurement and key', () => {
    const after = applyUpdates(first, [update(6, { alerts: [alert('a', { version: 2, condition: 'resolved' }), alert('b')], figures: [figure('A1', { values: { queue: 90 } }), figure('A2')] })]);
    expect(after.alerts.get('a')?.condition).toBe('resolved');
    expect(after.alerts.size).toBe(2);
    expect(after.figures.get('traffic_queue')?.get(keyOf({ source: 'A1', area: '24617' }))?.values.queue).toBe(90);
    expect(after.figures.get('traffic_queue')?.size).toBe(2);
  });

  it('gives the same for frames one by one and together', () => {
    const frames = [update(6, { alerts: [alert('b')] }), update(7, { figures: [figure('A1', { revision: 1 })] }), update(9, { alerts: [alert('b', { version: 2, handling: 'acknowledged' })], health: { ...health, delay_ms: 9 } })];
    expect(frames.reduce((board, frame) => applyUpdates(board, [frame]), first)).toEqual(applyUpdates(first, frames));
  });

  it('ignores what lies below its sequence, and hears a heartbeat at it', () => {
    const old = applyUpdates(first, [update(4, { alerts: [alert('x')] })]);
    expect(old.alerts.has('x')).toBe(false);
    expect(applyUpdates(first, [update(5, { health: { ...health, delay_ms: 77 } })]).health?.delay_ms).toBe(77);
  });

  it('says nothing twice when a resumed line repeats frames', () => {
    const frames = [update(6, { alerts: [alert('b')] }), update(7, { alerts: [alert('b', { version: 2 })] })];
    const once = applyUpdates(first, frames);
    expect(applyUpdates(once, frames)).toEqual(once);
  });

  it('never takes an alert back to a lower version', () => {
    const acted = applyAlert(first, alert('a', { version: 3, handling: 'acknowledged' }));
    const after = applyUpdates(acted, [update(6, { alerts: [alert('a', { version: 2 })] })]);
    expect(after.alerts.get('a')?.version).toBe(3);
    expect(applyAlert(after, alert('a', { version: 1 }))).toBe(after);
  });

  it('keeps the identity of what did not change', () => {
    const after = applyUpdates(first, [update(6, { alerts: [alert('b')] })]);
    expect(after.figures).toBe(first.figures);
    const quiet = applyUpdates(first, [update(6)]);
    expect([quiet.alerts === first.alerts, quiet.figures === first.figures]).toEqual([true, true]);
  });

  it('lets alerts go by the same rule as the server: handled after a quarter of an hour, unseen after a day, never risen at once', () => {
    const board = applySnapshot('e1', snapshot(1, { alerts: [
      alert('settled', { condition: 'resolved', resolved: T0, handling: 'acknowledged' }),
      alert('unseen', { condition: 'resolved', resolved: T0 }),
      alert('open', { handling: 'acknowledged' }),
      alert('watched', { condition: 'pending' }),
    ] }));
    const over = applyUpdates(board, [update(2, { alerts: [alert('watched', { condition: 'inactive', version: 2 })] })]);
    expect([...over.alerts.keys()]).toEqual(['settled', 'unseen', 'open']);
    const later = applyUpdates(board, [update(2, { tick: { number: 2, time: T0 + KEEP_SETTLED, live: true } })]);
    expect([...later.alerts.keys()]).toEqual(['unseen', 'open', 'watched']);
    const nextDay = applyUpdates(later, [update(3, { tick: { number: 3, time: T0 + KEEP_UNSEEN, live: true } })]);
    expect([...nextDay.alerts.keys()]).toEqual(['open', 'watched']);
  });

  it('is bounded', () => {
    const figures = Array.from({ length: MAX_FIGURES + 50 }, (_, i) => figure(`S${i}`, { end: T0 + i }));
    const alerts = Array.from({ length: MAX_ALERTS + 3 }, (_, i) => alert(`a${i}`, { changed: T0 + i, ...(i === 900 ? { handling: 'closed' as const } : {}) }));
    const board = applySnapshot('e1', snapshot(1, { figures, alerts }));
    expect(board.figures.get('traffic_queue')?.size).toBe(MAX_FIGURES * 0.9);
    expect(board.figures.get('traffic_queue')?.has(keyOf({ area: '24617', source: `S${MAX_FIGURES + 49}` }))).toBe(true);
    expect(board.alerts.size).toBe(MAX_ALERTS);
    expect(board.alerts.has('a900')).toBe(false);
  });
});
