//! One JSON Schema file as the decoder checks it: keywords → [`Shape`], and what must go the slow way.
//!
//! Owns: which keywords the single pass understands, and what is left of the file for the `jsonschema` crate. Refuses to know:
//! events, wanted paths.
//!
//! Invariants
//! 1. A value that fits the `Shape` and, where [`Compiled::slow`] names keywords, the residual schema, fits the file.
//! 2. `minimum`, `maximum` and their exclusive forms are valid ranges (R6) wherever the pass understands the place; below a keyword
//!    that combines schemas (`allOf`, `if`, `not`, …) or that refers to itself they stay conditions of that keyword and refuse.
//!
//! Called by: event::schema.

use super::pattern;
use serde_json::{Map, Value};

pub(crate) const NULL: u8 = 1;
pub(crate) const BOOLEAN: u8 = 2;
pub(crate) const INTEGER: u8 = 4;
/// Any number; always together with `INTEGER`.
pub(crate) const NUMBER: u8 = 8;
pub(crate) const STRING: u8 = 16;
pub(crate) const ARRAY: u8 = 32;
pub(crate) const OBJECT: u8 = 64;
pub(crate) const ANY: u8 = 127;

/// What one value must be.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// Bits of the JSON types allowed.
    pub types: u8,
    /// The valid range, both ends inside. Greater than every double is outside.
    pub low: f64,
    pub high: f64,
    /// `enum`, `const`.
    pub values: Option<Vec<Literal>>,
    pub text: Option<TextRule>,
    pub properties: Vec<(String, Shape)>,
    pub required: Vec<String>,
    /// `additionalProperties: false`.
    pub closed: bool,
    pub items: Option<Box<Shape>>,
    pub min_items: u64,
    pub max_items: u64,
    pub unit: Option<String>,
    pub personal: Option<String>,
}

impl Default for Shape {
    fn default() -> Self {
        Shape {
            types: ANY,
            low: f64::MIN,
            high: f64::MAX,
            values: None,
            text: None,
            properties: Vec::new(),
            required: Vec::new(),
            closed: false,
            items: None,
            min_items: 0,
            max_items: u64::MAX,
            unit: None,
            personal: None,
        }
    }
}

impl Shape {
    pub fn property(&self, name: &str) -> Option<&Shape> {
        self.properties.iter().find(|(n, _)| n == name).map(|(_, shape)| shape)
    }
}

/// A scalar that `enum` or `const` allows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Num(f64),
    Text(String),
}

/// Lengths in Unicode characters.
#[derive(Clone, Debug)]
pub(crate) struct TextRule {
    pub min: u64,
    pub max: u64,
    pub pattern: Option<regex::Regex>,
}

/// A mistake in a schema: where (JSON pointer), what, and what to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mistake {
    pub pointer: String,
    pub what: String,
    pub next: String,
}

#[derive(Debug, Default)]
pub(crate) struct Compiled {
    pub shape: Shape,
    /// The file without what the shape takes over as ranges.
    pub residual: Value,
    /// "oneOf at /properties/speed": keywords that only the `jsonschema` crate checks.
    pub slow: Vec<String>,
    pub mistakes: Vec<Mistake>,
}

/// Keywords that assert nothing about `data`.
const ANNOTATIONS: [&str; 22] = [
    "title",
    "description",
    "$comment",
    "examples",
    "default",
    "deprecated",
    "readOnly",
    "writeOnly",
    "format",
    "contentMediaType",
    "contentEncoding",
    "contentSchema",
    "$schema",
    "$id",
    "$anchor",
    "$defs",
    "definitions",
    "unit",
    "$vocabulary",
    "minContains",
    "maxContains",
    "x-position",
];
const COMPILED: [&str; 16] = [
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "minItems",
    "maxItems",
    "enum",
    "const",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "pattern",
];
const SLOW: [&str; 19] = [
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contains",
    "uniqueItems",
    "prefixItems",
    "multipleOf",
    "minProperties",
    "maxProperties",
];

/// Compiles a file that already fits the meta-schema.
pub(crate) fn compile(root: &Value) -> Compiled {
    let mut work = Work { root, active: vec!["#".into()], out: Compiled::default() };
    let (shape, residual) = work.value(root, "");
    Compiled { shape, residual, ..work.out }
}

struct Work<'r> {
    root: &'r Value,
    /// References being followed, so that one that leads back to itself is seen.
    active: Vec<String>,
    out: Compiled,
}

