//! What to look for in events, known beforehand: schemas and wanted paths woven into one tree for each event type.
//!
//! Owns: [`Wanted`], [`DecodePlan`], its nodes. Refuses to know: bytes of events.
//!
//! Invariants
//! 1. A plan is immutable and shared by all decoders; equal schemas and wanted paths give an equal plan.
//! 2. Every type named by a schema or by `Wanted` has a [`TypeId`] below [`TypeId::UNKNOWN`]; all others share the plan of unknown
//!    types, which reads the default position only.
//! 3. Node 0 is the envelope: its children are attributes, [`Attribute`] by their number.
//!
//! Called by: event::decode, event::walk.

use super::TypeId;
use super::schema::{SchemaSet, TypeSchema};
use super::shape::{ANY, Literal, Shape, TextRule};
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which paths of which event types somebody reads: "data.count", "data.address.city", "subject", an extension attribute's name.
/// The order of paths is the order of `Event::slots`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    pub types: BTreeMap<String, Vec<String>>,
}

impl Wanted {
    /// The slot of `path` in events of type `kind`, added if new.
    pub fn slot(&mut self, kind: &str, path: &str) -> usize {
        let paths = self.types.entry(kind.to_owned()).or_default();
        paths.iter().position(|p| p == path).unwrap_or_else(|| {
            paths.push(path.to_owned());
            paths.len() - 1
        })
    }
}

/// No slot, no node, no child.
pub(crate) const NONE: u32 = u32::MAX;

/// Attributes of the envelope that have a meaning here, by their number; extension attributes that somebody reads follow.
pub(crate) mod attribute {
    pub const SPECVERSION: u32 = 0;
    pub const ID: u32 = 1;
    pub const SOURCE: u32 = 2;
    pub const TYPE: u32 = 3;
    pub const TIME: u32 = 4;
    pub const SUBJECT: u32 = 5;
    pub const DATACONTENTTYPE: u32 = 6;
    pub const DATASCHEMA: u32 = 7;
    pub const DATA: u32 = 8;
    pub const DATA_BASE64: u32 = 9;
    pub const EXTENSION: u32 = 10;
    pub const NAMES: [&str; 10] =
        ["specversion", "id", "source", "type", "time", "subject", "datacontenttype", "dataschema", "data", "data_base64"];
}

/// A member's name as it stands in records, `"name":`, ready for one wide comparison.
#[derive(Debug)]
pub(crate) struct Key {
    word: u128,
    mask: u128,
    quoted: Box<[u8]>,
    pub name: Box<str>,
}

impl Key {
    fn new(name: &str) -> Key {
        let quoted = format!("{}:", serde_json::Value::from(name)).into_bytes().into_boxed_slice();
        let (mut word, mut mask) = ([0u8; 16], [0u8; 16]);
        for (k, byte) in quoted.iter().take(16).enumerate() {
            word[k] = *byte;
            mask[k] = 0xff;
        }
        Key { word: u128::from_le_bytes(word), mask: u128::from_le_bytes(mask), quoted, name: name.into() }
    }

    /// How many bytes of the record at `i` are this name with its quotes and colon; 0 if they are something else.
    #[inline(always)]
    pub fn length_at(&self, b: &[u8], i: usize) -> usize {
        let rest = b.get(i..).unwrap_or(&[]);
        let same = match rest.first_chunk::<16>() {
            Some(sixteen) => {
                (u128::from_le_bytes(*sixteen) ^ self.word) & self.mask == 0 && (self.quoted.len() <= 16 || rest.starts_with(&self.quoted))
            }
            None => rest.starts_with(&self.quoted),
        };
        if same { self.quoted.len() } else { 0 }
    }
}

