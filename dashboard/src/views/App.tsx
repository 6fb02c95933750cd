//! The page: which of its faces is shown (sign-in, denied, desk), and the desk's layout.
import { ShapeDefs } from '../ui/shape';
import { announcement, hasPicture, helping, link, searching, selection, t, view } from '../store';
import { Demo } from './Demo';
import { Detail } from './Detail';
import { Help } from './Help';
import { installKeys } from './keys';
import { MapPane } from './MapPane';
import { Notices } from './Notices';
import { Queue } from './Queue';
import { Search } from './Search';
import { Denied, SignIn } from './SignIn';
import { Sources } from './Sources';
import { TopBar } from './TopBar';
import { TrendBar } from './TrendBar';
import { useEffect } from 'preact/hooks';

export function App() {
  useEffect(installKeys, []);
  const phase = link.value.phase;
  if (phase === 'signed_out') return <SignIn />;
  if (phase === 'denied' && !hasPicture.value) return <Denied />;
  return (
    <div class={`desk${selection.value ? ' with-detail' : ''}`}>
      <ShapeDefs />
      <TopBar />
      <main class="panes">
        <Queue />
        {/* In the middle column: what comes and goes here moves neither the queue nor the detail. */}
        <div class="centre">
          <Notices />
          {view.value === 'sources' ? <Sources /> : <MapPane />}
          <Demo />
        </div>
        {selection.value && <Detail />}
      </main>
      <TrendBar />
      {searching.value && <Search />}
      {helping.value && <Help />}
      <div class="visually-hidden" role="alert" aria-live="assertive" data-testid="live-region">{announcement.value}</div>
      {!hasPicture.value && <p class="visually-hidden" role="status">{t('loading.picture')}</p>}
    </div>
  );
}
