use super::{decoder, shown, told, verdict};
use crate::event::decode::{judge_time, split_batch};
use crate::event::{Reason, TypeId};
use crate::time::{Span, Timestamp};
use serde_json::Value;

const HEAD: &str = r#""specversion":"1.0","id":"1","source":"/x","type":"t","time":"2025-07-15T00:25:30Z""#;

#[test]
fn every_cloudevents_case_is_judged_as_the_specification_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/cloudevents/cases.json");
    let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(cases.len() >= 21);
    let mut decoder = decoder(&[], &[]);
    for case in cases {
        let event = &case["event"];
        let text = event.to_string();
        let result = decoder.decode(text.as_bytes()).map(|e| shown(&e)).map_err(|r| (r.reason, r.to_string()));
        match (case["valid"].as_bool().unwrap(), event.get("time").is_some(), result) {
            (true, true, Ok(_)) => {}
            // valid for CloudEvents; without a time it is none for us (T1)
            (true, false, Err((Reason::Time, _))) => {}
            // CloudEvents counts a malformed time among the envelope's faults, T1 among the time's
            (false, true, Err((Reason::Time, _))) => assert!(case["why"].as_str().unwrap().contains("time")),
            (false, _, Err((Reason::Envelope, _))) => {}
            (_, _, result) => panic!("{}: {result:?}", case["why"]),
        }
    }
}

