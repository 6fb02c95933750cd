//! The schemas of a lane: JSON Schema 2020-12 of each event type's `data`, read from files and compiled.
//!
//! A file's stem is the event type (`traffic.loop.json`). Beside JSON Schema's own keywords a property may say `unit` (UCUM-like
//! text) and `x-personal` (class of personal data); the root may say where the position is: `"x-position": {"lon": "lon", "lat":
//! "lat"}`, paths in `data`, these being the default. `minimum` and `maximum` are the valid range (R6): they empty the field.
//!
//! Owns: [`SchemaSet`], [`SchemaError`]. Refuses to know: folders and disks (texts come in), pipelines, events.
//!
//! Invariants
//! 1. A `SchemaSet` that exists is valid; a set with mistakes yields all of them at once, each with file, line and next step.
//! 2. Nothing outside the given texts is read: a reference that leaves its file is a mistake.
//!
//! Called by: event::plan, pipeline (units, names), cli (`ioc check`).

use super::scan::Cursor;
use super::shape::{self, Mistake, Shape};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A mistake in a schema file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SchemaError {
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// JSON pointer of the place; empty for the whole file.
    pub pointer: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub next: String,
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}; {}", self.file, self.line, self.column, self.what, self.next)
    }
}

impl std::error::Error for SchemaError {}

/// The schemas of a lane by event type.
#[derive(Clone, Debug, Default)]
pub struct SchemaSet {
    pub(crate) types: BTreeMap<String, Arc<TypeSchema>>,
}

/// One file, compiled.
#[derive(Debug)]
pub(crate) struct TypeSchema {
    pub file: String,
    pub text: String,
    pub canonical: String,
    pub shape: Shape,
    /// Paths in `data`.
    pub lon: Vec<String>,
    pub lat: Vec<String>,
    pub slow: Option<SlowCheck>,
}

/// What the decoder's pass cannot check.
#[derive(Debug)]
pub(crate) struct SlowCheck {
    pub validator: jsonschema::Validator,
    pub keywords: Vec<String>,
}

impl SchemaSet {
    /// Compiles the files, path → text. Paths that do not end in `.json`, and those below a folder `examples` or `counterexamples`,
    /// are no schemas and are passed over.
    pub fn parse(files: &BTreeMap<String, String>) -> Result<SchemaSet, Vec<SchemaError>> {
        let mut set = SchemaSet::default();
        let mut errors = Vec::new();
        for (path, text) in files {
            let Some(kind) = kind_of(path) else { continue };
            let found = parse_one(path, text);
            if let Some(other) = set.types.get(kind) {
                let what = format!("event type \"{kind}\" has a schema in {} already", other.file);
                errors.push(place(path, text, Mistake { pointer: String::new(), what, next: "keep one of the two files".into() }));
            }
            match found {
                Ok(schema) => drop(set.types.insert(kind.to_owned(), Arc::new(schema))),
                Err(mistakes) => errors.extend(mistakes),
            }
        }
        if errors.is_empty() {
            return Ok(set);
        }
        errors.sort();
        Err(errors)
    }

