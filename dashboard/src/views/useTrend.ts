//! A figure's past: asked from the store, continued by live rows; asked again where the store was not yet as far as the live rows.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { getTrend } from '../api';
import { board, figures, greetings, measurements, mode, now } from '../store';
import type { FigureChoice } from '../route';
import type { TrendPoint } from '../wire';
import { keyOf } from '../live/board';
import { piecesOf } from '../live/span';
import { TREND_SPAN, endedBy, mergePoint, missesBefore } from '../live/trend';

export interface TrendState { points: readonly TrendPoint[]; every: number; phase: 'loading' | 'ready' | 'failed' }
/** The store writes after the screen shows: what it lacks is asked for again after so long, then half as often, so many times. */
const CATCH_UP = 3_000;
const TRIES = 6;

/** `shift`: so much earlier, the past beside itself; nothing live belongs to it. */
export function useTrend(choice: FigureChoice | null, span = TREND_SPAN, shift = 0): TrendState {
  const id = choice ? `${choice.measurement}.${choice.field}\u001f${keyOf(choice.key)}\u001f${span}\u001f${shift}` : '';
  const epoch = board.value.epoch;
  // rows of another picture may lie after this one's moment
  const liveId = `${id}\u001f${epoch}`;
  const [answer, setAnswer] = useState<{ id: string; state: TrendState; tries: number }>({ id: '', state: { points: [], every: 0, phase: 'loading' }, tries: 0 });
  const [live, setLive] = useState<{ id: string; points: readonly TrendPoint[] }>({ id: '', points: [] });
  const hasClock = now.value > 0;
  const every = choice ? measurements.value.get(choice.measurement)?.every_ms ?? 0 : 0;
  useEffect(() => {
    if (!choice || !hasClock) return;
    let gone = false;
    const to = now.peek() - shift;
    // of the past nothing is asked that lay ahead of it
    const ahead = shift > 0 || mode.peek() === 'replay' ? 0 : 3_600_000;
    void askPieces(choice, to - span, to + ahead, every).then((state) => { if (!gone) setAnswer((before) => ({ id, state, tries: before.id === id ? before.tries : 0 })); });
    return () => { gone = true; };
    // After each greeting: what passed while the line was cut reached the board as newest rows only.
  }, [id, epoch, greetings.value, hasClock, every, answer.id === id ? answer.tries : 0]);
  const figure = choice && shift === 0 ? figures.value.get(choice.measurement)?.get(keyOf(choice.key)) : undefined;
  useEffect(() => {
    if (!choice || !figure) return;
    setLive((before) => ({ id: liveId, points: mergePoint(before.id === liveId ? before.points : [], figure, choice.field, now.peek() - span) }));
  }, [liveId, figure]);
  const behind = answer.id === id && answer.state.phase === 'ready' && live.id === liveId && missesBefore(answer.state.points, live.points, answer.state.every);
  useEffect(() => {
    if (!behind || answer.tries >= TRIES) return;
    const timer = setTimeout(() => setAnswer((before) => (before.id === id ? { ...before, tries: before.tries + 1 } : before)), CATCH_UP * 2 ** answer.tries);
    return () => clearTimeout(timer);
  }, [behind, id, answer.tries]);
  return useMemo(() => {
    const mine = answer.id === id;
    let points = mine ? answer.state.points : [];
    if (mode.peek() === 'replay') points = endedBy(points, answer.state.every, now.peek());
    if (live.id === liveId) {
      // Live rows are newer than the store's answer: they win on their windows.
      const starts = new Set(live.points.map((p) => p.start));
      points = [...points.filter((p) => !starts.has(p.start)), ...live.points].sort((a, b) => a.start - b.start);
    }
    const from = now.peek() - shift - span;
    points = points.filter((p) => p.start >= from);
    return { points, every: (mine ? answer.state.every : 0) || (figure ? figure.end - figure.start : every), phase: mine ? answer.state.phase : 'loading' };
  }, [answer, live, liveId]);
}

async function askPieces(choice: FigureChoice, from: number, to: number, every: number): Promise<TrendState> {
  const points: TrendPoint[] = [];
  let step = every;
  for (const [begin, end] of piecesOf(from, to, every)) {
    const got = await getTrend(choice.measurement, choice.field, choice.key, begin, end);
    if (!got.ok) return { points, every: step, phase: 'failed' };
    points.push(...got.value.points);
    step = got.value.every_ms;
  }
  return { points, every: step, phase: 'ready' };
}
