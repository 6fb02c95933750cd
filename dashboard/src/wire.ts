// Generated from src/server/wire.rs; do not edit. `UPDATE_WIRE=1 cargo test --lib wire_ts` writes it anew.

export const PROTOCOL = 1;

/**
 * A text in both languages.
 */
export type Text = { vi: string, en: string, };

/**
 * Client → server, websocket, JSON text frames.
 */
export type ClientMessage = { "type": "hello", protocol: number, resume: Resume | null, };

export type Resume = { epoch: string, seq: number, };

/**
 * Server → client, websocket, JSON text frames.
 */
export type ServerMessage = { "type": "hello", protocol: number, server: string, epoch: string, resumed: boolean, me: Me, } | { "type": "snapshot" } & Snapshot | { "type": "update" } & Update | { "type": "replay" } & ReplayState | { "type": "bye", reason: ByeReason, detail: string, };

export type ByeReason = "slow" | "shutdown" | "protocol" | "denied";

/**
 * The whole picture of the reader's scope. `seq` is where updates continue.
 */
export type Snapshot = { seq: number, tick: TickView, alerts: Array<AlertView>, figures: Array<FigureView>, health: HealthView, };

/**
 * What changed since the client's last sequence. Alerts: each change, in order. Figures: the newest of each, at most 4 times a second.
 */
export type Update = { seq: number, tick: TickView, alerts?: Array<AlertView>, figures?: Array<FigureView>, health?: HealthView | null, };

/**
 * The engine's clock as of this message.
 */
export type TickView = { number: number, 
/**
 * Tick time.
 */
time: number, 
/**
 * Tick time is within 5 s of the wall clock.
 */
live: boolean, };

export type Severity = "critical" | "major" | "minor" | "notice";

export type Condition = "inactive" | "pending" | "firing" | "no_data" | "resolved";

export type Handling = "new" | "acknowledged" | "assigned" | "closed";

export type AreaRef = { code: string, name: string, };

/**
 * One alert, whole.
 */
export type AlertView = { 
/**
 * 32 lower-case hexadecimal digits.
 */
id: string, 
/**
 * Rises by one with every change of this alert; sent back with an action so that nobody overwrites what they have not seen.
 */
version: number, pipeline: string, rule: string, sector: string, severity: Severity, title: Text, area: AreaRef | null, 
/**
 * Tags of the row: `area`, `source`, …
 */
key: { [key in string]: string }, 
/**
 * Where on the map, if known: [lon, lat].
 */
position: [number, number] | null, condition: Condition, handling: Handling, 
/**
 * End of the first true window of the run.
 */
since: number, 
/**
 * Since when the condition is what it is.
 */
changed: number, resolved: number | null, 
/**
 * Why the last change came about where it is not the plain rule: "revised", "rule changed", "no data".
 */
reason: string | null, 
/**
 * Found in ticks that were not live.
 */
retroactive: boolean, 
/**
 * Who acknowledged, when, with which note.
 */
acknowledged: Acknowledgement | null, assigned?: Assignment, 
/**
 * While `handling` is closed.
 */
closed?: Closing, 
/**
 * Ticked steps of the procedure, by step.
 */
steps: Array<StepDone>, 
/**
 * Notes there are; their texts are in the history.
 */
notes: number, 
/**
 * When somebody last acted on it.
 */
acted?: number, 
/**
 * Silences of single sources in its area that it stands for: they do not fire while it does.
 */
stands_for?: number, 
/**
 * What decided the last change.
 */
evidence: Evidence, };

export type Acknowledgement = { by: string, at: number, note: string, };

/**
 * The row and the clauses that decided (R8).
 */
export type Evidence = { measurement: string, window_start: number, window_end: number, revision: number, state: RowState, 
/**
 * Fields of the row; a field without observations is absent.
 */
values: { [key in string]: number }, 
/**
 * `when` and `until` as written.
 */
when: string, until: string | null, for_ms: number, 
/**
 * First 12 hexadecimal digits of the rule's content.
 */
rule_version: string, heard: number | null, expected: number | null, 
/**
 * What `&&` and `||` join in `when`, each as it was judged.
 */
clauses: Array<ClauseView>, 
/**
 * An alert on a case has this instead of a row; `measurement` is empty then.
 */
case?: CaseFacts, };

/**
 * A clause of `when` on the deciding row.
 */
