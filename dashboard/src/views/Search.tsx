//! Search over alerts and areas, with or without diacritics.
import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { fold } from '../format';
import { isListed } from '../live/queue';
import { alerts, catalog, lang, searching, select, t } from '../store';
import { Shape, lookOf } from '../ui/shape';
import type { AlertView } from '../wire';

type Hit = { kind: 'alert'; alert: AlertView } | { kind: 'area'; code: string; name: string };
const MAX_HITS = 12;

function find(text: string, list: Iterable<AlertView>): Hit[] {
  const words = fold(text).split(/\s+/).filter((w) => w !== '');
  if (words.length === 0) return [];
  const has = (where: string): boolean => { const folded = fold(where); return words.every((w) => folded.includes(w)); };
  const hits: Hit[] = [];
  for (const { code, name } of catalog.value?.areas ?? []) if (has(`${name} ${code}`)) hits.push({ kind: 'area', code, name });
  const starts = (h: Hit): number => (h.kind === 'area' && fold(h.name).replace(/^\S+ /, '').startsWith(words[0] ?? '') ? 0 : 1);
  hits.sort((a, b) => starts(a) - starts(b));
  for (const alert of list) {
    if (isListed(alert) && has(`${alert.title.vi} ${alert.title.en} ${alert.area?.name ?? ''} ${Object.values(alert.key).join(' ')}`)) hits.push({ kind: 'alert', alert });
  }
  return hits;
}

export function Search() {
  const dialog = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  // Before the next key: what is typed right after "/" belongs to the field.
  useLayoutEffect(() => dialog.current?.showModal(), []);
  const hits = useMemo(() => find(text, alerts.value.values()), [text, alerts.value, catalog.value]);
  const shown = hits.slice(0, MAX_HITS);
  const close = (): void => { searching.value = false; };
  const go = (hit: Hit | undefined): void => {
    if (!hit) return;
    select(hit.kind === 'area' ? { kind: 'area', code: hit.code } : { kind: 'alert', id: hit.alert.id });
    close();
  };
  const onKey = (e: KeyboardEvent): void => {
    if (e.isComposing) return;
    if (e.key === 'ArrowDown') setAt(Math.min(shown.length - 1, at + 1));
    else if (e.key === 'ArrowUp') setAt(Math.max(0, at - 1));
    else if (e.key === 'Enter') go(shown[at]);
    else return;
    e.preventDefault();
  };
  return (
    <dialog ref={dialog} class="dialog search" aria-label={t('top.search')} onClose={close} onCancel={close} onClick={(e) => { if (e.target === dialog.current) close(); }} data-testid="search">
      <input role="combobox" aria-expanded="true" aria-controls="hits" aria-activedescendant={shown.length > 0 ? `hit-${at}` : undefined} aria-label={t('search.placeholder')}
        placeholder={t('search.placeholder')} value={text} spellcheck={false} autocomplete="off" autofocus onKeyDown={onKey}
        onInput={(e) => { setText(e.currentTarget.value); setAt(0); }} />
      <ul id="hits" role="listbox" aria-label={t('search.results', { n: hits.length })}>
        {shown.map((hit, i) => (
          <li key={hit.kind === 'area' ? hit.code : hit.alert.id} id={`hit-${i}`} role="option" aria-selected={i === at} class={i === at ? 'at' : ''} onClick={() => go(hit)} onPointerMove={() => setAt(i)}>
            {hit.kind === 'area'
              ? <><span class="pin" aria-hidden="true" /> <span>{hit.name}</span> <span class="quiet">{t('search.area')}</span></>
              : <><Shape severity={hit.alert.severity} look={lookOf(hit.alert)} /> <span>{hit.alert.title[lang.value]}</span> <span class="quiet">{hit.alert.area?.name ?? t('search.alert')}</span></>}
          </li>
        ))}
      </ul>
      {fold(text).trim() !== '' && hits.length === 0 && <p class="quiet none" role="status">{t('search.none')}</p>}
    </dialog>
  );
}