#[derive(Debug)]
pub(crate) struct Child {
    pub key: Key,
    pub node: u32,
    /// Its bit in the parent's `required`; 0 if it is not.
    pub required: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Place {
    #[default]
    Nowhere,
    Longitude,
    Latitude,
}

/// How one value is read and checked.
#[derive(Debug)]
pub(crate) struct Node {
    pub types: u8,
    pub place: Place,
    pub closed: bool,
    /// Some check beyond the type: `values` or `text`.
    pub checked: bool,
    pub slot: u32,
    pub low: f64,
    pub high: f64,
    /// Range in `DecodePlan::children`.
    pub first: u32,
    pub end: u32,
    /// Bits of the children that must be there.
    pub required: u64,
    pub items: u32,
    pub min_items: u64,
    pub max_items: u64,
    /// Slots and places of values below, which a repeated or other value empties.
    pub inner: Box<[u32]>,
    pub inner_place: bool,
    pub values: Option<Box<[Literal]>>,
    pub text: Option<TextRule>,
    /// "data.address.city", for messages.
    pub path: Box<str>,
}

/// One event type.
#[derive(Debug, Default)]
pub(crate) struct TypePlan {
    pub name: String,
    pub root: u32,
    pub paths: Vec<String>,
    /// (slot, attribute): wanted attributes of the envelope.
    pub attributes: Vec<(u32, u32)>,
    pub schema: Option<Arc<TypeSchema>>,
}

/// Everything the decoder needs to know beforehand. Immutable, shared by all decoders.
#[derive(Debug)]
pub struct DecodePlan {
    pub(crate) nodes: Vec<Node>,
    pub(crate) children: Vec<Child>,
    /// By `TypeId`; the last one is that of unknown types.
    pub(crate) types: Vec<TypePlan>,
    index: HashMap<Box<str>, u16, foldhash::fast::FixedState>,
    /// Extension attributes that somebody reads.
    pub(crate) extensions: usize,
}

impl DecodePlan {
    pub fn compile(schemas: &SchemaSet, wanted: &Wanted) -> DecodePlan {
        let mut plan = DecodePlan { nodes: Vec::new(), children: Vec::new(), types: Vec::new(), index: HashMap::default(), extensions: 0 };
        let extensions = plan.add_envelope(wanted);
        let mut kinds: Vec<&str> = schemas.kinds().chain(wanted.types.keys().map(String::as_str)).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds.truncate(usize::from(u16::MAX)); // ids are u16; no province comes near
        for kind in kinds {
            plan.index.insert(kind.into(), plan.types.len() as u16);
            plan.add_type(kind, schemas.types.get(kind).cloned(), wanted.types.get(kind).cloned().unwrap_or_default(), &extensions);
        }
        plan.add_type("", None, Vec::new(), &extensions);
        plan
    }

    pub fn type_id(&self, kind: &str) -> TypeId {
        self.index.get(kind).map_or(TypeId::UNKNOWN, |id| TypeId(*id))
    }

    /// The name of a type of this plan; empty for unknown types.
    pub fn type_name(&self, kind: TypeId) -> &str {
        &self.plan_of(kind).name
    }

    /// What `Event::slots` holds in events of this type.
    pub fn paths(&self, kind: TypeId) -> &[String] {
        &self.plan_of(kind).paths
    }

    #[inline(always)]
    pub(crate) fn plan_of(&self, kind: TypeId) -> &TypePlan {
        let last = self.types.len() - 1;
        &self.types[usize::from(kind.0).min(last)]
    }

    /// Node 0; returns the names of the extension attributes read, in the order of their numbers.
    fn add_envelope(&mut self, wanted: &Wanted) -> Vec<String> {
        let attributes = wanted.types.values().flatten().filter(|path| !is_data(path) && !attribute::NAMES.contains(&path.as_str()));
        let mut extensions: Vec<String> = attributes.cloned().collect();
        extensions.sort_unstable();
        extensions.dedup();
        self.extensions = extensions.len();
        let names = attribute::NAMES.into_iter().chain(extensions.iter().map(String::as_str));
        self.children = names.enumerate().map(|(n, name)| Child { key: Key::new(name), node: n as u32, required: 0 }).collect();
        let envelope = Node { end: self.children.len() as u32, ..Node::read(&Shape::default(), "") };
        self.nodes.push(envelope);
        extensions
    }

