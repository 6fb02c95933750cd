//! What goes wrong when: the ground truth of the simulated province.
//!
//! Owns: [`Fault`], [`Plan`] (the faults of a day, or those that were asked for). Refuses to know: signals, bytes, rules.
//!
//! Invariants
//! 1. The faults of a day follow from the seed, the day (at +07:00) and the sites; each begins and ends within its day.
//! 2. No site has two faults at once; what shares an approach or a gateway with a faulty site is not chosen for another.
//!
//! Called by: simulate.

use super::chance::{Chance, Draw};
use super::site::{Role, Site};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultKind {
    /// A river gauge rises through all three alarm levels, after heavy rain upstream.
    Flood,
    /// One approach of a junction is blocked: queues grow, nothing passes the loops, which stay covered.
    Block,
    /// A gateway is dead: the thirty sources behind it are silent.
    Gateway,
    /// Many citizens report one thing in one commune.
    Cluster,
    /// A clock that runs 90 s ahead.
    Clock,
    /// A source sends nothing for a while, and all of it three hours after that.
    Upload,
}

impl FaultKind {
    pub const ALL: [FaultKind; 6] =
        [FaultKind::Flood, FaultKind::Block, FaultKind::Gateway, FaultKind::Cluster, FaultKind::Clock, FaultKind::Upload];

    pub fn name(self) -> &'static str {
        match self {
            FaultKind::Flood => "flood",
            FaultKind::Block => "block",
            FaultKind::Gateway => "gateway",
            FaultKind::Cluster => "cluster",
            FaultKind::Clock => "clock",
            FaultKind::Upload => "upload",
        }
    }

    pub fn parse(text: &str) -> Option<FaultKind> {
        FaultKind::ALL.into_iter().find(|k| k.name() == text)
    }

    /// How many a day.
    fn a_day(self) -> usize {
        if self == FaultKind::Block { 2 } else { 1 }
    }

    /// Hours of the day between which one begins.
    fn hours(self) -> (i64, i64) {
        match self {
            FaultKind::Flood => (5, 12),
            FaultKind::Block => (7, 19),
            FaultKind::Gateway => (4, 20),
            FaultKind::Cluster => (8, 19),
            FaultKind::Clock | FaultKind::Upload => (1, 16),
        }
    }

    /// Minutes that one lasts.
    fn minutes(self) -> (i64, i64) {
        match self {
            FaultKind::Flood => (420, 541),
            FaultKind::Block => (20, 41),
            FaultKind::Gateway => (45, 91),
            FaultKind::Cluster => (14, 15),
            FaultKind::Clock | FaultKind::Upload => (180, 181),
        }
    }
}

/// How far ahead a fast clock runs.
pub const AHEAD: Span = Span::seconds(90);
/// When a late upload comes, after its readings stopped.
pub const UPLOADED_AFTER: Span = Span::hours(6);
/// Rain before a flood.
pub const RAIN_BEFORE: Span = Span::minutes(90);
/// Reports of a cluster.
pub const REPORTS: i64 = 18;
const LOCAL: Span = Span::hours(7);

/// One thing that is wrong.
#[derive(Clone, PartialEq, Debug)]
pub struct Fault {
    pub kind: FaultKind,
    pub from: Timestamp,
    pub to: Timestamp,
    /// Sites, in order: those that are faulty themselves.
    pub sites: Vec<usize>,
    /// Of a flood: the rain gauges upstream.
    pub upstream: Vec<usize>,
    /// Code of the commune.
    pub area: String,
    /// Of a cluster: what is reported.
    pub category: &'static str,
    /// Distinguishes faults of one kind and day.
    pub number: i64,
}

impl Fault {
    pub fn holds(&self, t: Timestamp) -> bool {
        self.from <= t && t < self.to
    }

    /// How much of it has passed at `t`, 0..1.
    pub fn part(&self, t: Timestamp) -> f64 {
        (t - self.from).0 as f64 / (self.to - self.from).0.max(1) as f64
    }
}

/// The local day of an instant, in days since 1970-01-01, and the second of the day.
pub fn local(t: Timestamp) -> (i64, i64) {
    let seconds = (t + LOCAL).0.div_euclid(crate::time::NANOS_PER_SECOND);
    (seconds.div_euclid(86_400), seconds.rem_euclid(86_400))
}

/// First instant of a local day.
pub fn midnight(day: i64) -> Timestamp {
    Timestamp::from_seconds(day * 86_400) - LOCAL
}

/// Faults and, by site, which of them touch it.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub faults: Vec<Fault>,
    by_site: Vec<Vec<usize>>,
}

