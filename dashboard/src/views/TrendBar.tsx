//! The bottom of the desk: two hours of the selected figure; without a selection, of the first alert of the list.
import { useMemo } from 'preact/hooks';
import { formatAge, formatValue, freshness, shortAreaName } from '../format';
import { fieldName, measurementName } from '../i18n/names';
import { keyOf } from '../live/board';
import { alerts, areaNames, figureChoice, figures, hasPicture, lang, measurements, now, queue, selection, t, zone } from '../store';
import { Chart } from '../ui/Chart';
import type { FigureChoice } from '../route';
import type { AlertView } from '../wire';
import { figureOfAlert, keyWords, plotDataOf, trendWords, unitOf } from './figure';
import { useTrend } from './useTrend';

interface Subject { choice: FigureChoice | null; alert: AlertView | null; follows: boolean }

function subject(): Subject {
  const selected = selection.value;
  const chosen = selected?.kind === 'alert' ? alerts.value.get(selected.id) ?? null : null;
  if (figureChoice.value) return { choice: figureChoice.value, alert: null, follows: false };
  if (chosen) return { choice: figureOfAlert(chosen), alert: chosen, follows: false };
  const first = queue.value.find((a) => a.condition !== 'resolved') ?? null;
  return { choice: first ? figureOfAlert(first) : null, alert: first, follows: true };
}

export function TrendBar() {
  const { choice, alert, follows } = subject();
  return (
    <section class="trend" aria-label={t('trend.title')} data-testid="trend" data-figure={choice ? `${choice.measurement}.${choice.field}` : undefined}>
      {choice ? <Shown choice={choice} alert={alert} follows={follows} /> : <p class="say quiet">{hasPicture.value ? t('trend.none') : t('loading.picture')}</p>}
    </section>
  );
}

function Shown({ choice, alert, follows }: { choice: FigureChoice; alert: AlertView | null; follows: boolean }) {
  const trend = useTrend(choice);
  const step = Math.floor(now.value / 10_000);
  const data = useMemo(() => plotDataOf(choice, trend, alert), [trend, step, alert, measurements.value, choice.measurement, choice.field]);
  const figure = figures.value.get(choice.measurement)?.get(keyOf(choice.key));
  const m = measurements.value.get(choice.measurement);
  const unit = unitOf(choice.measurement, choice.field);
  const fresh = figure ? freshness(figure.end, m?.every_ms ?? 0, now.value) : 'fresh';
  const area = figure?.area?.name ?? (choice.key.area ? areaNames.value.get(choice.key.area) : undefined);
  return (
    <>
      <div class="trend-head">
        <h2>{fieldName(choice.field, lang.value)}</h2>
        {measurementName(choice.measurement, lang.value).toLowerCase() !== fieldName(choice.field, lang.value).toLowerCase() && <p>{measurementName(choice.measurement, lang.value)}</p>}
        <p class="quiet">{[area ? shortAreaName(area) : null, keyWords(choice.key)].filter((w) => w).join(' · ')}</p>
        <p class={`big ${fresh}`} data-testid="trend-value">
          {figure?.approx && figure.values[choice.field] !== undefined && '≈ '}{formatValue(figure?.values[choice.field], unit, lang.value)}
          {figure && fresh !== 'fresh' && <span class="quiet age"> {formatAge(figure.end, now.value, zone.value, lang.value)}</span>}
        </p>
        {(follows || trend.phase !== 'ready') && <p class="quiet">{trend.phase === 'failed' ? t('trend.failed') : trend.phase === 'loading' ? t('trend.loading') : t('trend.follow')}</p>}
      </div>
      <Chart data={data} label={trendWords(choice, trend)} compact testid="trend-chart" />
    </>
  );
}
