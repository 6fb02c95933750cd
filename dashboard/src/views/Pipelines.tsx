//! The pipelines page: each file as it runs: what it reads, windows, rules, rates, watermark and lag by partition, why a window is still open.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { explainWindow, getPipelines } from '../api';
import { formatAge, formatClock, formatNumber, formatSpan } from '../format';
import { fieldName, measurementName } from '../i18n/names';
import { catalog, greetings, lang, now, pipelineChoice, t, view, zone } from '../store';
import { Shape } from '../ui/shape';
import type { Explanation, PipelinePartition, PipelineRule, PipelineView, PipelineWindow, PipelinesNow, WindowHold } from '../wire';

const AGAIN = 2_000;

export function Pipelines() {
  const all = useSignal<PipelinesNow | null>(null);
  const failed = useSignal('');
  useEffect(() => {
    let gone = false;
    let timer = 0;
    const ask = async (): Promise<void> => {
      const answer = document.hidden ? null : await getPipelines();
      if (gone) return;
      if (answer?.ok) { all.value = answer.value; failed.value = ''; }
      else if (answer) failed.value = answer.problem?.message[lang.peek()] ?? t('pipelines.failed');
      timer = window.setTimeout(() => void ask(), AGAIN);
    };
    void ask();
    return () => { gone = true; clearTimeout(timer); };
  }, [greetings.value]);
  const list = all.value?.pipelines ?? [];
  const chosen = list.find((p) => p.name === pipelineChoice.value) ?? list[0];
  return (
    <section class="map-pane pipelines-page" aria-label={t('pipelines.title')} data-testid="pipelines-page">
      <div class="map-bar">
        <h2>{t('pipelines.title')}</h2>
        {all.value && <span class="quiet">{t('pipelines.sum', { n: list.length, rate: rate(list.reduce((n, p) => n + p.rates.accepted, 0)) })}</span>}
        <span class="stretch" />
        <button type="button" class="chip" onClick={() => { view.value = 'desk'; }}>{t('sources.close')} <kbd>Esc</kbd></button>
      </div>
      {failed.value !== '' && <p class="notice">{failed.value}</p>}
      {!all.value
        ? failed.value === '' && <p class="say quiet" role="status">{t('pipelines.loading')}</p>
        : !chosen
          ? <div class="say"><p>{t('pipelines.none')}</p><p class="quiet">{t('pipelines.none_next')}</p></div>
          : <div class="pipelines-body"><List list={list} chosen={chosen.name} /><One key={chosen.name} pipeline={chosen} at={all.value.at} /></div>}
    </section>
  );
}

const rate = (n: number): string => t('pipelines.per_s', { n: formatNumber(n, lang.value) });
const span = (ms: number): string => formatSpan(ms, lang.value);
const clock = (ms: number): string => formatClock(ms, zone.value);
const openOf = (p: PipelineView): number => p.rules.reduce((n, r) => n + r.alerts.firing + r.alerts.no_data, 0);

