//! A replay's line to the server, and what is known of where it is.
//!
//! Owns: the websocket of a replay (hello, commands, opening anew after a cut), the reducer of its states, the moment that is shown now.
//! Refuses to know: what frames mean for the picture, the DOM, the live line.
//!
//! Invariants
//! 1. At most one socket is alive; frames of an older one are ignored.
//! 2. After a cut it is opened anew at the moment that was shown, at most TRIES times without a frame between; then it says so and stops.
//! 3. While a scrub goes on, a seek goes out at most every SCRUB, the last one always.
//! 4. A replay sends commands about what is shown and nothing else: there is nothing here that could act.
//!
//! Called by: replay.ts with the browser's parts, tests with fakes.

import type { ReplayCommand, ReplayState, ServerMessage, Snapshot, Timeline, TimelineAlert, Update } from '../wire';
import { PROTOCOL, type SocketLike } from './connection';

/** Seconds of the past a second; the last is as fast as it goes. */
export const SPEEDS = [1, 2, 10, 60, 600, 1e9] as const;
export const FASTEST = 1e9;
export const TRIES = 3;
const AGAIN = 1_000;
/** Without any frame for so long the line is dead; a state comes every second. */
const SILENT = 10_000;
export const SCRUB = 120;
/** "Xem lại" begins so long before the alert. */
export const BEFORE_ALERT = 10 * 60_000;

/** A picture of the past has an epoch of its own, unlike any of the server's. */
export const replayEpoch = (picture: number): string => `replay-${picture}`;
export const isReplayed = (epoch: string): boolean => epoch.startsWith('replay-');

export type ReplayPhase = 'off' | 'opening' | 'building' | 'shown' | 'failed';

/** Where a replay is. `heardAt` is on the clock of the parts. */
export interface ReplayView {
  phase: ReplayPhase;
  at: number;
  oldest: number;
  newest: number;
  speed: number;
  playing: boolean;
  building: number;
  note: { vi: string; en: string } | null;
  heardAt: number;
}

export const NO_REPLAY: ReplayView = { phase: 'off', at: 0, oldest: 0, newest: 0, speed: 0, playing: false, building: 1, note: null, heardAt: 0 };

/** The server's word replaces what was thought; a picture on its way says how far it is. */
export function heard(view: ReplayView, state: ReplayState, now: number): ReplayView {
  if (state.newest === 0) return { ...view, phase: 'failed', playing: false, note: state.note };
  return {
    phase: state.building < 1 ? 'building' : 'shown',
    at: state.at, oldest: state.oldest, newest: state.newest, speed: state.speed, playing: state.playing, building: state.building, note: state.note, heardAt: now,
  };
}

/** The moment that is shown now: the server's word, and what has passed since at its speed. */
export function momentOf(view: ReplayView, now: number): number {
  if (!view.playing || view.phase !== 'shown' || view.speed >= FASTEST) return view.at;
  // a state comes twice a second: what lies further ahead is not known
  const passed = Math.min(now - view.heardAt, 1_500) * view.speed;
  return Math.min(view.at + passed, Math.max(view.newest, view.at));
}

/** "×10"; the fastest has a word of its own. */
export function speedWord(speed: number, fastest: string): string {
  return speed >= FASTEST ? fastest : `×${speed}`;
}

/** The next or the previous of the speeds. */
export function nextSpeed(speed: number): number {
  return SPEEDS.find((s) => s > speed) ?? SPEEDS[0];
}

export interface ReplayParts {
  open(): SocketLike;
  now(): number;
  later(run: () => void, ms: number): number;
  cancel(timer: number): void;
}

export interface ReplayListener {
  view(view: ReplayView): void;
  snapshot(snapshot: Snapshot): void;
  update(update: Update): void;
}

export class Replay {
  private socket: SocketLike | null = null;
  private generation = 0;
  private tries = 0;
  private timer: number | null = null;
  private silence: number | null = null;
  private scrub: number | null = null;
  private scrubbedAt = -Infinity;
  private wanted: number | null = null;
  private greeted = false;
  private pictured = false;
  /** A moment was asked for and its picture has not come: what the server says of another one is old. */
  private awaiting = false;
  view: ReplayView = NO_REPLAY;

  constructor(private readonly parts: ReplayParts, private readonly listener: ReplayListener) {}

  /** Shows a moment; opens the line if there is none. */
  open(at: number, speed: number): void {
    this.tries = 0;
    const view: ReplayView = { ...this.view, phase: 'opening', at, speed, playing: speed > 0, building: 0, note: null, heardAt: this.parts.now() };
    if (this.socket && this.greeted) {
      this.set(view);
      this.send({ type: 'open', at: Math.round(at), speed });
    } else {
      this.set(view);
      this.connect();
    }
  }

  close(): void {
    this.drop();
    this.set(NO_REPLAY);
  }

  play(speed: number): void {
    this.send({ type: 'play', speed });
    this.set({ ...this.view, at: momentOf(this.view, this.parts.now()), speed, playing: speed > 0, heardAt: this.parts.now() });
  }

  step(ms: number): void {
    this.send({ type: 'step', ms });
    this.set({ ...this.view, playing: false, speed: 0 });
  }

  nextAlert(): void {
    this.send({ type: 'next_alert' });
    this.set({ ...this.view, playing: false, speed: 0 });
  }

