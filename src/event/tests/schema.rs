use super::{decoder, verdict, with_data};
use crate::event::schema::SchemaSet;
use std::collections::BTreeMap;

#[test]
fn data_is_checked_against_its_schema() {
    for (schema, data, expected) in [
        (r#"{"type":"object"}"#, "5", "schema.type data"),
        (r#"{"properties":{"v":{"type":"integer"}}}"#, r#"{"v":1.0}"#, "1.0"),
        (r#"{"properties":{"v":{"type":"integer"}}}"#, r#"{"v":1.5}"#, "schema.type data.v"),
        (r#"{"properties":{"v":{"type":["number","null"]}}}"#, r#"{"v":null}"#, "-"),
        (r#"{"properties":{"v":{"type":"number"}}}"#, r#"{"v":null}"#, "schema.type data.v"),
        (r#"{"properties":{"v":{"type":"number"}}}"#, r#"{"v":true}"#, "schema.type data.v"),
        (r#"{"properties":{"v":{"type":"string"}}}"#, r#"{"v":{}}"#, "schema.type data.v"),
        (r#"{"properties":{"v":{"type":"string"}}}"#, r#"{"v":[]}"#, "schema.type data.v"),
        (r#"{"required":["v","w"]}"#, r#"{"v":1}"#, "schema.required data.w"),
        (r#"{"required":["v"]}"#, "[]", "-"),
        (r#"{"properties":{"a":{"required":["b"]}}}"#, r#"{"a":{"v":1}}"#, "schema.required data.a.b"),
        (r#"{"properties":{"v":{}},"additionalProperties":false}"#, r#"{"v":1,"w":2}"#, "schema.additional-properties data.w"),
        (r#"{"properties":{"v":{"enum":["a","b",null,1,true]}}}"#, r#"{"v":"b"}"#, "'b'"),
        (r#"{"properties":{"v":{"enum":["a","b",null,1,true]}}}"#, r#"{"v":1.0}"#, "1.0"),
        (r#"{"properties":{"v":{"enum":["a","b",null,1,true]}}}"#, r#"{"v":false}"#, "schema.enum data.v"),
        (r#"{"properties":{"v":{"enum":["a","b",null,1,true]}}}"#, r#"{"v":"c"}"#, "schema.enum data.v"),
        (r#"{"properties":{"v":{"enum":["a","b",null,1,true]}}}"#, r#"{"v":[]}"#, "schema.enum data.v"),
        (r#"{"properties":{"v":{"const":"a","enum":["a","b"]}}}"#, r#"{"v":"b"}"#, "schema.enum data.v"),
        (r#"{"properties":{"v":{"minLength":2,"maxLength":3}}}"#, r#"{"v":"đ"}"#, "schema.min-length data.v"),
        (r#"{"properties":{"v":{"minLength":2,"maxLength":3}}}"#, r#"{"v":"đđđ"}"#, "'đđđ'"),
        (r#"{"properties":{"v":{"minLength":2,"maxLength":3}}}"#, r#"{"v":"\ud83d\ude00\ud83d\ude00"}"#, "'😀😀'"),
        (r#"{"properties":{"v":{"minLength":2,"maxLength":3}}}"#, r#"{"v":"abcd"}"#, "schema.max-length data.v"),
        (r#"{"properties":{"v":{"minLength":2,"maxLength":3}}}"#, r#"{"v":5}"#, "5.0"),
        (r#"{"properties":{"v":{"pattern":"^\\d{5}$"}}}"#, r#"{"v":"24617"}"#, "'24617'"),
        (r#"{"properties":{"v":{"pattern":"^\\d{5}$"}}}"#, r#"{"v":"2461"}"#, "schema.pattern data.v"),
        (r#"{"properties":{"l":{"items":{"type":"string"},"minItems":1,"maxItems":2}}}"#, r#"{"l":[1]}"#, "schema.type data.l[]"),
        (r#"{"properties":{"l":{"items":{"type":"string"},"minItems":1,"maxItems":2}}}"#, r#"{"l":[]}"#, "schema.min-items data.l"),
        (
            r#"{"properties":{"l":{"items":{"type":"string"},"minItems":1,"maxItems":2}}}"#,
            r#"{"l":["a","b","c"]}"#,
            "schema.max-items data.l",
        ),
        (
            r##"{"$defs":{"n":{"type":"number","maximum":5}},"properties":{"v":{"$ref":"#/$defs/n"}}}"##,
            r#"{"v":"x"}"#,
            "schema.type data.v",
        ),
        (r##"{"$defs":{"n":{"type":"number","maximum":5}},"properties":{"v":{"$ref":"#/$defs/n"}}}"##, r#"{"v":6}"#, "- invalid=1"),
        // of a name given twice each value must fit
        (r#"{"properties":{"v":{"type":"number"}}}"#, r#"{"v":"x","v":1}"#, "schema.type data.v"),
    ] {
        let mut decoder = decoder(&[("t", schema)], &[("t", &["data.v"])]);
        assert!(decoder.plan().plan_of(crate::event::TypeId(0)).schema.as_ref().unwrap().slow.is_none(), "{schema} is checked in the pass");
        assert_eq!(verdict(&mut decoder, &with_data(data)), expected, "{schema} {data}");
    }
}

#[test]
fn a_value_outside_its_range_empties_the_field_only_r6() {
    let schema = r#"{"required":["v"],"properties":{"v":{"type":["number","null"],"minimum":0,"maximum":100},"w":{"exclusiveMinimum":0,"exclusiveMaximum":1},"l":{"items":{"maximum":1}}}}"#;
    let mut decoder = decoder(&[("t", schema)], &[("t", &["data.v", "data.w"])]);
    for (data, expected) in [
        (r#"{"v":0,"w":0.5}"#, "0.0 0.5"),
        (r#"{"v":100,"w":1}"#, "100.0 - invalid=1"),
        (r#"{"v":100.5,"w":0}"#, "- - invalid=2"),
        (r#"{"v":-0.0}"#, "-0.0 -"),
        (r#"{"v":-1e-300}"#, "- - invalid=1"),
        (r#"{"v":null,"l":[0,2,3]}"#, "- - invalid=2"),
        (r#"{"w":0.5}"#, "schema.required data.v"),
    ] {
        assert_eq!(verdict(&mut decoder, &with_data(data)), expected, "{data}");
    }
}

#[test]
fn other_keywords_go_the_slow_way_and_are_named() {
    let range = r#"{"properties":{"v":{"minimum":0}},"oneOf":[{"required":["a"]},{"required":["b"]}]}"#;
    for (schema, keyword, data, expected) in [
        (range, "oneOf at the top", r#"{"a":1,"v":-1}"#, "- invalid=1"),
        (range, "oneOf at the top", r#"{"a":1,"b":1}"#, "schema.one-of data"),
        (r#"{"properties":{"v":{"multipleOf":5}}}"#, "multipleOf at /properties/v", r#"{"v":7}"#, "schema.multiple-of data.v"),
        (r#"{"properties":{"v":{"pattern":"(?=a)"}}}"#, "pattern at /properties/v", r#"{"v":"b"}"#, "schema.pattern data.v"),
        (r#"{"properties":{"v":{"pattern":"\\bđ"}}}"#, "pattern at /properties/v", r#"{"v":5}"#, "5.0"),
        (r#"{"uniqueItems":true}"#, "uniqueItems at the top", "[1,1]", "schema.unique-items data"),
        (r#"{"prefixItems":[{"type":"string"}],"items":false}"#, "prefixItems at the top", r#"["a",1]"#, "schema."),
        (
            r##"{"$defs":{"n":{"properties":{"next":{"$ref":"#/$defs/n"}},"additionalProperties":false}},"$ref":"#/$defs/n"}"##,
            "$ref to itself at /$defs/n/properties/next",
            r#"{"next":{"x":1}}"#,
            "schema.additional-properties data.next",
        ),
        (r#"{"properties":{"v":false}}"#, "false at /properties/v", r#"{"v":1}"#, "schema.false-schema data.v"),
        (r#"{"additionalProperties":{"type":"number"}}"#, "additionalProperties at the top", r#"{"w":"x"}"#, "schema.type data.w"),
        (r#"{"enum":[{"v":1}]}"#, "enum at the top", r#"{"v":2}"#, "schema.enum data"),
        (r#"{"minProperties":2}"#, "minProperties at the top", r#"{"v":2}"#, "schema.min-properties data"),
        (r#"{"minProperties":1}"#, "minProperties at the top", r#"{"v":"\ud800"}"#, "schema.unreadable data"),
    ] {
        let mut files = BTreeMap::new();
        files.insert("t.json".to_owned(), schema.to_owned());
        let set = SchemaSet::parse(&files).unwrap_or_else(|e| panic!("{schema}: {e:?}"));
        let slow: Vec<_> = set.slow_types().map(|(kind, keywords)| (kind.to_owned(), keywords.to_vec())).collect();
        assert!(slow.len() == 1 && slow[0].0 == "t" && slow[0].1.iter().any(|k| k == keyword), "{schema}: {slow:?}");
        let mut decoder = decoder(&[("t", schema)], &[("t", &["data.v"])]);
        let found = verdict(&mut decoder, &with_data(data));
        assert!(found == expected || (expected.ends_with('.') && found.starts_with(expected)), "{schema} {data}: {found}");
    }
}

#[test]
fn many_required_members_go_the_slow_way() {
    let names: Vec<String> = (0..70).map(|n| format!("\"m{n}\"")).collect();
    let schema = format!(r#"{{"required":[{}]}}"#, names.join(","));
    let all: Vec<String> = (0..70).map(|n| format!("\"m{n}\":{n}")).collect();
    let mut decoder = decoder(&[("t", &schema)], &[("t", &["data.m69"])]);
    assert_eq!(verdict(&mut decoder, &with_data(&format!("{{{}}}", all.join(",")))), "69.0");
    for n in 0..70 {
        let mut some = all.clone();
        some.remove(n);
        assert_eq!(verdict(&mut decoder, &with_data(&format!("{{{}}}", some.join(",")))), format!("schema.required data.m{n}"));
    }
}

#[test]
fn all_mistakes_are_told_at_once_with_their_places() {
    let mut files = BTreeMap::new();
    for (name, text) in [
        ("s/broken.json", "{\n  \"type\": \"object\",\n}"),
        ("s/list.json", "[]"),
        ("s/type.json", "{\n \"properties\": {\n  \"v\": {\"type\": \"numbr\"}}}"),
        ("s/remote.json", "{\"properties\":{\"v\":{\"$ref\":\"https://example.org/x.json\"}}}"),
        ("s/nowhere.json", "{\"properties\":{\"v\":{\"$ref\":\"#/$defs/x\"}}}"),
        ("s/draft.json", "{\"$schema\":\"http://json-schema.org/draft-07/schema#\"}"),
        ("s/typo.json", "{\n\"properties\": {\"v\": {\"minimun\": 5}}}"),
        ("s/position.json", "{\"x-position\":{\"lng\":\"a\",\"lat\":\"b\"}}"),
        ("s/unit.json", "{\"properties\":{\"v\":{\"unit\":5}}}"),
        ("s/twice.json", "{}"),
        ("t/twice.json", "{}"),
        ("s/good.json", "{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{}},\"examples\":[{\"$ref\":\"x\"}]}"),
        ("s/examples/good.json", "no schema"),
        ("s/counterexamples/good/x.json", "no schema"),
        ("s/README.md", "no schema"),
    ] {
        files.insert(name.to_owned(), text.to_owned());
    }
    let errors = SchemaSet::parse(&files).unwrap_err();
    let told: Vec<String> = errors.iter().map(|e| e.to_string()).collect();
    let expected = [
        "s/broken.json:3:1: found '}', expected a member's name in quotes",
        "s/draft.json:1:2: \"$schema\" names",
        "s/list.json:1:1: the file holds no JSON object",
        "s/nowhere.json:1:21: \"#/$defs/x\" points to nothing in this file",
        "s/position.json:1:2: \"x-position\" does not say",
        "s/remote.json:1:21: \"https://example.org/x.json\" refers to another file",
        "s/type.json:3:9: \"numbr\" is not valid",
        "s/typo.json:2:22: \"minimun\" is no keyword of JSON Schema 2020-12; did you mean \"minimum\"?",
        "s/unit.json:1:21: \"unit\" is not a text",
        "t/twice.json:1:1: event type \"twice\" has a schema in s/twice.json already",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told}\n{expected}");
    }
}

#[test]
fn a_set_tells_units_names_and_content() {
    let mut files = BTreeMap::new();
    let text = r##"{"title":"T","$defs":{"speed":{"type":"number","unit":"km/h"}},"properties":{"v":{"$ref":"#/$defs/speed"},"w":{"$ref":"#/$defs/speed","unit":"m/s"},"title":{"properties":{"name":{"x-personal":"name"}}}}}"##;
    files.insert("schemas/a.b.json".to_owned(), text.to_owned());
    let set = SchemaSet::parse(&files).unwrap();
    assert_eq!(set.kinds().collect::<Vec<_>>(), ["a.b"]);
    assert_eq!((set.unit("a.b", "data.v"), set.unit("a.b", "data.w")), (Some("km/h"), Some("m/s")));
    assert_eq!((set.unit("a.b", "data.title"), set.unit("a.b", "subject"), set.unit("x", "data.v")), (None, None, None));
    assert_eq!(set.personal("a.b", "data.title.name"), Some("name"));
    assert_eq!(set.paths("a.b"), ["data.title", "data.title.name", "data.v", "data.w"]);
    assert_eq!(set.text("a.b"), Some(text));
    // the title of the file says nothing, a member named title does
    let other = text.replace("\"title\":\"T\",", "").replace(":{", ": {");
    let canonical = set.canonical("a.b").unwrap().to_owned();
    files.insert("schemas/a.b.json".to_owned(), other);
    assert_eq!(SchemaSet::parse(&files).unwrap().canonical("a.b"), Some(canonical.as_str()));
    files.insert("schemas/a.b.json".to_owned(), text.replace("\"title\":{", "\"titles\":{"));
    assert_ne!(SchemaSet::parse(&files).unwrap().canonical("a.b"), Some(canonical.as_str()));
}
