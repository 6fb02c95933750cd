//! Time as values: [`Timestamp`] (an instant) and [`Span`] (a length), both in nanoseconds; alignment of windows to a time zone.
//!
//! Owns: both types, their texts, and calendar arithmetic. Refuses to know: the wall clock. Nothing here reads a clock; instants come from events, the log and ticks.
//!
//! Invariants
//! 1. A `Timestamp` that was parsed lies in 1900..2200, so sums with any `Span` of the product never overflow.
//! 2. Text in is RFC 3339 with an offset; text out is RFC 3339 in UTC with no needless zeros.
//! 3. `Alignment::start_of(t)` ≤ t < `Alignment::end_of(start)` for every t; ends rise as starts do.
//!
//! time/working.rs: time that counts only while offices are open.
//!
//! Called by: everything.

pub mod working;

use serde::{Deserialize, Serialize};
use std::fmt;

pub const NANOS_PER_MILLI: i64 = 1_000_000;
pub const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// An instant: nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Before every instant that can be parsed.
    pub const MIN: Timestamp = Timestamp(i64::MIN / 2);
    /// After every instant that can be parsed: the watermark of a finished file.
    pub const MAX: Timestamp = Timestamp(i64::MAX / 2);
    const FIRST: i64 = -2_208_988_800; // 1900-01-01T00:00:00Z in seconds
    const END: i64 = 7_258_118_400; // 2200-01-01T00:00:00Z in seconds

    /// Beyond what nanoseconds can say it is the nearest that they can.
    pub const fn from_millis(ms: i64) -> Self {
        Timestamp(ms.saturating_mul(NANOS_PER_MILLI))
    }

    pub const fn from_seconds(s: i64) -> Self {
        Timestamp(s * NANOS_PER_SECOND)
    }

    /// Whole milliseconds, rounded down.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(NANOS_PER_MILLI)
    }

    /// Parses RFC 3339 (section 5.6): `T` or `t` or a space between date and time, up to 9 digits of fraction kept (further
    /// digits are read and dropped), offset `Z` or ±hh:mm. A leap second (`:60`) counts as the first instant of the next minute.
    /// `None` for anything else, impossible dates and years outside 1900..2200 included.
    pub fn parse_rfc3339(text: &[u8]) -> Option<Self> {
        if text.len() < 20 {
            return None;
        }
        let two = |i: usize| -> Option<i64> {
            let (a, b) = (text[i].wrapping_sub(b'0'), text[i + 1].wrapping_sub(b'0'));
            (a < 10 && b < 10).then_some(a as i64 * 10 + b as i64)
        };
        if text[4] != b'-' || text[7] != b'-' || text[13] != b':' || text[16] != b':' {
            return None;
        }
        if !matches!(text[10], b'T' | b't' | b' ') {
            return None;
        }
        let year = two(0)? * 100 + two(2)?;
        let (month, day, hour, minute, second) = (two(5)?, two(8)?, two(11)?, two(14)?, two(17)?);
        if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let mut i = 19;
        let mut nanos = 0i64;
        if text[i] == b'.' {
            i += 1;
            let from = i;
            let mut scale = 100_000_000;
            while i < text.len() && text[i].is_ascii_digit() {
                nanos += (text[i] - b'0') as i64 * scale;
                scale /= 10;
                i += 1;
            }
            if i == from {
                return None;
            }
        }
        let offset_minutes = match text.get(i)? {
            b'Z' | b'z' if i + 1 == text.len() => 0,
            sign @ (b'+' | b'-') if i + 6 == text.len() && text[i + 3] == b':' => {
                let (h, m) = (two(i + 1)?, two(i + 4)?);
                if h > 23 || m > 59 {
                    return None;
                }
                if *sign == b'+' { h * 60 + m } else { -(h * 60 + m) }
            }
            _ => return None,
        };
        let seconds = ((days_from_civil(year, month, day) * 24 + hour) * 60 + minute - offset_minutes) * 60 + second;
        (Self::FIRST..Self::END).contains(&seconds).then(|| Timestamp(seconds * NANOS_PER_SECOND + nanos))
    }

    /// The first instant of the 1 s grid at or after this one.
    pub const fn ceil_second(self) -> Self {
        Timestamp((self.0 + NANOS_PER_SECOND - 1).div_euclid(NANOS_PER_SECOND) * NANOS_PER_SECOND)
    }

    /// Parts in UTC: year, month, day, hour, minute, second, nanosecond.
    fn civil(self) -> (i64, i64, i64, i64, i64, i64, i64) {
        let seconds = self.0.div_euclid(NANOS_PER_SECOND);
        let nanos = self.0.rem_euclid(NANOS_PER_SECOND);
        let (y, m, d) = civil_from_days(seconds.div_euclid(86_400));
        let s = seconds.rem_euclid(86_400);
        (y, m, d, s / 3600, s / 60 % 60, s % 60, nanos)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC; the fraction has 0, 3, 6 or 9 digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (y, mo, d, h, mi, s, n) = self.civil();
        write!(f, "{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}")?;
        if n % 1_000_000 == 0 {
            if n > 0 {
                write!(f, ".{:03}", n / 1_000_000)?;
            }
        } else if n % 1000 == 0 {
            write!(f, ".{:06}", n / 1000)?;
        } else {
            write!(f, ".{n:09}")?;
        }
        f.write_str("Z")
    }
}

