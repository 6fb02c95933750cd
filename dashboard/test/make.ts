//! Small makers of wire values for tests: everything has a plain default, a case names what matters to it.
import type { AlertView, FigureView, HealthView, Snapshot, SourceView, Update } from '../src/wire';

export const T0 = Date.UTC(2026, 0, 15, 0, 30);

export function alert(id: string, over: Partial<AlertView> = {}): AlertView {
  return {
    id, version: 1, pipeline: 'traffic_queue', rule: 'queue_long', sector: 'traffic', severity: 'major', title: { vi: 'Hàng chờ dài', en: 'Long queue' },
    area: { code: '24617', name: 'Phường Đông Gia Nghĩa' }, key: { area: '24617', source: 'A006' }, position: null, condition: 'firing', handling: 'new',
    since: T0, changed: T0, resolved: null, reason: null, retroactive: false, acknowledged: null, steps: [], notes: 0,
    evidence: { measurement: 'traffic_queue', window_start: T0 - 60_000, window_end: T0, revision: 0, state: 'final', values: { queue: 96 }, when: 'queue > 80', until: 'queue < 30', for_ms: 120_000, rule_version: '0123456789ab', heard: null, expected: null, clauses: [] },
    ...over,
  };
}

export function figure(source: string, over: Partial<FigureView> = {}): FigureView {
  return { measurement: 'traffic_queue', key: { area: '24617', source }, area: { code: '24617', name: 'Phường Đông Gia Nghĩa' }, start: T0 - 60_000, end: T0, revision: 0, state: 'final', values: { queue: 12 }, heard: null, expected: null, ...over };
}

export const health: HealthView = { sources_expected: 10, sources_heard: 9, delay_ms: 3_000, verdicts: {}, store: 'ok', log: 'ok', built: 1 };

export function snapshot(seq: number, over: Partial<Snapshot> = {}): Snapshot {
  return { seq, tick: { number: 1, time: T0, live: true }, alerts: [], figures: [], health, ...over };
}

export function update(seq: number, over: Partial<Update> = {}): Update {
  return { seq, tick: { number: seq, time: T0 + seq * 1_000, live: true }, alerts: [], figures: [], ...over } as Update;
}

export function source(id: string, over: Partial<SourceView> = {}): SourceView {
  return {
    id, name: { vi: id, en: id }, registered: true, kind: null, types: ['traffic.loop'], area: null, sector: 'traffic', position: null, cadence_ms: 30_000, last_heard: null, silent: false,
    accepted: 0, late: 0, duplicate: 0, conflict: 0, rejected: 0, invalid_field: 0, worst_delay_ms: 0, clock_offset_ms: null, ...over,
  };
}
