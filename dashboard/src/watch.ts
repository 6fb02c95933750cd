//! The desk's ear: sounds while a critical stands that nobody has acknowledged. Owns: when it last sounded. live/tone.ts decides, sound.ts sounds.
import { effect } from '@preact/signals';
import { NOTHING_HEARD, nextTone, type Heard } from './live/tone';
import { allowed, muted, sound, unlock } from './sound';
import { alerts, face, mode, now } from './store';

export function watchTone(): void {
  let heard: Heard = NOTHING_HEARD;
  for (const kind of ['pointerdown', 'keydown'] as const) addEventListener(kind, () => { if (allowed.peek() === 'waiting') unlock(); }, { passive: true });
  effect(() => {
    // `now` moves each second: the repetition needs no timer of its own. The wall is heard by nobody's hand; the past is never heard.
    void now.value;
    const quiet = muted.value || allowed.value !== 'yes' || face.value === 'wall' || mode.value === 'replay';
    const next = nextTone(heard, alerts.value.values(), performance.now(), quiet);
    heard = next.heard;
    if (next.sound) sound();
  });
}
