//! The envelope of a CloudEvent 1.0, in the JSON format or from headers.
//!
//! Owns: [`Envelope`]: which attributes there are, what each must be. Refuses to know: schemas, what `data` holds.
//!
//! Invariants
//! 1. Attributes come in any order; unknown ones are checked (name, simple value) and let go. `null` is an attribute that is not
//!    there (CloudEvents JSON format 1.0.2, section 2.2).
//! 2. An attribute with a meaning here, given twice, is refused: the record has no certain meaning.
//! 3. The time is looked at last, by [`Envelope::time`]: its absence or shape is a fault of the time (T1), not of the envelope.
//!
//! Called by: event::decode, event::binary.

use super::plan::attribute::{self, *};
use super::plan::{DecodePlan, NONE};
use super::scan::{Cursor, Text};
use super::walk::{Walk, excerpt};
use super::{Reason, Rejected, Scalar, TypeId};
use crate::time::Timestamp;
use base64::Engine;

/// What one reading is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// `data` is walked where it stands if its type is known by then.
    Whole,
    /// `data` is stepped over: only faults of the envelope come out.
    EnvelopeOnly,
}

pub(crate) struct Envelope<'a> {
    /// Text attributes by number, `specversion` to `dataschema`.
    texts: [Option<&'a str>; 8],
    /// Bits of the attributes met.
    seen: u64,
    extensions: &'a mut [Scalar<'a>],
    pub kind: TypeId,
    /// Where `data` lies in the record.
    pub data: Option<(usize, usize)>,
    pub walked: bool,
    /// Data that is not JSON: the base64 text as it came, or a body.
    pub opaque: Option<&'a [u8]>,
    time_at: usize,
}

