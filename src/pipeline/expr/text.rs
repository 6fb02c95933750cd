//! Functions on texts and times.
//!
//! Owns: [`Function`] and how texts become numbers and times and back. Refuses to know: clocks, the machine's zones (the zone data is
//! compiled in, so the same text is the same instant everywhere).
//!
//! Invariants
//! 1. What does not read as asked is unknown, never a wrong value.
//! 2. An instant lies in 1900..2200, as `Timestamp` says.
//!
//! Called by: op (evaluates), compile (makes).

use super::op::Op;
use super::{Inputs, Value};
use crate::time::Timestamp;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use std::borrow::Cow;

#[derive(Clone, Debug)]
pub enum Function {
    /// `double(s)`: "" is no value.
    Double(Op),
    /// `string(x)`.
    Text(Op),
    Lower(Op),
    /// `replace(s, from, to)`.
    Replace(Op, Op, Op),
    /// `split(s, separator)[i]`; a negative index counts from the end.
    Split(Op, Op, i32),
    /// `time(s)`: RFC 3339.
    Time(Op),
    /// `time(s, format, zone)`.
    TimeOf(Op, String, TimeZone),
    /// `format_time(t)`: RFC 3339 in UTC.
    FormatTime(Op),
}

impl Function {
    pub fn arguments(&self) -> Vec<&Op> {
        match self {
            Function::Double(a)
            | Function::Text(a)
            | Function::Lower(a)
            | Function::Time(a)
            | Function::TimeOf(a, ..)
            | Function::FormatTime(a) => vec![a],
            Function::Split(a, b, _) => vec![a, b],
            Function::Replace(a, b, c) => vec![a, b, c],
        }
    }

    pub fn value<'a, I: Inputs + ?Sized>(&'a self, i: &'a I) -> Value<'a> {
        self.known(i).unwrap_or(Value::Unknown)
    }

    fn known<'a, I: Inputs + ?Sized>(&'a self, i: &'a I) -> Option<Value<'a>> {
        match self {
            Function::Double(a) => match a.value(i) {
                Value::Text(s) => read_number(&s).map(Value::Num),
                Value::Num(n) => Some(Value::Num(n)),
                _ => None,
            },
            Function::Text(a) => match a.value(i) {
                Value::Text(s) => Some(Value::Text(s)),
                other => Some(Value::Text(Cow::Owned(other.text()?.into_owned()))),
            },
            Function::Lower(a) => Some(Value::Text(Cow::Owned(text_of(a, i)?.to_lowercase()))),
            Function::Replace(a, from, to) => {
                let (text, from, to) = (text_of(a, i)?, text_of(from, i)?, text_of(to, i)?);
                let same = from.is_empty() || !text.contains(&*from);
                Some(Value::Text(if same { text } else { Cow::Owned(text.replace(&*from, &to)) }))
            }
            Function::Split(a, separator, index) => {
                let (text, separator) = (text_of(a, i)?, text_of(separator, i)?);
                let n = index.unsigned_abs() as usize;
                let part = match (separator.is_empty(), *index < 0) {
                    (true, _) => (*index == 0).then_some(&*text),
                    (false, false) => text.split(&*separator).nth(n),
                    (false, true) => text.rsplit(&*separator).nth(n - 1),
                }?;
                Some(Value::Text(Cow::Owned(part.to_owned())))
            }
            Function::Time(a) => match a.value(i) {
                Value::Text(s) => Timestamp::parse_rfc3339(s.trim().as_bytes()).map(Value::Time),
                Value::Time(t) => Some(Value::Time(t)),
                _ => None,
            },
            Function::TimeOf(a, format, zone) => read_time(&text_of(a, i)?, format, zone).map(Value::Time),
            Function::FormatTime(a) => match a.value(i) {
                Value::Time(t) => Some(Value::Text(Cow::Owned(t.to_string()))),
                _ => None,
            },
        }
    }
}

fn text_of<'a, I: Inputs + ?Sized>(op: &'a Op, i: &'a I) -> Option<Cow<'a, str>> {
    match op.value(i) {
        Value::Text(s) => Some(s),
        _ => None,
    }
}

/// A decimal number; empty, infinite and anything else is none.
pub fn read_number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|n: &f64| n.is_finite())
}

/// The shortest decimal text that reads back as the same double, valid JSON: `12`, `0.5`, `1e21`.
pub fn number_text(n: f64) -> String {
    if n == 0.0 {
        "0".into()
    } else if (1e-5..1e17).contains(&n.abs()) {
        format!("{n}")
    } else {
        format!("{n:e}")
    }
}

/// A local time in `zone` by an strptime format; an offset in the text (`%z`) goes before the zone. A time that a change of the
/// clock skips or repeats is read as RFC 5545 does (the later, the earlier).
pub fn read_time(text: &str, format: &str, zone: &TimeZone) -> Option<Timestamp> {
    let parts = BrokenDownTime::parse(format, text.trim()).ok()?;
    let instant = match parts.to_timestamp() {
        Ok(instant) => instant,
        Err(_) => zone.to_ambiguous_timestamp(parts.to_datetime().ok()?).compatible().ok()?,
    };
    i64::try_from(instant.as_nanosecond()).ok().and_then(|n| in_range(Timestamp(n)))
}

/// Within 1900..2200.
pub fn in_range(t: Timestamp) -> Option<Timestamp> {
    (Timestamp::from_seconds(-2_208_988_800)..Timestamp::from_seconds(7_258_118_400)).contains(&t).then_some(t)
}

/// A zone by IANA name or fixed offset (`+07:00`, `Z`).
pub fn read_zone(name: &str) -> Option<TimeZone> {
    if name == "Z" || name == "UTC" {
        return Some(TimeZone::UTC);
    }
    let offset = || -> Option<TimeZone> {
        let (sign, rest) = name.strip_prefix('+').map(|r| (1, r)).or_else(|| name.strip_prefix('-').map(|r| (-1, r)))?;
        let (hours, minutes) = rest.split_once(':')?;
        let two = |s: &str| (s.len() == 2 && s.bytes().all(|b| b.is_ascii_digit())).then(|| s.parse::<i32>().ok()).flatten();
        let (hours, minutes) = (two(hours)?, two(minutes)?);
        (hours < 24 && minutes < 60).then(|| Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok())?.map(TimeZone::fixed)
    };
    offset().or_else(|| TimeZoneDatabase::bundled().get(name).ok())
}

/// IANA names, for suggestions.
pub fn zone_names() -> Vec<String> {
    TimeZoneDatabase::bundled().available().map(|n| n.as_str().to_owned()).collect()
}

/// Whether jiff knows every directive of a format; the message says which it does not.
pub fn check_format(format: &str) -> Result<(), String> {
    let sample = jiff::civil::date(2025, 7, 15).at(7, 25, 30, 0).to_zoned(TimeZone::UTC).map_err(|e| e.to_string())?;
    let text = jiff::fmt::strtime::format(format, &sample).map_err(|e| last_part(&e))?;
    match BrokenDownTime::parse(format, &text) {
        Ok(parts) if parts.to_datetime().is_ok() || parts.to_timestamp().is_ok() => Ok(()),
        Ok(_) => Err("it gives no date, as %Y-%m-%d would".into()),
        Err(e) => Err(last_part(&e)),
    }
}

/// The cause, without what it was doing.
fn last_part(error: &jiff::Error) -> String {
    let text = error.to_string();
    text.rsplit(": ").next().unwrap_or(&text).to_owned()
}
