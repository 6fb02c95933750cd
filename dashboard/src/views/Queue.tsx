//! The alert queue: filters, rows in their order, and stillness under the hand.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { formatAge, shortAreaName } from '../format';
import { SEVERITIES, holdOrder, isFiltering, isUnacknowledged, NO_FILTER } from '../live/queue';
import { alerts, arrivals, catalog, coarseNow, counts, filter, hasPicture, hidden, lang, queue, select, selection, shownOrder, t, unacknowledged, zone } from '../store';
import { Shape, lookOf } from '../ui/shape';
import type { AlertView, Severity } from '../wire';

const MAX_ROWS = 400;

export function Queue() {
  return (
    <section class="queue" aria-label={t('queue.title')} data-testid="queue">
      <div class="pane-head">
        <h2>{t('queue.title')}</h2>
        <span class="quiet" data-testid="unacknowledged">{t('queue.unacknowledged', { n: unacknowledged.value })}</span>
      </div>
      <Filters />
      <Rows />
    </section>
  );
}

function Filters() {
  const f = filter.value;
  // sectors that nothing watches have no alerts to filter
  const watched = new Set([...(catalog.value?.measurements ?? []).map((m) => m.sector), ...[...alerts.value.values()].map((a) => a.sector), ...f.sectors]);
  const sectors = (catalog.value?.sectors ?? []).filter((s) => watched.has(s.code));
  const toggle = <T extends string>(list: readonly T[], item: T): T[] => (list.includes(item) ? list.filter((x) => x !== item) : [...list, item]);
  const perSector = new Map<string, number>();
  for (const a of alerts.value.values()) if (a.condition === 'firing' || a.condition === 'no_data') perSector.set(a.sector, (perSector.get(a.sector) ?? 0) + 1);
  return (
    <div class="filters" role="group" aria-label={t('queue.filters')}>
      {SEVERITIES.map((severity: Severity) => (
        <button key={severity} type="button" class="chip pick" aria-pressed={f.severities.includes(severity)} data-testid={`filter-${severity}`}
          title={t(`severity.${severity}`)} aria-label={`${t(`severity.${severity}`)} ${counts.value[severity].open}`}
          onClick={() => { filter.value = { ...f, severities: toggle(f.severities, severity) }; }}>
          <Shape severity={severity} look="outline" size={12} />
        </button>
      ))}
      {sectors.map((s) => (
        <button key={s.code} type="button" class="chip pick" aria-pressed={f.sectors.includes(s.code)} data-testid={`filter-${s.code}`}
          onClick={() => { filter.value = { ...f, sectors: toggle(f.sectors, s.code) }; }}>
          {s.name[lang.value]} <span class="quiet">{perSector.get(s.code) ?? 0}</span>
        </button>
      ))}
      {isFiltering(f) && <button type="button" class="chip clear" onClick={() => { filter.value = NO_FILTER; }} aria-label={t('queue.clear_filter')} title={t('queue.clear_filter')}>×</button>}
      {hidden.value > 0 && (
        <button type="button" class="chip outside sev-critical" data-testid="outside-filter" title={t('queue.outside_filter_hint', { n: hidden.value })} onClick={() => { filter.value = NO_FILTER; }}>
          <Shape severity="critical" look="filled" size={12} /> {t('queue.outside_filter', { n: hidden.value })}
        </button>
      )}
    </div>
  );
}

