//! One line under the bar when the picture is not whole: cut off, being built, old page. Each says what and what next.
import { formatAge, formatClock, formatNumber, formatSpan } from '../format';
import { board, connection, cutOff, health, lang, link, now, retryIn, t, zone } from '../store';

export function Notices() {
  const phase = link.value.phase;
  if (phase === 'outdated') {
    return (
      <p class="notice" role="status" data-testid="notice">
        {t('outdated.line')} <button type="button" onClick={() => location.reload()}>{t('outdated.next')}</button>
      </p>
    );
  }
  if (phase === 'denied') return <p class="notice" role="status" data-testid="notice">{t('denied.line')} {t('denied.next')}</p>;
  if (cutOff.value) {
    const time = board.value.tick.time;
    const next = phase === 'waiting' && retryIn.value > 0 ? t('cut.retry_in', { span: formatSpan(retryIn.value * 1000, lang.value) }) : t('cut.retrying');
    return (
      <p class="notice" data-testid="notice">
        {t('cut.line', { time: formatClock(time, zone.value), age: formatAge(time, now.value, zone.value, lang.value) })} {next}{' '}
        <button type="button" onClick={() => connection.start()}>{t('cut.now')}</button>
      </p>
    );
  }
  const built = health.value?.built ?? 1;
  if (built < 1) {
    const percent = formatNumber(Math.floor(built * 100), lang.value);
    return (
      <p class="notice" role="status" data-testid="building">
        {t('building.line', { percent })} <progress max={1} value={built} aria-label={t('building.line', { percent })} /> <span class="quiet">{t('building.next')}</span>
      </p>
    );
  }
  return null;
}
