//! The keyboard: j k Enter a s n c x u Esc / m ?, g and a letter for another view. Nothing is taken from a field somebody types in, nor from a pressed modifier.
import { acknowledge, acknowledgeMarked, clearMarks, form, marked, openForm, toggleMark, undo, undoable } from '../acts';
import { face, helping, hasPicture, resumeAt, searching, select, selection, shownOrder, view } from '../store';
import { nextSelection } from '../live/queue';
import { onReplayKey } from '../replay';
import type { View } from '../route';

/** Set by the panes, so that keys need not know them. */
export const focusTargets: { map: (() => void) | null; detail: (() => void) | null } = { map: null, detail: null };

function move(step: 1 | -1): void {
  const selected = selection.peek();
  const id = nextSelection(shownOrder.peek(), selected?.kind === 'alert' ? selected.id : null, step, resumeAt.peek());
  if (id === null) return;
  select({ kind: 'alert', id });
  requestAnimationFrame(() => document.querySelector(`[data-testid=alert-row][data-alert-id="${CSS.escape(id)}"]`)?.scrollIntoView({ block: 'nearest' }));
}

/** Closing from within the detail gives the focus back to its row. */
function close(target: HTMLElement | null): void {
  const selected = selection.peek();
  const row = selected?.kind === 'alert' ? document.querySelector<HTMLElement>(`[data-testid=alert-row][data-alert-id="${CSS.escape(selected.id)}"]`) : null;
  if (target?.closest('.detail')) row?.focus();
  select(null);
}

/** Marks the row that the hand is on, goes on, and marks that one too. */
function markOn(step: 1 | -1): void {
  const selected = selection.peek();
  if (selected?.kind === 'alert' && !marked.peek().has(selected.id)) toggleMark(selected.id, false);
  move(step);
  const next = selection.peek();
  if (next?.kind === 'alert' && !marked.peek().has(next.id)) toggleMark(next.id, false);
}

/** What was typed stays for the next time; the keys work again. */
function closeForm(): void {
  form.value = null;
  focusTargets.detail?.();
}

/** After g the next letter says where to go. */
const GO_WITHIN = 1_500;
const GO: Readonly<Record<string, View>> = { o: 'desk', w: 'wall', l: 'local', a: 'analyst', s: 'sources', p: 'pipelines', h: 'history' };
let goAt = -Infinity;

function onKey(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const target = event.target instanceof HTMLElement ? event.target : null;
  const typing = target !== null && (target.matches('input, textarea, select') || target.isContentEditable);
  if (!searching.peek() && !helping.peek() && !(event.key === ' ' && target?.closest('button, [role=slider]')) && onReplayKey(event, typing)) {
    event.preventDefault();
    return;
  }
  if (event.key === 'Escape') {
    if (searching.peek()) searching.value = false;
    else if (helping.peek()) helping.value = false;
    else if (form.peek() !== null) closeForm();
    else if (typing) target.blur();
    else if (marked.peek().size > 0) clearMarks();
    else if (view.peek() !== 'desk' && !target?.closest('.detail')) view.value = 'desk';
    else close(target);
    return;
  }
  if (typing || searching.peek() || helping.peek() || !hasPicture.peek()) return;
  const going = performance.now() - goAt < GO_WITHIN;
  goAt = -Infinity;
  const to = going ? GO[event.key] : undefined;
  if (to) {
    view.value = to;
    event.preventDefault();
    return;
  }
  // Nobody points at the wall: only another page can be asked for there.
  if (face.peek() === 'wall' && event.key !== 'g' && event.key !== '?') return;
  const selected = selection.peek();
  switch (event.key) {
    case 'j': move(1); break;
    case 'k': move(-1); break;
    case 'J': case 'K': markOn(event.key === 'J' ? 1 : -1); break;
    case 'x': if (selected?.kind === 'alert') toggleMark(selected.id, false); break;
    case 'a':
      if (event.repeat) break;
      if (marked.peek().size > 0) void acknowledgeMarked();
      else if (selected?.kind === 'alert') void acknowledge(selected.id);
      break;
    case 's': openForm('assign'); break;
    case 'n': openForm('note'); break;
    case 'c': openForm('close'); break;
    case 'u': if (!undoable.peek()) return; void undo(); break;
    case 'Enter':
      // A focused button or link keeps its own Enter.
      if (target?.closest('button, a, summary, [role=option]')) return;
      if (selected === null) move(1);
      requestAnimationFrame(() => focusTargets.detail?.());
      break;
    case 'm': focusTargets.map?.(); break;
    case 'g': goAt = performance.now(); break;
    case '/': searching.value = true; break;
    case '?': helping.value = true; break;
    default: return;
  }
  event.preventDefault();
}

export function installKeys(): () => void {
  addEventListener('keydown', onKey);
  return () => removeEventListener('keydown', onKey);
}
