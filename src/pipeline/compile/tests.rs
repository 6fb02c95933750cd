use super::super::{AccumulatorKind, AggregateRead, KeySource, Read, RuleLimit, RuleVar, Severity, TemplatePart};
use super::*;
use crate::pipeline::expr::{Inputs, Value};

fn compile(text: &str) -> Result<Vec<Pipeline>, Vec<Mistake>> {
    compile_with(&[("p.yaml", text)], &mut Wanted::default())
}

fn compile_with(files: &[(&str, &str)], wanted: &mut Wanted) -> Result<Vec<Pipeline>, Vec<Mistake>> {
    let files = files.iter().map(|(f, t)| ((*f).to_owned(), (*t).to_owned())).collect();
    compile_pipelines(&files, &NoSchemas, &Known::default(), wanted)
}

fn one(text: &str) -> Pipeline {
    compile(text).unwrap_or_else(|m| panic!("{}", m.iter().map(|m| format!("{m}\n")).collect::<String>())).remove(0)
}

fn shipped(name: &str) -> String {
    std::fs::read_to_string(format!("{}/pipelines/{name}.yaml", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

const SMALL: &str = "pipeline: p\nsector: traffic\nfrom: [a.b]\nout_of_orderness: 5s\nlateness: 5m\n";

fn window(fields: &str) -> String {
    format!("{SMALL}windows:\n- measurement: m\n  every: 1m\n  by: [area, source]\n  fields: {{{fields}}}\n")
}

#[test]
fn working_time_without_a_calendar_is_refused_where_it_is_asked_for() {
    let text = format!(
        "{SMALL}cases:\n- case: c\n  state: data.state\n  open: [a]\n  closed: [b]\n  due: working(created_at, 16)\n  due_soon: 4 working hours\n\
         alerts:\n- {{alert: x, case: c, in: a, for: 2 working hours, severity: minor, title: {{vi: X, en: X}}}}\n"
    );
    let files = BTreeMap::from([("p.yaml".to_owned(), text)]);
    let with = |no_calendar| {
        let known = Known { no_calendar, ..Known::default() };
        compile_pipelines(&files, &NoSchemas, &known, &mut Wanted::default())
    };
    assert!(with(false).is_ok());
    let mistakes: Vec<String> = with(true).unwrap_err().iter().map(ToString::to_string).collect();
    let places = ["p.yaml:11:8", "p.yaml:12:13", "p.yaml:14:20"];
    assert_eq!(mistakes.len(), 3, "{mistakes:?}");
    assert!(places.iter().all(|at| mistakes.iter().any(|m| m.starts_with(at) && m.contains("registry/calendar.yaml"))), "{mistakes:?}");
}

#[test]
fn the_traffic_pipelines_compile_as_designed() {
    let mut wanted = Wanted::default();
    let texts = ["traffic_loop", "traffic_queue", "traffic_travel"].map(|n| (n, shipped(n)));
    let files: Vec<(&str, &str)> = texts.iter().map(|(n, t)| (*n, t.as_str())).collect();
    let pipelines = compile_with(&files, &mut wanted).unwrap();
    let lp = &pipelines[0];
    assert_eq!(wanted.types["traffic.loop"], ["data.count", "data.speed_kmh", "data.occupancy_pct", "source"]);
    assert_eq!(lp.timing.max_delay, Span::minutes(15));
    assert_eq!(lp.timing.dedup, Span::minutes(10));
    assert_eq!((lp.timing.idle_after, lp.timing.patience), (Span::seconds(30), Span::minutes(2)));
    let w = &lp.windows[0];
    assert_eq!(
        (w.tags.as_slice(), w.area_tag, w.source_tag, w.early),
        (["area".into(), "source".into()].as_slice(), Some(0), Some(1), None)
    );
    assert_eq!(w.accumulators, [AccumulatorKind::Stats; 3]);
    assert_eq!(w.fields.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["vehicles", "speed", "occupancy"]);
    assert!(w.fields.iter().all(|f| f.program.as_slot().is_some() && !f.integer));
    let rule = &lp.rules[0];
    assert_eq!(rule.vars, [RuleVar::Field(2), RuleVar::Field(1)]);
    assert_eq!((rule.hold, rule.severity, rule.no_data), (Span::minutes(2), Severity::Major, None));
    assert_eq!(rule.limits, [RuleLimit { field: "occupancy".into(), op: ">", value: 25.0, until: false }]);
    assert_eq!(rule.title.en, [TemplatePart::Text("Traffic at a standstill in ".into()), TemplatePart::Var(RuleVar::Area("name".into()))]);
    let limits = &pipelines[1].rules[0].limits;
    assert_eq!(limits.iter().map(|l| (l.op, l.value, l.until)).collect::<Vec<_>>(), [(">", 80.0, false), ("<", 30.0, true)]);
}

#[test]
fn aggregates_share_accumulators() {
    let p = one(&window(
        "a: sum(data.x), b: mean( data.x ), c: max(data.x) - min(data.x), d: count(), n: 'count()', e: 'sum(data.x, data.y > 1)', \
         f: p50(data.x), g: p95(data.x), h: last(data.x) - first(data.x), i: 'countif(data.y>1) / count()', j: countif(data.y > 1)",
    ));
    let w = &p.windows[0];
    use AccumulatorKind::*;
    assert_eq!(w.accumulators, [Stats, Count, Stats, Values, Last, First, Count]);
    assert_eq!(w.reads[0], AggregateRead { accumulator: 0, read: Read::Sum });
    assert_eq!(w.reads[1], AggregateRead { accumulator: 0, read: Read::Mean });
    assert!(w.reads.contains(&AggregateRead { accumulator: 3, read: Read::Quantile(0.95) }));
    assert_eq!(w.fields.iter().filter(|f| f.integer).map(|f| f.name.as_str()).collect::<Vec<_>>(), ["d", "n", "j"]);
    let inputs = &p.types[0].windows[0].as_ref().unwrap().inputs;
    assert_eq!(inputs.len(), w.accumulators.len());
    assert!(inputs[1].value.is_none() && inputs[1].condition.is_none());
    assert_eq!(inputs[2].condition.as_ref().unwrap().text(), "data.y > 1");
    assert_eq!(inputs[2].value.as_ref().unwrap().as_slot(), Some(0), "a bare path is its slot");
}

#[test]
fn a_field_is_arithmetic_over_what_was_read() {
    struct Reads(Vec<Option<f64>>);
    impl Inputs for Reads {
        fn get(&self, slot: usize) -> Value<'_> {
            self.0[slot].map_or(Value::Unknown, Value::Num)
        }
    }
    let p = one(&window("rate: 'countif(data.status >= 500) / count()', span: last(data.x) - first(data.x)"));
    let fields = &p.windows[0].fields;
    assert_eq!(fields[0].program.number(&Reads(vec![Some(1.0), Some(4.0)])), Some(0.25));
    assert_eq!(fields[0].program.number(&Reads(vec![Some(0.0), Some(0.0)])), None, "division by zero is no value");
    assert_eq!(fields[1].program.number(&Reads(vec![None, None, Some(3.0), None])), None, "R6: absent where nothing was observed");
}

#[test]
fn keys_come_from_attributes_areas_paths_and_expressions() {
    let text = format!(
        "{SMALL}windows:\n- measurement: m\n  every: 1h\n  by: [area, type, data.address.city, {{band: 'data.x > 5 ? \"high\" : \"low\"'}}, subject]\n  fields: {{n: count()}}\n"
    );
    let p = one(&text);
    assert_eq!(p.windows[0].tags, ["area", "type", "city", "band", "subject"]);
    assert_eq!(p.windows[0].early, Some(Span::minutes(1)), "T6");
    let by = &p.types[0].windows[0].as_ref().unwrap().by;
    assert!(matches!(by.as_slice(), [KeySource::Area, KeySource::Kind, KeySource::Value(_), KeySource::Value(_), KeySource::Subject]));
}

#[test]
fn each_type_reads_its_own_slots() {
    let text = "pipeline: p\nsector: s\nfrom: [a, b, c]\nout_of_orderness: 5s\nlateness: 5m\nwindows:\n- {measurement: m, every: 1m, from: [a, b], fields: {x: sum(data.x), y: sum(data.y)}}\n- {measurement: n, every: 1d, fields: {x: sum(data.y)}}\n";
    let mut wanted = Wanted::default();
    wanted.slot("b", "data.y");
    let p = compile_with(&[("p", text)], &mut wanted).unwrap().remove(0);
    let slot =
        |t: usize, w: usize, i: usize| p.types[t].windows[w].as_ref().map(|w| w.inputs[i].value.as_ref().unwrap().as_slot().unwrap());
    assert_eq!([slot(0, 0, 0), slot(0, 0, 1), slot(1, 0, 0), slot(1, 0, 1), slot(2, 0, 0)], [Some(0), Some(1), Some(1), Some(0), None]);
    assert_eq!(slot(2, 1, 0), Some(0));
}

const LOOP: &str = r#"pipeline: traffic_loop
sector: traffic
from: [traffic.loop]
out_of_orderness: 5s
lateness: 5m
windows:
  - measurement: traffic_loop
    every: 1m
    by: [area, source]
    fields:
      vehicles: sum(data.count)
      speed: mean(data.speed_kmh)
      occupancy: mean(data.occupancy_pct)
alerts:
  - alert: flow_stopped
    on: traffic_loop
    when: occupancy > 25 && !known(speed)
    for: 2m
    until: known(speed)
    severity: major
    title: {vi: "Dòng xe đứng tại {area.name}", en: "Traffic at a standstill in {area.name}"}
"#;

#[test]
fn versions_follow_content_only_d2() {
    let base = one(LOOP);
    let reordered = "lateness: 5m\nout_of_orderness: 5s # other words\nfrom: ['traffic.loop']\nsector: traffic\nalerts:\n- title: {en: E, vi: V}\n  severity: major\n  until: known( speed )\n  for: 120s\n  when: (occupancy>25.0) && (!known(speed))\n  on: traffic_loop\n  alert: flow_stopped\nwindows:\n- fields:\n    vehicles: sum( data.count )\n    speed: mean(data.speed_kmh)\n    occupancy: mean(data.occupancy_pct)\n  by:\n  - area\n  - source\n  every: 60s\n  measurement: traffic_loop\npipeline: traffic_loop\n";
    let same = one(reordered);
    assert_eq!(same.version, base.version);
    assert_eq!(same.windows[0].version, base.windows[0].version);
    assert_eq!(same.rules[0].version, base.rules[0].version);
    let changed = |from: &str, to: &str| {
        assert!(LOOP.contains(from));
        let p = one(&LOOP.replace(from, to));
        (p.version != base.version, p.windows[0].version != base.windows[0].version, p.rules[0].version != base.rules[0].version)
    };
    assert_eq!(changed("every: 1m", "every: 2m"), (true, true, true));
    assert_eq!(changed("mean(data.occupancy_pct)", "max(data.occupancy_pct)"), (true, true, true));
    assert_eq!(changed("for: 2m", "for: 3m"), (true, false, true));
    assert_eq!(changed("occupancy > 25", "occupancy > 26"), (true, false, true));
    assert_eq!(changed("lateness: 5m", "lateness: 6m"), (true, false, false));
    assert_eq!(changed("from: [traffic.loop]", "from: [traffic.loop]\nwhere: data.ok"), (true, true, true));
    assert_eq!(changed("Dòng xe đứng", "Xe đứng"), (false, false, false));
}

#[test]
fn t3_bounds_max_delay() {
    let with = |s: &str| compile(&format!("{SMALL}{s}windows: [{{measurement: m, every: 1m, fields: {{n: count()}}}}]\n"));
    assert_eq!(with("").unwrap()[0].timing.max_delay, Span::minutes(15));
    assert_eq!(with("patience: 20m\n").unwrap()[0].timing.max_delay, Span(Span::minutes(25).0 + Span::seconds(5).0));
    assert_eq!(with("max_delay: 40d\n").unwrap()[0].timing.max_delay, Span::days(40));
    assert_eq!(with("max_delay: 15m\n").unwrap()[0].timing.max_delay, Span::minutes(15));
    assert!(with("max_delay: 14m\n").is_err());
    assert!(with("max_delay: 20m\npatience: 20m\n").is_err());
}

#[test]
fn r2_a_measurement_has_one_definition_in_the_set() {
    let mistakes = compile_with(
        &[("a.yaml", &window("n: count()")), ("b.yaml", &window("n: count()").replace("pipeline: p", "pipeline: q"))],
        &mut Wanted::default(),
    )
    .unwrap_err();
    let said: Vec<String> = mistakes.iter().map(Mistake::to_string).collect();
    assert_eq!(
        said,
        ["b.yaml:7:16: the measurement `m` is defined in a.yaml:7:16 already; a measurement has one definition: rename or remove one"]
    );
}

#[test]
fn rules_see_rows_areas_and_sources() {
    let text = format!(
        "{}alerts:\n- {{alert: r, on: m, when: 'high > source.bd1 && heard < expected && end > start && area != \"x\" && 3 > high', until: high < source.bd1 - 0.1, severity: critical, title: {{vi: '{{{{ {{source}}', en: 'a {{high}}'}}}}\n",
        window("high: max(data.level)")
    );
    let p = one(&text);
    let rule = &p.rules[0];
    assert_eq!(
        rule.vars,
        [
            RuleVar::Field(0),
            RuleVar::SourceAttribute("bd1".into()),
            RuleVar::Heard,
            RuleVar::Expected,
            RuleVar::End,
            RuleVar::Start,
            RuleVar::Tag(0)
        ]
    );
    assert_eq!(rule.limits, [RuleLimit { field: "high".into(), op: "<", value: 3.0, until: false }]);
    assert_eq!(rule.title.vi, [TemplatePart::Text("{ ".into()), TemplatePart::Var(RuleVar::Tag(1))]);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]
    #[test]
    fn compiling_never_panics(text in "\\PC{0,80}") {
        let _ = compile(&text);
    }

    /// A good file with one line cut, doubled, emptied or filled with something else.
    #[test]
    fn broken_files_never_panic_and_never_pass_silently(line in 0usize..26, how in 0usize..5, junk in "[a-z{}\\[\\]:,\"' >&|*!#()-]{0,20}") {
        let text = shipped("traffic_loop");
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let line = line % lines.len();
        match how {
            0 => { lines.remove(line); }
            1 => { let l = lines[line].clone(); lines.insert(line, l); }
            2 => lines[line].clear(),
            3 => lines[line].push_str(&junk),
            _ => { let key = lines[line].split(':').next().unwrap_or("").to_owned(); lines[line] = format!("{key}: {junk}"); }
        }
        if let Err(mistakes) = compile(&lines.join("\n")) {
            proptest::prop_assert!(!mistakes.is_empty());
            proptest::prop_assert!(mistakes.iter().all(|m| m.line >= 1 && m.column >= 1 && !m.what.is_empty()));
        }
    }
}
