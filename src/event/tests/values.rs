use super::{decoder, verdict, with_data};
use crate::event::{Reason, Scalar};

#[test]
fn numbers_are_the_same_doubles_as_rust_reads() {
    let mut decoder = decoder(&[], &[("t", &["data.v"])]);
    for text in [
        "0",
        "-0",
        "1",
        "-1",
        "0.5",
        "12.175930",
        "107.639036",
        "123456789012345",
        "1234567890123456",
        "9007199254740993",
        "18446744073709551616",
        "0.1",
        "0.30000000000000004",
        "3.141592653589793238462643383279",
        "1e22",
        "1e23",
        "1E-7",
        "1.5e+3",
        "5e-324",
        "2.2250738585072011e-308",
        "1.7976931348623157e308",
        "0.000000000000000000000000000001",
        "100000000000000000000000000000000000000000",
        "9.5367431640625e-7",
        "0e5",
        "1e-400",
    ] {
        let record = with_data(&format!("{{\"v\":{text}}}"));
        let event = decoder.decode(record.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e}"));
        let Scalar::Num(value) = event.slots[0] else { panic!("{text}: {:?}", event.slots) };
        assert_eq!(value.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
    }
}

#[test]
fn a_number_beyond_doubles_empties_its_field() {
    let mut decoder = decoder(&[], &[("t", &["data.v"])]);
    assert_eq!(verdict(&mut decoder, &with_data(r#"{"v":1e999}"#)), "- invalid=1");
    assert_eq!(verdict(&mut decoder, &with_data(r#"{"w":1e999}"#)), "-");
}

#[test]
fn records_that_are_not_json_are_refused_with_the_place() {
    let mut decoder = decoder(&[], &[("t", &["data.v"])]);
    for (data, expected) in [
        ("01", "bytes.syntax"),
        ("-", "bytes.syntax"),
        ("-01", "bytes.syntax"),
        ("+1", "bytes.syntax"),
        (".5", "bytes.syntax"),
        ("5.", "bytes.syntax"),
        ("1.e3", "bytes.syntax"),
        ("1e", "bytes.syntax"),
        ("1e+", "bytes.syntax"),
        ("0x1", "bytes.syntax"),
        ("NaN", "bytes.syntax"),
        ("Infinity", "bytes.syntax"),
        ("nul", "bytes.syntax"),
        ("True", "bytes.syntax"),
        ("'a'", "bytes.syntax"),
        (r#""\x""#, "bytes.syntax"),
        (r#""\u12g4""#, "bytes.syntax"),
        ("\"a\tb\"", "bytes.syntax"),
        ("\"\u{0}\"", "bytes.syntax"),
        ("[1,]", "bytes.syntax"),
        ("[,1]", "bytes.syntax"),
        ("{\"a\":1,}", "bytes.syntax"),
        ("{\"a\"}", "bytes.syntax"),
        ("{a:1}", "bytes.syntax"),
        ("[1 2]", "bytes.syntax"),
        ("{\"a\" 1}", "bytes.syntax"),
        ("[1}", "bytes.syntax"),
        ("{\"a\":1]", "bytes.syntax"),
        ("1 /* no */", "bytes.syntax"),
        ("\u{a0}1", "bytes.syntax"),
        ("\u{feff}1", "bytes.syntax"),
        ("", "bytes.syntax"),
    ] {
        for wrapped in
            [data.to_owned(), format!("{{\"v\":{data}}}"), format!("{{\"unread\":{data}}}"), format!("{{\"unread\":[{{\"x\":{data}}}]}}")]
        {
            assert_eq!(verdict(&mut decoder, &with_data(&wrapped)), expected, "{wrapped}");
        }
    }
    let record = with_data(r#"{"unread":[1,01]}"#);
    let rejected = decoder.decode(record.as_bytes()).unwrap_err();
    assert_eq!(record.as_bytes()[rejected.at as usize], b'0', "{rejected}");
}

#[test]
fn every_prefix_of_a_good_record_is_refused_as_bytes() {
    let mut decoder = decoder(&[("t", r#"{"required":["z"]}"#)], &[("t", &["data.v"])]);
    let record = with_data(r#"{"v":"đ\n","list":[1,{"x":null}],"z":-1.5e3}"#);
    assert_eq!(verdict(&mut decoder, &record), "'đ\n'");
    for end in 0..record.len() {
        assert_eq!(decoder.decode(&record.as_bytes()[..end]).unwrap_err().reason, Reason::Bytes, "{end}");
    }
}

#[test]
fn nesting_is_bounded() {
    let mut decoder = decoder(&[], &[("t", &["data.v"])]);
    let nested = |open: &str, close: &str, n: usize| with_data(&format!("{}{}", open.repeat(n), close.repeat(n)));
    // the record itself is the first of 128
    assert_eq!(verdict(&mut decoder, &nested("[", "]", 127)), "-");
    assert_eq!(verdict(&mut decoder, &nested("[", "]", 128)), "bytes.depth");
    assert_eq!(verdict(&mut decoder, &with_data(&format!("{}1{}", "{\"v\":".repeat(127), "}".repeat(127)))), "-");
    assert_eq!(verdict(&mut decoder, &with_data(&format!("{}1{}", "{\"v\":".repeat(128), "}".repeat(128)))), "bytes.depth");
    assert_eq!(verdict(&mut decoder, &"[".repeat(1_000_000)), "bytes.depth");
}

#[test]
fn strings_mean_what_their_escapes_say() {
    let mut decoder = decoder(&[], &[("t", &["data.v"])]);
    for (text, meaning) in [
        (r#""""#, ""),
        (r#""a\"\\\/\b\f\n\r\tz""#, "a\"\\/\u{8}\u{c}\n\r\tz"),
        (r#""\u0110\u01b0\u1edd\u006Eg""#, "Đường"),
        (r#""\ud83d\ude00!""#, "😀!"),
        // half a surrogate pair is JSON, and no character
        (r#""a\ud83d""#, "a\u{fffd}"),
        (r#""\ude00b""#, "\u{fffd}b"),
        (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
        (r#""\ud83d\n""#, "\u{fffd}\n"),
        (r#""Đắk Nông 2025-07-15, một chuỗi dài hơn tám byte""#, "Đắk Nông 2025-07-15, một chuỗi dài hơn tám byte"),
    ] {
        let record = with_data(&format!("{{\"v\":{text}}}"));
        assert_eq!(decoder.decode(record.as_bytes()).unwrap().slots[0], Scalar::Text(meaning), "{text}");
    }
}

#[test]
fn wanted_paths_are_found_wherever_they_lie() {
    let mut decoder = decoder(&[], &[("t", &["data.a.b", "data.c", "data.a.d.e", "data", "data.a"])]);
    for (data, expected) in [
        (r#"{"a":{"b":1,"d":{"e":"x"}},"c":true}"#, "1.0 true 'x' - -"),
        (r#"{"c":null,"a":{"d":{"e":2},"b":{}}}"#, "- - 2.0 - -"),
        (r#"{"\u0063":4,"a":{"z":[],"b":[1]}}"#, "- 4.0 - - -"),
        ("5", "- - - 5.0 -"),
        ("[{\"c\":1}]", "- - - - -"),
        ("{}", "- - - - -"),
        // a name given twice: the last value counts, whatever the earlier one held
        (r#"{"c":1,"c":2,"a":{"b":1,"d":{"e":1}},"a":{"b":2}}"#, "2.0 2.0 - - -"),
        (r#"{"a":{"b":1},"a":7}"#, "- - - - 7.0"),
        (r#"{"c":1,"c":null}"#, "- - - - -"),
        (r#"{"c":1,"c":[2]}"#, "- - - - -"),
    ] {
        assert_eq!(verdict(&mut decoder, &with_data(data)), expected, "{data}");
    }
}

#[test]
fn the_position_is_where_the_schema_says_or_lon_and_lat() {
    let placed = r#"{"x-position":{"lon":"place.x","lat":"place.y"}}"#;
    let ranged = r#"{"properties":{"lon":{"minimum":100,"maximum":120}}}"#;
    for (schema, data, expected) in [
        ("{}", r#"{"lon":107.5,"lat":12}"#, "@107.5,12"),
        ("{}", r#"{"lat":12,"lon":107.5}"#, "@107.5,12"),
        ("{}", r#"{"lon":"107.5","lat":12}"#, ""),
        ("{}", r#"{"lon":107.5}"#, ""),
        ("{}", r#"{"lon":null,"lat":12}"#, ""),
        ("{}", r#"{"lon":-180,"lat":-90}"#, "@-180,-90"),
        ("{}", r#"{"lon":180.1,"lat":12}"#, "invalid=1"),
        ("{}", r#"{"lon":12,"lat":107.5}"#, "invalid=1"),
        ("{}", r#"{"lon":1e999,"lat":12}"#, "invalid=1"),
        ("{}", r#"{"lon":1,"lat":2,"lon":3}"#, "@3,2"),
        ("{}", r#"{"lon":1,"lat":2,"lat":"x"}"#, ""),
        (placed, r#"{"lon":1,"lat":2,"place":{"x":107.5,"y":12}}"#, "@107.5,12"),
        (placed, r#"{"place":{"x":107.5,"y":12},"place":{"y":12}}"#, ""),
        (placed, r#"{"lon":1,"lat":2}"#, ""),
        (ranged, r#"{"lon":99,"lat":12}"#, "invalid=1"),
        (ranged, r#"{"lon":100,"lat":12}"#, "@100,12"),
    ] {
        let mut decoder = decoder(&[("t", schema)], &[]);
        assert_eq!(verdict(&mut decoder, &with_data(data)), expected, "{schema} {data}");
    }
}
