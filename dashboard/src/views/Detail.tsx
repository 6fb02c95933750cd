//! What is selected, on the right: an alert with everything that decided it, or an area with its figures.
import { useEffect, useRef, useState } from 'preact/hooks';
import { getAlert } from '../api';
import { formatAge, formatMoment, formatNumber, formatOperator, formatSpan, formatTime, formatValue, freshness } from '../format';
import { fieldName } from '../i18n/names';
import { keyOf } from '../live/board';
import { membersOf } from '../live/places';
import { isOpen, isUnacknowledged } from '../live/queue';
import { alerts, board, catalog, figureChoice, figures, hasPicture, lang, link, measurements, mode, now, ruleOf, select, selection, t, zone } from '../store';
import { Shape, lookOf } from '../ui/shape';
import type { Key } from '../i18n';
import type { AlertDetail, AlertView, HistoryEntry } from '../wire';
import { ActBar } from './ActBar';
import { AreaDetail } from './AreaDetail';
import { DetailChart } from './DetailChart';
import { Evidence, reasonWords } from './Evidence';
import { unitOf } from './figure';
import { focusTargets } from './keys';
import { Procedure } from './Procedure';
import { ReplayButton } from './TimeBar';

export function Detail() {
  const pane = useRef<HTMLElement>(null);
  useEffect(() => {
    focusTargets.detail = () => pane.current?.focus();
    return () => { focusTargets.detail = null; };
  }, []);
  const selected = selection.value;
  if (!selected) return null;
  return (
    <aside class="detail" ref={pane} tabIndex={-1} aria-label={t('detail.title')} data-testid="detail">
      {selected.kind === 'alert' ? <OfAlert id={selected.id} /> : <AreaDetail code={selected.code} />}
    </aside>
  );
}

export function CloseButton() {
  return <button type="button" class="tool close" onClick={() => select(null)} aria-label={t('detail.close')} title={t('detail.close')}>×</button>;
}

/** The alert's story from the server; asked again with each version and when the line returns. */
function useDetail(id: string, version: number): { detail: AlertDetail | null; failed: boolean; gone: boolean } {
  const [state, setState] = useState<{ id: string; detail: AlertDetail | null; failed: boolean; gone: boolean }>({ id: '', detail: null, failed: false, gone: false });
  const live = link.value.phase === 'live';
  useEffect(() => {
    if (!live) return;
    let old = false;
    void getAlert(id).then((answer) => {
      if (old) return;
      if (answer.ok) setState({ id, detail: answer.value, failed: false, gone: false });
      else setState((before) => ({ id, detail: before.id === id ? before.detail : null, failed: true, gone: answer.status === 404 || answer.status === 403 }));
    });
    return () => { old = true; };
  }, [id, version, live]);
  return state.id === id ? state : { detail: null, failed: false, gone: false };
}

function OfAlert({ id }: { id: string }) {
  const onBoard = alerts.value.get(id);
  const { detail, failed, gone } = useDetail(id, onBoard?.version ?? 0);
  const past = mode.value === 'replay';
  // of an alert that had not begun then, the past shows nothing
  const alert = onBoard ?? (past ? undefined : detail?.alert);
  if (!alert && past) return <NotYet detail={detail} />;
  if (!alert) {
    const lost = gone || failed;
    return (
      <div class="scroll">
        <CloseButton />
        <div class="say">{lost && hasPicture.value ? <><p>{t('detail.gone')}</p><p class="quiet">{t('detail.gone_next')}</p></> : <p>{t('detail.loading')}</p>}</div>
      </div>
    );
  }
  return (
    <>
      <div class="scroll" data-testid="detail-alert" data-alert-id={id}>
        <Head alert={alert} />
        <Values alert={alert} />
        <DetailChart alert={alert} />
        <Evidence alert={alert} positions={detail?.positions ?? []} />
        <Procedure alert={alert} />
        <section>
          <h3>{t('detail.history')}</h3>
          {detail ? <History entries={past ? detail.history.filter((entry) => entry.at <= now.value) : detail.history} alert={alert} /> : <p class="quiet">{failed ? t('detail.history_failed') : t('detail.loading')}</p>}
        </section>
      </div>
      {!past && <ActBar alert={alert} />}
    </>
  );
}

