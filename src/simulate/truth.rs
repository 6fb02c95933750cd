//! The ground truth of a span of the simulated province, as it is written to `truth.json`.
//!
//! Owns: [`Truth`]: the faults with what must be found and what they explain, the counts, the alerts of cases and indicators that must
//! come. Refuses to know: what was found.
//!
//! Invariants
//! 1. It follows from the plan, the matters and the stream's own count, never from the engine.
//! 2. What would show only after the span's end is not asked for.
//!
//! Called by: simulate, score, cli.

use super::desk::{Desk, Matter, MatterKind};
use super::plan::{self, FaultKind, RAIN_BEFORE, UPLOADED_AFTER, local};
use super::site::{Role, Site};
use super::stream::Tally;
use super::{Province, indicators, signals};
use crate::time::working::{NoCalendar, WorkingCalendar};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Truth {
    pub seed: u64,
    #[serde(with = "text_time")]
    pub from: Timestamp,
    #[serde(with = "text_time")]
    pub to: Timestamp,
    pub faults: Vec<Fault>,
    pub counts: Counts,
    /// Alerts on cases and indicators that must come, and no others of these rules.
    pub expected: Vec<Expected>,
    /// The rules that `expected` is complete for.
    pub expected_rules: BTreeSet<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Fault {
    pub kind: FaultKind,
    #[serde(with = "text_time")]
    pub from: Timestamp,
    #[serde(with = "text_time")]
    pub to: Timestamp,
    /// Code of the commune.
    pub area: String,
    pub sources: Vec<String>,
    /// Of a flood: rain gauges upstream.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstream: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub category: String,
    /// Each must be found.
    pub marks: Vec<Mark>,
    /// Alerts of these rules, on its sources, upstream or area, are no false ones until then.
    pub explains: Vec<String>,
    #[serde(with = "text_time")]
    pub explains_from: Timestamp,
    #[serde(with = "text_time")]
    pub explains_to: Timestamp,
}

/// One thing about a fault that a rule must find: any of these rules, on the fault's sources or area.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Mark {
    pub alerts: Vec<String>,
    /// From when it is so: delays are measured from here.
    #[serde(with = "text_time")]
    pub since: Timestamp,
}

/// What must be counted, exactly.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    pub records: u64,
    pub by_type: BTreeMap<String, u64>,
    /// By reason: bytes, envelope, schema.
    pub malformed: BTreeMap<String, u64>,
    pub malformed_sources: BTreeMap<String, u64>,
    /// By event type.
    pub doubled: BTreeMap<String, u64>,
    /// By source: rejected for its time.
    pub clock: BTreeMap<String, u64>,
    /// By source, and by event type: late in every window.
    pub late: BTreeMap<String, u64>,
    pub late_types: BTreeMap<String, u64>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Expected {
    pub alert: String,
    /// Tag of the alert's key, and its value.
    pub tag: String,
    pub value: String,
    #[serde(with = "text_time")]
    pub at: Timestamp,
    /// So close to an end of the span that it may be missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub edge: bool,
}

/// Timestamps as RFC 3339.
mod text_time {
    use crate::time::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(t: &Timestamp, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(t)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(input)?;
        Timestamp::parse_rfc3339(text.as_bytes()).ok_or_else(|| D::Error::custom(format!("{text:?} is no RFC 3339 time")))
    }
}

pub(super) fn truth(province: &Province, from: Timestamp, to: Timestamp, tally: &Tally) -> Result<Truth, NoCalendar> {
    let days = local(from).0..local(to - Span(1)).0 + 1;
    let plan = province.plan(days.start - super::desk::LASTS..days.end);
    let within = |f: &&plan::Fault| f.from < to && from < f.to.max(f.from + UPLOADED_AFTER);
    let faults = plan.faults.iter().filter(within).map(|f| fault(&province.sites, f, from, to)).collect();
    let owned = |counts: &BTreeMap<&'static str, u64>| counts.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect();
    let counts = Counts {
        records: tally.records,
        by_type: owned(&tally.by_type),
        malformed: owned(&tally.malformed),
        malformed_sources: tally.malformed_sources.clone(),
        doubled: owned(&tally.doubled),
        clock: tally.clock.clone(),
        late: tally.late.clone(),
        late_types: owned(&tally.late_types),
    };
    let mut cases = Cases {
        working: &province.working,
        from,
        to,
        out: Vec::new(),
        open: BTreeMap::new(),
        overdue: BTreeMap::new(),
        files: BTreeMap::new(),
        failed: None,
    };
    let desk = Desk::new(province.chance, &province.working, &province.sites, province.punctual);
    desk.matters(&plan, days.clone(), &mut |matter| cases.take(matter))?;
    let mut expected = cases.finish(desk.behind())?;
    for report in days.flat_map(|day| indicators::of_day(province.chance, day)).filter(|r| r.behind && from <= r.at && r.at < to) {
        expected.push(wanted("indicator_off_pace", "indicator", report.indicator, report.at, from, to));
    }
    expected.sort();
    let rules = [
        "report_unassigned",
        "report_due_soon",
        "report_overdue",
        "dossier_overdue",
        "dossier_backlog",
        "work_file_below_target",
        "indicator_off_pace",
        "indicator_overdue",
    ];
    Ok(Truth { seed: province.seed, from, to, faults, counts, expected, expected_rules: rules.map(str::to_owned).into() })
}

