//! YAML text → a tree in which every key and value knows its place.
//!
//! Owns: [`Node`], [`Text`] and the mapping from a character of a scalar back to its place in the file.
//! Refuses to know: which keys a file may have (spec.rs, map.rs).
//!
//! A tree first, because serde stops at its first error and operators want all mistakes at once.
//!
//! Invariants
//! 1. Every key of a map is there once; a second one is a mistake and the first counts.
//! 2. One document a file; no anchors, aliases or tags.
//! 3. No input makes it panic; nesting is bounded by the parser (255).
//!
//! Called by: spec, map.

use super::mistake::{Place, Report, char_boundary};
use serde_saphyr::granit_parser::{Event, Marker, Parser, ScalarStyle, Span};
use std::ops::Range;

/// A scalar with the source it was written as.
#[derive(Clone, PartialEq, Debug)]
pub struct Text {
    pub at: Place,
    pub value: String,
    /// From its first character on; of a block scalar without the line of `|` or `>`.
    raw: String,
    quoted: Option<char>,
    /// Written without quotes and on its own: `4` may be a number, `"4"` is text.
    pub plain: bool,
}

impl Text {
    /// The place of a byte of `value` in the file.
    ///
    /// Folding turns line breaks and indentation into spaces, so places are found by counting what is not white space.
    pub fn place(&self, offset: usize) -> Place {
        let offset = char_boundary(&self.value, offset);
        let solid = |c: &char| !c.is_whitespace();
        let before = self.value[..offset].chars().filter(solid).count();
        // an offset at white space or the end belongs right behind what stands before it
        let behind = before > 0 && !self.value[offset..].chars().next().is_some_and(|c| solid(&c));
        let wanted = if behind { before - 1 } else { before };
        let mut place = self.at;
        let mut seen = 0;
        for c in self.written() {
            match c {
                Written::Break => place = Place { line: place.line + 1, column: 1 },
                Written::Skip(width) => place.column += width,
                Written::Char(c, width) => {
                    if solid(&c) {
                        if seen == wanted {
                            return if behind { Place { column: place.column + width, ..place } } else { place };
                        }
                        seen += 1;
                    }
                    place.column += width;
                }
            }
        }
        place
    }

    /// The characters of the value as written, each with its width in the source.
    fn written(&self) -> Vec<Written> {
        let mut out = Vec::with_capacity(self.raw.len());
        let mut chars = self.raw.chars().peekable();
        if self.quoted.is_some() {
            chars.next();
            out.push(Written::Skip(1));
        }
        while let Some(c) = chars.next() {
            match (c, self.quoted) {
                ('\n', _) => out.push(Written::Break),
                ('\r', _) => {}
                ('\'', Some('\'')) if chars.peek() == Some(&'\'') => {
                    chars.next();
                    out.push(Written::Char('\'', 2));
                }
                ('\\', Some('"')) => {
                    let code = chars.next().unwrap_or('\\');
                    let more = match code {
                        'x' => 2,
                        'u' => 4,
                        'U' => 8,
                        _ => 0,
                    };
                    let digits: String = (0..more).map_while(|_| chars.next()).collect();
                    let char = match code {
                        't' | 'n' | 'r' | ' ' | '\n' => ' ',
                        _ if more > 0 => u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).unwrap_or('?'),
                        c => c,
                    };
                    out.push(Written::Char(char, 2 + more));
                }
                _ => out.push(Written::Char(c, 1)),
            }
        }
        out
    }
}

enum Written {
    Char(char, u32),
    Skip(u32),
    Break,
}

/// A key or value with its place.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    pub at: Place,
    pub kind: NodeKind,
}

#[derive(Clone, PartialEq, Debug)]
pub enum NodeKind {
    /// Its mistake has been reported: nothing more is said of it.
    Unread,
    Null,
    Scalar(Text),
    List(Vec<Node>),
    Map(Vec<(Text, Node)>),
}

impl Node {
    /// "a list", for messages.
    pub fn describe(&self) -> &'static str {
        match self.kind {
            NodeKind::Null | NodeKind::Unread => "nothing",
            NodeKind::Scalar(_) => "a single value",
            NodeKind::List(_) => "a list",
            NodeKind::Map(_) => "a mapping",
        }
    }
}

/// The file's only document. `None`: a mistake has been reported.
pub fn read_yaml(text: &str, report: &mut Report) -> Option<Node> {
    let mut reader = Reader { source: text, parser: Parser::new_from_str(text), report };
    let mut document = None;
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => break,
            (Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd, _) => {}
            (event, span) => {
                let node = reader.node(event, span)?;
                if document.is_some() {
                    reader.report.add(node.at, "a second document: a file holds one, remove what follows `---`");
                    return None;
                }
                document = Some(node);
            }
        }
    }
    if document.is_none() {
        report.add(Place { line: 1, column: 1 }, "the file is empty");
    }
    document
}

struct Reader<'s, 'r> {
    source: &'s str,
    parser: Parser<'s, serde_saphyr::granit_parser::StrInput<'s>>,
    report: &'r mut Report,
}

fn place(marker: &Marker) -> Place {
    Place { line: marker.line() as u32, column: marker.col() as u32 + 1 }
}

