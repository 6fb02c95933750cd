//! The small chart of an alert: from half an hour before it began, with its rule's limits.
import { useMemo } from 'preact/hooks';
import { now } from '../store';
import { Chart } from '../ui/Chart';
import type { AlertView } from '../wire';
import { figureOfAlert, plotDataOf, trendWords } from './figure';
import { useTrend } from './useTrend';
import { fieldName } from '../i18n/names';
import { lang } from '../store';

const BEFORE = 30 * 60_000;
const LONGEST = 24 * 3_600_000;

export function DetailChart({ alert }: { alert: AlertView }) {
  const choice = figureOfAlert(alert);
  const long = (alert.evidence.window_end - alert.evidence.window_start) >= 900_000 ? 12 : 1;
  // In steps of a quarter, so that the axis does not crawl.
  const age = Math.max(0, now.peek() - alert.since) + BEFORE * long;
  const span = Math.min(LONGEST, Math.ceil(age / 900_000) * 900_000);
  const trend = useTrend(choice, span);
  const step = Math.floor(now.value / 10_000);
  const data = useMemo(() => (choice ? plotDataOf(choice, trend, alert, span) : null), [trend, step, alert, span]);
  if (!choice || !data) return null;
  return (
    <section>
      <h3>{fieldName(choice.field, lang.value)}{data.unit ? ` (${data.unit})` : ''}</h3>
      <div class="small-chart"><Chart data={data} label={trendWords(choice, trend)} compact={false} testid="detail-chart" /></div>
    </section>
  );
}
