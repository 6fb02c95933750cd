import { beforeEach, describe, expect, it } from 'vitest';
import { Connection, FIRST_DELAY, HEARTBEAT, LAST_DELAY, SYNCING, type Access, type LinkState } from '../src/live/connection';
import type { Me, Snapshot, Update } from '../src/wire';
import { snapshot, update } from './make';
import { SocketWorld } from './sockets';

const ME: Me = { name: 'Hạnh', role: 'operator', areas: [], sectors: [], may_act: true };

class World extends SocketWorld {
  chance = 1;
  may: Access = 'ok';
  states: LinkState[] = [];
  heard: unknown[] = [];
  connection = new Connection(
    {
      ...this.parts,
      random: () => this.chance,
      access: () => Promise.resolve(this.may),
    },
    {
      state: (s) => this.states.push(s),
      hello: (_me, epoch, resumed) => this.heard.push(['hello', epoch, resumed]),
      snapshot: (epoch, s: Snapshot) => this.heard.push(['snapshot', epoch, s.seq]),
      update: (u: Update) => this.heard.push(['update', u.seq]),
    },
  );
  get phase(): string { return this.connection.state.phase; }
  hello(epoch: string, resumed: boolean): void { this.socket.say({ type: 'hello', protocol: 1, server: 't', epoch, resumed, me: ME }); }
  connect(epoch = 'e1', seq = 5): void {
    this.connection.start();
    this.socket.onopen?.();
    this.hello(epoch, false);
    this.socket.say({ type: 'snapshot', ...snapshot(seq) });
  }
}

let w: World;
beforeEach(() => { w = new World(); });

