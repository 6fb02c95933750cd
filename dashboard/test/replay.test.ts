import { beforeEach, describe, expect, it } from 'vitest';
import { FASTEST, NO_REPLAY, Replay, SCRUB, TRIES, barSpan, heard, marksOf, momentAt, momentOf, nextSpeed, shareOf, speedWord, type ReplayView } from '../src/live/replay';
import type { ReplayState, Timeline, TimelineAlert } from '../src/wire';
import { T0, snapshot, update } from './make';
import { SocketWorld } from './sockets';

const HOUR = 3_600_000;
const state = (over: Partial<ReplayState> = {}): ReplayState => ({ at: T0, oldest: T0 - HOUR, newest: T0 + HOUR, speed: 10, playing: true, building: 1, note: null, ...over });
const view = (over: Partial<ReplayState> = {}): ReplayView => heard(NO_REPLAY, state(over), 1_000);

describe('where a replay is', () => {
  it('is what the server said, and what has passed since at its speed', () => {
    expect(momentOf(view(), 1_000)).toBe(T0);
    expect(momentOf(view(), 1_500)).toBe(T0 + 5_000);
    expect(momentOf(view({ playing: false, speed: 0 }), 9_000)).toBe(T0);
  });
  it('is not guessed far ahead, nor past the newest, nor at the fastest', () => {
    expect(momentOf(view(), 60_000)).toBe(T0 + 15_000);
    expect(momentOf(view({ newest: T0 + 2_000 }), 2_000)).toBe(T0 + 2_000);
    expect(momentOf(view({ speed: FASTEST }), 2_000)).toBe(T0);
  });
  it('is building until the picture is there, and failed where there is no past', () => {
    expect(view({ building: 0.4 }).phase).toBe('building');
    expect(view().phase).toBe('shown');
    const note = { vi: 'không', en: 'no' };
    expect(heard(view(), state({ newest: 0, note }), 2_000)).toMatchObject({ phase: 'failed', playing: false, note });
  });
  it('has words and an order for its speeds', () => {
    expect([speedWord(10, 'fastest'), speedWord(FASTEST, 'fastest')]).toEqual(['×10', 'fastest']);
    expect([nextSpeed(1), nextSpeed(10), nextSpeed(FASTEST)]).toEqual([2, 60, 1]);
  });
});

class World extends SocketWorld {
  views: ReplayView[] = [];
  heard: unknown[] = [];
  replay = new Replay(
    {
      ...this.parts,
    },
    { view: (v) => this.views.push(v), snapshot: (s) => this.heard.push(['snapshot', s.seq]), update: (u) => this.heard.push(['update', u.seq]) },
  );
  get view(): ReplayView { return this.replay.view; }
  greet(): void {
    this.socket.onopen?.();
    this.socket.say({ type: 'hello', protocol: 1, server: 'ioc', epoch: 'replay', resumed: false, me: {} });
  }
  show(over: Partial<ReplayState> = {}): void {
    this.socket.say({ type: 'snapshot', ...snapshot(1) });
    this.socket.say({ type: 'replay', ...state(over) });
  }
}

