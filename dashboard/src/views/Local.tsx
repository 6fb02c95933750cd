//! The local centre's page, made for a phone: own alerts, then own then the map, which is loaded when it is asked for.
import '../ui/local.css';
import { useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect } from 'preact/hooks';
import { formatTime } from '../format';
import type { Place } from '../live/places';
import { compareAlerts, isListed, isOpen, isUnacknowledged, ownerOf, rankOf } from '../live/queue';
import {
  alerts, board, catalog, counts, era, hasPicture, health, helping, lang, me, myName, now, openAccess, places, searching, select, selection, setLang, setTheme, shownOrder, signOut, t, theme, zone,
} from '../store';
import { lazy } from '../ui/lazy';
import { Shape } from '../ui/shape';
import type { AlertView } from '../wire';
import { AlertRow } from './AlertRow';
import { Lines } from './PlaceFigures';
import { Notices } from './Notices';

const MOST_ROWS = 100;
/** So many places stand open at once; of more, those without alerts wait closed. */
const OPEN_PLACES = 3;
/** So many are listed at first, the worst; who sees a province asks for the rest. */
const FIRST_PLACES = 12;
const MapPane = lazy(() => import('./MapPane').then((m) => m.MapPane), () => <p class="say quiet" role="status">{t('local.map_loading')}</p>);
const Detail = lazy(() => import('./Detail').then((m) => m.Detail));

export function Local() {
  // While nobody is waiting for anything: a tap on an alert should not wait for its page.
  useEffect(() => { if (hasPicture.value) Detail.preload(); }, [hasPicture.value]);
  return (
    <div class={`local${selection.value ? ' with-detail' : ''}`} data-testid="local" data-live={board.value.tick.live && (health.value?.built ?? 0) === 1}>
      <Bar />
      <Notices />
      <main>
        <Own />
        <Figures />
        <OwnMap />
      </main>
      {selection.value && <Detail.Part />}
      <Tabs />
    </div>
  );
}

function Bar() {
  const scope = me.value?.areas ?? [];
  const next = theme.value === 'dark' ? 'light' : 'dark';
  const whose = scope.length === 0 ? t('local.whole') : scope.map((code) => nameOf(code)).join(', ');
  return (
    <header class="local-bar">
      <h1><b>{catalog.value?.place[lang.value] ?? t('app.name')}</b> <span class="quiet">{whose}</span></h1>
      <span class="clock" data-testid="clock">{now.value > 0 && formatTime(now.value, zone.value)}</span>
      <span class="tools">
        <button type="button" class="tool" data-testid="lang" onClick={() => setLang(lang.value === 'vi' ? 'en' : 'vi')} aria-label={`${lang.value === 'vi' ? 'en' : 'vi'} – ${t('top.language')}`}>{lang.value === 'vi' ? 'en' : 'vi'}</button>
        <button type="button" class="tool" data-testid="theme" onClick={() => setTheme(next)} aria-label={t(`top.theme.${next}`)}>
          <svg width="18" height="18" viewBox="0 0 16 16" aria-hidden="true"><circle cx="8" cy="8" r="6.5" fill="none" stroke="currentColor" stroke-width="1.5" /><path d="M8 1.5a6.5 6.5 0 0 1 0 13z" fill="currentColor" /></svg>
        </button>
        <button type="button" class="tool" onClick={() => { searching.value = true; }} aria-label={t('top.search')}>
          <svg width="18" height="18" viewBox="0 0 16 16" aria-hidden="true"><circle cx="7" cy="7" r="4.5" fill="none" stroke="currentColor" stroke-width="1.5" /><path d="M10.5 10.5 14.5 14.5" stroke="currentColor" stroke-width="1.5" /></svg>
        </button>
      </span>
    </header>
  );
}

const nameOf = (code: string): string => catalog.value?.groups.find((g) => g.code === code)?.name[lang.value] ?? catalog.value?.areas.find((a) => a.code === code)?.name ?? code;

/** What was given to me, then what nobody has, then the rest. */
function Own() {
  const listed = [...alerts.value.values()].filter(isListed).sort(compareAlerts);
  const mine = listed.filter((a) => myName.value !== '' && ownerOf(a) === myName.value && a.condition !== 'resolved');
  const others = listed.filter((a) => !mine.includes(a));
  const fresh = listed.filter(isUnacknowledged).length;
  useLayoutEffect(() => { shownOrder.value = [...mine, ...others].slice(0, MOST_ROWS).map((a) => a.id); });
  return (
    <section id="own-alerts" aria-label={t('queue.title')} data-testid="queue">
      <div class="pane-head"><h2>{t('queue.title')}</h2><span class="quiet" data-testid="unacknowledged">{t('queue.unacknowledged', { n: fresh })}</span></div>
      {!hasPicture.value && <div class="say" data-testid="loading"><p>{t('loading.picture')}</p><p class="quiet">{t('loading.picture_next')}</p></div>}
      {hasPicture.value && listed.length === 0 && <div class="say" data-testid="empty"><p>{t('queue.empty')}</p><p class="quiet">{t('local.empty_next')}</p></div>}
      {mine.length > 0 && <><h3 class="quiet">{t('local.mine')}</h3><Rows list={mine} /></>}
      {mine.length > 0 && others.length > 0 && <h3 class="quiet">{t('local.others')}</h3>}
      <Rows list={others} />
    </section>
  );
}

