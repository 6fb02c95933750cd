//! T1: is an event's time believable?
//!
//! Owns: the faults of the reason `time`. Refuses to know: the wall clock; the broker's time is handed in.
//!
//! Invariants
//! 1. Without a broker time nothing is ahead or behind.
//! 2. Exactly `max_ahead` ahead, or `max_behind` behind, is still good.
//! 3. [`Minute::parse`] gives what [`Timestamp::parse_rfc3339`] gives, always.
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

/// Reads times quickly that lie in the same minute, written in the same way, as the one before.
#[derive(Debug, Default)]
pub(crate) struct Minute {
    /// "2026-11-01T07:00:"
    head: [u8; 17],
    /// "Z" or "+07:00", with its length.
    zone: [u8; 6],
    zone_length: usize,
    /// The minute's first instant.
    start: i64,
}

impl Minute {
    #[inline(always)]
    pub fn parse(&mut self, text: &[u8]) -> Option<Timestamp> {
        if let Some((head, rest)) = text.split_first_chunk::<17>()
            && *head == self.head
            && let Some((nanos, zone)) = seconds(rest)
            && zone == &self.zone[..self.zone_length]
        {
            return Some(Timestamp(self.start + nanos));
        }
        self.parse_whole(text)
    }

    #[inline(never)]
    fn parse_whole(&mut self, text: &[u8]) -> Option<Timestamp> {
        // none but these years can be read; those far outside do not even fit a count of nanoseconds
        if !(*b"1899"..=*b"2200").contains(text.first_chunk::<4>()?) {
            return None;
        }
        let time = Timestamp::parse_rfc3339(text)?;
        if let Some((head, rest)) = text.split_first_chunk::<17>()
            && let Some((nanos, zone)) = seconds(rest)
            && zone.len() <= 6
        {
            (self.head, self.start, self.zone_length) = (*head, time.0 - nanos, zone.len());
            self.zone[..zone.len()].copy_from_slice(zone);
        }
        Some(time)
    }
}

/// Seconds below 60 with at most 9 digits of fraction, in nanoseconds, and what follows.
#[inline(always)]
fn seconds(rest: &[u8]) -> Option<(i64, &[u8])> {
    let [tens @ b'0'..=b'5', ones @ b'0'..=b'9', rest @ ..] = rest else { return None };
    let mut nanos = (i64::from(tens - b'0') * 10 + i64::from(ones - b'0')) * 1_000_000_000;
    let [b'.', fraction @ ..] = rest else { return Some((nanos, rest)) };
    let mut scale = 100_000_000;
    for (k, c) in fraction.iter().enumerate() {
        let digit = c.wrapping_sub(b'0');
        if digit > 9 {
            return (k > 0).then_some((nanos, &fraction[k..]));
        }
        if k == 9 {
            return None;
        }
        nanos += i64::from(digit) * scale;
        scale /= 10;
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

#[cfg(test)]
mod tests {
    use super::Minute;
    use crate::time::Timestamp;

    #[test]
    fn years_that_do_not_fit_are_no_times() {
        for year in ["0000", "0001", "1677", "1898", "2201", "2263", "9999"] {
            assert_eq!(Minute::default().parse(format!("{year}-07-15T07:25:30Z").as_bytes()), None, "{year}");
        }
    }

    #[test]
    fn a_remembered_minute_changes_no_time() {
        let mut minute = Minute::default();
        let heads = ["2025-07-15T07:25:", "2025-07-15T07:26:", "2025-07-15t07:25:", "1899-12-31T23:59:", "2025-02-29T00:00:"];
        let seconds = ["00", "30", "59", "60", "61", "5", "", "30.", "30.5", "30.123", "30.123456789", "30.1234567891", "30,5", "3a"];
        let zones = ["Z", "z", "+07:00", "-07:00", "+07:0", "+0700", "", "Z ", "+24:00"];
        // every pair of neighbours once, so that each is read after many others
        for head in heads {
            for zone in zones {
                for second in seconds {
                    for other in ["2025-07-15T07:25:07Z", "2025-07-15T07:25:07+07:00", "2025-07-15T07:26:59.999Z"] {
                        for text in [other.to_owned(), format!("{head}{second}{zone}")] {
                            assert_eq!(minute.parse(text.as_bytes()), Timestamp::parse_rfc3339(text.as_bytes()), "{text}");
                        }
                    }
                }
            }
        }
    }
}
