//! Scenarios: a timeline of events in simulated time, and what must come of it. One `*.test.yaml` beside each pipeline.
//!
//! Owns: the file format ([`ScenarioFile`]; docs/scenarios.md), how a timeline drives a lane, how what came is told against what was
//! expected. Refuses to know: files and folders, the clock, how the engine computes.
//!
//! Invariants
//! 1. Events go through the same lane as live ones: decoded, judged, windowed, merged, ruled; nothing is imitated.
//! 2. The same texts give the same outcome, to the letter.
//! 3. Every failure names the place of the expectation in its file and shows what came instead.
//!
//! Called by: cli (`ioc test`, `ioc check`), tests.

mod cases;
mod expect;
mod json;
mod judge;
mod moment;
mod run;
mod spec;
mod told;

#[cfg(test)]
mod tests;

pub use cases::CaseExpect;
pub use expect::{AlertExpect, Expect, RowExpect};
pub use judge::{Failure, Outcome};
pub use moment::{moment, since};
pub use spec::{Clock, ScenarioFile, Test};
