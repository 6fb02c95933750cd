//! The page in replay: the past takes the place of the live picture, and one key gives it back.
//!
//! Owns: entering and leaving, the bar's data, the moment in the address, keys of a replay. Refuses to know: how anything is drawn.
//!
//! Invariants
//! 1. The live line stays open behind a replay: what it brought meanwhile is there at once on return.
//! 2. In replay nothing can be acted on: `mode` says so to whoever draws a button or sends an act.
//! 3. The address holds the moment, so that it can be opened again and handed on.

import { batch, effect, signal } from '@preact/signals';
import { clearMarks, form, undoable } from './acts';
import * as api from './api';
import { applySnapshot, applyUpdates } from './live/board';
import { BEFORE_ALERT, NO_REPLAY, Replay, SPEEDS, momentOf, nextSpeed, replayEpoch, type ReplayView } from './live/replay';
import { parseRoute } from './route';
import { addressMoment, board, greetings, hasPicture, link, mode, moveClock, now, selection, setReplayClock, showLive } from './store';
import type { Timeline } from './wire';

export const replayView = signal<ReplayView>(NO_REPLAY);
export const timeline = signal<Timeline | null>(null);
/** How much of the past the bar shows, ms; null: all. */
export const barWidth = signal<number | null>(null);

/** The moment goes into the address this often while it moves. */
const ADDRESS = 5_000;
const TIMELINE = 60_000;
let pictures = 0;

const replay = new Replay(
  {
    open: () => new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/api/v1/replay`) as unknown as import('./live/connection').SocketLike,
    now: () => performance.now(),
    later: (run, ms) => window.setTimeout(run, ms),
    cancel: (timer) => window.clearTimeout(timer),
  },
  {
    view: (view) => {
      batch(() => {
        replayView.value = view;
        if (mode.peek() === 'replay') moveClock();
      });
    },
    snapshot: (snapshot) => {
      if (mode.peek() !== 'replay') return;
      pictures += 1;
      board.value = applySnapshot(replayEpoch(pictures), snapshot);
    },
    update: (update) => {
      if (mode.peek() === 'replay') board.value = applyUpdates(board.peek(), [update]);
    },
  },
);

/** Shows the past from a moment on. */
export function enterReplay(at: number, speed: number): void {
  batch(() => {
    form.value = null;
    undoable.value = null;
    clearMarks();
    mode.value = 'replay';
    addressMoment.value = Math.round(at);
    replay.open(at, speed);
  });
  void loadTimeline();
}

export function leaveReplay(): void {
  if (mode.peek() === 'live') return;
  batch(() => {
    replay.close();
    mode.value = 'live';
    addressMoment.value = null;
    showLive();
  });
}

/** Ten minutes before it began, ten times as fast: a minute later it begins. */
export function replayAlert(since: number): void {
  enterReplay(since - BEFORE_ALERT, 10);
}

export function seek(at: number): void {
  if (mode.peek() === 'replay') {
    replay.seek(at);
    addressMoment.value = Math.round(at);
  } else enterReplay(at, 0);
}

export const setSpeed = (speed: number): void => { replay.play(speed); };
export const step = (ms: number): void => { replay.step(ms); };
export const nextAlert = (): void => { replay.nextAlert(); };
export function togglePlay(): void {
  const { playing } = replayView.peek();
  replay.play(playing ? 0 : lastSpeed);
}
/** The speed that playing goes on with. */
let lastSpeed: number = SPEEDS[2];
export const faster = (): void => { replay.play(nextSpeed(replayView.peek().speed || lastSpeed)); };

async function loadTimeline(): Promise<void> {
  const answer = await api.getTimeline();
  if (answer.ok) timeline.value = answer.value;
}

/** True if the key belonged to the replay. `typing`: it goes into a field. */
export function onReplayKey(event: KeyboardEvent, typing: boolean): boolean {
  if (typing) return false;
  if (mode.peek() === 'live') {
    if (event.key !== 'r' || event.repeat || !hasPicture.peek()) return false;
    const selected = selection.peek();
    const alert = selected?.kind === 'alert' ? board.peek().alerts.get(selected.id) : undefined;
    if (alert) replayAlert(alert.since);
    else enterReplay(now.peek() - BEFORE_ALERT, 0);
    return true;
  }
  switch (event.key) {
    case 'r': case 'Escape': leaveReplay(); return true;
    case '[': step(-60_000); return true;
    case ']': step(60_000); return true;
    case 'n': nextAlert(); return true;
    case ' ': togglePlay(); return true;
    default: return false;
  }
}

export function startReplay(): void {
  setReplayClock(() => momentOf(replayView.peek(), performance.now()));
  effect(() => { document.documentElement.dataset.mode = mode.value; });
  effect(() => {
    const { speed, playing } = replayView.value;
    if (playing && speed > 0) lastSpeed = speed;
  });
  let toldAt = -Infinity;
  effect(() => {
    const view = replayView.value;
    if (mode.value !== 'replay' || view.phase !== 'shown') return;
    if (view.playing && performance.now() - toldAt < ADDRESS) return;
    toldAt = performance.now();
    addressMoment.value = Math.round(view.at);
  });
  effect(() => {
    if (greetings.value === 0) return;
    void loadTimeline();
    // an address with a moment, opened before anybody had signed in
    const { phase, at } = replayView.peek();
    if (mode.peek() === 'replay' && phase === 'failed') replay.open(at, 0);
  });
  setInterval(() => { if (link.peek().phase === 'live' && !document.hidden) void loadTimeline(); }, TIMELINE);
  setInterval(() => { if (mode.peek() === 'replay') moveClock(); }, 250);
  const follow = (at: number | null): void => {
    if (at === null) leaveReplay();
    else enterReplay(at, 0);
  };
  // by what the event says: the address itself may have been written anew for another part of it
  addEventListener('hashchange', (event) => {
    const at = parseRoute(new URL(event.newURL).hash).at;
    if (at !== parseRoute(new URL(event.oldURL).hash).at) follow(at);
  });
  follow(parseRoute(location.hash).at);
}
