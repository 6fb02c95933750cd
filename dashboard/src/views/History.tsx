//! Every alert there was, searchable: by words (with or without diacritics), area, rule, time, owner, verdict. The address keeps the question.
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { getHistory } from '../api';
import { formatDate, formatNumber, formatSpan, formatStamp, formatTime, parseStamp, shortAreaName } from '../format';
import { VERDICTS } from '../live/handling';
import { SEVERITIES, ownerOf } from '../live/queue';
import { WHOLE_PAST, pastQuery, type Past } from '../route';
import { alerts, catalog, greetings, lang, now, past, select, selection, t, view, zone } from '../store';
import { Shape, lookOf } from '../ui/shape';
import type { AlertView, AlertsPage } from '../wire';

const PAGE = 100;
/** Typing is over after so long. */
const SETTLED = 250;

export function History() {
  const list = useSignal<AlertView[] | null>(null);
  const next = useSignal<string | null>(null);
  const total = useSignal<number | null>(null);
  const failed = useSignal('');
  const asking = useRef(0);
  const take = (page: AlertsPage, more: boolean): void => {
    list.value = more ? [...(list.peek() ?? []), ...page.alerts] : page.alerts;
    next.value = page.next;
    total.value = page.total;
    failed.value = '';
  };
  const ask = async (after: string | null): Promise<void> => {
    const mine = ++asking.current;
    const answer = await getHistory(past.peek(), after, PAGE);
    if (mine !== asking.current) return;
    if (answer.ok) take(answer.value, after !== null);
    else failed.value = answer.problem?.message[lang.peek()] ?? t('history.failed');
  };
  const id = JSON.stringify(past.value);
  useEffect(() => {
    const timer = setTimeout(() => void ask(null), list.peek() === null ? 0 : SETTLED);
    return () => clearTimeout(timer);
  }, [id, greetings.value]);
  return (
    <section class="map-pane history-page" aria-label={t('history.title')} data-testid="history-page">
      <div class="map-bar">
        <h2>{t('history.title')}</h2>
        {total.value !== null && <span class="quiet" role="status" data-testid="history-total">{t('history.total', { n: formatNumber(total.value, lang.value) })}</span>}
        <span class="stretch" />
        <a class="chip link-button" data-testid="history-csv" href={`/api/v1/alerts/history?${pastQuery(past.value)}&format=csv`} download>CSV</a>
        <button type="button" class="chip" onClick={() => { view.value = 'desk'; }}>{t('sources.close')} <kbd>Esc</kbd></button>
      </div>
      <Questions />
      {failed.value !== '' && <p class="notice">{failed.value}</p>}
      {list.value === null
        ? failed.value === '' && <p class="say quiet" role="status">{t('history.loading')}</p>
        : list.value.length === 0
          ? <div class="say" data-testid="history-empty"><p>{t('history.none')}</p><p class="quiet">{t('history.none_next')}</p><button type="button" onClick={() => { past.value = WHOLE_PAST; }}>{t('queue.clear_filter')}</button></div>
          : <Table list={list.value} more={next.value !== null ? () => void ask(next.value) : null} />}
    </section>
  );
}

function Questions() {
  const p = past.value;
  const set = (change: Partial<Past>): void => { past.value = { ...p, ...change }; };
  const c = catalog.value;
  const whole = JSON.stringify(p) === JSON.stringify(WHOLE_PAST);
  return (
    <form class="questions" role="search" aria-label={t('history.search')} onSubmit={(e) => e.preventDefault()}>
      <input class="wide" type="search" data-testid="history-text" aria-label={t('history.text')} placeholder={t('history.text')} value={p.text} maxLength={200} onInput={(e) => set({ text: e.currentTarget.value })} />
      <select aria-label={t('queue.area')} data-testid="history-area" value={p.area} onChange={(e) => set({ area: e.currentTarget.value })}>
        <option value="">{t('history.every_area')}</option>
        {(c?.groups.length ?? 0) > 0 && <optgroup label={t('era.former')}>{c?.groups.map((g) => <option key={g.code} value={g.code}>{g.name[lang.value]}</option>)}</optgroup>}
        <optgroup label={t('era.now')}>{c?.areas.map((a) => <option key={a.code} value={a.code}>{a.name}</option>)}</optgroup>
      </select>
      <select aria-label={t('detail.rule')} data-testid="history-rule" value={p.rule} onChange={(e) => set({ rule: e.currentTarget.value })}>
        <option value="">{t('history.every_rule')}</option>
        {[...new Map((c?.rules ?? []).map((r) => [r.rule, r])).values()].map((r) => <option key={r.rule} value={r.rule}>{r.title[lang.value]}</option>)}
      </select>
      <select aria-label={t('history.severity')} data-testid="history-severity" value={p.severity} onChange={(e) => set({ severity: e.currentTarget.value })}>
        <option value="">{t('history.every_severity')}</option>
        {SEVERITIES.map((s) => <option key={s} value={s}>{t(`severity.${s}`)}</option>)}
      </select>
      <select aria-label={t('act.verdict')} data-testid="history-verdict" value={p.verdict} onChange={(e) => set({ verdict: e.currentTarget.value })}>
        <option value="">{t('history.every_verdict')}</option>
        {VERDICTS.map((v) => <option key={v} value={v}>{t(`verdict.${v}`)}</option>)}
      </select>
      <input data-testid="history-owner" aria-label={t('history.owner')} placeholder={t('history.owner')} value={p.owner} maxLength={100} onInput={(e) => set({ owner: e.currentTarget.value })} />
      <Stamp testid="history-from" label={t('history.from')} at={p.from} onChange={(from) => set({ from })} />
      <Stamp testid="history-to" label={t('history.to')} at={p.to} onChange={(to) => set({ to })} />
      {!whole && <button type="button" onClick={() => { past.value = WHOLE_PAST; }}>{t('queue.clear_filter')}</button>}
    </form>
  );
}

