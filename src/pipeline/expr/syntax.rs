//! Text → syntax tree: the `cel` crate parses, this keeps what the product's expressions have and refuses the rest with its place.
//!
//! Owns: [`Ast`] and its canonical text. Refuses to know: names, types, values (compile.rs).
//!
//! Invariants
//! 1. `at` is a byte range of the text that was parsed.
//! 2. `to_string` is canonical: equal trees, equal text, whatever spaces and brackets were written; it parses to an equal tree.
//! 3. No input makes it panic: length and nesting are bounded before the parser sees the text.
//!
//! Called by: expr::compile, pipeline::compile (aggregates, limits, versions).

use super::ExprError;
use crate::pipeline::mistake::char_boundary;
use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators as op};
use std::fmt;
use std::ops::Range;

/// Longest expression in bytes.
const MAX_LENGTH: usize = 2000;
/// Most operators, brackets, dots and commas in one expression: bounds the depth of the tree.
const MAX_SYMBOLS: usize = 160;
/// Deepest brackets.
const MAX_NESTING: usize = 8;

#[derive(Clone, PartialEq, Debug)]
pub struct Ast {
    pub at: Range<usize>,
    pub kind: Kind,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Kind {
    Num(f64),
    Text(String),
    Bool(bool),
    Null,
    /// `a.b.c`, `row["a b"]`.
    Path(String),
    Call(String, Vec<Ast>),
    Not(Box<Ast>),
    Negative(Box<Ast>),
    Binary(Binary, Box<[Ast; 2]>),
    If(Box<[Ast; 3]>),
    List(Vec<Ast>),
    Index(Box<[Ast; 2]>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Binary {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Binary {
    pub const fn sign(self) -> &'static str {
        match self {
            Binary::Or => "||",
            Binary::And => "&&",
            Binary::Equal => "==",
            Binary::NotEqual => "!=",
            Binary::Less => "<",
            Binary::LessEqual => "<=",
            Binary::Greater => ">",
            Binary::GreaterEqual => ">=",
            Binary::In => "in",
            Binary::Add => "+",
            Binary::Subtract => "-",
            Binary::Multiply => "*",
            Binary::Divide => "/",
            Binary::Remainder => "%",
        }
    }

    const fn rank(self) -> u8 {
        match self {
            Binary::Or => 1,
            Binary::And => 2,
            Binary::Add | Binary::Subtract => 4,
            Binary::Multiply | Binary::Divide | Binary::Remainder => 5,
            _ => 3,
        }
    }

    /// The same comparison seen from the other side.
    pub const fn mirrored(self) -> Binary {
        match self {
            Binary::Less => Binary::Greater,
            Binary::LessEqual => Binary::GreaterEqual,
            Binary::Greater => Binary::Less,
            Binary::GreaterEqual => Binary::LessEqual,
            other => other,
        }
    }

    fn of(function: &str) -> Option<Binary> {
        Some(match function {
            op::LOGICAL_OR => Binary::Or,
            op::LOGICAL_AND => Binary::And,
            op::EQUALS => Binary::Equal,
            op::NOT_EQUALS => Binary::NotEqual,
            op::LESS => Binary::Less,
            op::LESS_EQUALS => Binary::LessEqual,
            op::GREATER => Binary::Greater,
            op::GREATER_EQUALS => Binary::GreaterEqual,
            op::IN => Binary::In,
            op::ADD => Binary::Add,
            op::SUBSTRACT => Binary::Subtract,
            op::MULTIPLY => Binary::Multiply,
            op::DIVIDE => Binary::Divide,
            op::MODULO => Binary::Remainder,
            _ => return None,
        })
    }
}

/// Parses one expression.
pub fn parse(text: &str) -> Result<Ast, ExprError> {
    check_bounds(text)?;
    if text.trim().is_empty() {
        return Err(ExprError::new(0..0, "the expression is empty"));
    }
    match cel::parser::Parser::new().parse_with_source_info(text) {
        Ok((expr, info)) => Translator { text, info: &info }.ast(&expr),
        Err(errors) => Err(syntax_error(text, &errors)),
    }
}

/// What stands outside string literals, byte by byte; inside them `None`.
fn outside_strings(text: &str) -> impl Iterator<Item = (usize, char)> + '_ {
    let mut quote = None;
    let mut escaped = false;
    text.char_indices().filter(move |(_, c)| match quote {
        Some(q) => {
            if !escaped && *c == q {
                quote = None;
            }
            escaped = !escaped && *c == '\\';
            false
        }
        None => {
            if matches!(c, '"' | '\'') {
                quote = Some(*c);
            }
            quote.is_none()
        }
    })
}

fn check_bounds(text: &str) -> Result<(), ExprError> {
    if text.len() > MAX_LENGTH {
        return Err(ExprError::new(0..1, format!("the expression has {} bytes, at most {MAX_LENGTH} are allowed: split it", text.len())));
    }
    let (mut symbols, mut depth) = (0, 0usize);
    // quotes are not honoured here: in broken text they may not pair up as the parser pairs them
    for (i, c) in text.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        symbols += usize::from(c.is_ascii_punctuation() && !matches!(c, '_' | '"' | '\''));
        if depth > MAX_NESTING || symbols > MAX_SYMBOLS {
            return Err(ExprError::new(i..i + c.len_utf8(), "the expression is nested too deep or too long: split it"));
        }
    }
    Ok(())
}

/// The parser's first complaint in words that say what to write.
fn syntax_error(text: &str, errors: &cel::ParseErrors) -> ExprError {
    let habits = [("and", "&&"), ("or", "||"), ("not", "!"), ("AND", "&&"), ("OR", "||"), ("NOT", "!")];
    let plain: Vec<(usize, char)> = outside_strings(text).collect();
    let at = |i: usize| plain.get(i).map(|(_, c)| *c);
    for (i, &(start, c)) in plain.iter().enumerate() {
        let before = i.checked_sub(1).and_then(at);
        if c == '=' && at(i + 1) != Some('=') && !matches!(before, Some('=' | '!' | '<' | '>')) {
            return ExprError::new(start..start + 1, "`=` does not compare: write `==`");
        }
        if c == '<' && at(i + 1) == Some('>') {
            return ExprError::new(start..start + 2, "`<>` does not compare: write `!=`");
        }
        for (word, sign) in habits {
            let alone = !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '.')) && text[start..].starts_with(word);
            if alone && !text[start + word.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_') {
                return ExprError::new(start..start + word.len(), format!("`{word}` is no operator here: write `{sign}`"));
            }
        }
    }
    let Some(first) = errors.errors.first() else {
        return ExprError::new(0..text.len(), "this is no expression");
    };
    let (line, column) = (first.pos.0.max(1) as usize, first.pos.1.max(1) as usize);
    let line_start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let start = text[line_start..].char_indices().nth(column - 1).map_or(text.len(), |(i, _)| line_start + i);
    let end = text[start..].chars().next().map_or(start, |c| start + c.len_utf8());
    if start >= text.trim_end().len() {
        return ExprError::new(text.trim_end().len()..text.len(), "the expression ends too early");
    }
    let found: String = text[start..].chars().take_while(|c| !c.is_whitespace()).take(20).collect();
    let reserved = first.msg.contains("reserved identifier");
    let what =
        if reserved { format!("`{found}` is a reserved word") } else { format!("this is no expression: `{found}` is unexpected here") };
    ExprError::new(start..end, what)
}

