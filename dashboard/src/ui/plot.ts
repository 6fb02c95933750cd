//! The trend chart, a lazy chunk: uPlot with threshold and until lines, alert bands, dashed provisional parts, rings on revised points.
//! Refuses to know: where points come from. Colours are read from the style sheet when it is made; make it anew when the theme changes.
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { formatDayTime, formatNumber, formatOperator, formatTime, formatValue, type Lang } from '../format';
import type { Series } from '../live/trend';
import type { Limit, Severity } from '../wire';

export interface Band { from: number; to: number; severity: Severity }
export interface PlotData { series: Series; limits: readonly Limit[]; bands: readonly Band[]; from: number; to: number; unit: string; /** Lowest and highest value shown, where several charts share a scale. */ scale?: [number, number] }
export interface PlotLook { lang: Lang; zone: string; compact: boolean }

const FONT = '12px "Inter Variable", sans-serif';

export class Plot {
  private readonly plot: uPlot;
  private readonly resize: ResizeObserver;

  constructor(host: HTMLElement, private data: PlotData, look: PlotLook) {
    const css = getComputedStyle(document.documentElement);
    const color = (name: string): string => css.getPropertyValue(name).trim();
    const axis = { stroke: color('--quiet'), font: FONT, grid: { show: false }, ticks: { show: true, stroke: color('--line'), width: 1, size: 4 } };
    const options: uPlot.Options = {
      width: Math.max(50, host.clientWidth),
      height: Math.max(40, host.clientHeight),
      padding: [6, 22, 0, 0],
      legend: { show: false },
      cursor: { points: { show: false }, y: false, drag: { x: false, y: false } },
      scales: { x: { time: true, range: () => [this.data.from / 1000, this.data.to / 1000] }, y: { range: (_u, low, high) => this.range(low, high) } },
      axes: [
        { ...axis, size: 22, gap: 2, space: 70, values: (_u, splits) => splits.map((s) => this.when(s * 1000, look.zone)) },
        { ...axis, size: 48, gap: 4, space: look.compact ? 22 : Math.max(26, host.clientHeight / 9), grid: { show: true, stroke: color('--line'), width: 1 }, values: (_u, splits) => splits.map((s) => formatNumber(s, look.lang)) },
      ],
      series: [
        {},
        { stroke: color('--text'), width: 1.5, spanGaps: false, points: { show: (_u, _i, i0, i1) => this.lonely(i0, i1), size: 4, fill: color('--text') } },
        { stroke: color('--text'), width: 1.5, dash: [4, 3], spanGaps: false, points: { show: false } },
      ],
      hooks: {
        drawClear: [(u) => this.drawBands(u, color)],
        draw: [(u) => { this.drawLimits(u, color, look); this.drawRings(u, color); }],
      },
    };
    this.plot = new uPlot(options, this.table(), host);
    this.resize = new ResizeObserver(() => this.plot.setSize({ width: Math.max(50, host.clientWidth), height: Math.max(40, host.clientHeight) }));
    this.resize.observe(host);
  }

  set(data: PlotData): void {
    this.data = data;
    this.plot.setData(this.table());
  }

  destroy(): void {
    this.resize.disconnect();
    this.plot.destroy();
  }

  /** The chart as a picture of its own: title above, ground below. */
  png(title: string): Promise<Blob | null> {
    const from = this.plot.ctx.canvas;
    const scale = devicePixelRatio;
    const head = 28 * scale;
    const canvas = document.createElement('canvas');
    canvas.width = from.width;
    canvas.height = from.height + head;
    const ctx = canvas.getContext('2d');
    if (!ctx) return Promise.resolve(null);
    const css = getComputedStyle(document.documentElement);
    ctx.fillStyle = css.getPropertyValue('--surface');
    ctx.fillRect(0, 0, canvas.width, canvas.height);
    ctx.fillStyle = css.getPropertyValue('--text');
    ctx.font = `600 ${13 * scale}px "Inter Variable", sans-serif`;
    ctx.textBaseline = 'middle';
    ctx.fillText(title, 8 * scale, head / 2, canvas.width - 16 * scale);
    ctx.drawImage(from, 0, head);
    return new Promise((done) => canvas.toBlob(done, 'image/png'));
  }

