//! The alert queue: filters, rows in their order, and stillness under the hand.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { shortAreaName } from '../format';
import { SEVERITIES, holdOrder, isFiltering, NO_FILTER } from '../live/queue';
import { isReplayed } from '../live/replay';
import { alerts, areaNames, board, catalog, counts, filter, hasPicture, hidden, lang, mayAct, myName, places, queue, sectorCounts, shownOrder, t, unacknowledged } from '../store';
import { Shape } from '../ui/shape';
import type { AlertView, Severity } from '../wire';
import { AlertRow } from './AlertRow';
import { NoEvents, isWaitingForEvents } from './NoEvents';
import { acknowledgeMarked, bulkSaid, clearMarks, marked, toggleMark, undo, undoable } from '../acts';

const MAX_ROWS = 400;

export function Queue() {
  return (
    <section class="queue" aria-label={t('queue.title')} data-testid="queue">
      <div class="pane-head">
        <h2>{t('queue.title')}</h2>
        <span class="picks"><MineChip /><AreaChip /></span>
        <span class="quiet" data-testid="unacknowledged">{t('queue.unacknowledged', { n: unacknowledged.value })}</span>
      </div>
      <Filters />
      <Rows />
      <Bulk />
    </section>
  );
}

function Filters() {
  const f = filter.value;
  // A sector without alerts has nothing to filter; the room is the rows'.
  const sectors = (catalog.value?.sectors ?? []).filter((s) => (sectorCounts.value.get(s.code) ?? 0) > 0 || f.sectors.includes(s.code));
  const toggle = <T extends string>(list: readonly T[], item: T): T[] => (list.includes(item) ? list.filter((x) => x !== item) : [...list, item]);
  return (
    <div class="filters" role="group" aria-label={t('queue.filters')}>
      {SEVERITIES.map((severity: Severity) => (
        <button key={severity} type="button" class="chip pick" aria-pressed={f.severities.includes(severity)} data-testid={`filter-${severity}`}
          title={t(`severity.${severity}`)} aria-label={`${t(`severity.${severity}`)} ${counts.value[severity].open}`}
          onClick={() => { filter.value = { ...f, severities: toggle(f.severities, severity) }; }}>
          <Shape severity={severity} look="outline" size={12} /> <span class="quiet">{counts.value[severity].open}</span>
        </button>
      ))}
      {sectors.map((s) => (
        <button key={s.code} type="button" class="chip pick sector" title={s.name[lang.value]} aria-pressed={f.sectors.includes(s.code)} data-testid={`filter-${s.code}`}
          onClick={() => { filter.value = { ...f, sectors: toggle(f.sectors, s.code) }; }}>
          <span class="name">{s.name[lang.value]}</span> <span class="quiet">{sectorCounts.value.get(s.code) ?? 0}</span>
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

function MineChip() {
  const f = filter.value;
  if (myName.value === '') return null;
  return <button type="button" class="chip pick" aria-pressed={f.mine} data-testid="filter-mine" onClick={() => { filter.value = { ...f, mine: !f.mine }; }}>{t('queue.mine')}</button>;
}

/** One area or group; the choice stands as a chip of its own, pressing it again takes it away. */
function AreaChip() {
  const f = filter.value;
  const [code] = f.areas;
  if (code !== undefined) {
    return <button type="button" class="chip pick" aria-pressed="true" data-testid="filter-area" onClick={() => { filter.value = { ...f, areas: [] }; }}>{shortAreaName(areaNames.value.get(code) ?? code)} ×</button>;
  }
  if (places.value.length < 2) return null;
  return (
    <select class="chip area-pick" data-testid="filter-area" aria-label={t('queue.area')} value="" onChange={(e) => { if (e.currentTarget.value !== '') filter.value = { ...f, areas: [e.currentTarget.value] }; }}>
      <option value="">{t('queue.area')}</option>
      {places.value.map((p) => <option key={p.code} value={p.code}>{p.name[lang.value]}</option>)}
    </select>
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
  // So is another moment of the past, and the way into it and back: what stood under the hand is not there.
  const picture = board.value.epoch;
  const pictured = useRef(picture);
  const moved = pictured.current !== picture && (isReplayed(pictured.current) || isReplayed(picture));
  pictured.current = picture;
  if (moved) shown.current = [];
  const { order, fresh } = holdOrder(shown.current, wanted, pointer || scrolled, (id) => alerts.value.has(id));
  shown.current = order;
  useLayoutEffect(() => { shownOrder.value = order; });
  useLayoutEffect(() => { if (moved && list.current) list.current.scrollTop = 0; });
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
    if (isWaitingForEvents()) return <NoEvents />;
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
          return alert ? <MarkedRow key={id} alert={alert} /> : null;
        })}
        {order.length > MAX_ROWS && <li class="quiet more">{t('queue.more', { n: order.length - MAX_ROWS })}</li>}
      </ul>
    </div>
  );
}

function Say({ line, next, testid, children }: { line: string; next: string; testid: string; children?: preact.ComponentChildren }) {
  return <div class="say" data-testid={testid}><p>{line}</p>{next !== '' && <p class="quiet">{next}</p>}{children}</div>;
}

/** With a box to mark it; Shift marks through. */
function MarkedRow({ alert }: { alert: AlertView }) {
  const on = marked.value.has(alert.id);
  if (!mayAct.value) return <li><AlertRow alert={alert} /></li>;
  return (
    <li class={`markable${on ? ' marked' : ''}${marked.value.size > 0 ? ' marking' : ''}`}>
      <label class="mark"><input type="checkbox" tabIndex={-1} data-testid="mark" aria-label={t('bulk.mark', { title: alert.title[lang.value] })} checked={on}
        onClick={(e) => { e.preventDefault(); toggleMark(alert.id, e.shiftKey); }} /></label>
      <AlertRow alert={alert} onPick={(e) => { if (!e.shiftKey) return false; toggleMark(alert.id, true); return true; }} />
    </li>
  );
}

/** Under the list: what is marked, what was just done and can be taken back. */
function Bulk() {
  const n = marked.value.size;
  const last = undoable.value;
  return (
    <div class="bulk" role="status" data-testid="bulk" hidden={n === 0 && last === null && bulkSaid.value === ''}>
      {n > 0 && (
        <p class="row">
          <span class="grow">{t('bulk.marked', { n })}</span>
          <button type="button" class="primary" data-testid="bulk-acknowledge" onClick={() => void acknowledgeMarked()}>{t('ack.button')} <kbd>a</kbd></button>
          <button type="button" onClick={clearMarks} aria-label={t('bulk.clear')} title={t('bulk.clear')}>×</button>
        </p>
      )}
      {last && <p class="row"><span class="grow">{last.said}</span><button type="button" data-testid="undo" disabled={last.phase === 'saving'} onClick={() => void undo()}>{t('undo.button')} <kbd>u</kbd></button></p>}
      {bulkSaid.value !== '' && <p class="row"><span class="grow said" data-testid="bulk-said">{bulkSaid.value}</span><button type="button" onClick={() => { bulkSaid.value = ''; }} aria-label={t('bulk.seen')} title={t('bulk.seen')}>×</button></p>}
    </div>
  );
}
