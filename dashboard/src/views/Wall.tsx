//! The wall: the whole province from five metres away. Nobody points at it, nothing scrolls, everything scales with the screen.
import '../ui/wall.css';
import { useSignal } from '@preact/signals';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { measureRoundTrip } from '../api';
import { formatAge, formatClock, formatDate, formatNumber, formatSpan, formatValue, shortAreaName } from '../format';
import { fieldName, measurementName } from '../i18n/names';
import { pathOf } from '../live/latency';
import { SEVERITIES, compareAlerts, isListed, isUnacknowledged, ownerOf } from '../live/queue';
import { roundOf, stepAt, type WallStep } from '../live/wall';
import { alerts, areaNames, areas, board, byArea, catalog, coarseNow, counts, cutOff, figures, hasPicture, health, lang, layer, link, now, places, receivedAt, samples, t, zone } from '../store';
import { Shape, lookOf } from '../ui/shape';
import type { AlertView, Severity } from '../wire';
import { AreaTable } from './AreaTable';
import { MapDrawing, useAreas, webgl } from './MapDrawing';

const TOP = 6;
const PING_EVERY = 10_000;

export function Wall() {
  useAreas();
  const step = useStep();
  const scale = useScale();
  return (
    <main class="wall" data-testid="wall" data-step={step.kind}>
      <section class="wall-map" aria-label={t('map.title')}>
        <header>
          <h1><b>{catalog.value?.place[lang.value] ?? t('app.name')}</b>{places.value.length > 0 && <span class="quiet"> · {t('top.areas', { n: catalog.value?.areas.length ?? 0 })}</span>}</h1>
          <p class="wall-step" data-testid="wall-step">{stepWords(step)}</p>
        </header>
        <Picture scale={scale} show={step.kind === 'area' ? step.code : null} />
      </section>
      <aside class="wall-side">
        <Now />
        <Counters />
        <TopAlerts />
        <Health />
      </aside>
    </main>
  );
}

/** As on the style sheet: 1 at 1920 × 1080, 2 at 4K. */
function useScale(): number {
  const read = (): number => Math.round(Math.min(innerWidth / 1920, innerHeight / 1080) * 20) / 20;
  const [scale, set] = useState(read);
  useEffect(() => {
    const follow = (): void => set(read());
    addEventListener('resize', follow);
    return () => removeEventListener('resize', follow);
  }, []);
  // Names of the map are 12 px on a desk, 22 here.
  return Math.max(0.8, scale) * 1.8;
}

function useStep(): WallStep {
  const critical = counts.value.critical.open + counts.value.critical.unacknowledged > 0;
  const having = [...figures.value].filter(([, of]) => [...of.values()].some((f) => f.area !== null)).map(([m]) => m).join();
  const round = useMemo(() => roundOf(catalog.value?.measurements ?? [], (m) => having.split(',').includes(m), byArea.value), [catalog.value, having, byArea.value]);
  const step = stepAt(round, now.value, critical);
  const id = step.kind === 'layer' ? `${step.measurement}.${step.field}` : '';
  useEffect(() => { layer.value = step.kind === 'layer' ? { measurement: step.measurement, field: step.field, aggregate: null } : null; }, [id]);
  useEffect(() => () => { layer.value = null; }, []);
  return step;
}

function stepWords(step: WallStep): string {
  if (step.kind === 'area') return areaNames.value.get(step.code) ?? step.code;
  if (step.kind === 'layer') return `${measurementName(step.measurement, lang.value)}: ${fieldName(step.field, lang.value)}`;
  return t('map.layer.alerts');
}

function Picture({ scale, show }: { scale: number; show: string | null }) {
  const failed = useSignal(false);
  if (!webgl || failed.value) return <AreaTable />;
  if (areas.value === null) return <p class="say quiet">{t('map.loading')}</p>;
  return <MapDrawing scale={scale} still show={show} onFailed={() => { failed.value = true; }} />;
}

function Now() {
  if (now.value === 0) return <p class="wall-now quiet">{t('loading.picture')}</p>;
  return (
    <p class="wall-now" data-testid="clock">
      <span class="quiet">{formatDate(now.value, zone.value)}</span>
      <b>{formatClock(now.value, zone.value)}</b>
    </p>
  );
}