describe('the line', () => {
  it('greets, takes the snapshot, then updates in order', () => {
    w.connect();
    expect(w.socket.sent).toEqual([{ type: 'hello', protocol: 1, resume: null }]);
    w.socket.say({ type: 'update', ...update(6) });
    expect(w.heard).toEqual([['hello', 'e1', false], ['snapshot', 'e1', 5], ['update', 6]]);
    expect(w.states.map((s) => s.phase)).toEqual(['connecting', 'syncing', 'live']);
  });

  it('is dead after 3 s without any frame, not before', () => {
    w.connect();
    w.pass(HEARTBEAT - 1);
    w.socket.say({ type: 'update', ...update(5) });
    w.pass(HEARTBEAT - 1);
    expect(w.phase).toBe('live');
    w.pass(1);
    expect(w.phase).toBe('waiting');
    expect(w.sockets[0]?.closed).toBe(true);
  });

  it('waits longer for a snapshot: on a slow line it is one long silence', () => {
    w.connection.start();
    w.socket.onopen?.();
    w.hello('e1', false);
    w.pass(SYNCING - 1);
    expect(w.phase).toBe('syncing');
    w.socket.say({ type: 'snapshot', ...snapshot(5) });
    w.pass(HEARTBEAT);
    expect(w.phase).toBe('waiting');
    w.pass(FIRST_DELAY);
    w.socket.onopen?.();
    w.hello('e2', false);
    w.pass(SYNCING);
    expect(w.phase).toBe('waiting');
  });

  it('resumes from the last frame', () => {
    w.connect();
    w.socket.say({ type: 'update', ...update(9) });
    w.socket.onclose?.();
    w.pass(FIRST_DELAY);
    w.socket.onopen?.();
    expect(w.socket.sent).toEqual([{ type: 'hello', protocol: 1, resume: { epoch: 'e1', seq: 9 } }]);
    w.hello('e1', true);
    expect(w.phase).toBe('live');
    w.socket.say({ type: 'update', ...update(10) });
    expect(w.heard.slice(-2)).toEqual([['hello', 'e1', true], ['update', 10]]);
  });

  it('takes a new snapshot where it could not resume, and drops updates before it', () => {
    w.connect();
    w.socket.onclose?.();
    w.pass(FIRST_DELAY);
    w.socket.onopen?.();
    w.hello('e2', false);
    w.socket.say({ type: 'update', ...update(3) });
    w.socket.say({ type: 'snapshot', ...snapshot(2) });
    expect(w.heard.slice(-2)).toEqual([['hello', 'e2', false], ['snapshot', 'e2', 2]]);
    w.socket.onclose?.();
    w.pass(FIRST_DELAY);
    w.socket.onopen?.();
    expect(w.socket.sent[0]).toMatchObject({ resume: { epoch: 'e2', seq: 2 } });
  });

  it('a cut between hello and snapshot leaves nothing to resume wrongly', () => {
    w.connect();
    w.socket.onclose?.();
    w.pass(FIRST_DELAY);
    w.socket.onopen?.();
    w.hello('e2', false);
    w.socket.onclose?.();
    w.pass(2 * FIRST_DELAY);
    w.socket.onopen?.();
    expect(w.socket.sent[0]).toMatchObject({ resume: null });
  });

  it('backs off with jitter up to its bound, and starts anew once live', async () => {
    w.may = 'unreachable';
    w.connection.start();
    const waits: number[] = [];
    for (let i = 0; i < 8; i++) {
      w.socket.onclose?.();
      await Promise.resolve();
      await Promise.resolve();
      waits.push((w.connection.state.retryAt ?? 0) - w.time);
      w.pass(LAST_DELAY);
    }
    expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]);
    w.chance = 0;
    w.connect();
    w.socket.onclose?.();
    expect(w.connection.state.attempt).toBe(1);
    expect((w.connection.state.retryAt ?? 0) - w.time).toBe(FIRST_DELAY / 2);
  });

  it.each([['signed_out'], ['denied']] as const)('stops when it is %s', async (access) => {
    w.may = access;
    w.connection.start();
    w.socket.onclose?.();
    await Promise.resolve();
    await Promise.resolve();
    expect(w.phase).toBe(access);
    w.pass(60_000);
    expect(w.sockets.length).toBe(1);
  });

  it('obeys bye: slow at once, shutdown in a moment, protocol never', () => {
    w.connect();
    w.socket.say({ type: 'bye', reason: 'slow', detail: '' });
    expect(w.sockets.length).toBe(2);
    w.socket.onopen?.();
    w.hello('e1', true);
    w.socket.say({ type: 'bye', reason: 'shutdown', detail: '' });
    expect(w.phase).toBe('waiting');
    w.pass(FIRST_DELAY);
    w.socket.onopen?.();
    w.socket.say({ type: 'bye', reason: 'protocol', detail: '' });
    w.pass(60_000);
    expect([w.phase, w.sockets.length]).toEqual(['outdated', 3]);
  });

  it('stops at another version of the protocol', () => {
    w.connection.start();
    w.socket.onopen?.();
    w.socket.say({ type: 'hello', protocol: 2, server: 't', epoch: 'e', resumed: false, me: ME });
    expect(w.phase).toBe('outdated');
  });

  it('ignores frames and endings of a line it has given up', () => {
    w.connect();
    const old = w.socket;
    const { onmessage, onclose } = old;
    w.connection.start();
    onmessage?.({ data: JSON.stringify({ type: 'update', ...update(99) }) });
    onclose?.();
    expect(w.heard.length).toBe(2);
    expect([w.phase, w.sockets.length]).toEqual(['connecting', 2]);
  });

  it('connects anew after a frame that is no JSON', () => {
    w.connect();
    w.socket.onmessage?.({ data: '{"type":' });
    expect(w.phase).toBe('waiting');
  });

  it('keeps at most one timer of each kind', () => {
    w.connect();
    for (let i = 0; i < 50; i++) { w.pass(500); w.socket.say({ type: 'update', ...update(6 + i) }); }
    expect(w.timers.size).toBe(1);
    w.connection.stop('signed_out');
    expect(w.timers.size).toBe(0);
  });
});
