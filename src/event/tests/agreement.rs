//! Law: what is JSON, and what its values are, is judged as `serde_json` judges it.
//!
//! Known differences, on purpose: half a surrogate pair is JSON (`serde_json` refuses it), a number beyond doubles is JSON and
//! empties its field, and 128 levels may be open (there 127).

use super::decoder;
use crate::event::{Reason, Scalar};
use proptest::prelude::*;
use serde_json::Value;

const WANTED: [&str; 5] = ["data.a", "data.b.c", "data.b.d.a", "data.đ", "data.value_with_a_long_name"];
const NAMES: [&str; 8] = ["a", "b", "c", "d", "đ", "value_with_a_long_name", "lon", "x\"\\\n"];

fn json() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<f64>().prop_filter("finite", |v| v.is_finite()).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-100_000i64..100_000, 0u32..6).prop_map(|(m, e)| Value::from(m as f64 / 10f64.powi(e as i32))),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        ".{0,20}".prop_map(Value::from),
        "[a-z ]{0,12}".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((0..NAMES.len(), inner), 0..6)
                .prop_map(|members| members.into_iter().map(|(n, v)| (NAMES[n].to_owned(), v)).collect()),
        ]
    })
}

fn event(data: &Value, pretty: bool) -> String {
    let whole =
        serde_json::json!({"specversion": "1.0", "id": "1", "source": "/x", "type": "t", "time": "2025-07-15T00:25:30Z", "data": data});
    if pretty { serde_json::to_string_pretty(&whole).unwrap() } else { whole.to_string() }
}

/// What a slot must hold, by the whole document.
fn expected<'v>(whole: &'v Value, path: &str) -> Scalar<'v> {
    match path.split('.').try_fold(whole, |value, name| value.get(name)) {
        Some(Value::Bool(b)) => Scalar::Bool(*b),
        Some(Value::Number(n)) => n.as_f64().map_or(Scalar::Absent, Scalar::Num),
        Some(Value::String(s)) => Scalar::Text(s),
        _ => Scalar::Absent,
    }
}

fn same(a: Scalar<'_>, b: Scalar<'_>) -> bool {
    match (a, b) {
        (Scalar::Num(a), Scalar::Num(b)) => a.to_bits() == b.to_bits(),
        (a, b) => a == b,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_json_value_is_read_as_serde_json_reads_it(values in prop::collection::vec((json(), any::<bool>()), 1..4)) {
        // one decoder for all: guesses of one event must not disturb the next
        let mut decoder = decoder(&[], &[("t", &WANTED)]);
        for (data, pretty) in values {
            let text = event(&data, pretty);
            let whole: Value = serde_json::from_str(&text).unwrap();
            let event = decoder.decode(text.as_bytes()).map_err(|e| TestCaseError::fail(format!("{text}: {e}")))?;
            for (path, slot) in WANTED.iter().zip(event.slots) {
                prop_assert!(same(*slot, expected(&whole, path)), "{text} {path} {slot:?}");
            }
            prop_assert_eq!(&serde_json::from_slice::<Value>(event.data).unwrap(), &whole["data"]);
        }
    }

    #[test]
    fn damaged_bytes_are_json_here_exactly_if_they_are_for_serde_json(
        data in json(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0..4u8, prop_oneof![any::<u8>(), prop::sample::select(b"\"\\{}[],:0123456789.-+eEntfu \n\xc4\x91".to_vec())]), 0..4),
        cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let mut bytes = event(&data, false).into_bytes();
        for (at, how, byte) in damage {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                _ => bytes.swap(at, (usize::from(byte) * 7) % at.max(1)),
            }
            if bytes.is_empty() {
                bytes.push(byte);
            }
        }
        if cuts {
            bytes.truncate(cut.index(bytes.len()));
        }
        let mut decoder = decoder(&[("t", r#"{"properties":{"a":{"type":["number","string","null"],"maximum":5,"maxLength":3}},"required":["b"]}"#)], &[("t", &WANTED)]);
        let theirs = serde_json::from_slice::<Value>(&bytes);
        let ours = decoder.decode(&bytes);
        let refused = matches!(&ours, Err(rejected) if rejected.reason == Reason::Bytes);
        let differs = |e: &serde_json::Error| e.to_string().contains("surrogate") || e.to_string().contains("out of range") || e.to_string().contains("hex escape");
        match &theirs {
            Ok(_) => prop_assert!(!refused, "{}: {ours:?}", String::from_utf8_lossy(&bytes)),
            Err(error) => prop_assert!(refused || differs(error), "{}: {error} {ours:?}", String::from_utf8_lossy(&bytes)),
        }
        if let Err(rejected) = &ours {
            prop_assert!(rejected.at as usize <= bytes.len());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut decoder = decoder(&[], &[("t", &WANTED)]);
        prop_assert!(decoder.decode(&bytes).is_err());
    }
}
