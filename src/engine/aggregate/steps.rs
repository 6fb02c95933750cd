//! Readings of a counter: by how much it rose.
//!
//! Owns: [`Steps`]. Refuses to know: keys, windows.
//!
//! Invariants
//! 1. Steps go from one reading to the next by (event time, partition, offset), over all partitions: a rise counts as it is, a fall is a
//!    reset, after which the counter stands at what it rose to from 0. One reading alone is no step: no observation (R6).
//! 2. At most [`MAX_READINGS`] of a window, key and partition are kept. Beyond, readings within a rise are dropped (its ends say as much), then
//!    the oldest are added up; a reading that comes out of order after that makes the sum approximate, and the row says so.
//!
//! Called by: aggregate.

use super::Edge;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Readings of a window, key and partition that are kept.
pub const MAX_READINGS: usize = 1_024;

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Steps {
    /// By place.
    readings: Vec<Edge>,
    /// Of readings that were added up, and the place before which all were.
    risen: f64,
    floor: Option<Place>,
    /// Where the readings were thinned out: what comes before it is out of order.
    thinned: Option<Place>,
    /// A reading came between some that are gone.
    rough: bool,
}

type Place = (Timestamp, u32, u64);

fn step(from: f64, to: f64) -> f64 {
    if to >= from { to - from } else { to.max(0.0) }
}

impl Steps {
    pub fn add(&mut self, at: Edge) {
        let place = at.place();
        if self.thinned.is_some_and(|thinned| place < thinned) {
            self.rough = true;
        }
        // among what was added up there is no place for it
        if self.floor.is_some_and(|floor| place < floor) {
            return;
        }
        match self.readings.last() {
            Some(last) if place < last.place() => {
                let i = self.readings.partition_point(|r| r.place() < place);
                self.readings.insert(i, at);
            }
            _ => self.readings.push(at),
        }
        if self.readings.len() > MAX_READINGS {
            self.thin();
        }
    }

    #[cold]
    fn thin(&mut self) {
        self.thinned = self.readings.last().map(Edge::place);
        let readings = std::mem::take(&mut self.readings);
        let mut kept: Vec<Edge> = Vec::with_capacity(MAX_READINGS);
        for (i, at) in readings.iter().enumerate() {
            let rises = |next: &Edge| kept.last().is_some_and(|before| before.value <= at.value && at.value <= next.value);
            if !readings.get(i + 1).is_some_and(rises) {
                kept.push(*at);
            }
        }
        let spare = kept.len().saturating_sub(MAX_READINGS / 2);
        self.risen += kept[..kept.len().min(spare + 1)].windows(2).map(|two| step(two[0].value, two[1].value)).sum::<f64>();
        kept.drain(..spare);
        if spare > 0 {
            self.floor = kept.first().map(Edge::place);
        }
        self.readings = kept;
    }

    /// Puts another partition's readings among these.
    pub fn fold(&mut self, other: &Steps) {
        self.rough |= other.rough || self.thinned.is_some() || other.thinned.is_some();
        self.risen += other.risen;
        self.readings.extend_from_slice(&other.readings);
    }

    /// Puts readings in order; the increase is read after it.
    pub fn settle(&mut self) {
        self.readings.sort_by_key(Edge::place);
    }

    /// `None` where no step was seen.
    pub fn increase(&self) -> Option<f64> {
        let steps = self.readings.windows(2).map(|two| step(two[0].value, two[1].value));
        (self.readings.len() > 1).then(|| self.risen + steps.sum::<f64>())
    }

    pub fn is_rough(&self) -> bool {
        self.rough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: i64, partition: u32, value: f64) -> Edge {
        Edge { time: Timestamp(time), partition, offset: time as u64, value }
    }

    fn of(readings: &[(i64, f64)]) -> Steps {
        let mut steps = Steps::default();
        readings.iter().for_each(|(time, value)| steps.add(at(*time, 0, *value)));
        steps
    }

    #[test]
    fn a_reset_counts_from_zero_and_order_is_that_of_time() {
        for (readings, increase) in [
            (&[][..], None),
            (&[(1, 7.0)], None),
            (&[(1, 7.0), (2, 7.0)], Some(0.0)),
            (&[(1, 10.0), (2, 15.0), (3, 4.0), (4, 6.0)], Some(11.0)),
            (&[(4, 6.0), (2, 15.0), (1, 10.0), (3, 4.0)], Some(11.0)),
        ] {
            assert_eq!(of(readings).increase(), increase, "{readings:?}");
        }
    }

    #[test]
    fn partitions_are_read_as_one_counter() {
        let (mut a, mut b) = (Steps::default(), Steps::default());
        [(1, 10.0), (3, 30.0), (5, 5.0)].iter().for_each(|(t, v)| a.add(at(*t, 0, *v)));
        [(2, 20.0), (4, 40.0)].iter().for_each(|(t, v)| b.add(at(*t, 1, *v)));
        let (mut ab, mut ba) = (a.clone(), b.clone());
        ab.fold(&b);
        ba.fold(&a);
        ab.settle();
        ba.settle();
        assert_eq!((ab.increase(), ba.increase(), ab.is_rough()), (Some(35.0), Some(35.0), false));
    }

    #[test]
    fn d6_readings_are_bounded_and_lose_nothing_in_order() {
        // a rise with a reset now and then, and one that falls at every second reading
        for period in [700, 2] {
            let (mut steps, mut all) = (Steps::default(), Vec::new());
            for i in 0..20_000i64 {
                all.push((i, (i % period) as f64));
                steps.add(at(i, 0, (i % period) as f64));
                assert!(steps.readings.len() <= MAX_READINGS);
            }
            let exact: f64 = all.windows(2).map(|two| step(two[0].1, two[1].1)).sum();
            assert_eq!((steps.increase(), steps.is_rough()), (Some(exact), false));
            let json = serde_json::to_string(&steps).unwrap();
            assert_eq!(serde_json::from_str::<Steps>(&json).unwrap(), steps);
            steps.add(at(5, 0, 3.0));
            assert!(steps.is_rough(), "what was thinned out cannot be put in order");
        }
    }
}
