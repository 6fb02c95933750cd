//! Records that a bad line or a bad program has damaged.
//!
//! Owns: the eight ways. Refuses to know: who counts them.
//!
//! Invariants
//! 1. What is damaged is always refused, for the reason that is given (tested with the decoder).
//! 2. The time is never touched: what is refused for its time has a wrong clock, nothing else.
//!
//! Called by: stream.

/// Damages one event in one of eight ways; the reason for which it will be rejected, and whether its source can still be read.
pub fn damage(bytes: &mut Vec<u8>, bits: u64) -> (&'static str, bool) {
    let Some(data) = find(bytes, b"\"data\":") else { return ("", false) };
    match bits % 8 {
        0 => {
            bytes.truncate(data + 9 + (bits >> 8) as usize % 8);
            ("bytes", true)
        }
        1 => {
            bytes.splice(data + 8..data + 8, *b"\"x\":\"\xff\",");
            ("bytes", false)
        }
        2 => {
            bytes.extend_from_slice(b"}");
            ("bytes", true)
        }
        3 => {
            replace(bytes, b"\"specversion\":\"1.0\"", b"\"specversion\":\"0.3\"");
            ("envelope", true)
        }
        4 => {
            replace(bytes, b"\"type\":", b"\"kind\":");
            ("envelope", true)
        }
        5 => {
            replace(bytes, b"\"specversion\":\"1.0\",", b"");
            ("envelope", true)
        }
        6 => {
            bytes.truncate(data);
            bytes.extend_from_slice(b"\"data\":[]}");
            ("schema", true)
        }
        _ => {
            bytes.truncate(data);
            bytes.extend_from_slice(b"\"data\":\"#N/A\"}");
            ("schema", true)
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, what)
}

fn replace(bytes: &mut Vec<u8>, what: &[u8], with: &[u8]) {
    if let Some(at) = find(bytes, what) {
        bytes.splice(at..at + what.len(), with.iter().copied());
    }
}