function NotYet({ detail }: { detail: AlertDetail | null }) {
  return (
    <div class="scroll" data-testid="detail-not-yet">
      <CloseButton />
      <div class="say">
        <p>{t('replay.not_yet')}</p>
        {detail && <p class="quiet">{detail.alert.title[lang.value]} · {t('detail.since', { time: formatMoment(detail.alert.since, now.value, zone.value) })}</p>}
      </div>
    </div>
  );
}

function Head({ alert }: { alert: AlertView }) {
  const lasted = (alert.resolved ?? now.value) - alert.since;
  const source = alert.key.source;
  return (
    <header class="detail-head">
      <CloseButton />
      <p class={`sev-word sev-${alert.severity}`}><Shape severity={alert.severity} look={lookOf(alert)} size={16} /> {t(`severity.${alert.severity}`)}</p>
      <h2>{alert.title[lang.value]}</h2>
      <p>{alert.area?.name ?? t('queue.outside_areas')}{source ? ` · ${source}` : ''}</p>
      <p class="quiet">
        {t(`condition.${alert.condition}`)} {t('detail.since', { time: formatMoment(alert.since, now.value, zone.value) })}, {t('detail.lasted', { span: formatSpan(Math.max(0, lasted), lang.value) })} · {isUnacknowledged(alert) ? t('handling.new') : t(`handling.${alert.handling}`)}
      </p>
      {alert.retroactive && <p class="said">{t('detail.retroactive')}</p>}
      <p><ReplayButton since={alert.since} /></p>
    </header>
  );
}

/** Fields in the measurement's order; those that the rule names first; an absent one is said, not left out. */
function fieldsOf(alert: AlertView): string[] {
  const rule = ruleOf(alert);
  const named = (measurements.value.get(alert.evidence.measurement)?.fields ?? []).map((f) => f.field);
  const all = [...new Set([...named, ...Object.keys(alert.evidence.values)])];
  const words = new Set(`${rule?.when ?? alert.evidence.when} ${rule?.until ?? alert.evidence.until ?? ''}`.match(/[A-Za-z_]\w*/g) ?? []);
  const said = all.filter((f) => words.has(f));
  const rest = all.filter((f) => !words.has(f) && f !== 'count' && alert.evidence.values[f] !== undefined);
  return [...said, ...rest].slice(0, 8);
}