function Rows() {
  const wanted = queue.value.map((a) => a.id);
  const list = useRef<HTMLUListElement>(null);
  const [pointer, setPointer] = useState(false);
  const [scrolled, setScrolled] = useState(false);
  const [, setFlushed] = useState(0);
  const shown = useRef<readonly string[]>([]);
  const filtered = useRef(filter.value);
  // Another filter is another list: nothing of the old one is held.
  if (filtered.current !== filter.value) {
    filtered.current = filter.value;
    shown.current = [];
  }
  const { order, fresh } = holdOrder(shown.current, wanted, pointer || scrolled, (id) => alerts.value.has(id));
  shown.current = order;
  useLayoutEffect(() => { shownOrder.value = order; });
  const flush = (): void => {
    shown.current = [];
    setFlushed((n) => n + 1);
    if (list.current) list.current.scrollTop = 0;
    setScrolled(false);
  };
  useEffect(() => {
    // A touch has no "leave": the list is free again as soon as the finger is up.
    const free = (e: PointerEvent): void => { if (e.pointerType !== 'mouse') setPointer(false); };
    addEventListener('pointerup', free);
    addEventListener('pointercancel', free);
    return () => { removeEventListener('pointerup', free); removeEventListener('pointercancel', free); };
  }, []);
  if (!hasPicture.value) return <Say testid="loading" line={t('loading.picture')} next={t('loading.picture_next')} />;
  if (order.length === 0) {
    return isFiltering(filter.value)
      ? <Say testid="empty" line={t('queue.empty_filter')} next=""><button type="button" onClick={() => { filter.value = NO_FILTER; }}>{t('queue.clear_filter')}</button></Say>
      : <Say testid="empty" line={t('queue.empty')} next={t('queue.empty_next')} />;
  }
  const rows = order.slice(0, MAX_ROWS);
  return (
    <div class="rows-frame" onPointerEnter={() => setPointer(true)} onPointerLeave={() => setPointer(false)}>
      {fresh.length > 0 && <button type="button" class="fresh-button" onClick={flush} data-testid="fresh">{fresh.some((id) => alerts.value.get(id)?.severity === 'critical') && <Shape severity="critical" look="filled" size={12} />} {t('queue.fresh', { n: fresh.length })}</button>}
      <ul class="rows" ref={list} tabIndex={-1} onScroll={(e) => setScrolled(e.currentTarget.scrollTop > 4)}>
        {rows.map((id) => {
          const alert = alerts.value.get(id);
          return alert ? <Row key={id} alert={alert} /> : null;
        })}
        {order.length > MAX_ROWS && <li class="quiet more">{t('queue.more', { n: order.length - MAX_ROWS })}</li>}
      </ul>
    </div>
  );
}

function Say({ line, next, testid, children }: { line: string; next: string; testid: string; children?: preact.ComponentChildren }) {
  return <div class="say" data-testid={testid}><p>{line}</p>{next !== '' && <p class="quiet">{next}</p>}{children}</div>;
}

function Row({ alert }: { alert: AlertView }) {
  const chosen = selection.value?.kind === 'alert' && selection.value.id === alert.id;
  const strong = isUnacknowledged(alert);
  const source = alert.key.source;
  const where = alert.area ? shortAreaName(alert.area.name) : t('queue.outside_areas');
  const classes = ['alert', `sev-edge-${alert.severity}`, strong ? 'unacknowledged' : '', chosen ? 'chosen' : '', arrivals.has(alert.id) ? 'arrived' : '', alert.condition === 'no_data' ? 'no-data' : ''];
  return (
    <li>
      <button type="button" class={classes.join(' ')} aria-current={chosen ? 'true' : undefined} onClick={() => select({ kind: 'alert', id: alert.id })}
        data-testid="alert-row" data-alert-id={alert.id} data-rule={alert.rule} data-condition={alert.condition} data-handling={alert.handling} data-severity={alert.severity} data-version={alert.version}>
        <Shape severity={alert.severity} look={lookOf(alert)} size={16} />
        <span class="visually-hidden">{t(`severity.${alert.severity}`)}:</span>
        <span class="title">{alert.title[lang.value]}</span>
        <span class="where">{where}{source ? ` · ${source}` : ''}</span>
        <span class="state">{stateWords(alert)}</span>
        <span class="age">{formatAge(alert.since, coarseNow.value, zone.value, lang.value)}{alert.retroactive ? ` · ${t('queue.retroactive')}` : ''}</span>
      </button>
    </li>
  );
}

function stateWords(alert: AlertView): string {
  if (alert.condition === 'no_data') return t('condition.no_data');
  if (alert.condition === 'resolved') return t('condition.resolved');
  if (alert.acknowledged) return alert.acknowledged.by;
  return alert.handling === 'new' ? t('queue.new') : t(`handling.${alert.handling}`);
}
