//! Instants of a scenario: absolute, or counted from its start.
//!
//! Owns: the two texts and the way back. Refuses to know: files.
//!
//! Invariants
//! 1. `moment(since(t, start), start)` is t for every t.
//!
//! Called by: spec, expect, json, told.

use crate::time::{Span, Timestamp};
use std::fmt::Write;

/// "+90s", "+1h30m", "-5m" count from `start`; else RFC 3339 with an offset.
pub fn moment(text: &str, start: Timestamp) -> Option<Timestamp> {
    match text.as_bytes().first()? {
        b'+' => Some(start + spans(&text[1..])?),
        b'-' => Some(start - spans(&text[1..])?),
        _ => Timestamp::parse_rfc3339(text.as_bytes()),
    }
}

/// One span or several in a row: "1h30m".
fn spans(text: &str) -> Option<Span> {
    let mut sum = Span::ZERO;
    let mut rest = text;
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |n| digits + n);
        sum = sum + Span::parse(&rest[..unit])?;
        rest = &rest[unit..];
        if rest.is_empty() {
            return Some(sum);
        }
    }
}

/// The text from which [`moment`] reads `t`.
pub fn since(t: Timestamp, start: Timestamp) -> String {
    let span = t - start;
    let mut rest = span.0.unsigned_abs();
    let mut out = String::from(if span.0 < 0 { "-" } else { "+" });
    for (unit, nanos) in
        [("d", 86_400_000_000_000), ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000)]
    {
        if rest >= nanos {
            let _ = write!(out, "{}{unit}", rest / nanos);
            rest %= nanos;
        }
    }
    if rest > 0 {
        // finer than the words of spans
        return t.to_string();
    }
    if out.len() == 1 {
        out.push_str("0s");
    }
    out
}