function List({ list, chosen }: { list: PipelineView[]; chosen: string }) {
  return (
    <nav class="pipeline-list" aria-label={t('pipelines.title')}>
      <ul>
        {list.map((p) => (
          <li key={p.name}>
            <button type="button" class={`line${p.name === chosen ? ' chosen' : ''}`} aria-current={p.name === chosen ? 'true' : undefined} data-testid={`pipeline-${p.name}`} onClick={() => { pipelineChoice.value = p.name; }}>
              <span class="grow"><b>{p.name}</b> <span class="quiet">{catalog.value?.sectors.find((s) => s.code === p.sector)?.name[lang.value] ?? p.sector}</span></span>
              {openOf(p) > 0 && <span>{t('map.open_alerts', { n: openOf(p) })}</span>}
              <span class="quiet number">{rate(p.rates.accepted)}</span>
            </button>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function One({ pipeline: p, at }: { pipeline: PipelineView; at: number }) {
  const text = useSignal(false);
  const timing = p.timing;
  return (
    <div class="pipeline" tabIndex={0} role="region" aria-label={p.name} data-testid="pipeline" data-pipeline={p.name}>
      <h3>{p.name} <span class="quiet">{p.file}</span></h3>
      <dl class="facts">
        <dt>{t('pipelines.reads')}</dt><dd>{p.from.map((type) => <code key={type} class="chip-like">{type}</code>)}</dd>
        <dt>{t('pipelines.timing')}</dt>
        <dd>{t('pipelines.timing_words', { order: span(timing.out_of_orderness_ms), late: span(timing.lateness_ms), idle: span(timing.idle_after_ms), patience: span(timing.patience_ms), dedup: span(timing.dedup_ms) })}</dd>
        <dt>{t('pipelines.rates')}</dt>
        <dd data-testid="pipeline-rates">
          <b>{rate(p.rates.accepted)}</b> {t('pipelines.rates_words', { late: rate(p.rates.late), duplicate: rate(p.rates.duplicate), rejected: rate(p.rates.rejected), unwanted: rate(p.rates.unwanted) })}
          <span class="quiet"> · {t('pipelines.over', { span: span(p.rates.over_ms) })}</span>
        </dd>
      </dl>
      <h4>{t('pipelines.windows')}</h4>
      {p.windows.map((w) => <Window key={w.measurement} pipeline={p.name} window={w} at={at} />)}
      {p.rules.length > 0 && <><h4>{t('pipelines.rules')}</h4><Rules list={p.rules} /></>}
      <h4>{t('pipelines.partitions')}</h4>
      <Partitions list={p.partitions} />
      <button type="button" aria-expanded={text.value} data-testid="pipeline-text" onClick={() => { text.value = !text.value; }}>{text.value ? t('pipelines.hide_text') : t('pipelines.show_text')}</button>
      {text.value && <pre class="file-text" tabIndex={0}>{p.text}</pre>}
    </div>
  );
}

function Window({ pipeline, window: w, at }: { pipeline: string; window: PipelineWindow; at: number }) {
  const why = useSignal<Explanation | null>(null);
  const failed = useSignal('');
  const ask = async (): Promise<void> => {
    if (why.value) { why.value = null; return; }
    const answer = await explainWindow(pipeline, w.measurement);
    if (answer.ok) why.value = answer.value;
    else failed.value = answer.problem?.message[lang.peek()] ?? t('pipelines.failed');
  };
  return (
    <div class="window" data-measurement={w.measurement}>
      <p>
        <b>{measurementName(w.measurement, lang.value)}</b> <code>{w.measurement}</code> · {t('pipelines.every', { span: span(w.every_ms) })}
        {w.period_ms !== w.every_ms && ` · ${t('pipelines.period', { span: span(w.period_ms) })}`}
        {w.early_ms !== null && ` · ${t('pipelines.early', { span: span(w.early_ms) })}`}
        {w.by.length > 0 && <> · {t('pipelines.by')} <code>{w.by.join(', ')}</code></>}
      </p>
      <p class="quiet">{w.fields.map((f) => `${fieldName(f.field, lang.value)}${f.unit ? ` (${f.unit})` : ''}`).join(' · ')}</p>
      <p>
        {t('pipelines.held', { n: formatNumber(w.held, lang.value) })}
        {w.oldest && <> · {holdWords(w.oldest, at)}</>}
        {' '}<button type="button" class="linkish" aria-expanded={why.value !== null} data-testid={`why-${w.measurement}`} onClick={() => void ask()}>{t('pipelines.why')}</button>
      </p>
      {failed.value !== '' && <p class="said">{failed.value}</p>}
      {why.value && <Why why={why.value} />}
    </div>
  );
}

function holdWords(hold: WindowHold, at: number): string {
  const words = t('pipelines.oldest', { start: clock(hold.start), end: clock(hold.end) });
  if (hold.holders.length === 0) return `${words}: ${hold.end > at ? t('pipelines.not_over') : t('pipelines.due', { time: clock(hold.release_at) })}`;
  const who = hold.holders.map((h) => `${h.topic}/${h.partition}`).join(', ');
  return `${words}: ${t('pipelines.held_by', { who })}, ${t(`pipelines.release.${hold.release_by}`, { time: clock(hold.release_at) })}`;
}

function Why({ why }: { why: Explanation }) {
  return (
    <div class="said" role="status" data-testid="why">
      <p>{why.says[lang.value]}</p>
      {why.hold && why.hold.holders.length > 0 && (
        <ul>
          {why.hold.holders.map((h) => (
            <li key={`${h.topic}/${h.partition}`}>
              <code>{h.topic}/{h.partition}</code> {h.watermark === null ? t('pipelines.no_watermark') : t('pipelines.watermark_at', { time: clock(h.watermark) })}
              {h.unreadable && ` · ${t('pipelines.unreadable')}`}
              {h.idle_at !== null && ` · ${t('pipelines.idle_at', { time: clock(h.idle_at) })}`}
              {h.source && ` · ${t('pipelines.last_source', { source: h.source, time: h.heard === null ? '–' : clock(h.heard) })}`}
            </li>
          ))}
        </ul>
      )}
      {why.quiet_total > 0 && (
        <p class="quiet">{t('pipelines.waits_for', { n: why.quiet_total })} {why.quiet.slice(0, 8).map((s) => `${s.name[lang.value]}${s.last_heard === null ? '' : ` (${formatAge(s.last_heard, now.value, zone.value, lang.value)})`}`).join(', ')}{why.quiet_total > 8 ? ' …' : ''}</p>
      )}
    </div>
  );
}

function Rules({ list }: { list: PipelineRule[] }) {
  return (
    <table class="values" data-testid="pipeline-rules">
      <thead><tr><th scope="col">{t('detail.rule')}</th><th scope="col">{t('detail.when')}</th><th scope="col">{t('detail.until')}</th><th scope="col">{t('detail.for')}</th><th scope="col" class="number">{t('condition.firing')}</th><th scope="col" class="number">{t('condition.pending')}</th></tr></thead>
      <tbody>
        {list.map((r) => (
          <tr key={r.rule}>
            <th scope="row"><Shape severity={r.severity} look="outline" size={12} /><span class="visually-hidden">{t(`severity.${r.severity}`)}: </span> {r.title[lang.value]} <span class="quiet">{r.rule}</span></th>
            <td><code>{r.when}</code></td>
            <td>{r.until !== null && <code>{r.until}</code>}</td>
            <td class="nowrap">{r.for_ms > 0 ? span(r.for_ms) : ''}</td>
            <td class={`number${r.alerts.firing + r.alerts.no_data > 0 ? ' strong' : ' quiet'}`}>{r.alerts.firing + r.alerts.no_data}</td>
            <td class="number quiet">{r.alerts.pending}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Partitions({ list }: { list: PipelinePartition[] }) {
  return (
    <table class="values" data-testid="pipeline-partitions">
      <thead><tr><th scope="col">{t('pipelines.partition')}</th><th scope="col" class="number">{t('pipelines.watermark')}</th><th scope="col" class="number">{t('pipelines.lag')}</th><th scope="col" class="number">{t('pipelines.rate')}</th><th scope="col" class="number">{t('pipelines.offset')}</th><th scope="col" class="number">{t('pipelines.behind')}</th><th scope="col">{t('history.state')}</th><th scope="col">{t('pipelines.source')}</th></tr></thead>
      <tbody>
        {list.map((p) => (
          <tr key={`${p.topic}/${p.partition}`}>
            <th scope="row"><code>{p.topic}/{p.partition}</code></th>
            <td class="number">{p.watermark === null ? '–' : clock(p.watermark)}</td>
            <td class="number">{p.lag_ms === null ? '–' : span(p.lag_ms)}</td>
            <td class="number">{rate(p.rate_per_s)}</td>
            <td class="number quiet">{formatNumber(p.next_offset, lang.value)}</td>
            <td class={`number${p.behind > 0 ? ' strong' : ' quiet'}`}>{formatNumber(p.behind, lang.value)}</td>
            <td>{p.unreadable ? <b>{t('pipelines.unreadable')}</b> : p.idle ? t('pipelines.idle', { span: span(p.quiet_ms) }) : <span class="quiet">{t('pipelines.reading')}</span>}</td>
            <td class="quiet">{p.source ?? ''}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