impl std::ops::Add<Span> for Timestamp {
    type Output = Timestamp;
    fn add(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_add(span.0))
    }
}

impl std::ops::Sub<Span> for Timestamp {
    type Output = Timestamp;
    fn sub(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_sub(span.0))
    }
}

impl std::ops::Sub<Timestamp> for Timestamp {
    type Output = Span;
    fn sub(self, other: Timestamp) -> Span {
        Span(self.0.saturating_sub(other.0))
    }
}

/// A length of time in nanoseconds; negative only as a difference.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(pub i64);

impl Span {
    pub const ZERO: Span = Span(0);

    pub const fn seconds(n: i64) -> Span {
        Span(n * NANOS_PER_SECOND)
    }

    pub const fn minutes(n: i64) -> Span {
        Span::seconds(n * 60)
    }

    pub const fn hours(n: i64) -> Span {
        Span::seconds(n * 3600)
    }

    pub const fn days(n: i64) -> Span {
        Span::seconds(n * 86_400)
    }

    pub const fn millis(self) -> i64 {
        self.0.div_euclid(NANOS_PER_MILLI)
    }

    pub const fn times(self, n: i64) -> Span {
        Span(self.0 * n)
    }

    /// Parses one number and one unit of `ms`, `s`, `m`, `h`, `d`, `w` ("5m", "90s"); a day has 24 hours here.
    /// `0` and `0s` are zero. Calendar units (`mo`) are read by [`Every::parse`] only.
    pub fn parse(text: &str) -> Option<Span> {
        if text == "0" {
            return Some(Span::ZERO);
        }
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = text[..digits].parse().ok()?;
        let unit = match &text[digits..] {
            "ms" => NANOS_PER_MILLI,
            "s" => NANOS_PER_SECOND,
            "m" => 60 * NANOS_PER_SECOND,
            "h" => 3600 * NANOS_PER_SECOND,
            "d" => 86_400 * NANOS_PER_SECOND,
            "w" => 7 * 86_400 * NANOS_PER_SECOND,
            _ => return None,
        };
        number.checked_mul(unit).filter(|n| *n <= Span::days(36_500).0).map(Span)
    }
}

impl std::ops::Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

impl std::ops::Sub for Span {
    type Output = Span;
    fn sub(self, other: Span) -> Span {
        Span(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Span {
    /// The largest unit that divides the span: "5m", "90s", "250ms".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, nanos) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
            let nanos = nanos * NANOS_PER_MILLI;
            if self.0 != 0 && self.0 % nanos == 0 {
                return write!(f, "{}{unit}", self.0 / nanos);
            }
        }
        write!(f, "{}s", self.0 as f64 / NANOS_PER_SECOND as f64)
    }
}

/// How windows follow one another: a fixed span below a day, or whole days, weeks or months of a calendar.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Every {
    Fixed(Span),
    Days(u16),
    Months(u16),
}

