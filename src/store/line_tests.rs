//! Line protocol against its invariants.

use super::*;
use crate::engine::Key;
use proptest::prelude::*;
use std::sync::Arc;

fn row(tags: &[&str], values: Vec<FieldValue>) -> Row {
    Row {
        pipeline: 0,
        window: 0,
        key: Arc::new(Key { tags: tags.iter().map(|t| (*t).into()).collect(), area: None }),
        start: Timestamp::from_seconds(60),
        end: Timestamp::from_seconds(120),
        values,
        revision: 0,
        state: RowState::Final,
        heard: None,
        expected: None,
        approx: false,
    }
}

fn line(tags: &[&str], fields: &[&str], row: &Row) -> String {
    let mut out = Vec::new();
    LineFormat::of("traffic_loop", tags, fields.iter().copied()).render(row, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_row_becomes_a_line() {
    use FieldValue::{Absent, Float, Int};
    let (tags, fields) = (["source", "area"], ["vehicles", "speed", "n"]);
    let mut r = row(&["loop-7", "24617"], vec![Float(41.0), Absent, Int(-3)]);
    assert_eq!(
        line(&tags, &fields, &r),
        "traffic_loop,area=24617,source=loop-7 vehicles=41,n=-3i,revision=0i,state=\"final\" 60000000000\n"
    );
    (r.heard, r.expected, r.revision, r.state) = (Some(1), Some(2), 4, RowState::Incomplete);
    r.key = Arc::new(Key { tags: vec!["Ngã tư 1, số=2".into(), "".into()], area: None });
    assert_eq!(
        line(&tags, &fields, &r),
        "traffic_loop,source=Ngã\\ tư\\ 1\\,\\ số\\=2 vehicles=41,n=-3i,heard=1i,expected=2i,revision=4i,state=\"incomplete\" 60000000000\n"
    );
}

#[test]
fn floats_are_the_shortest_and_never_infinite() {
    for (x, text) in [
        (41.0, "41"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e21, "1e21"),
        (-0.0, "-0"),
        (5e-324, "5e-324"),
        (1e15, "1000000000000000"),
        (9007199254740991.0, "9007199254740991"),
        (9007199254740992.0, "9007199254740992"),
        (-7.0, "-7"),
    ] {
        let mut out = Vec::new();
        push_float(x, &mut out);
        assert_eq!(std::str::from_utf8(&out).unwrap(), text);
        assert_eq!(text.parse::<f64>().unwrap().to_bits(), x.to_bits());
    }
    for n in (-2_000_000..2_000_000).step_by(7) {
        for x in [n as f64 / 1000.0, (n as f64 / 1000.0).next_up(), n as f64 / 8192.0, n as f64 * 1e-6, n as f64 * 99_999.875] {
            let mut out = Vec::new();
            push_float(x, &mut out);
            let mut shortest = ryu::Buffer::new();
            assert_eq!(std::str::from_utf8(&out).unwrap(), shortest.format(x).trim_end_matches(".0"));
        }
    }
    let r = row(&["a"], vec![FieldValue::Float(f64::NAN), FieldValue::Float(f64::INFINITY), FieldValue::Float(1.5)]);
    let mut out = Vec::new();
    assert_eq!(LineFormat::of("traffic_loop", &["t"], ["x", "y", "z"]).render(&r, &mut out), 2);
    assert_eq!(String::from_utf8(out).unwrap(), "traffic_loop,t=a z=1.5,revision=0i,state=\"final\" 60000000000\n");
}

#[test]
fn foreign_lines_are_not_ours() {
    for bad in ["", "m", "m x=1", "m x=1i ", "m x=\"s\" 1", "m x=true 1", "m,a x=1 1", "m x=NaN 1", "m x=1 1 1", "m state=\"done\" 1"] {
        assert_eq!(parse_line(bad.as_bytes()), None, "{bad}");
    }
}

#[test]
fn canonical_forgets_revision_state_and_order_of_fields() {
    let a = parse_line(b"m,a=1 y=2,x=1i,revision=3i,state=\"incomplete\" 5").unwrap();
    let b = parse_line(b"m,a=1 x=1i,y=2,revision=0i,state=\"final\" 5").unwrap();
    assert_eq!((a.canonical(), a.revision), ("m,a=1 x=1i,y=2 5".into(), 3));
    assert_eq!(a.canonical(), b.canonical());
    assert_eq!(a.series(), series_of("m", &[("a".into(), "1".into()), ("b".into(), "".into())]));
}

fn value() -> impl Strategy<Value = FieldValue> {
    prop_oneof![Just(FieldValue::Absent), any::<i64>().prop_map(FieldValue::Int), any::<f64>().prop_map(FieldValue::Float)]
}

proptest! {
    /// Whatever tags and values hold, it is one line, and it reads back.
    #[test]
    fn lines_read_back(tags in prop::collection::vec("[a-z,= \\\\\n\rữ\"]{0,6}", 2), values in prop::collection::vec(value(), 3), revision: u32) {
        let mut r = row(&[&tags[0], &tags[1]], values.clone());
        r.revision = revision;
        let text = line(&["zone", "area"], &["x", "y z", "n,="], &r);
        prop_assert_eq!(text.matches('\n').count(), 1);
        let back = parse_line(text.trim_end_matches('\n').as_bytes()).unwrap();
        let expected: Vec<_> = [("area", &tags[1]), ("zone", &tags[0])].into_iter().filter(|(_, v)| !v.is_empty())
            .map(|(k, v)| (k.to_owned(), stored_tag(v).into_owned())).collect();
        prop_assert_eq!(&back.tags, &expected);
        prop_assert_eq!(back.series(), series_of("traffic_loop", &expected));
        prop_assert_eq!((back.revision, back.start), (revision, r.start));
        let finite = |v: &FieldValue| !matches!(v, FieldValue::Absent) && v.number().is_some_and(f64::is_finite);
        let kept: Vec<_> = values.into_iter().filter(finite).collect();
        prop_assert_eq!(back.fields.iter().map(|f| f.1).collect::<Vec<_>>(), kept);
    }
}