impl Plan {
    /// The faults of these local days.
    pub fn of_days(chance: Chance, sites: &[Site], days: std::ops::Range<i64>) -> Plan {
        let mut faults = Vec::new();
        for day in days {
            let mut taken = Taken::default();
            for kind in FaultKind::ALL {
                for number in 0..kind.a_day() as i64 {
                    let mut draw = chance.at(20 + kind as u64, day, number);
                    let (from, to) = kind.hours();
                    let from = midnight(day) + Span::seconds(draw.between(from * 3600, to * 3600));
                    let (least, most) = kind.minutes();
                    let length = Span::minutes(draw.between(least, most));
                    faults.extend(place(kind, sites, &mut draw, &mut taken, from, length, number));
                }
            }
        }
        Plan::new(sites, faults)
    }

    /// Only these: when, how long (the kind's own length where none is given).
    pub fn of_wishes(chance: Chance, sites: &[Site], wishes: &[(FaultKind, Timestamp, Option<Span>)]) -> Plan {
        let mut taken = Taken::default();
        let placed = wishes.iter().enumerate().filter_map(|(number, (kind, from, length))| {
            let mut draw = chance.at(20 + *kind as u64, local(*from).0, number as i64);
            let (least, most) = kind.minutes();
            let length = length.unwrap_or(Span::minutes(draw.between(least, most)));
            place(*kind, sites, &mut draw, &mut taken, *from, length, number as i64)
        });
        Plan::new(sites, placed.collect())
    }

    fn new(sites: &[Site], faults: Vec<Fault>) -> Plan {
        let mut by_site = vec![Vec::new(); sites.len()];
        for (number, fault) in faults.iter().enumerate() {
            fault.sites.iter().chain(&fault.upstream).for_each(|s| by_site[*s].push(number));
        }
        Plan { faults, by_site }
    }

    /// The faults that touch a site, at any time.
    #[inline]
    pub fn of_site(&self, site: usize) -> impl Iterator<Item = &Fault> {
        self.by_site.get(site).into_iter().flatten().map(|n| &self.faults[*n])
    }
}

/// What a day's faults have taken already.
#[derive(Default)]
struct Taken {
    approaches: Vec<Option<u32>>,
    sites: Vec<usize>,
}

pub const CATEGORIES: [&str; 6] = ["environment", "infrastructure", "traffic", "security", "construction", "power"];

fn place(kind: FaultKind, sites: &[Site], draw: &mut Draw, taken: &mut Taken, from: Timestamp, length: Span, number: i64) -> Option<Fault> {
    let free = |s: usize, taken: &Taken| {
        let approach = sites[s].approach;
        !taken.sites.contains(&s) && (approach.is_none() || !taken.approaches.contains(&approach))
    };
    let those = |wanted: &dyn Fn(&Site) -> bool, taken: &Taken| -> Vec<usize> {
        (0..sites.len()).filter(|s| wanted(&sites[*s]) && free(*s, taken)).collect()
    };
    let (mut chosen, mut upstream) = (Vec::new(), Vec::new());
    let first = match kind {
        FaultKind::Flood => {
            let gauge = choose(draw, &those(&|s| matches!(s.role, Role::Water { .. }), taken))?;
            upstream = nearest(sites, gauge, &those(&|s| s.role == Role::Rain && s.gateway.is_none(), taken), 3);
            chosen.push(gauge);
            gauge
        }
        FaultKind::Block => {
            let one = choose(draw, &those(&|s| s.approach.is_some(), taken))?;
            chosen = those(&|s| s.approach == sites[one].approach, taken);
            taken.approaches.push(sites[one].approach);
            one
        }
        FaultKind::Gateway => {
            let gateway = choose(draw, &those(&|s| s.role == Role::Device("gateway"), taken))?;
            chosen = those(&|s| s.gateway == sites[gateway].gateway, taken);
            gateway
        }
        // in a town, where people are
        FaultKind::Cluster => choose(draw, &those(&|s| s.approach.is_some(), taken))?,
        FaultKind::Clock | FaultKind::Upload => {
            let one = choose(draw, &those(&|s| s.role == Role::Loop && s.approach.is_some(), taken))?;
            taken.approaches.push(sites[one].approach);
            chosen.push(one);
            one
        }
    };
    taken.sites.extend(chosen.iter().chain(&upstream));
    let category = *draw.one(&CATEGORIES);
    Some(Fault { kind, from, to: from + length, sites: chosen, upstream, area: sites[first].area.clone(), category, number })
}

fn choose(draw: &mut Draw, among: &[usize]) -> Option<usize> {
    (!among.is_empty()).then(|| *draw.one(among))
}

/// The `n` sites nearest to one, by plain degrees.
fn nearest(sites: &[Site], to: usize, among: &[usize], n: usize) -> Vec<usize> {
    let Some((lon, lat)) = sites[to].at else { return Vec::new() };
    let distance = |s: usize| sites[s].at.map_or(f64::MAX, |(x, y)| (x - lon) * (x - lon) + (y - lat) * (y - lat));
    let mut ordered = among.to_vec();
    ordered.sort_by(|a, b| distance(*a).total_cmp(&distance(*b)));
    ordered.truncate(n);
    ordered
}
