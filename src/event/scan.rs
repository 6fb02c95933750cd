//! RFC 8259 JSON read forward, once, without building anything.
//!
//! Owns: [`Cursor`], the grammar of every value, the nesting bound. Refuses to know: CloudEvents, schemas, who reads which member.
//!
//! Invariants
//! 1. What a function here steps over has been checked to its last byte, whether or not somebody reads it.
//! 2. Numbers are the same doubles as `str::parse::<f64>` gives, bit for bit.
//! 3. Every fault is a [`Rejected`] with reason `bytes` and the byte where it was noticed; nothing here panics on any input.
//!
//! Called by: event::decode, event::walk, event::schema (places in files).

use super::{Reason, Rejected};

/// How many objects and arrays may be open at once, the record's own included.
pub(crate) const DEPTH: u32 = 128;

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Powers of ten that a double holds exactly.
const TENS: [f64; 23] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22];

/// Where a string's content lies in the record, its quotes left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text {
    pub from: usize,
    pub to: usize,
    pub escaped: bool,
}

/// A place in one record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    pub text: &'a str,
    pub b: &'a [u8],
    pub i: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a str) -> Self {
        Cursor { text, b: text.as_bytes(), i: 0 }
    }

    /// The byte here; 0, which no grammar rule accepts, past the end.
    #[inline(always)]
    pub fn peek(&self) -> u8 {
        self.b.get(self.i).copied().unwrap_or(0)
    }

    /// The first byte that is not white space; the cursor stands on it.
    #[inline(always)]
    pub fn ws(&mut self) -> u8 {
        let byte = self.peek();
        if byte > b' ' { byte } else { self.ws_slow() }
    }

    fn ws_slow(&mut self) -> u8 {
        while let b' ' | b'\n' | b'\r' | b'\t' = self.peek() {
            self.i += 1;
        }
        self.peek()
    }

    /// The content of a string as it stands, escapes and all.
    #[inline(always)]
    pub fn raw(&self, t: Text) -> &'a str {
        self.text.get(t.from..t.to).unwrap_or("")
    }

    /// A string from after its opening quote; the cursor stands after the closing one.
    #[inline(always)]
    pub fn string(&mut self) -> Result<Text, Box<Rejected>> {
        let from = self.i;
        let mut k = from;
        while let Some(eight) = self.b.get(k..).and_then(|rest| rest.first_chunk::<8>()) {
            let w = u64::from_le_bytes(*eight);
            let quote = w ^ (LOW * b'"' as u64);
            let slash = w ^ (LOW * b'\\' as u64);
            // the lowest byte found is exact: a borrow can only reach bytes above it
            let stop = ((quote.wrapping_sub(LOW) & !quote) | (slash.wrapping_sub(LOW) & !slash) | (w.wrapping_sub(LOW * 0x20) & !w)) & HIGH;
            if stop != 0 {
                k += (stop.trailing_zeros() / 8) as usize;
                if self.b[k] == b'"' {
                    self.i = k + 1;
                    return Ok(Text { from, to: k, escaped: false });
                }
                return self.string_slow(from, k);
            }
            k += 8;
        }
        self.string_slow(from, k)
    }

    /// Goes on byte by byte at `k`: escapes, control characters, the record's last bytes.
    #[cold]
    #[inline(never)]
    fn string_slow(&mut self, from: usize, mut k: usize) -> Result<Text, Box<Rejected>> {
        let mut escaped = false;
        loop {
            self.i = k;
            match self.b.get(k) {
                Some(b'"') => {
                    self.i = k + 1;
                    return Ok(Text { from, to: k, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.i = k + 1;
                    match self.peek() {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => k += 2,
                        b'u' => {
                            for digit in 1..=4 {
                                self.i = k + 1 + digit;
                                if !self.peek().is_ascii_hexdigit() {
                                    return Err(self.fault("a hexadecimal digit of a \\u escape"));
                                }
                            }
                            k += 6;
                        }
                        _ => return Err(self.fault("one of \" \\ / b f n r t u after \\")),
                    }
                }
                Some(0..0x20) => return Err(self.fault("no control character inside a string (escape it)")),
                Some(_) => k += 1,
                None => return Err(self.fault("the closing quote of a string")),
            }
        }
    }

    /// A number; infinite where it is greater than any double.
    #[inline(always)]
    pub fn number(&mut self) -> Result<f64, Box<Rejected>> {
        let b = self.b;
        let start = self.i;
        let mut i = start;
        let negative = b.get(i) == Some(&b'-');
        i += usize::from(negative);
        let first = i;
        let mut m = 0u64;
        while let Some(d) = b.get(i).map(|c| c.wrapping_sub(b'0')).filter(|d| *d < 10) {
            m = m.wrapping_mul(10).wrapping_add(u64::from(d));
            i += 1;
        }
        let mut digits = i - first;
        if digits == 0 || (digits > 1 && b[first] == b'0') {
            return Err(self.number_fault(first, digits));
        }
        let mut fraction = 0;
        if b.get(i) == Some(&b'.') {
            i += 1;
            let from = i;
            while let Some(d) = b.get(i).map(|c| c.wrapping_sub(b'0')).filter(|d| *d < 10) {
                m = m.wrapping_mul(10).wrapping_add(u64::from(d));
                i += 1;
            }
            fraction = i - from;
            if fraction == 0 {
                return Err(self.number_fault(i, 0));
            }
            digits += fraction;
        }
        // Clinger's fast path: both operands are exact, so the quotient is rounded once
        if digits <= 15 && !matches!(b.get(i), Some(b'e' | b'E')) {
            self.i = i;
            let value = m as f64 / TENS[fraction];
            return Ok(if negative { -value } else { value });
        }
        self.number_slow(start, i)
    }

    /// Many digits, or an exponent at `i`.
    #[inline(never)]
    fn number_slow(&mut self, start: usize, mut i: usize) -> Result<f64, Box<Rejected>> {
        if let Some(b'e' | b'E') = self.b.get(i) {
            i += 1;
            if let Some(b'+' | b'-') = self.b.get(i) {
                i += 1;
            }
            let from = i;
            while self.b.get(i).is_some_and(u8::is_ascii_digit) {
                i += 1;
            }
            if i == from {
                return Err(self.number_fault(i, 0));
            }
        }
        self.i = i;
        // the grammar of JSON numbers is part of what `f64::from_str` reads
        self.text.get(start..i).and_then(|t| t.parse().ok()).ok_or_else(|| self.fault("a number"))
    }

    #[cold]
    #[inline(never)]
    fn number_fault(&mut self, at: usize, digits: usize) -> Box<Rejected> {
        self.i = at;
        self.fault(if digits > 1 { "no zero before other digits of a number" } else { "a digit of a number" })
    }

    /// `true`, `false` or `null`, of which the first letter stands here.
    #[inline(always)]
    pub fn word(&mut self, word: &'static str) -> Result<(), Box<Rejected>> {
        if self.b.get(self.i..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
            self.i += word.len();
            return Ok(());
        }
        Err(self.word_fault(word))
    }

    #[cold]
    #[inline(never)]
    fn word_fault(&mut self, word: &'static str) -> Box<Rejected> {
        let same = word.bytes().zip(&self.b[self.i..]).take_while(|(a, b)| a == *b).count();
        self.i += same;
        self.fault(word)
    }

    /// Steps over one value that nobody reads, `depth` containers being open.
    #[inline(always)]
    pub fn skip(&mut self, depth: u32) -> Result<(), Box<Rejected>> {
        match self.ws() {
            b'"' => {
                self.i += 1;
                self.string().map(drop)
            }
            b'-' | b'0'..=b'9' => self.number().map(drop),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            b'{' | b'[' => self.skip_nested(depth),
            _ => Err(self.fault("a value")),
        }
    }

    /// An object or array, iteratively: one bit for each open container says which it is.
    fn skip_nested(&mut self, outer: u32) -> Result<(), Box<Rejected>> {
        let mut objects = 0u128;
        let mut open = 0u32;
        loop {
            // at a value
            let byte = self.ws();
            if byte == b'{' || byte == b'[' {
                self.enter(outer + open)?;
                self.i += 1;
                objects = objects << 1 | u128::from(byte == b'{');
                open += 1;
                let close = if byte == b'{' { b'}' } else { b']' };
                if self.ws() != close {
                    if byte == b'{' {
                        self.skip_name()?;
                    }
                    continue;
                }
            } else {
                self.skip(outer)?;
                self.ws();
            }
            // after a value, or at the end of an empty container
            loop {
                let object = objects & 1 == 1;
                match self.ws() {
                    b',' => {
                        self.i += 1;
                        if object {
                            self.skip_name()?;
                        }
                        break;
                    }
                    b'}' if object => {}
                    b']' if !object => {}
                    _ => return Err(self.fault(if object { "',' or '}'" } else { "',' or ']'" })),
                }
                self.i += 1;
                objects >>= 1;
                open -= 1;
                if open == 0 {
                    return Ok(());
                }
            }
        }
    }

    /// A member's name and colon.
    #[inline(always)]
    fn skip_name(&mut self) -> Result<(), Box<Rejected>> {
        self.name().map(drop)
    }

    /// A member's name; the cursor stands after its colon.
    #[inline(always)]
    pub fn name(&mut self) -> Result<Text, Box<Rejected>> {
        if self.ws() != b'"' {
            return Err(self.fault("a member's name in quotes"));
        }
        self.i += 1;
        let name = self.string()?;
        if self.ws() != b':' {
            return Err(self.fault("':' after a member's name"));
        }
        self.i += 1;
        Ok(name)
    }

    /// Refuses one more container inside `depth` open ones, if it is one too many.
    #[inline(always)]
    pub fn enter(&self, depth: u32) -> Result<(), Box<Rejected>> {
        if depth < DEPTH { Ok(()) } else { Err(self.too_deep()) }
    }

    #[cold]
    #[inline(never)]
    fn too_deep(&self) -> Box<Rejected> {
        bytes_fault("depth", self.i, format!("objects and arrays lie more than {DEPTH} deep"))
    }

    /// The record ends here, white space apart.
    pub fn end(&mut self) -> Result<(), Box<Rejected>> {
        self.ws();
        if self.i == self.b.len() {
            return Ok(());
        }
        let detail = format!("found {} after the end of the JSON value, expected nothing", self.found());
        Err(bytes_fault("trailing", self.i, detail))
    }

    /// What was found here is not what the grammar wants.
    #[cold]
    #[inline(never)]
    pub fn fault(&self, expected: &str) -> Box<Rejected> {
        if self.i >= self.b.len() {
            return bytes_fault("truncated", self.b.len(), format!("the record ends, expected {expected}"));
        }
        bytes_fault("syntax", self.i, format!("found {}, expected {expected}", self.found()))
    }

    fn found(&self) -> String {
        match self.text.get(self.i..).and_then(|rest| rest.chars().next()) {
            Some(c) if c.is_control() => format!("the control character U+{:04X}", c as u32),
            Some(c) => format!("'{c}'"),
            None => "the end".to_owned(),
        }
    }
}

/// A record that is not JSON in UTF-8.
#[cold]
pub(crate) fn bytes_fault(what: &'static str, at: usize, detail: String) -> Box<Rejected> {
    let at = u32::try_from(at).unwrap_or(u32::MAX);
    Box::new(Rejected { reason: Reason::Bytes, what: what.into(), path: String::new(), at, detail, source: None })
}

/// The record as text, or the fault at its first byte that is not UTF-8.
#[inline(always)]
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, Box<Rejected>> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| utf8_fault(bytes))
}

