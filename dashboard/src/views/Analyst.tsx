//! The analyst's page: one figure over hours or days, beside another series or another day on the same scale; CSV and PNG.
import { useMemo, useRef } from 'preact/hooks';
import { formatDate, formatNumber, formatValue, shortAreaName } from '../format';
import { fieldName, measurementName } from '../i18n/names';
import { keyOf } from '../live/board';
import { SPANS, SPAN_MS } from '../live/span';
import { extentOf } from '../live/trend';
import type { FigureChoice } from '../route';
import { areaNames, catalog, daysBack, figureChoice, figures, lang, measurements, now, queue, secondChoice, span, t, view, zone } from '../store';
import { Chart } from '../ui/Chart';
import type { Plot, PlotData } from '../ui/plot';
import { figureOfAlert, keyWords, plotDataOf, trendWords, unitOf } from './figure';
import { useTrend, type TrendState } from './useTrend';

const DAY = 86_400_000;
const BACK = [1, 7] as const;

export function Analyst() {
  const choice = figureChoice.value ?? firstFigure();
  return (
    <section class="map-pane analyst-page" aria-label={t('analyst.title')} data-testid="analyst-page">
      <div class="map-bar">
        <h2>{t('analyst.title')}</h2>
        <span class="stretch" />
        <button type="button" class="chip" onClick={() => { view.value = 'desk'; }}>{t('sources.close')} <kbd>Esc</kbd></button>
      </div>
      {choice ? <Compared choice={choice} /> : <p class="say quiet">{t('trend.none')}</p>}
    </section>
  );
}

/** Of the first alert of the list, else the first there is. */
function firstFigure(): FigureChoice | null {
  for (const a of queue.value) { const of = figureOfAlert(a); if (of) return of; }
  for (const [measurement, of] of figures.value) {
    const [figure] = of.values();
    const field = measurements.value.get(measurement)?.fields.find((f) => f.field !== 'count')?.field;
    if (figure && field) return { measurement, field, key: keyWithout(figure.key) };
  }
  return null;
}

function keyWithout(key: { [tag in string]?: string }): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [tag, value] of Object.entries(key)) if (value !== undefined) out[tag] = value;
  return out;
}

function seriesWords(choice: FigureChoice): string {
  const area = choice.key.area;
  return [area ? shortAreaName(areaNames.value.get(area) ?? area) : '', keyWords(choice.key)].filter((w) => w !== '').join(' · ') || t('analyst.whole');
}

function Compared({ choice }: { choice: FigureChoice }) {
  const ms = SPAN_MS[span.value];
  const back = daysBack.value * DAY;
  const second = back > 0 ? choice : secondChoice.value;
  const first = useTrend(choice, ms);
  const other = useTrend(second, ms, back);
  const step = Math.floor(now.value / 10_000);
  const a = useMemo(() => plotDataOf(choice, first, null, ms), [first, step, ms, keyOf(choice.key), choice.field, measurements.value]);
  const b = useMemo(() => (second ? plotDataOf(second, other, null, ms, back) : null), [other, step, ms, back, second && keyOf(second.key), second?.field, measurements.value]);
  const scale = second && second.measurement === choice.measurement && second.field === choice.field ? rangeOf([first, other]) : undefined;
  return (
    <>
      <Choices choice={choice} />
      <div class={`charts${b ? ' two' : ''}`}>
        <Panel choice={choice} trend={first} data={{ ...a, scale }} note={back > 0 ? dayWords(0, ms) : ''} testid="analyst-chart" />
        {b && second && <Panel choice={second} trend={other} data={{ ...b, scale }} note={back > 0 ? dayWords(back, ms) : ''} testid="analyst-chart-2" />}
      </div>
      <Marks />
    </>
  );
}

const dayWords = (back: number, ms: number): string => {
  const to = now.value - back;
  const [first, last] = [formatDate(to - ms, zone.value), formatDate(to, zone.value)];
  return first === last ? last : `${first} – ${last}`;
};

/** The same scale for both, so that they can be compared by eye. */
function rangeOf(trends: readonly TrendState[]): [number, number] | undefined {
  const extents = trends.map((trend) => extentOf(trend.points)).filter((e) => e.newest !== null);
  return extents.length === 0 ? undefined : [Math.min(...extents.map((e) => e.min)), Math.max(...extents.map((e) => e.max))];
}

