//! The bottom line of the desk: the whole of the past to now, with alerts and gaps; live it is thin, in replay it has the controls.
import { useMemo, useRef } from 'preact/hooks';
import { formatClock, formatDate, formatMoment, formatNumber } from '../format';
import { FASTEST, SPEEDS, barSpan, marksOf, momentAt, momentOf, shareOf, speedWord, type Span } from '../live/replay';
import { barWidth, leaveReplay, nextAlert, replayAlert, replayView, seek, setSpeed, step, timeline, togglePlay } from '../replay';
import { coarseNow, lang, mode, now, t, zone } from '../store';

/** Marks are drawn in so many slots. */
const SLOTS = 400;
const HOUR = 3_600_000;
const WIDTHS = [null, 24 * HOUR, 6 * HOUR, HOUR] as const;

/** "14:02:10", with the day where it is another one. */
function momentWords(at: number): string {
  const newest = timeline.value?.newest ?? at;
  const day = formatDate(at, zone.value) === formatDate(newest, zone.value) ? '' : `${formatDate(at, zone.value).slice(0, 5)} `;
  return `${day}${formatClock(at, zone.value)}`;
}

/** "PHÁT LẠI 14:02:10 ×10": in the top bar, as long as the past is shown. */
export function ReplaySign() {
  if (mode.value !== 'replay') return null;
  const view = replayView.value;
  const pace = view.playing ? speedWord(view.speed, t('replay.fastest')) : t('replay.standing');
  const state = view.phase === 'building' ? t('replay.building', { n: Math.floor(view.building * 100) }) : view.phase === 'opening' ? t('replay.opening') : pace;
  return <b class="replay-sign" data-testid="replay-sign" data-phase={view.phase} data-playing={view.playing}>{t('replay.sign')} {momentWords(now.value)} {state}</b>;
}

/** On each alert's detail. */
export function ReplayButton({ since }: { since: number }) {
  return <button type="button" data-testid="replay-button" title={t('replay.button_hint')} onClick={() => replayAlert(since)}>{t('replay.button')}{mode.value === 'live' && <> <kbd>r</kbd></>}</button>;
}

export function TimeBar() {
  const replaying = mode.value === 'replay';
  const view = replayView.value;
  // live, the bar need not follow every second
  const at = replaying ? momentOf(view, performance.now()) : null;
  const bar = timeline.value;
  const reach = bar && replaying && view.newest > 0 ? { ...bar, oldest: view.oldest, newest: Math.max(view.newest, bar.newest) } : bar && { ...bar, newest: Math.max(bar.newest, coarseNow.value) };
  const span = barSpan(reach, at, replaying ? barWidth.value : null);
  // a second's worth of the clock moves the cursor
  void now.value;
  return (
    <section class={`time-bar${replaying ? ' replaying' : ''}`} aria-label={t('replay.bar')} data-testid="time-bar">
      {replaying && <Controls />}
      <span class="edge quiet" title={span && reach ? t('replay.oldest_at', { time: fullMoment(reach.oldest) }) : undefined}>{span && reach ? (span.from === reach.oldest ? `${t('replay.oldest')} ${formatMoment(span.from, span.to, zone.value)}` : formatMoment(span.from, span.to, zone.value)) : t('replay.none')}</span>
      {span ? <Track span={span} at={at} /> : <span class="track empty" />}
      <span class="edge quiet">{span && reach && span.to < reach.newest ? formatMoment(span.to, reach.newest, zone.value) : t('replay.live')}</span>
    </section>
  );
}

const fullMoment = (at: number): string => `${formatDate(at, zone.value)} ${formatClock(at, zone.value)}`;

