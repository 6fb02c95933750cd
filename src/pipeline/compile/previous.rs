//! `previous(field, "7d")` in rules: a field of the same key's window one span earlier.
//!
//! Owns: its signature, which spans lead from one window to another. Refuses to know: rows, what is kept of them (engine::rule).
//!
//! Invariants
//! 1. A span is of the kind of the window's `every` and a multiple of it: the earlier window exists in every calendar.
//! 2. At most 35 d and [`MAX_BACK`] windows of a key are looked back over (D6).
//!
//! Called by: compile/rule.rs.

use super::super::expr::ExprError;
use super::super::expr::syntax::{Ast, Kind};
use super::super::mistake::closest;
use super::super::{RuleVar, WindowSpec};
use crate::time::{Every, Span};
use std::ops::Range;

/// Windows of a key that a rule may look back over.
const MAX_BACK: i64 = 4_032;

pub fn previous(args: &[Ast], at: &Range<usize>, window: &WindowSpec) -> Result<RuleVar, ExprError> {
    let [Ast { kind: Kind::Path(path), at: path_at }, Ast { kind: Kind::Text(text), at: span_at }] = args else {
        let field = window.fields.first().map_or("open", |f| f.name.as_str());
        let what = format!("`previous` takes a field and a span in quotes, as in `previous({field}, \"7d\")`");
        return Err(ExprError::new(at.clone(), what));
    };
    let Some(field) = window.fields.iter().position(|f| f.name == *path) else {
        let next = closest(path, window.fields.iter().map(|f| f.name.as_str()));
        let what = format!("`previous` takes a field of `{}`, `{path}` is none", window.measurement);
        return Err(ExprError { at: path_at.clone(), what, next });
    };
    let span = previous_span(text, window.alignment.every()).map_err(|what| ExprError::new(span_at.clone(), what))?;
    Ok(RuleVar::Previous { field, span })
}

fn previous_span(text: &str, every: Every) -> Result<Every, String> {
    let Some(span) = Every::parse(text).filter(|s| s.nominal() > Span::ZERO) else {
        return Err(format!("`{text}` is no span: write a number and m, h, d, w or mo, as in \"7d\""));
    };
    if span.nominal() > Span::days(35) {
        return Err(format!("`previous` looks back 35d at most, not {text}"));
    }
    let (span, length, step) = match (span, every) {
        (Every::Fixed(_) | Every::Days(_), Every::Fixed(step)) => (Every::Fixed(span.nominal()), span.nominal().0, step.0),
        (Every::Days(n), Every::Days(step)) | (Every::Months(n), Every::Months(step)) => (span, i64::from(n), i64::from(step)),
        _ => (span, 1, i64::MAX),
    };
    if length % step != 0 {
        return Err(format!("{text} does not lead from one window to another: they begin every {}", shown(every)));
    }
    let windows = length / step;
    if windows > MAX_BACK {
        let what = format!("{text} are {windows} windows of each key, at most {MAX_BACK} are kept");
        return Err(format!("{what}: look back less far, or compare longer windows"));
    }
    Ok(span)
}

fn shown(every: Every) -> String {
    match every {
        Every::Fixed(span) => span.to_string(),
        Every::Days(n) => format!("{n}d"),
        Every::Months(n) => format!("{n}mo"),
    }
}
