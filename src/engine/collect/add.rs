//! How an accepted event goes into the windows that take it.
//!
//! Owns: the key of an event in a measurement, its values in the accumulators. Refuses to know: verdicts, watermarks.
//!
//! Invariants
//! 1. An event without a value for a key is added nowhere in that measurement.
//! 2. No text is made for a key that is known already.
//!
//! Called by: collect.

use super::{MAX_KEYS, Part, Slots, Taking, Wanted};
use crate::engine::Key;
use crate::engine::aggregate::distinct::hash_of;
use crate::engine::aggregate::{Column, Edge};
use crate::engine::keys::Texts;
use crate::engine::window::OpenWindow;
use crate::event::Scalar;
use crate::geo::AreaId;
use crate::pipeline::expr::Value;
use crate::pipeline::{KeySource, WindowInput, WindowSpec};
use smallvec::SmallVec;
use std::sync::Arc;

impl Taking<'_, '_> {
    /// Adds the event to windows of one measurement; false where a `by` key has no value.
    pub(super) fn add(&mut self, part: &mut Part, w: usize, spec: &WindowSpec, input: &WindowInput, accepting: &[Wanted]) -> bool {
        let mut atoms: SmallVec<[u32; 4]> = SmallVec::new();
        for by in &input.by {
            match self.atom(part, by) {
                Some(atom) => atoms.push(atom),
                None => return false,
            }
        }
        let window = &mut part.windows[w];
        let key = match window.keys.find(self.source, &atoms) {
            Some(key) => key,
            None if window.keys.keys.len() >= MAX_KEYS => return false,
            None => {
                let key = self.key(&part.texts, &atoms, input);
                part.windows[w].keys.insert(&atoms, Arc::new(key))
            }
        };
        let window = &mut part.windows[w];
        for Wanted { start, end, .. } in accepting {
            let place = window.place(spec, *start, *end);
            window.open[place].note(self.record.offset);
            self.observe(&mut window.open[place], key, input);
        }
        true
    }

    /// Adds the event's values to an entry of a window.
    #[inline]
    fn observe(&self, open: &mut OpenWindow, key: u32, input: &WindowInput) {
        let entry = open.entry(key);
        let slots = Slots(self.event.slots);
        for (column, input) in open.columns.iter_mut().zip(&input.inputs) {
            if !input.condition.as_ref().is_none_or(|c| c.holds(&slots)) {
                continue;
            }
            if let (Column::Distinct(_), Some(program)) = (&*column, &input.value) {
                if let Some(hash) = hash_of(&program.eval(&slots)) {
                    column.add_hash(entry, hash);
                }
                continue;
            }
            let value = match &input.value {
                None => Some(0.0),
                Some(program) => match program.as_slot() {
                    Some(slot) => match self.event.slots[slot] {
                        Scalar::Num(n) => Some(n),
                        _ => None,
                    },
                    None => program.number(&slots),
                },
            };
            if let Some(value) = value {
                column.add(entry, Edge { time: self.event.time, partition: self.partition, offset: self.record.offset, value });
            }
        }
    }

    #[inline]
    pub(super) fn atom(&mut self, part: &mut Part, by: &KeySource) -> Option<u32> {
        match by {
            KeySource::Area => Some(self.area().map_or(u32::MAX, |a| a.0)),
            KeySource::Source => Some(self.source),
            KeySource::Kind => Some(self.event.kind.0 as u32),
            KeySource::Subject => self.event.subject.map(|s| part.texts.intern(s)),
            KeySource::Value(program) => match program.eval(&Slots(self.event.slots)) {
                Value::Unknown => None,
                Value::Text(t) => Some(part.texts.intern(&t)),
                Value::Bool(b) => Some(part.texts.intern(if b { "true" } else { "false" })),
                Value::Num(n) => Some(part.texts.intern(&n.to_string())),
                Value::Time(t) => Some(part.texts.intern(&t.to_string())),
            },
        }
    }

    pub(super) fn area(&mut self) -> Option<AreaId> {
        let (event, registry) = (self.event, &self.setup.registry);
        *self.area.get_or_insert_with(|| match event.position {
            Some([lon, lat]) => registry.areas.locate(lon, lat, event.time),
            None => registry.sources.get(event.source, event.time).and_then(|s| registry.area_of_source(s, event.time)),
        })
    }

    pub(super) fn key(&self, texts: &Texts, atoms: &[u32], input: &WindowInput) -> Key {
        let mut area = None;
        let tags = input.by.iter().zip(atoms).map(|(by, atom)| match by {
            KeySource::Area if *atom == u32::MAX => "outside".into(),
            KeySource::Area => {
                area = Some(AreaId(*atom));
                self.setup.registry.areas.area(AreaId(*atom)).code.as_str().into()
            }
            KeySource::Source => self.event.source.into(),
            KeySource::Kind => self.event.kind_name.into(),
            KeySource::Subject | KeySource::Value(_) => texts.text(*atom).into(),
        });
        let tags = tags.collect();
        Key { tags, area }
    }
}
