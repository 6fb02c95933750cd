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
    table: HashTable<u32>,
    texts: Vec<Box<str>>,
    hasher: FixedState,
}

impl Texts {
    #[inline]
    pub fn intern(&mut self, text: &str) -> u32 {
        let hash = self.hasher.hash_one(text.as_bytes());
        let texts = &self.texts;
        if let Some(n) = self.table.find(hash, |n| *texts[*n as usize] == *text) {
            return *n;
        }
        let n = self.texts.len() as u32;
        self.texts.push(text.into());
        let (texts, hasher) = (&self.texts, &self.hasher);
        self.table.insert_unique(hash, n, |n| hasher.hash_one(texts[*n as usize].as_bytes()));
        n
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
    hasher: FixedState,
}

impl LocalKeys {
    pub fn new(width: usize) -> LocalKeys {
        LocalKeys { width, table: HashTable::new(), atoms: Vec::new(), keys: Vec::new(), hasher: FixedState::with_seed(7) }
    }

    #[inline]
    fn hash(hasher: &FixedState, atoms: &[u32]) -> u64 {
        hasher.hash_one(atoms)
    }

    /// `width` atoms a key, in key order.
    pub fn atoms(&self) -> &[u32] {
        &self.atoms
    }

    #[inline]
    pub fn find(&self, atoms: &[u32]) -> Option<u32> {
        let (all, width) = (&self.atoms, self.width);
        self.table.find(Self::hash(&self.hasher, atoms), |n| all[*n as usize * width..][..width] == *atoms).copied()
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
