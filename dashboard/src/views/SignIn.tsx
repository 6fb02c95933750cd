import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { lang, setLang, signIn, signOut, t } from '../store';

export function SignIn() {
  const [token, setToken] = useState('');
  const [state, setState] = useState<'ready' | 'busy' | 'wrong' | 'unreachable'>('ready');
  const field = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => field.current?.focus(), []);
  const submit = (event: Event): void => {
    event.preventDefault();
    if (token.trim() === '' || state === 'busy') return;
    setState('busy');
    void signIn(token.trim()).then((result) => setState(result === 'ok' ? 'ready' : result));
  };
  return (
    <main class="gate">
      <form onSubmit={submit} data-testid="sign-in">
        <h1>{t('sign.title')}</h1>
        <label>
          {t('sign.token')}
          <input ref={field} type="password" autocomplete="current-password" spellcheck={false} value={token} onInput={(e) => setToken(e.currentTarget.value)} aria-describedby="sign-hint" />
        </label>
        <p class="quiet" id="sign-hint">{t('sign.hint')}</p>
        {(state === 'wrong' || state === 'unreachable') && <p role="alert" class="said">{t(`sign.${state}`)}</p>}
        <div class="row">
          <button type="submit" class="primary" disabled={state === 'busy'}>{t('sign.enter')}</button>
          <button type="button" class="tool" onClick={() => setLang(lang.value === 'vi' ? 'en' : 'vi')} aria-label={`vi/en – ${t('top.language')}`}>vi/en</button>
        </div>
      </form>
    </main>
  );
}

export function Denied() {
  return (
    <main class="gate" data-testid="denied">
      <div>
        <h1>{t('denied.line')}</h1>
        <p class="quiet">{t('denied.next')}</p>
        <button type="button" class="primary" onClick={() => void signOut()}>{t('denied.other')}</button>
      </div>
    </main>
  );
}
