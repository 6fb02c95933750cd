//! What decided an alert: each clause with the value it judged, the row with its revision, the rule's version, where the events lie in the log.
import { formatClock, formatMoment, formatNumber, formatSpan } from '../format';
import { measurementName } from '../i18n/names';
import { lang, now, t, zone } from '../store';
import type { AlertView, ClauseView, EventPositions } from '../wire';

const REASONS: Record<string, 'detail.reason.revised' | 'detail.reason.rule_changed' | 'detail.reason.no_data'> = {
  revised: 'detail.reason.revised', 'rule changed': 'detail.reason.rule_changed', 'no data': 'detail.reason.no_data',
};
export const reasonWords = (reason: string): string => { const key = REASONS[reason]; return key ? t(key) : reason; };

export function Evidence({ alert, positions }: { alert: AlertView; positions: EventPositions[] }) {
  const e = alert.evidence;
  return (
    <section data-testid="evidence">
      <h3>{t('detail.evidence')}</h3>
      <dl class="facts">
        <dt>{t('detail.when')}</dt><dd><code>{e.when}</code>{(e.clauses.length > 1 || e.clauses.some((c) => c.value !== null)) && <Clauses list={e.clauses} />}</dd>
        {e.for_ms > 0 && <><dt>{t('detail.for')}</dt><dd>{formatSpan(e.for_ms, lang.value)}</dd></>}
        {e.until !== null && <><dt>{t('detail.until')}</dt><dd><code>{e.until}</code></dd></>}
        {e.case
          ? <><dt>{t('detail.case')}</dt><dd>{e.case.case} · {e.case.state} · {formatMoment(e.case.created, now.value, zone.value)}{e.case.due !== null && ` · ${t('detail.due', { time: formatMoment(e.case.due, now.value, zone.value) })}`}</dd></>
          : <>
            <dt>{t('detail.window')}</dt><dd>{formatClock(e.window_start, zone.value)}–{formatClock(e.window_end, zone.value)}</dd>
            <dt>{t('detail.row')}</dt><dd>{measurementName(e.measurement, lang.value)} · {t(`state.${e.state}`)} · {t('detail.revision', { n: e.revision })}</dd>
          </>}
        {e.heard !== null && e.expected !== null && <><dt>{t('detail.completeness')}</dt><dd>{t('detail.heard', { heard: e.heard, expected: e.expected })}</dd></>}
        <dt>{t('detail.rule')}</dt><dd>{alert.pipeline}/{alert.rule} · <code>{e.rule_version}</code></dd>
        {alert.reason !== null && <><dt>{t('detail.reason')}</dt><dd>{reasonWords(alert.reason)}</dd></>}
        {(alert.stands_for ?? 0) > 0 && <><dt>{t('detail.stands_for')}</dt><dd>{t('detail.stands_for_n', { n: alert.stands_for ?? 0 })}</dd></>}
        {positions.length > 0 && <><dt>{t('detail.positions')}</dt><dd data-testid="positions">{positions.slice(0, 6).map((p) => <code key={`${p.topic}/${p.partition}`} class="position">{p.topic}/{p.partition} {p.from}–{p.to}</code>)}</dd></>}
      </dl>
    </section>
  );
}

/** "✓ occupancy > 25: 36,2 / 25": a tick where it held, a cross where it did not, a question mark where it was unknown. */
function Clauses({ list }: { list: ClauseView[] }) {
  const number = (n: number | null): string => (n === null ? t('detail.absent') : formatNumber(n, lang.value));
  return (
    <ul class="clauses">
      {list.map((c, i) => (
        <li key={i}>
          <span class="visually-hidden">{t(c.truth === null ? 'detail.unknown' : c.truth ? 'detail.held' : 'detail.not_held')}: </span>
          <span aria-hidden="true">{c.truth === null ? '?' : c.truth ? '✓' : '✗'} </span>
          <code>{c.text}</code>
          {(c.value !== null || c.limit !== null) && <span class="quiet"> {t('detail.clause', { value: number(c.value), limit: number(c.limit) })}</span>}
        </li>
      ))}
    </ul>
  );
}