impl Every {
    /// "10s", "15m", "1h" are fixed; "1d", "2w", "1mo" follow the calendar. `None` for anything else, and for zero.
    pub fn parse(text: &str) -> Option<Every> {
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let number: u16 = text[..digits].parse().ok().filter(|n| *n > 0)?;
        match &text[digits..] {
            "d" => Some(Every::Days(number)),
            "w" => Some(Every::Days(number.checked_mul(7)?)),
            "mo" => Some(Every::Months(number)),
            _ => Span::parse(text).map(Every::Fixed),
        }
    }

    /// The nominal length: a day is 24 h, a month 30 d. For defaults and bounds, never for alignment.
    pub const fn nominal(self) -> Span {
        match self {
            Every::Fixed(s) => s,
            Every::Days(n) => Span::days(n as i64),
            Every::Months(n) => Span::days(30 * n as i64),
        }
    }
}

/// Where windows of one [`Every`] begin and end in one time zone (T6).
///
/// Fixed spans are cut from local midnight by the zone's offset of 2024-01-01 (one offset, so that windows partition
/// the time line); days, weeks (from Monday) and months follow the zone's calendar. Hopping windows are longer than the step
/// from one to the next, so that they overlap.
#[derive(Clone, Debug)]
pub struct Alignment {
    every: Every,
    /// Length of a window, in the kind of `every`.
    period: Every,
    zone: jiff::tz::TimeZone,
    /// Fixed spans: start = t - (t + shift) mod span.
    shift: i64,
}

impl Alignment {
    /// Windows one after another.
    pub fn new(every: Every, zone: jiff::tz::TimeZone) -> Self {
        let reference = jiff::Timestamp::from_second(1_704_067_200).expect("2024-01-01 is an instant");
        let shift = zone.to_offset(reference).seconds() as i64 * NANOS_PER_SECOND;
        Alignment { every, period: every, zone, shift }
    }

    /// Windows of `period` that begin every `every`. `None`: the period is shorter than the step, or steps by the calendar and the
    /// period does not (or months and days meet). A period of days over fixed steps has 24 h a day.
    pub fn hopping(every: Every, period: Every, zone: jiff::tz::TimeZone) -> Option<Self> {
        let period = match (every, period) {
            (Every::Fixed(_), Every::Fixed(_) | Every::Days(_)) => Every::Fixed(period.nominal()),
            (Every::Days(_), Every::Days(_)) | (Every::Months(_), Every::Months(_)) => period,
            _ => return None,
        };
        (period.nominal() >= every.nominal()).then(|| Alignment { period, ..Alignment::new(every, zone) })
    }

    /// From one window's start to the next.
    pub fn every(&self) -> Every {
        self.every
    }

    /// Length of a window: `every` where they follow one another.
    pub fn period(&self) -> Every {
        self.period
    }

    pub fn is_hopping(&self) -> bool {
        self.period != self.every
    }

    /// Start of the newest window that holds `t`.
    #[inline]
    pub fn start_of(&self, t: Timestamp) -> Timestamp {
        match self.every {
            Every::Fixed(span) => Timestamp(t.0 - (t.0 + self.shift).rem_euclid(span.0)),
            Every::Days(n) => {
                let days = self.day_of(t);
                // 1970-01-05 was a Monday: weeks begin there
                self.midnight_of_day(days - (days - 4).rem_euclid(n as i64))
            }
            Every::Months(n) => {
                let months = self.month_of(t);
                self.midnight_of_month(months - months.rem_euclid(n as i64))
            }
        }
    }

