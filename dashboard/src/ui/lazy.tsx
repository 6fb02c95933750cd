//! A part of the page that is loaded when it is first shown. A failed load says so and can be tried again.
import type { ComponentChildren, FunctionComponent } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { t } from '../store';

export interface Lazy<P> { Part: FunctionComponent<P>; preload(): void }

export function lazy<P extends object>(load: () => Promise<FunctionComponent<P>>, meanwhile: () => ComponentChildren = () => null): Lazy<P> {
  let loaded: FunctionComponent<P> | null = null;
  const ask = async (): Promise<void> => { loaded = await load(); };
  function Part(props: P) {
    const [, again] = useState(0);
    const [failed, setFailed] = useState(false);
    useEffect(() => {
      if (loaded || failed) return;
      let gone = false;
      ask().then(() => { if (!gone) again((n) => n + 1); }, () => { if (!gone) setFailed(true); });
      return () => { gone = true; };
    }, [failed]);
    if (loaded) {
      const Loaded = loaded;
      return <Loaded {...props} />;
    }
    if (failed) return <div class="say" role="alert"><p>{t('part.failed')}</p><button type="button" onClick={() => setFailed(false)}>{t('part.again')}</button></div>;
    return <>{meanwhile()}</>;
  }
  return { Part, preload: () => { void ask().catch(() => undefined); } };
}
