//! The one integration test binary: laws as properties, contracts as tables in simulated time, crashes over the real files.

mod laws;
mod support;
