// Two screenshots compared so that another Chromium's antialiasing passes and a change that a person would see does not.
// Pixels that differ beyond antialiasing are counted in cells: noise lies thin over the whole, a change lies together.
import pixelmatch from 'pixelmatch';
import { PNG } from 'pngjs';

const CELL = 24;
/** Of the 576 pixels of a cell. */
const MOST_IN_A_CELL = 60;
/** Of all pixels. */
const MOST = 0.01;

/** Each pixel is the mean of the nine around it: edges of letters that another rasterizer draws half a pixel aside stay near each other. */
function blurred({ width, height, data }) {
  const out = new PNG({ width, height });
  out.data.set(data);
  for (let y = 1; y < height - 1; y += 1) {
    for (let x = 1; x < width - 1; x += 1) {
      for (let channel = 0; channel < 3; channel += 1) {
        let sum = 0;
        for (let dy = -1; dy <= 1; dy += 1) for (let dx = -1; dx <= 1; dx += 1) sum += data[((y + dy) * width + x + dx) * 4 + channel];
        out.data[(y * width + x) * 4 + channel] = sum / 9;
      }
    }
  }
  return out;
}

/** `null`: the same; else what differs, and a picture of it. */
export function compare(stored, taken) {
  const [a, b] = [blurred(PNG.sync.read(stored)), blurred(PNG.sync.read(taken))];
  if (a.width !== b.width || a.height !== b.height) return { words: `${b.width} × ${b.height} instead of ${a.width} × ${a.height}`, picture: taken };
  const { width, height } = a;
  const mask = new PNG({ width, height });
  const all = pixelmatch(a.data, b.data, mask.data, width, height, { threshold: 0.1, includeAA: false, diffMask: true });
  const across = Math.ceil(width / CELL);
  const cells = new Map();
  for (let at = 3, n = 0; at < mask.data.length; at += 4, n += 1) {
    if (mask.data[at] === 0) continue;
    const cell = Math.floor(Math.floor(n / width) / CELL) * across + Math.floor((n % width) / CELL);
    cells.set(cell, (cells.get(cell) ?? 0) + 1);
  }
  const [worst, count] = [...cells].sort((x, y) => y[1] - x[1])[0] ?? [0, 0];
  if (count <= MOST_IN_A_CELL && all <= MOST * width * height) return null;
  const shown = new PNG({ width, height });
  pixelmatch(a.data, b.data, shown.data, width, height, { threshold: 0.1, includeAA: false, alpha: 0.25 });
  return { words: `${all} pixels differ, ${count} of them around (${(worst % across) * CELL}, ${Math.floor(worst / across) * CELL})`, picture: PNG.sync.write(shown) };
}
