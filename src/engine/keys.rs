//! Names as small numbers: texts and keys, each kept once.
//!
//! Owns: [`Texts`] (text → number), [`LocalKeys`] (a partition's keys of one window by their atoms), [`GlobalKeys`] (the merger's
//! keys with their rank in order). Refuses to know: what the texts mean.
//!
//! Invariants
//! 1. Numbers are dense, from 0, in the order of first sight; nothing is ever renumbered.
//! 2. `GlobalKeys::rank` orders keys as their tags order, whatever the order of first sight.
//!
//! Called by: collect, merge.

use super::Key;
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};
use std::hash::BuildHasher;
use std::sync::Arc;

/// Text → number.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    table: HashTable<Known>,
    texts: Vec<Box<str>>,
    hasher: FixedState,
}

/// A text's number beside what tells it from others, so that a short one is found without following a pointer.
#[derive(Clone, Copy, Debug)]
struct Known {
    ends: Ends,
    number: u32,
}

/// Length and the first and last eight bytes: the whole text where it has at most 16.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Ends {
    first: u64,
    last: u64,
    length: u32,
}

impl Ends {
    const WHOLE: u32 = 16;

    #[inline]
    fn of(text: &str) -> Ends {
        let bytes = text.as_bytes();
        let length = bytes.len() as u32;
        if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
            return Ends { first: u64::from_le_bytes(*first), last: u64::from_le_bytes(*last), length };
        }
        let first = bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        Ends { first, last: 0, length }
    }
}

impl Texts {
    #[inline]
    pub fn intern(&mut self, text: &str) -> u32 {
        let hash = self.hasher.hash_one(text.as_bytes());
        let (ends, texts) = (Ends::of(text), &self.texts);
        let same = |known: &Known| known.ends == ends && (ends.length <= Ends::WHOLE || *texts[known.number as usize] == *text);
        match self.table.find(hash, same) {
            Some(known) => known.number,
            None => self.add(text, hash, ends),
        }
    }

    #[cold]
    fn add(&mut self, text: &str, hash: u64, ends: Ends) -> u32 {
        let number = self.texts.len() as u32;
        self.texts.push(text.into());
        let (texts, hasher) = (&self.texts, &self.hasher);
        self.table.insert_unique(hash, Known { ends, number }, |known| hasher.hash_one(texts[known.number as usize].as_bytes()));
        number
    }

    pub fn text(&self, n: u32) -> &str {
        &self.texts[n as usize]
    }

    pub fn len(&self) -> usize {
        self.texts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(|t| &**t)
    }
}

/// One partition's keys of one window: `width` atoms each.
#[derive(Clone, Debug)]
pub struct LocalKeys {
    width: usize,
    table: HashTable<u32>,
    atoms: Vec<u32>,
    pub keys: Vec<Arc<Key>>,
    /// By source: the key its last event had. Most sources keep to one, which is then found without a search.
    recent: Vec<u32>,
    hasher: FixedState,
}

const NONE: u32 = u32::MAX;

impl LocalKeys {
    pub fn new(width: usize) -> LocalKeys {
        let hasher = FixedState::with_seed(7);
        LocalKeys { width, table: HashTable::new(), atoms: Vec::new(), keys: Vec::new(), recent: Vec::new(), hasher }
    }

    #[inline]
    fn hash(hasher: &FixedState, atoms: &[u32]) -> u64 {
        hasher.hash_one(atoms)
    }

    /// `width` atoms a key, in key order.
    pub fn atoms(&self) -> &[u32] {
        &self.atoms
    }

    /// Compared one by one: keys are short, and a call would cost more.
    #[inline]
    fn is(&self, key: u32, atoms: &[u32]) -> bool {
        let from = key as usize * self.width;
        self.atoms.get(from..from + self.width).is_some_and(|known| known.iter().zip(atoms).all(|(a, b)| a == b))
    }

    /// The key of these atoms, of an event of this source.
    #[inline]
    pub fn find(&mut self, source: u32, atoms: &[u32]) -> Option<u32> {
        let recent = self.recent.get(source as usize).copied().unwrap_or(NONE);
        if recent != NONE && self.is(recent, atoms) {
            return Some(recent);
        }
        let found = self.table.find(Self::hash(&self.hasher, atoms), |n| self.is(*n, atoms)).copied()?;
        if self.recent.len() <= source as usize {
            self.recent.resize(source as usize + 1, NONE);
        }
        self.recent[source as usize] = found;
        Some(found)
    }

    pub fn insert(&mut self, atoms: &[u32], key: Arc<Key>) -> u32 {
        let n = self.keys.len() as u32;
        self.keys.push(key);
        self.atoms.extend_from_slice(atoms);
        let (all, width, hasher) = (&self.atoms, self.width, &self.hasher);
        self.table.insert_unique(Self::hash(hasher, atoms), n, |n| Self::hash(hasher, &all[*n as usize * width..][..width]));
        n
    }
}

/// The merger's keys of one window.
#[derive(Clone, Debug, Default)]
pub struct GlobalKeys {
    numbers: HashMap<Arc<Key>, u32, FixedState>,
    pub keys: Vec<Arc<Key>>,
    /// Key numbers in the order of their tags.
    sorted: Vec<u32>,
    rank: Vec<u32>,
    /// Keys not yet in `sorted`.
    fresh: Vec<u32>,
}

impl GlobalKeys {
    pub fn intern(&mut self, key: &Arc<Key>) -> u32 {
        if let Some(n) = self.numbers.get(key) {
            return *n;
        }
        let n = self.keys.len() as u32;
        self.numbers.insert(key.clone(), n);
        self.keys.push(key.clone());
        self.fresh.push(n);
        n
    }

    pub fn find(&self, key: &Key) -> Option<u32> {
        self.numbers.get(key).copied()
    }

    /// Brings ranks up to date; `rank` may be asked afterwards.
    pub fn order(&mut self) {
        if self.fresh.is_empty() {
            return;
        }
        let keys = &self.keys;
        let mut fresh = std::mem::take(&mut self.fresh);
        fresh.sort_unstable_by(|a, b| keys[*a as usize].cmp(&keys[*b as usize]));
        let old = std::mem::take(&mut self.sorted);
        let mut merged = Vec::with_capacity(old.len() + fresh.len());
        let mut from = 0;
        for n in fresh {
            let to = from + old[from..].partition_point(|o| keys[*o as usize] < keys[n as usize]);
            merged.extend_from_slice(&old[from..to]);
            merged.push(n);
            from = to;
        }
        merged.extend_from_slice(&old[from..]);
        self.rank.resize(merged.len(), 0);
        for (rank, n) in merged.iter().enumerate() {
            self.rank[*n as usize] = rank as u32;
        }
        self.sorted = merged;
    }

    #[inline]
    pub fn rank(&self, key: u32) -> u32 {
        self.rank[key as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_follow_the_tags_whatever_the_order_of_sight() {
        let key = |t: &str| Arc::new(Key { tags: vec![t.into()], area: None });
        let mut keys = GlobalKeys::default();
        let mut numbers = Vec::new();
        for batch in [vec!["m", "c"], vec!["z", "a", "d"], vec!["b"]] {
            numbers.extend(batch.iter().map(|t| keys.intern(&key(t))));
            keys.order();
        }
        let mut by_rank = numbers.clone();
        by_rank.sort_by_key(|n| keys.rank(*n));
        let texts: Vec<_> = by_rank.iter().map(|n| &*keys.keys[*n as usize].tags[0]).collect();
        assert_eq!(texts, ["a", "b", "c", "d", "m", "z"]);
    }
}
