//! Which member comes next: learned from the events before.
//!
//! Producers write members in one order, so the one after "lat" is nearly always the same. A guess is checked by one wide comparison.
//!
//! Owns: [`Guess`]. Refuses to know: values.
//!
//! Invariants
//! 1. A spot (start of a node, a child, a stranger) belongs to one node, and so does what is guessed after it.
//! 2. At most [`STRANGERS`] names that nobody reads are learned for a node, none longer than [`LONGEST`] bytes.
//! 3. In the envelope only names that are attribute names are learned.
//!
//! Called by: event::walk.

use super::plan::{DecodePlan, NONE};

const STRANGERS: usize = 16;
const LONGEST: usize = 32;

#[derive(Debug)]
pub(crate) struct Guess {
    /// By spot: nodes, then children, then strangers. Below `first` a child, else a stranger, or `NONE`.
    next: Vec<u32>,
    /// Nodes and children: the spot of the first stranger.
    first: u32,
    strangers: Vec<Stranger>,
}

#[derive(Debug)]
struct Stranger {
    node: u32,
    quoted: Box<[u8]>,
}

impl Guess {
    pub fn new(plan: &DecodePlan) -> Guess {
        let first = plan.nodes.len() + plan.children.len();
        Guess { next: vec![NONE; first], first: first as u32, strangers: Vec::new() }
    }

    /// The child that came after this spot last time; something that is no child if a stranger did.
    #[inline(always)]
    pub fn after(&self, spot: usize) -> u32 {
        self.next.get(spot).copied().unwrap_or(NONE)
    }

    /// The length of the stranger's name if the one guessed after this spot stands at `i`.
    pub fn stranger_at(&self, spot: &mut usize, b: &[u8], i: usize) -> Option<usize> {
        let guess = self.after(*spot);
        let stranger = self.strangers.get(guess.checked_sub(self.first)? as usize)?;
        if !b.get(i..)?.starts_with(&stranger.quoted) {
            return None;
        }
        *spot = guess as usize;
        Some(stranger.quoted.len())
    }

    pub fn set(&mut self, spot: &mut usize, next: u32, new_spot: usize) {
        if let Some(guess) = self.next.get_mut(*spot) {
            *guess = next;
        }
        *spot = new_spot;
    }

    /// A name that nobody reads, as it stands in the record with its colon.
    pub fn learn(&mut self, plan: &DecodePlan, node: u32, spot: &mut usize, quoted: &[u8], name: &str) {
        let plain = quoted.len() == name.len() + 3 && quoted.len() <= LONGEST;
        if !plain || (node == 0 && !super::envelope::is_attribute_name(name)) || plan.nodes[node as usize].closed {
            return;
        }
        let here = || self.strangers.iter().enumerate().filter(|(_, s)| s.node == node);
        let number = match here().find(|(_, s)| *s.quoted == *quoted) {
            Some((number, _)) => number,
            None if here().count() < STRANGERS => {
                self.strangers.push(Stranger { node, quoted: quoted.into() });
                self.next.push(NONE);
                self.strangers.len() - 1
            }
            None => return,
        };
        let spot_of = self.first as usize + number;
        self.set(spot, spot_of as u32, spot_of);
    }
}