  seek(at: number): void {
    const now = this.parts.now();
    this.wanted = Math.round(at);
    this.set({ ...this.view, phase: 'building', at: this.wanted, building: 0, heardAt: now });
    const wait = this.scrubbedAt + SCRUB - now;
    if (wait <= 0) this.sendSeek();
    else this.scrub ??= this.parts.later(() => { this.scrub = null; this.sendSeek(); }, wait);
  }

  private sendSeek(): void {
    if (this.wanted === null) return;
    this.scrubbedAt = this.parts.now();
    this.awaiting = true;
    this.send({ type: 'seek', at: this.wanted });
    this.wanted = null;
  }

  private send(command: ReplayCommand): void {
    if (this.greeted) this.socket?.send(JSON.stringify(command));
  }

  private connect(): void {
    this.drop();
    const generation = ++this.generation;
    const mine = (run: () => void) => () => { if (generation === this.generation) run(); };
    const socket = this.parts.open();
    this.socket = socket;
    socket.onopen = mine(() => socket.send(JSON.stringify({ type: 'hello', protocol: PROTOCOL, resume: null })));
    socket.onmessage = (event) => { if (generation === this.generation) this.receive(event.data); };
    socket.onclose = mine(() => this.lost());
    socket.onerror = mine(() => this.lost());
    this.listen();
  }

  private listen(): void {
    if (this.silence !== null) this.parts.cancel(this.silence);
    this.silence = this.parts.later(() => { this.silence = null; this.lost(); }, SILENT);
  }

  private receive(data: unknown): void {
    if (typeof data !== 'string') return;
    this.listen();
    const message = JSON.parse(data) as ServerMessage;
    switch (message.type) {
      case 'hello': {
        this.greeted = true;
        const { at, playing, speed } = this.view;
        this.send({ type: 'open', at: Math.round(at), speed: playing ? speed : 0 });
        return;
      }
      case 'snapshot':
        this.tries = 0;
        this.pictured = true;
        this.awaiting = false;
        return this.listener.snapshot(message);
      case 'update':
        // before the first picture there is nothing that an update could belong to
        if (this.pictured) this.listener.update(message);
        return;
      case 'replay':
        // while a moment is being chosen, the server still speaks of an older one
        if (this.wanted !== null || (this.awaiting && message.building >= 1)) return;
        return this.set(heard(this.view, message, this.parts.now()));
      case 'bye':
        return this.lost();
    }
  }

  private lost(): void {
    const at = momentOf(this.view, this.parts.now());
    const said = this.view.phase === 'failed' ? this.view.note : null;
    this.drop();
    this.tries += 1;
    if (said !== null || this.tries > TRIES) {
      this.set({ ...this.view, phase: 'failed', at, playing: false, note: said });
      return;
    }
    this.set({ ...this.view, phase: 'opening', at, building: 0 });
    this.timer = this.parts.later(() => { this.timer = null; this.connect(); }, AGAIN * this.tries);
  }

  private drop(): void {
    this.generation += 1;
    for (const timer of [this.timer, this.silence, this.scrub]) if (timer !== null) this.parts.cancel(timer);
    this.timer = this.silence = this.scrub = null;
    this.wanted = null;
    this.greeted = this.pictured = this.awaiting = false;
    const socket = this.socket;
    this.socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    socket.close();
  }

  private set(view: ReplayView): void {
    this.view = view;
    this.listener.view(view);
  }
}

// ---- the bar

export interface Span { from: number; to: number }

/** What the bar shows: all of the past, or so much of it around the moment that is shown. */
export function barSpan(timeline: Timeline | null, at: number | null, width: number | null): Span | null {
  if (!timeline || timeline.newest <= timeline.oldest) return null;
  const { oldest, newest } = timeline;
  if (width === null || width >= newest - oldest) return { from: oldest, to: newest };
  const from = Math.min(Math.max((at ?? newest) - width / 2, oldest), newest - width);
  return { from, to: from + width };
}

export const shareOf = (span: Span, at: number): number => Math.min(1, Math.max(0, (at - span.from) / (span.to - span.from)));
export const momentAt = (span: Span, share: number): number => Math.round(span.from + Math.min(1, Math.max(0, share)) * (span.to - span.from));

const WORST: Record<TimelineAlert['severity'], number> = { critical: 0, major: 1, minor: 2, notice: 3 };

/** Marks that would lie on one another become one, of the worst severity: one a slot, worst first so that it is drawn last. */
export function marksOf(alerts: readonly TimelineAlert[], span: Span, slots: number): { slot: number; severity: TimelineAlert['severity']; count: number }[] {
  const bySlot = new Map<number, { slot: number; severity: TimelineAlert['severity']; count: number }>();
  for (const alert of alerts) {
    if (alert.at < span.from || alert.at > span.to) continue;
    const slot = Math.min(slots - 1, Math.floor(shareOf(span, alert.at) * slots));
    const mark = bySlot.get(slot);
    if (!mark) bySlot.set(slot, { slot, severity: alert.severity, count: 1 });
    else {
      mark.count += 1;
      if (WORST[alert.severity] < WORST[mark.severity]) mark.severity = alert.severity;
    }
  }
  return [...bySlot.values()].sort((a, b) => WORST[b.severity] - WORST[a.severity] || a.slot - b.slot);
}
