//! `data` read along its plan: checked against the schema, wanted values kept, everything else stepped over.
//!
//! Owns: [`Walk`], the guess of which member comes next. Refuses to know: the envelope, time.
//!
//! Invariants
//! 1. One pass, nothing built: texts borrow from the record, unescaped ones from the decoder's scratch.
//! 2. Of a name given twice every value must fit the schema, and the last one counts (as in most JSON libraries).
//! 3. A number outside its valid range, or greater than any double, empties its field and is counted, nothing more (R6).
//! 4. Guessing changes speed only: a wrong guess falls back to search.
//!
//! Called by: event::decode, event::binary.

use super::plan::{DecodePlan, NONE, Node, Place};
use super::scan::{Cursor, Text, unescape};
use super::shape::{ARRAY, BOOLEAN, INTEGER, Literal, NULL, NUMBER, OBJECT, STRING, TextRule};
use super::{Reason, Rejected, Scalar};
use bumpalo::Bump;

/// A decoder's memory between and during events.
pub(crate) struct Walk<'p, 'a> {
    pub plan: &'p DecodePlan,
    /// By node, then by child: the child that followed last time.
    pub guess: &'p mut [u32],
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

    /// At a member of an object: its number among the node's children, or `NONE` and its name; the cursor goes after the colon.
    /// `spot` says what came before: the node's number at the start, later what this function left there.
    #[inline(always)]
    pub fn member(&mut self, c: &mut Cursor<'a>, node: u32, spot: &mut usize) -> Result<(u32, Option<Text>), Box<Rejected>> {
        let guess = self.guess.get(*spot).copied().unwrap_or(NONE);
        if let Some(child) = self.plan.children.get(guess as usize) {
            let length = child.key.length_at(c.b, c.i);
            if length > 0 {
                c.i += length;
                *spot = self.plan.nodes.len() + guess as usize;
                return Ok((guess, None));
            }
        }
        self.find_member(c, node, spot)
    }

    #[inline(never)]
    fn find_member(&mut self, c: &mut Cursor<'a>, node: u32, spot: &mut usize) -> Result<(u32, Option<Text>), Box<Rejected>> {
        let text = c.name()?;
        let raw = c.raw(text);
        let name = if text.escaped {
            self.buffer.clear();
            unescape(raw, self.buffer);
            self.buffer.as_str()
        } else {
            raw
        };
        let node = &self.plan.nodes[node as usize];
        let children = &self.plan.children[node.first as usize..node.end as usize];
        let Some(found) = children.iter().position(|child| *child.key.name == *name) else { return Ok((NONE, Some(text))) };
        let found = node.first + found as u32;
        if let Some(guess) = self.guess.get_mut(*spot) {
            *guess = found;
        }
        *spot = self.plan.nodes.len() + found as usize;
        Ok((found, None))
    }

    /// Reads one value; `depth` containers are open around it.
    pub fn value(&mut self, c: &mut Cursor<'a>, node: u32, depth: u32) -> Result<(), Box<Rejected>> {
        let plan = self.plan;
        let n = &plan.nodes[node as usize];
        let byte = c.ws();
        let at = c.i;
        match byte {
            b'-' | b'0'..=b'9' => {
                let value = c.number()?;
                if n.types & NUMBER == 0 && (n.types & INTEGER == 0 || (value.fract() != 0.0 && value.is_finite())) {
                    return Err(wrong_type(n, at, "a number"));
                }
                if n.checked {
                    check_literal(n, at, &Literal::Num(value))?;
                }
                if value >= n.low && value <= n.high {
                    self.keep(n, Scalar::Num(value));
                } else {
                    self.invalid += 1;
                    self.keep(n, Scalar::Absent);
                }
            }
            b'"' => {
                c.i += 1;
                let text = c.string()?;
                if n.types & STRING == 0 {
                    return Err(wrong_type(n, at, "a string"));
                }
                if n.checked {
                    let plain = self.plain(c, text);
                    check_text(n, at, plain)?;
                    self.keep(n, Scalar::Text(plain));
                } else if n.slot != NONE {
                    let plain = self.plain(c, text);
                    self.keep(n, Scalar::Text(plain));
                } else {
                    self.keep(n, Scalar::Absent);
                }
            }
            b'{' => {
                if n.types & OBJECT == 0 {
                    return Err(wrong_type(n, at, "an object"));
                }
                self.keep_container(n, at)?;
                return self.object(c, node, depth);
            }
            b'[' => {
                if n.types & ARRAY == 0 {
                    return Err(wrong_type(n, at, "an array"));
                }
                self.keep_container(n, at)?;
                return self.array(c, node, depth);
            }
            b't' => return c.word("true").and_then(|()| self.constant(n, at, Some(true))),
            b'f' => return c.word("false").and_then(|()| self.constant(n, at, Some(false))),
            b'n' => return c.word("null").and_then(|()| self.constant(n, at, None)),
            _ => return Err(c.fault("a value")),
        }
        Ok(())
    }

    fn constant(&mut self, n: &Node, at: usize, value: Option<bool>) -> Result<(), Box<Rejected>> {
        let (bit, name) = if value.is_some() { (BOOLEAN, "a boolean") } else { (NULL, "null") };
        if n.types & bit == 0 {
            return Err(wrong_type(n, at, name));
        }
        if n.checked {
            check_literal(n, at, &value.map_or(Literal::Null, Literal::Bool))?;
        }
        self.keep(n, value.map_or(Scalar::Absent, Scalar::Bool));
        Ok(())
    }

