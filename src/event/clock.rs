//! T1: is an event's time believable?
//!
//! Owns: the faults of the reason `time`. Refuses to know: the wall clock; the broker's time is handed in.
//!
//! Invariants
//! 1. Without a broker time nothing is ahead or behind.
//! 2. Exactly `max_ahead` ahead, or `max_behind` behind, is still good.
//!
//! Called by: event::decode (times that cannot be read), engine::collect through ingest (times that cannot be).

use super::{Reason, Rejected};
use crate::time::{Span, Timestamp};

/// Refuses an event that lies ahead of the broker's time by more than `max_ahead`, or behind it by more than `max_behind`.
pub fn judge_time(time: Timestamp, broker_time: Option<Timestamp>, max_ahead: Span, max_behind: Option<Span>) -> Option<Rejected> {
    let broker = broker_time?;
    if time > broker + max_ahead {
        let detail = format!("the event's time {time} is {} ahead of its arrival {broker}, at most {max_ahead} is believed", time - broker);
        return Some(fault("ahead", 0, detail));
    }
    let max_behind = max_behind?;
    if time < broker - max_behind {
        let detail = format!("the event's time {time} is {} before its arrival {broker}, at most {max_behind} is taken", broker - time);
        return Some(fault("behind", 0, detail));
    }
    None
}

/// A time that is not there or cannot be read.
#[cold]
pub(crate) fn unreadable(text: Option<&str>, at: usize) -> Box<Rejected> {
    let Some(text) = text else { return Box::new(fault("missing", at, "the attribute \"time\" is missing".into())) };
    let shown = super::walk::excerpt(text);
    // the same time in a year that can be read: then it is the year
    let elsewhere = text.get(4..).map(|rest| format!("2000{rest}"));
    let digits = text.len() > 4 && text.bytes().take(4).all(|b| b.is_ascii_digit());
    if digits && elsewhere.is_some_and(|t| Timestamp::parse_rfc3339(t.as_bytes()).is_some()) {
        return Box::new(fault("range", at, format!("\"{shown}\" is no day between 1900 and 2200")));
    }
    Box::new(fault("unparsable", at, format!("\"{shown}\" is no RFC 3339 time with an offset, such as 2025-07-15T07:25:30+07:00")))
}

fn fault(what: &'static str, at: usize, detail: String) -> Rejected {
    let at = u32::try_from(at).unwrap_or(u32::MAX);
    Rejected { reason: Reason::Time, what: what.into(), path: "time".into(), at, detail, source: None }
}