  /** Over more than a day the date belongs to the time. */
  private when(ms: number, zone: string): string {
    const long = this.data.to - this.data.from > 86_400_000;
    return long ? formatDayTime(ms, zone) : formatTime(ms, zone);
  }

  private table(): uPlot.AlignedData {
    const { x, solid, dashed } = this.data.series;
    return [x, solid, dashed];
  }

  /** Only points without neighbours get a dot: a line cannot show them. */
  private lonely(from: number, to: number): boolean {
    return to - from < 3;
  }

  private range(low: number | null, high: number | null): [number, number] {
    const all = [...this.data.limits.map((l) => l.value), ...(this.data.scale ?? [])];
    if (low !== null && Number.isFinite(low)) all.push(low);
    if (high !== null && Number.isFinite(high)) all.push(high);
    if (all.length === 0) return [0, 1];
    let min = Math.min(...all);
    let max = Math.max(...all);
    const pad = (max - min || Math.abs(max) || 1) * 0.12;
    min = min >= 0 && min - pad < 0 ? 0 : min - pad;
    max += pad;
    return [min, max];
  }

  private drawBands(u: uPlot, color: (name: string) => string): void {
    const { ctx, bbox } = u;
    for (const band of this.data.bands) {
      const left = Math.max(bbox.left, u.valToPos(band.from / 1000, 'x', true));
      const right = Math.min(bbox.left + bbox.width, u.valToPos(band.to / 1000, 'x', true));
      if (right <= left) continue;
      ctx.save();
      ctx.fillStyle = color(`--${band.severity}`);
      ctx.globalAlpha = 0.04;
      ctx.fillRect(left, bbox.top, right - left, bbox.height);
      // What says "alert" is a thin bar above and the line of its beginning; a field of colour would shout over the map.
      ctx.globalAlpha = 0.85;
      ctx.fillRect(left, bbox.top, right - left, 3 * devicePixelRatio);
      ctx.fillRect(left, bbox.top, Math.max(1, devicePixelRatio), bbox.height);
      ctx.restore();
    }
  }

  private drawLimits(u: uPlot, color: (name: string) => string, look: PlotLook): void {
    const { ctx, bbox } = u;
    const scale = devicePixelRatio;
    // Lines first, names over them.
    const named: { y: number; right: number }[] = [];
    for (const limit of this.data.limits) {
      const y = Math.round(u.valToPos(limit.value, 'y', true)) + 0.5;
      if (y < bbox.top || y > bbox.top + bbox.height) continue;
      ctx.save();
      ctx.strokeStyle = color('--limit');
      ctx.fillStyle = color('--quiet');
      ctx.lineWidth = scale;
      ctx.setLineDash(limit.until ? [2 * scale, 3 * scale] : [8 * scale, 2 * scale]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      ctx.font = `${12 * scale}px "Inter Variable", sans-serif`;
      ctx.textAlign = 'left';
      ctx.textBaseline = y - bbox.top > 16 * scale ? 'bottom' : 'top';
      const text = `${limit.until ? '✓ ' : ''}${formatOperator(limit.op)} ${formatValue(limit.value, this.data.unit, look.lang)}`;
      // Names of lines close to each other stand side by side.
      const at = Math.max(bbox.left + 4 * scale, ...named.filter((n) => Math.abs(n.y - y) < 16 * scale).map((n) => n.right + 12 * scale));
      const width = ctx.measureText(text).width;
      ctx.fillStyle = color('--surface');
      ctx.fillRect(at - 2 * scale, ctx.textBaseline === 'bottom' ? y - 15 * scale : y + scale, width + 4 * scale, 14 * scale);
      ctx.fillStyle = color('--quiet');
      ctx.fillText(text, at, y + (ctx.textBaseline === 'bottom' ? -scale : 2 * scale));
      named.push({ y, right: at + width });
      ctx.restore();
    }
  }

  private drawRings(u: uPlot, color: (name: string) => string): void {
    const { ctx } = u;
    const { x, solid, ringed } = this.data.series;
    ctx.save();
    ctx.strokeStyle = color('--text');
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([]);
    for (const i of ringed) {
      const value = solid[i];
      if (value === null || value === undefined) continue;
      ctx.beginPath();
      ctx.arc(u.valToPos(x[i] ?? 0, 'x', true), u.valToPos(value, 'y', true), 3.5 * devicePixelRatio, 0, 2 * Math.PI);
      ctx.stroke();
    }
    ctx.restore();
  }
}
