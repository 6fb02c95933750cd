//! What came of one source and did not count: refused and late records, each with why, where it lies and how it begins; refused ones driven again.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { getLate, getRejected, redrive, type Answer } from '../api';
import { formatAge, formatMoment, formatSpan } from '../format';
import type { Key } from '../i18n';
import { lang, me, now, openAccess, personName, t, zone } from '../store';
import type { LateView, RedrivenView, RejectedView } from '../wire';

const LOOKED_AT = 500;
const SHOWN = 3;
const RAW = 600;

/** `null`: on its way; a sentence: why not. */
function useAsked<T>(ask: () => Promise<Answer<T>>, source: string): T | string | null {
  const found = useSignal<T | string | null>(null);
  useEffect(() => {
    let gone = false;
    void ask().then((answer) => { if (!gone) found.value = answer.ok ? answer.value : t('sources.samples_failed'); });
    return () => { gone = true; };
  }, [source]);
  return found.value;
}

interface Placed { topic: string; partition: number; offset: number; broker_time: number | null; raw: string }

const Place = ({ of }: { of: Placed }) => (
  <span class="quiet">{of.topic}/{of.partition} @{of.offset}{of.broker_time !== null && ` · ${formatAge(of.broker_time, now.value, zone.value, lang.value)}`}</span>
);

/** The sentence in place of a list that is not there or empty. */
function Instead({ list }: { list: readonly unknown[] | string | null }) {
  if (list === null) return <p class="quiet" role="status">{t('detail.loading')}</p>;
  return <p class={typeof list === 'string' ? 'said' : 'quiet'}>{typeof list === 'string' ? list : t('sources.no_samples')}</p>;
}

export function Rejected({ source }: { source: string }) {
  const page = useAsked(() => getRejected(LOOKED_AT), source);
  const list = page === null || typeof page === 'string' ? page : page.records.filter((r) => r.source === source);
  if (list === null || typeof list === 'string' || list.length === 0) return <Instead list={list} />;
  return (
    <div data-testid="samples">
      <p class="quiet">{t('sources.samples', { n: list.length })}</p>
      {list.slice(0, SHOWN).map((r) => <RejectedOne key={r.number} record={r} />)}
    </div>
  );
}

function RejectedOne({ record: r }: { record: RejectedView }) {
  const answer = useSignal<RedrivenView | null>(r.redriven);
  const said = useSignal('');
  const mayFeed = openAccess.value || me.value?.role === 'admin';
  const drive = async (): Promise<void> => {
    said.value = t('redrive.waiting');
    const got = await redrive(r.number, openAccess.peek() ? personName.peek().trim() || null : null);
    said.value = got.ok ? '' : got.problem?.message[lang.peek()] ?? t('redrive.failed');
    if (got.ok) answer.value = got.value.find((one) => one.number === r.number) ?? null;
  };
  return (
    <div class="sample" data-number={r.number}>
      <p><b>{r.reason}</b> {r.path !== '' && <code>{r.path}</code>} {r.detail} <Place of={r} /></p>
      <pre tabIndex={0}>{r.raw.slice(0, RAW)}</pre>
      {mayFeed && <p><button type="button" class="chip" data-testid="redrive" disabled={said.value === t('redrive.waiting')} onClick={() => void drive()}>{t('redrive.button')}</button></p>}
      {said.value !== '' && <p class="said" role="status">{said.value}</p>}
      {answer.value && <Redriven of={answer.value} />}
    </div>
  );
}

const VERDICTS = ['accepted', 'late', 'duplicate', 'unwanted', 'rejected'] as const;
const verdictWord = (verdict: string): string => { const known = VERDICTS.find((v) => v === verdict); return known ? t(`redrive.${known}` satisfies Key) : verdict; };

/** What became of it, in all and by pipeline. */
function Redriven({ of }: { of: RedrivenView }) {
  const by = Object.entries(of.verdicts).map(([pipeline, verdict]) => `${pipeline}: ${verdictWord(verdict)}`).join(' · ');
  return (
    <p data-testid="redriven" data-verdict={of.verdict ?? ''} role="status">
      {t('redrive.at', { time: formatMoment(of.at, now.value, zone.value) })}: <b>{of.verdict === null ? t('redrive.unknown') : verdictWord(of.verdict)}</b>
      {of.reason !== null && <> <b>{of.reason}</b></>}{by !== '' && <span class="quiet"> {by}</span>}
      {of.topic !== null && <span class="quiet"> → {of.topic}/{of.partition} @{of.offset}</span>}
    </p>
  );
}

export function Late({ source }: { source: string }) {
  const page = useAsked(() => getLate(source, SHOWN), source);
  const list: LateView[] | string | null = page === null || typeof page === 'string' ? page : page.records;
  if (list === null || typeof list === 'string' || list.length === 0) return <Instead list={list} />;
  return (
    <div data-testid="late-samples">
      <p class="quiet">{t('sources.late_samples')}</p>
      {list.map((r) => (
        <div class="sample" key={r.number}>
          <p><b>{t('sources.late_by', { span: formatSpan(r.delay_ms, lang.value), pipeline: r.pipeline })}</b> {r.type} {formatMoment(r.time, now.value, zone.value)} <Place of={r} /></p>
          <pre tabIndex={0}>{r.raw.slice(0, RAW)}</pre>
        </div>
      ))}
    </div>
  );
}
