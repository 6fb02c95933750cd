//! `data` read along its plan: checked against the schema, wanted values kept, everything else stepped over.
//!
//! Owns: [`Walk`], the guess of which member comes next. Refuses to know: the envelope, time.
//!
//! Invariants
//! 1. One pass, nothing built: texts borrow from the record, unescaped ones from the decoder's scratch.
//! 2. Of a name given twice every value must fit the schema, and the last one counts (as in most JSON libraries).
//! 3. A number outside its valid range, or greater than any double, empties its field and is counted, nothing more (R6).
//! 4. Guessing changes speed only: a wrong guess falls back to search, and what is learned is bounded by the plan's size.
//!
//! Called by: event::decode, event::binary.

use super::clock::Minute;
use super::guess::Guess;
use super::plan::{DecodePlan, NONE, Node, Place, Rules};
use super::scan::{Cursor, Text, unescape};
use super::shape::{ARRAY, BOOLEAN, INTEGER, Literal, NULL, NUMBER, OBJECT, STRING, TextRule};
use super::{Reason, Rejected, Scalar};
use bumpalo::Bump;

/// A decoder's memory between and during events.
pub(crate) struct Walk<'p, 'a> {
    pub plan: &'p DecodePlan,
    pub guess: &'p mut Guess,
    pub minute: &'p mut Minute,
    pub bump: &'a Bump,
    pub buffer: &'p mut String,
    pub slots: &'a mut [Scalar<'a>],
    /// Not a number where there is none.
    pub lon: f64,
    pub lat: f64,
    pub invalid: u32,
}