struct Translator<'t> {
    text: &'t str,
    info: &'t SourceInfo,
}

impl Translator<'_> {
    /// Bytes of the token that stands for a node.
    fn token(&self, id: u64) -> Range<usize> {
        let (start, stop) = self.info.offset_for(id).unwrap_or((0, 0));
        let start = char_boundary(self.text, start as usize);
        let stop = char_boundary(self.text, stop as usize).max(start);
        let end = self.text[stop..].chars().next().map_or(stop, |c| stop + c.len_utf8());
        start..end
    }

    fn refuse<T>(&self, id: u64, what: impl Into<String>) -> Result<T, ExprError> {
        Err(ExprError::new(self.token(id), what))
    }

    fn ast(&self, node: &IdedExpr) -> Result<Ast, ExprError> {
        let token = self.token(node.id);
        let simple = |kind| Ok(Ast { at: token.clone(), kind });
        match &node.expr {
            Expr::Literal(literal) => match literal {
                LiteralValue::Boolean(b) => simple(Kind::Bool(**b)),
                LiteralValue::Double(d) => simple(Kind::Num(**d)),
                LiteralValue::Int(i) => simple(Kind::Num(**i as f64)),
                LiteralValue::UInt(u) => simple(Kind::Num(**u as f64)),
                LiteralValue::String(s) => simple(Kind::Text(s.inner().to_owned())),
                LiteralValue::Null => simple(Kind::Null),
                LiteralValue::Bytes(_) => self.refuse(node.id, "byte strings are not available: write \"…\" without `b`"),
            },
            Expr::Ident(name) => simple(Kind::Path(name.clone())),
            Expr::Select(select) if select.test => self.refuse(node.id, "`has` is not available: write `known(x)`"),
            Expr::Select(select) => {
                let operand = self.ast(&select.operand)?;
                let rest = &self.text[token.end..];
                let end = token.end + (rest.len() - rest.trim_start().len()) + select.field.len();
                let at = operand.at.start..end.min(self.text.len());
                match operand.kind {
                    Kind::Path(path) => Ok(Ast { at, kind: Kind::Path(format!("{path}.{}", select.field)) }),
                    _ => self.refuse(node.id, "only names have members, as in `data.speed`"),
                }
            }
            Expr::List(list) => {
                let items = list.elements.iter().map(|e| self.ast(e)).collect::<Result<Vec<_>, _>>()?;
                let end = items.last().map_or(token.end, |i| i.at.end);
                Ok(Ast { at: token.start..end, kind: Kind::List(items) })
            }
            Expr::Call(call) => self.call(node.id, call),
            Expr::Comprehension(_) => self.refuse(node.id, "`all`, `exists`, `filter` and `map` are not available"),
            Expr::Map(_) => self.refuse(node.id, "maps `{…}` are not available in expressions"),
            Expr::Struct(_) => self.refuse(node.id, "messages `Name{…}` are not available in expressions"),
            Expr::Unspecified => self.refuse(node.id, "this is no expression"),
        }
    }

    fn call(&self, id: u64, call: &CallExpr) -> Result<Ast, ExprError> {
        let token = self.token(id);
        let name = call.func_name.as_str();
        if let Some(target) = &call.target {
            let written = self.ast(target).map_or("x".into(), |t| t.to_string());
            let more = if call.args.is_empty() { "" } else { ", …" };
            return self.refuse(id, format!("functions are not called on values: write `{name}({written}{more})`"));
        }
        let mut args = call.args.iter().map(|a| self.ast(a)).collect::<Result<Vec<_>, _>>()?;
        let start = args.iter().map(|a| a.at.start).chain([token.start]).min().unwrap_or(0);
        let end = args.iter().map(|a| a.at.end).chain([token.end]).max().unwrap_or(0);
        if let Some(binary) = Binary::of(name) {
            let pair: Result<[Ast; 2], _> = args.try_into();
            return match pair {
                Ok(pair) => Ok(Ast { at: start..end, kind: Kind::Binary(binary, Box::new(pair)) }),
                Err(_) => self.refuse(id, "an operator lacks a side"),
            };
        }
        let kind = match (name, args.len()) {
            (op::LOGICAL_NOT, 1) => Kind::Not(Box::new(args.remove(0))),
            (op::NEGATE, 1) => match args.remove(0) {
                Ast { kind: Kind::Num(n), .. } => Kind::Num(-n),
                other => Kind::Negative(Box::new(other)),
            },
            (op::CONDITIONAL, 3) => match <[Ast; 3]>::try_from(args) {
                Ok(three) => Kind::If(Box::new(three)),
                Err(_) => return self.refuse(id, "this is no expression"),
            },
            (op::INDEX, 2) => {
                let (target, index) = (args.remove(0), args.remove(0));
                match (target, index) {
                    (Ast { kind: Kind::Path(path), .. }, Ast { kind: Kind::Text(member), .. }) => Kind::Path(format!("{path}.{member}")),
                    (target, index) => Kind::Index(Box::new([target, index])),
                }
            }
            _ if name.starts_with(|c: char| c.is_alphabetic() || c == '_') && !name.starts_with("_[") && !name.starts_with("_?") => {
                let open = self.text[..token.start].trim_end().len();
                let start = char_boundary(self.text, open.saturating_sub(name.len()));
                return Ok(Ast { at: start..end, kind: Kind::Call(name.to_owned(), args) });
            }
            _ => return self.refuse(id, "this is not available in expressions"),
        };
        Ok(Ast { at: start..end, kind })
    }
}

