//! "Thử xem / Try": what the demo shows and when; only a demo has it, and it can be put away.
import { useSignal } from '@preact/signals';
import { formatSpan, formatTime } from '../format';
import { catalog, lang, now, t, zone } from '../store';

const SHOWN = 6;

export function Demo() {
  const away = useSignal(false);
  const steps = catalog.value?.demo ?? [];
  if (away.value || steps.length === 0 || now.value === 0) return null;
  const next = steps.findIndex((s) => s.at > now.value);
  const from = Math.max(0, Math.min(next < 0 ? steps.length : next - 2, steps.length - SHOWN));
  return (
    <aside class="try" aria-label={t('demo.title')} data-testid="try">
      <button type="button" class="close" aria-label={t('demo.away')} title={t('demo.away')} onClick={() => { away.value = true; }}>×</button>
      <h2>{t('demo.title')}</h2>
      <ol>
        {steps.slice(from, from + SHOWN).map((s) => (
          <li key={`${s.at}${s.title.en}`} class={s.at <= now.value ? 'quiet' : ''}>
            <time>{s.at <= now.value ? formatTime(s.at, zone.value) : t('demo.in', { span: formatSpan(s.at - now.value, lang.value) })}</time>
            <span>{s.title[lang.value]}</span>
          </li>
        ))}
      </ol>
    </aside>
  );
}