impl<'a> Envelope<'a> {
    #[inline(always)]
    pub fn new(walk: &mut Walk<'_, 'a>) -> Self {
        let extensions: &'a mut [Scalar<'a>] =
            if walk.plan.extensions == 0 { &mut [] } else { walk.bump.alloc_slice_fill_copy(walk.plan.extensions, Scalar::Absent) };
        Envelope { texts: [None; 8], seen: 0, extensions, kind: TypeId::UNKNOWN, data: None, walked: false, opaque: None, time_at: 0 }
    }

    pub fn kind_name(&self) -> &'a str {
        self.texts[TYPE as usize].unwrap_or("")
    }

    pub fn id(&self) -> &'a str {
        self.texts[ID as usize].unwrap_or("")
    }

    pub fn source(&self) -> &'a str {
        self.texts[SOURCE as usize].unwrap_or("")
    }

    pub fn subject(&self) -> Option<&'a str> {
        self.texts[SUBJECT as usize]
    }

    pub fn scalar_text(&self, number: u32) -> Option<&'a str> {
        self.texts.get(number as usize).copied().flatten()
    }

    pub fn has(&self, number: u32) -> bool {
        self.seen & 1u64.checked_shl(number).unwrap_or(0) != 0
    }

    /// Empty slots for the type's wanted paths.
    #[inline(always)]
    pub fn prepare(&self, walk: &mut Walk<'_, 'a>) {
        let count = walk.plan.plan_of(self.kind).paths.len();
        walk.slots = if count == 0 { &mut [] } else { walk.bump.alloc_slice_fill_copy(count, Scalar::Absent) };
        (walk.lon, walk.lat, walk.invalid) = (f64::NAN, f64::NAN, 0);
    }

    /// A wanted attribute's value.
    pub fn scalar(&self, number: u32) -> Scalar<'a> {
        match self.texts.get(number as usize) {
            Some(text) => text.map_or(Scalar::Absent, Scalar::Text),
            None => self.extensions.get(number.wrapping_sub(EXTENSION) as usize).copied().unwrap_or_default(),
        }
    }

    /// Reads the whole record.
    #[inline(always)]
    pub fn read(&mut self, walk: &mut Walk<'_, 'a>, c: &mut Cursor<'a>, scope: Scope) -> Result<(), Box<Rejected>> {
        if c.ws() != b'{' {
            return Err(envelope_fault("type", "", c.i, "a CloudEvent is a JSON object".into()));
        }
        c.i += 1;
        let mut spot = 0;
        if c.ws() == b'}' {
            c.i += 1;
        } else {
            loop {
                let at = c.i;
                let (number, name) = walk.member(c, 0, &mut spot)?;
                self.attribute(walk, c, number, name, at, scope)?;
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
        c.end()?;
        self.complete(c.i)
    }

    #[inline(always)]
    fn attribute(
        &mut self,
        walk: &mut Walk<'_, 'a>,
        c: &mut Cursor<'a>,
        number: u32,
        name: Option<Text>,
        at: usize,
        scope: Scope,
    ) -> Result<(), Box<Rejected>> {
        let bit = 1u64.checked_shl(number).unwrap_or(0);
        if self.seen & bit != 0 {
            return Err(twice(walk.plan, number, at));
        }
        self.seen |= bit;
        match number {
            SPECVERSION..=DATASCHEMA => {
                if c.ws() != b'"' {
                    return self.not_text(c, number);
                }
                c.i += 1;
                let at = c.i;
                let text = c.string()?;
                let text = walk.plain(c, text);
                self.set_text(walk.plan, number, text, at)
            }
            DATA => {
                c.ws();
                let from = c.i;
                if self.seen & (1 << TYPE) != 0 && scope == Scope::Whole {
                    self.prepare(walk);
                    walk.value(c, walk.plan.plan_of(self.kind).root, 1)?;
                    self.walked = true;
                } else {
                    c.skip(1)?;
                }
                self.data = Some((from, c.i));
                Ok(())
            }
            DATA_BASE64 => self.base64(walk, c),
            NONE => unknown(walk, c, name, at),
            extension => {
                let value = simple(walk, c, || walk_name(walk.plan, extension))?;
                if let Some(place) = self.extensions.get_mut((extension - EXTENSION) as usize) {
                    *place = value;
                }
                Ok(())
            }
        }
    }

    /// One text attribute, `at` its first byte.
    #[inline(always)]
    pub fn set_text(&mut self, plan: &DecodePlan, number: u32, text: &'a str, at: usize) -> Result<(), Box<Rejected>> {
        match number {
            TYPE => self.kind = plan.type_id(text),
            TIME => self.time_at = at,
            SPECVERSION if text != "1.0" => {
                let detail = format!("found version \"{}\", expected \"1.0\"", excerpt(text));
                return Err(envelope_fault("specversion", "specversion", at, detail));
            }
            _ => {}
        }
        if text.is_empty() && number != TIME {
            return Err(envelope_fault("empty", NAMES[number as usize], at, "the attribute is empty".into()));
        }
        self.texts[number as usize] = Some(text);
        self.seen |= 1 << number;
        Ok(())
    }

    pub fn set_extension(&mut self, number: u32, text: &'a str) {
        self.seen |= 1u64.checked_shl(number).unwrap_or(0);
        if let Some(place) = self.extensions.get_mut(number.wrapping_sub(EXTENSION) as usize) {
            *place = Scalar::Text(text);
        }
    }

    /// `null` is no attribute; a time of another type is a fault of the time, judged last.
    #[cold]
    fn not_text(&mut self, c: &mut Cursor<'a>, number: u32) -> Result<(), Box<Rejected>> {
        let at = c.i;
        let null = c.peek() == b'n';
        c.skip(1)?;
        if null {
            return Ok(());
        }
        if number == TIME {
            (self.texts[TIME as usize], self.time_at) = (Some(""), at);
            return Ok(());
        }
        Err(envelope_fault("type", NAMES[number as usize], at, "the attribute is not a string".into()))
    }

    #[cold]
    fn base64(&mut self, walk: &mut Walk<'_, 'a>, c: &mut Cursor<'a>) -> Result<(), Box<Rejected>> {
        let byte = c.ws();
        let at = c.i;
        if byte == b'n' {
            return c.word("null");
        }
        if byte != b'"' {
            c.skip(1)?;
            return Err(envelope_fault("type", "data_base64", at, "data_base64 is not a string".into()));
        }
        c.i += 1;
        let text = c.string()?;
        let text = walk.plain(c, text);
        if let Err(error) = base64::engine::general_purpose::STANDARD.decode(text) {
            return Err(envelope_fault("base64", "data_base64", at, format!("data_base64 is not base64: {error}")));
        }
        self.opaque = Some(text.as_bytes());
        Ok(())
    }

    /// What must be there is there.
    #[inline(always)]
    pub fn complete(&self, end: usize) -> Result<(), Box<Rejected>> {
        let [Some(_), Some(_), Some(_), Some(_), ..] = self.texts else { return Err(self.missing(end)) };
        if self.opaque.is_some() && self.data.is_some() {
            return Err(envelope_fault("both", "data_base64", end, "data and data_base64 are both there".into()));
        }
        Ok(())
    }

    #[cold]
    fn missing(&self, end: usize) -> Box<Rejected> {
        let number = self.texts.iter().position(Option::is_none).unwrap_or(0);
        let name = attribute::NAMES[number];
        envelope_fault("missing", name, end.saturating_sub(1), format!("the attribute \"{name}\" is missing"))
    }

    /// The time of the event (T1).
    #[inline(always)]
    pub fn time(&self) -> Result<Timestamp, Box<Rejected>> {
        let text = self.texts[TIME as usize];
        text.and_then(|text| Timestamp::parse_rfc3339(text.as_bytes())).ok_or_else(|| super::clock::unreadable(text, self.time_at))
    }
}

fn walk_name(plan: &DecodePlan, number: u32) -> String {
    plan.children.get(number as usize).map_or(String::new(), |child| child.key.name.to_string())
}

#[cold]
pub(crate) fn twice(plan: &DecodePlan, number: u32, at: usize) -> Box<Rejected> {
    let name = walk_name(plan, number);
    envelope_fault("duplicate", &name, at, format!("\"{name}\" is given twice"))
}

/// An attribute that nobody reads: its name and value must still be those of an attribute.
#[inline(never)]
fn unknown<'a>(walk: &mut Walk<'_, 'a>, c: &mut Cursor<'a>, name: Option<Text>, at: usize) -> Result<(), Box<Rejected>> {
    let name = name.map_or("", |text| walk.plain(c, text));
    check_name(name, at)?;
    simple(walk, c, || name.to_owned()).map(drop)
}

