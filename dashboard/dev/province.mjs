// A small made-up province over real areas: sources, values as pure functions of time, scripted alerts. For developing the page
// and for its browser test where no `ioc` runs; it measures nothing and proves nothing about the engine.

export const MINUTE = 60_000;

/** mulberry32 */
export function random(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function hash(text) {
  let h = 2166136261;
  for (const c of text) h = Math.imul(h ^ c.codePointAt(0), 16777619);
  return h >>> 0;
}

/** Smooth noise in -1..1 of a seed at a time. */
function wave(seed, t, period) {
  const p = (seed % 1000) / 1000;
  return (Math.sin((t / period + p) * 6.283) + 0.5 * Math.sin((t / period) * 13.7 + p * 31) + 0.3 * Math.sin((t / period) * 41.3 + p * 77)) / 1.8;
}

const SOP_TRAFFIC = `# Ùn tắc, dòng xe đứng

1. Xem camera gần nhất, xác định **nguyên nhân**: va chạm, xe hỏng, cây đổ, ngập.
2. Báo *Cảnh sát giao thông* phường: [0261 000 000](tel:+84261000000).
3. Nếu sau 10 phút chưa thông:
   - điều tiết từ nút phía trước,
   - đăng tin trên kênh của phường.
4. Ghi nguyên nhân vào ghi chú khi xác nhận.

> Không đóng cảnh báo khi \`speed\` vẫn chưa có.`;
const SOP_FLOOD = `# Lũ vượt báo động

- [ ] Gọi trạm đo, xác nhận mực nước bằng mắt
- [ ] Báo Ban chỉ huy Phòng thủ dân sự xã
- [ ] Chuẩn bị sơ tán vùng thấp theo **phương án cấp xã**

Mực nước đo mỗi 15 phút; từ báo động 3 gọi trạm mỗi 5 phút.`;

export const CATALOG = {
  place: { vi: 'Lâm Đồng', en: 'Lâm Đồng' },
  time_zone: 'Asia/Ho_Chi_Minh',
  sectors: [
    { code: 'traffic', name: { vi: 'Giao thông', en: 'Traffic' } },
    { code: 'water', name: { vi: 'Thủy văn', en: 'Water' } },
    { code: 'environment', name: { vi: 'Môi trường', en: 'Environment' } },
  ],
  measurements: [
    { measurement: 'traffic_loop', pipeline: 'traffic_loop', sector: 'traffic', every_ms: MINUTE, tags: ['area', 'source'], fields: [{ field: 'vehicles', unit: '' }, { field: 'speed', unit: 'km/h' }, { field: 'occupancy', unit: '%' }] },
    { measurement: 'traffic_queue', pipeline: 'traffic_queue', sector: 'traffic', every_ms: MINUTE, tags: ['area', 'source'], fields: [{ field: 'queue', unit: 'm' }, { field: 'halting', unit: 's' }] },
    { measurement: 'water_level', pipeline: 'water_level', sector: 'water', every_ms: 15 * MINUTE, tags: ['area', 'source'], fields: [{ field: 'level', unit: 'm' }, { field: 'high', unit: 'm' }] },
    { measurement: 'rain_1h', pipeline: 'rain', sector: 'water', every_ms: 5 * MINUTE, tags: ['area', 'source'], fields: [{ field: 'mm', unit: 'mm' }] },
    { measurement: 'air_quality', pipeline: 'air', sector: 'environment', every_ms: 60 * MINUTE, tags: ['area', 'source'], fields: [{ field: 'pm25', unit: 'µg/m³' }, { field: 'pm10', unit: 'µg/m³' }] },
  ],
  rules: [
    { pipeline: 'traffic_loop', rule: 'flow_stopped', measurement: 'traffic_loop', severity: 'major', title: { vi: 'Dòng xe đứng', en: 'Traffic at a standstill' }, when: 'occupancy > 25 && !known(speed)', until: 'known(speed)', for_ms: 2 * MINUTE, limits: [{ field: 'occupancy', op: '>', value: 25, until: false }], sop: SOP_TRAFFIC },
    { pipeline: 'traffic_queue', rule: 'queue_long', measurement: 'traffic_queue', severity: 'major', title: { vi: 'Hàng chờ dài', en: 'Long queue' }, when: 'queue > 80', until: 'queue < 30', for_ms: 2 * MINUTE, limits: [{ field: 'queue', op: '>', value: 80, until: false }, { field: 'queue', op: '<', value: 30, until: true }], sop: SOP_TRAFFIC },
    { pipeline: 'traffic_loop', rule: 'detector_silent', measurement: 'traffic_loop', severity: 'notice', title: { vi: 'Máy đếm xe im lặng', en: 'Detector silent' }, when: 'absent traffic.loop for 3 * cadence', until: null, for_ms: 0, limits: [], sop: null },
    { pipeline: 'water_level', rule: 'flood_bd2', measurement: 'water_level', severity: 'major', title: { vi: 'Mực nước vượt báo động 2', en: 'Water above alarm level 2' }, when: 'high >= source.bd2', until: 'high < source.bd2 - 0.1', for_ms: 0, limits: [{ field: 'high', op: '>=', value: 4, until: false }, { field: 'high', op: '<', value: 3.9, until: true }], sop: SOP_FLOOD },
    { pipeline: 'water_level', rule: 'flood_bd3', measurement: 'water_level', severity: 'critical', title: { vi: 'Mực nước vượt báo động 3', en: 'Water above alarm level 3' }, when: 'high >= source.bd3', until: 'high < source.bd3 - 0.1', for_ms: 0, limits: [{ field: 'high', op: '>=', value: 4.5, until: false }, { field: 'high', op: '<', value: 4.4, until: true }], sop: SOP_FLOOD },
    { pipeline: 'rain', rule: 'rain_heavy', measurement: 'rain_1h', severity: 'minor', title: { vi: 'Mưa lớn', en: 'Heavy rain' }, when: 'mm > 50', until: 'mm < 30', for_ms: 0, limits: [{ field: 'mm', op: '>', value: 50, until: false }, { field: 'mm', op: '<', value: 30, until: true }], sop: null },
    { pipeline: 'air', rule: 'pm25_bad', measurement: 'air_quality', severity: 'minor', title: { vi: 'Bụi PM2.5 cao', en: 'PM2.5 high' }, when: 'pm25 > 80', until: 'pm25 < 70', for_ms: 0, limits: [{ field: 'pm25', op: '>', value: 80, until: false }, { field: 'pm25', op: '<', value: 70, until: true }], sop: null },
  ],
};
export const RULES = new Map(CATALOG.rules.map((r) => [r.rule, r]));
export const MEASUREMENTS = new Map(CATALOG.measurements.map((m) => [m.measurement, m]));

function centre(feature) {
  const polygons = feature.geometry.type === 'Polygon' ? [feature.geometry.coordinates] : feature.geometry.coordinates;
  const ring = polygons.map((p) => p[0]).sort((a, b) => b.length - a.length)[0];
  const xs = ring.map((p) => p[0]);
  const ys = ring.map((p) => p[1]);
  const mid = (v) => v.reduce((a, b) => a + b, 0) / v.length;
  return { at: [mid(xs), mid(ys)], w: Math.max(...xs) - Math.min(...xs), h: Math.max(...ys) - Math.min(...ys) };
}

/** Sources: loops and queues in towns, gauges along rivers, rain everywhere, some air. */
export function makeSources(features) {
  const rng = random(7);
  const sources = [];
  const add = (measurement, prefix, feature, count) => {
    for (let i = 0; i < count; i++) {
      const { at, w, h } = centre(feature);
      const n = sources.filter((s) => s.id.startsWith(prefix)).length;
      const id = `${prefix}${String(n).padStart(3, '0')}`;
      sources.push({ id, measurement, seed: hash(id), area: { code: feature.properties.code, name: feature.properties.name }, at: [at[0] + (rng() - 0.5) * w * 0.3, at[1] + (rng() - 0.5) * h * 0.3] });
    }
  };
  const wards = features.filter((f) => f.properties.name.startsWith('Phường'));
  for (const ward of wards) {
    const gia = ward.properties.name.includes('Gia Nghĩa');
    add('traffic_loop', 'L', ward, gia ? 24 : 6);
    add('traffic_queue', 'A', ward, gia ? 8 : 3);
  }
  features.forEach((f, i) => { if (i % 4 === 1) add('water_level', 'W', f, 1); });
  for (const f of features) add('rain_1h', 'R', f, 1);
  features.forEach((f, i) => { if (i % 9 === 2) add('air_quality', 'Q', f, 1); });
  return sources;
}

/** Fields of one row; an absent field is left out, as on the wire. `incident` is the alert's rule standing over it, if any. */
export function valuesAt(source, end, incident) {
  const s = source.seed;
  const round = (v, d = 1) => Number(v.toFixed(d));
  switch (source.measurement) {
    case 'traffic_loop': {
      if (incident === 'flow_stopped') return { count: 6, vehicles: 0, occupancy: round(34 + 4 * wave(s, end, 20 * MINUTE)) };
      const load = 0.55 + 0.35 * wave(s, end, 90 * MINUTE);
      return { count: 6, vehicles: Math.round(4 + 26 * load), speed: round(46 - 18 * load + 3 * wave(s + 9, end, 7 * MINUTE)), occupancy: round(3 + 12 * load + wave(s + 5, end, 5 * MINUTE)) };
    }
    case 'traffic_queue': {
      const base = 14 + 10 * wave(s, end, 40 * MINUTE) + 5 * wave(s + 3, end, 6 * MINUTE);
      const queue = incident === 'queue_long' ? 112 + 18 * wave(s, end, 15 * MINUTE) : Math.max(0, base);
      return { count: 1, queue: round(queue), halting: Math.round(queue * 3.1) };
    }
    case 'water_level': {
      const level = incident === 'flood_bd3' ? 4.72 + 0.15 * wave(s, end, 3 * 60 * MINUTE) : incident === 'flood_bd2' ? 4.18 + 0.08 * wave(s, end, 3 * 60 * MINUTE) : 2.4 + 1.1 * wave(s, end, 7 * 60 * MINUTE);
      return { count: 1, level: round(level, 2), high: round(level + 0.03, 2) };
    }
    case 'rain_1h': {
      const mm = incident === 'rain_heavy' ? 62 + 9 * wave(s, end, 60 * MINUTE) : Math.max(0, 12 * wave(hash(source.area.code.slice(0, 4)), end, 4 * 60 * MINUTE) + 6 * wave(s, end, 50 * MINUTE));
      return { count: 12, mm: round(mm) };
    }
    default: {
      const pm = incident === 'pm25_bad' ? 94 + 8 * wave(s, end, 300 * MINUTE) : 32 + 18 * wave(s, end, 600 * MINUTE);
      return { count: 60, pm25: round(pm), pm10: round(pm * 1.6) };
    }
  }
}

/** What stands when the server starts: minutes before, rule, which of its sources, how it is handled. */
export const STANDING = [
  [6, 'flood_bd3', 3, 'new'], [14, 'flood_bd3', 11, 'acknowledged'], [38, 'flood_bd2', 4, 'acknowledged'], [52, 'flood_bd2', 12, 'new'],
  [3, 'queue_long', 0, 'new'], [12, 'queue_long', 2, 'acknowledged'], [21, 'queue_long', 30, 'new'], [17, 'flow_stopped', 40, 'acknowledged'], [9, 'flow_stopped', 3, 'new', 'no_data'],
  [22, 'rain_heavy', 20, 'new'], [34, 'rain_heavy', 21, 'new'], [41, 'rain_heavy', 55, 'acknowledged'], [26, 'rain_heavy', 83, 'acknowledged'], [75, 'pm25_bad', 4, 'acknowledged'], [130, 'pm25_bad', 9, 'new'],
  [5, 'detector_silent', 60, 'new'], [48, 'detector_silent', 90, 'acknowledged'], [66, 'detector_silent', 101, 'acknowledged'], [95, 'detector_silent', 120, 'new', 'no_data'],
  [58, 'queue_long', 12, 'new', 'resolved'], [44, 'rain_heavy', 40, 'new', 'resolved'],
];

/** What comes while it runs, one after another: rule and which of its sources. */
export const COMING = [['flow_stopped', 7], ['queue_long', 5], ['rain_heavy', 66], ['flood_bd3', 17], ['detector_silent', 33], ['flow_stopped', 52], ['queue_long', 21], ['rain_heavy', 99], ['pm25_bad', 6]];
export { hash };
