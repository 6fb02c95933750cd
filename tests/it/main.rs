//! The one integration test binary: laws as properties, contracts as tables in simulated time, crashes over the real files; with the
//! feature `services` also the cases on real Kafka and InfluxDB.

mod contracts;
mod crash;
mod editor;
mod explain;
mod integrator;
mod laws;
mod laws_fill;
mod operator;
mod out;
mod redrive;
mod replay;
mod scenarios;
#[cfg(feature = "services")]
mod services;
mod simulated;
mod support;
mod terminal;
