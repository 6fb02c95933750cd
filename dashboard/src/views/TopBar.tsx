import { formatClock, formatDate, formatNumber, formatSpan } from '../format';
import { SEVERITIES } from '../live/queue';
import {
  board, catalog, counts, era, filter, health, helping, lang, link, me, mode, now, openAccess, personName, places, searching, setLang, setTheme, signOut, t, theme, view, zone,
} from '../store';
import { setMuted, toned, unlock, voice } from '../sound';
import { Shape } from '../ui/shape';
import { ReplaySign } from './TimeBar';
import type { Severity } from '../wire';

export function TopBar() {
  const place = catalog.value?.place[lang.value] ?? t('app.name');
  const count = places.value.length;
  const areas = catalog.value?.areas.length ?? 0;
  const groups = catalog.value?.groups.length ?? 0;
  // communes that no former district of the registry holds stand for themselves
  const rest = areas - new Set(catalog.value?.groups.flatMap((g) => g.members)).size;
  return (
    <header class="top">
      <h1 class="place" data-testid="place">
        <b>{place}</b>
        {count > 0 && groups === 0 && <span class="quiet"> · {t('top.areas', { n: count })}</span>}
      </h1>
      {groups > 0 && (
        <select class="era" data-testid="era" aria-label={t('era.choice')} title={t('era.choice')} value={era.value} onChange={(e) => { era.value = e.currentTarget.value === 'former' ? 'former' : 'now'; }}>
          <option value="now">{t('top.areas', { n: areas })}</option>
          <option value="former">{t('top.areas_former', { n: groups })}{rest > 0 && ` + ${t('top.areas', { n: rest })}`}</option>
        </select>
      )}
      <Counts />
      <span class="stretch" />
      <ReplaySign />
      <Health />
      {mode.value === 'live' && <Clock />}
      {mode.value === 'live' && <LinkChip />}
      <span class="tools">
        <button type="button" class="tool" onClick={() => { searching.value = true; }} title={t('top.search')} aria-label={t('top.search')}><kbd>/</kbd></button>
        <button type="button" class="tool" onClick={() => { helping.value = true; }} title={t('top.help')} aria-label={t('top.help')}><kbd>?</kbd></button>
        <button type="button" class="tool" data-testid="lang" onClick={() => setLang(lang.value === 'vi' ? 'en' : 'vi')} title={t('top.language')} aria-label={`vi/en – ${t('top.language')}`}>
          <span class={lang.value === 'vi' ? 'on' : 'quiet'}>vi</span>/<span class={lang.value === 'en' ? 'on' : 'quiet'}>en</span>
        </button>
        <SoundButton />
        <ThemeButton />
      </span>
      <Person />
    </header>
  );
}

function Counts() {
  return (
    <ul class="counts" aria-label={t('top.counts')}>
      {SEVERITIES.map((severity) => {
        const { open, unacknowledged } = counts.value[severity];
        const title = `${t(`severity.${severity}`)}: ${open} · ${t('queue.unacknowledged', { n: unacknowledged })}`;
        return (
          <li key={severity}>
            <button type="button" class={`count${open + unacknowledged === 0 ? ' zero' : ''}${unacknowledged > 0 ? ' strong' : ''}`} title={title} aria-label={title}
              data-testid={`severity-count-${severity}`} data-count={open} data-unacknowledged={unacknowledged} onClick={() => toggleOnly(severity)}>
              <Shape severity={severity} look={unacknowledged > 0 ? 'filled' : 'outline'} />
              {formatNumber(open, lang.value)}
            </button>
          </li>
        );
      })}
    </ul>
  );
}

function toggleOnly(severity: Severity): void {
  const only = filter.value.severities.length === 1 && filter.value.severities[0] === severity;
  filter.value = { ...filter.value, severities: only ? [] : [severity] };
}