export type ClauseView = { 
/**
 * "occupancy > 25"
 */
text: string, 
/**
 * Of a comparison of numbers: both sides, as far as they are known.
 */
value: number | null, limit: number | null, 
/**
 * `null`: unknown.
 */
truth: boolean | null, };

/**
 * A case as it was when an alert on it changed.
 */
export type CaseFacts = { 
/**
 * "field_report"
 */
case: string, state: string, created: number, due: number | null, };

export type RowState = "provisional" | "final" | "incomplete" | "withdrawn";

/**
 * The newest row of one measurement and key.
 */
export type FigureView = { measurement: string, key: { [key in string]: string }, area: AreaRef | null, start: number, end: number, revision: number, state: RowState, values: { [key in string]: number }, heard: number | null, expected: number | null, 
/**
 * A sketch stands behind a field: within the error that R5 allows.
 */
approx?: boolean, };

/**
 * Whether the figures can be trusted, as counts of the reader's scope.
 */
export type HealthView = { 
/**
 * Sources of the registry in force in the scope, and those heard within 3 cadences.
 */
sources_expected: number, sources_heard: number, 
/**
 * Tick time minus the least watermark of a partition that is not idle, in ms: how late the figures are.
 */
delay_ms: number, 
/**
 * Verdict counts since the start of this state: accepted, late, duplicate, rejected, unwanted.
 */
verdicts: Record<string, number>, store: StoreHealth, log: LogHealth, 
/**
 * How far the state is built after a start, 0..1; 1 when done.
 */
built: number, };

export type StoreHealth = "ok" | "behind" | "owed";

export type LogHealth = "ok" | "unreadable" | "lost";

/**
 * Who is looking, from the cookie; `GET /api/v1/me`.
 */
export type Me = { name: string, role: Role, 
/**
 * Area or group codes this reader may see; empty: the whole province.
 */
areas: Array<string>, 
/**
 * Sectors this reader may see; empty: all.
 */
sectors: Array<string>, 
/**
 * May act on alerts.
 */
may_act: boolean, };

export type Role = "viewer" | "operator" | "local" | "analyst" | "admin" | "source";

/**
 * `GET /api/v1/catalog`: what measurements, fields and rules there are, for labels and thresholds.
 */
export type Catalog = { place: Text, 
/**
 * "Asia/Ho_Chi_Minh": the zone all times are shown in.
 */
time_zone: string, sectors: Array<SectorView>, measurements: Array<MeasurementView>, rules: Array<RuleView>, 
/**
 * The areas in force, deepest level, without their shapes.
 */
areas: Array<AreaName>, 
/**
 * Groups in force: a former district as its communes.
 */
groups: Array<GroupView>, 
/**
 * Words for values of tags that are codes, by tag and code.
 */
names: { [key in string]: { [key in string]: Text } }, 
/**
 * What a demo shows, in the order of time; empty otherwise.
 */
demo: Array<DemoStep>, };

export type AreaName = { code: string, name: string, level: string, };

/**
 * Areas under one code and name. Of its members those in the reader's scope.
 */
export type GroupView = { code: string, name: Text, level: string, members: Array<string>, };

/**
 * Something that happens in a demo.
 */
export type DemoStep = { at: number, title: Text, };

export type SectorView = { code: string, name: Text, };

export type MeasurementView = { measurement: string, pipeline: string, sector: string, every_ms: number, tags: Array<string>, fields: Array<FieldView>, };

export type FieldView = { field: string, 
/**
 * UCUM-like unit as shown ("km/h", "%", "m"); empty where none is known.
 */
unit: string, };

export type RuleView = { pipeline: string, rule: string, measurement: string, severity: Severity, title: Text, when: string, until: string | null, for_ms: number, 
/**
 * Plain comparisons of one field with a number found in `when` and `until`: lines on a chart.
 */
limits: Array<Limit>, 
/**
 * Procedure, Markdown, if the file is there.
 */
sop: string | null, };

export type Limit = { field: string, 
/**
 * ">", ">=", "<", "<="
 */
op: string, value: number, 
/**
 * From `until`, else from `when`.
 */
until: boolean, };

/**
 * `GET /api/v1/trend?measurement=&field=&from=&to=&tag.area=…`: one figure over time, from the store.
 */
export type Trend = { measurement: string, field: string, unit: string, every_ms: number, points: Array<TrendPoint>, };

