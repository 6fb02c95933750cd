//! (skeleton) Expressions: CEL's syntax, our evaluation.
use std::borrow::Cow;

/// A value during evaluation. `Unknown` is an absent value and spreads by three-valued logic (R6).
#[derive(Clone, PartialEq, Debug)]
pub enum Value<'a> {
    Unknown,
    Bool(bool),
    Num(f64),
    Text(Cow<'a, str>),
    Time(crate::time::Timestamp),
}

/// Where a program's variables come from.
pub trait Inputs {
    fn get(&self, slot: usize) -> Value<'_>;
}

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Program {
    text: String,
}

impl Program {
    /// As written.
    pub fn text(&self) -> &str {
        &self.text
    }
    /// The program is nothing but this variable: the hot path reads the slot itself.
    pub fn as_slot(&self) -> Option<usize> {
        None
    }
    pub fn eval<'a, I: Inputs>(&'a self, _inputs: &'a I) -> Value<'a> {
        Value::Unknown
    }
    /// The value as a number; `None` where unknown or not a number.
    pub fn number<I: Inputs>(&self, inputs: &I) -> Option<f64> {
        match self.eval(inputs) {
            Value::Num(n) => Some(n),
            _ => None,
        }
    }
    /// True only where certainly true.
    pub fn holds<I: Inputs>(&self, inputs: &I) -> bool {
        self.truth(inputs) == Some(true)
    }
    /// `None` is unknown.
    pub fn truth<I: Inputs>(&self, inputs: &I) -> Option<bool> {
        match self.eval(inputs) {
            Value::Bool(b) => Some(b),
            _ => None,
        }
    }
}
