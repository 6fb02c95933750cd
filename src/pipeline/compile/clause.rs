//! The clauses of a condition: what `&&` and `||` join at its top.
//!
//! Owns: how a condition falls apart. Refuses to know: what its names stand for (the scope that it is compiled in does).
//!
//! Invariants
//! 1. The clauses of a condition that compiled compile too, and read the same slots.
//! 2. Of a comparison the side that is no number comes first: `25 < x` compares x with 25.
//!
//! Called by: compile/rule.rs, compile/case_rule.rs.

use super::super::Clause;
use super::super::expr::syntax::{Ast, Binary, Kind, parse};
use super::super::expr::{Program, Scope, compile_ast};

/// Empty where the text does not compile: its mistakes are told elsewhere.
pub(super) fn clauses(text: &str, scope: &mut dyn Scope) -> Vec<Clause> {
    let Ok(ast) = parse(text) else { return Vec::new() };
    let mut found = Vec::new();
    part(&ast, scope, &mut found);
    found
}

fn part(ast: &Ast, scope: &mut dyn Scope, out: &mut Vec<Clause>) {
    if let Kind::Binary(Binary::And | Binary::Or, pair) = &ast.kind {
        pair.iter().for_each(|side| part(side, scope, out));
        return;
    }
    let mut program = |ast: &Ast| -> Option<Program> { compile_ast(ast, &ast.to_string(), scope).ok() };
    let Some(truth) = program(ast) else { return };
    let sides = match &ast.kind {
        Kind::Binary(
            Binary::Equal | Binary::NotEqual | Binary::Less | Binary::LessEqual | Binary::Greater | Binary::GreaterEqual,
            pair,
        ) => {
            let constant_first = matches!(pair[0].kind, Kind::Num(_)) && !matches!(pair[1].kind, Kind::Num(_));
            let (value, limit) = if constant_first { (&pair[1], &pair[0]) } else { (&pair[0], &pair[1]) };
            program(value).zip(program(limit))
        }
        _ => None,
    };
    out.push(Clause { text: truth.text().into(), truth, sides });
}