function Health() {
  const h = health.value;
  if (!h) return null;
  const troubles: string[] = [];
  if (h.store !== 'ok') troubles.push(t(`top.store.${h.store}`));
  if (h.log !== 'ok') troubles.push(t(`top.log.${h.log}`));
  const sources = h.sources_expected === 0
    ? t('top.no_sources')
    : t('top.sources', { heard: formatNumber(h.sources_heard, lang.value), expected: formatNumber(h.sources_expected, lang.value) });
  const delay = t('top.delay', { span: formatSpan(Math.max(0, h.delay_ms), lang.value) });
  const verdicts = (['accepted', 'late', 'duplicate', 'rejected', 'unwanted'] as const)
    .filter((v) => h.verdicts[v] !== undefined)
    .map((v) => t(`top.${v}`, { n: formatNumber(h.verdicts[v] ?? 0, lang.value) }))
    .join(' · ');
  return (
    <button type="button" class="chip health" data-testid="health" title={`${t('top.health')}: ${verdicts}`} onClick={() => { view.value = view.value === 'sources' ? 'desk' : 'sources'; }}>
      {h.sources_expected > 0 && <meter class="completeness" min={0} max={h.sources_expected} value={h.sources_heard} aria-hidden="true" />}
      <span>{sources}</span>
      <span class="quiet">·</span>
      <span>{delay}</span>
      {troubles.map((trouble) => <b key={trouble} class="trouble">{trouble}</b>)}
    </button>
  );
}

function Clock() {
  if (now.value === 0) return null;
  return (
    <time class="clock" data-testid="clock" title={`${t('top.clock')} (${zone.value})`} dateTime={new Date(now.value).toISOString()}>
      <span class="quiet">{formatDate(now.value, zone.value)}</span> {formatClock(now.value, zone.value)}
      {!board.value.tick.live && link.value.phase === 'live' && <span class="quiet"> · {t('top.catching_up')}</span>}
    </time>
  );
}

function LinkChip() {
  const phase = link.value.phase;
  return (
    <span class={`link link-${phase}`} role="status" data-testid="connection" data-state={phase} data-seq={board.value.seq}>
      <i class="lamp" aria-hidden="true" />
      {t(`live.${phase}`)}
    </span>
  );
}

/** Muted per desk, shown always: who expects a tone must see that there will be none. */
function SoundButton() {
  const v = voice();
  if (v === 'none') return null;
  const press = (): void => { if (v === 'waiting') unlock(); else setMuted(v === 'on'); };
  return (
    <button type="button" class={`tool sound-${v}`} data-testid="sound" data-voice={v} data-toned={toned.value} onClick={press} title={t(`sound.${v}`)} aria-label={v === 'on' ? t('sound.on') : `${t(`sound.word.${v}`)}: ${t(`sound.${v}`)}`}>
      <svg width="16" height="14" viewBox="0 0 18 16" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round">
        <path d="M1 5.5h3L8 2v12L4 10.5H1z" fill={v === 'on' ? 'currentColor' : 'none'} />
        {v === 'on' ? <path d="M11 5.2a4 4 0 0 1 0 5.6M13.4 2.8a7.4 7.4 0 0 1 0 10.4" stroke-linecap="round" /> : <path d="M11.5 5.5l5 5m0-5l-5 5" stroke-linecap="round" />}
      </svg>
      {v !== 'on' && <span>{t(`sound.word.${v}`)}</span>}
    </button>
  );
}

function ThemeButton() {
  const next = theme.value === 'dark' ? 'light' : 'dark';
  return (
    <button type="button" class="tool" data-testid="theme" onClick={() => setTheme(next)} title={t(`top.theme.${next}`)} aria-label={t(`top.theme.${next}`)}>
      <svg width="14" height="14" viewBox="0 0 16 16" aria-hidden="true">
        <circle cx="8" cy="8" r="6.5" fill="none" stroke="currentColor" stroke-width="1.5" />
        <path d="M8 1.5a6.5 6.5 0 0 1 0 13z" fill="currentColor" />
      </svg>
    </button>
  );
}

function Person() {
  const who = me.value;
  if (!who) return null;
  const name = openAccess.value ? personName.value || t('top.open_access') : who.name;
  return (
    <span class="person" data-testid="person">
      <span class="name">{name}</span> <span class="quiet">{t(`role.${who.role}`)}</span>
      {!openAccess.value && <button type="button" class="tool" onClick={() => void signOut()}>{t('top.sign_out')}</button>}
    </span>
  );
}