    /// The event types that have a schema, in order.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.types.keys().map(String::as_str)
    }

    pub fn has(&self, kind: &str) -> bool {
        self.types.contains_key(kind)
    }

    /// The unit of a path ("data.speed_kmh") as its schema says.
    pub fn unit(&self, kind: &str, path: &str) -> Option<&str> {
        self.shape(kind, path)?.unit.as_deref()
    }

    /// The class of personal data that a path holds.
    pub fn personal(&self, kind: &str, path: &str) -> Option<&str> {
        self.shape(kind, path)?.personal.as_deref()
    }

    /// All paths that a type's schema names ("data.count", "data.address.city"), arrays' insides left out.
    pub fn paths(&self, kind: &str) -> Vec<String> {
        fn walk(shape: &Shape, path: &str, out: &mut Vec<String>) {
            for (name, inner) in &shape.properties {
                let path = format!("{path}.{name}");
                out.push(path.clone());
                walk(inner, &path, out);
            }
        }
        let mut out = Vec::new();
        if let Some(schema) = self.types.get(kind) {
            walk(&schema.shape, "data", &mut out);
        }
        out
    }

    /// Event types whose check costs a second pass, with the keywords that cause it ("oneOf at /properties/speed").
    pub fn slow_types(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.types.iter().filter_map(|(kind, schema)| schema.slow.as_ref().map(|slow| (kind.as_str(), slow.keywords.as_slice())))
    }

    /// The file of a type as it came, for keeping (D2).
    pub fn text(&self, kind: &str) -> Option<&str> {
        self.types.get(kind).map(|schema| schema.text.as_str())
    }

    /// What of a type's file can change a result, as canonical JSON (names in order, no white space, titles and the like left out):
    /// equal text, equal results.
    pub fn canonical(&self, kind: &str) -> Option<&str> {
        self.types.get(kind).map(|schema| schema.canonical.as_str())
    }

    fn shape(&self, kind: &str, path: &str) -> Option<&Shape> {
        let root = &self.types.get(kind)?.shape;
        path.strip_prefix("data.")?.split('.').try_fold(root, |shape, name| shape.property(name))
    }
}

/// The event type of a schema file's path.
fn kind_of(path: &str) -> Option<&str> {
    let mut parts = path.split(['/', '\\']).rev();
    let kind = parts.next()?.strip_suffix(".json").filter(|stem| !stem.is_empty())?;
    (!parts.any(|folder| folder == "examples" || folder == "counterexamples")).then_some(kind)
}

fn parse_one(path: &str, text: &str) -> Result<TypeSchema, Vec<SchemaError>> {
    let all = |mistakes: Vec<Mistake>| mistakes.into_iter().map(|m| place(path, text, m)).collect::<Vec<_>>();
    let root: Value = read_json(path, text).map_err(|e| vec![e])?;
    let mut mistakes = Vec::new();
    shape::outside_references(&root, "", &mut mistakes);
    if let Some(other) = root.get("$schema").and_then(Value::as_str).filter(|s| s.trim_end_matches('#') != DIALECT) {
        let what = format!("\"$schema\" names \"{other}\"");
        mistakes.push(Mistake { pointer: "/$schema".into(), what, next: format!("use \"{DIALECT}\"") });
    } else {
        for error in jsonschema::draft202012::meta::validator().iter_errors(&root) {
            let next = "see JSON Schema 2020-12 for what this keyword takes".to_owned();
            mistakes.push(Mistake { pointer: error.instance_path().to_string(), what: error.to_string(), next });
        }
    }
    let (lon, lat) = position(&root, &mut mistakes);
    if !mistakes.is_empty() {
        return Err(all(mistakes));
    }
    let compiled = shape::compile(&root);
    if !compiled.mistakes.is_empty() {
        return Err(all(compiled.mistakes));
    }
    let slow = match compiled.slow.is_empty() {
        true => None,
        false => Some(slow_check(&compiled.residual, compiled.slow).map_err(|m| all(vec![m]))?),
    };
    let mut canonical = String::new();
    write_canonical(&root, Below::Keywords, &mut canonical);
    Ok(TypeSchema { file: path.to_owned(), text: text.to_owned(), canonical, shape: compiled.shape, lon, lat, slow })
}

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

fn read_json(path: &str, text: &str) -> Result<Value, SchemaError> {
    super::scan::check_record(text).map_err(|fault| {
        let (line, column) = line_column(text, fault.at as usize);
        let next = "a schema is one JSON object".to_owned();
        SchemaError { file: path.to_owned(), line, column, pointer: String::new(), what: fault.detail, next }
    })?;
    let root = serde_json::from_str(text).map_err(|e| e.to_string()).and_then(|root: Value| match root {
        Value::Object(_) => Ok(root),
        _ => Err("the file holds no JSON object".to_owned()),
    });
    root.map_err(|what| place(path, text, Mistake { pointer: String::new(), what, next: "a schema is one JSON object".into() }))
}

