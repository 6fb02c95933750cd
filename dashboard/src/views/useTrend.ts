//! The 2 h of one figure: asked from the store once, continued by live rows.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { getTrend } from '../api';
import { board, figures, greetings, now } from '../store';
import type { FigureChoice } from '../route';
import type { TrendPoint } from '../wire';
import { keyOf } from '../live/board';
import { TREND_SPAN, mergePoint } from '../live/trend';

export interface TrendState { points: readonly TrendPoint[]; every: number; phase: 'loading' | 'ready' | 'failed' }

export function useTrend(choice: FigureChoice | null, span = TREND_SPAN): TrendState {
  const id = choice ? `${choice.measurement}.${choice.field}\u001f${keyOf(choice.key)}` : '';
  const epoch = board.value.epoch;
  const [answer, setAnswer] = useState<{ id: string; state: TrendState }>({ id: '', state: { points: [], every: 0, phase: 'loading' } });
  const [live, setLive] = useState<{ id: string; points: readonly TrendPoint[] }>({ id: '', points: [] });
  const hasClock = now.value > 0;
  useEffect(() => {
    if (!choice || !hasClock) return;
    let gone = false;
    const to = now.peek();
    void getTrend(choice.measurement, choice.field, choice.key, to - span, to + 3_600_000).then((got) => {
      if (gone) return;
      setAnswer({ id, state: got.ok ? { points: got.value.points, every: got.value.every_ms, phase: 'ready' } : { points: [], every: 0, phase: 'failed' } });
    });
    return () => { gone = true; };
    // After each greeting: what passed while the line was cut reached the board as newest rows only.
  }, [id, epoch, greetings.value, hasClock]);
  const figure = choice ? figures.value.get(choice.measurement)?.get(keyOf(choice.key)) : undefined;
  useEffect(() => {
    if (!choice || !figure) return;
    setLive((before) => ({ id, points: mergePoint(before.id === id ? before.points : [], figure, choice.field, now.peek() - span) }));
  }, [id, figure]);
  return useMemo(() => {
    const mine = answer.id === id;
    let points = mine ? answer.state.points : [];
    if (live.id === id) {
      // Live rows are newer than the store's answer: they win on their windows.
      const starts = new Set(live.points.map((p) => p.start));
      points = [...points.filter((p) => !starts.has(p.start)), ...live.points].sort((a, b) => a.start - b.start);
    }
    const from = now.peek() - span;
    points = points.filter((p) => p.start >= from);
    const every = (mine ? answer.state.every : 0) || (figure ? figure.end - figure.start : 0);
    return { points, every, phase: mine ? answer.state.phase : 'loading' };
  }, [answer, live, id]);
}
