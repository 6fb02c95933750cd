//! How old a figure is when it is seen: from the end of its window over the server and the line to the screen. Pure.
//!
//! Invariants
//! 1. Every part is measured, none is guessed: a part without a sample is `null`, and so is the sum.
//! 2. Memory is bounded: the samples of WITHIN, at most MOST of them.

import type { Update } from '../wire';

export const WITHIN = 60_000;
const MOST = 600;

/** One frame with a figure that was published for the first time: window's end → sent by the server; received → painted. */
export interface Sample { at: number; computed: number; painted: number | null }

/** What a frame tells of the way: the newest of its final first figures. Catching up is no live path. */
export function sampleOf(update: Update, at: number): Sample | null {
  if (!update.tick.live) return null;
  let newest = -Infinity;
  for (const figure of update.figures ?? []) if (figure.state === 'final' && figure.revision === 0) newest = Math.max(newest, figure.end);
  return newest === -Infinity ? null : { at, computed: Math.max(0, update.tick.time - newest), painted: null };
}

export function keepSamples(samples: readonly Sample[], more: readonly Sample[], now: number): Sample[] {
  return [...samples, ...more].filter((s) => now - s.at <= WITHIN).slice(-MOST);
}

export interface Path { computed: number | null; line: number | null; painted: number | null; whole: number | null }

/** The middle of the last minute's samples; `line` is half of what a question and its answer take. */
export function pathOf(samples: readonly Sample[], roundTrip: number | null): Path {
  const computed = middle(samples.map((s) => s.computed));
  const painted = middle(samples.flatMap((s) => (s.painted === null ? [] : [s.painted])));
  const line = roundTrip === null ? null : roundTrip / 2;
  return { computed, line, painted, whole: computed === null || line === null || painted === null ? null : computed + line + painted };
}

export function middle(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? null;
}
