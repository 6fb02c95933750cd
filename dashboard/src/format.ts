//! Numbers, units, times and spans as people here write them. Pure: no clock, no browser time zone, no state but caches of formatters.

export type Lang = 'vi' | 'en';

const LOCALE: Record<Lang, string> = { vi: 'vi-VN', en: 'en-GB' };
const NNBSP = ' ';

const numbers = new Map<string, Intl.NumberFormat>();
function numberFormat(lang: Lang, digits: number): Intl.NumberFormat {
  const id = `${lang}${digits}`;
  let format = numbers.get(id);
  if (!format) {
    format = new Intl.NumberFormat(LOCALE[lang], { maximumFractionDigits: digits });
    numbers.set(id, format);
  }
  return format;
}

/** "1.234,5" in Vietnamese, "1,234.5" in English; two digits after the mark below ten, else one. */
export function formatNumber(value: number, lang: Lang, digits?: number): string {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  return numberFormat(lang, digits ?? (size < 10 ? 2 : 1)).format(value);
}

/** Schemas write units in plain letters; people read signs. */
const SIGNS: Readonly<Record<string, string>> = { 'ug/m3': 'µg/m³', 'mg/m3': 'mg/m³', 'm3/s': 'm³/s', degC: '°C', deg: '°' };

/** A value never stands without its unit; "%" follows without a gap, everything else after a narrow one. */
export function formatValue(value: number | null | undefined, unit: string, lang: Lang): string {
  if (value === null || value === undefined) return '–';
  const text = formatNumber(value, lang);
  if (unit === '') return text;
  return unit === '%' ? `${text}%` : `${text}${NNBSP}${SIGNS[unit] ?? unit}`;
}

/** Comparison signs as people write them. */
export function formatOperator(op: string): string {
  return op === '>=' ? '≥' : op === '<=' ? '≤' : op;
}

const clocks = new Map<string, Intl.DateTimeFormat>();
function parts(ms: number, zone: string): Record<string, string> {
  let format = clocks.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-GB', {
      timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23',
    });
    clocks.set(zone, format);
  }
  const out: Record<string, string> = {};
  for (const part of format.formatToParts(ms)) out[part.type] = part.value;
  return out;
}

/** HH:mm in the zone of the area. */
export function formatTime(ms: number, zone: string): string {
  const p = parts(ms, zone);
  return `${p.hour}:${p.minute}`;
}

/** HH:mm:ss in the zone of the area. */
export function formatClock(ms: number, zone: string): string {
  const p = parts(ms, zone);
  return `${p.hour}:${p.minute}:${p.second}`;
}

/** dd/MM/yyyy in the zone of the area, in both languages. */
export function formatDate(ms: number, zone: string): string {
  const p = parts(ms, zone);
  return `${p.day}/${p.month}/${p.year}`;
}

/** dd/MM at midnight, else dd/MM HH:mm. */
export function formatDayTime(ms: number, zone: string): string {
  const p = parts(ms, zone);
  return p.hour === '00' && p.minute === '00' ? `${p.day}/${p.month}` : `${p.day}/${p.month} ${p.hour}:${p.minute}`;
}

/** HH:mm on the same day, else dd/MM HH:mm. */
export function formatMoment(ms: number, now: number, zone: string): string {
  const p = parts(ms, zone);
  const same = formatDate(ms, zone) === formatDate(now, zone);
  return same ? `${p.hour}:${p.minute}` : `${p.day}/${p.month} ${p.hour}:${p.minute}`;
}

/** dd/MM/yyyy HH:mm in the zone of the area, in both languages. */
export function formatStamp(ms: number, zone: string): string {
  return `${formatDate(ms, zone)} ${formatTime(ms, zone)}`;
}

/** What `formatStamp` writes, read again; without a time the day's beginning. `null`: it is no such moment. */
export function parseStamp(text: string, zone: string): number | null {
  const match = /^\s*(\d{1,2})\/(\d{1,2})\/(\d{4})(?:\s+(\d{1,2}):(\d{2}))?\s*$/.exec(text);
  if (!match) return null;
  const [day = 0, month = 0, year = 0, hour = 0, minute = 0] = match.slice(1).map((part) => Number(part ?? 0));
  const wall = Date.UTC(year, month - 1, day, hour, minute);
  // Twice: the offset that holds there may differ from the one that holds at the first guess.
  let at = wall;
  for (let n = 0; n < 2; n += 1) at = wall - offsetAt(at, zone);
  return formatStamp(at, zone) === `${pad(day)}/${pad(month)}/${year} ${pad(hour)}:${pad(minute)}` ? at : null;
}

const pad = (n: number): string => String(n).padStart(2, '0');

function offsetAt(ms: number, zone: string): number {
  const p = parts(ms, zone);
  return Date.UTC(Number(p.year), Number(p.month) - 1, Number(p.day), Number(p.hour), Number(p.minute)) - Math.floor(ms / 60_000) * 60_000;
}

/** "3 phút trước" up to an hour, then HH:mm, then with the day. */
export function formatAge(ms: number, now: number, zone: string, lang: Lang): string {
  const age = now - ms;
  if (age >= 3_600_000) return formatMoment(ms, now, zone);
  const seconds = Math.max(0, Math.floor(age / 1000));
  if (seconds < 10) return lang === 'vi' ? 'vừa xong' : 'just now';
  const minutes = Math.floor(seconds / 60);
  if (minutes === 0) return lang === 'vi' ? `${seconds - (seconds % 5)} giây trước` : `${seconds - (seconds % 5)} s ago`;
  return lang === 'vi' ? `${minutes} phút trước` : `${minutes} min ago`;
}

/** A span in its two largest units: "2 phút", "1 giờ 5 phút", "12 s". */
export function formatSpan(ms: number, lang: Lang): string {
  const seconds = Math.round(Math.abs(ms) / 1000);
  if (seconds < 60) return `${seconds}${NNBSP}${lang === 'vi' ? 'giây' : 's'}`;
  const units: [number, string, string][] = [[86_400, 'ngày', 'd'], [3600, 'giờ', 'h'], [60, 'phút', 'min']];
  const words: string[] = [];
  let rest = seconds;
  for (const [size, vi, en] of units) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0 && words.length < 2) words.push(`${count}${NNBSP}${lang === 'vi' ? vi : en}`);
  }
  return words.join(' ');
}

/** Lower case without diacritics, for search: "Đắk Nông" → "dak nong". */
export function fold(text: string): string {
  return text.normalize('NFD').replace(/\p{M}/gu, '').replace(/[đĐ]/g, 'd').toLowerCase();
}

/** A name without the word for its kind, for labels: "Phường Đông Gia Nghĩa" → "Đông Gia Nghĩa". */
export function shortAreaName(name: string): string {
  return name.replace(/^(Phường|Xã|Đặc khu|Thị trấn|Huyện|Thành phố|Thị xã)\s+/u, '');
}

/**
 * How far a figure can be trusted by its age: past its cadence it shows its age, beyond three it is hatched.
 * The grace is the time a row needs to be published after its window's end; without it each figure would blink once per window.
 */
export type Freshness = 'fresh' | 'late' | 'stale';
export function freshness(end: number, every: number, now: number): Freshness {
  if (every <= 0) return 'fresh';
  const age = now - end;
  const grace = Math.min(every, 15_000);
  if (age <= every + grace) return 'fresh';
  return age <= 3 * every + grace ? 'late' : 'stale';
}
