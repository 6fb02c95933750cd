use super::*;
use axum::http::HeaderValue;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (axum::http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect()
}

#[test]
fn the_content_type_decides_the_mode() {
    let of = |pairs: &[(&'static str, &str)]| mode(&headers(pairs)).map_err(|refusal| refusal.problem().code);
    assert_eq!(of(&[("content-type", "application/cloudevents+json; charset=UTF-8")]), Ok(Mode::Structured));
    assert_eq!(of(&[("content-type", "Application/CloudEvents-Batch+JSON")]), Ok(Mode::Batch));
    assert_eq!(of(&[("content-type", "application/json"), ("ce-specversion", "1.0")]), Ok(Mode::Binary));
    assert_eq!(of(&[("ce-specversion", "1.0")]), Ok(Mode::Binary));
    for wrong in ["application/json", "application/cloudevents+xml", "application/cloudevents+json; charset=utf-16"] {
        assert_eq!(of(&[("content-type", wrong)]), Err("media_type".to_owned()), "{wrong}");
    }
    assert_eq!(of(&[]), Err("media_type".to_owned()));
}

#[test]
fn copies_meet_the_key_is_partitionkey_else_subject_else_source_r4() {
    let cases = [
        (r#"{"specversion":"1.0","id":"1","source":"s","type":"t"}"#, "s"),
        (r#"{"type":"t","subject":"u","specversion":"1.0","id":"1","source":"s","data":{"id":7}}"#, "u"),
        (r#"{"specversion":"1.0","id":"1","source":"s","type":"t","subject":"u","partitionkey":"p\u0041"}"#, "pA"),
        (r#"{"specversion":"1.0","id":"1","source":"s","type":"t","subject":"","partitionkey":null}"#, "s"),
    ];
    for (event, key) in cases {
        let record = structured(Bytes::from_static(event.as_bytes())).unwrap();
        assert_eq!((record.key.as_str(), &record.body[..]), (key, event.as_bytes()));
    }
}

#[test]
fn what_is_no_cloud_event_is_named_with_its_reason() {
    for (event, reason) in [
        ("", "EOF"),
        ("[]", "invalid"),
        (r#"{"specversion":"1.0","id":"1","source":"s"}"#, "type is missing"),
        (r#"{"specversion":"1.0","id":"","source":"s","type":"t"}"#, "id is empty"),
        (r#"{"specversion":"0.3","id":"1","source":"s","type":"t"}"#, "specversion"),
        (r#"{"specversion":"1.0","id":1,"source":"s","type":"t"}"#, "integer"),
        (r#"{"specversion":"1.0","id":"1","source":"s","type":"t","data":{]}"#, "line 1"),
        (r#"{"specversion":"1.0","id":"1","source":"s","type":"t"} x"#, "trailing"),
    ] {
        let error = structured(Bytes::from_static(event.as_bytes())).unwrap_err();
        assert!(error.contains(reason), "{event}: {error}");
    }
    assert!(structured(Bytes::from_static(b"{\"specversion\":\"1.0\",\"id\":\"\xff\",\"source\":\"s\",\"type\":\"t\"}")).is_err());
}

#[test]
fn a_batch_is_taken_whole_or_not_at_all() {
    let good = r#"{"specversion":"1.0", "id":"1","source":"s","type":"t","data":{"x":[1, 2]}}"#;
    let records = batch(&Bytes::from(format!("[{good} , {good}]"))).unwrap();
    assert_eq!(records.len(), 2);
    assert!(records.iter().all(|record| record.body == good.as_bytes()));
    assert_eq!(batch(&Bytes::from_static(b"[]")).unwrap(), []);
    let refusal = batch(&Bytes::from(format!(r#"[{good},{{"id":"2"}},{good},7]"#))).unwrap_err().problem();
    let lines: Vec<&str> = refusal.detail.lines().collect();
    assert_eq!((refusal.code.as_str(), lines.len()), ("bad_events", 2));
    assert!(lines[0].starts_with("event 1: specversion is missing") && lines[1].starts_with("event 3: "), "{lines:?}");
    let many = batch(&Bytes::from(format!("[{}]", vec!["7"; 30].join(",")))).unwrap_err().problem();
    assert_eq!(many.detail.lines().last(), Some("and 10 more"));
}

#[test]
fn binary_headers_become_those_of_the_kafka_binding() {
    let given = headers(&[
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "a%20b"),
        ("ce-source", "/gia-ngh%C4%A9a"),
        ("ce-type", "traffic.loop"),
        ("ce-partitionkey", "100%"),
        ("accept", "*/*"),
    ]);
    let record = binary(&given, Bytes::from_static(b"{}")).unwrap();
    let names: Vec<&str> = record.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["ce_id", "ce_partitionkey", "ce_source", "ce_specversion", "ce_type", "content-type"]);
    assert_eq!((&record.headers[0].1[..], &record.headers[2].1[..]), (&b"a b"[..], "/gia-nghĩa".as_bytes()));
    assert_eq!(record.key, "100%");
    let mut twice = given.clone();
    twice.append("ce-id", HeaderValue::from_static("other"));
    assert!(binary(&twice, Bytes::new()).unwrap_err().contains("twice"));
    let broken = headers(&[("ce-specversion", "1.0"), ("ce-id", "%ff"), ("ce-source", "s"), ("ce-type", "t")]);
    assert!(binary(&broken, Bytes::new()).unwrap_err().contains("UTF-8"));
}
