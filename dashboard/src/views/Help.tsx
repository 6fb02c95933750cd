import { useLayoutEffect, useRef } from 'preact/hooks';
import { helping, t } from '../store';
import { Shape } from '../ui/shape';
import { SEVERITIES } from '../live/queue';

export function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => dialog.current?.showModal(), []);
  const keys = [['j / k', 'help.move'], ['Enter', 'help.open'], ['a', 'help.acknowledge'], ['s / n / c', 'help.handle'], ['x / J K', 'help.mark'], ['u', 'help.undo'], ['Esc', 'help.close'], ['/', 'help.search'], ['m', 'help.map'], ['r', 'help.replay'], ['[ / ]', 'help.step'], ['n', 'help.next_alert'], ['g o / g w / g l', 'help.go'], ['g a / g h', 'help.go_past'], ['g p / g s', 'help.go_data'], ['?', 'help.help']] as const;
  const close = (): void => { helping.value = false; };
  return (
    <dialog ref={dialog} class="dialog" aria-label={t('help.title')} onClose={close} onCancel={close} onClick={(e) => { if (e.target === dialog.current) close(); }} data-testid="help">
      <div class="dialog-body">
        <h2>{t('help.title')}</h2>
        <dl class="keys">{keys.map(([key, text]) => [<dt key={key}><kbd>{key}</kbd></dt>, <dd key={text}>{t(text)}</dd>])}</dl>
        <h2>{t('help.shapes')}</h2>
        <ul class="legend-list">
          {SEVERITIES.map((s) => <li key={s}><Shape severity={s} look="filled" /> {t(`severity.${s}`)}</li>)}
          <li><Shape severity="major" look="filled" /> {t('help.filled')}</li>
          <li><Shape severity="major" look="outline" /> {t('help.outline')}</li>
          <li><Shape severity="major" look="tick" /> {t('help.tick')}</li>
          <li><Shape severity="major" look="hatch" /> {t('help.hatch')}</li>
          <li><svg class="shape" width="14" height="14" viewBox="0 0 16 16" aria-hidden="true"><path d="M0 8h16" stroke="currentColor" stroke-width="1.5" stroke-dasharray="4 3" /></svg> {t('help.dashed')}</li>
          <li><svg class="shape" width="14" height="14" viewBox="0 0 16 16" aria-hidden="true"><path d="M0 8h16" stroke="currentColor" stroke-width="1.5" /><circle cx="8" cy="8" r="4" fill="none" stroke="currentColor" stroke-width="1.5" /></svg> {t('help.ring')}</li>
        </ul>
        <button type="button" onClick={close}>{t('detail.close')}</button>
      </div>
    </dialog>
  );
}
