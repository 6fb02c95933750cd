//! Syntax tree → [`Program`]: names become slots, types are checked, operations become typed.
//!
//! Owns: the functions' names and signatures, the messages. Refuses to know: where slots come from ([`Scope`] says).
//!
//! Invariants: 3 and 5 of expr.rs; all mistakes of an expression are found at once.
//!
//! Called by: pipeline::compile, map.

use super::op::{Arithmetic, Comparison, Literal, Op};
use super::syntax::{self, Ast, Binary, Kind};
use super::text::{self, Function};
use super::{ExprError, Program, ValueType};
use crate::pipeline::mistake::closest;
use crate::time::{NANOS_PER_SECOND, Span};
use std::ops::Range;

/// Functions that every expression has.
pub const FUNCTIONS: [&str; 9] = ["known", "double", "string", "lower", "replace", "split", "time", "format_time", "duration"];

/// Functions that only rules have.
const OF_RULES: [&str; 4] = ["target", "pace", "previous", "working"];

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    Slot(usize, ValueType),
    /// Known to have no value here.
    Absent,
}

/// Why a name stands for nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unresolved {
    pub what: String,
    pub next: Option<String>,
}

/// The names that an expression may use.
pub trait Scope {
    /// A dotted path.
    fn variable(&mut self, path: &str) -> Result<Found, Unresolved>;
    /// A function of this scope only (an aggregate); `None`: not one of them.
    fn call(&mut self, _name: &str, _args: &[Ast], _at: &Range<usize>) -> Option<Result<Found, ExprError>> {
        None
    }
    /// Names of those functions, for suggestions.
    fn functions(&self) -> &'static [&'static str] {
        &[]
    }
}

/// A dotted path to slot and type, or what is wrong with it.
pub type Resolver<'r> = dyn FnMut(&str) -> Result<(usize, ValueType), String> + 'r;

/// Compiles a text whose names `resolver` knows.
pub fn compile(text: &str, resolver: &mut Resolver<'_>) -> Result<Program, Vec<ExprError>> {
    struct Names<'a, 'r>(&'a mut Resolver<'r>);
    impl Scope for Names<'_, '_> {
        fn variable(&mut self, path: &str) -> Result<Found, Unresolved> {
            (self.0)(path).map(|(slot, kind)| Found::Slot(slot, kind)).map_err(|what| Unresolved { what, next: None })
        }
    }
    let ast = syntax::parse(text).map_err(|e| vec![e])?;
    compile_ast(&ast, text, &mut Names(resolver))
}

/// Compiles a tree; `text` is what [`Program::text`] will say.
pub fn compile_ast(ast: &Ast, text: &str, scope: &mut dyn Scope) -> Result<Program, Vec<ExprError>> {
    let mut compiler = Compiler { scope, errors: Vec::new() };
    let (op, kind) = compiler.op(ast);
    if !compiler.errors.is_empty() {
        return Err(compiler.errors);
    }
    let mut slots = Vec::new();
    op.collect_slots(&mut slots);
    slots.sort_unstable();
    slots.dedup();
    Ok(Program { text: text.into(), canonical: ast.to_string().into(), op, kind, slots: slots.into() })
}

struct Compiler<'s> {
    scope: &'s mut dyn Scope,
    errors: Vec<ExprError>,
}

type Typed = (Op, ValueType);
/// Stands for what has been reported already.
const NOTHING: Typed = (Op::Absent, ValueType::Any);

