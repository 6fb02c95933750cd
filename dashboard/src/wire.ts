// The wire types of src/server/wire.rs, in the form in which ts-rs writes them.

export type Text = { vi: string, en: string, };

export type ClientMessage = { "type": "hello", protocol: number, resume: Resume | null, };

export type Resume = { epoch: string, seq: number, };

export type ServerMessage = { "type": "hello", protocol: number, server: string, epoch: string, resumed: boolean, me: Me, } | { "type": "snapshot" } & Snapshot | { "type": "update" } & Update | { "type": "bye", reason: ByeReason, detail: string, };

export type ByeReason = "slow" | "shutdown" | "protocol" | "denied";

export type Snapshot = { seq: number, tick: TickView, alerts: Array<AlertView>, figures: Array<FigureView>, health: HealthView, };

export type Update = { seq: number, tick: TickView, alerts?: Array<AlertView>, figures?: Array<FigureView>, health?: HealthView | null, };

export type TickView = { number: number, time: number, live: boolean, };

export type Severity = "critical" | "major" | "minor" | "notice";

export type Condition = "pending" | "firing" | "no_data" | "resolved";

export type Handling = "new" | "acknowledged" | "assigned" | "closed";

export type AreaRef = { code: string, name: string, };

export type AlertView = { id: string, version: number, pipeline: string, rule: string, sector: string, severity: Severity, title: Text, area: AreaRef | null, key: { [key in string]: string }, position: [number, number] | null, condition: Condition, handling: Handling, since: number, changed: number, resolved: number | null, reason: string | null, retroactive: boolean, acknowledged: Acknowledgement | null, evidence: Evidence, };

export type Acknowledgement = { by: string, at: number, note: string, };

export type Evidence = { measurement: string, window_start: number, window_end: number, revision: number, state: RowState, values: { [key in string]: number }, when: string, until: string | null, for_ms: number, rule_version: string, heard: number | null, expected: number | null, };

export type RowState = "provisional" | "final" | "incomplete" | "withdrawn";

export type FigureView = { measurement: string, key: { [key in string]: string }, area: AreaRef | null, start: number, end: number, revision: number, state: RowState, values: { [key in string]: number }, heard: number | null, expected: number | null, };

export type HealthView = { sources_expected: number, sources_heard: number, delay_ms: number, verdicts: Record<string, number>, store: StoreHealth, log: LogHealth, built: number, };

export type StoreHealth = "ok" | "behind" | "owed";

export type LogHealth = "ok" | "unreadable" | "lost";

export type Me = { name: string, role: Role, areas: Array<string>, sectors: Array<string>, may_act: boolean, };

export type Role = "viewer" | "operator" | "local" | "analyst" | "admin";

export type Catalog = { place: Text, time_zone: string, sectors: Array<SectorView>, measurements: Array<MeasurementView>, rules: Array<RuleView>, };

export type SectorView = { code: string, name: Text, };

export type MeasurementView = { measurement: string, pipeline: string, sector: string, every_ms: number, tags: Array<string>, fields: Array<FieldView>, };

export type FieldView = { field: string, unit: string, };

export type RuleView = { pipeline: string, rule: string, measurement: string, severity: Severity, title: Text, when: string, until: string | null, for_ms: number, limits: Array<Limit>, sop: string | null, };

export type Limit = { field: string, op: string, value: number, until: boolean, };

export type Trend = { measurement: string, field: string, unit: string, every_ms: number, points: Array<TrendPoint>, };

export type TrendPoint = { start: number, value: number | null, state: RowState, revision: number, };

export type AcknowledgeRequest = { version: number, name: string | null, note: string, };

export type AlertDetail = { alert: AlertView, history: Array<HistoryEntry>, };

export type HistoryEntry = { at: number, what: string, by: string | null, note: string | null, reason: string | null, values: { [key in string]: number }, };

export type Problem = { code: string, message: Text, detail: string, };