export type TrendPoint = { start: number, 
/**
 * `null`: the row has no such field.
 */
value: number | null, state: RowState, revision: number, };

/**
 * `GET /api/v1/cases?case=&subject=&state=&open=&overdue=&due_soon=&area=&limit=&after=`: cases as of a tick, by due time.
 */
export type CasesPage = { 
/**
 * Tick time.
 */
time: number, 
/**
 * All that were asked for, on whatever page.
 */
total: number, cases: Array<CaseView>, 
/**
 * `after` of the next page; `null`: this is the last.
 */
next: string | null, };

/**
 * One case as it stands.
 */
export type CaseView = { 
/**
 * "field_report"
 */
case: string, subject: string, pipeline: string, sector: string, state: string, open: boolean, 
/**
 * Of its newest event that has one.
 */
area: AreaRef | null, created: number, 
/**
 * Time of the event that decided the state.
 */
since: number, due: number | null, overdue: boolean, due_soon: boolean, 
/**
 * What its pipeline reads of that event: "data.category", as texts.
 */
values: { [key in string]: string }, };

/**
 * What an alert turned out to be.
 */
export type Verdict = "true" | "false" | "duplicate" | "test";

/**
 * Whose an alert is, and who said so.
 */
export type Assignment = { to: string, by: string, at: number, note: string, };

export type Closing = { by: string, at: number, verdict: Verdict, note: string, };

/**
 * A ticked step of the procedure: counted from 0 among its list items, in document order.
 */
export type StepDone = { step: number, by: string, at: number, };

/**
 * `POST /api/v1/alerts/{id}/act`. 200 with the alert once the act is durable; 409 with an `ActConflict` where `version` is old or the
 * act makes no sense as the alert is now.
 */
export type ActRequest = { version: number, 
/**
 * Name of the person, used where the access is open (no token); else the token's name.
 */
name: string | null, note: string, act: ActView, };

export type ActView = { "kind": "acknowledge" } | { "kind": "unacknowledge" } | { "kind": "assign", to: string, } | { "kind": "note" } | { "kind": "close", verdict: Verdict, } | { "kind": "reopen" } | { "kind": "step", step: number, done: boolean, };

/**
 * Why an act was refused, and the alert as it is now.
 */
export type ActConflict = { alert: AlertView, reason: Text, };

/**
 * `POST /api/v1/alerts/act`: one act on up to 200 alerts, all in one tick.
 */
export type BulkRequest = { name: string | null, note: string, act: ActView, alerts: Array<AlertVersion>, };

/**
 * An alert as it was seen.
 */
export type AlertVersion = { id: string, version: number, };

/**
 * Each alert of the request is in one of the three.
 */
export type BulkAnswer = { done: Array<AlertView>, conflicts: Array<ActConflict>, 
/**
 * No such alert in the caller's scope.
 */
unknown: Array<string>, };

/**
 * `GET /api/v1/alerts/history?text=&area=&rule=&sector=&severity=&from=&to=&owner=&verdict=&condition=&after=&limit=`: all alerts there
 * were in scope, newest `since` first.
 */
export type AlertsPage = { 
/**
 * As they last stood.
 */
alerts: Array<AlertView>, 
/**
 * `after` of the next page; `null`: this is the last.
 */
next: string | null, 
/**
 * All that were asked for, on whatever page; `null`: not the first page, or more than 10,000.
 */
total: number | null, };

/**
 * `GET /api/v1/alerts/{id}`: the alert and how it came to be.
 */
export type AlertDetail = { alert: AlertView, 
/**
 * The last 64 entries, oldest first.
 */
history: Array<HistoryEntry>, 
/**
 * Its procedure as it is today, Markdown.
 */
procedure?: string, 
/**
 * Where the events of the deciding row lie, as far as it is known.
 */
positions: Array<EventPositions>, };

/**
 * Offsets [from, to) of a partition: the row's events lie there.
 */
export type EventPositions = { topic: string, partition: number, from: number, to: number, };

/**
 * `GET /api/v1/sources`: who sends, as of now.
 */
export type SourcesNow = { 
/**
 * Tick time.
 */
at: number, 
/**
 * In the order of their ids.
 */
sources: Array<SourceView>, 
/**
 * There are further ones: ask again with `after` = the last id.
 */
more: boolean, };

