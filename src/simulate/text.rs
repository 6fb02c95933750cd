//! Events as bytes.
//!
//! Owns: how a structured CloudEvent and its numbers are written. Refuses to know: what they say.
//!
//! Invariants
//! 1. Members stand in the order specversion, id, source, type, subject, time, data; what is written is JSON.
//!
//! Called by: signals, desk.

use crate::time::Timestamp;
use std::io::Write;

/// Opens an event; `data` is written next, then [`close`].
pub fn open(out: &mut Vec<u8>, id: std::fmt::Arguments<'_>, source: &str, kind: &str, subject: Option<&str>, time: Timestamp) {
    // writing into memory does not fail
    let _ = write!(out, "{{\"specversion\":\"1.0\",\"id\":\"{id}\",\"source\":\"{source}\",\"type\":\"{kind}\"");
    if let Some(subject) = subject {
        let _ = write!(out, ",\"subject\":\"{subject}\"");
    }
    out.extend_from_slice(b",\"time\":\"");
    instant(out, time);
    out.extend_from_slice(b"\",\"data\":{");
}

/// Ends the event, and its data.
pub fn close(out: &mut Vec<u8>) {
    out.extend_from_slice(b"}}");
}

/// `"name":`, after a comma where a member stands before.
fn name(out: &mut Vec<u8>, name: &str) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// A text that needs no escapes.
pub fn word(out: &mut Vec<u8>, key: &str, value: &str) {
    name(out, key);
    out.push(b'"');
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}

pub fn flag(out: &mut Vec<u8>, key: &str, value: Option<bool>) {
    name(out, key);
    out.extend_from_slice(match value {
        Some(true) => b"true",
        Some(false) => b"false",
        None => b"null",
    });
}

pub fn moment(out: &mut Vec<u8>, key: &str, value: Timestamp) {
    name(out, key);
    out.push(b'"');
    instant(out, value);
    out.push(b'"');
}

pub fn whole(out: &mut Vec<u8>, key: &str, value: i64) {
    name(out, key);
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// With at most `places` decimals; `None` is null.
pub fn number(out: &mut Vec<u8>, key: &str, value: Option<f64>, places: u32) {
    name(out, key);
    match value {
        Some(value) => decimal(out, value, places),
        None => out.extend_from_slice(b"null"),
    }
}

fn decimal(out: &mut Vec<u8>, value: f64, places: u32) {
    let scale = 10i64.pow(places);
    let scaled = (value * scale as f64).round() as i64;
    if scaled < 0 {
        out.push(b'-');
    }
    let (int, mut rest) = (scaled.unsigned_abs() / scale as u64, scaled.unsigned_abs() % scale as u64);
    out.extend_from_slice(itoa::Buffer::new().format(int).as_bytes());
    if rest > 0 {
        out.push(b'.');
        let mut place = scale as u64 / 10;
        while rest > 0 {
            out.push(b'0' + (rest / place) as u8);
            rest %= place;
            place /= 10;
        }
    }
}

fn instant(out: &mut Vec<u8>, t: Timestamp) {
    let _ = write!(out, "{t}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_json() {
        let mut out = Vec::new();
        open(&mut out, format_args!("x-{}", 1), "s", "t", Some("R1"), Timestamp::from_seconds(0));
        for (n, v) in [(0, 12.0), (1, 0.05), (2, -3.999), (3, 107.123_456)] {
            number(&mut out, &format!("n{n}"), Some(v), n);
        }
        number(&mut out, "none", None, 1);
        word(&mut out, "w", "Đà Lạt");
        flag(&mut out, "f", Some(false));
        whole(&mut out, "i", -7);
        moment(&mut out, "at", Timestamp::from_seconds(60));
        close(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"specversion":"1.0","id":"x-1","source":"s","type":"t","subject":"R1","time":"1970-01-01T00:00:00Z","data":{"n0":12,"n1":0.1,"n2":-4,"n3":107.123,"none":null,"w":"Đà Lạt","f":false,"i":-7,"at":"1970-01-01T00:01:00Z"}}"#
        );
    }
}