fn wanted(alert: &str, tag: &str, value: &str, at: Timestamp, from: Timestamp, to: Timestamp) -> Expected {
    let edge = at < from + EDGE || to - EDGE < at;
    Expected { alert: alert.to_owned(), tag: tag.to_owned(), value: value.to_owned(), at, edge }
}

const EDGE: Span = Span::minutes(20);

/// Rules of which one must speak, since when, how long it may take.
type Due<'a> = (&'a [&'a str], Timestamp, Span);

fn fault(sites: &[Site], f: &plan::Fault, from: Timestamp, to: Timestamp) -> Fault {
    let ids = |of: &[usize]| of.iter().map(|s| sites[*s].id.clone()).collect::<Vec<_>>();
    let (marks, explains, before, after): (Vec<Due<'_>>, &[&str], Span, Span) = match f.kind {
        FaultKind::Flood => {
            let names: [&[&str]; 3] = [&["flood_bd1"], &["flood_bd2"], &["flood_bd3"]];
            let marks = names.into_iter().zip(crossings(sites, f)).map(|(name, since)| (name, since, Span::minutes(45)));
            let explains = &["flood_bd1", "flood_bd2", "flood_bd3", "water_rising", "rain_heavy", "rain_day_heavy"];
            (marks.collect(), explains, RAIN_BEFORE, Span::minutes(150))
        }
        FaultKind::Block => {
            let rules = &["queue_long", "flow_stopped"];
            (vec![(&rules[..], f.from, Span::minutes(12))], rules, Span::ZERO, Span::minutes(15))
        }
        FaultKind::Gateway => {
            let explains = &["area_dark", "detector_silent", "gauge_silent", "air_silent", "device_silent"];
            (vec![(&["area_dark"], f.from, Span::minutes(30))], explains, Span::ZERO, Span::minutes(45))
        }
        FaultKind::Cluster => (vec![(&["report_cluster"], f.from, Span::minutes(50))], &["report_cluster"], Span::ZERO, Span::minutes(60)),
        FaultKind::Clock | FaultKind::Upload => (Vec::new(), &["detector_silent"], Span::ZERO, Span::minutes(15)),
    };
    let shown = |(_, since, takes): &(&[&str], Timestamp, Span)| from <= *since && *since + *takes <= to;
    let marks = marks.into_iter().filter(shown);
    let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    Fault {
        kind: f.kind,
        from: f.from,
        to: f.to,
        area: f.area.clone(),
        sources: ids(&f.sites),
        upstream: ids(&f.upstream),
        category: if f.kind == FaultKind::Cluster { f.category.to_owned() } else { String::new() },
        marks: marks.map(|(alerts, since, _)| Mark { alerts: owned(alerts), since }).collect(),
        explains: owned(explains),
        explains_from: f.from - before,
        explains_to: f.to + after,
    }
}

/// When the water first stands at each alarm level.
fn crossings(sites: &[Site], flood: &plan::Fault) -> [Timestamp; 3] {
    let mut found = [flood.to; 3];
    let Some(Role::Water { usual, alarms }) = flood.sites.first().map(|s| sites[*s].role) else { return found };
    let mut t = flood.from;
    for (at, alarm) in found.iter_mut().zip(alarms) {
        while t < flood.to && signals::level(usual, alarms, Some(flood), t) < alarm {
            t = t + Span::seconds(10);
        }
        *at = t;
    }
    found
}

/// From, and to which it is not any more.
type Spans = Vec<(Timestamp, Timestamp)>;

/// What cases come to.
struct Cases<'a> {
    working: &'a WorkingCalendar,
    from: Timestamp,
    to: Timestamp,
    out: Vec<Expected>,
    /// By unit: spans in which a dossier of it is open, and in which it is overdue.
    open: BTreeMap<String, Spans>,
    overdue: BTreeMap<String, Spans>,
    /// By unit: work files that are counted, as they are closed.
    files: BTreeMap<String, Vec<Timestamp>>,
    failed: Option<NoCalendar>,
}

/// Gauges are looked at on this grid.
const GAUGE: Span = Span::minutes(15);
const UNASSIGNED: Span = Span::hours(2);
const DUE_SOON: Span = Span::hours(4);
/// Rows of a gauge in a week.
const WEEK: usize = (Span::days(7).0 / GAUGE.0) as usize;
/// Files that a share is judged from.
const ENOUGH: usize = 30;