    #[inline(always)]
    fn keep(&mut self, n: &Node, value: Scalar<'a>) {
        if let Some(slot) = self.slots.get_mut(n.slot as usize) {
            *slot = value;
        }
        if n.place != Place::Nowhere {
            let number = if let Scalar::Num(v) = value { v } else { f64::NAN };
            if n.place == Place::Longitude { self.lon = number } else { self.lat = number }
        }
        if n.first != n.end {
            self.forget(n);
        }
    }

    fn keep_container(&mut self, n: &Node, at: usize) -> Result<(), Box<Rejected>> {
        if n.values.is_some() {
            return Err(schema_fault("enum", &n.path, at, format!("found an object or array, expected {}", allowed(n))));
        }
        self.keep(n, Scalar::Absent);
        Ok(())
    }

    /// A name given twice: what an earlier value held below is gone.
    fn forget(&mut self, n: &Node) {
        for slot in &n.inner {
            if let Some(slot) = self.slots.get_mut(*slot as usize) {
                *slot = Scalar::Absent;
            }
        }
        if n.inner_place {
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
                let (child, name) = self.member(c, node, &mut spot)?;
                if let Some(child) = plan.children.get(child as usize) {
                    missing &= !child.required;
                    self.value(c, child.node, depth + 1)?;
                } else {
                    if n.closed {
                        return Err(self.not_named(n, c, at, name));
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
        if missing != 0 { Err(self.missing(n, missing, c.i)) } else { Ok(()) }
    }

    fn array(&mut self, c: &mut Cursor<'a>, node: u32, depth: u32) -> Result<(), Box<Rejected>> {
        let plan = self.plan;
        let n = &plan.nodes[node as usize];
        c.enter(depth)?;
        let at = c.i;
        c.i += 1;
        let mut count = 0u64;
        if c.ws() == b']' {
            c.i += 1;
        } else {
            loop {
                if n.items == NONE {
                    c.skip(depth + 1)?
                } else {
                    self.value(c, n.items, depth + 1)?
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
        if count < n.min_items {
            return Err(schema_fault("min-items", &n.path, at, format!("found {count} items, expected at least {}", n.min_items)));
        }
        if count > n.max_items {
            return Err(schema_fault("max-items", &n.path, at, format!("found {count} items, expected at most {}", n.max_items)));
        }
        Ok(())
    }

    #[cold]
    fn missing(&self, n: &Node, missing: u64, at: usize) -> Box<Rejected> {
        let children = &self.plan.children[n.first as usize..n.end as usize];
        let name = children.iter().find(|child| child.required & missing != 0).map_or("", |child| &child.key.name);
        schema_fault("required", &format!("{}.{name}", n.path), at.saturating_sub(1), format!("\"{name}\" is missing"))
    }

    #[cold]
    fn not_named(&self, n: &Node, c: &Cursor<'a>, at: usize, name: Option<Text>) -> Box<Rejected> {
        let name = name.map_or("", |text| c.raw(text));
        let path = format!("{}.{}", n.path, excerpt(name));
        schema_fault("additional-properties", &path, at, format!("the schema names no \"{}\" here", excerpt(name)))
    }
}

fn check_literal(n: &Node, at: usize, found: &Literal) -> Result<(), Box<Rejected>> {
    match &n.values {
        Some(values) if !values.contains(found) => {
            let found = match found {
                Literal::Num(v) => v.to_string(),
                Literal::Bool(b) => b.to_string(),
                Literal::Null => "null".into(),
                Literal::Text(t) => format!("\"{}\"", excerpt(t)),
            };
            Err(schema_fault("enum", &n.path, at, format!("found {found}, expected {}", allowed(n))))
        }
        _ => Ok(()),
    }
}

fn check_text(n: &Node, at: usize, text: &str) -> Result<(), Box<Rejected>> {
    if let Some(values) = &n.values
        && !values.iter().any(|v| matches!(v, Literal::Text(t) if t == text))
    {
        return Err(schema_fault("enum", &n.path, at, format!("found \"{}\", expected {}", excerpt(text), allowed(n))));
    }
    let Some(TextRule { min, max, pattern }) = &n.text else { return Ok(()) };
    // a character takes 1 to 4 bytes
    let bytes = text.len() as u64;
    if bytes > *max || bytes < min.saturating_mul(4) {
        let length = text.chars().count() as u64;
        if length < *min {
            return Err(schema_fault("min-length", &n.path, at, format!("found {length} characters, expected at least {min}")));
        }
        if length > *max {
            return Err(schema_fault("max-length", &n.path, at, format!("found {length} characters, expected at most {max}")));
        }
    }
    match pattern {
        Some(pattern) if !pattern.is_match(text) => {
            Err(schema_fault("pattern", &n.path, at, format!("\"{}\" does not match {}", excerpt(text), pattern.as_str())))
        }
        _ => Ok(()),
    }
}

#[cold]
fn wrong_type(n: &Node, at: usize, found: &str) -> Box<Rejected> {
    const NAMES: [(u8, &str); 7] = [
        (NUMBER, "a number"),
        (INTEGER, "a whole number"),
        (STRING, "a string"),
        (BOOLEAN, "a boolean"),
        (OBJECT, "an object"),
        (ARRAY, "an array"),
        (NULL, "null"),
    ];
    let wanted: Vec<&str> =
        NAMES.iter().filter(|(bit, _)| n.types & bit != 0 && !(*bit == INTEGER && n.types & NUMBER != 0)).map(|(_, name)| *name).collect();
    let found = if found == "a number" && n.types & INTEGER != 0 { "a number with a fraction" } else { found };
    schema_fault("type", &n.path, at, format!("found {found}, expected {}", wanted.join(" or ")))
}

fn allowed(n: &Node) -> String {
    let names = n.values.iter().flatten().take(12).map(|value| match value {
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