function Counters() {
  return (
    <ul class="wall-counts" aria-label={t('top.counts')}>
      {SEVERITIES.map((severity: Severity) => {
        const { open, unacknowledged } = counts.value[severity];
        return (
          <li key={severity} class={open + unacknowledged === 0 ? 'zero' : ''} data-testid={`severity-count-${severity}`} data-count={open}>
            <Shape severity={severity} look={unacknowledged > 0 ? 'filled' : 'outline'} />
            <b>{formatNumber(open, lang.value)}</b>
            <span class="word">{t(`severity.${severity}`)}</span>
            {unacknowledged > 0 && <span class="quiet">{t('wall.new', { n: unacknowledged })}</span>}
          </li>
        );
      })}
    </ul>
  );
}

function TopAlerts() {
  const listed = [...alerts.value.values()].filter(isListed).sort(compareAlerts);
  if (hasPicture.value && listed.length === 0 && (health.value?.built ?? 1) === 1) return <section class="wall-alerts"><p>{t('queue.empty')}</p></section>;
  return (
    <section class="wall-alerts" aria-label={t('queue.title')}>
      <ul>{listed.slice(0, TOP).map((a) => <li key={a.id}><TopAlert alert={a} /></li>)}</ul>
    </section>
  );
}

function TopAlert({ alert: a }: { alert: AlertView }) {
  const owner = ownerOf(a);
  const where = a.area ? shortAreaName(a.area.name) : t('queue.outside_areas');
  return (
    <article class={`wall-alert${isUnacknowledged(a) ? ' strong' : ''}`} data-testid="wall-alert" data-severity={a.severity}>
      <Shape severity={a.severity} look={lookOf(a)} />
      <span class="visually-hidden">{t(`severity.${a.severity}`)}:</span>
      <span class="title">{a.title[lang.value]}</span>
      <span class="quiet under">{where} · {formatAge(a.since, coarseNow.value, zone.value, lang.value)}{owner ? ` · ${owner}` : ` · ${t('handling.new')}`}</span>
    </article>
  );
}

/** Can the figures be trusted: who is heard, how late they are, how long the way to this screen takes. */
function Health() {
  const roundTrip = useRoundTrip();
  const h = health.value;
  const path = pathOf(samples.value, roundTrip);
  const ms = (value: number | null): string => (value === null ? '–' : value < 1_000 ? formatValue(Math.round(value), 'ms', lang.value) : value < 10_000 ? formatValue(value / 1000, 's', lang.value) : formatSpan(value, lang.value));
  // `now` moves each second: so does the age of the last frame.
  const silence = Math.max(0, (void now.value, performance.now()) - receivedAt.value);
  const troubles = [
    ...(cutOff.value ? [t('wall.cut', { time: formatClock(board.value.tick.time, zone.value) })] : []),
    ...(h && h.store !== 'ok' ? [t(`top.store.${h.store}`)] : []),
    ...(h && h.log !== 'ok' ? [t(`top.log.${h.log}`)] : []),
    ...(h && h.built < 1 ? [t('building.line', { percent: formatNumber(Math.floor(h.built * 100), lang.value) })] : []),
  ];
  return (
    <section class="wall-health" aria-label={t('top.health')} data-testid="wall-health" data-state={link.value.phase}>
      {troubles.length > 0 ? <p class="trouble"><b>{troubles.join(' · ')}</b></p> : null}
      <dl>
        <dt>{t('wall.sources')}</dt>
        <dd>{h ? <>{h.sources_expected > 0 && <meter class="completeness" min={0} max={h.sources_expected} value={h.sources_heard} aria-hidden="true" />} {h.sources_expected === 0 ? t('top.no_sources') : `${formatNumber(h.sources_heard, lang.value)}/${formatNumber(h.sources_expected, lang.value)}`}</> : '–'}</dd>
        <dt>{t('wall.delay')}</dt>
        <dd>{h ? formatSpan(Math.max(0, h.delay_ms), lang.value) : '–'}</dd>
        <dt>{t('wall.path')}</dt>
        <dd data-testid="wall-path" data-ms={path.whole === null ? '' : Math.round(path.whole)}><b>{ms(path.whole)}</b></dd>
        <dt class="parts quiet">{t('wall.parts', { computed: ms(path.computed), line: ms(path.line), painted: ms(path.painted) })}</dt>
        <dd class="quiet">{link.value.phase === 'live' && silence < 3_000 ? t('live.live') : t('wall.silence', { span: formatSpan(silence, lang.value) })}</dd>
      </dl>
    </section>
  );
}

function useRoundTrip(): number | null {
  const [trip, set] = useState<number | null>(null);
  useEffect(() => {
    let gone = false;
    const ask = (): void => void measureRoundTrip().then((ms) => { if (!gone) set(ms); });
    ask();
    const timer = setInterval(ask, PING_EVERY);
    return () => { gone = true; clearInterval(timer); };
  }, []);
  return trip;
}