#[test]
fn an_envelope_is_refused_with_its_place() {
    let mut decoder = decoder(&[], &[("t", &["partitionkey", "data.v"])]);
    for (record, expected) in [
        (r#"[1]"#.to_owned(), "envelope.type"),
        ("5".to_owned(), "envelope.type"),
        ("{}".to_owned(), "envelope.missing specversion"),
        (r#"{"specversion":"1.0"}"#.to_owned(), "envelope.missing id"),
        (r#"{"specversion":"0.3","id":"1"}"#.to_owned(), "envelope.specversion specversion"),
        (format!("{{{HEAD},\"id\":\"2\"}}"), "envelope.duplicate id"),
        (format!("{{{HEAD},\"data\":1,\"data\":2}}"), "envelope.duplicate data"),
        (format!("{{{HEAD},\"partitionkey\":\"a\",\"partitionkey\":\"b\"}}"), "envelope.duplicate partitionkey"),
        (format!("{{{HEAD},\"x\":[]}}"), "envelope.type x"),
        (format!("{{{HEAD},\"x\":1.5}}"), "envelope.type x"),
        (format!("{{{HEAD},\"x\":1e2}}"), "envelope.type x"),
        (format!("{{{HEAD},\"x\":2147483648}}"), "envelope.type x"),
        (format!("{{{HEAD},\"partitionkey\":{{}}}}"), "envelope.type partitionkey"),
        (format!("{{{HEAD},\"\":1}}"), "envelope.name"),
        (format!("{{{HEAD},\"tên\":1}}"), "envelope.name tên"),
        (format!("{{{HEAD},\"subject\":7}}"), "envelope.type subject"),
        (format!("{{{HEAD},\"datacontenttype\":\"\"}}"), "envelope.empty datacontenttype"),
        (format!("{{{HEAD},\"data_base64\":5}}"), "envelope.type data_base64"),
        (format!("{{{HEAD},\"data_base64\":\"YQ\"}}"), "envelope.base64 data_base64"),
        (format!("{{{HEAD},\"data\":null,\"data_base64\":\"YQ==\"}}"), "envelope.both data_base64"),
        // these are good
        (format!("{{{HEAD},\"data_base64\":\"YQ==\"}}"), "- -"),
        (format!("{{{HEAD},\"data_base64\":null,\"subject\":null,\"data\":{{\"v\":1}}}}"), "- 1.0"),
        (format!("{{{HEAD},\"x\":-2147483648,\"y\":true,\"z\":null,\"partitionkey\":\"k\\u0031\"}}"), "'k1' -"),
        (format!("{{{HEAD},\"partitionkey\":12}}"), "12.0 -"),
        (format!(" \t{{ {HEAD} , \"data\" : {{ \"v\" : 2 }} }} \r\n"), "- 2.0"),
    ] {
        assert_eq!(verdict(&mut decoder, &record), expected, "{record}");
    }
}

#[test]
fn the_first_reason_in_order_is_told_whatever_comes_first_in_the_record() {
    let schema = r#"{"type":"object","required":["v"]}"#;
    let mut decoder = decoder(&[("t", schema)], &[]);
    for (record, expected) in [
        // all four faults
        (r#"{"specversion":"1.0","type":"t","data":{},"id":"","time":"x","source":"/x"} x"#, "bytes.trailing"),
        (r#"{"specversion":"1.0","type":"t","data":{},"id":"","time":"x","source":"/x"}"#, "envelope.empty id"),
        (r#"{"specversion":"1.0","type":"t","data":{},"id":"1","time":"x","source":"/x"}"#, "schema.required data.v"),
        (r#"{"specversion":"1.0","type":"t","data":{"v":1},"id":"1","time":"x","source":"/x"}"#, "time.unparsable time"),
        // data before its type
        (r#"{"data":{},"specversion":"1.0","type":"t","id":"1","source":"/x"}"#, "schema.required data.v"),
        (r#"{"data":{},"specversion":"1.0","type":"t","source":"/x"}"#, "envelope.missing id"),
        (r#"{"data":{"v":1},"specversion":"1.0","type":"t","id":"1","source":"/x"}"#, "time.missing time"),
        // not a CloudEvent, and cut off
        (r#"[1,"#, "bytes.truncated"),
        ("", "bytes.truncated"),
        ("   ", "bytes.truncated"),
        ("ERR gateway timeout <html>502</html>", "bytes.syntax"),
        (r#"{"specversion":"0.1","type":"t","data":{}"#, "bytes.truncated"),
    ] {
        assert_eq!(verdict(&mut decoder, record), expected, "{record}");
    }
}

#[test]
fn a_refusal_names_the_source_where_the_record_does() {
    let mut decoder = decoder(&[], &[]);
    for (record, expected) in [
        (&br#"{"source":"/x","specversion":"2"}"#[..], Some("/x")),
        (br#"{"specversion":"2","source":"a\u0062"}"#, Some("ab")),
        (br#"{"id":"1","source":"/x","data":{"v":1"#, Some("/x")),
        (b"{\"id\":\"1\",\"source\":\"/x\",\"data\":\"\xff\"}", Some("/x")),
        (br#"{"id":"1","sour"#, None),
        (br#"{"data":{"source":"/x"}}"#, None),
        (br#"{"source":5}"#, None),
        (b"\xff", None),
    ] {
        assert_eq!(decoder.decode(record).unwrap_err().source.as_deref(), expected, "{}", String::from_utf8_lossy(record));
    }
}

#[test]
fn times_are_judged_as_t1_says() {
    let mut decoder = decoder(&[], &[]);
    for (time, expected) in [
        (r#""2025-07-15T07:25:30+07:00""#, ""),
        (r#""2025-07-15T00:25:30.123456789Z""#, ""),
        ("null", "time.missing time"),
        (r#""""#, "time.unparsable time"),
        (r#""2025-07-15T07:25:30""#, "time.unparsable time"),
        (r#""2025-02-30T00:00:00Z""#, "time.unparsable time"),
        (r#""hôm nay""#, "time.unparsable time"),
        ("1752539130", "time.unparsable time"),
        (r#""1899-12-31T23:59:59Z""#, "time.range time"),
        (r#""2200-01-01T00:00:00Z""#, "time.range time"),
    ] {
        let record = format!(r#"{{"specversion":"1.0","id":"1","source":"/x","type":"t","time":{time}}}"#);
        assert_eq!(verdict(&mut decoder, &record), expected, "{time}");
    }
    assert_eq!(verdict(&mut decoder, r#"{"specversion":"1.0","id":"1","source":"/x","type":"t"}"#), "time.missing time");
    let at = |seconds: i64| Timestamp::from_seconds(1_752_539_130 + seconds);
    let (ahead, behind) = (Span::minutes(1), Some(Span::days(30)));
    for (time, broker, behind, expected) in [
        (at(0), None, behind, None),
        (at(1_000_000_000), None, None, None),
        (at(60), Some(at(0)), behind, None),
        (Timestamp(at(60).0 + 1), Some(at(0)), behind, Some("time.ahead")),
        (at(-30 * 86_400), Some(at(0)), behind, None),
        (Timestamp(at(-30 * 86_400).0 - 1), Some(at(0)), behind, Some("time.behind")),
        (at(-3_000_000), Some(at(0)), None, None),
    ] {
        assert_eq!(judge_time(time, broker, ahead, behind).map(|r| r.code()).as_deref(), expected, "{time} {broker:?}");
    }
}

#[test]
fn attributes_and_wanted_extensions_are_read_in_any_order() {
    let members = [
        r#""specversion":"1.0""#,
        r#""id":"i\u00e1""#,
        r#""source":"/x""#,
        r#""type":"t""#,
        r#""time":"2025-07-15T00:25:30Z""#,
        r#""data":{"a":{"b":2.5},"lon":107.5,"lat":12}"#,
    ];
    let mut decoder = decoder(&[], &[("t", &["data.a.b", "id", "partitionkey", "subject", "source", "type", "time"])]);
    let mut order = [0, 1, 2, 3, 4, 5];
    let mut count = 0;
    // all 720 orders, by the next permutation
    loop {
        let some: Vec<&str> = order.iter().map(|i| members[*i]).collect();
        let record = format!(r#"{{{},"partitionkey":true}}"#, some.join(", "));
        assert_eq!(verdict(&mut decoder, &record), "2.5 'iá' true - '/x' 't' '2025-07-15T00:25:30Z' @107.5,12", "{record}");
        count += 1;
        let Some(k) = (0..5).rev().find(|k| order[*k] < order[k + 1]) else { break };
        let l = (k + 1..6).rev().find(|l| order[*l] > order[k]).unwrap();
        order.swap(k, l);
        order[k + 1..].reverse();
    }
    assert_eq!(count, 720);
}

#[test]
fn types_are_known_by_schema_or_by_want() {
    let mut decoder = decoder(&[("a", "{}")], &[("b", &["data.v"])]);
    let plan = decoder.plan().clone();
    assert_eq!((plan.type_id("a"), plan.type_id("b"), plan.type_id("c")), (TypeId(0), TypeId(1), TypeId::UNKNOWN));
    assert_eq!((plan.type_name(TypeId(1)), plan.type_name(TypeId::UNKNOWN)), ("b", ""));
    assert_eq!(plan.paths(TypeId(1)), ["data.v"]);
    assert!(plan.paths(TypeId(0)).is_empty() && plan.paths(TypeId::UNKNOWN).is_empty());
    let event = decoder.decode(br#"{"specversion":"1.0","id":"1","source":"/x","type":"c","time":"2025-07-15T00:25:30Z","subject":"s","data":{"lon":1,"lat":2}}"#).unwrap();
    assert_eq!((event.kind, event.kind_name, event.subject, event.position), (TypeId::UNKNOWN, "c", Some("s"), Some([1.0, 2.0])));
    assert_eq!(event.data, br#"{"lon":1,"lat":2}"#);
}

#[test]
fn binary_mode_gives_the_same_event_as_structured_mode() {
    let schema = r#"{"type":"object","required":["v"],"properties":{"v":{"type":"number"}}}"#;
    let mut decoder = decoder(&[("t", schema)], &[("t", &["data.v", "partitionkey"])]);
    type Headers = Vec<(&'static str, &'static [u8])>;
    let good: Headers = vec![
        ("ce_specversion", b"1.0"),
        ("ce_id", b"1"),
        ("CE-source", b"/x"),
        ("ce_type", b"t"),
        ("ce_time", b"2025-07-15T00:25:30Z"),
        ("ce_partitionkey", b"k"),
        ("content-type", b"application/json; charset=utf-8"),
        ("user-agent", b"\xff"),
    ];
    let but = |name: &str, value: &'static [u8]| -> Headers {
        good.iter().map(|(n, v)| if *n == name { (*n, value) } else { (*n, *v) }).filter(|(_, v)| *v != b"gone").collect()
    };
    let mut judge = |headers: &Headers, body: &[u8]| match decoder.decode_binary(headers.iter().copied(), body) {
        Ok(event) => format!("{} {} {}", event.id, shown(&event), String::from_utf8_lossy(event.data)),
        Err(rejected) => told(&rejected),
    };
    for (headers, body, expected) in [
        (good.clone(), &b" {\"v\":1.5}\n"[..], "1 1.5 'k' {\"v\":1.5}"),
        (but("content-type", b"gone"), b"{\"v\":1.5}", "1 1.5 'k' {\"v\":1.5}"),
        (good.clone(), b"{\"v\":1.5", "bytes.truncated"),
        (good.clone(), b"{\"v\":\"1.5\"}", "schema.type data.v"),
        (good.clone(), b"{}", "schema.required data.v"),
        (good.clone(), b"", "schema.required data"),
        (but("content-type", b"image/jpeg"), b"\xff\xd8", "schema.type data"),
        (but("ce_type", b"u"), b"[1]", "1  [1]"),
        (but("ce_id", b"gone"), b"{}", "envelope.missing id"),
        (but("ce_id", b"gone"), b"{", "bytes.truncated"),
        (but("ce_id", b""), b"{}", "envelope.empty id"),
        (but("ce_specversion", b"0.3"), b"{}", "envelope.specversion specversion"),
        (but("ce_source", b"\xff"), b"{\"v\":1}", "1 1.0 'k' {\"v\":1}"),
        (but("CE-source", b"\xff"), b"{\"v\":1}", "bytes.utf8 source"),
        (but("ce_time", b"now"), b"{\"v\":1}", "time.unparsable time"),
        ([good.clone(), vec![("ce_id", b"2")]].concat(), b"{\"v\":1}", "envelope.duplicate id"),
        ([good.clone(), vec![("ce_maXa", b"2")]].concat(), b"{\"v\":1}", "envelope.name maXa"),
    ] {
        assert_eq!(judge(&headers, body), expected, "{}", String::from_utf8_lossy(body));
    }
    let jpeg = [but("ce_type", b"u"), vec![]]
        .concat()
        .into_iter()
        .map(|(n, v)| if n == "content-type" { (n, &b"image/jpeg"[..]) } else { (n, v) });
    assert_eq!(decoder.decode_binary(jpeg, b"\xff\xd8").unwrap().data, b"\xff\xd8");
}

#[test]
fn a_batch_is_split_into_its_events() {
    let split = |text: &'static str| {
        split_batch(text.as_bytes()).map(|all| all.iter().map(|b| String::from_utf8_lossy(b).into_owned()).collect::<Vec<_>>())
    };
    assert_eq!(split(r#" [ {"a":[1,{}]} ,5 ]"#).unwrap(), [r#"{"a":[1,{}]}"#, "5"]);
    assert!(split("[]").unwrap().is_empty());
    for bad in ["", "{}", "[", "[1", "[1,]", "[1]x", "[,1]", "[1 2]"] {
        assert_eq!(split(bad).unwrap_err().reason, Reason::Bytes, "{bad}");
    }
}
