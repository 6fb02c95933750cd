use super::*;
use crate::time::Timestamp;

/// Variables by name; `x`, `y` numbers, `s`, `t` texts, `b` bool, `u` never there, `a` of unknown type, `end` a time.
struct Vars(Vec<Value<'static>>);
const NAMES: [(&str, ValueType); 9] = [
    ("x", ValueType::Num),
    ("y", ValueType::Num),
    ("s", ValueType::Text),
    ("t", ValueType::Text),
    ("b", ValueType::Bool),
    ("u", ValueType::Num),
    ("v", ValueType::Bool),
    ("a", ValueType::Any),
    ("end", ValueType::Time),
];

impl Inputs for Vars {
    fn get(&self, slot: usize) -> Value<'_> {
        self.0[slot].clone()
    }
}

fn vars() -> Vars {
    let text = |s: &'static str| Value::Text(Cow::Borrowed(s));
    let end = Timestamp::parse_rfc3339(b"2025-07-15T07:25:00+07:00").unwrap();
    Vars(vec![
        Value::Num(6.0),
        Value::Num(4.0),
        text("Kẹt xe"),
        text("a;b;c"),
        Value::Bool(true),
        Value::Unknown,
        Value::Unknown,
        text("3.5"),
        Value::Time(end),
    ])
}

fn program(source: &str) -> Result<Program, Vec<ExprError>> {
    compile(source, &mut |path| match NAMES.iter().position(|(n, _)| *n == path) {
        Some(i) => Ok((i, NAMES[i].1)),
        None => Err(format!("no `{path}`")),
    })
}

fn shown(source: &str) -> String {
    let program = program(source).unwrap_or_else(|e| panic!("{source}: {e:?}"));
    let vars = vars();
    let value = program.eval(&vars);
    // the typed readings say the same
    assert_eq!(program.number(&vars), if let Value::Num(n) = value { Some(n) } else { None }, "{source}");
    assert_eq!(program.truth(&vars), if let Value::Bool(b) = value { Some(b) } else { None }, "{source}");
    value.text().map_or("unknown".into(), Cow::into_owned)
}

#[test]
fn expressions_give_what_they_say_r6() {
    for (source, value) in [
        ("1 + 2 * 3", "7"),
        ("7 / 2", "3.5"),
        ("7 % 4", "3"),
        ("-x + 1", "-5"),
        ("(x + y) / 4", "2.5"),
        ("x - y - 1", "1"),
        ("x / 0", "unknown"),
        ("1e308 * 10 * x", "unknown"),
        ("0x10", "16"),
        ("x > 5 ? 1 : 0", "1"),
        ("u > 5 ? 1 : 0", "unknown"),
        ("known(u) ? u : 9", "9"),
        ("x == 6", "true"),
        ("6 == x", "true"),
        ("x != 6", "false"),
        ("x >= 6 && y <= 4", "true"),
        ("s == \"Kẹt xe\"", "true"),
        ("s != 'Kẹt xe'", "false"),
        ("s in ['a', \"Kẹt xe\"]", "true"),
        ("x in [1, 2]", "false"),
        ("u in [1]", "unknown"),
        ("s < t", "true"),
        ("b == true", "true"),
        ("a == 'x'", "false"),
        ("a > 3", "unknown"),
        ("double(a) > 3", "true"),
        ("double('')", "unknown"),
        ("double(' 12.50 ')", "12.5"),
        ("double('12,5')", "unknown"),
        ("double('inf')", "unknown"),
        ("lower(s)", "kẹt xe"),
        ("lower(s) + '!'", "kẹt xe!"),
        ("a + '!'", "3.5!"),
        ("replace('1.234,5', '.', '')", "1234,5"),
        ("double(replace('12,5', ',', '.'))", "12.5"),
        ("split(t, ';')[1]", "b"),
        ("split(t, ';')[-1]", "c"),
        ("split(t, ';')[3]", "unknown"),
        ("string(x) + string(b)", "6true"),
        ("string(u)", "unknown"),
        ("time('2025-07-15T07:25:00+07:00') == end", "true"),
        ("time('15/07/2025 07:25', '%d/%m/%Y %H:%M', 'Asia/Ho_Chi_Minh') == end", "true"),
        ("time('15/07/2025 00:25', '%d/%m/%Y %H:%M', 'Z') == end", "true"),
        ("time('2025-07-15', '%Y-%m-%d', '+07:00')", "2025-07-14T17:00:00Z"),
        ("time('31/02/2025 00:00', '%d/%m/%Y %H:%M', 'Z')", "unknown"),
        ("format_time(end)", "2025-07-15T00:25:00Z"),
        ("format_time(end + 90)", "2025-07-15T00:26:30Z"),
        ("end - time('2025-07-15T00:00:00Z') == duration('25m')", "true"),
        ("null", "unknown"),
        ("known(null)", "false"),
    ] {
        assert_eq!(shown(source), value, "{source}");
    }
}

