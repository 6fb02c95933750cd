//! What can be done with the selected alert: acknowledge, assign, note, close with a verdict, reopen; and whose it is.
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { formatMoment } from '../format';
import { actState, acknowledge, act, draftOf, form, goOn, keepDraft, openForm, submitForm, type ActState, type Draft, type FormKind } from '../acts';
import { VERDICTS, peopleOf, type Change } from '../live/handling';
import { isUnacknowledged } from '../live/queue';
import { alerts, mayAct, me, myName, now, openAccess, personName, setName, t, zone } from '../store';
import type { Key } from '../i18n';
import type { AlertView } from '../wire';

export function ActBar({ alert }: { alert: AlertView }) {
  const state = actState.value?.id === alert.id ? actState.value : null;
  const open = form.value;
  return (
    <footer class="act" data-testid="act-bar">
      <Whose alert={alert} />
      {mayAct.value
        ? <>
          {state && <Said state={state} />}
          {state?.phase === 'name' && <NameForm state={state} />}
          {open && <Form key={`${alert.id}/${open}`} alert={alert} kind={open} />}
          <Buttons alert={alert} />
        </>
        : me.value?.may_act === false && <p class="quiet">{t('ack.not_allowed')}</p>}
    </footer>
  );
}

function Whose({ alert: a }: { alert: AlertView }) {
  const at = (ms: number): string => formatMoment(ms, now.value, zone.value);
  if (a.handling === 'new') return null;
  return (
    <div class="whose" data-testid="whose">
      {a.acknowledged && <p data-testid="ack-done">{t('ack.done', { name: a.acknowledged.by, time: at(a.acknowledged.at) })}{a.acknowledged.note !== '' && <q>{a.acknowledged.note}</q>}</p>}
      {a.assigned && <p data-testid="assigned-to">{t(a.assigned.by === a.assigned.to ? 'act.took' : 'act.assigned', { name: a.assigned.to, by: a.assigned.by, time: at(a.assigned.at) })}{a.assigned.note !== '' && <q>{a.assigned.note}</q>}</p>}
      {a.closed && <p data-testid="closed-as"><b>{t('act.closed', { verdict: t(`verdict.${a.closed.verdict}`), by: a.closed.by, time: at(a.closed.at) })}</b>{a.closed.note !== '' && <q>{a.closed.note}</q>}</p>}
    </div>
  );
}

function Buttons({ alert }: { alert: AlertView }) {
  const busy = actState.value?.id === alert.id && actState.value.phase === 'saving';
  const fresh = isUnacknowledged(alert);
  const closed = alert.handling === 'closed';
  const toggle = (kind: FormKind) => () => { if (form.value === kind) form.value = null; else openForm(kind); };
  const pick = (kind: FormKind, key: Key, letter: string) => (
    <button type="button" aria-expanded={form.value === kind} data-testid={`act-${kind}`} onClick={toggle(kind)}>{t(key)} <kbd>{letter}</kbd></button>
  );
  return (
    <div class="act-buttons" role="group" aria-label={t('act.title')}>
      {!closed && fresh && <button type="button" class="primary" data-testid="ack-button" disabled={busy} onClick={() => void acknowledge(alert.id)}>{t('ack.button')} <kbd>a</kbd></button>}
      {!closed && pick('assign', 'act.assign', 's')}
      {pick('note', 'act.note', 'n')}
      {!closed && pick('close', 'act.close', 'c')}
      {closed && <button type="button" data-testid="act-reopen" disabled={busy} onClick={() => void act(alert.id, { kind: 'reopen' })}>{t('act.reopen')}</button>}
      {openAccess.value && personName.value !== '' && <Name />}
    </div>
  );
}

function Name() {
  const [changing, set] = useState(false);
  if (!changing) return <button type="button" class="linkish quiet small" title={t('ack.change_name')} onClick={() => set(true)}>{personName.value}</button>;
  const take = (field: HTMLInputElement): void => { if (field.value.trim() !== '') setName(field.value.trim()); set(false); };
  return <input class="field small" aria-label={t('ack.name')} defaultValue={personName.value} maxLength={100} autofocus onBlur={(e) => take(e.currentTarget)} onKeyDown={(e) => { if (e.key === 'Enter') take(e.currentTarget); }} />;
}

function Said({ state }: { state: ActState }) {
  return (
    <div class="said" role="status" data-testid="ack-message" data-phase={state.phase}>
      <p>{state.message}</p>
      {state.changes.length > 0 && <ul>{state.changes.map((c) => <li key={c.what}>{changeWords(c)}</li>)}</ul>}
      {state.phase === 'conflict' && state.act.kind !== 'acknowledge' && <p class="quiet">{t('act.kept')}</p>}
    </div>
  );
}