fn slow_check(residual: &Value, keywords: Vec<String>) -> Result<SlowCheck, Mistake> {
    let built = jsonschema::draft202012::options().offline().build(residual);
    built.map(|validator| SlowCheck { validator, keywords }).map_err(|error| Mistake {
        pointer: error.instance_path().to_string(),
        what: error.to_string(),
        next: "see JSON Schema 2020-12 for what this keyword takes".into(),
    })
}

/// The paths in `data` of longitude and latitude.
fn position(root: &Value, mistakes: &mut Vec<Mistake>) -> (Vec<String>, Vec<String>) {
    let split = |path: &str| path.split('.').map(str::to_owned).collect::<Vec<_>>();
    let Some(said) = root.get("x-position") else { return (split("lon"), split("lat")) };
    let path = |name: &str| said.get(name).and_then(Value::as_str).filter(|p| !p.is_empty() && p.split('.').all(|part| !part.is_empty()));
    match (path("lon"), path("lat"), said.as_object().map_or(0, |o| o.len())) {
        (Some(lon), Some(lat), 2) => (split(lon), split(lat)),
        _ => {
            let what = "\"x-position\" does not say where longitude and latitude are".to_owned();
            let next = "write {\"lon\": \"place.lon\", \"lat\": \"place.lat\"}, paths in data".into();
            mistakes.push(Mistake { pointer: "/x-position".into(), what, next });
            (Vec::new(), Vec::new())
        }
    }
}

/// What stands below a member of a schema.
#[derive(Clone, Copy, PartialEq)]
enum Below {
    Keywords,
    Names,
    Data,
}

/// JSON with members in order and without white space; keywords that change no result are left out.
fn write_canonical(value: &Value, below: Below, out: &mut String) {
    const SILENT: [&str; 8] = ["title", "description", "$comment", "examples", "default", "deprecated", "readOnly", "writeOnly"];
    match value {
        Value::Object(members) => {
            let silent = |name: &str| below == Below::Keywords && SILENT.contains(&name);
            let mut sorted: Vec<_> = members.iter().filter(|(name, _)| !silent(name)).collect();
            sorted.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (n, (name, inner)) in sorted.into_iter().enumerate() {
                out.push_str(if n > 0 { "," } else { "" });
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                let next = match (below, name.as_str()) {
                    (Below::Keywords, "properties" | "$defs" | "definitions" | "patternProperties" | "dependentSchemas") => Below::Names,
                    (Below::Keywords, "const" | "enum") | (Below::Data, _) => Below::Data,
                    _ => Below::Keywords,
                };
                write_canonical(inner, next, out);
            }
            out.push('}');
        }
        Value::Array(several) => {
            out.push('[');
            for (n, inner) in several.iter().enumerate() {
                out.push_str(if n > 0 { "," } else { "" });
                write_canonical(inner, below, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

/// A mistake with its line and column.
fn place(file: &str, text: &str, mistake: Mistake) -> SchemaError {
    let at = offset_of(text, &mistake.pointer).unwrap_or(0);
    let (line, column) = line_column(text, at);
    SchemaError { file: file.to_owned(), line, column, pointer: mistake.pointer, what: mistake.what, next: mistake.next }
}

/// Line and column, from 1, of a byte.
fn line_column(text: &str, at: usize) -> (u32, u32) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
    (line as u32, column as u32)
}

/// Where the member that a JSON pointer names begins in the text.
fn offset_of(text: &str, pointer: &str) -> Option<usize> {
    let mut cursor = Cursor::new(text);
    cursor.ws();
    let mut at = cursor.i;
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        let object = cursor.ws() == b'{';
        let mut index = 0usize;
        loop {
            cursor.i += 1; // after '{', '[' or ','
            cursor.ws();
            at = cursor.i;
            let here = if object {
                let name = cursor.name().ok()?;
                let mut plain = String::new();
                super::scan::unescape(cursor.raw(name), &mut plain);
                plain == part
            } else {
                index += 1;
                (index - 1).to_string() == part
            };
            if here {
                break;
            }
            cursor.skip(1).ok()?;
            if cursor.ws() != b',' {
                return None;
            }
        }
    }
    Some(at)
}