impl<'s> Reader<'s, '_> {
    /// The next event that is no comment.
    fn next(&mut self) -> Option<(Event<'s>, Span)> {
        loop {
            match self.parser.next_event() {
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok(event)) => return Some(event),
                Some(Err(error)) => {
                    let at = Place { line: (error.marker().line() as u32).max(1), column: error.marker().col() as u32 + 1 };
                    self.report.add(
                        at,
                        format!("not YAML: {}; look at brackets, indentation and quotes here and in the line before (an expression with `: `, ` #` or a first `!` needs quotes)", error.info()),
                    );
                    return None;
                }
                None => return Some((Event::StreamEnd, Span::empty(Marker::new(0, 1, 0)))),
            }
        }
    }

    fn node(&mut self, event: Event<'s>, span: Span) -> Option<Node> {
        let at = place(&span.start);
        let kind = match event {
            Event::Scalar(value, style, _, tag) => {
                if tag.is_some() {
                    let at = span.tag_span().map_or(at, |t| place(&t.start));
                    self.report
                        .add(at, "a value that begins with `!` is a YAML tag: put the expression in quotes, as in \"!known(speed)\"");
                    return Some(Node { at, kind: NodeKind::Unread });
                }
                let plain_null = style == ScalarStyle::Plain && matches!(&*value, "" | "~" | "null" | "Null" | "NULL");
                if plain_null { NodeKind::Null } else { NodeKind::Scalar(self.text(&value, style, &span)) }
            }
            Event::SequenceStart(..) => {
                let mut list = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break NodeKind::List(list),
                        (event, span) => list.push(self.node(event, span)?),
                    }
                }
            }
            Event::MappingStart(..) => NodeKind::Map(self.entries()?),
            Event::Alias(_) => {
                self.report.add(at, "aliases (`*name`) are not available: write the value out");
                NodeKind::Unread
            }
            _ => NodeKind::Null,
        };
        Some(Node { at, kind })
    }

    fn entries(&mut self) -> Option<Vec<(Text, Node)>> {
        let mut entries: Vec<(Text, Node)> = Vec::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => return Some(entries),
                (event, span) => self.node(event, span)?,
            };
            let (event, span) = self.next()?;
            let value = self.node(event, span)?;
            match key.kind {
                NodeKind::Scalar(name) => match entries.iter().find(|(k, _)| k.value == name.value) {
                    Some((first, _)) => {
                        let what = format!("`{}` stands here a second time, first in line {}: remove one", name.value, first.at.line);
                        self.report.add(name.at, what);
                    }
                    None => entries.push((name, value)),
                },
                _ => self.report.add(key.at, "a key must be a name"),
            }
        }
    }

    fn text(&self, value: &str, style: ScalarStyle, span: &Span) -> Text {
        let range = |m: &Marker| m.byte_offset().unwrap_or(0).min(self.source.len());
        let raw: Range<usize> = range(&span.start)..range(&span.end).max(range(&span.start));
        let quoted = match style {
            ScalarStyle::SingleQuoted => Some('\''),
            ScalarStyle::DoubleQuoted => Some('"'),
            _ => None,
        };
        Text {
            at: place(&span.start),
            value: value.to_owned(),
            raw: self.source.get(raw).unwrap_or("").to_owned(),
            quoted,
            plain: style == ScalarStyle::Plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(text: &str, key: &str) -> Text {
        let mut report = Report::new("f");
        let node = read_yaml(text, &mut report).unwrap();
        let NodeKind::Map(entries) = node.kind else { panic!("no map") };
        let (_, value) = entries.into_iter().find(|(k, _)| k.value == key).unwrap();
        let NodeKind::Scalar(text) = value.kind else { panic!("no scalar") };
        text
    }

    /// The place of the first `X` of the value, however it is written.
    #[test]
    fn a_character_of_a_scalar_knows_its_place() {
        for (text, line, column) in [
            ("k: a > X", 1, 8),
            ("\n  k: \"a == X\"", 2, 12),
            ("k: 'it''s X'", 1, 11),
            ("k: \"\\\"q\\\" \\u0041 X\"", 1, 18),
            ("k: >\n  a &&\n  b && X\n", 3, 8),
            ("k: |\n  a &&\n    X\n", 3, 5),
            ("k: a &&\n   X\n", 2, 4),
            ("ngày: 'à' # ư\nk: đ X", 2, 6),
        ] {
            let scalar = scalar(text, "k");
            let offset = scalar.value.find('X').unwrap_or_else(|| panic!("{:?}", scalar.value));
            assert_eq!(scalar.place(offset), Place { line, column }, "{text:?}");
        }
        // the end of the text is right behind its last character
        assert_eq!(scalar("k: a +", "k").place(3), Place { line: 1, column: 7 });
    }

    #[test]
    fn what_is_not_one_plain_document_is_said_with_its_place() {
        for (text, line, column, what) in [
            ("a: 1\na: 2\n", 2, 1, "`a` stands here a second time, first in line 1: remove one"),
            ("a: &x 1\nb: *x\n", 2, 4, "aliases (`*name`) are not available: write the value out"),
            ("a: 1\n---\nb: 2\n", 3, 1, "a second document: a file holds one, remove what follows `---`"),
            ("", 1, 1, "the file is empty"),
            ("# only this\n", 1, 1, "the file is empty"),
            ("[a]: 1\n", 1, 1, "a key must be a name"),
        ] {
            let mut report = Report::new("f");
            read_yaml(text, &mut report);
            let mistakes = report.into_mistakes();
            assert_eq!(
                mistakes.iter().map(|m| (m.line, m.column, m.what.as_str())).collect::<Vec<_>>(),
                [(line, column, what)],
                "{text:?}"
            );
        }
    }
}