/// Kleene's tables: `b` true, `!b` false, `v` unknown.
#[test]
fn logic_is_three_valued_r6() {
    for (source, value) in [
        ("b && b", "true"),
        ("b && !b", "false"),
        ("b && v", "unknown"),
        ("!b && v", "false"),
        ("v && b", "unknown"),
        ("v && !b", "false"),
        ("v && v", "unknown"),
        ("b || v", "true"),
        ("v || b", "true"),
        ("!b || v", "unknown"),
        ("v || !b", "unknown"),
        ("v || v", "unknown"),
        ("!b || !b", "false"),
        ("!v", "unknown"),
        ("u > 1", "unknown"),
        ("u > 1 || x > 1", "true"),
        ("u == u", "unknown"),
        ("x > 25 && !known(u)", "false"),
        ("x > 5 && !known(u)", "true"),
        ("known(u)", "false"),
        ("known(u > 1)", "false"),
        ("u + 1 > 0", "unknown"),
    ] {
        assert_eq!(shown(source), value, "{source}");
        let holds = program(source).unwrap().holds(&vars());
        assert_eq!(holds, value == "true", "{source}");
    }
}

#[test]
fn what_is_not_an_expression_of_ours_says_what_to_write() {
    for (source, at, what) in [
        ("x = 6", 2..3, "`=` does not compare: write `==`"),
        ("x <> 6", 2..4, "`<>` does not compare: write `!=`"),
        ("x > 5 and y > 1", 6..9, "`and` is no operator here: write `&&`"),
        ("not b", 0..3, "`not` is no operator here: write `!`"),
        ("x >", 3..3, "the expression ends too early"),
        ("", 0..0, "the expression is empty"),
        ("(x + 1", 6..6, "the expression ends too early"),
        ("x + * 1", 4..5, "this is no expression: `*` is unexpected here"),
        ("x if y", 2..3, "this is no expression: `if` is unexpected here"),
        ("z > 1", 0..1, "no `z`"),
        ("x > \"6\"", 0..7, "`x` is a number, `\"6\"` is a text: they never compare: write double(\"6\")"),
        ("x && b", 0..1, "`&&` needs true or false, `x` is a number: compare it, as in `x > 0`"),
        ("s * 2", 0..1, "`*` needs a number, `s` is a text: write double(s)"),
        ("s + 1", 4..5, "a text is joined with texts, `1` is a number: write string(1)"),
        ("b < true", 0..8, "true and false have no order: write `==` or `!=`"),
        ("x == null", 0..9, "nothing equals null: write `!known(x)`"),
        ("u != null", 0..9, "nothing equals null: write `known(u)`"),
        ("has(a.b)", 3..4, "`has` is not available: write `known(x)`"),
        ("s.lower()", 7..8, "functions are not called on values: write `lower(s)`"),
        ("size(s) > 1", 0..4, "`size` is not available: compare with ==, in, lower, replace or split"),
        ("int(s)", 0..3, "`int` is not available: all numbers are doubles, write double(x)"),
        ("previous(s)", 0..8, "`previous` looks at earlier rows: only alerts can"),
        ("lower(s, t)", 0..5, "`lower` takes one argument, not 2"),
        ("split(t, \";\")", 0..12, "split gives a list: say which part, as in `split(t, \";\")[0]`"),
        ("split(t, \";\")[x]", 14..15, "the index must be a number, as in `split(s, \",\")[0]`"),
        ("x in 5", 5..6, "`in` needs a list: write `x in [\"a\", \"b\"]`"),
        ("x in ['a']", 6..9, "`x` is a number, `\"a\"` is a text: they never compare"),
        ("[1, 2]", 0..5, "a list stands only behind `in`, as in `x in [\"a\", \"b\"]`"),
        ("[1].exists(i, i > 0)", 10..11, "`all`, `exists`, `filter` and `map` are not available"),
        ("{'a': 1}", 0..1, "maps `{…}` are not available in expressions"),
        ("b ? 1 : 'a'", 0..11, "the two results are of different types: a number and a text"),
        ("time(s, '%Y')", 0..12, "time with a format needs a zone too: write `time(s, \"%Y\", \"Asia/Ho_Chi_Minh\")`"),
        ("duration('2 h')", 9..14, "duration needs a span in quotes, as in `duration(\"2h\")`"),
        ("x + y + z + w", 8..9, "no `z`"),
    ] {
        let errors = program(source).err().unwrap_or_else(|| panic!("{source} compiled"));
        assert_eq!((errors[0].at.clone(), errors[0].what.as_str()), (at, what), "{source}");
    }
    let zone = program("time(s, '%Y-%m-%d', 'Asia/Ho_Chi_Min')").unwrap_err();
    assert_eq!(zone[0].next.as_deref(), Some("Asia/Ho_Chi_Minh"));
    assert_eq!(program("konwn(x)").unwrap_err()[0].next.as_deref(), Some("known"));
    assert_eq!(program("z > 1 && w > 1").unwrap_err().len(), 2, "all mistakes at once");
}

