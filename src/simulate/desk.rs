//! What offices send: field reports, dossiers, work files, indicator reports, step by step through working days.
//!
//! Owns: who reports, applies and decides when; [`Matter`] (one case as it really went) and its events. Refuses to know: what the engine
//! makes of it, sensors.
//!
//! Invariants
//! 1. A matter follows from the seed, its day, its number and the day's faults; its steps ascend in time.
//! 2. Steps keep clear of time limits: what is in time is so by at least 20 working minutes, what is late by at least an hour.
//! 3. 120 field reports, 1,500 dossiers, 900 work files on a working day; a tenth of the latter two at weekends.
//!
//! Called by: simulate (agenda of a day), truth.

use super::chance::{Chance, Draw};
use super::plan::{CATEGORIES, FaultKind, Plan, REPORTS, local, midnight};
use super::signals::weekday;
use super::site::Site;
use super::text;
use crate::time::working::{NoCalendar, WorkingCalendar};
use crate::time::{Span, Timestamp};
use std::collections::BTreeMap;

/// Days that a matter may last, Tết included: what began before is over.
pub const LASTS: i64 = 40;
const REPORT_LASTS: i64 = 16;
const FILE_LASTS: i64 = 20;
const REPORTS_A_DAY: i64 = 120;
const DOSSIERS_A_DAY: i64 = 1_500;
const FILES_A_DAY: i64 = 900;
/// Time limit of a field report.
const REPORT_LIMIT: Span = Span::hours(16);
/// Departments: codes of units at the level of the province.
pub const DEPARTMENTS: [&str; 20] = [
    "so-noi-vu",
    "so-tai-chinh",
    "so-xay-dung",
    "so-tu-phap",
    "so-y-te",
    "so-giao-duc",
    "so-cong-thuong",
    "so-nong-nghiep",
    "so-khoa-hoc",
    "so-van-hoa",
    "so-dan-toc",
    "so-ngoai-vu",
    "thanh-tra",
    "van-phong-ubnd",
    "ban-kcn",
    "bao-hiem-xa-hoi",
    "thue-tinh",
    "cong-an-tinh",
    "kho-bac",
    "dat-dai",
];

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum MatterKind {
    Report,
    Dossier,
    File,
}

impl MatterKind {
    /// Event type, and the system that sends it.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            MatterKind::Report => ("field_report.status", "phan-anh"),
            MatterKind::Dossier => ("dossier.status", "mot-cua"),
            MatterKind::File => ("work_file.status", "ho-so-cong-viec"),
        }
    }
}

/// One case as it went.
#[derive(Clone, Debug)]
pub struct Matter {
    pub kind: MatterKind,
    pub subject: String,
    /// Of a report its category, else the unit that has it.
    pub unit: String,
    pub level: &'static str,
    pub at: (f64, f64),
    pub due: Timestamp,
    /// When it came into which state, ascending.
    pub steps: Vec<(Timestamp, &'static str)>,
    marks: Marks,
}

/// What its events say besides.
#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    online: bool,
    digitised: bool,
    reused: bool,
    classified: bool,
    rating: i64,
    procedure: i64,
}

impl Matter {
    pub fn began(&self) -> Timestamp {
        self.steps[0].0
    }

    pub fn is_secret(&self) -> bool {
        self.marks.classified
    }

    fn write(&self, out: &mut Vec<u8>, step: usize) {
        let (at, state) = self.steps[step];
        let (kind, source) = self.kind.names();
        text::open(out, format_args!("{}-{}", self.subject, step + 1), source, kind, Some(&self.subject), at);
        match self.kind {
            MatterKind::Report => {
                text::number(out, "lon", Some(self.at.0), 6);
                text::number(out, "lat", Some(self.at.1), 6);
                text::word(out, "state", state);
                text::word(out, "category", &self.unit);
                text::word(out, "channel", ["app", "web", "hotline", "zalo"][self.marks.procedure as usize % 4]);
                text::moment(out, "created_at", self.began());
                text::moment(out, "due_at", self.due);
                if state == "answered" {
                    text::flag(out, "on_time", Some(at <= self.due));
                }
                if state == "closed" {
                    text::whole(out, "rating", self.marks.rating);
                }
            }
            MatterKind::Dossier => {
                text::word(out, "state", state);
                text::word(out, "unit", &self.unit);
                text::word(out, "level", self.level);
                text::word(
                    out,
                    "procedure",
                    ["1.000894", "1.001193", "2.000815", "1.004194", "1.012756"][self.marks.procedure as usize % 5],
                );
                text::moment(out, "received_at", self.began());
                text::moment(out, "due_at", self.due);
                text::flag(out, "online", Some(self.marks.online));
                text::flag(out, "digitised", Some(self.marks.digitised));
                text::flag(out, "reused", Some(self.marks.reused));
                if state == "returned" {
                    text::flag(out, "on_time", Some(at <= self.due));
                }
            }
            MatterKind::File => {
                text::word(out, "state", state);
                text::word(out, "unit", &self.unit);
                text::word(out, "level", self.level);
                text::flag(out, "online", Some(self.marks.online));
                text::flag(out, "classified", Some(self.marks.classified));
                text::moment(out, "opened_at", self.began());
                text::moment(out, "due_at", self.due);
            }
        }
        text::close(out);
    }
}