    /// Start of the oldest window that holds `t`.
    pub fn first_start_of(&self, t: Timestamp) -> Timestamp {
        let mut start = self.start_of(t);
        while self.is_hopping() {
            let before = self.start_of(start - Span(1));
            if self.end_of(before) <= t {
                break;
            }
            start = before;
        }
        start
    }

    /// End of the window that begins at `start`.
    #[inline]
    pub fn end_of(&self, start: Timestamp) -> Timestamp {
        self.moved(start, self.period, 1)
    }

    /// Start of the window after the one that begins at `start`.
    pub fn next_start(&self, start: Timestamp) -> Timestamp {
        self.moved(start, self.every, 1)
    }

    /// Start of the window that ends at `end`.
    pub fn start_of_end(&self, end: Timestamp) -> Timestamp {
        self.moved(end, self.period, -1)
    }

    /// A window's border moved by so many spans, by the calendar where they are of the calendar and so is `every`.
    pub fn moved(&self, border: Timestamp, by: Every, times: i64) -> Timestamp {
        match by {
            Every::Fixed(span) => border + span.times(times),
            Every::Days(n) => self.midnight_of_day(self.day_of(border) + times * n as i64),
            Every::Months(n) => self.midnight_of_month(self.month_of(border) + times * n as i64),
        }
    }

    /// Days since 1970-01-01 of the date at `t`.
    fn day_of(&self, t: Timestamp) -> i64 {
        let date = self.date_of(t);
        days_from_civil(date.year() as i64, date.month() as i64, date.day() as i64)
    }

    fn month_of(&self, t: Timestamp) -> i64 {
        let date = self.date_of(t);
        date.year() as i64 * 12 + date.month() as i64 - 1
    }

    fn date_of(&self, t: Timestamp) -> jiff::civil::Date {
        let instant = jiff::Timestamp::from_nanosecond(t.0 as i128).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        self.zone.to_datetime(instant).date()
    }

    fn midnight_of_day(&self, days: i64) -> Timestamp {
        let (y, m, d) = civil_from_days(days);
        self.midnight(y, m, d)
    }

    fn midnight_of_month(&self, months: i64) -> Timestamp {
        self.midnight(months.div_euclid(12), months.rem_euclid(12) + 1, 1)
    }

    fn midnight(&self, y: i64, m: i64, d: i64) -> Timestamp {
        let date = jiff::civil::Date::new(y as i16, m as i8, d as i8).unwrap_or(jiff::civil::Date::ZERO);
        let zoned = date.to_zoned(self.zone.clone());
        Timestamp(zoned.map_or(0, |z| z.timestamp().as_nanosecond() as i64))
    }
}