impl Compiler<'_> {
    fn error(&mut self, at: &Range<usize>, what: impl Into<String>) -> Typed {
        self.errors.push(ExprError::new(at.clone(), what));
        NOTHING
    }

    fn op(&mut self, ast: &Ast) -> Typed {
        match &ast.kind {
            Kind::Num(n) => (Op::Num(*n), ValueType::Num),
            Kind::Text(s) => (Op::Text(s.as_str().into()), ValueType::Text),
            Kind::Bool(b) => (Op::Bool(*b), ValueType::Bool),
            Kind::Null => NOTHING,
            Kind::Path(path) => match self.scope.variable(path) {
                Ok(Found::Slot(slot, kind)) => (Op::Slot(slot), kind),
                Ok(Found::Absent) => NOTHING,
                Err(Unresolved { what, next }) => {
                    self.errors.push(ExprError { at: ast.at.clone(), what, next });
                    NOTHING
                }
            },
            Kind::Call(name, args) => self.call(ast, name, args),
            Kind::Not(a) => (Op::Not(Box::new(self.expect(a, ValueType::Bool, "`!`"))), ValueType::Bool),
            Kind::Negative(a) => (Op::Negative(Box::new(self.expect(a, ValueType::Num, "`-`"))), ValueType::Num),
            Kind::Binary(binary, pair) => self.binary(ast, *binary, &pair[0], &pair[1]),
            Kind::If(three) => self.conditional(ast, &three[0], &three[1], &three[2]),
            Kind::List(_) => self.error(&ast.at, "a list stands only behind `in`, as in `x in [\"a\", \"b\"]`"),
            Kind::Index(pair) => self.index(ast, &pair[0], &pair[1]),
        }
    }

    /// An operand of one type; `Any` passes.
    fn expect(&mut self, ast: &Ast, wanted: ValueType, who: &str) -> Op {
        let (op, kind) = self.op(ast);
        if kind != wanted && kind != ValueType::Any {
            let hint = match (wanted, kind) {
                (ValueType::Num, ValueType::Text) => format!(": write double({ast})"),
                (ValueType::Text, ValueType::Time) => format!(": write format_time({ast})"),
                (ValueType::Text, _) => format!(": write string({ast})"),
                (ValueType::Time, ValueType::Text) => format!(": write time({ast})"),
                (ValueType::Bool, ValueType::Num) => format!(": compare it, as in `{ast} > 0`"),
                _ => String::new(),
            };
            self.error(&ast.at, format!("{who} needs {wanted}, `{ast}` is {kind}{hint}"));
        }
        op
    }

    fn conditional(&mut self, ast: &Ast, condition: &Ast, then: &Ast, other: &Ast) -> Typed {
        let condition = self.expect(condition, ValueType::Bool, "`?`");
        let ((then, a), (other, b)) = (self.op(then), self.op(other));
        if a != b && a != ValueType::Any && b != ValueType::Any {
            return self.error(&ast.at, format!("the two results are of different types: {a} and {b}"));
        }
        (Op::If(Box::new([condition, then, other])), if a == ValueType::Any { b } else { a })
    }

    fn binary(&mut self, ast: &Ast, binary: Binary, left: &Ast, right: &Ast) -> Typed {
        let arithmetic = match binary {
            Binary::And | Binary::Or => {
                let who = format!("`{}`", binary.sign());
                let two = Box::new([self.expect(left, ValueType::Bool, &who), self.expect(right, ValueType::Bool, &who)]);
                return (if binary == Binary::And { Op::And(two) } else { Op::Or(two) }, ValueType::Bool);
            }
            Binary::In => return self.membership(left, right),
            Binary::Equal => return self.comparison(ast, Comparison::Equal, left, right),
            Binary::NotEqual => return self.comparison(ast, Comparison::NotEqual, left, right),
            Binary::Less => return self.comparison(ast, Comparison::Less, left, right),
            Binary::LessEqual => return self.comparison(ast, Comparison::LessEqual, left, right),
            Binary::Greater => return self.comparison(ast, Comparison::Greater, left, right),
            Binary::GreaterEqual => return self.comparison(ast, Comparison::GreaterEqual, left, right),
            Binary::Add => return self.plus(left, right),
            Binary::Subtract => return self.minus(left, right),
            Binary::Multiply => Arithmetic::Multiply,
            Binary::Divide => Arithmetic::Divide,
            Binary::Remainder => Arithmetic::Remainder,
        };
        let who = format!("`{}`", binary.sign());
        let two = [self.expect(left, ValueType::Num, &who), self.expect(right, ValueType::Num, &who)];
        arithmetic_of(arithmetic, two)
    }

    fn plus(&mut self, left: &Ast, right: &Ast) -> Typed {
        let ((a, ka), (b, kb)) = (self.op(left), self.op(right));
        match (ka, kb) {
            (ValueType::Any, ValueType::Any) => (Op::Plus(Box::new([a, b])), ValueType::Any),
            (ValueType::Num | ValueType::Any, ValueType::Num | ValueType::Any) => arithmetic_of(Arithmetic::Add, [a, b]),
            (ValueType::Text | ValueType::Any, ValueType::Text | ValueType::Any) => (Op::Join(Box::new([a, b])), ValueType::Text),
            (ValueType::Time, ValueType::Num | ValueType::Any) => (Op::Moved(Box::new([a, b]), 1.0), ValueType::Time),
            (ValueType::Text, _) => self.error(&right.at, format!("a text is joined with texts, `{right}` is {kb}: write string({right})")),
            (_, ValueType::Text) => self.error(&left.at, format!("a text is joined with texts, `{left}` is {ka}: write string({left})")),
            _ => self.error(&right.at, format!("`+` adds numbers, joins texts, or moves a time by seconds, not {ka} and {kb}")),
        }
    }

    fn minus(&mut self, left: &Ast, right: &Ast) -> Typed {
        let ((a, ka), (b, kb)) = (self.op(left), self.op(right));
        match (ka, kb) {
            (ValueType::Time, ValueType::Time) => (Op::Between(Box::new([a, b])), ValueType::Num),
            (ValueType::Time, ValueType::Num) => (Op::Moved(Box::new([a, b]), -1.0), ValueType::Time),
            (ValueType::Num | ValueType::Any, ValueType::Num | ValueType::Any) => arithmetic_of(Arithmetic::Subtract, [a, b]),
            _ => self.error(&right.at, format!("`-` subtracts numbers or times, not {kb} from {ka}")),
        }
    }

    fn comparison(&mut self, ast: &Ast, comparison: Comparison, left: &Ast, right: &Ast) -> Typed {
        for (side, other) in [(left, right), (right, left)] {
            if side.kind == Kind::Null {
                let not = if comparison == Comparison::Equal { "!" } else { "" };
                return self.error(&ast.at, format!("nothing equals null: write `{not}known({other})`"));
            }
        }
        let ((a, ka), (b, kb)) = (self.op(left), self.op(right));
        if ka != kb && ka != ValueType::Any && kb != ValueType::Any {
            let hint = match (ka, kb) {
                (ValueType::Text, ValueType::Num) => format!(": write double({left})"),
                (ValueType::Num, ValueType::Text) => format!(": write double({right})"),
                (ValueType::Text, ValueType::Time) => format!(": write time({left})"),
                (ValueType::Time, ValueType::Text) => format!(": write time({right})"),
                _ => String::new(),
            };
            return self.error(&ast.at, format!("`{left}` is {ka}, `{right}` is {kb}: they never compare{hint}"));
        }
        let order = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        if order && (ka == ValueType::Bool || kb == ValueType::Bool) {
            return self.error(&ast.at, "true and false have no order: write `==` or `!=`");
        }
        let op = match (a, b) {
            (Op::Slot(slot), Op::Num(n)) => Op::SlotNum(slot, comparison, n),
            (Op::Slot(slot), Op::Text(s)) if !order => Op::SlotText(slot, s, comparison == Comparison::Equal),
            (a, b) if ka == ValueType::Num || kb == ValueType::Num => Op::CompareNum(comparison, Box::new([a, b])),
            (a, b) => Op::Compare(comparison, Box::new([a, b])),
        };
        (op, ValueType::Bool)
    }

    fn membership(&mut self, left: &Ast, right: &Ast) -> Typed {
        let (op, kind) = self.op(left);
        let Kind::List(items) = &right.kind else {
            return self.error(&right.at, format!("`in` needs a list: write `{left} in [\"a\", \"b\"]`"));
        };
        let mut literals = Vec::with_capacity(items.len());
        for item in items {
            let (literal, item_kind) = match &item.kind {
                Kind::Num(n) => (Literal::Num(*n), ValueType::Num),
                Kind::Text(s) => (Literal::Text(s.as_str().into()), ValueType::Text),
                _ => {
                    self.error(&item.at, format!("a list holds numbers and texts, not `{item}`"));
                    continue;
                }
            };
            if kind != ValueType::Any && kind != item_kind {
                self.error(&item.at, format!("`{left}` is {kind}, `{item}` is {item_kind}: they never compare"));
            }
            literals.push(literal);
        }
        (Op::In(Box::new(op), literals.into()), ValueType::Bool)
    }

    fn index(&mut self, ast: &Ast, target: &Ast, index: &Ast) -> Typed {
        let Kind::Call(name, args) = &target.kind else {
            return self.error(&ast.at, "only `split(s, separator)[i]` and names like `row[\"a b\"]` take an index");
        };
        if name != "split" || args.len() != 2 {
            return self.error(&ast.at, "only `split(s, separator)[i]` takes an index");
        }
        let Kind::Num(n) = index.kind else {
            return self.error(&index.at, "the index must be a number, as in `split(s, \",\")[0]`");
        };
        if n.fract() != 0.0 || n.abs() > 10_000.0 {
            return self.error(&index.at, "the index must be a whole number, as in `split(s, \",\")[0]`");
        }
        let (a, b) = (self.expect(&args[0], ValueType::Text, "split"), self.expect(&args[1], ValueType::Text, "split"));
        (function(Function::Split(a, b, n as i32)), ValueType::Text)
    }

    fn call(&mut self, ast: &Ast, name: &str, args: &[Ast]) -> Typed {
        match self.scope.call(name, args, &ast.at) {
            Some(Ok(Found::Slot(slot, kind))) => return (Op::Slot(slot), kind),
            Some(Ok(Found::Absent)) => return NOTHING,
            Some(Err(error)) => {
                self.errors.push(error);
                return NOTHING;
            }
            None => {}
        }
        let mut text = |i: usize| self.expect(&args[i], ValueType::Text, name);
        match (name, args.len()) {
            ("known", 1) => (Op::Known(Box::new(self.op(&args[0]).0)), ValueType::Bool),
            ("double", 1) => match self.op(&args[0]) {
                (op, ValueType::Num) => (op, ValueType::Num),
                (op, ValueType::Text | ValueType::Any) => (function(Function::Double(op)), ValueType::Num),
                (_, kind) => self.error(&args[0].at, format!("double needs a text, `{}` is {kind}", args[0])),
            },
            ("string", 1) => (function(Function::Text(self.op(&args[0]).0)), ValueType::Text),
            ("lower", 1) => (function(Function::Lower(text(0))), ValueType::Text),
            ("replace", 3) => (function(Function::Replace(text(0), text(1), text(2))), ValueType::Text),
            ("split", 2) => self.error(&ast.at, format!("split gives a list: say which part, as in `{ast}[0]`")),
            ("time", 1) => match self.op(&args[0]) {
                (op, ValueType::Text | ValueType::Any | ValueType::Time) => (function(Function::Time(op)), ValueType::Time),
                (_, kind) => self.error(&args[0].at, format!("time needs a text, `{}` is {kind}", args[0])),
            },
            ("time", 3) => self.time_of(args),
            ("time", 2) => self.error(
                &ast.at,
                format!("time with a format needs a zone too: write `time({}, {}, \"Asia/Ho_Chi_Minh\")`", args[0], args[1]),
            ),
            ("format_time", 1) => (function(Function::FormatTime(self.expect(&args[0], ValueType::Time, name))), ValueType::Text),
            ("duration", 1) => match &args[0].kind {
                Kind::Text(s) if Span::parse(s).is_some() => {
                    let span = Span::parse(s).unwrap_or_default();
                    (Op::Num(span.0 as f64 / NANOS_PER_SECOND as f64), ValueType::Num)
                }
                _ => self.error(&args[0].at, "duration needs a span in quotes, as in `duration(\"2h\")`"),
            },
            _ => self.unknown_call(ast, name, args.len()),
        }
    }

    fn time_of(&mut self, args: &[Ast]) -> Typed {
        let op = self.expect(&args[0], ValueType::Text, "time");
        let mut parts = [None, None];
        for (part, arg) in parts.iter_mut().zip(&args[1..]) {
            match &arg.kind {
                Kind::Text(s) => *part = Some(s.clone()),
                _ => {
                    self.error(&arg.at, "format and zone must be texts in quotes, as in `time(s, \"%d/%m/%Y %H:%M\", \"+07:00\")`");
                }
            }
        }
        let [Some(format), Some(zone_name)] = parts else {
            return NOTHING;
        };
        if let Err(why) = text::check_format(&format) {
            self.error(&args[1].at, format!("the format is not understood: {why}"));
        }
        match text::read_zone(&zone_name) {
            Some(zone) => (function(Function::TimeOf(op, format, zone)), ValueType::Time),
            None => {
                let next = closest(&zone_name, text::zone_names().iter().map(String::as_str));
                let what = format!("no time zone is named `{zone_name}`: write an IANA name or an offset like +07:00");
                self.errors.push(ExprError { at: args[2].at.clone(), what, next });
                NOTHING
            }
        }
    }

    fn unknown_call(&mut self, ast: &Ast, name: &str, count: usize) -> Typed {
        let at = ast.at.start..(ast.at.start + name.len()).min(ast.at.end);
        let signature = match name {
            "known" | "double" | "string" | "lower" | "format_time" | "duration" => "one argument",
            "replace" => "three arguments: text, what to replace, by what",
            "split" => "two arguments: text and separator",
            "time" => "one argument (RFC 3339), or three: text, format, zone",
            _ if OF_RULES.contains(&name) => {
                let asks = if name == "previous" { "looks at earlier rows" } else { "asks the registry" };
                return self.error(&at, format!("`{name}` {asks}: only alerts can"));
            }
            "int" | "uint" => return self.error(&at, format!("`{name}` is not available: all numbers are doubles, write double(x)")),
            "size" | "matches" | "contains" | "startsWith" | "endsWith" => {
                return self.error(&at, format!("`{name}` is not available: compare with ==, in, lower, replace or split"));
            }
            _ => {
                let next = closest(name, self.scope.functions().iter().copied().chain(FUNCTIONS));
                self.errors.push(ExprError { at, what: format!("there is no function `{name}` here"), next });
                return NOTHING;
            }
        };
        self.error(&at, format!("`{name}` takes {signature}, not {count}"))
    }
}

fn function(f: Function) -> Op {
    Op::Function(Box::new(f))
}

/// Constants are folded.
fn arithmetic_of(arithmetic: Arithmetic, two: [Op; 2]) -> Typed {
    let op = match &two {
        [Op::Num(a), Op::Num(b)] => arithmetic.of(*a, *b).map_or(Op::Absent, Op::Num),
        _ => Op::Arithmetic(arithmetic, Box::new(two)),
    };
    (op, ValueType::Num)
}
