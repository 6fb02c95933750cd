//! The sources page: who is heard, who is silent, late, refused, whose clock is wrong; by area, worst first.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { getAllSources } from '../api';
import { formatAge, formatNumber, formatSpan } from '../format';
import { CLOCK_AHEAD, sourcesByArea, trouble, type AreaSources } from '../live/sources';
import { greetings, lang, now, t, view, zone } from '../store';
import type { Key } from '../i18n';
import type { SourceView } from '../wire';
import { Late, Rejected } from './Samples';

const AGAIN = 15_000;
const MANY = 40;

export function Sources() {
  const list = useSignal<SourceView[] | null>(null);
  const failed = useSignal('');
  useEffect(() => {
    let gone = false;
    let timer = 0;
    const ask = async (): Promise<void> => {
      const answer = await getAllSources(false);
      if (gone) return;
      failed.value = answer.ok ? '' : answer.problem?.message[lang.peek()] ?? t('sources.failed');
      if (answer.ok) list.value = answer.value;
      timer = window.setTimeout(() => void ask(), AGAIN);
    };
    void ask();
    return () => { gone = true; clearTimeout(timer); };
  }, [greetings.value]);
  const areas = list.value === null ? [] : sourcesByArea(list.value);
  return (
    <section class="map-pane sources" aria-label={t('sources.title')} data-testid="sources">
      <div class="map-bar">
        <h2>{t('sources.title')}</h2>
        {list.value !== null && <Sum list={list.value} />}
        <span class="stretch" />
        <button type="button" class="chip" data-testid="sources-close" onClick={() => { view.value = 'desk'; }}>{t('sources.close')} <kbd>Esc</kbd></button>
      </div>
      {failed.value !== '' && <p class="notice">{failed.value}</p>}
      {list.value === null
        ? failed.value === '' && <p class="say quiet">{t('sources.loading')}</p>
        : list.value.length === 0
          ? <div class="say"><p>{t('sources.none')}</p><p class="quiet">{t('sources.none_next')}</p></div>
          : <Table areas={areas} />}
    </section>
  );
}

function Sum({ list }: { list: SourceView[] }) {
  const silent = list.filter((s) => s.silent).length;
  const expected = list.filter((s) => s.cadence_ms !== null).length;
  return <span class="quiet" data-testid="sources-sum">{t('sources.sum', { heard: formatNumber(expected - silent, lang.value), expected: formatNumber(expected, lang.value), all: formatNumber(list.length, lang.value) })}</span>;
}

const COLUMNS: Key[] = ['sources.heard', 'sources.last', 'sources.late', 'sources.rejected', 'sources.conflict', 'sources.emptied', 'sources.clock'];

function Table({ areas }: { areas: AreaSources[] }) {
  const open = useSignal<ReadonlySet<string>>(new Set());
  const toggle = (id: string): void => {
    const next = new Set(open.value);
    if (!next.delete(id)) next.add(id);
    open.value = next;
  };
  return (
    <div class="table-frame" tabIndex={0} role="group" aria-label={t('sources.area')}>
      <table class="values" data-testid="sources-table">
        <thead><tr><th scope="col">{t('sources.area')}</th>{COLUMNS.map((c) => <th key={c} scope="col" class="number">{t(c)}</th>)}</tr></thead>
        {areas.map((a) => {
          const id = a.code ?? '';
          const shown = open.value.has(id);
          return (
            <tbody key={id}>
              <tr class="strong" data-area={id}>
                <th scope="row"><button type="button" class="linkish" aria-expanded={shown} onClick={() => toggle(id)}>{shown ? '▾' : '▸'} {a.code === null ? t('sources.outside') : a.name}</button></th>
                <td class={`number${a.heard < a.expected ? ' bad' : ''}`}>{a.expected > 0 ? `${formatNumber(a.heard, lang.value)}/${formatNumber(a.expected, lang.value)}` : formatNumber(a.sources.length, lang.value)}</td>
                <td class="number quiet">{age(a.lastHeard)}</td>
                <Counts late={a.late} rejected={a.rejected} conflict={a.conflict} emptied={a.emptied} />
                <Clock ms={a.ahead} />
              </tr>
              {shown && a.sources.slice(0, MANY).map((s) => <Line key={s.id} source={s} />)}
              {shown && a.sources.length > MANY && <tr><td colSpan={8} class="quiet">{t('sources.more', { n: a.sources.length - MANY })}</td></tr>}
            </tbody>
          );
        })}
      </table>
    </div>
  );
}

const age = (at: number | null): string => (at === null ? t('sources.never') : formatAge(at, now.value, zone.value, lang.value));

function Line({ source: s }: { source: SourceView }) {
  const shown = useSignal<'rejected' | 'late' | null>(null);
  const press = (what: 'rejected' | 'late') => (): void => { shown.value = shown.value === what ? null : what; };
  return (
    <>
      <tr data-source={s.id} class={trouble(s) > 0 ? '' : 'quiet'}>
        <th scope="row" class="source">{s.name[lang.value]}{s.name[lang.value] !== s.id && <span class="quiet"> {s.id}</span>}{!s.registered && <span class="quiet"> · {t('sources.unregistered')}</span>}</th>
        <td class={`number${s.silent ? ' bad' : ''}`}>{s.silent ? t('sources.silent') : s.cadence_ms === null ? '' : formatSpan(s.cadence_ms, lang.value)}</td>
        <td class="number quiet">{age(s.last_heard)}</td>
        <Counts late={s.late} rejected={s.rejected} conflict={s.conflict} emptied={s.invalid_field}
          onPress={press} open={shown.value} name={s.name[lang.value]} />
        <Clock ms={s.clock_offset_ms} />
      </tr>
      {shown.value !== null && <tr><td colSpan={8}>{shown.value === 'late' ? <Late source={s.id} /> : <Rejected source={s.id} />}</td></tr>}
    </>
  );
}

interface CountsOf { late: number; rejected: number; conflict: number; emptied: number; onPress?: (what: 'rejected' | 'late') => () => void; open?: 'rejected' | 'late' | null; name?: string }

function Counts(c: CountsOf) {
  const cell = (n: number) => <td class={`number${n > 0 ? '' : ' quiet'}`}>{n > 0 ? formatNumber(n, lang.value) : '–'}</td>;
  const samples = (what: 'rejected' | 'late', n: number) => (n > 0 && c.onPress
    ? <td class="number"><button type="button" class="linkish" data-testid={`show-${what}`} aria-expanded={c.open === what} aria-label={`${n}: ${t(`sources.show.${what}`, { name: c.name ?? '' })}`} onClick={c.onPress(what)}>{formatNumber(n, lang.value)}</button></td>
    : cell(n));
  return (
    <>
      {samples('late', c.late)}
      {samples('rejected', c.rejected)}
      {cell(c.conflict)}
      {cell(c.emptied)}
    </>
  );
}

function Clock({ ms }: { ms: number | null }) {
  if (ms === null || ms <= CLOCK_AHEAD) return <td class="number quiet">{ms === null ? '–' : t('sources.clock_ok')}</td>;
  return <td class="number bad">{t('sources.clock_ahead', { span: formatSpan(ms, lang.value) })}</td>;
}
