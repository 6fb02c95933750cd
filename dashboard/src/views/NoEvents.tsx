//! A page without any event yet: says so, and gives the line that sends one.
import { health, openAccess, t } from '../store';

/** Nothing was ever read in this state, and the state is built. */
export const isWaitingForEvents = (): boolean => {
  const h = health.value;
  return h !== null && h.built === 1 && Object.values(h.verdicts).every((n) => n === 0);
};

/** A shell fills in the moment; the id makes each line another event. */
function curlLine(): string {
  const token = openAccess.value ? '' : " -H 'authorization: Bearer ioc_…'";
  return `curl -i ${location.origin}/api/v1/events${token} -H 'content-type: application/cloudevents+json' -d '{"specversion":"1.0","id":"'$(date +%s%N)'","source":"try","type":"rain.gauge","time":"'$(date -u +%FT%TZ)'","data":{"mm":1.2,"period_s":300,"lon":107.6031,"lat":12.2406}}'`;
}

export function NoEvents() {
  return (
    <div class="say wide" data-testid="no-events">
      <p><b>{t('empty.line')}</b></p>
      <p class="quiet">{t('empty.next')}</p>
      <pre tabIndex={0}>{curlLine()}</pre>
    </div>
  );
}
