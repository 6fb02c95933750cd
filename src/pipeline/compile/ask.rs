//! What rules may ask the registry by a call: `target(code, unit or level, end)`, `pace(…)`, `working(time, hours)`.
//!
//! Owns: the signatures of these functions, and what literals in them must be. Refuses to know: targets, calendars, when rules run.
//!
//! Invariants
//! 1. A literal code, unit or level that the registry lacks is a mistake; one from a tag is asked when there is a row, and may be unknown.
//! 2. A call becomes one variable of the rule: the same call twice is one slot.
//!
//! Called by: compile/rule.rs.

use super::super::expr::syntax::{Ast, Kind};
use super::super::expr::{ExprError, Unresolved, ValueType};
use super::super::mistake::{closest, listed};
use super::super::{RuleArg, RuleVar};
use super::{Known, NO_CALENDAR};
use std::collections::BTreeSet;
use std::ops::Range;

/// Functions of rules: those that ask the registry, and `previous` (compile/previous.rs).
pub const ASKING: [&str; 4] = ["target", "pace", "previous", "working"];

/// How a path reads in the scope of the call.
pub type Resolve<'r> = dyn Fn(&str) -> Result<(RuleVar, ValueType), Unresolved> + 'r;

/// `None`: not one of these functions.
pub fn ask(
    name: &str,
    args: &[Ast],
    at: &Range<usize>,
    known: &Known,
    resolve: &Resolve<'_>,
) -> Option<Result<(RuleVar, ValueType), ExprError>> {
    let asked = match name {
        "target" | "pace" => indicator(name, args, at, known, resolve),
        "working" if known.no_calendar => Err(ExprError::new(at.clone(), NO_CALENDAR)),
        "working" => working(args, at, resolve),
        _ => return None,
    };
    Some(asked)
}

fn indicator(name: &str, args: &[Ast], at: &Range<usize>, known: &Known, resolve: &Resolve<'_>) -> Result<(RuleVar, ValueType), ExprError> {
    let [code, who, when] = args else {
        let what = format!("`{name}` takes three arguments: code, unit or level, time, as in `{name}(\"work_file_online\", level, end)`");
        return Err(ExprError::new(at.clone(), what));
    };
    if let Kind::Text(literal) = &code.kind
        && let Some(indicators) = &known.indicators
    {
        let Some(names) = indicators.get(literal) else {
            let what = format!("the registry has no indicator `{literal}`: add it to registry/indicators.yaml or correct the code");
            let next = closest(literal, indicators.keys().map(String::as_str));
            return Err(ExprError { at: code.at.clone(), what, next });
        };
        check_who(literal, who, names)?;
    }
    let args = [
        argument(code, ValueType::Text, "a code", resolve)?,
        argument(who, ValueType::Text, "a unit or level", resolve)?,
        argument(when, ValueType::Time, "a time", resolve)?,
    ];
    let var = if name == "target" { RuleVar::Target(Box::new(args)) } else { RuleVar::Pace(Box::new(args)) };
    Ok((var, ValueType::Num))
}

/// A literal unit or level of a literal indicator must be one for which it has a target.
fn check_who(code: &str, who: &Ast, names: &BTreeSet<String>) -> Result<(), ExprError> {
    match &who.kind {
        Kind::Text(literal) if !names.contains(literal) && !names.contains("all") => {
            let next = closest(literal, names.iter().map(String::as_str));
            let has = if next.is_some() { String::new() } else { format!(": it has {}", listed(names.iter().map(String::as_str))) };
            let what = format!("the indicator `{code}` has no target for `{literal}`{has}");
            Err(ExprError { at: who.at.clone(), what, next })
        }
        _ => Ok(()),
    }
}

fn working(args: &[Ast], at: &Range<usize>, resolve: &Resolve<'_>) -> Result<(RuleVar, ValueType), ExprError> {
    let [from, hours] = args else {
        return Err(ExprError::new(at.clone(), "`working` takes two arguments: time and working hours, as in `working(start, 16)`"));
    };
    let args = [argument(from, ValueType::Time, "a time", resolve)?, argument(hours, ValueType::Num, "a number of hours", resolve)?];
    Ok((RuleVar::Working(Box::new(args)), ValueType::Time))
}

/// A text, a number, or a name of the row.
fn argument(ast: &Ast, wanted: ValueType, what: &str, resolve: &Resolve<'_>) -> Result<RuleArg, ExprError> {
    let refuse = |kind: ValueType| Err(ExprError::new(ast.at.clone(), format!("{what} is needed here, `{ast}` is {kind}")));
    match &ast.kind {
        Kind::Text(text) if wanted == ValueType::Text => Ok(RuleArg::Text(text.clone())),
        Kind::Num(n) if wanted == ValueType::Num => Ok(RuleArg::Num(*n)),
        Kind::Text(_) => refuse(ValueType::Text),
        Kind::Num(_) => refuse(ValueType::Num),
        Kind::Path(path) => match resolve(path) {
            Ok((var, kind)) if kind == wanted || kind == ValueType::Any => Ok(RuleArg::Var(var)),
            Ok((_, kind)) => refuse(kind),
            Err(Unresolved { what, next }) => Err(ExprError { at: ast.at.clone(), what, next }),
        },
        _ => Err(ExprError::new(ast.at.clone(), format!("{what} is a literal or a name of the row here: give `{ast}` a field of its own"))),
    }
}
