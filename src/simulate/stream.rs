//! The events of the province in the order in which they arrive.
//!
//! Owns: [`Stream`]: turns of sites, ways that take time, broken and doubled copies, late uploads, the count of all that.
//! Refuses to know: where events go, the wall clock.
//!
//! Invariants
//! 1. The stream of `[a, c)` is that of `[a, b)` and then that of `[b, c)`, byte for byte.
//! 2. Equal arrivals are ordered by site, turn and copy.
//! 3. A broken copy comes before the whole one, which is sent again; a double comes within 20 s. What has a fault of its own (clock, upload)
//!    is neither broken nor doubled, so each is counted under one name.
//!
//! Called by: cli, truth, tests.

use super::Province;
use super::chance::Chance;
use super::desk::{Desk, LASTS, Step};
use super::plan::{AHEAD, FaultKind, Plan, UPLOADED_AFTER, local};
use super::signals::Signals;
use super::site::{Role, Site};
use crate::time::working::NoCalendar;
use crate::time::{Span, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Instants are taken in slots; what is sent in a slot arrives in it or later.
const SLOT: Span = Span::seconds(10);
/// The longest way of what has no fault, doubles included.
const LONGEST: Span = Span::seconds(60);
/// Share of records, per thousand.
const BROKEN: u64 = 10;
const DOUBLED: u64 = 10;
/// Stream of chance.
const WAY: u64 = 30;
/// `Pending::site` of what offices send.
const OFFICES: usize = usize::MAX;

/// One record; the caller's buffers are used again.
#[derive(Clone, Debug, Default)]
pub struct Arrival {
    pub at: Timestamp,
    /// Partition key: the subject, else the source.
    pub key: String,
    pub bytes: Vec<u8>,
    pub source: String,
    /// It is damaged: a door may refuse it.
    pub broken: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Copy {
    Broken,
    Whole,
    Double,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Pending {
    arrival: Timestamp,
    site: usize,
    /// Of a site its turn since 1970, of offices the place in the day's agenda.
    turn: i64,
    copy: Copy,
    /// True instant.
    t: Timestamp,
    /// When the whole one arrives.
    whole: Timestamp,
}

/// What was sent wrong, by what the sources page counts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    pub records: u64,
    /// By event type.
    pub by_type: BTreeMap<&'static str, u64>,
    /// By reason: bytes, envelope, schema.
    pub malformed: BTreeMap<&'static str, u64>,
    /// By source, where it can be read.
    pub malformed_sources: BTreeMap<String, u64>,
    /// By event type.
    pub doubled: BTreeMap<&'static str, u64>,
    pub late: BTreeMap<String, u64>,
    pub late_types: BTreeMap<&'static str, u64>,
    pub clock: BTreeMap<String, u64>,
}

pub struct Stream<'a> {
    province: &'a Province,
    desk: Desk<'a>,
    plan: Plan,
    /// The local day that `plan` is for; its agenda is the last.
    day: Option<i64>,
    agendas: BTreeMap<i64, Vec<Step>>,
    /// Next slot's beginning, and where the stream ends.
    slot: Timestamp,
    from: Timestamp,
    to: Timestamp,
    /// What arrives later, unordered; and now, in order.
    pending: Vec<Pending>,
    ready: VecDeque<Pending>,
    /// Sites that speak: all, or none but the offices.
    sites: usize,
    pub tally: Tally,
}

impl<'a> Stream<'a> {
    pub(super) fn new(province: &'a Province, from: Timestamp, to: Timestamp, sensors: bool) -> Result<Stream<'a>, NoCalendar> {
        let desk = Desk::new(province.chance, &province.working, &province.sites, province.punctual);
        // what is on its way at `from`
        let first = Timestamp((from - LONGEST).0.div_euclid(SLOT.0) * SLOT.0);
        let mut stream = Stream {
            province,
            desk,
            plan: Plan::default(),
            day: None,
            agendas: BTreeMap::new(),
            slot: first,
            from,
            to,
            pending: Vec::new(),
            ready: VecDeque::new(),
            sites: if sensors { province.sites.len() } else { 0 },
            tally: Tally::default(),
        };
        stream.enter(local(first).0)?;
        if sensors {
            stream.uploads_before(first);
        }
        Ok(stream)
    }

    /// The next record into `out`; false at the end.
    pub fn next(&mut self, out: &mut Arrival) -> Result<bool, NoCalendar> {
        while self.ready.is_empty() {
            if self.slot >= self.to {
                return Ok(false);
            }
            self.fill()?;
        }
        let Some(next) = self.ready.pop_front() else { return Ok(false) };
        self.write(next, out);
        Ok(true)
    }

    /// Takes one slot of true time.
    fn fill(&mut self) -> Result<(), NoCalendar> {
        let (from, to) = (self.slot, self.slot + SLOT);
        let day = local(from).0;
        if self.day != Some(day) {
            self.enter(day)?;
        }
        for site in 0..self.sites {
            self.turns(site, from, to);
        }
        let agenda = self.agendas.get(&day).map(Vec::as_slice).unwrap_or_default();
        let start = agenda.partition_point(|s| s.at < from);
        let end = agenda.partition_point(|s| s.at < to);
        for place in start..end {
            let turn = day * AGENDA + place as i64;
            let step = &self.agendas[&day][place];
            let (at, secret) = (step.at, step.secret);
            self.send(OFFICES, turn, at, secret);
        }
        self.slot = to;
        self.pending.sort_unstable_by(|a, b| b.cmp(a));
        while let Some(next) = self.pending.pop_if(|p| p.arrival < to) {
            if self.from <= next.arrival && next.arrival < self.to {
                self.ready.push_back(next);
            }
        }
        Ok(())
    }

    /// Plan and agenda of a new day; those of the day before are still on their way.
    fn enter(&mut self, day: i64) -> Result<(), NoCalendar> {
        self.plan = self.province.plan(day - LASTS..day + 1);
        let agenda = self.desk.agenda(&self.plan, day)?;
        self.agendas.retain(|known, _| *known == day - 1);
        self.agendas.insert(day, agenda);
        self.day = Some(day);
        Ok(())
    }

    /// Readings of uploads that were taken before the stream begins but arrive in it.
    fn uploads_before(&mut self, first: Timestamp) {
        let before: Vec<(usize, Timestamp, Timestamp)> = self
            .plan
            .faults
            .iter()
            .filter(|f| f.kind == FaultKind::Upload && f.from < first && first < f.from + UPLOADED_AFTER + Span::minutes(1))
            .flat_map(|f| f.sites.iter().map(|s| (*s, f.from, f.to.min(first))))
            .collect();
        for (site, from, to) in before {
            self.turns(site, from, to);
        }
    }

    /// The site's turns within `[from, to)`.
    #[inline]
    fn turns(&mut self, site: usize, from: Timestamp, to: Timestamp) {
        let (cadence, phase) = self.province.rhythm[site];
        if cadence == 0 {
            return;
        }
        let mut turn = (from.0 - phase + cadence - 1).div_euclid(cadence);
        while turn * cadence + phase < to.0 {
            self.send(site, turn, Timestamp(turn * cadence + phase), false);
            turn += 1;
        }
    }

    /// One true reading goes on its way; `own`: neither broken nor doubled.
    fn send(&mut self, site: usize, turn: i64, t: Timestamp, mut own: bool) {
        let mut draw = self.province.chance.at(WAY, site as i64, turn);
        let milli = |ms: i64| Span(ms * crate::time::NANOS_PER_MILLI);
        if site != OFFICES {
            for fault in self.plan.of_site(site).filter(|f| f.holds(t) && f.sites.contains(&site)) {
                match fault.kind {
                    FaultKind::Gateway => return,
                    FaultKind::Clock => own = true,
                    FaultKind::Upload => {
                        let (cadence, phase) = self.province.rhythm[site];
                        let first = (fault.from.0 - phase + cadence - 1).div_euclid(cadence);
                        let arrival = fault.from + UPLOADED_AFTER + milli((turn - first) * 20);
                        self.pending.push(Pending { arrival, site, turn, copy: Copy::Whole, t, whole: arrival });
                        return;
                    }
                    _ => {}
                }
            }
        }
        // nearly all within two seconds, three in a hundred take up to twenty
        let slow = draw.below(1_000) < 30 && !own;
        let way = if slow { draw.between(2_000, 20_000) } else { draw.between(50, 2_000) };
        let arrival = t + milli(way);
        self.pending.push(Pending { arrival, site, turn, copy: Copy::Whole, t, whole: arrival });
        let (broken, doubled) = (draw.below(1_000) < BROKEN, draw.below(1_000) < DOUBLED);
        if broken && !own {
            self.pending.push(Pending { arrival: arrival - milli(draw.between(1, 50)), site, turn, copy: Copy::Broken, t, whole: arrival });
        }
        if doubled && !own {
            self.pending.push(Pending {
                arrival: arrival + milli(draw.between(100, 20_000)),
                site,
                turn,
                copy: Copy::Double,
                t,
                whole: arrival,
            });
        }
    }

    fn write(&mut self, next: Pending, out: &mut Arrival) {
        out.at = next.arrival;
        out.broken = next.copy == Copy::Broken;
        out.bytes.clear();
        out.key.clear();
        out.source.clear();
        let kind = if next.site == OFFICES { self.write_step(next.turn, out) } else { self.write_reading(next, out) };
        self.tally.records += 1;
        *self.tally.by_type.entry(kind).or_default() += 1;
        match next.copy {
            // the one before may have come before the stream began
            Copy::Double if next.whole < self.from => {}
            Copy::Whole => {}
            Copy::Double => *self.tally.doubled.entry(kind).or_default() += 1,
            Copy::Broken => {
                let mut draw = self.province.chance.at(WAY + 1, next.site as i64, next.turn);
                let (reason, readable) = super::damage::damage(&mut out.bytes, draw.bits());
                *self.tally.malformed.entry(reason).or_default() += 1;
                if readable {
                    *self.tally.malformed_sources.entry(out.source.clone()).or_default() += 1;
                }
            }
        }
    }

    fn write_step(&mut self, turn: i64, out: &mut Arrival) -> &'static str {
        let Some(step) = self.agendas.get(&turn.div_euclid(AGENDA)).and_then(|a| a.get(turn.rem_euclid(AGENDA) as usize)) else {
            return "";
        };
        out.bytes.extend_from_slice(&step.bytes);
        out.key.push_str(&step.key);
        out.source.push_str(step.source);
        step.kind
    }

    fn write_reading(&mut self, next: Pending, out: &mut Arrival) -> &'static str {
        let site = &self.province.sites[next.site];
        let (mut time, mut late) = (next.t, false);
        for fault in self.plan.of_site(next.site).filter(|f| f.holds(next.t)) {
            match fault.kind {
                FaultKind::Clock => time = next.t + AHEAD,
                FaultKind::Upload => late = true,
                _ => {}
            }
        }
        let kind = site.role.kind();
        if time != next.t {
            *self.tally.clock.entry(site.id.clone()).or_default() += 1;
        }
        if late {
            *self.tally.late.entry(site.id.clone()).or_default() += 1;
            *self.tally.late_types.entry(kind).or_default() += 1;
        }
        let signals = Signals { chance: self.province.chance, sites: &self.province.sites, plan: &self.plan };
        signals.write(&mut out.bytes, next.site, next.turn, next.t, time);
        out.key.push_str(&site.id);
        out.source.push_str(&site.id);
        kind
    }
}

/// More than the steps of any day.
const AGENDA: i64 = 1 << 20;

/// Cadence and phase of each site, nanoseconds: sites of one kind do not speak at once.
pub(super) fn rhythm(chance: Chance, sites: &[Site]) -> Vec<(i64, i64)> {
    let one = |(n, site): (usize, &Site)| {
        let cadence = site.cadence.0;
        if cadence == 0 || site.role == Role::Office {
            return (0, 0);
        }
        let seconds = (cadence / crate::time::NANOS_PER_SECOND).max(1);
        (cadence, Span::seconds(chance.at(WAY + 2, n as i64, 0).between(0, seconds)).0)
    };
    sites.iter().enumerate().map(one).collect()
}

/// Ids of sites, for those who ask by id.
pub(super) fn ids(sites: &[Site]) -> BTreeSet<&str> {
    sites.iter().map(|s| s.id.as_str()).collect()
}
