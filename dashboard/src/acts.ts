//! What people do to alerts: acknowledge, assign, note, close, reopen, tick a step; one or many; taken back within five seconds.
//!
//! Owns: acts on their way, what was typed for them, marks. Refuses to know: how anything is drawn.
//!
//! Invariants
//! 1. Every act names the version it was decided on: nobody overwrites what they have not seen.
//! 2. What was typed is kept per alert until the server has taken it, whatever happens in between.
//! 3. An act is shown as done when the server says it is durable, never before.

import { batch, signal } from '@preact/signals';
import * as api from './api';
import { MOST_AT_ONCE, changesBetween, markTo, toggled, type Change } from './live/handling';
import { isUnacknowledged } from './live/queue';
import { askName, board, connection, lang, mayAct, openAccess, personName, putAlert, resumeAt, select, selection, shownOrder, t } from './store';
import type { ActConflict, ActView, AlertView, Verdict } from './wire';

export type FormKind = 'assign' | 'note' | 'close';
export interface Draft { note: string; to: string; verdict: Verdict | null }
export type ActPhase = 'saving' | 'conflict' | 'offline' | 'refused' | 'name';
export interface ActState { id: string; phase: ActPhase; message: string; act: ActView; note: string; changes: readonly Change[] }

export const UNDO_WITHIN = 5_000;
export const actState = signal<ActState | null>(null);
/** The form that stands open under the selected alert. */
export const form = signal<FormKind | null>(null);
export const marked = signal<ReadonlySet<string>>(new Set());
let markedLast: string | null = null;
export interface Undoable { ids: readonly string[]; said: string; phase: 'open' | 'saving' }
export const undoable = signal<Undoable | null>(null);
/** What a bulk act came to, where it is not all well. */
export const bulkSaid = signal('');

// ---- what was typed

const drafts = new Map<string, Draft>();
const MOST_DRAFTS = 200;
const EMPTY: Draft = { note: '', to: '', verdict: null };
export const draftOf = (id: string, kind: FormKind): Draft => drafts.get(`${id}/${kind}`) ?? EMPTY;
export function keepDraft(id: string, kind: FormKind, draft: Draft): void {
  drafts.delete(`${id}/${kind}`);
  drafts.set(`${id}/${kind}`, draft);
  const [oldest] = drafts.keys();
  if (drafts.size > MOST_DRAFTS && oldest !== undefined) drafts.delete(oldest);
}
const dropDraft = (id: string, kind: FormKind): void => { drafts.delete(`${id}/${kind}`); };

export function openForm(kind: FormKind): void {
  const selected = selection.peek();
  if (selected?.kind !== 'alert' || !mayAct.peek()) return;
  if (actState.peek()?.phase !== 'saving') actState.value = null;
  form.value = kind;
}

// ---- one act

const named = (): string | null => (openAccess.peek() ? personName.peek().trim() : null);

/** `true`: the server has taken it. */
export async function act(id: string, wanted: ActView, note = ''): Promise<boolean> {
  const seen = board.peek().alerts.get(id);
  if (!seen || !mayAct.peek()) return false;
  if (actState.peek()?.id === id && actState.peek()?.phase === 'saving') return false;
  const say = (phase: ActPhase, message: string, changes: readonly Change[] = []): void => { actState.value = { id, phase, message, act: wanted, note, changes }; };
  if (openAccess.peek() && personName.peek().trim() === '') {
    batch(() => {
      const selected = selection.peek();
      if (selected?.kind !== 'alert' || selected.id !== id) select({ kind: 'alert', id });
      say('name', t('ack.name_needed'));
    });
    return false;
  }
  const order = shownOrder.peek();
  const next = order[order.indexOf(id) + 1] ?? null;
  say('saving', t('ack.saving'));
  const answer = await api.act(id, { version: seen.version, name: named(), note, act: wanted });
  batch(() => {
    if (answer.ok) {
      putAlert(answer.value);
      actState.value = null;
      const selected = selection.peek();
      if (selected?.kind === 'alert' && selected.id === id && (wanted.kind === 'acknowledge' || wanted.kind === 'close')) resumeAt.value = next;
      if (wanted.kind === 'acknowledge') offerUndo([id], t('undo.one'));
      return;
    }
    if (answer.status === 409 && isConflict(answer.body)) {
      const { alert, reason } = answer.body;
      putAlert(alert);
      say('conflict', reason[lang.peek()], changesBetween(seen, alert));
    } else if (answer.status === 401) {
      connection.stop('signed_out');
      actState.value = null;
    } else if (answer.problem && /name/.test(answer.problem.code) && !openAccess.peek()) {
      askName();
      say('name', answer.problem.message[lang.peek()]);
    } else if (answer.problem) say('refused', [answer.problem.message[lang.peek()], answer.problem.detail].filter((w) => w !== '').join(' '));
    else say('offline', t('ack.offline'));
  });
  return answer.ok;
}

