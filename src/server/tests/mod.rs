//! Tests of the server as a whole.

mod wire_ts;
