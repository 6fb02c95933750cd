//! A trend as a component: loads the chart's chunk, keeps it in step with its data, says its content in words.
import { useEffect, useRef, useState } from 'preact/hooks';
import { lang, theme, zone } from '../store';
import type { Plot, PlotData } from './plot';

export function Chart({ data, label, compact, testid, onPlot }: { data: PlotData; label: string; compact: boolean; testid?: string; onPlot?: (plot: Plot) => void }) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<Plot | null>(null);
  const newest = useRef(data);
  newest.current = data;
  const [failed, setFailed] = useState(false);
  const look = `${theme.value} ${lang.value} ${zone.value}`;
  useEffect(() => {
    let gone = false;
    void Promise.all([import('./plot'), document.fonts.load('12px "Inter Variable"')]).then(([{ Plot }]) => {
      if (gone || !host.current) return;
      plot.current = new Plot(host.current, newest.current, { lang: lang.peek(), zone: zone.peek(), compact });
      onPlot?.(plot.current);
    }).catch(() => setFailed(true));
    return () => {
      gone = true;
      plot.current?.destroy();
      plot.current = null;
    };
  }, [look, compact]);
  useEffect(() => plot.current?.set(data), [data]);
  return <div class="chart" ref={host} role="img" aria-label={label} data-testid={testid}>{failed && <p class="quiet">{label}</p>}</div>;
}