function Rows({ list }: { list: AlertView[] }) {
  return (
    <ul class="rows">
      {list.slice(0, MOST_ROWS).map((a) => <li key={a.id}><AlertRow alert={a} /></li>)}
      {list.length > MOST_ROWS && <li class="quiet more">{t('queue.more', { n: list.length - MOST_ROWS })}</li>}
    </ul>
  );
}

function Figures() {
  const opened = useSignal<ReadonlyMap<string, boolean>>(new Map());
  const all = useSignal(false);
  const own = placesWithAlerts();
  const first = own.length <= OPEN_PLACES ? own : own.filter((p) => p.open > 0).slice(0, OPEN_PLACES);
  const measured = catalog.value?.measurements ?? [];
  return (
    <section id="own-figures" aria-label={t('detail.figures')} data-testid="own-figures">
      <div class="pane-head">
        <h2>{t('detail.figures')}</h2>
        {(catalog.value?.groups.length ?? 0) > 0 && (
          <select data-testid="era" aria-label={t('era.choice')} value={era.value} onChange={(e) => { era.value = e.currentTarget.value === 'former' ? 'former' : 'now'; }}>
            <option value="now">{t('era.now')}</option>
            <option value="former">{t('era.former')}</option>
          </select>
        )}
      </div>
      {own.slice(0, all.value ? own.length : FIRST_PLACES).map((p) => {
        const open = opened.value.get(p.place.code) ?? first.includes(p);
        return (
          <div class="place-block" key={p.place.code} data-place={p.place.code}>
            <button type="button" class="place-head" aria-expanded={open} onClick={() => { opened.value = new Map(opened.value).set(p.place.code, !open); }}>
              <span aria-hidden="true">{open ? '▾' : '▸'}</span>
              <span class="grow">{p.place.name[lang.value]}</span>
              {p.worst && <span class={p.fresh > 0 ? 'strong' : ''}><Shape severity={p.worst} look={p.fresh > 0 ? 'filled' : 'outline'} /> {p.open}<span class="visually-hidden"> {t('map.open_alerts', { n: p.open })}</span></span>}
            </button>
            {open && <Lines place={p.place} measurements={measured} />}
          </div>
        );
      })}
      {!all.value && own.length > FIRST_PLACES && <button type="button" class="more-places" onClick={() => { all.value = true; }}>{t('local.more_places', { n: own.length - FIRST_PLACES })}</button>}
    </section>
  );
}

interface WithAlerts { place: Place; open: number; fresh: number; worst: AlertView['severity'] | null }

function placesWithAlerts(): WithAlerts[] {
  const open = [...alerts.value.values()].filter(isOpen);
  const all = places.value.map((place): WithAlerts => {
    const here = open.filter((a) => a.area !== null && place.members.has(a.area.code)).sort((a, b) => rankOf(a.severity) - rankOf(b.severity));
    return { place, open: here.length, fresh: here.filter(isUnacknowledged).length, worst: here[0]?.severity ?? null };
  });
  const rank = (p: WithAlerts): number => (p.worst ? rankOf(p.worst) : 9);
  return all.map((p, i) => ({ p, i })).sort((a, b) => rank(a.p) - rank(b.p) || b.p.open - a.p.open || a.i - b.i).map(({ p }) => p);
}

function OwnMap() {
  // A wide screen has room for it at once, and a line that bears it.
  const wanted = useSignal(innerWidth >= 900);
  return (
    <section id="own-map" aria-label={t('map.title')} class="local-map">
      {wanted.value ? <MapPane.Part /> : <><h2>{t('map.title')}</h2><p class="quiet">{t('local.map_hint')}</p><button type="button" class="primary" data-testid="open-map" onClick={() => { wanted.value = true; }}>{t('local.map_open')}</button></>}
    </section>
  );
}

function Tabs() {
  const go = (id: string) => () => { select(null); requestAnimationFrame(() => document.getElementById(id)?.scrollIntoView({ block: 'start' })); };
  const open = counts.value.critical.unacknowledged + counts.value.major.unacknowledged + counts.value.minor.unacknowledged + counts.value.notice.unacknowledged;
  return (
    <nav class="tabs" aria-label={t('local.parts')}>
      <button type="button" onClick={go('own-alerts')}>{t('queue.title')}{open > 0 && <b> {open}</b>}</button>
      <button type="button" onClick={go('own-figures')}>{t('detail.figures')}</button>
      <button type="button" onClick={go('own-map')}>{t('map.as_map')}</button>
      {openAccess.value || me.value === null
        ? <button type="button" onClick={() => { helping.value = true; }}>{t('top.help_short')}</button>
        : <button type="button" onClick={() => void signOut()}>{t('top.sign_out')}</button>}
    </nav>
  );
}

