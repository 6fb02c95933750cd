//! The simple patterns of JSON Schema, rewritten from ECMA-262 for the `regex` crate, which runs in time linear to the text.
//!
//! Owns: which patterns mean the same in both, and how the others of the everyday ones are rewritten. Refuses to know: schemas.
//!
//! Invariants
//! 1. What [`compile`] accepts matches exactly what an ECMA-262 matcher with the `u` flag would match; the rest is `None` and goes
//!    the slow way.
//!
//! Called by: event::shape.

use regex::Regex;

/// `.` in ECMA-262: everything but its four line ends.
const DOT: &str = r"[^\n\r\x{2028}\x{2029}]";

/// The pattern compiled, or `None` where it uses more than literals, classes, groups, alternatives, anchors and quantifiers.
pub(crate) fn compile(pattern: &str) -> Option<Regex> {
    Regex::new(&rewrite(pattern)?).ok()
}

fn rewrite(pattern: &str) -> Option<String> {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '*' | '+' | '?' | '{' => quantifier(c, &mut rest, &mut out)?,
            '\\' => out.push_str(&escape(rest.next()?, false)?),
            '.' => out.push_str(DOT),
            '(' => {
                out.push('(');
                if rest.peek() == Some(&'?') {
                    rest.next();
                    // groups that look around, or have names, differ
                    if rest.next()? != ':' {
                        return None;
                    }
                    out.push_str("?:");
                }
            }
            '[' => class(&mut rest, &mut out)?,
            ']' | '}' => return None,
            '#' | '&' | '~' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    Some(out)
}

/// One quantifier, lazy or not; the `regex` crate would take several on end, and a count without its lower end.
fn quantifier(c: char, rest: &mut std::iter::Peekable<std::str::Chars>, out: &mut String) -> Option<()> {
    out.push(c);
    if c == '{' {
        if !rest.peek()?.is_ascii_digit() {
            return None;
        }
        loop {
            let c = rest.next().filter(|c| c.is_ascii_digit() || matches!(c, ',' | '}'))?;
            out.push(c);
            if c == '}' {
                break;
            }
        }
    }
    if rest.peek() == Some(&'?') {
        rest.next();
        out.push('?');
    }
    (!matches!(rest.peek(), Some('*' | '+' | '?' | '{'))).then_some(())
}

/// A bracketed class from after its `[`. Nested classes and set operations of the `regex` crate are kept out.
fn class(rest: &mut std::iter::Peekable<std::str::Chars>, out: &mut String) -> Option<()> {
    out.push('[');
    if rest.peek() == Some(&'^') {
        rest.next();
        out.push('^');
    }
    if rest.peek() == Some(&']') {
        return None; // the empty class, and its complement
    }
    loop {
        match rest.next()? {
            ']' => {
                out.push(']');
                return Some(());
            }
            '\\' => out.push_str(&escape(rest.next()?, true)?),
            '[' => out.push_str("\\["),
            c @ ('&' | '~') => {
                out.push('\\');
                out.push(c);
            }
            '-' if rest.peek() == Some(&'-') => return None,
            c => out.push(c),
        }
    }
}

fn escape(c: char, in_class: bool) -> Option<String> {
    Some(match (c, in_class) {
        ('d', false) => "[0-9]".into(),
        ('d', true) => "0-9".into(),
        ('D', false) => "[^0-9]".into(),
        ('w', false) => "[A-Za-z0-9_]".into(),
        ('w', true) => "A-Za-z0-9_".into(),
        ('W', false) => "[^A-Za-z0-9_]".into(),
        ('t' | 'n' | 'r', _) => format!("\\{c}"),
        (c, _) if c.is_ascii_punctuation() => format!("\\{c}"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::compile;

    #[test]
    fn simple_patterns_match_as_in_ecma() {
        for (pattern, yes, no) in [
            ("^[A-Z]{2}-[0-9]+$", "VN-24617", "vn-1"),
            (r"^\d{5}$", "24617", "٢٤٦١٧"),
            ("^(?:traffic|water)\\.[a-z_]+$", "traffic.loop", "traffic-loop"),
            ("^.+$", "đường", "\u{2028}"),
            ("b", "abc", "acd"),
            ("^a{2,3}?b+?$", "aab", "ab"),
            (r"^[\w.\-/]*$", "a/b-c.d", "a b"),
            ("^[&~]#?$", "&#", "#"),
            ("^2025-07-1[0-9]T", "2025-07-15T07:00", "2025-06-15"),
        ] {
            let regex = compile(pattern).unwrap_or_else(|| panic!("{pattern} is simple"));
            assert!(regex.is_match(yes), "{pattern} {yes}");
            assert!(!regex.is_match(no), "{pattern} {no}");
        }
    }

    #[test]
    fn other_patterns_go_the_slow_way() {
        for pattern in [
            "(?=a)b",
            r"(a)\1",
            r"\bword",
            r"\p{L}+",
            r"\s",
            "[]",
            "[^]",
            "(?<name>a)",
            "a**",
            "a{2}{3}",
            "a{,3}",
            "a??*",
            "[a--z]",
            r"\u0041",
            "]",
            "(",
            "[",
        ] {
            assert!(compile(pattern).is_none(), "{pattern}");
        }
    }
}
