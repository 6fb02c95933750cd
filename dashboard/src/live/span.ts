//! How much of the past a trend shows. Pure.
export const SPANS = ['2h', '24h', '7d'] as const;
export type Span = (typeof SPANS)[number];
export const SPAN_MS: Record<Span, number> = { '2h': 2 * 3_600_000, '24h': 24 * 3_600_000, '7d': 7 * 24 * 3_600_000 };
/** The server answers so many points of one series at most. */
export const MOST_POINTS = 5_000;

/** Pieces of a span that each hold few enough points; the whole, where nobody knows yet how many there are. */
export function piecesOf(from: number, to: number, every: number): [number, number][] {
  if (every <= 0) return [[from, to]];
  const longest = every * MOST_POINTS;
  const pieces: [number, number][] = [];
  for (let at = from; at < to; at += longest) pieces.push([at, Math.min(to, at + longest)]);
  return pieces;
}
