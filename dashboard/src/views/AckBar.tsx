//! The one act of this page: acknowledging, with a note, and a name where the access is open.
import { useEffect, useRef, useState } from 'preact/hooks';
import { formatMoment } from '../format';
import { isUnacknowledged } from '../live/queue';
import { ackState, acknowledge, me, now, openAccess, personName, setName, t, zone } from '../store';
import type { AlertView } from '../wire';

export function AckBar({ alert }: { alert: AlertView }) {
  const [note, setNote] = useState('');
  const [renaming, setRenaming] = useState(false);
  const nameField = useRef<HTMLInputElement>(null);
  const state = ackState.value?.id === alert.id ? ackState.value : null;
  useEffect(() => setNote(''), [alert.id]);
  useEffect(() => { if (state?.phase === 'name') nameField.current?.focus(); }, [state?.phase]);
  if (!isUnacknowledged(alert)) {
    const ack = alert.acknowledged;
    if (!ack) return null;
    return (
      <footer class="ack done" data-testid="ack-done">
        <p>{t('ack.done', { name: ack.by, time: formatMoment(ack.at, now.value, zone.value) })}</p>
        {ack.note !== '' && <q>{ack.note}</q>}
      </footer>
    );
  }
  if (me.value?.may_act !== true) return <footer class="ack"><p class="quiet">{t('ack.not_allowed')}</p></footer>;
  const askName = openAccess.value && (renaming || personName.value === '' || state?.phase === 'name');
  const submit = (event: Event): void => {
    event.preventDefault();
    const typed = nameField.current?.value.trim();
    if (typed) { setName(typed); setRenaming(false); }
    void acknowledge(alert.id, note.trim());
  };
  return (
    <footer class="ack">
      <form onSubmit={submit}>
        {askName && <input ref={nameField} class="field" data-testid="ack-name" aria-label={t('ack.name')} placeholder={t('ack.name')} defaultValue={personName.value} maxLength={100} autocomplete="name" />}
        <div class="row">
          <input class="field" data-testid="ack-note" aria-label={t('ack.note')} placeholder={t('ack.note')} value={note} maxLength={2000} onInput={(e) => setNote(e.currentTarget.value)} />
          <button type="submit" class="primary" data-testid="ack-button" disabled={state?.phase === 'saving'}>{t('ack.button')} <kbd>a</kbd></button>
        </div>
        {openAccess.value && !askName && <p class="quiet small">{personName.value} · <button type="button" class="linkish" onClick={() => setRenaming(true)}>{t('ack.change_name')}</button></p>}
        {state && <p class="said" role="status" data-testid="ack-message" data-phase={state.phase}>{state.message}</p>}
      </form>
    </footer>
  );
}
