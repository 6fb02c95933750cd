//! The procedure of a rule with steps that can be ticked; who ticked what stands beside it and in the history.
import { act, actState } from '../acts';
import { formatTime } from '../format';
import { mayAct, ruleOf, t, zone } from '../store';
import { Markdown, type Steps } from '../ui/Markdown';
import type { AlertView } from '../wire';

export function Procedure({ alert }: { alert: AlertView }) {
  const sop = ruleOf(alert)?.sop;
  const done = new Map(alert.steps.map((s) => [s.step, s]));
  const busy = actState.value?.id === alert.id && actState.value.phase === 'saving';
  const steps: Steps = {
    of: (step) => {
      const s = done.get(step);
      return s ? { by: s.by, time: formatTime(s.at, zone.value) } : null;
    },
    may: mayAct.value && alert.handling !== 'closed' && !busy,
    tick: (step, to) => void act(alert.id, { kind: 'step', step, done: to }),
  };
  return (
    <section data-testid="procedure">
      <h3>{t('detail.procedure')}{alert.steps.length > 0 && <span> · {t('detail.steps_done', { n: alert.steps.length })}</span>}</h3>
      {sop ? <Markdown source={sop} steps={steps} /> : <p class="quiet">{t('detail.no_procedure')}</p>}
    </section>
  );
}