/**
 * One source: registered, or only heard.
 */
export type SourceView = { id: string, 
/**
 * The id, where it is not registered.
 */
name: Text, registered: boolean, kind: string | null, 
/**
 * Event types that it sends, by the registry.
 */
types: Array<string>, area: AreaRef | null, sector: string | null, 
/**
 * Where it stands, if the registry says so: [lon, lat].
 */
position: [number, number] | null, 
/**
 * Time between two of its events when all is well.
 */
cadence_ms: number | null, 
/**
 * Highest event time accepted.
 */
last_heard: number | null, 
/**
 * Nothing for more than three times its cadence; false where the cadence is not known.
 */
silent: boolean, 
/**
 * Records since the state was begun, each once; `conflict` (a copy with other data) counts in `duplicate` too.
 */
accepted: number, late: number, duplicate: number, conflict: number, rejected: number, 
/**
 * Fields emptied because their value lies outside the valid range.
 */
invalid_field: number, 
/**
 * Greatest delay of a late event.
 */
worst_delay_ms: number, 
/**
 * The greatest event time − broker time of the last minutes: above zero its clock is ahead.
 */
clock_offset_ms: number | null, };

export type HistoryEntry = { at: number, 
/**
 * "inactive", "pending", "firing", "no_data", "resolved"; "acknowledged", "unacknowledged", "assigned", "noted", "closed", "reopened",
 * "step_done", "step_undone".
 */
what: string, by: string | null, note: string | null, reason: string | null, values: { [key in string]: number }, 
/**
 * Of "assigned".
 */
to?: string, 
/**
 * Of "closed".
 */
verdict?: Verdict, 
/**
 * Of "step_done" and "step_undone".
 */
step?: number, };

/**
 * Any refusal of the REST interface: what, where, and the next step.
 */
export type Problem = { code: string, message: Text, detail: string, };

/**
 * `GET /api/v1/rejected?reason=&before=&limit=`: refused records, newest first. `next`: give it as `before` for what comes after them.
 */
export type RejectedPage = { records: Array<RejectedView>, next: number | null, };

export type RejectedView = { number: number, topic: string, partition: number, offset: number, broker_time: number | null, 
/**
 * "schema.required".
 */
reason: string, path: string, 
/**
 * Byte of the record.
 */
at: number, detail: string, source: string | null, 
/**
 * Its first 2,000 characters; all of it in `GET /api/v1/rejected/{number}`.
 */
raw: string, 
/**
 * The last time it was driven again.
 */
redriven: RedrivenView | null, };

/**
 * `POST /api/v1/rejected/redrive`: by number, or by filter the newest 1,000 that were never driven again (`again`: those too).
 */
export type RedriveRequest = { numbers: number[], reason: string | null, since: number | null, again: boolean, 
/**
 * Name of the person, used where the access is open; else the token's name.
 */
name: string | null, };

/**
 * What became of a record that was driven again.
 */
export type RedrivenView = { number: number, at: number, by: string, topic: string | null, partition: number | null, offset: number | null, 
/**
 * The most that any pipeline made of it: accepted, late, duplicate, unwanted; or rejected. Null: not judged yet, ask again.
 */
verdict: string | null, 
/**
 * By pipeline; empty where it was rejected.
 */
verdicts: { [key in string]: string }, 
/**
 * Why it was rejected again.
 */
reason: string | null, };

/**
 * `GET /api/v1/late?pipeline=&source=&before=&limit=`: late records, newest first.
 */
export type LatePage = { records: Array<LateView>, next: number | null, };

export type LateView = { number: number, pipeline: string, topic: string, partition: number, offset: number, broker_time: number | null, type: string, source: string, id: string, 
/**
 * When it happened.
 */
time: number, 
/**
 * Behind the watermark.
 */
delay_ms: number, 
/**
 * Its first 2,000 characters.
 */
raw: string, };

/**
 * `GET /api/v1/pipelines`: the pipelines of the sectors in scope, as of the last second.
 */
export type PipelinesNow = { 
/**
 * Tick time.
 */
at: number, 
/**
 * Tick time is within 5 s of the wall clock.
 */
live: boolean, 
/**
 * In the order of their files.
 */
pipelines: Array<PipelineView>, };