#[test]
fn a_bare_variable_is_its_slot() {
    assert_eq!(program("y").unwrap().as_slot(), Some(1));
    assert_eq!(program("(y)").unwrap().as_slot(), Some(1));
    assert_eq!(program("y + 0").unwrap().as_slot(), None);
    assert_eq!(program("y > 1 && (x > 2 || y < 3) && s == 'a'").unwrap().slots(), [0, 1, 2]);
}

#[test]
fn canonical_text_is_the_same_whatever_was_written() {
    for (a, b) in [
        ("x>5&&y<1", "( x > 5 )  &&  ( y < 1.0 )"),
        ("x > 1 && y > 2 && b", "x > 1 && (y > 2 && b)"),
        ("s == 'a\"b'", "s == \"a\\\"b\""),
        ("x - (y - 1)", "x-(y-1)"),
        ("known(x)?1:0", "(known(x)) ? (1) : (0)"),
    ] {
        let canonical = |s: &str| program(s).unwrap().canonical().to_owned();
        assert_eq!(canonical(a), canonical(b));
        assert_eq!(canonical(a), canonical(&canonical(a)), "parses to the same tree");
    }
    assert_ne!(program("x - (y - 1)").unwrap().canonical(), program("x - y - 1").unwrap().canonical());
}

#[test]
fn no_text_is_too_deep() {
    for piece in [
        "(", "[", "!", "-", "x+", "x?y:", "x.", "x[", "f(", "{1:", "a,", "\"", "'", "\\", "x&&", "x==", "- -", ") ", "r'''", "0x", "1e",
        "`", "é",
    ] {
        for n in [1, 3, 8, 12, 16, 20, 30, 75, 79, 150, 159, 2000, 100_000] {
            let _ = program(&piece.repeat(n));
            let _ = program(&format!("{}x", piece.repeat(n)));
            let _ = program(&format!("{}{}x{}", "(".repeat(8), piece.repeat(n), ")".repeat(8)));
            let _ = program(&format!("{}{}x", "known(".repeat(7), piece.repeat(n)));
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(400))]
    #[test]
    fn compiling_never_panics(text in ".{0,60}") {
        let _ = program(&text);
    }

    #[test]
    fn compiling_and_evaluating_plausible_texts_never_panics(
        parts in proptest::collection::vec(proptest::sample::select(vec![
            "x", "y", "s", "a", "end", "u", "\"t\"", "'", "12", "0.5", "-", "+", "*", "/", "%", "(", ")", "[", "]", "==", "<", "&&", "||", "!", "?", ":",
            "in", "known(", "split(", "time(", "double(", ",", ".", " ", "null", "true", "=", "1e999", "data", "row[\"a\"]",
        ]), 0..24)
    ) {
        let text = parts.concat();
        if let Ok(program) = program(&text) {
            let vars = vars();
            let value = program.eval(&vars);
            let number = program.number(&vars);
            proptest::prop_assert!(number.is_none_or(f64::is_finite));
            proptest::prop_assert_eq!(number, if let Value::Num(n) = value { Some(n) } else { None });
            let again = compile(program.canonical(), &mut |p| NAMES.iter().position(|(n, _)| *n == p).map(|i| (i, NAMES[i].1)).ok_or_else(String::new));
            proptest::prop_assert_eq!(again.map(|p| p.canonical().to_owned()), Ok(program.canonical().to_owned()), "canonical text reads back");
        }
    }
}
