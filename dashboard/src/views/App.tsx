//! The page: which of its faces is shown (sign-in, denied, desk, wall, local), and the desk's layout.
import { useEffect } from 'preact/hooks';
import { ShapeDefs } from '../ui/shape';
import { lazy } from '../ui/lazy';
import { announcement, face, hasPicture, helping, link, mode, searching, selection, t } from '../store';
import { Demo } from './Demo';
import { Detail } from './Detail';
import { Help } from './Help';
import { installKeys } from './keys';
import { Notices } from './Notices';
import { Queue } from './Queue';
import { Search } from './Search';
import { Denied, SignIn } from './SignIn';
import { TopBar } from './TopBar';
import { ReplaySign, TimeBar } from './TimeBar';
import { TrendBar } from './TrendBar';

const waiting = () => <p class="say quiet" role="status">{t('part.loading')}</p>;
const MapPane = lazy(() => import('./MapPane').then((m) => m.MapPane), waiting);
const Sources = lazy(() => import('./Sources').then((m) => m.Sources), waiting);
const History = lazy(() => import('./History').then((m) => m.History), waiting);
const Pipelines = lazy(() => import('./Pipelines').then((m) => m.Pipelines), waiting);
const Analyst = lazy(() => import('./Analyst').then((m) => m.Analyst), waiting);
const Wall = lazy(() => import('./Wall').then((m) => m.Wall), waiting);
const Local = lazy(() => import('./Local').then((m) => m.Local), waiting);

export function App() {
  useEffect(installKeys, []);
  const phase = link.value.phase;
  if (phase === 'signed_out') return <SignIn />;
  if (phase === 'denied' && !hasPicture.value) return <Denied />;
  return (
    <>
      <ShapeDefs />
      {face.value === 'wall' ? <Wall.Part /> : face.value === 'local' ? <Local.Part /> : <Desk />}
      {(face.value === 'wall' || face.value === 'local') && mode.value === 'replay' && <div class="replay-foot"><ReplaySign /><TimeBar /></div>}
      {searching.value && <Search />}
      {helping.value && <Help />}
      <div class="visually-hidden" role="alert" aria-live="assertive" data-testid="live-region">{announcement.value}</div>
      {!hasPicture.value && <p class="visually-hidden" role="status">{t('loading.picture')}</p>}
    </>
  );
}

function Desk() {
  // The list never waits for the map: its library is asked for once the list stands.
  useEffect(() => {
    if (!hasPicture.value) return;
    const ask = async (): Promise<void> => { const drawing = await import('./MapDrawing'); if (drawing.webgl) await drawing.loadMap(); };
    setTimeout(() => void ask().catch(() => undefined), 0);
  }, [hasPicture.value]);
  return (
    <div class={`desk view-${face.value}${selection.value ? ' with-detail' : ''}`}>
      <TopBar />
      <main class="panes">
        <Queue />
        {/* In the middle column: what comes and goes here moves neither the queue nor the detail. */}
        <div class="centre">
          <Notices />
          <Centre />
          {face.value === 'desk' && <Demo />}
        </div>
        {selection.value && <Detail />}
      </main>
      <TrendBar />
      <TimeBar />
    </div>
  );
}

function Centre() {
  switch (face.value) {
    case 'sources': return <Sources.Part />;
    case 'history': return <History.Part />;
    case 'pipelines': return <Pipelines.Part />;
    case 'analyst': return <Analyst.Part />;
    default: return <MapPane.Part />;
  }
}