/** A moment as it is written here: dd/MM/yyyy HH:mm, the time may be left out. */
function Stamp({ label, at, testid, onChange }: { label: string; at: number | null; testid: string; onChange: (at: number | null) => void }) {
  const wrong = useSignal(false);
  const take = (text: string): void => {
    const read = parseStamp(text, zone.value);
    wrong.value = text.trim() !== '' && read === null;
    if (!wrong.value) onChange(read);
  };
  return (
    <label>{label} <input class="stamp" data-testid={testid} placeholder="dd/MM/yyyy HH:mm" maxLength={16} aria-invalid={wrong.value} title={wrong.value ? t('history.stamp') : undefined}
      key={at ?? 0} defaultValue={at === null ? '' : formatStamp(at, zone.value)} onChange={(e) => take(e.currentTarget.value)} /></label>
  );
}

function Table({ list, more }: { list: AlertView[]; more: (() => void) | null }) {
  let day = '';
  return (
    <div class="table-frame" tabIndex={0} role="group" aria-label={t('history.title')}>
      <table class="values history-table" data-testid="history-table">
        <thead>
          <tr>
            <th scope="col">{t('history.began')}</th><th scope="col">{t('queue.title')}</th><th scope="col">{t('table.area')}</th>
            <th scope="col" class="number">{t('history.lasted')}</th><th scope="col">{t('history.state')}</th><th scope="col">{t('history.owner')}</th><th scope="col">{t('act.verdict')}</th>
          </tr>
        </thead>
        <tbody>
          {list.map((was) => {
            // What is still in the picture is shown as it is now.
            const live = alerts.value.get(was.id);
            const a = live && live.version >= was.version ? live : was;
            const date = formatDate(a.since, zone.value);
            const first = date !== day;
            day = date;
            const chosen = selection.value?.kind === 'alert' && selection.value.id === a.id;
            return (
              <tr key={a.id} class={chosen ? 'chosen' : ''} data-testid="history-row" data-alert-id={a.id} data-verdict={a.closed?.verdict}>
                <td class="nowrap">{first ? <b>{date}</b> : <span class="visually-hidden">{date}</span>} {formatTime(a.since, zone.value)}</td>
                <th scope="row"><button type="button" class="linkish" onClick={() => select({ kind: 'alert', id: a.id })}><Shape severity={a.severity} look={lookOf(a)} size={12} /><span class="visually-hidden">{t(`severity.${a.severity}`)}: </span> {a.title[lang.value]}</button></th>
                <td>{a.area ? shortAreaName(a.area.name) : t('queue.outside_areas')}{a.key.source ? <span class="quiet"> {a.key.source}</span> : ''}</td>
                <td class="number">{formatSpan(Math.max(0, (a.resolved ?? now.value) - a.since), lang.value)}</td>
                <td>{t(`condition.${a.condition}`)}</td>
                <td>{ownerOf(a) ?? <span class="quiet">{t('handling.new')}</span>}</td>
                <td>{a.closed ? t(`verdict.${a.closed.verdict}`) : <span class="quiet">–</span>}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {more && <button type="button" class="more" data-testid="history-more" onClick={more}>{t('history.more')}</button>}
    </div>
  );
}