/// Attribute names are lower-case ASCII letters and digits (CloudEvents 1.0.2, naming conventions).
pub(crate) fn check_name(name: &str, at: usize) -> Result<(), Box<Rejected>> {
    if !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
        return Ok(());
    }
    let detail = format!("\"{}\" is no attribute name: lower-case letters and digits only", excerpt(name));
    Err(envelope_fault("name", excerpt(name), at, detail))
}

/// The value of an extension attribute: a string, a boolean, a whole number of 32 bits, or null.
fn simple<'a>(walk: &mut Walk<'_, 'a>, c: &mut Cursor<'a>, name: impl Fn() -> String) -> Result<Scalar<'a>, Box<Rejected>> {
    let byte = c.ws();
    let at = c.i;
    match byte {
        b'"' => {
            c.i += 1;
            let text = c.string()?;
            Ok(Scalar::Text(walk.plain(c, text)))
        }
        b't' => c.word("true").map(|()| Scalar::Bool(true)),
        b'f' => c.word("false").map(|()| Scalar::Bool(false)),
        b'n' => c.word("null").map(|()| Scalar::Absent),
        b'-' | b'0'..=b'9' => {
            let value = c.number()?;
            let whole = !c.b[at..c.i].iter().any(|b| matches!(b, b'.' | b'e' | b'E'));
            if whole && (-2_147_483_648.0..=2_147_483_647.0).contains(&value) {
                return Ok(Scalar::Num(value));
            }
            Err(envelope_fault("type", &name(), at, "a number in the envelope is a whole number of 32 bits".into()))
        }
        b'{' | b'[' => {
            c.skip(1)?;
            Err(envelope_fault("type", &name(), at, "an attribute's value is a string, a boolean or a whole number".into()))
        }
        _ => Err(c.fault("a value")),
    }
}

/// Not a CloudEvent 1.0.
#[cold]
pub(crate) fn envelope_fault(what: &'static str, path: &str, at: usize, detail: String) -> Box<Rejected> {
    let at = u32::try_from(at).unwrap_or(u32::MAX);
    Box::new(Rejected { reason: Reason::Envelope, what: what.into(), path: path.to_owned(), at, detail, source: None })
}
