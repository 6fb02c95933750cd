//! Expressions: CEL's syntax, our evaluation.
//!
//! Owns: [`Value`], [`Program`] and what they mean. expr/syntax.rs parses, expr/compile.rs checks names and types, expr/text.rs has
//! the functions on texts and times, expr/op.rs evaluates. Refuses to know: events, rows, registries: variables are slots.
//!
//! Invariants
//! 1. Numbers are doubles; `/` is real division. What is not finite (division by zero, overflow) is unknown, so no NaN and no infinity
//!    ever leaves an expression.
//! 2. An absent value is unknown and spreads; `&&`, `||`, `!` are Kleene's three-valued logic; only `known(x)` asks (R6).
//! 3. Comparing values of different types is refused at compile where both types are known, else unknown.
//! 4. Evaluating numbers, truths and comparisons allocates nothing.
//! 5. Compiling never panics, whatever the text.
//!
//! Called by: pipeline::compile and map (make programs), engine (runs them).

mod compile;
mod op;
pub mod syntax;
mod text;

#[cfg(test)]
mod tests;

pub use compile::{FUNCTIONS, Found, Resolver, Scope, Unresolved, compile, compile_ast};
use op::Op;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A value during evaluation. `Unknown` is an absent value and spreads by three-valued logic (R6).
#[derive(Clone, PartialEq, Debug)]
pub enum Value<'a> {
    Unknown,
    Bool(bool),
    /// Always finite.
    Num(f64),
    Text(Cow<'a, str>),
    Time(crate::time::Timestamp),
}

impl Value<'_> {
    /// The shortest text that reads back: `12`, `0.5`, `true`, RFC 3339. `None` where unknown.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Value::Unknown => return None,
            Value::Bool(b) => Cow::Borrowed(if *b { "true" } else { "false" }),
            Value::Num(n) => Cow::Owned(text::number_text(*n)),
            Value::Text(s) => Cow::Borrowed(s),
            Value::Time(t) => Cow::Owned(t.to_string()),
        })
    }
}

/// What is known of a value before there is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ValueType {
    /// Not known: judged when there is a value.
    #[default]
    Any,
    Bool,
    Num,
    Text,
    Time,
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ValueType::Any => "a value",
            ValueType::Bool => "true or false",
            ValueType::Num => "a number",
            ValueType::Text => "a text",
            ValueType::Time => "a time",
        })
    }
}

/// What is wrong with an expression.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExprError {
    /// Bytes of the text.
    pub at: Range<usize>,
    /// What is wrong and what would be right.
    pub what: String,
    /// The name that was probably meant.
    pub next: Option<String>,
}

impl ExprError {
    pub fn new(at: Range<usize>, what: impl Into<String>) -> ExprError {
        ExprError { at, what: what.into(), next: None }
    }
}

/// Where a program's variables come from.
pub trait Inputs {
    fn get(&self, slot: usize) -> Value<'_>;
}

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Program {
    text: Arc<str>,
    canonical: Arc<str>,
    op: Op,
    kind: ValueType,
    slots: Arc<[usize]>,
}

impl Program {
    /// As written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same whatever spaces and brackets were written: what versions are made of.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The type of its values, as far as it is known.
    pub fn kind(&self) -> ValueType {
        self.kind
    }

    /// The slots it reads, ascending, each once.
    pub fn slots(&self) -> &[usize] {
        &self.slots
    }

    /// The program is nothing but this variable: the hot path reads the slot itself.
    pub fn as_slot(&self) -> Option<usize> {
        match self.op {
            Op::Slot(slot) => Some(slot),
            _ => None,
        }
    }

    #[inline]
    pub fn eval<'a, I: Inputs + ?Sized>(&'a self, inputs: &'a I) -> Value<'a> {
        self.op.value(inputs)
    }

    /// The value as a number; `None` where unknown or not a number.
    #[inline]
    pub fn number<I: Inputs + ?Sized>(&self, inputs: &I) -> Option<f64> {
        self.op.number(inputs)
    }

    /// True only where certainly true.
    #[inline]
    pub fn holds<I: Inputs + ?Sized>(&self, inputs: &I) -> bool {
        self.op.truth(inputs) == Some(true)
    }

    /// `None` is unknown.
    #[inline]
    pub fn truth<I: Inputs + ?Sized>(&self, inputs: &I) -> Option<bool> {
        self.op.truth(inputs)
    }
}