function Choices({ choice }: { choice: FigureChoice }) {
  const series = [...(figures.value.get(choice.measurement)?.values() ?? [])].map((f) => ({ id: keyOf(f.key), key: keyWithout(f.key), words: '' }))
    .map((s) => ({ ...s, words: seriesWords({ ...choice, key: s.key }) })).sort((x, y) => (x.words < y.words ? -1 : 1));
  const pick = (id: string): Record<string, string> | null => series.find((s) => s.id === id)?.key ?? null;
  const options = series.map((s) => <option key={s.id} value={s.id}>{s.words}</option>);
  return (
    <div class="questions" role="group" aria-label={t('analyst.choose')}>
      <label><span class="quiet">{t('detail.field')}</span> <select data-testid="analyst-figure" value={`${choice.measurement}.${choice.field}`} onChange={(e) => {
        const [measurement = '', field = ''] = e.currentTarget.value.split('.');
        const [figure] = figures.value.get(measurement)?.values() ?? [];
        const key = measurement === choice.measurement ? choice.key : figure ? keyWithout(figure.key) : {};
        figureChoice.value = { measurement, field, key };
        secondChoice.value = null;
      }}>
        {catalog.value?.measurements.filter((m) => figures.value.has(m.measurement)).map((m) => (
          <optgroup key={m.measurement} label={measurementName(m.measurement, lang.value)}>
            {m.fields.map((f) => <option key={f.field} value={`${m.measurement}.${f.field}`}>{fieldName(f.field, lang.value)}{f.unit ? ` (${f.unit})` : ''}</option>)}
          </optgroup>
        ))}
      </select></label>
      <label><span class="quiet">{t('analyst.series')}</span> <select data-testid="analyst-series" value={keyOf(choice.key)} onChange={(e) => { const key = pick(e.currentTarget.value); if (key) figureChoice.value = { ...choice, key }; }}>{options}</select></label>
      <span class="spans" role="group" aria-label={t('analyst.span')}>
        {SPANS.map((s) => <button key={s} type="button" class="chip pick" aria-pressed={span.value === s} data-testid={`span-${s}`} onClick={() => { span.value = s; }}>{t(`span.${s}`)}</button>)}
      </span>
      <label><span class="quiet">{t('analyst.beside')}</span> <select data-testid="analyst-beside" value={daysBack.value > 0 ? `back${daysBack.value}` : secondChoice.value ? keyOf(secondChoice.value.key) : ''} onChange={(e) => {
        const value = e.currentTarget.value;
        const days = BACK.find((d) => value === `back${d}`);
        daysBack.value = days ?? 0;
        const key = days ? null : pick(value);
        secondChoice.value = key ? { ...choice, key } : null;
        figureChoice.value = choice;
      }}>
        <option value="">{t('analyst.nothing')}</option>
        {BACK.map((d) => <option key={d} value={`back${d}`}>{t(`analyst.back.${d}`)}</option>)}
        <optgroup label={t('analyst.series')}>{options}</optgroup>
      </select></label>
    </div>
  );
}

function Panel({ choice, trend, data, note, testid }: { choice: FigureChoice; trend: TrendState; data: PlotData; note: string; testid: string }) {
  const plot = useRef<Plot | null>(null);
  const name = `${measurementName(choice.measurement, lang.value)}: ${fieldName(choice.field, lang.value)}`;
  const title = [name, seriesWords(choice), note].filter((w) => w !== '').join(' · ');
  const { newest, min, max } = extentOf(trend.points);
  const unit = unitOf(choice.measurement, choice.field);
  const csv = new URLSearchParams({ measurement: choice.measurement, from: String(data.from), to: String(data.to), format: 'csv' });
  for (const [tag, value] of Object.entries(choice.key)) csv.set(`tag.${tag}`, value);
  const file = `${choice.measurement}.${choice.field}`;
  return (
    <figure class="panel" data-testid={`${testid}-panel`}>
      <figcaption>
        <b>{seriesWords(choice)}</b> {note && <span>{note}</span>} <span class="quiet">{name}{data.unit ? `, ${data.unit}` : ''}</span>
        <span class="stretch" />
        <a class="chip link-button" href={`/api/v1/rows?${csv}`} download={`${file}.csv`}>CSV</a>
        <button type="button" class="chip" data-testid={`${testid}-png`} onClick={() => void plot.current?.png(title).then((blob) => save(blob, `${file}.png`))}>PNG</button>
      </figcaption>
      <Chart data={data} label={trendWords(choice, trend)} compact={false} testid={testid} onPlot={(p) => { plot.current = p; }} />
      <p class="quiet">{trend.phase === 'failed' ? t('trend.failed') : newest ? t('analyst.extent', { value: formatValue(newest.value, unit, lang.value), min: formatValue(min, unit, lang.value), max: formatValue(max, unit, lang.value), n: formatNumber(trend.points.length, lang.value) }) : trend.phase === 'loading' ? t('trend.loading') : t('analyst.empty')}</p>
    </figure>
  );
}

function save(blob: Blob | null, name: string): void {
  if (!blob) return;
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1_000);
}

/** What dashes, rings and gaps mean. */
function Marks() {
  return (
    <p class="marks quiet">
      <svg width="20" height="12" viewBox="0 0 20 12" aria-hidden="true"><path d="M0 6h20" stroke="currentColor" stroke-width="1.5" stroke-dasharray="4 3" /></svg> {t('help.dashed')} ·{' '}
      <svg width="20" height="12" viewBox="0 0 20 12" aria-hidden="true"><path d="M0 6h20" stroke="currentColor" stroke-width="1.5" /><circle cx="10" cy="6" r="3.5" fill="none" stroke="currentColor" /></svg> {t('help.ring')} · {t('analyst.gap')}
    </p>
  );
}