impl Work<'_> {
    fn slow(&mut self, keyword: &str, pointer: &str) {
        let place = if pointer.is_empty() { "the top" } else { pointer };
        self.out.slow.push(format!("{keyword} at {place}"));
    }

    fn mistake(&mut self, pointer: String, what: String, next: impl Into<String>) {
        self.out.mistakes.push(Mistake { pointer, what, next: next.into() });
    }

    fn value(&mut self, schema: &Value, pointer: &str) -> (Shape, Value) {
        let Value::Object(keywords) = schema else {
            if schema == &Value::Bool(false) {
                self.slow("false", pointer);
            }
            return (Shape::default(), schema.clone());
        };
        if let Some(done) = self.reference(keywords, pointer) {
            return done;
        }
        let mut shape = Shape::default();
        let mut residual = keywords.clone();
        for (keyword, value) in keywords {
            self.keyword(keyword, value, keywords, pointer, &mut shape, &mut residual);
        }
        (shape, Value::Object(residual))
    }

    /// `$ref` alone (annotations apart) to a place in this file stands for that place.
    fn reference(&mut self, keywords: &Map<String, Value>, pointer: &str) -> Option<(Shape, Value)> {
        let target = keywords.get("$ref")?.as_str()?;
        let alone = keywords.keys().all(|k| k == "$ref" || k.starts_with("x-") || ANNOTATIONS.contains(&k.as_str()));
        if !target.starts_with('#') {
            return None; // refused as a whole by `outside_references`
        }
        let found = if target.contains('%') { None } else { self.root.pointer(&target[1..]) };
        let Some(found) = found else {
            if target.starts_with("#/") && !target.contains('%') {
                let next = "write the pointer of a definition of this file, such as \"#/$defs/name\"";
                self.mistake(format!("{pointer}/$ref"), format!("\"{target}\" points to nothing in this file"), next);
            }
            self.slow("$ref", pointer);
            return None;
        };
        if !alone || self.active.iter().any(|a| a == target) {
            self.slow(if alone { "$ref to itself" } else { "$ref beside other keywords" }, pointer);
            return None;
        }
        self.active.push(target.to_owned());
        let place = target[1..].to_owned();
        let (mut shape, mut residual) = self.value(found, &place);
        self.active.pop();
        let own = |key: &str| keywords.get(key).and_then(Value::as_str).map(str::to_owned);
        shape.unit = own("unit").or(shape.unit);
        shape.personal = own("x-personal").or(shape.personal);
        if let (Value::Object(residual), true) = (&mut residual, pointer.is_empty()) {
            residual.extend(keywords.iter().filter(|(k, _)| *k != "$ref").map(|(k, v)| (k.clone(), v.clone())));
        }
        Some((shape, residual))
    }

    fn keyword(
        &mut self,
        key: &str,
        value: &Value,
        all: &Map<String, Value>,
        pointer: &str,
        shape: &mut Shape,
        residual: &mut Map<String, Value>,
    ) {
        let number = || value.as_f64().unwrap_or(0.0);
        // the meta-schema lets 3.0 stand for 3
        let count = || value.as_f64().unwrap_or(0.0).max(0.0) as u64;
        match key {
            "type" => shape.types = types(value),
            "minimum" => shape.low = shape.low.max(number()),
            "maximum" => shape.high = shape.high.min(number()),
            "exclusiveMinimum" => shape.low = shape.low.max(number().next_up()),
            "exclusiveMaximum" => shape.high = shape.high.min(number().next_down()),
            "required" => {
                shape.required = value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect();
                // the pass keeps one bit for each
                if shape.required.len() > 64 {
                    self.slow("required (more than 64)", pointer);
                }
            }
            "minItems" => shape.min_items = count(),
            "maxItems" => shape.max_items = count(),
            "minLength" => text(shape).min = count(),
            "maxLength" => text(shape).max = count(),
            "pattern" => match value.as_str().and_then(pattern::compile) {
                Some(regex) => text(shape).pattern = Some(regex),
                None => self.slow("pattern", pointer),
            },
            "enum" | "const" => {
                let several = value.as_array().filter(|_| key == "enum").map_or(std::slice::from_ref(value), Vec::as_slice);
                match several.iter().map(literal).collect::<Option<Vec<_>>>() {
                    Some(new) => {
                        let old = shape.values.take();
                        shape.values = Some(new.into_iter().filter(|l| old.as_ref().is_none_or(|o| o.contains(l))).collect());
                    }
                    None => self.slow(key, pointer),
                }
            }
            "properties" => self.properties(value, pointer, shape, residual),
            "items" if !all.contains_key("prefixItems") => {
                let (items, rest) = self.value(value, &format!("{pointer}/items"));
                shape.items = Some(Box::new(items));
                residual.insert(key.to_owned(), rest);
            }
            "additionalProperties" => match value {
                Value::Bool(false) if !all.contains_key("patternProperties") => shape.closed = true,
                Value::Bool(true) => {}
                Value::Object(o) if o.is_empty() => {}
                _ => self.slow(key, pointer),
            },
            "unit" => shape.unit = self.text_of(key, value, pointer),
            "x-personal" => shape.personal = self.text_of(key, value, pointer),
            "$id" if !pointer.is_empty() => self.slow(key, pointer),
            _ if key.starts_with("x-") || ANNOTATIONS.contains(&key) => {}
            _ => self.foreign(key, pointer),
        }
        if matches!(key, "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum") {
            residual.remove(key);
        }
    }

    fn properties(&mut self, value: &Value, pointer: &str, shape: &mut Shape, residual: &mut Map<String, Value>) {
        let mut rest = Map::new();
        for (name, schema) in value.as_object().into_iter().flatten() {
            let place = format!("{pointer}/properties/{}", name.replace('~', "~0").replace('/', "~1"));
            let (inner, left) = self.value(schema, &place);
            shape.properties.push((name.clone(), inner));
            rest.insert(name.clone(), left);
        }
        residual.insert("properties".to_owned(), Value::Object(rest));
    }

    fn text_of(&mut self, key: &str, value: &Value, pointer: &str) -> Option<String> {
        let text = value.as_str().filter(|t| !t.is_empty()).map(str::to_owned);
        if text.is_none() {
            self.mistake(format!("{pointer}/{key}"), format!("\"{key}\" is not a text"), "write it in quotes, such as \"km/h\"");
        }
        text
    }

    /// A keyword of JSON Schema that the pass leaves to the slow way, or none at all.
    fn foreign(&mut self, key: &str, pointer: &str) {
        let known = || ANNOTATIONS.iter().chain(&COMPILED).chain(&SLOW).chain(&["$ref", "x-personal"]);
        if !SLOW.contains(&key) && !known().any(|k| *k == key) {
            let nearest = known().map(|k| (strsim::damerau_levenshtein(k, key), *k)).min();
            if let Some((1..=2, nearest)) = nearest {
                let what = format!("\"{key}\" is no keyword of JSON Schema 2020-12");
                self.mistake(format!("{pointer}/{key}"), what, format!("did you mean \"{nearest}\"? Names of your own begin with \"x-\""));
            }
        }
        self.slow(key, pointer);
    }
}