function Controls() {
  const view = replayView.value;
  const note = view.note?.[lang.value];
  if (view.phase === 'failed') {
    return (
      <span class="controls">
        <button type="button" data-testid="replay-back" onClick={leaveReplay}>{t('replay.back')} <kbd>Esc</kbd></button>
        <button type="button" onClick={() => seekAgain(view.at)}>{t('replay.again')}</button>
        <span role="alert" data-testid="replay-note">{note ?? t('replay.failed')}</span>
      </span>
    );
  }
  return (
    <span class="controls">
      <button type="button" data-testid="replay-back" onClick={leaveReplay}>{t('replay.back')} <kbd>Esc</kbd></button>
      <button type="button" data-testid="replay-step-back" onClick={() => step(-60_000)} title={t('replay.step_back')} aria-label={t('replay.step_back')}><kbd>[</kbd></button>
      <button type="button" class="play" data-testid="replay-play" aria-pressed={view.playing} onClick={togglePlay}>{view.playing ? t('replay.pause') : t('replay.play')}</button>
      <button type="button" data-testid="replay-step-on" onClick={() => step(60_000)} title={t('replay.step_on')} aria-label={t('replay.step_on')}><kbd>]</kbd></button>
      <button type="button" data-testid="replay-next" onClick={nextAlert}>{t('replay.next_alert')} <kbd>n</kbd></button>
      <select data-testid="replay-speed" aria-label={t('replay.speed')} value={String(view.speed)} onChange={(e) => setSpeed(Number(e.currentTarget.value))}>
        <option value="0">{t('replay.standing')}</option>
        {SPEEDS.map((speed) => <option key={speed} value={String(speed)}>{speed >= FASTEST ? t('replay.fastest') : `×${formatNumber(speed, lang.value)}`}</option>)}
      </select>
      <select data-testid="replay-width" aria-label={t('replay.width')} value={String(barWidth.value)} onChange={(e) => { barWidth.value = e.currentTarget.value === 'null' ? null : Number(e.currentTarget.value); }}>
        {WIDTHS.map((width) => <option key={String(width)} value={String(width)}>{width === null ? t('replay.all') : t('replay.hours', { n: width / HOUR })}</option>)}
      </select>
      {note && <span class="quiet" role="status" data-testid="replay-note">{note}</span>}
    </span>
  );
}

const seekAgain = (at: number): void => seek(at);

function Track({ span, at }: { span: Span; at: number | null }) {
  const track = useRef<HTMLDivElement>(null);
  const bar = timeline.value;
  // marks are laid out anew only when the bar or its span changes by a slot
  const slot = (span.to - span.from) / SLOTS;
  const marks = useMemo(() => marksOf(bar?.alerts ?? [], span, SLOTS), [bar, Math.round(span.from / slot), Math.round((span.to - span.from) / slot)]);
  const momentUnder = (event: PointerEvent): number => {
    const box = track.current?.getBoundingClientRect();
    return momentAt(span, box && box.width > 0 ? (event.clientX - box.left) / box.width : 1);
  };
  const scrub = (event: PointerEvent): void => {
    if (event.type === 'pointerdown') track.current?.setPointerCapture(event.pointerId);
    else if (!track.current?.hasPointerCapture(event.pointerId)) return;
    event.preventDefault();
    seek(momentUnder(event));
  };
  const shown = at ?? span.to;
  const onKey = (event: KeyboardEvent): void => {
    const by = { ArrowLeft: -60_000, ArrowRight: 60_000, PageUp: -600_000, PageDown: 600_000 }[event.key];
    const to = event.key === 'Home' ? span.from : event.key === 'End' ? span.to : by === undefined ? null : shown + by;
    if (to === null) return;
    event.preventDefault();
    event.stopPropagation();
    seek(to);
  };
  const percent = (share: number): string => `${(share * 100).toFixed(3)}%`;
  return (
    <div class="track" ref={track} role="slider" tabIndex={0} data-testid="time-track" aria-label={t('replay.slider')} aria-valuemin={span.from} aria-valuemax={span.to} aria-valuenow={Math.round(shown)}
      aria-valuetext={at === null ? t('replay.live') : fullMoment(at)} title={at === null ? t('replay.open_here') : undefined} onPointerDown={scrub} onPointerMove={scrub} onKeyDown={onKey}>
      <svg class="bar" width="100%" height="100%" aria-hidden="true">
        <defs><pattern id="no-data" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)"><path d="M0 0h5" stroke="var(--quiet)" stroke-width="1.5" /></pattern></defs>
        {(bar?.gaps ?? []).filter((g) => g.to >= span.from && g.from <= span.to).map((gap) => (
          <rect key={gap.from} class="gap" data-testid="time-gap" x={percent(shareOf(span, gap.from))} width={percent(shareOf(span, gap.to) - shareOf(span, gap.from))} y="0" height="100%" fill="url(#no-data)"><title>{t('replay.gap')}</title></rect>
        ))}
        {marks.map((mark) => (
          <rect key={mark.slot} class={`mark sev-${mark.severity}`} data-testid="time-mark" x={percent(mark.slot / SLOTS)} width="3" y={MARK_TOP[mark.severity]} height={MARK_HEIGHT[mark.severity]} fill="currentColor" />
        ))}
        {at !== null && <rect class="cursor" x={percent(shareOf(span, at))} width="2" y="0" height="100%" />}
      </svg>
    </div>
  );
}

/** Severity is told by height too: what is printed grey can be read. */
const MARK_HEIGHT = { critical: '100%', major: '75%', minor: '50%', notice: '30%' } as const;
const MARK_TOP = { critical: '0%', major: '25%', minor: '50%', notice: '70%' } as const;