impl Ast {
    fn rank(&self) -> u8 {
        match &self.kind {
            Kind::If(_) => 0,
            Kind::Binary(b, _) => b.rank(),
            Kind::Not(_) | Kind::Negative(_) => 6,
            Kind::Num(n) if n.is_sign_negative() => 6,
            _ => 7,
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, least: u8) -> fmt::Result {
        let bracket = self.rank() < least;
        if bracket {
            f.write_str("(")?;
        }
        match &self.kind {
            Kind::Num(n) => write!(f, "{n}")?,
            Kind::Text(s) => write!(f, "{}", quoted(s))?,
            Kind::Bool(b) => write!(f, "{b}")?,
            Kind::Null => f.write_str("null")?,
            Kind::Path(p) => write_path(f, p)?,
            Kind::Call(name, args) => {
                write!(f, "{name}(")?;
                write_list(f, args)?;
                f.write_str(")")?;
            }
            Kind::Not(a) => {
                f.write_str("!")?;
                a.write(f, 7)?;
            }
            Kind::Negative(a) => {
                f.write_str("-")?;
                a.write(f, 7)?;
            }
            Kind::Binary(b, pair) => {
                let rank = b.rank();
                // && and || are associative; the rest reads from the left
                let right = if rank <= 2 { rank } else { rank + 1 };
                pair[0].write(f, rank)?;
                write!(f, " {} ", b.sign())?;
                pair[1].write(f, right)?;
            }
            Kind::If(three) => {
                three[0].write(f, 1)?;
                f.write_str(" ? ")?;
                three[1].write(f, 1)?;
                f.write_str(" : ")?;
                three[2].write(f, 0)?;
            }
            Kind::List(items) => {
                f.write_str("[")?;
                write_list(f, items)?;
                f.write_str("]")?;
            }
            Kind::Index(pair) => {
                pair[0].write(f, 7)?;
                f.write_str("[")?;
                pair[1].write(f, 0)?;
                f.write_str("]")?;
            }
        }
        if bracket { f.write_str(")") } else { Ok(()) }
    }
}

impl fmt::Display for Ast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

fn write_list(f: &mut fmt::Formatter<'_>, items: &[Ast]) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        item.write(f, 0)?;
    }
    Ok(())
}

/// Plain where CEL reads it as a name, else the rest as one string index.
fn write_path(f: &mut fmt::Formatter<'_>, path: &str) -> fmt::Result {
    let plain =
        |s: &str| s.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && s.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match path.split_once('.') {
        Some((head, rest)) if !rest.split('.').all(plain) => write!(f, "{head}[{}]", quoted(rest)),
        _ => f.write_str(path),
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