fn text(shape: &mut Shape) -> &mut TextRule {
    shape.text.get_or_insert(TextRule { min: 0, max: u64::MAX, pattern: None })
}

fn types(value: &Value) -> u8 {
    let one = |v: &Value| match v.as_str() {
        Some("null") => NULL,
        Some("boolean") => BOOLEAN,
        Some("integer") => INTEGER,
        Some("number") => NUMBER | INTEGER,
        Some("string") => STRING,
        Some("array") => ARRAY,
        Some("object") => OBJECT,
        _ => 0,
    };
    match value {
        Value::Array(several) => several.iter().map(one).fold(0, |a, b| a | b),
        _ => one(value),
    }
}

fn literal(value: &Value) -> Option<Literal> {
    Some(match value {
        Value::Null => Literal::Null,
        Value::Bool(b) => Literal::Bool(*b),
        Value::Number(n) => Literal::Num(n.as_f64()?),
        Value::String(s) => Literal::Text(s.clone()),
        _ => return None,
    })
}

/// Every `$ref` and `$dynamicRef` that leaves the file, with its pointer.
pub(crate) fn outside_references(schema: &Value, pointer: &str, found: &mut Vec<Mistake>) {
    match schema {
        Value::Object(keywords) => {
            for (key, value) in keywords {
                let place = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                match (key.as_str(), value) {
                    ("$ref" | "$dynamicRef", Value::String(target)) if !target.starts_with('#') => found.push(Mistake {
                        pointer: place,
                        what: format!("\"{target}\" refers to another file or address; schemas are read offline, each by itself"),
                        next: "copy the definition into \"$defs\" and refer to \"#/$defs/name\"".into(),
                    }),
                    ("const" | "enum" | "examples" | "default", _) => {}
                    _ => outside_references(value, &place, found),
                }
            }
        }
        Value::Array(several) => {
            for (n, value) in several.iter().enumerate() {
                outside_references(value, &format!("{pointer}/{n}"), found);
            }
        }
        _ => {}
    }
}