export type PipelineView = { name: string, sector: string, 
/**
 * "pipelines/traffic_loop.yaml"
 */
file: string, 
/**
 * The file as it is in force.
 */
text: string, 
/**
 * Event types that it reads.
 */
from: Array<string>, timing: TimingView, windows: Array<PipelineWindow>, rules: Array<PipelineRule>, rates: Rates, 
/**
 * In the order of the lane.
 */
partitions: Array<PipelinePartition>, };

/**
 * How event time is read, in ms.
 */
export type TimingView = { out_of_orderness_ms: number, lateness_ms: number, idle_after_ms: number, patience_ms: number, max_delay_ms: number, dedup_ms: number, };

/**
 * Records a second over the last minute, or since the state was begun if that is less.
 */
export type Rates = { 
/**
 * So long was counted.
 */
over_ms: number, 
/**
 * The sum of the others.
 */
read: number, accepted: number, late: number, duplicate: number, rejected: number, 
/**
 * Of types that the pipeline does not read, or filtered out.
 */
unwanted: number, };

/**
 * One measurement.
 */
export type PipelineWindow = { measurement: string, every_ms: number, 
/**
 * Length of a window: that of `every` where they follow one another.
 */
period_ms: number, 
/**
 * Provisional rows are published so often.
 */
early_ms: number | null, 
/**
 * The case that it counts.
 */
gauge: string | null, 
/**
 * Tags of its rows.
 */
by: Array<string>, fields: Array<FieldView>, 
/**
 * Windows held in memory: those that have not fired, and fired ones that may still be revised.
 */
held: number, 
/**
 * The oldest window that has not fired.
 */
oldest: WindowHold | null, };

/**
 * A window and what keeps it from firing.
 */
export type WindowHold = { start: number, end: number, 
/**
 * Tick time at which it could have fired had nobody held it; null: that is still to come.
 */
since: number | null, 
/**
 * The partitions whose watermark is below its end and that are not idle.
 */
holders: Array<Holder>, 
/**
 * Each holder's watermark passes the end with an event of this time or later.
 */
event_time: number, 
/**
 * Tick time at which it fires if nothing more comes, and why.
 */
release_at: number, release_by: ReleasedBy, 
/**
 * Tick time at which it fires at the latest, incomplete if somebody holds it then.
 */
deadline: number, };

export type ReleasedBy = "time" | "idle" | "deadline";

/**
 * A partition that holds a window.
 */
export type Holder = { topic: string, partition: number, 
/**
 * Null: nothing was ever accepted there.
 */
watermark: number | null, 
/**
 * Tick time at which it falls idle if nothing more is accepted; null while it cannot be read.
 */
idle_at: number | null, unreadable: boolean, 
/**
 * The source accepted there last, if it is in scope, and its newest event's time.
 */
source: string | null, heard: number | null, };

/**
 * A rule, and how many alerts of it in scope stand in each condition.
 */
export type PipelineRule = { rule: string, measurement: string, severity: Severity, title: Text, when: string, until: string | null, for_ms: number, alerts: AlertCounts, };

/**
 * Alerts of the picture by condition.
 */
export type AlertCounts = { pending: number, firing: number, no_data: number, resolved: number, };

/**
 * One partition as a pipeline sees it.
 */
export type PipelinePartition = { topic: string, partition: number, watermark: number | null, 
/**
 * Tick time minus watermark.
 */
lag_ms: number | null, idle: boolean, 
/**
 * The broker did not confirm its end within the last 2 s.
 */
unreadable: boolean, 
/**
 * Tick time for which nothing has been accepted while it could be read.
 */
quiet_ms: number, 
/**
 * Records accepted by this pipeline a second, over the same time as `rates`.
 */
rate_per_s: number, 
/**
 * Next record to take.
 */
next_offset: number, 
/**
 * Records in the log that were not taken yet.
 */
behind: number, 
/**
 * The source accepted last, if it is in scope, and its newest event's time.
 */
source: string | null, heard: number | null, };

/**
 * `GET /api/v1/pipelines/{name}/explain?measurement=&start=&tag.NAME=`: why a window has not fired.
 */
export type Explanation = { 
/**
 * Tick time.
 */
at: number, pipeline: string, measurement: string, 
/**
 * The tags that were asked for.
 */
key: { [key in string]: string }, state: WindowState, start: number | null, end: number | null, 
/**
 * While it is open.
 */
hold: WindowHold | null, 
/**
 * Registered sources in scope that are expected in the window, by the tags asked for, and were not heard since it began; at most
 * 50, silent longest first.
 */
quiet: Array<QuietSource>, 
/**
 * So many there are.
 */
quiet_total: number, 
/**
 * All of it in words.
 */
says: Text, };

