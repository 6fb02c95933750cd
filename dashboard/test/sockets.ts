//! Sockets and a clock that tests move by hand.
import type { SocketLike } from '../src/live/connection';
import type { ServerMessage } from '../src/wire';

export class FakeSocket implements SocketLike {
  sent: Record<string, unknown>[] = [];
  closed = false;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;
  onerror: (() => void) | null = null;
  send(text: string): void { this.sent.push(JSON.parse(text) as Record<string, unknown>); }
  close(): void { this.closed = true; }
  say(message: ServerMessage | Record<string, unknown>): void { this.onmessage?.({ data: JSON.stringify(message) }); }
}

/** A world with its own clock: `pass` runs what falls due. */
export class SocketWorld {
  time = 0;
  sockets: FakeSocket[] = [];
  timers = new Map<number, { at: number; run: () => void }>();
  private next = 1;
  readonly parts = {
    open: (): FakeSocket => { const s = new FakeSocket(); this.sockets.push(s); return s; },
    now: (): number => this.time,
    later: (run: () => void, ms: number): number => { this.timers.set(this.next, { at: this.time + ms, run }); return this.next++; },
    cancel: (id: number): void => { this.timers.delete(id); },
  };
  get socket(): FakeSocket { return this.sockets.at(-1) as FakeSocket; }
  pass(ms: number): void {
    const end = this.time + ms;
    for (;;) {
      const due = [...this.timers].filter(([, t]) => t.at <= end).sort((a, b) => a[1].at - b[1].at)[0];
      if (!due) break;
      this.timers.delete(due[0]);
      this.time = due[1].at;
      due[1].run();
    }
    this.time = end;
  }
}
