//! (skeleton) Alerts: condition and handling (R8).