describe('the line of a replay', () => {
  let world: World;
  beforeEach(() => { world = new World(); });

  it('greets, asks for the moment, hands pictures and updates over', () => {
    world.replay.open(T0, 10);
    expect(world.view).toMatchObject({ phase: 'opening', at: T0 });
    world.greet();
    expect(world.socket.sent).toEqual([{ type: 'hello', protocol: 1, resume: null }, { type: 'open', at: T0, speed: 10 }]);
    world.socket.say({ type: 'update', ...update(9) });
    expect(world.heard, 'before the picture there is nothing to change').toEqual([]);
    world.show();
    world.socket.say({ type: 'update', ...update(2) });
    expect(world.heard).toEqual([['snapshot', 1], ['update', 2]]);
    expect(world.view).toMatchObject({ phase: 'shown', playing: true, speed: 10 });
  });

  it('sends commands and nothing else', () => {
    world.replay.open(T0, 0);
    world.greet();
    world.show({ playing: false, speed: 0 });
    world.replay.play(60);
    world.replay.step(-60_000);
    world.replay.nextAlert();
    expect(world.socket.sent.slice(2)).toEqual([{ type: 'play', speed: 60 }, { type: 'step', ms: -60_000 }, { type: 'next_alert' }]);
    expect(world.view).toMatchObject({ playing: false });
  });

  it('sends few of a scrub’s moments, the last one always', () => {
    world.replay.open(T0, 0);
    world.greet();
    world.show({ playing: false, speed: 0 });
    world.pass(1_000);
    for (let n = 1; n <= 10; n += 1) { world.replay.seek(T0 + n); world.pass(10); }
    expect(world.view.at).toBe(T0 + 10);
    // the server still speaks of an older moment while a newer one waits
    world.socket.say({ type: 'replay', ...state({ at: T0 + 1 }) });
    expect(world.view.at).toBe(T0 + 10);
    world.pass(SCRUB);
    // nor is it believed before the picture of the newer one is there
    world.socket.say({ type: 'replay', ...state({ at: T0 + 1 }) });
    expect(world.view).toMatchObject({ phase: 'building', at: T0 + 10 });
    world.show({ at: T0 + 10 });
    expect(world.view.phase).toBe('shown');
    expect(world.socket.sent.filter((c) => c.type === 'seek').map((c) => c.at)).toEqual([T0 + 1, T0 + 10]);
  });

  it('opens anew where it was after a cut, and gives up after some tries', () => {
    world.replay.open(T0, 10);
    world.greet();
    world.show();
    world.pass(1_000);
    world.socket.onclose?.();
    world.pass(1_000);
    expect(world.sockets.length).toBe(2);
    world.greet();
    expect(world.socket.sent[1]).toEqual({ type: 'open', at: T0 + 10_000, speed: 10 });
    for (let n = 0; n <= TRIES; n += 1) { world.socket.onclose?.(); world.pass(10_000); }
    expect(world.view.phase).toBe('failed');
    const sockets = world.sockets.length;
    world.pass(60_000);
    expect(world.sockets.length).toBe(sockets);
  });

  it('takes silence for a cut, and hears nothing after it was closed', () => {
    world.replay.open(T0, 0);
    world.greet();
    world.show();
    world.pass(12_000);
    expect(world.sockets.length).toBe(2);
    const old = world.socket;
    world.replay.close();
    expect([old.closed, world.view]).toEqual([true, NO_REPLAY]);
    old.say({ type: 'snapshot', ...snapshot(7) });
    expect(world.heard).toEqual([['snapshot', 1]]);
    world.pass(60_000);
    expect(world.sockets.length).toBe(2);
  });
});

describe('the time bar', () => {
  const bar: Timeline = { oldest: T0, newest: T0 + 10 * HOUR, alerts: [], gaps: [], checkpoints: [] };
  it('shows all of the past, or so much of it around the moment', () => {
    expect(barSpan(bar, null, null)).toEqual({ from: T0, to: T0 + 10 * HOUR });
    expect(barSpan(bar, T0 + 5 * HOUR, 2 * HOUR)).toEqual({ from: T0 + 4 * HOUR, to: T0 + 6 * HOUR });
    expect(barSpan(bar, T0, 2 * HOUR)).toEqual({ from: T0, to: T0 + 2 * HOUR });
    expect(barSpan(bar, T0 + 10 * HOUR, 2 * HOUR)).toEqual({ from: T0 + 8 * HOUR, to: T0 + 10 * HOUR });
    expect(barSpan({ ...bar, newest: T0 }, null, null)).toBeNull();
  });
  it('knows moments by their place and places by their moment', () => {
    const span = { from: T0, to: T0 + HOUR };
    expect([shareOf(span, T0 + HOUR / 4), shareOf(span, T0 - 1), momentAt(span, 0.25), momentAt(span, 7)]).toEqual([0.25, 0, T0 + HOUR / 4, T0 + HOUR]);
  });
  it('has one mark a slot, of the worst severity, the worst drawn last', () => {
    const alert = (at: number, severity: TimelineAlert['severity']): TimelineAlert => ({ id: `${at}${severity}`, severity, at, resolved: null });
    const marks = marksOf([alert(T0, 'critical'), alert(T0 + 1, 'minor'), alert(T0 + HOUR / 2, 'notice'), alert(T0 - 1, 'critical')], { from: T0, to: T0 + HOUR }, 10);
    expect(marks).toEqual([{ slot: 5, severity: 'notice', count: 1 }, { slot: 0, severity: 'critical', count: 2 }]);
  });
});
