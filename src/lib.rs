//! `ioc`: an event-stream processor for an Intelligent Operations Center.
pub mod checkpoint;
pub mod disk;
pub mod engine;
pub mod event;
pub mod geo;
pub mod ingest;
pub mod journal;
pub mod pipeline;
pub mod registry;
pub mod server;
pub mod store;
pub mod time;
