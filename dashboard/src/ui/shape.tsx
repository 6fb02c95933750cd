//! The four severity shapes in their four looks. Colour comes from the class, so shape and stroke alone must tell them apart.
import { isUnacknowledged } from '../live/queue';
import type { AlertView, Severity } from '../wire';

export type Look = 'filled' | 'outline' | 'tick' | 'hatch';

/** In a 16 × 16 box; the map draws the same paths on its canvas. */
export const SHAPES: Record<Severity, string> = {
  critical: 'M8 1.5 15.2 14.2H.8z',
  major: 'M8 .8 15.2 8 8 15.2.8 8z',
  minor: 'M2 2h12v12H2z',
  notice: 'M8 1.2a6.8 6.8 0 1 0 0 13.6A6.8 6.8 0 0 0 8 1.2z',
};
export const TICK = 'M4.9 9.2l2.3 2.3 4-4.6';
export const HATCH = 'M-2 10 10-2M-2 15 15-2M0 18 18 0M5 18 18 5M10 18 18 10';

export function lookOf(alert: AlertView): Look {
  if (alert.condition === 'no_data') return 'hatch';
  if (alert.condition === 'resolved') return 'tick';
  return isUnacknowledged(alert) ? 'filled' : 'outline';
}

export function Shape({ severity, look, size = 14 }: { severity: Severity; look: Look; size?: number }) {
  const path = SHAPES[severity];
  return (
    <svg class={`shape sev-${severity}`} width={size} height={size} viewBox="0 0 16 16" aria-hidden="true">
      {look === 'hatch' && <path d={HATCH} clip-path={`url(#clip-${severity})`} fill="none" stroke="currentColor" stroke-width="1.6" />}
      <path d={path} fill={look === 'filled' ? 'currentColor' : 'none'} stroke="currentColor" stroke-width="1.5" stroke-linejoin="round" />
      {look === 'tick' && <path d={TICK} fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" />}
    </svg>
  );
}

/** Once on the page: the outlines that hatching is clipped to. */
export function ShapeDefs() {
  return (
    <svg class="defs" width="0" height="0" aria-hidden="true">
      <defs>
        {(Object.keys(SHAPES) as Severity[]).map((s) => (
          <clipPath key={s} id={`clip-${s}`}><path d={SHAPES[s]} /></clipPath>
        ))}
      </defs>
    </svg>
  );
}