    fn add_type(&mut self, kind: &str, schema: Option<Arc<TypeSchema>>, paths: Vec<String>, extensions: &[String]) {
        let mut draft = Draft { shape: schema.as_ref().map(|s| &s.shape), ..Draft::default() };
        let default = ["lon".to_owned()];
        let north = ["lat".to_owned()];
        let (lon, lat) = schema.as_ref().map_or((&default[..], &north[..]), |s| (&s.lon, &s.lat));
        draft.at(lon).place = Place::Longitude;
        draft.at(lat).place = Place::Latitude;
        let mut attributes = Vec::new();
        for (slot, path) in paths.iter().enumerate() {
            if is_data(path) {
                let parts: Vec<String> = path.split('.').skip(1).map(str::to_owned).collect();
                draft.at(&parts).slot = Some(slot as u32);
            } else {
                let known = attribute::NAMES.iter().position(|n| n == path);
                let number = known.or_else(|| extensions.iter().position(|n| n == path).map(|n| n + attribute::EXTENSION as usize));
                attributes.extend(number.map(|n| (slot as u32, n as u32)));
            }
        }
        let root = self.add_node(&draft, "data");
        self.types.push(TypePlan { name: kind.to_owned(), root, paths, attributes, schema });
    }

    /// Adds a draft and all below it; returns its node.
    fn add_node(&mut self, draft: &Draft, path: &str) -> u32 {
        let any = Shape::default();
        let shape = draft.shape.unwrap_or(&any);
        let number = self.nodes.len();
        self.nodes.push(Node { place: draft.place, slot: draft.slot.unwrap_or(NONE), ..Node::read(shape, path) });
        let mut names: Vec<&String> =
            shape.properties.iter().map(|(name, _)| name).chain(&shape.required).chain(draft.children.keys()).collect();
        // required ones first: their bits are the lowest
        names.sort_by_key(|name| (!shape.required.contains(name), *name));
        names.dedup();
        let first = self.children.len();
        for (n, name) in names.iter().enumerate() {
            let required = if shape.required.contains(name) { 1u64.checked_shl(n as u32).unwrap_or(0) } else { 0 };
            self.nodes[number].required |= required;
            self.children.push(Child { key: Key::new(name), node: NONE, required });
        }
        (self.nodes[number].first, self.nodes[number].end) = (first as u32, self.children.len() as u32);
        let empty = Draft::default();
        let (mut inner, mut inner_place) = (Vec::new(), false);
        for (n, name) in names.into_iter().enumerate() {
            let below = draft.children.get(name).unwrap_or(&empty);
            let below = Draft { shape: below.shape.or_else(|| shape.property(name)), ..below.clone() };
            let child = self.add_node(&below, &format!("{path}.{name}"));
            self.children[first + n].node = child;
            inner.extend(below.slot);
            inner.extend_from_slice(&self.nodes[child as usize].inner);
            inner_place |= below.place != Place::Nowhere || self.nodes[child as usize].inner_place;
        }
        if let Some(items) = &shape.items {
            self.nodes[number].items = self.add_node(&Draft { shape: Some(items), ..Draft::default() }, &format!("{path}[]"));
        }
        (self.nodes[number].inner, self.nodes[number].inner_place) = (inner.into(), inner_place);
        number as u32
    }
}

fn is_data(path: &str) -> bool {
    path == "data" || path.starts_with("data.")
}

impl Node {
    /// A node that checks `shape` and keeps nothing.
    fn read(shape: &Shape, path: &str) -> Node {
        Node {
            types: shape.types & ANY,
            place: Place::Nowhere,
            closed: shape.closed,
            checked: shape.values.is_some() || shape.text.is_some(),
            slot: NONE,
            low: shape.low,
            high: shape.high,
            first: 0,
            end: 0,
            required: 0,
            items: NONE,
            min_items: shape.min_items,
            max_items: shape.max_items,
            inner: Box::default(),
            inner_place: false,
            values: shape.values.clone().map(Vec::into_boxed_slice),
            text: shape.text.clone(),
            path: path.into(),
        }
    }
}

/// A node being put together from the schema, the place of the position, and wanted paths.
#[derive(Clone, Default)]
struct Draft<'s> {
    shape: Option<&'s Shape>,
    slot: Option<u32>,
    place: Place,
    children: BTreeMap<String, Draft<'s>>,
}

impl<'s> Draft<'s> {
    fn at(&mut self, path: &[String]) -> &mut Draft<'s> {
        path.iter().fold(self, |draft, name| {
            let shape = draft.shape.and_then(|shape| shape.property(name));
            draft.children.entry(name.clone()).or_insert_with(|| Draft { shape, ..Draft::default() })
        })
    }
}