impl Cases<'_> {
    fn take(&mut self, matter: &Matter) {
        // the engine knows of it what is sent in the span
        let seen: Vec<(Timestamp, &str)> = matter.steps.iter().copied().filter(|(at, _)| self.from <= *at && *at < self.to).collect();
        let Some(first) = seen.first() else { return };
        match matter.kind {
            MatterKind::Report => {
                if let Err(unknown) = self.report(matter, &seen) {
                    self.failed = Some(unknown);
                }
            }
            MatterKind::Dossier => {
                let ends = seen.iter().find(|(_, s)| *s == "returned").map_or(self.to, |(at, _)| *at);
                self.open.entry(matter.unit.clone()).or_default().push((first.0, ends));
                let from = matter.due.max(first.0);
                if from < ends {
                    self.overdue.entry(matter.unit.clone()).or_default().push((from, ends));
                }
            }
            MatterKind::File => {
                if let Some((closed, _)) = seen.iter().find(|(_, state)| *state == "closed" && !matter.is_secret()) {
                    self.files.entry(matter.unit.clone()).or_default().push(*closed);
                }
            }
        }
    }

    fn report(&mut self, matter: &Matter, seen: &[(Timestamp, &str)]) -> Result<(), NoCalendar> {
        let (from, to) = (self.from, self.to);
        let mut add = |alert: &str, at: Timestamp| {
            if at < to {
                self.out.push(wanted(alert, "subject", &matter.subject, at, from, to));
            }
        };
        let soon = self.working.before(matter.due, DUE_SOON)?;
        // it waits while nobody has it
        if seen[0].1 == "created" {
            let at = self.working.add(seen[0].0, UNASSIGNED)?;
            if seen.get(1).is_none_or(|(next, _)| at < *next) {
                add("report_unassigned", at);
            }
        }
        let mut opened = Some(seen[0].0).filter(|_| seen[0].1 != "closed");
        for (at, state) in seen.iter().skip(1).copied().chain([(to, "closed")]) {
            match (state, opened) {
                ("closed", Some(since)) => {
                    if since < matter.due && soon < at {
                        add("report_due_soon", soon.max(since));
                    }
                    if matter.due < at {
                        add("report_overdue", matter.due.max(since));
                    }
                    opened = None;
                }
                ("closed", None) => {}
                (_, None) => opened = Some(at),
                _ => {}
            }
        }
        Ok(())
    }

    /// How many of these spans hold an instant of the gauge, instant by instant.
    fn counts(&self, spans: &Spans) -> Vec<usize> {
        let (mut began, mut ended): (Vec<Timestamp>, Vec<Timestamp>) = spans.iter().copied().unzip();
        began.sort();
        ended.sort();
        let instants = (0..).map(|n| self.instant(n)).take_while(|at| *at <= self.to);
        instants.map(|at| began.partition_point(|from| *from <= at) - ended.partition_point(|to| *to <= at)).collect()
    }

    fn instant(&self, n: usize) -> Timestamp {
        Timestamp((self.from.0 / GAUGE.0 + 1 + n as i64) * GAUGE.0)
    }

    /// An alert of a unit is wanted wherever `holds` becomes true.
    fn rises(&mut self, alert: &str, unit: &str, instants: usize, holds: impl Fn(usize) -> bool) {
        let mut standing = false;
        for n in 0..instants {
            let now = holds(n);
            if now && !standing {
                self.out.push(wanted(alert, "unit", unit, self.instant(n), self.from, self.to));
            }
            standing = now;
        }
    }

    fn finish(mut self, behind: &str) -> Result<Vec<Expected>, NoCalendar> {
        if let Some(unknown) = self.failed {
            return Err(unknown);
        }
        for (unit, spans) in std::mem::take(&mut self.overdue) {
            let overdue = self.counts(&spans);
            self.rises("dossier_overdue", &unit, overdue.len(), |n| overdue[n] > 0);
        }
        for (unit, spans) in std::mem::take(&mut self.open) {
            let open = self.counts(&spans);
            let first = spans.iter().map(|(from, _)| *from).min().unwrap_or(self.to);
            // nothing is known of the time before a unit's first dossier
            let known = (0..open.len()).find(|n| first <= self.instant(*n)).unwrap_or(open.len());
            self.rises("dossier_backlog", &unit, open.len(), |n| {
                n.checked_sub(WEEK).is_some_and(|then| known <= then && 2 * open[n] > 3 * open[then])
            });
        }
        let mut files = self.files.remove(behind).unwrap_or_default();
        files.sort();
        if let Some(at) = files.get(ENOUGH - 1) {
            self.out.push(wanted("work_file_below_target", "unit", behind, *at, self.from, self.to));
        }
        Ok(self.out)
    }
}
