//! The desk's one tone. Owns: the audio context, whether this desk is muted. Refuses to know: which alerts there are (live/tone.ts says when).
import { signal } from '@preact/signals';

/** A browser lets nothing sound before somebody has touched the page. */
export type Voice = 'on' | 'muted' | 'waiting' | 'none';

const remembered = (): boolean => { try { return localStorage.getItem('ioc.muted') === '1'; } catch { return false; } };
export const muted = signal(remembered());
/** What the browser allows just now. */
export const allowed = signal<'yes' | 'waiting' | 'none'>(typeof AudioContext === 'undefined' ? 'none' : 'waiting');
/** Tones sounded since the page was opened, for tests and for the curious. */
export const toned = signal(0);

let context: AudioContext | null = null;

export function voice(): Voice {
  if (allowed.value === 'none') return 'none';
  if (muted.value) return 'muted';
  return allowed.value === 'yes' ? 'on' : 'waiting';
}

export function setMuted(next: boolean): void {
  muted.value = next;
  try { localStorage.setItem('ioc.muted', next ? '1' : '0'); } catch { /* the page works without */ }
}

/** At any touch or key: from then on it may sound. */
export function unlock(): void {
  if (allowed.peek() === 'none') return;
  context ??= new AudioContext();
  const settle = (): void => { allowed.value = context?.state === 'running' ? 'yes' : 'waiting'; };
  void context.resume().then(settle, settle);
}

/** Two short notes, a third apart: heard across a room, not an alarm siren. */
export function sound(): void {
  if (!context || context.state !== 'running') return;
  toned.value += 1;
  const begin = context.currentTime;
  for (const [at, frequency] of [[0, 660], [0.22, 523]] as const) {
    const tone = context.createOscillator();
    const level = context.createGain();
    tone.frequency.value = frequency;
    level.gain.setValueAtTime(0, begin + at);
    level.gain.linearRampToValueAtTime(0.25, begin + at + 0.02);
    level.gain.exponentialRampToValueAtTime(0.001, begin + at + 0.2);
    tone.connect(level).connect(context.destination);
    tone.start(begin + at);
    tone.stop(begin + at + 0.22);
  }
}