/// One event of the offices.
#[derive(Clone, Debug)]
pub struct Step {
    pub at: Timestamp,
    pub kind: &'static str,
    pub source: &'static str,
    /// Partition key: the subject, else the source.
    pub key: String,
    pub bytes: Vec<u8>,
    /// Pipelines leave it out: copies of it would be counted nowhere.
    pub secret: bool,
}

pub struct Desk<'a> {
    pub chance: Chance,
    /// Of the matters that are late by chance only one in ten is, and every unit gets as many dossiers each day.
    pub punctual: bool,
    pub working: &'a WorkingCalendar,
    /// Communes with places in them, in order.
    communes: Vec<(String, Vec<(f64, f64)>)>,
}

/// Streams of chance.
const REPORT: u64 = 10;
const DOSSIER: u64 = 11;
const FILE: u64 = 12;
const BAD: u64 = 13;

impl<'a> Desk<'a> {
    pub fn new(chance: Chance, working: &'a WorkingCalendar, sites: &[Site], punctual: bool) -> Desk<'a> {
        let mut communes: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
        for site in sites {
            if let Some(at) = site.at {
                communes.entry(&site.area).or_default().push(at);
            }
        }
        Desk { chance, punctual, working, communes: communes.into_iter().map(|(code, places)| (code.to_owned(), places)).collect() }
    }

    /// Everything that offices send on a local day, in order.
    pub fn agenda(&self, plan: &Plan, day: i64) -> Result<Vec<Step>, NoCalendar> {
        let (from, to) = (midnight(day), midnight(day + 1));
        let mut steps = Vec::new();
        self.matters(plan, day..day + 1, &mut |matter| {
            for (n, (at, _)) in matter.steps.iter().enumerate().filter(|(_, (at, _))| from <= *at && *at < to) {
                let mut bytes = Vec::with_capacity(400);
                matter.write(&mut bytes, n);
                let (kind, source) = matter.kind.names();
                steps.push(Step { at: *at, kind, source, key: matter.subject.clone(), bytes, secret: matter.marks.classified });
            }
        })?;
        steps.extend(super::indicators::reports(self.chance, day));
        steps.sort_by(|a, b| (a.at, &a.key, &a.bytes).cmp(&(b.at, &b.key, &b.bytes)));
        Ok(steps)
    }

    /// All matters that may have a step on these local days, those that began earlier first.
    pub fn matters(&self, plan: &Plan, days: std::ops::Range<i64>, take: &mut dyn FnMut(&Matter)) -> Result<(), NoCalendar> {
        for began in days.start - LASTS..days.end {
            if began >= days.start - REPORT_LASTS {
                self.reports(plan, began, take)?;
            }
            let share = if weekday(began) > 4 { 10 } else { 1 };
            for n in 0..DOSSIERS_A_DAY / share {
                take(&self.dossier(began, n)?);
            }
            if began >= days.start - FILE_LASTS {
                for n in 0..FILES_A_DAY / share {
                    take(&self.file(began, n)?);
                }
            }
        }
        Ok(())
    }

    /// The field reports of a day: those of a cluster are among its 120.
    fn reports(&self, plan: &Plan, began: i64, take: &mut dyn FnMut(&Matter)) -> Result<(), NoCalendar> {
        let cluster = plan.faults.iter().filter(|f| f.kind == FaultKind::Cluster && local(f.from).0 == began);
        let clustered: Vec<_> = cluster.collect();
        for n in 0..REPORTS_A_DAY - (clustered.len() as i64 * REPORTS).min(REPORTS_A_DAY) {
            let mut draw = self.chance.at(REPORT, began, n);
            let (_, places) = draw.one(&self.communes);
            let at = *draw.one(places);
            let created = midnight(began) + Span::seconds(draw.between(6 * 3600, 22 * 3600));
            let category = *draw.one(&CATEGORIES);
            take(&self.report(format!("PA{began}-{n:03}"), created, category, at, &mut draw)?);
        }
        for fault in clustered {
            let Some((_, places)) = self.communes.iter().find(|(code, _)| *code == fault.area) else { continue };
            for n in 0..REPORTS {
                let mut draw = self.chance.at(REPORT, began, 1_000 + fault.number * 100 + n);
                let spread = Span((fault.to - fault.from).0 / REPORTS);
                let created = fault.from + spread.times(n) + Span::seconds(draw.between(0, 20));
                let at = *draw.one(places);
                let subject = format!("PA{began}-C{}{n:02}", fault.number);
                take(&self.report(subject, created, fault.category, at, &mut draw)?);
            }
        }
        Ok(())
    }

    /// So many working minutes after `t`, between the two.
    fn after(&self, t: Timestamp, draw: &mut Draw, from: i64, to: i64) -> Result<Timestamp, NoCalendar> {
        let at = self.working.add(t, Span::seconds(draw.between(from * 60, to * 60)))?;
        // a whole second
        Ok(at.ceil_second())
    }

    fn report(&self, subject: String, created: Timestamp, category: &str, at: (f64, f64), draw: &mut Draw) -> Result<Matter, NoCalendar> {
        let due = self.working.add(created, REPORT_LIMIT)?;
        let limit = REPORT_LIMIT.0 / Span::minutes(1).0;
        let fate = match draw.below(1_000) {
            late @ (0..60 | 950..980) if self.punctual && late % 10 != 0 => 100,
            fate => fate,
        };
        // in each hundred six wait for two hours and more, seven are answered just in time, three too late
        let assigned = if fate < 60 { self.after(created, draw, 150, 200)? } else { self.after(created, draw, 5, 95)? };
        let answered = match fate {
            0..880 => self.after(assigned, draw, 20, 450)?,
            880..950 => self.after(created, draw, limit - 180, limit - 60)?,
            950..980 => self.after(created, draw, limit + 60, limit + 300)?,
            _ => self.after(assigned, draw, 20, 150)?,
        };
        let closed = self.after(answered, draw, 3, 10)?;
        let mut steps = vec![(created, "created"), (assigned, "assigned"), (answered, "answered"), (closed, "closed")];
        if fate >= 980 {
            let reopened = self.after(closed, draw, 10, 60)?;
            let again = self.after(reopened, draw, 20, 100)?;
            steps.extend([(reopened, "reopened"), (again, "answered"), (self.after(again, draw, 3, 10)?, "closed")]);
        }
        let marks = Marks {
            rating: 5 - draw.below(3) as i64 * i64::from(fate.is_multiple_of(5)),
            procedure: draw.between(0, 4),
            ..Marks::default()
        };
        Ok(Matter { kind: MatterKind::Report, subject, unit: category.to_owned(), level: "commune", at, due, steps, marks })
    }

    /// A unit: of ten matters six go to departments, four to communes.
    fn unit(&self, draw: &mut Draw) -> (String, &'static str) {
        let area = &draw.one(&self.communes).0;
        if draw.unit() < 0.6 { ((*draw.one(&DEPARTMENTS)).to_owned(), "province") } else { (area.clone(), "commune") }
    }

    fn dossier(&self, day: i64, n: i64) -> Result<Matter, NoCalendar> {
        let mut draw = self.chance.at(DOSSIER, day, n);
        let (unit, level) = if self.punctual { self.unit(&mut self.chance.at(DOSSIER, 0, n)) } else { self.unit(&mut draw) };
        let received = midnight(day) + Span::seconds(draw.between(7 * 3600 + 1_800, 17 * 3600));
        let days = [3, 3, 3, 3, 3, 3, 7, 7, 7, 15][draw.below(10) as usize];
        let minutes = days * 8 * 60;
        let due = self.working.add(received, Span::minutes(minutes))?;
        let late = draw.below(1_000) < 2 && (!self.punctual || n % 10 == 0);
        let processing = self.after(received, &mut draw, 15, minutes / 10)?;
        let returned =
            if late { self.after(due, &mut draw, 120, 960)? } else { self.after(received, &mut draw, minutes / 3, minutes * 85 / 100)? };
        let mut steps = vec![(received, "received"), (processing, "processing")];
        if draw.unit() < 0.05 {
            steps.push((self.after(processing, &mut draw, 30, minutes / 8)?, "supplement"));
        }
        steps.push((returned, "returned"));
        let marks = Marks {
            online: draw.unit() < 0.8,
            digitised: draw.unit() < 0.92,
            reused: draw.unit() < 0.45,
            procedure: draw.between(0, 5),
            ..Marks::default()
        };
        let subject = format!("HS{day}-{n:04}");
        Ok(Matter { kind: MatterKind::Dossier, subject, unit, level, at: (0.0, 0.0), due, steps, marks })
    }

    fn file(&self, day: i64, n: i64) -> Result<Matter, NoCalendar> {
        let mut draw = self.chance.at(FILE, day, n);
        let (unit, level) = self.unit(&mut draw);
        let opened = midnight(day) + Span::seconds(draw.between(7 * 3600 + 1_800, 17 * 3600));
        let minutes = draw.between(1, 6) * 8 * 60;
        let due = self.working.add(opened, Span::minutes(minutes))?;
        let processing = self.after(opened, &mut draw, 10, 90)?;
        let closed = self.after(processing, &mut draw, 60, minutes * 3 / 4)?;
        let online = draw.unit() < if unit == self.behind() { 0.4 } else { 0.995 };
        let marks = Marks { online, classified: draw.unit() < 0.02, ..Marks::default() };
        let steps = vec![(opened, "opened"), (processing, "processing"), (closed, "closed")];
        let subject = format!("CV{day}-{n:04}");
        Ok(Matter { kind: MatterKind::File, subject, unit, level, at: (0.0, 0.0), due, steps, marks })
    }

    /// The department that handles too few files online.
    pub fn behind(&self) -> &'static str {
        DEPARTMENTS[self.chance.at(BAD, 0, 0).below(DEPARTMENTS.len() as u64) as usize]
    }
}