fn days_in_month(y: i64, m: i64) -> i64 {
    match m {
        2 if y % 4 == 0 && (y % 100 != 0 || y % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a proleptic Gregorian date (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
pub(crate) fn days_from_civil(y: i64, m: i64, d: i64) -> i64 {
    let y = if m <= 2 { y - 1 } else { y };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * (m + if m > 2 { -3 } else { 9 }) + 2) / 5 + d - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let m = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(m <= 2), m, doy - (153 * mp + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_in_and_out() {
        for (text, out) in [
            ("2025-07-15T07:25:30+07:00", "2025-07-15T00:25:30Z"),
            ("2025-07-15T07:00:00.007000+07:00", "2025-07-15T00:00:00.007Z"),
            ("2025-07-15t00:25:30.123456789z", "2025-07-15T00:25:30.123456789Z"),
            ("2024-02-29 23:59:60Z", "2024-03-01T00:00:00Z"),
        ] {
            assert_eq!(Timestamp::parse_rfc3339(text.as_bytes()).map(|t| t.to_string()).as_deref(), Some(out), "{text}");
        }
        for bad in [
            "2025-07-15T07:25:30",
            "2025-02-29T00:00:00Z",
            "2025-7-15T07:25:30Z",
            "2025-07-15T24:00:00Z",
            "1850-01-01T00:00:00Z",
            "2025-07-15T07:25:30.Z",
            "2025-07-15T07:25:30+0700",
            "",
        ] {
            assert_eq!(Timestamp::parse_rfc3339(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn windows_align_to_the_zone_t6() {
        let zone = jiff::tz::TimeZone::get("Asia/Ho_Chi_Minh").unwrap();
        let at = |s: &str| Timestamp::parse_rfc3339(s.as_bytes()).unwrap();
        let t = at("2025-07-15T03:17:29+07:00");
        for (every, start, end) in [
            ("10s", "2025-07-15T03:17:20+07:00", "2025-07-15T03:17:30+07:00"),
            ("12h", "2025-07-15T00:00:00+07:00", "2025-07-15T12:00:00+07:00"),
            ("1d", "2025-07-15T00:00:00+07:00", "2025-07-16T00:00:00+07:00"),
            ("1w", "2025-07-14T00:00:00+07:00", "2025-07-21T00:00:00+07:00"),
            ("1mo", "2025-07-01T00:00:00+07:00", "2025-08-01T00:00:00+07:00"),
        ] {
            let alignment = Alignment::new(Every::parse(every).unwrap(), zone.clone());
            assert_eq!(alignment.start_of(t), at(start), "{every}");
            assert_eq!(alignment.end_of(at(start)), at(end), "{every}");
        }
    }

    #[test]
    fn hopping_windows_align_and_end_t6() {
        let at = |s: &str| Timestamp::parse_rfc3339(s.as_bytes()).unwrap();
        let t = at("2025-03-30T10:17:29+01:00");
        for (every, period, oldest, newest, end) in [
            ("15m", "1h", "2025-03-30T08:30:00Z", "2025-03-30T09:15:00Z", "2025-03-30T10:15:00Z"),
            ("20m", "50m", "2025-03-30T08:40:00Z", "2025-03-30T09:00:00Z", "2025-03-30T09:50:00Z"),
            // the night in which London's clocks go forward: that day has 23 hours
            ("1d", "7d", "2025-03-24T00:00:00Z", "2025-03-30T00:00:00Z", "2025-04-05T23:00:00Z"),
            ("1w", "2w", "2025-03-17T00:00:00Z", "2025-03-24T00:00:00Z", "2025-04-06T23:00:00Z"),
            ("1mo", "3mo", "2025-01-01T00:00:00Z", "2025-03-01T00:00:00Z", "2025-05-31T23:00:00Z"),
            ("1d", "1d", "2025-03-30T00:00:00Z", "2025-03-30T00:00:00Z", "2025-03-30T23:00:00Z"),
        ] {
            let zone = jiff::tz::TimeZoneDatabase::bundled().get("Europe/London").unwrap();
            let hop = Alignment::hopping(Every::parse(every).unwrap(), Every::parse(period).unwrap(), zone).unwrap();
            assert_eq!((hop.first_start_of(t), hop.start_of(t)), (at(oldest), at(newest)), "{period} every {every}");
            assert_eq!(hop.end_of(hop.start_of(t)), at(end), "{period} every {every}");
            assert_eq!(hop.start_of_end(at(end)), at(newest), "{period} every {every}");
            assert_eq!(hop.start_of(hop.next_start(at(newest))), hop.next_start(at(newest)));
        }
        for (every, period) in [("1h", "15m"), ("1d", "1h"), ("1d", "1mo"), ("1mo", "31d"), ("1h", "1mo")] {
            let hop = Alignment::hopping(Every::parse(every).unwrap(), Every::parse(period).unwrap(), jiff::tz::TimeZone::UTC);
            assert!(hop.is_none(), "{period} every {every}");
        }
    }

    #[test]
    fn spans_read_and_print() {
        for text in ["5m", "90s", "2d", "250ms"] {
            assert_eq!(Span::parse(text).unwrap().to_string(), text);
        }
        for bad in ["", "5", "m", "1mo", "-5m", "5 m", "1.5h", "99999999d"] {
            assert_eq!(Span::parse(bad), None, "{bad}");
        }
    }
}