export type WindowState = "none" | "open" | "fired" | "settled";

/**
 * A source that a window may be waiting for.
 */
export type QuietSource = { id: string, name: Text, area: AreaRef | null, last_heard: number | null, cadence_ms: number | null, };

/**
 * `GET /api/v1/rows`: rows of one measurement in scope, by (start, tags), the newest revision of each.
 */
export type RowsPage = { measurement: string, rows: Array<RowView>, 
/**
 * `after` of the next page; null: this is the last.
 */
next: string | null, };

/**
 * One row as it is stored. Tags and fields that hold personal data are left out.
 */
export type RowView = { start: number, end: number, tags: { [key in string]: string }, 
/**
 * That of its tag `area`, else of its source in the registry.
 */
area: AreaRef | null, 
/**
 * Fields; one without observations is absent.
 */
values: { [key in string]: number }, revision: number, state: RowState, heard: number | null, expected: number | null, };

/**
 * `GET /api/v1/indicators`: what plans promise, and the newest reports in scope.
 */
export type IndicatorsNow = { 
/**
 * By code.
 */
indicators: Array<IndicatorView>, };

export type IndicatorView = { code: string, name: Text, 
/**
 * "%"
 */
unit: string, 
/**
 * Which way is better.
 */
direction: IndicatorDirection, 
/**
 * How often it is reported; a month counts 30 days.
 */
cadence_ms: number, baselines: Array<IndicatorBaseline>, 
/**
 * By date.
 */
targets: Array<IndicatorTarget>, 
/**
 * Newest figures of rows with its code as the tag `indicator`, by the other tags.
 */
figures: Array<IndicatorFigure>, };

export type IndicatorDirection = "up" | "down";

/**
 * A value that was reached.
 */
export type IndicatorBaseline = { 
/**
 * Of this unit only.
 */
unit: string | null, at: number, value: number, };

export type IndicatorTarget = { 
/**
 * The end of its day.
 */
due: number, value: number, 
/**
 * "province", "all"
 */
level: string, 
/**
 * Of this unit only, whatever its level.
 */
unit: string | null, 
/**
 * It no longer holds from then on.
 */
until: number | null, 
/**
 * The sentence and the document.
 */
source: string, };

/**
 * The newest row of an indicator and key.
 */
export type IndicatorFigure = { measurement: string, 
/**
 * Its tags without `indicator`: `unit`, `period`, `area`…
 */
key: { [key in string]: string }, area: AreaRef | null, start: number, end: number, state: RowState, values: { [key in string]: number }, 
/**
 * What its unit should have reached by the end of the window, by the registry.
 */
target: number | null, 
/**
 * The straight line from the baseline to the next target, there.
 */
pace: number | null, };

/**
 * Client → server on `GET /api/v1/replay`, after the hello. The first is `open`.
 */
export type ReplayCommand = { "type": "open", at: number, speed: number, } | { "type": "play", speed: number, } | { "type": "seek", at: number, } | { "type": "step", ms: number, } | { "type": "next_alert" };

/**
 * Where a replay is: after each command and at least once a second.
 */
export type ReplayState = { 
/**
 * The moment that is shown.
 */
at: number, 
/**
 * The oldest and the newest moment that can be shown.
 */
oldest: number, newest: number, speed: number, playing: boolean, 
/**
 * How much of the picture at `at` is built, 0..1; 1: it is shown.
 */
building: number, 
/**
 * What is to be said about it.
 */
note: Text | null, };

/**
 * `GET /api/v1/timeline`: what the bar of the past shows, of the reader's scope.
 */
export type Timeline = { oldest: number, newest: number, 
/**
 * By beginning; the newest 5,000.
 */
alerts: Array<TimelineAlert>, 
/**
 * Nothing was read in them, or records were deleted before they were read.
 */
gaps: Array<TimelineGap>, 
/**
 * Times of kept states, ms.
 */
checkpoints: Array<number>, };

export type TimelineAlert = { id: string, severity: Severity, 
/**
 * When it began to fire.
 */
at: number, resolved: number | null, };

export type TimelineGap = { from: number, to: number, };
