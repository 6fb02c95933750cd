//! Units of fields that are arithmetic over aggregates.
//!
//! Owns: which unit sums, differences, products and ratios have. Refuses to know: what units mean; they are compared as texts.
//!
//! Invariants
//! 1. A unit is said only where it follows from the schemas; where two units meet that do not agree, the field has none.
//!
//! Called by: compile::window.

use super::super::expr::syntax::{Ast, Binary, Kind};
use super::Compiler;
use super::window::is_aggregate;

impl Compiler<'_> {
    /// `Some("")`: a plain number; `None`: units that do not go together.
    pub(super) fn unit_of(&self, ast: &Ast, kinds: &[String]) -> Option<String> {
        let plain = || Some(String::new());
        match &ast.kind {
            Kind::Num(_) => plain(),
            Kind::Call(name, _) if matches!(name.as_str(), "count" | "countif" | "distinct") => plain(),
            Kind::Call(name, args) if is_aggregate(name) => Some(self.unit(args, kinds)),
            Kind::Negative(a) => self.unit_of(a, kinds),
            Kind::If(three) => self.same_unit(&three[1], &three[2], kinds),
            Kind::Binary(Binary::Add | Binary::Subtract, pair) => self.same_unit(&pair[0], &pair[1], kinds),
            Kind::Binary(Binary::Multiply, pair) => match (self.unit_of(&pair[0], kinds)?, self.unit_of(&pair[1], kinds)?) {
                (a, b) if b.is_empty() => Some(a),
                (a, b) if a.is_empty() => Some(b),
                _ => None,
            },
            Kind::Binary(Binary::Divide, pair) => match (self.unit_of(&pair[0], kinds)?, self.unit_of(&pair[1], kinds)?) {
                (a, b) if b.is_empty() => Some(a),
                (a, b) if a == b => plain(),
                _ => None,
            },
            _ => None,
        }
    }

    /// A number that is written out has the unit of what it is added to.
    fn same_unit(&self, left: &Ast, right: &Ast, kinds: &[String]) -> Option<String> {
        let (a, b) = (self.unit_of(left, kinds)?, self.unit_of(right, kinds)?);
        match (&left.kind, &right.kind) {
            (Kind::Num(_), _) => Some(b),
            (_, Kind::Num(_)) => Some(a),
            _ => (a == b).then_some(a),
        }
    }
}