const isConflict = (body: unknown): body is ActConflict => typeof body === 'object' && body !== null && 'alert' in body && 'reason' in body;

/** The form's act; its draft and the form go only when the server has it. */
export async function submitForm(id: string, kind: FormKind): Promise<void> {
  const draft = draftOf(id, kind);
  const wanted: ActView | null = kind === 'assign'
    ? draft.to.trim() === '' ? null : { kind: 'assign', to: draft.to.trim() }
    : kind === 'close' ? draft.verdict === null ? null : { kind: 'close', verdict: draft.verdict }
      : draft.note.trim() === '' ? null : { kind: 'note' };
  if (!wanted) return;
  if (!(await act(id, wanted, draft.note.trim()))) return;
  dropDraft(id, kind);
  if (form.peek() === kind) form.value = null;
}

export const acknowledge = (id: string, note = ''): Promise<boolean> => {
  const alert = board.peek().alerts.get(id);
  return alert && isUnacknowledged(alert) ? act(id, { kind: 'acknowledge' }, note) : Promise.resolve(false);
};

/** The act that waited for a name goes on its way: its form's, all that is marked, or itself. */
export function goOn(state: ActState): void {
  const open = form.peek();
  if (open !== null && (state.act.kind === open)) void submitForm(state.id, open);
  else if (state.act.kind === 'acknowledge' && marked.peek().size > 0) {
    actState.value = null;
    void acknowledgeMarked();
  } else void act(state.id, state.act, state.note);
}

// ---- many at once

export function toggleMark(id: string, through: boolean): void {
  marked.value = through ? markTo(shownOrder.peek(), marked.peek(), id, markedLast) : toggled(marked.peek(), id);
  markedLast = id;
}
export function clearMarks(): void {
  marked.value = new Set();
  markedLast = null;
}

/** Acknowledges what is marked and still needs it; what another one changed meanwhile stays marked. */
export async function acknowledgeMarked(): Promise<void> {
  const alerts = board.peek().alerts;
  const wanted = [...marked.peek()].map((id) => alerts.get(id)).filter((a): a is AlertView => a !== undefined && isUnacknowledged(a));
  if (wanted.length === 0) return clearMarks();
  const [firstOne] = wanted;
  if (openAccess.peek() && personName.peek().trim() === '' && firstOne) return void (await act(firstOne.id, { kind: 'acknowledge' }));
  const done = await many({ kind: 'acknowledge' }, wanted);
  if (done.length > 0) offerUndo(done, t('undo.many', { n: done.length }));
}

async function many(wanted: ActView, list: readonly AlertView[]): Promise<string[]> {
  const done: string[] = [];
  if (!mayAct.peek()) return done;
  for (let at = 0; at < list.length; at += MOST_AT_ONCE) {
    const alerts = list.slice(at, at + MOST_AT_ONCE).map(({ id, version }) => ({ id, version }));
    const answer = await api.actOnMany({ name: named(), note: '', act: wanted, alerts });
    if (!answer.ok) {
      if (answer.status === 401) connection.stop('signed_out');
      else bulkSaid.value = answer.problem?.message[lang.peek()] ?? t('ack.offline');
      return done;
    }
    const { done: taken, conflicts, unknown } = answer.value;
    batch(() => {
      for (const alert of [...taken, ...conflicts.map((c) => c.alert)]) putAlert(alert);
      const left = new Set(marked.peek());
      for (const { id } of taken) left.delete(id);
      for (const id of unknown) left.delete(id);
      marked.value = left;
      const [conflict] = conflicts;
      bulkSaid.value = conflict ? t('bulk.conflicts', { n: conflicts.length, reason: conflict.reason[lang.peek()] }) : '';
    });
    done.push(...taken.map((a) => a.id));
  }
  return done;
}

let undoTimer = 0;
function offerUndo(ids: readonly string[], said: string): void {
  clearTimeout(undoTimer);
  undoable.value = { ids, said, phase: 'open' };
  undoTimer = window.setTimeout(() => { if (undoable.peek()?.ids === ids && undoable.peek()?.phase === 'open') undoable.value = null; }, UNDO_WITHIN);
}

/** Takes the last acknowledgement back: what nobody has touched since. */
export async function undo(): Promise<void> {
  const last = undoable.peek();
  if (!last || last.phase === 'saving') return;
  clearTimeout(undoTimer);
  undoable.value = { ...last, phase: 'saving' };
  const list = last.ids.map((id) => board.peek().alerts.get(id)).filter((a): a is AlertView => a !== undefined && a.handling === 'acknowledged');
  await many({ kind: 'unacknowledge' }, list);
  undoable.value = null;
}

/** Another alert, another hand: forms close, what was typed stays. */
export function followSelection(): void {
  const selected = selection.value;
  const id = selected?.kind === 'alert' ? selected.id : null;
  form.value = null;
  const state = actState.peek();
  if (state && state.id !== id && state.phase !== 'saving') actState.value = null;
}
