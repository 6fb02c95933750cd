// What the page weighs on the line, gzip: the first load must stay below 400 kB without the map, below 1 MB with it; no chunk of the
// first load may be the map's. Run by `npm run build`.
import { readFileSync, readdirSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const dist = new URL('../dist/', import.meta.url);
const assets = readdirSync(new URL('assets/', dist));
const bytes = (name) => {
  const data = readFileSync(new URL(`assets/${name}`, dist));
  return name.endsWith('.woff2') ? data.length : gzipSync(data, { level: 6 }).length;
};
const text = (name) => readFileSync(new URL(`assets/${name}`, dist), 'utf8');
const html = readFileSync(new URL('index.html', dist), 'utf8');

/** What the browser takes before anything is shown: what index.html names, what those import statically, the fonts of Vietnamese text. */
const first = new Set([...html.matchAll(/assets\/([^"]+)/g)].map((m) => m[1]));
for (const name of first) {
  if (!name.endsWith('.js')) continue;
  for (const m of text(name).matchAll(/(?:from|import)\s*"\.\/([^"]+\.js)"/g)) first.add(m[1]);
}
for (const name of assets) if (/^inter-(vietnamese|latin)-wght/.test(name)) first.add(name);
const map = assets.filter((name) => /^(province|looks|maplibre|MapDrawing|MapPane)/.test(name));

const sum = (names) => [...names].reduce((n, name) => n + bytes(name), 0);
const kb = (n) => `${(n / 1000).toFixed(0)} kB`;
const light = sum(first) + gzipSync(html).length;
const heavy = light + sum(map);
console.log(`first load ${kb(light)} (at most 400 kB): ${[...first].map((name) => `${name} ${kb(bytes(name))}`).join(', ')}`);
console.log(`with the map ${kb(heavy)} (at most 1,000 kB): ${map.map((name) => `${name} ${kb(bytes(name))}`).join(', ')}`);
const faults = [];
if (light > 400_000) faults.push('the first load is too heavy: load more of it when it is first shown (ui/lazy.tsx)');
if (heavy > 1_000_000) faults.push('with the map the page is too heavy');
if (map.length === 0) faults.push('the map has no chunk of its own: import it only as import()');
if ([...first].some((name) => map.includes(name) || /maplibre/i.test(name.endsWith('.js') ? text(name).slice(0, 2_000_000).match(/maplibregl-canvas-container/)?.[0] ?? '' : ''))) faults.push('the map library is part of the first load');
for (const fault of faults) console.error(fault);
process.exitCode = faults.length > 0 ? 1 : 0;
