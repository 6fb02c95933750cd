//! The websocket's life: hello, snapshot or resume, updates, heartbeat, back-off.
//!
//! Owns: when to connect, wait, give up; the (epoch, seq) to resume from. Refuses to know: what frames mean for the picture, the DOM.
//!
//! Invariants
//! 1. At most one socket is alive; frames of an older one are ignored.
//! 2. Without any frame for HEARTBEAT (for SYNCING while the snapshot is on its way) the line is dead and connected anew with `resume`.
//! 3. Back-off doubles from FIRST_DELAY to LAST_DELAY with full jitter in its upper half; it starts anew after a frame has been applied.
//! 4. `seq` is that of the last frame handed over; frames are handed over in order, each once.
//!
//! Called by: store.ts with the browser's parts, tests with fakes.

import type { Me, Resume, ServerMessage, Snapshot, Update } from '../wire';

export const PROTOCOL = 1;
export const HEARTBEAT = 3_000;
export const OPENING = 10_000;
/** A snapshot is one frame: on a slow line it is long on its way, and nothing is heard meanwhile. */
export const SYNCING = 60_000;
export const FIRST_DELAY = 500;
export const LAST_DELAY = 15_000;

export type Phase = 'connecting' | 'syncing' | 'live' | 'waiting' | 'signed_out' | 'denied' | 'outdated';
export interface LinkState { phase: Phase; attempt: number; /** When the next try is due, on the clock of `Parts.now`. */ retryAt: number | null }

export interface SocketLike {
  send(text: string): void;
  close(): void;
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: (() => void) | null;
  onerror: (() => void) | null;
}

export type Access = 'ok' | 'signed_out' | 'denied' | 'unreachable';

export interface Parts {
  open(): SocketLike;
  now(): number;
  later(run: () => void, ms: number): number;
  cancel(timer: number): void;
  /** 0..1 */
  random(): number;
  /** Why a socket did not open: a browser does not tell, the REST interface does. */
  access(): Promise<Access>;
}

export interface Listener {
  state(state: LinkState): void;
  hello(me: Me, epoch: string, resumed: boolean): void;
  snapshot(epoch: string, snapshot: Snapshot): void;
  update(update: Update): void;
}

export class Connection {
  private socket: SocketLike | null = null;
  private generation = 0;
  private timer: number | null = null;
  private heartbeat: number | null = null;
  private lastFrame = 0;
  private epoch: string | null = null;
  /** The epoch of a hello whose snapshot has not come: nothing can be resumed in it yet. */
  private coming: string | null = null;
  private seq = 0;
  private greeted = false;
  state: LinkState = { phase: 'connecting', attempt: 0, retryAt: null };

  constructor(private readonly parts: Parts, private readonly listener: Listener) {}

  /** Connects now, whatever the back-off says: at start, after signing in, when the network returns, by hand. */
  start(): void {
    this.drop();
    this.open(this.state.attempt);
  }

  stop(phase: Phase): void {
    this.drop();
    this.set({ phase, attempt: 0, retryAt: null });
  }

  /** The picture was thrown away: the next hello asks for a snapshot. */
  forget(): void {
    this.epoch = null;
    this.seq = 0;
  }

  private open(attempt: number): void {
    this.set({ phase: 'connecting', attempt, retryAt: null });
    const generation = ++this.generation;
    this.greeted = false;
    this.coming = null;
    const socket = this.parts.open();
    this.socket = socket;
    const mine = (run: () => void) => () => { if (generation === this.generation) run(); };
    this.lastFrame = this.parts.now();
    this.watch(OPENING);
    socket.onopen = mine(() => this.greet(socket));
    socket.onmessage = (event) => { if (generation === this.generation) this.receive(event.data); };
    socket.onclose = mine(() => this.lost());
    socket.onerror = mine(() => this.lost());
  }

  private greet(socket: SocketLike): void {
    this.set({ ...this.state, phase: 'syncing', retryAt: null });
    const resume: Resume | null = this.epoch === null ? null : { epoch: this.epoch, seq: this.seq };
    this.lastFrame = this.parts.now();
    this.watch(SYNCING);
    socket.send(JSON.stringify({ type: 'hello', protocol: PROTOCOL, resume }));
  }

  private receive(data: unknown): void {
    if (typeof data !== 'string') return;
    this.lastFrame = this.parts.now();
    let message: ServerMessage;
    try {
      message = JSON.parse(data) as ServerMessage;
    } catch {
      this.lost();
      return;
    }
    switch (message.type) {
      case 'hello':
        if (message.protocol !== PROTOCOL) return this.stop('outdated');
        this.greeted = true;
        if (!message.resumed) this.forget();
        this.coming = message.epoch;
        this.listener.hello(message.me, message.epoch, message.resumed);
        if (message.resumed) this.live();
        return;
      case 'snapshot':
        if (this.coming === null) return;
        this.epoch = this.coming;
        this.seq = message.seq;
        this.listener.snapshot(this.epoch, message);
        this.live();
        return;
      case 'update':
        // Before the snapshot there is no picture an update could belong to.
        if (this.state.phase !== 'live') return;
        this.seq = Math.max(this.seq, message.seq);
        this.listener.update(message);
        return;
      // of a replay only
      case 'replay':
        return;
      case 'bye':
        return this.bye(message.reason);
    }
  }

  private live(): void {
    this.watch(HEARTBEAT);
    this.set({ phase: 'live', attempt: 0, retryAt: null });
  }

  private bye(reason: string): void {
    if (reason === 'protocol') return this.stop('outdated');
    if (reason === 'denied') {
      this.drop();
      void this.ask();
      return;
    }
    this.drop();
    if (reason === 'slow') this.open(this.state.attempt);
    else this.wait();
  }

  private watch(limit: number, after = limit): void {
    if (this.heartbeat !== null) this.parts.cancel(this.heartbeat);
    this.heartbeat = this.parts.later(() => {
      const silent = this.parts.now() - this.lastFrame;
      if (silent >= limit) this.lost();
      else this.watch(limit, limit - silent);
    }, after);
  }

  private lost(): void {
    const greeted = this.greeted;
    this.drop();
    if (greeted) this.wait();
    else void this.ask();
  }

  private async ask(): Promise<void> {
    const generation = this.generation;
    const access = await this.parts.access();
    if (generation !== this.generation) return;
    if (access === 'signed_out' || access === 'denied') this.stop(access);
    else this.wait();
  }

  private wait(): void {
    const attempt = this.state.attempt + 1;
    const ceiling = Math.min(LAST_DELAY, FIRST_DELAY * 2 ** (attempt - 1));
    const delay = ceiling / 2 + (this.parts.random() * ceiling) / 2;
    this.set({ phase: 'waiting', attempt, retryAt: this.parts.now() + delay });
    this.timer = this.parts.later(() => { this.timer = null; this.open(attempt); }, delay);
  }

  private drop(): void {
    this.generation += 1;
    if (this.timer !== null) this.parts.cancel(this.timer);
    if (this.heartbeat !== null) this.parts.cancel(this.heartbeat);
    this.timer = null;
    this.heartbeat = null;
    const socket = this.socket;
    this.socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    socket.close();
  }

  private set(state: LinkState): void {
    this.state = state;
    this.listener.state(state);
  }
}