#[cold]
#[inline(never)]
fn utf8_fault(bytes: &[u8]) -> Box<Rejected> {
    let at = std::str::from_utf8(bytes).map_or_else(|e| e.valid_up_to(), str::len);
    let byte = bytes.get(at).copied().unwrap_or(0);
    bytes_fault("utf8", at, format!("byte 0x{byte:02x} is not UTF-8 here"))
}

/// The whole record is one JSON value.
pub(crate) fn check_record(text: &str) -> Result<(), Box<Rejected>> {
    let mut cursor = Cursor::new(text);
    cursor.skip(0)?;
    cursor.end()
}

/// Appends what a checked string's content means; half a surrogate pair becomes U+FFFD.
pub(crate) fn unescape(raw: &str, out: &mut String) {
    let mut rest = raw;
    while let Some(slash) = rest.find('\\') {
        out.push_str(&rest[..slash]);
        let (c, used) = match rest.as_bytes().get(slash + 1) {
            Some(b'n') => ('\n', 2),
            Some(b't') => ('\t', 2),
            Some(b'r') => ('\r', 2),
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'u') => unescape_unicode(&rest[slash..]),
            Some(&c) => (char::from(c), 2),
            None => (char::REPLACEMENT_CHARACTER, 1),
        };
        out.push(c);
        rest = rest.get(slash + used..).unwrap_or("");
    }
    out.push_str(rest);
}

/// The character of `\uXXXX` or of a surrogate pair, and how many bytes it took.
fn unescape_unicode(at: &str) -> (char, usize) {
    let unit = |from: usize| {
        let digits = at.get(from..from + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(digits, 16).ok()
    };
    let Some(first) = unit(0) else { return (char::REPLACEMENT_CHARACTER, 2) };
    if (0xd800..0xdc00).contains(&first)
        && let Some(second @ 0xdc00..0xe000) = unit(6)
    {
        let c = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return (char::from_u32(c).unwrap_or(char::REPLACEMENT_CHARACTER), 12);
    }
    (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 6)
}
