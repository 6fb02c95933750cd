//! Typed operations and their evaluation.
//!
//! Owns: [`Op`]. Refuses to know: texts of expressions, names, types before there is a value (compile.rs has checked them).
//!
//! Invariants: 1 to 4 of expr.rs. `number` and `truth` say what `value` says, without making a [`Value`].
//!
//! Called by: Program.

use super::text::{self, Function};
use super::{Inputs, Value};
use crate::time::{NANOS_PER_SECOND, Timestamp};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub enum Op {
    /// Never a value: `null`, or a path that this type of event does not have.
    Absent,
    Bool(bool),
    Num(f64),
    Text(Arc<str>),
    Slot(usize),
    Known(Box<Op>),
    Not(Box<Op>),
    And(Box<[Op; 2]>),
    Or(Box<[Op; 2]>),
    If(Box<[Op; 3]>),
    /// Both sides are numbers or nothing comes of it.
    CompareNum(Comparison, Box<[Op; 2]>),
    /// `slot op number`.
    SlotNum(usize, Comparison, f64),
    /// `slot == "text"`, or `!=` where false.
    SlotText(usize, Arc<str>, bool),
    Compare(Comparison, Box<[Op; 2]>),
    In(Box<Op>, Arc<[Literal]>),
    Negative(Box<Op>),
    Arithmetic(Arithmetic, Box<[Op; 2]>),
    /// `+` where nobody knows the types: numbers are added, texts joined.
    Plus(Box<[Op; 2]>),
    Join(Box<[Op; 2]>),
    /// Seconds from the second time to the first.
    Between(Box<[Op; 2]>),
    /// A time moved by seconds, forward or back.
    Moved(Box<[Op; 2]>, f64),
    Function(Box<Function>),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    Num(f64),
    Text(Arc<str>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Comparison {
    #[inline]
    fn numbers(self, a: f64, b: f64) -> bool {
        match self {
            Comparison::Equal => a == b,
            Comparison::NotEqual => a != b,
            Comparison::Less => a < b,
            Comparison::LessEqual => a <= b,
            Comparison::Greater => a > b,
            Comparison::GreaterEqual => a >= b,
        }
    }

    fn order(self, order: Ordering) -> bool {
        match self {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterEqual => order.is_ge(),
        }
    }

    fn values(self, a: &Value<'_>, b: &Value<'_>) -> Option<bool> {
        match (a, b) {
            (Value::Num(a), Value::Num(b)) => Some(self.numbers(*a, *b)),
            (Value::Text(a), Value::Text(b)) => Some(self.order(a.cmp(b))),
            (Value::Time(a), Value::Time(b)) => Some(self.order(a.cmp(b))),
            (Value::Bool(a), Value::Bool(b)) => match self {
                Comparison::Equal => Some(a == b),
                Comparison::NotEqual => Some(a != b),
                _ => None,
            },
            _ => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Arithmetic {
    #[inline]
    pub fn of(self, a: f64, b: f64) -> Option<f64> {
        let n = match self {
            Arithmetic::Add => a + b,
            Arithmetic::Subtract => a - b,
            Arithmetic::Multiply => a * b,
            Arithmetic::Divide => a / b,
            Arithmetic::Remainder => a % b,
        };
        n.is_finite().then_some(n)
    }
}

impl Op {
    pub fn value<'a, I: Inputs + ?Sized>(&'a self, i: &'a I) -> Value<'a> {
        match self {
            Op::Absent => Value::Unknown,
            Op::Slot(slot) => i.get(*slot),
            Op::Text(s) => Value::Text(Cow::Borrowed(s)),
            Op::Num(_) | Op::Negative(_) | Op::Arithmetic(..) | Op::Between(_) => self.number(i).map_or(Value::Unknown, Value::Num),
            Op::If(three) => match three[0].truth(i) {
                Some(true) => three[1].value(i),
                Some(false) => three[2].value(i),
                None => Value::Unknown,
            },
            Op::Plus(two) => match (two[0].value(i), two[1].value(i)) {
                (Value::Num(a), Value::Num(b)) => Arithmetic::Add.of(a, b).map_or(Value::Unknown, Value::Num),
                (Value::Text(a), Value::Text(b)) => Value::Text(a + b),
                _ => Value::Unknown,
            },
            Op::Join(two) => match (two[0].value(i), two[1].value(i)) {
                (Value::Text(a), Value::Text(b)) => Value::Text(a + b),
                _ => Value::Unknown,
            },
            Op::Moved(two, sign) => match (two[0].value(i), two[1].number(i)) {
                (Value::Time(t), Some(seconds)) => {
                    let moved = Timestamp(t.0.saturating_add((seconds * sign * NANOS_PER_SECOND as f64).round() as i64));
                    text::in_range(moved).map_or(Value::Unknown, Value::Time)
                }
                _ => Value::Unknown,
            },
            Op::Function(f) => f.value(i),
            _ => self.truth(i).map_or(Value::Unknown, Value::Bool),
        }
    }

    #[inline]
    pub fn number<I: Inputs + ?Sized>(&self, i: &I) -> Option<f64> {
        match self {
            Op::Num(n) => Some(*n),
            Op::Slot(slot) => match i.get(*slot) {
                Value::Num(n) => Some(n),
                _ => None,
            },
            Op::Negative(a) => a.number(i).map(|n| -n),
            Op::Arithmetic(arithmetic, two) => arithmetic.of(two[0].number(i)?, two[1].number(i)?),
            Op::Plus(two) => Arithmetic::Add.of(two[0].number(i)?, two[1].number(i)?),
            Op::Between(two) => match (two[0].value(i), two[1].value(i)) {
                (Value::Time(a), Value::Time(b)) => Some((a - b).0 as f64 / NANOS_PER_SECOND as f64),
                _ => None,
            },
            Op::If(three) => match three[0].truth(i)? {
                true => three[1].number(i),
                false => three[2].number(i),
            },
            Op::Function(f) => match f.value(i) {
                Value::Num(n) => Some(n),
                _ => None,
            },
            _ => None,
        }
    }

    #[inline]
    pub fn truth<I: Inputs + ?Sized>(&self, i: &I) -> Option<bool> {
        match self {
            Op::Bool(b) => Some(*b),
            Op::Slot(slot) => match i.get(*slot) {
                Value::Bool(b) => Some(b),
                _ => None,
            },
            Op::SlotText(slot, text, equal) => match i.get(*slot) {
                Value::Text(s) => Some((*s == **text) == *equal),
                _ => None,
            },
            Op::SlotNum(slot, comparison, n) => match i.get(*slot) {
                Value::Num(a) => Some(comparison.numbers(a, *n)),
                _ => None,
            },
            Op::CompareNum(comparison, two) => Some(comparison.numbers(two[0].number(i)?, two[1].number(i)?)),
            Op::Compare(comparison, two) => comparison.values(&two[0].value(i), &two[1].value(i)),
            Op::Known(a) => Some(a.value(i) != Value::Unknown),
            Op::Not(a) => a.truth(i).map(|b| !b),
            Op::And(two) => match two[0].truth(i) {
                Some(false) => Some(false),
                first => match (first, two[1].truth(i)) {
                    (_, Some(false)) => Some(false),
                    (Some(true), Some(true)) => Some(true),
                    _ => None,
                },
            },
            Op::Or(two) => match two[0].truth(i) {
                Some(true) => Some(true),
                first => match (first, two[1].truth(i)) {
                    (_, Some(true)) => Some(true),
                    (Some(false), Some(false)) => Some(false),
                    _ => None,
                },
            },
            Op::If(three) => match three[0].truth(i)? {
                true => three[1].truth(i),
                false => three[2].truth(i),
            },
            Op::In(a, list) => match a.value(i) {
                Value::Num(n) => Some(list.contains(&Literal::Num(n))),
                Value::Text(s) => Some(list.iter().any(|l| matches!(l, Literal::Text(t) if **t == *s))),
                _ => None,
            },
            Op::Function(f) => match f.value(i) {
                Value::Bool(b) => Some(b),
                _ => None,
            },
            _ => None,
        }
    }

    /// Adds every slot it reads.
    pub fn collect_slots(&self, out: &mut Vec<usize>) {
        match self {
            Op::Slot(slot) | Op::SlotNum(slot, ..) | Op::SlotText(slot, ..) => out.push(*slot),
            Op::Known(a) | Op::Not(a) | Op::Negative(a) | Op::In(a, _) => a.collect_slots(out),
            Op::And(two)
            | Op::Or(two)
            | Op::CompareNum(_, two)
            | Op::Compare(_, two)
            | Op::Arithmetic(_, two)
            | Op::Plus(two)
            | Op::Join(two)
            | Op::Between(two)
            | Op::Moved(two, _) => two.iter().for_each(|o| o.collect_slots(out)),
            Op::If(three) => three.iter().for_each(|o| o.collect_slots(out)),
            Op::Function(f) => f.arguments().into_iter().for_each(|o| o.collect_slots(out)),
            Op::Absent | Op::Bool(_) | Op::Num(_) | Op::Text(_) => {}
        }
    }
}