impl<'a> Walk<'_, 'a> {
    /// What a string means, unescaped if need be.
    #[inline(always)]
    pub fn plain(&mut self, c: &Cursor<'a>, text: Text) -> &'a str {
        let raw = c.raw(text);
        if !text.escaped {
            return raw;
        }
        self.buffer.clear();
        unescape(raw, self.buffer);
        self.bump.alloc_str(self.buffer)
    }

    /// At a member of an object: its child, or [`STRANGER`], or `NONE` for a name met here for the first time; the cursor goes after
    /// the colon. `spot` says what came before: the node's number at the start, later what this function left there.
    #[inline(always)]
    pub fn member(&mut self, c: &mut Cursor<'a>, node: u32, spot: &mut usize) -> Result<u32, Box<Rejected>> {
        let guess = self.guess.after(*spot);
        let length = self.plan.length_at(guess, c.b, c.i);
        if length > 0 {
            c.i += length;
            *spot = self.plan.nodes.len() + guess as usize;
            return Ok(guess);
        }
        self.find_member(c, node, spot)
    }

    #[inline(never)]
    fn find_member(&mut self, c: &mut Cursor<'a>, node: u32, spot: &mut usize) -> Result<u32, Box<Rejected>> {
        if let Some(length) = self.guess.stranger_at(spot, c.b, c.i) {
            c.i += length;
            return Ok(STRANGER);
        }
        c.ws();
        let at = c.i;
        let text = c.name()?;
        let raw = c.raw(text);
        let name = if text.escaped {
            self.buffer.clear();
            unescape(raw, self.buffer);
            self.buffer.as_str()
        } else {
            raw
        };
        let n = &self.plan.nodes[node as usize];
        let names = &self.plan.names[n.first as usize..n.end as usize];
        let Some(found) = names.iter().position(|known| *known.plain == *name) else {
            self.guess.learn(self.plan, node, spot, c.b.get(at..c.i).unwrap_or(&[]), name);
            return Ok(NONE);
        };
        let found = n.first + found as u32;
        self.guess.set(spot, found, self.plan.nodes.len() + found as usize);
        Ok(found)
    }

    /// Reads `data`, whose slots are empty.
    #[inline(always)]
    pub fn data(&mut self, c: &mut Cursor<'a>, root: u32) -> Result<(), Box<Rejected>> {
        let n = &self.plan.nodes[root as usize];
        if c.ws() == b'{' && n.types & OBJECT != 0 && !n.checked {
            return self.object(c, root, 1);
        }
        self.value(c, root, 1)
    }

    /// Reads one value; `depth` containers are open around it.
    pub fn value(&mut self, c: &mut Cursor<'a>, node: u32, depth: u32) -> Result<(), Box<Rejected>> {
        self.value_here(c, node, depth)
    }

    #[inline(always)]
    fn value_here(&mut self, c: &mut Cursor<'a>, node: u32, depth: u32) -> Result<(), Box<Rejected>> {
        let plan = self.plan;
        let n = &plan.nodes[node as usize];
        match c.ws() {
            b'-' | b'0'..=b'9' => {
                let at = c.i;
                let value = c.number()?;
                if (n.types & NUMBER == 0 && (n.types & INTEGER == 0 || !is_whole(value))) || n.checked {
                    self.check_number(node, at, value)?;
                }
                if value >= n.low && value <= n.high {
                    self.keep(n, node, Scalar::Num(value));
                } else {
                    self.invalid += 1;
                    self.keep(n, node, Scalar::Absent);
                }
                Ok(())
            }
            b'"' => {
                c.i += 1;
                let text = c.string()?;
                if n.types & STRING == 0 || n.checked {
                    return self.checked_text(c, node, text);
                }
                let value = if n.slot == NONE { Scalar::Absent } else { Scalar::Text(self.plain(c, text)) };
                self.keep(n, node, value);
                Ok(())
            }
            _ => self.other(c, node, depth),
        }
    }

    /// Values other than numbers and strings.
    #[inline(never)]
    fn other(&mut self, c: &mut Cursor<'a>, node: u32, depth: u32) -> Result<(), Box<Rejected>> {
        let (at, rules) = (c.i, &self.plan.rules[node as usize]);
        match c.peek() {
            b't' => c.word("true").and_then(|()| self.constant(node, at, Some(true))),
            b'f' => c.word("false").and_then(|()| self.constant(node, at, Some(false))),
            b'n' => c.word("null").and_then(|()| self.constant(node, at, None)),
            b'{' if rules.types & OBJECT == 0 => Err(wrong_type(rules, at, "an object")),
            b'[' if rules.types & ARRAY == 0 => Err(wrong_type(rules, at, "an array")),
            b'{' | b'[' if rules.values.is_some() => {
                let detail = format!("found an object or array, expected {}", allowed(rules));
                Err(schema_fault("enum", &rules.path, at, detail))
            }
            b'{' => {
                self.keep(&self.plan.nodes[node as usize], node, Scalar::Absent);
                self.object(c, node, depth)
            }
            b'[' => {
                self.keep(&self.plan.nodes[node as usize], node, Scalar::Absent);
                self.array(c, node, depth)
            }
            _ => Err(c.fault("a value")),
        }
    }

    #[inline(never)]
    fn check_number(&mut self, node: u32, at: usize, value: f64) -> Result<(), Box<Rejected>> {
        let rules = &self.plan.rules[node as usize];
        if rules.types & NUMBER == 0 && (rules.types & INTEGER == 0 || !is_whole(value)) {
            return Err(wrong_type(rules, at, "a number"));
        }
        check_literal(rules, at, &Literal::Num(value))
    }

    /// A string, which stands behind the cursor, of a node that wants none or checks it.
    #[inline(never)]
    fn checked_text(&mut self, c: &Cursor<'a>, node: u32, text: Text) -> Result<(), Box<Rejected>> {
        let (plan, at) = (self.plan, text.from - 1);
        let rules = &plan.rules[node as usize];
        if rules.types & STRING == 0 {
            return Err(wrong_type(rules, at, "a string"));
        }
        let plain = self.plain(c, text);
        check_text(rules, at, plain)?;
        self.keep(&plan.nodes[node as usize], node, Scalar::Text(plain));
        Ok(())
    }

    fn constant(&mut self, node: u32, at: usize, value: Option<bool>) -> Result<(), Box<Rejected>> {
        let (plan, rules) = (self.plan, &self.plan.rules[node as usize]);
        let (bit, name) = if value.is_some() { (BOOLEAN, "a boolean") } else { (NULL, "null") };
        if rules.types & bit == 0 {
            return Err(wrong_type(rules, at, name));
        }
        check_literal(rules, at, &value.map_or(Literal::Null, Literal::Bool))?;
        self.keep(&plan.nodes[node as usize], node, value.map_or(Scalar::Absent, Scalar::Bool));
        Ok(())
    }

    #[inline(always)]
    fn keep(&mut self, n: &Node, node: u32, value: Scalar<'a>) {
        if let Some(slot) = self.slots.get_mut(n.slot as usize) {
            *slot = value;
        }
        if n.place != Place::Nowhere {
            let number = if let Scalar::Num(v) = value { v } else { f64::NAN };
            if n.place == Place::Longitude { self.lon = number } else { self.lat = number }
        }
        if n.holds {
            self.forget(node);
        }
    }

    /// A name given twice: what an earlier value held below is gone.
    #[inline(never)]
    fn forget(&mut self, node: u32) {
        let rules = &self.plan.rules[node as usize];
        for slot in &rules.inner {
            if let Some(slot) = self.slots.get_mut(*slot as usize) {
                *slot = Scalar::Absent;
            }
        }
        if rules.inner_place {
            (self.lon, self.lat) = (f64::NAN, f64::NAN);
        }
    }

    fn object(&mut self, c: &mut Cursor<'a>, node: u32, depth: u32) -> Result<(), Box<Rejected>> {
        let plan = self.plan;
        let n = &plan.nodes[node as usize];
        c.enter(depth)?;
        c.i += 1;
        let mut missing = n.required;
        let mut spot = node as usize;
        if c.ws() == b'}' {
            c.i += 1;
        } else {
            loop {
                let at = c.i;
                let child = self.member(c, node, &mut spot)?;
                if let Some(child) = plan.children.get(child as usize) {
                    missing &= !child.required;
                    self.value_here(c, child.node, depth + 1)?;
                } else {
                    if n.closed {
                        return Err(self.not_named(node, c, at));
                    }
                    c.skip(depth + 1)?;
                }
                match c.ws() {
                    b',' => {
                        c.i += 1;
                        c.ws();
                    }
                    b'}' => {
                        c.i += 1;
                        break;
                    }
                    _ => return Err(c.fault("',' or '}'")),
                }
            }
        }
        if missing != 0 { Err(self.missing(node, missing, c.i)) } else { Ok(()) }
    }

    fn array(&mut self, c: &mut Cursor<'a>, node: u32, depth: u32) -> Result<(), Box<Rejected>> {
        let plan = self.plan;
        let (items, rules) = (plan.nodes[node as usize].items, &plan.rules[node as usize]);
        c.enter(depth)?;
        let at = c.i;
        c.i += 1;
        let mut count = 0u64;
        if c.ws() == b']' {
            c.i += 1;
        } else {
            loop {
                if items == NONE {
                    c.skip(depth + 1)?
                } else {
                    self.value(c, items, depth + 1)?
                }
                count += 1;
                match c.ws() {
                    b',' => c.i += 1,
                    b']' => {
                        c.i += 1;
                        break;
                    }
                    _ => return Err(c.fault("',' or ']'")),
                }
            }
        }
        if count < rules.min_items {
            let detail = format!("found {count} items, expected at least {}", rules.min_items);
            return Err(schema_fault("min-items", &rules.path, at, detail));
        }
        if count > rules.max_items {
            let detail = format!("found {count} items, expected at most {}", rules.max_items);
            return Err(schema_fault("max-items", &rules.path, at, detail));
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn missing(&self, node: u32, missing: u64, at: usize) -> Box<Rejected> {
        let n = &self.plan.nodes[node as usize];
        let bits = self.plan.children[n.first as usize..n.end as usize].iter().map(|child| child.required);
        let names = &self.plan.names[n.first as usize..n.end as usize];
        let name = bits.zip(names).find(|(bit, _)| bit & missing != 0).map_or("", |(_, name)| &name.plain);
        let path = format!("{}.{name}", self.plan.rules[node as usize].path);
        schema_fault("required", &path, at.saturating_sub(1), format!("\"{name}\" is missing"))
    }

    #[cold]
    #[inline(never)]
    fn not_named(&mut self, node: u32, c: &Cursor<'a>, at: usize) -> Box<Rejected> {
        let name = self.name_at(c, at);
        let path = format!("{}.{}", self.plan.rules[node as usize].path, excerpt(name));
        schema_fault("additional-properties", &path, at, format!("the schema names no \"{}\" here", excerpt(name)))
    }

    /// The name of the member that begins at `at`.
    #[cold]
    pub fn name_at(&mut self, c: &Cursor<'a>, at: usize) -> &'a str {
        let mut there = Cursor { i: at, ..*c };
        there.name().map_or("", |text| self.plain(&there, text))
    }
}

/// A member that nobody reads, met before.
pub(crate) const STRANGER: u32 = NONE - 1;

/// No fraction; greater than every double counts as whole.
#[inline(always)]
fn is_whole(value: f64) -> bool {
    value as i64 as f64 == value || value.abs() >= 9_007_199_254_740_992.0
}

fn check_literal(rules: &Rules, at: usize, found: &Literal) -> Result<(), Box<Rejected>> {
    match &rules.values {
        Some(values) if !values.contains(found) => {
            let found = match found {
                Literal::Num(v) => v.to_string(),
                Literal::Bool(b) => b.to_string(),
                Literal::Null => "null".into(),
                Literal::Text(t) => format!("\"{}\"", excerpt(t)),
            };
            Err(schema_fault("enum", &rules.path, at, format!("found {found}, expected {}", allowed(rules))))
        }
        _ => Ok(()),
    }
}

fn check_text(rules: &Rules, at: usize, text: &str) -> Result<(), Box<Rejected>> {
    if let Some(values) = &rules.values
        && !values.iter().any(|v| matches!(v, Literal::Text(t) if t == text))
    {
        return Err(schema_fault("enum", &rules.path, at, format!("found \"{}\", expected {}", excerpt(text), allowed(rules))));
    }
    let Some(TextRule { min, max, pattern }) = &rules.text else { return Ok(()) };
    // a character takes 1 to 4 bytes
    let bytes = text.len() as u64;
    if bytes > *max || bytes < min.saturating_mul(4) {
        let length = text.chars().count() as u64;
        if length < *min {
            return Err(schema_fault("min-length", &rules.path, at, format!("found {length} characters, expected at least {min}")));
        }
        if length > *max {
            return Err(schema_fault("max-length", &rules.path, at, format!("found {length} characters, expected at most {max}")));
        }
    }
    match pattern {
        Some(pattern) if !pattern.is_match(text) => {
            Err(schema_fault("pattern", &rules.path, at, format!("\"{}\" does not match {}", excerpt(text), pattern.as_str())))
        }
        _ => Ok(()),
    }
}

#[cold]
fn wrong_type(rules: &Rules, at: usize, found: &str) -> Box<Rejected> {
    const NAMES: [(u8, &str); 7] = [
        (NUMBER, "a number"),
        (INTEGER, "a whole number"),
        (STRING, "a string"),
        (BOOLEAN, "a boolean"),
        (OBJECT, "an object"),
        (ARRAY, "an array"),
        (NULL, "null"),
    ];
    let wanted: Vec<&str> = NAMES
        .iter()
        .filter(|(bit, _)| rules.types & bit != 0 && !(*bit == INTEGER && rules.types & NUMBER != 0))
        .map(|(_, name)| *name)
        .collect();
    let found = if found == "a number" && rules.types & INTEGER != 0 { "a number with a fraction" } else { found };
    schema_fault("type", &rules.path, at, format!("found {found}, expected {}", wanted.join(" or ")))
}

fn allowed(rules: &Rules) -> String {
    let names = rules.values.iter().flatten().take(12).map(|value| match value {
        Literal::Null => "null".to_owned(),
        Literal::Bool(b) => b.to_string(),
        Literal::Num(v) => v.to_string(),
        Literal::Text(t) => format!("\"{t}\""),
    });
    format!("one of {}", names.collect::<Vec<_>>().join(", "))
}

/// At most 40 characters of what a record holds.
pub(crate) fn excerpt(text: &str) -> &str {
    text.char_indices().nth(40).map_or(text, |(end, _)| &text[..end])
}

/// `data` does not fit the schema of its type.
#[cold]
pub(crate) fn schema_fault(what: &str, path: &str, at: usize, detail: String) -> Box<Rejected> {
    let at = u32::try_from(at).unwrap_or(u32::MAX);
    Box::new(Rejected { reason: Reason::Schema, what: what.to_owned().into(), path: path.to_owned(), at, detail, source: None })
}