function Values({ alert }: { alert: AlertView }) {
  const rule = ruleOf(alert);
  const m = measurements.value.get(alert.evidence.measurement);
  const figure = figures.value.get(alert.evidence.measurement)?.get(keyOf(alert.key));
  const fresh = figure ? freshness(figure.end, m?.every_ms ?? 0, now.value) : 'fresh';
  const limit = (field: string, until: boolean): string =>
    (rule?.limits ?? []).filter((l) => l.field === field && l.until === until).map((l) => `${formatOperator(l.op)} ${formatNumber(l.value, lang.value)}`).join(', ');
  const e = alert.evidence;
  const heard = figure?.heard ?? e.heard;
  const expected = figure?.expected ?? e.expected;
  const fields = fieldsOf(alert);
  // An alert on a case has no figures.
  if (fields.length === 0) return null;
  return (
    <section>
      <table class="values" data-testid="values">
        <caption class="visually-hidden">{t('detail.values')}</caption>
        <thead>
          <tr>
            <th scope="col">{t('detail.field')}</th>
            <th scope="col" class="number">{t('detail.at_decision')}</th>
            <th scope="col" class="number">{t('detail.now')}</th>
            <th scope="col" class="number">{t('detail.limit')}</th>
            <th scope="col" class="number">{t('detail.until')}</th>
          </tr>
        </thead>
        <tbody>
          {fields.map((field) => {
            const unit = unitOf(e.measurement, field);
            return (
              <tr key={field}>
                <th scope="row">{fieldName(field, lang.value)}</th>
                <td class="number strong"><Value value={e.values[field]} unit={unit} /></td>
                <td class={`number ${fresh}`}>{figure ? <>{figure.approx && figure.values[field] !== undefined && '≈ '}<Value value={figure.values[field]} unit={unit} /></> : '–'}</td>
                <td class="number quiet">{limit(field, false)}</td>
                <td class="number quiet">{limit(field, true)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      <p class="quiet under">
        {heard !== null && heard !== undefined && expected !== null && expected !== undefined && <span data-testid="completeness">{t('detail.heard', { heard, expected })} · </span>}
        {figure && <span class={fresh === 'stale' ? 'stale' : ''}>{t('detail.now')}: {formatTime(figure.start, zone.value)}–{formatTime(figure.end, zone.value)} · {formatAge(figure.end, now.value, zone.value, lang.value)}{figure.state !== 'final' ? ` · ${t(`state.${figure.state}`)}` : ''}{figure.approx ? ` · ${t('detail.approx')}` : ''}</span>}
      </p>
    </section>
  );
}

function Value({ value, unit }: { value: number | undefined; unit: string }) {
  if (value === undefined) return <span class="quiet" title={t('detail.absent_hint')}>{t('detail.absent')}</span>;
  return <>{formatValue(value, unit, lang.value)}</>;
}

const HISTORY_WORDS = {
  pending: 'condition.pending', firing: 'condition.firing', no_data: 'condition.no_data', resolved: 'condition.resolved', inactive: 'condition.inactive',
  acknowledged: 'handling.acknowledged', unacknowledged: 'history.unacknowledged', assigned: 'handling.assigned', noted: 'history.noted', closed: 'handling.closed', reopened: 'history.reopened',
} as const;

function historyWords(entry: HistoryEntry): string {
  if (entry.what === 'step_done' || entry.what === 'step_undone') return t(entry.what === 'step_done' ? 'history.step_done' : 'history.step_undone', { n: (entry.step ?? 0) + 1 });
  const key = HISTORY_WORDS[entry.what as keyof typeof HISTORY_WORDS] as Key | undefined;
  const words = key ? t(key) : entry.what;
  if (entry.to !== undefined) return t('history.assigned_to', { to: entry.to });
  return entry.verdict !== undefined ? `${words}: ${t(`verdict.${entry.verdict}`)}` : words;
}

function History({ entries, alert }: { entries: HistoryEntry[]; alert: AlertView }) {
  return (
    <ol class="history" data-testid="history">
      {entries.map((entry, i) => (
        <li key={i} data-what={entry.what}>
          <time class="quiet">{formatMoment(entry.at, now.value || board.value.tick.time, zone.value)}</time>
          <span>
            {historyWords(entry)}{entry.by ? ` · ${entry.by}` : ''}{entry.reason ? ` · ${reasonWords(entry.reason)}` : ''}
            {entry.note && <q>{entry.note}</q>}
            {Object.keys(entry.values).length > 0 && (
              <span class="quiet"> {Object.entries(entry.values).filter(([f]) => f !== 'count').slice(0, 3).map(([field, v]) => `${fieldName(field, lang.value)} ${formatValue(v, unitOf(alert.evidence.measurement, field), lang.value)}`).join(', ')}</span>
            )}
          </span>
        </li>
      ))}
    </ol>
  );
}

/** Used by the area's detail too. */
export function openAlertsOf(code: string): AlertView[] {
  const members = membersOf([code], catalog.value?.groups ?? []);
  return [...alerts.value.values()].filter((a) => a.area !== null && members.has(a.area.code) && isOpen(a));
}
export const chooseFigure = (measurement: string, field: string, key: Record<string, string>): void => { figureChoice.value = { measurement, field, key }; };