function changeWords(c: Change): string {
  const [from, to] = c.what === 'condition' ? [t(`condition.${c.from}` as Key), t(`condition.${c.to}` as Key)]
    : c.what === 'handling' ? [t(`handling.${c.from}` as Key), t(`handling.${c.to}` as Key)]
      : c.what === 'verdict' ? [c.from ? t(`verdict.${c.from}`) : '–', c.to ? t(`verdict.${c.to}`) : '–']
        : [String(c.from ?? '–'), String(c.to ?? '–')];
  return t('act.change', { what: t(`act.what.${c.what}`), from, to });
}

/** Asked once where nobody signs in; then the act goes on its way again. */
function NameForm({ state }: { state: ActState }) {
  const field = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => field.current?.focus(), []);
  const submit = (event: Event): void => {
    event.preventDefault();
    const typed = field.current?.value.trim();
    if (!typed) return;
    setName(typed);
    goOn(state);
  };
  return (
    <form class="row" onSubmit={submit}>
      <input ref={field} class="field" data-testid="ack-name" aria-label={t('ack.name')} placeholder={t('ack.name')} defaultValue={personName.value} maxLength={100} autocomplete="name" />
      <button type="submit" class="primary">{t('act.go_on')}</button>
    </form>
  );
}

function Form({ alert, kind }: { alert: AlertView; kind: FormKind }) {
  const [draft, set] = useState<Draft>(() => draftOf(alert.id, kind));
  const first = useRef<HTMLElement>(null);
  // Before the next key: what is typed right after the letter belongs to the form.
  useLayoutEffect(() => first.current?.focus(), []);
  const keep = (change: Partial<Draft>): void => {
    const next = { ...draft, ...change };
    set(next);
    keepDraft(alert.id, kind, next);
  };
  const submit = (event?: Event): void => {
    event?.preventDefault();
    void submitForm(alert.id, kind);
  };
  const busy = actState.value?.id === alert.id && actState.value.phase === 'saving';
  const ready = kind === 'assign' ? draft.to.trim() !== '' : kind === 'close' ? draft.verdict !== null : draft.note.trim() !== '';
  const label = t(kind === 'note' ? 'act.note_text' : 'ack.note');
  // Enter sends; Shift+Enter is a new line.
  const onKey = (e: KeyboardEvent): void => { if (e.key === 'Enter' && !e.shiftKey && !e.isComposing) { e.preventDefault(); submit(); } };
  const note = (
    <textarea ref={kind === 'note' ? (el) => { first.current = el; } : undefined} class="field" rows={kind === 'note' ? 3 : 1} data-testid="act-note-text" aria-label={label} placeholder={label} maxLength={2000}
      value={draft.note} onInput={(e) => keep({ note: e.currentTarget.value })} onKeyDown={onKey} />
  );
  return (
    <form class="act-form" data-testid={`form-${kind}`} onSubmit={submit}>
      {kind === 'assign' && (
        <div class="row">
          <input ref={(el) => { first.current = el; }} class="field" list="people" data-testid="assign-to" aria-label={t('act.to')} placeholder={t('act.to')} value={draft.to} maxLength={100} autocomplete="off" onInput={(e) => keep({ to: e.currentTarget.value })} />
          <datalist id="people">{peopleOf(alerts.value.values(), myName.value).map((name) => <option key={name} value={name} />)}</datalist>
          {myName.value !== '' && <button type="button" onClick={() => keep({ to: myName.value })}>{t('act.to_me')}</button>}
        </div>
      )}
      {kind === 'close' && (
        <fieldset class="verdicts" onKeyDown={(e) => { const v = VERDICTS[Number(e.key) - 1]; if (v) { keep({ verdict: v }); e.preventDefault(); } }}>
          <legend class="visually-hidden">{t('act.verdict')}</legend>
          {VERDICTS.map((v, i) => (
            <label key={v}><input ref={i === 0 ? (el) => { first.current = el; } : undefined} type="radio" name="verdict" data-testid={`verdict-${v}`} checked={draft.verdict === v} onChange={() => keep({ verdict: v })} onKeyDown={onKey} /> {t(`verdict.${v}`)} <kbd>{i + 1}</kbd></label>
          ))}
        </fieldset>
      )}
      {note}
      <div class="row">
        <button type="submit" class="primary" data-testid="act-send" disabled={busy || !ready}>{t(`act.send.${kind}`)}</button>
        <button type="button" onClick={() => { form.value = null; }}>{t('act.away')}</button>
      </div>
    </form>
  );
}
