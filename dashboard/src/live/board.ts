//! The picture the page holds: alerts, newest figures, health, clock.
//!
//! Owns: how frames change the picture. Refuses to know: sockets, time of the browser, how anything is drawn.
//!
//! Invariants
//! 1. Pure: a frame and a board give a new board; untouched parts keep their identity, so views can compare by `===`.
//! 2. Everything on the wire is absolute; an update below the board's sequence changes nothing, one at it says the same again.
//! 3. An alert never goes back to a lower version within an epoch.
//! 4. Memory is bounded: at most MAX_FIGURES figures (oldest window ends go first), MAX_ALERTS alerts (settled ones go first),
//!    and alerts leave by `leavesAt`, the same rule as the server's (docs/protocol.md): no frame says it.

import type { AlertView, FigureView, HealthView, Snapshot, TickView, Update } from '../wire';

export const MAX_FIGURES = 20_000;
export const MAX_ALERTS = 5_000;
export const KEEP_SETTLED = 15 * 60_000;
/** Resolved, and nobody has looked at it. */
export const KEEP_UNSEEN = 24 * 3_600_000;

export type FigureKey = string;
export type FiguresOf = ReadonlyMap<FigureKey, FigureView>;

export interface Board {
  readonly epoch: string;
  readonly seq: number;
  readonly tick: TickView;
  readonly alerts: ReadonlyMap<string, AlertView>;
  /** By measurement, then by key. */
  readonly figures: ReadonlyMap<string, FiguresOf>;
  readonly health: HealthView | null;
}

export const EMPTY: Board = {
  epoch: '', seq: 0, tick: { number: 0, time: 0, live: false }, alerts: new Map(), figures: new Map(), health: null,
};

/** One name for one key: tags in order. */
export function keyOf(key: { [tag in string]?: string }): FigureKey {
  return Object.entries(key).sort(([a], [b]) => (a < b ? -1 : 1)).map(([tag, value]) => `${tag}=${value ?? ''}`).join('\u001f');
}

/** Handled and over: it may leave the picture. */
export function isSettled(alert: AlertView): boolean {
  return alert.handling === 'closed' || (alert.condition === 'resolved' && alert.handling !== 'new');
}

export function applySnapshot(epoch: string, snapshot: Snapshot): Board {
  const alerts = new Map<string, AlertView>();
  for (const alert of snapshot.alerts) alerts.set(alert.id, alert);
  const figures = withFigures(new Map(), snapshot.figures);
  return prune({ epoch, seq: snapshot.seq, tick: snapshot.tick, alerts, figures, health: snapshot.health });
}

/** Applies the frames of one animation frame together; each touched map is copied once. */
export function applyUpdates(board: Board, updates: readonly Update[]): Board {
  let { seq, tick, health } = board;
  let alerts: Map<string, AlertView> | null = null;
  const figures: FigureView[] = [];
  for (const update of updates) {
    if (update.seq < seq) continue;
    seq = update.seq;
    tick = update.tick;
    health = update.health ?? health;
    for (const alert of update.alerts ?? []) {
      alerts ??= new Map(board.alerts);
      const known = alerts.get(alert.id);
      if (!known || known.version <= alert.version) alerts.set(alert.id, alert);
    }
    if (update.figures) figures.push(...update.figures);
  }
  return prune({
    epoch: board.epoch, seq, tick, health,
    alerts: alerts ?? board.alerts,
    figures: figures.length > 0 ? withFigures(board.figures, figures) : board.figures,
  });
}

/** The answer to an operator's action, which may overtake its frame. */
export function applyAlert(board: Board, alert: AlertView): Board {
  const known = board.alerts.get(alert.id);
  if (known && known.version > alert.version) return board;
  return { ...board, alerts: new Map(board.alerts).set(alert.id, alert) };
}

function withFigures(before: ReadonlyMap<string, FiguresOf>, changed: readonly FigureView[]): ReadonlyMap<string, FiguresOf> {
  const all = new Map(before);
  const copied = new Map<string, Map<FigureKey, FigureView>>();
  for (const figure of changed) {
    let of = copied.get(figure.measurement);
    if (!of) {
      of = new Map(before.get(figure.measurement));
      copied.set(figure.measurement, of);
      all.set(figure.measurement, of);
    }
    of.set(keyOf(figure.key), figure);
  }
  return all;
}

function prune(board: Board): Board {
  const alerts = pruneAlerts(board.alerts, board.tick.time);
  const figures = pruneFigures(board.figures);
  return alerts === board.alerts && figures === board.figures ? board : { ...board, alerts, figures };
}

function pruneAlerts(alerts: ReadonlyMap<string, AlertView>, now: number): ReadonlyMap<string, AlertView> {
  let kept: Map<string, AlertView> | null = null;
  for (const [id, alert] of alerts) {
    if (now >= leavesAt(alert)) (kept ??= new Map(alerts)).delete(id);
  }
  const size = kept?.size ?? alerts.size;
  if (size > MAX_ALERTS) {
    const oldest = [...(kept ?? alerts).values()].sort((a, b) => Number(isSettled(b)) - Number(isSettled(a)) || a.changed - b.changed);
    kept ??= new Map(alerts);
    for (const alert of oldest.slice(0, size - MAX_ALERTS)) kept.delete(alert.id);
  }
  return kept ?? alerts;
}

/** Tick time from which it is no longer in the picture. */
function leavesAt(alert: AlertView): number {
  if (alert.condition === 'inactive') return -Infinity;
  const acted = alert.acted ?? alert.acknowledged?.at;
  if (isSettled(alert)) return (alert.resolved === null && acted === undefined ? alert.changed : Math.max(alert.resolved ?? -Infinity, acted ?? -Infinity)) + KEEP_SETTLED;
  return alert.condition === 'resolved' ? (alert.resolved ?? alert.changed) + KEEP_UNSEEN : Infinity;
}

function pruneFigures(figures: ReadonlyMap<string, FiguresOf>): ReadonlyMap<string, FiguresOf> {
  let count = 0;
  for (const of of figures.values()) count += of.size;
  if (count <= MAX_FIGURES) return figures;
  const ends: number[] = [];
  for (const of of figures.values()) for (const figure of of.values()) ends.push(figure.end);
  ends.sort((a, b) => b - a);
  // A tenth is freed at once, so that a full map is not sorted with every frame.
  const keep = Math.floor(MAX_FIGURES * 0.9);
  const floor = ends[keep - 1] ?? 0;
  let atFloor = keep - ends.findIndex((end) => end === floor);
  const kept = new Map<string, FiguresOf>();
  for (const [measurement, of] of figures) {
    const some = new Map<FigureKey, FigureView>();
    for (const [key, figure] of of) if (figure.end > floor || (figure.end === floor && atFloor-- > 0)) some.set(key, figure);
    if (some.size > 0) kept.set(measurement, some);
  }
  return kept;
}
