//! `ioc`: an event-stream processor for an Intelligent Operations Center.
pub mod checkpoint;
pub mod definitions;
pub mod disk;
pub mod driver;
pub mod engine;
pub mod event;
pub mod file_run;
pub mod geo;
pub mod ingest;
pub mod journal;
pub mod pipeline;
pub mod registry;
pub mod server;
pub mod settings;
pub mod store;
pub mod telemetry;
pub mod time;
