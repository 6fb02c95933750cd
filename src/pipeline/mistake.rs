//! Mistakes in files that users write: where, what, and what was probably meant.
//!
//! Owns: [`Mistake`], its order and its text; [`Report`], which gathers the mistakes of one file; [`closest`].
//! Refuses to know: what the files mean.
//!
//! Invariants
//! 1. Lines and columns count from 1, in characters, as editors show them.
//! 2. `Display` is one line: `file:line:column: what (did you mean `x`?)`.
//! 3. A sorted list holds each mistake once, in the order of file, line, column.
//!
//! Called by: spec, compile, map, check.

use std::fmt;

/// A place in a file, both from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Place {
    pub line: u32,
    pub column: u32,
}

/// One mistake in one file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Mistake {
    pub file: String,
    pub line: u32,
    pub column: u32,
    /// What is wrong and what would be right, without a full stop.
    pub what: String,
    /// The name that was probably meant.
    pub suggestion: Option<String>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.what)?;
        match &self.suggestion {
            Some(s) => write!(f, " (did you mean `{s}`?)"),
            None => Ok(()),
        }
    }
}

/// Gathers the mistakes of one file.
#[derive(Debug)]
pub struct Report {
    file: String,
    mistakes: Vec<Mistake>,
}

impl Report {
    pub fn new(file: &str) -> Report {
        Report { file: file.to_owned(), mistakes: Vec::new() }
    }

    pub fn add(&mut self, at: Place, what: impl Into<String>) {
        self.suggest(at, what, None);
    }

    pub fn suggest(&mut self, at: Place, what: impl Into<String>, suggestion: Option<String>) {
        self.mistakes.push(Mistake { file: self.file.clone(), line: at.line, column: at.column, what: what.into(), suggestion });
    }

    pub fn is_empty(&self) -> bool {
        self.mistakes.is_empty()
    }

    pub fn into_mistakes(self) -> Vec<Mistake> {
        self.mistakes
    }
}

/// In the order of file, line, column; each once.
pub fn sorted(mut mistakes: Vec<Mistake>) -> Vec<Mistake> {
    mistakes.sort();
    mistakes.dedup();
    mistakes
}

/// The candidate that `name` was probably meant to be: within one edit per three characters, at least one; ties: the first.
/// Segments before a dot that both share do not count: `data.wind` is not nearly `data.lane`.
pub fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let score = |candidate: &'a str| {
        let (mut a, mut b) = (name, candidate);
        while let (Some((head, rest)), Some((other, other_rest))) = (a.split_once('.'), b.split_once('.'))
            && head == other
        {
            (a, b) = (rest, other_rest);
        }
        let distance = strsim::damerau_levenshtein(a, b);
        (distance > 0 && distance <= (a.chars().count() / 3).max(1)).then_some((distance, candidate))
    };
    candidates.into_iter().filter_map(score).min_by_key(|(d, _)| *d).map(|(_, c)| c.to_owned())
}

/// The last place at or before a byte where a character begins.
pub fn char_boundary(text: &str, byte: usize) -> usize {
    let byte = byte.min(text.len());
    (0..=byte).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

/// "`a`, `b` or `c`".
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|n| format!("`{n}`")).collect();
    match names.split_last() {
        None => "nothing".into(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}
