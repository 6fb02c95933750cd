//! One alert of a list: shape, title, area · age, owner, state. The desk's queue and the phone's list show the same.
import { formatAge, shortAreaName } from '../format';
import { isUnacknowledged, ownerOf } from '../live/queue';
import { arrivals, coarseNow, lang, select, selection, t, zone } from '../store';
import { Shape, lookOf } from '../ui/shape';
import type { AlertView } from '../wire';

export function AlertRow({ alert, onPick }: { alert: AlertView; onPick?: (event: MouseEvent) => boolean }) {
  const chosen = selection.value?.kind === 'alert' && selection.value.id === alert.id;
  const strong = isUnacknowledged(alert);
  const source = alert.key.source;
  const where = alert.area ? shortAreaName(alert.area.name) : t('queue.outside_areas');
  const classes = ['alert', `sev-edge-${alert.severity}`, strong ? 'unacknowledged' : '', chosen ? 'chosen' : '', arrivals.has(alert.id) ? 'arrived' : '', alert.condition === 'no_data' ? 'no-data' : ''];
  const pick = (event: MouseEvent): void => { if (!onPick?.(event)) select({ kind: 'alert', id: alert.id }); };
  return (
    <button type="button" class={classes.join(' ')} aria-current={chosen ? 'true' : undefined} onClick={pick}
      data-testid="alert-row" data-alert-id={alert.id} data-rule={alert.rule} data-condition={alert.condition} data-handling={alert.handling} data-severity={alert.severity} data-version={alert.version}>
      <Shape severity={alert.severity} look={lookOf(alert)} size={16} />
      <span class="visually-hidden">{t(`severity.${alert.severity}`)}:</span>
      <span class="title">{alert.title[lang.value]}</span>
      <span class="where">{where}{source ? ` · ${source}` : ''}</span>
      <span class="state">{stateWords(alert)}</span>
      <span class="age">{formatAge(alert.since, coarseNow.value, zone.value, lang.value)}{alert.retroactive ? ` · ${t('queue.retroactive')}` : ''}</span>
    </button>
  );
}

export function stateWords(alert: AlertView): string {
  if (alert.condition === 'no_data') return t('condition.no_data');
  if (alert.condition === 'resolved') return t('condition.resolved');
  return ownerOf(alert) ?? (alert.handling === 'new' ? t('queue.new') : t(`handling.${alert.handling}`));
}
