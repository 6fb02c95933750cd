//! `ioc`: an event-stream processor for an Intelligent Operations Center. This page is the map.
//!
//! # Words
//!
//! - *event*: a CloudEvent, who sent it is its *source*. [`event`]
//! - *registry*: what the province knows of itself: *areas* (dated, with levels), sources, *sectors* (departments). [`registry`], [`geo`]
//! - *pipeline*: one YAML file: which events, which *windows* (one `[start, end)` of one *measurement* and key), which *rules*. [`pipeline`]
//! - *watermark*: how far event time has come in one partition; *late*: what comes too long after it. [`engine::collect`]
//! - *partial*: what one partition knows about one window; *row*: a window published, with *revision* and *state*. [`engine::merge`]
//! - *alert*: *condition* (pending, firing, no data, resolved) and *handling* (new, acknowledged, assigned, closed) move apart. [`engine::alert`]
//! - *tick*: the engine's only clock, and its only input besides events. [`engine::Tick`], cut by [`driver`]
//! - *lane*: one run of the engine with one clock: live, a file run, a replay, a test. [`engine::lane`]
//! - *scenario*: a timeline of events and what must come of it. [`scenario`]
//! - *journal*: what happened, in the order in which it was decided; *checkpoint*: the whole state at a tick. [`journal`], [`checkpoint`]
//! - *outbox*: alert changes on their way to other programs. [`notify`]
//! - *board*: the live picture that a page holds. [`server::board`]
//! - *replay*: the past again, from a checkpoint and the journaled ticks. [`replay`]
//!
//! Three times, never mixed: *event time* (in the event), *broker time* (when the log took it), *tick time*. The wall clock is read where the
//! embedded log appends and where the driver cuts, nowhere else.
//!
//! # Follow one event
//!
//! [`ingest`] gives bytes and a position → [`event::decode`] an event or a reason → [`engine::collect`] a verdict, and the windows it adds to →
//! at a tick [`engine::merge`] folds partitions and fires rows → [`engine::rule`] judges them, [`engine::alert`] moves alerts →
//! [`driver::gate`] writes the journal, then lets out: rows to [`store`], the picture to [`server`].
//!
//! [`time`] to [`scenario`] are pure: no clock, no input or output, no threads, no chance. Live, file runs and tests call the same functions.
//! Order of modules: README.md, checked by `tests/tidy.rs`. Start reading at [`app`] (what is put together) or [`engine`] (what is computed).

pub mod app;
pub mod checkpoint;
pub mod cli;
pub mod definitions;
pub mod disk;
pub mod driver;
pub mod engine;
pub mod event;
pub mod file_run;
pub mod geo;
pub mod ingest;
pub mod journal;
pub mod notify;
pub mod pipeline;
pub mod registry;
pub mod replay;
pub mod scenario;
pub mod server;
pub mod settings;
pub mod simulate;
pub mod store;
pub mod telemetry;
pub mod time;
