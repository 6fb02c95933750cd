//! `calendar.yaml`: working hours, days off by year, days worked instead, shifts, time limits.
//!
//! Owns: that file and its types. Refuses to know: cases, who is late, arithmetic with working time (`time::working`).
//!
//! Invariants
//! 1. A year is known when it has an entry under `holidays` with at least one day; nothing else makes it so.
//! 2. No day is off and worked instead at once; a day worked instead lies in a year that is known.
//! 3. Every table of `limits` has a `default`.
//!
//! Called by: `Registry::parse`.

use super::RegistryFiles;
use super::decode::decode_yaml;
use super::error::{FileError, Place, suggestion};
use crate::time::working::{Hours, Length, WorkingCalendar, WorkingRules, length_of};
use jiff::civil::{Date, Time};
use jiff::tz::TimeZoneDatabase;
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::collections::{BTreeMap, BTreeSet};

const FILE: &str = "calendar.yaml";
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const ZONE: &str = "Asia/Ho_Chi_Minh";

/// Without the file: no year is known, no shifts, no limits.
#[derive(Clone, Debug, Default)]
pub struct Calendar {
    pub working: WorkingCalendar,
    /// Days off in the order of their dates.
    pub holidays: Vec<Holiday>,
    pub shifts: Vec<Shift>,
    /// By the name that a case gives under `sla`.
    pub limits: BTreeMap<String, Limits>,
}

/// Days off, both included.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holiday {
    pub from: Date,
    pub to: Date,
    pub vi: String,
    /// The Vietnamese name where the file gives no English one.
    pub en: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shift {
    pub code: String,
    pub from: Time,
    /// At or before `from`: on the next day.
    pub to: Time,
    pub name_vi: String,
    pub name_en: String,
}

/// Time limits of one kind of case.
#[derive(Clone, PartialEq, Debug)]
pub struct Limits {
    pub default: Length,
    /// By category.
    pub of: BTreeMap<String, Length>,
}

impl Limits {
    /// The limit of a category, else the default.
    pub fn get(&self, category: &str) -> Length {
        self.of.get(category).copied().unwrap_or(self.default)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CalendarFile {
    time_zone: Option<Spanned<String>>,
    working_hours: Vec<HoursEntry>,
    holidays: BTreeMap<i16, Vec<HolidayEntry>>,
    #[serde(default)]
    working_days_extra: BTreeMap<i16, Vec<ExtraEntry>>,
    #[serde(default)]
    shifts: Vec<ShiftEntry>,
    #[serde(default)]
    limits: BTreeMap<String, BTreeMap<String, Spanned<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HoursEntry {
    days: Vec<Spanned<String>>,
    from: Spanned<String>,
    to: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HolidayEntry {
    date: Option<Spanned<String>>,
    from: Option<Spanned<String>>,
    to: Option<Spanned<String>>,
    vi: Spanned<String>,
    en: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExtraEntry {
    date: Spanned<String>,
    /// The day off in whose stead it is worked; its hours are those of that weekday, else those of the longest.
    instead_of: Option<Spanned<String>>,
    #[serde(rename = "vi")]
    _vi: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShiftEntry {
    code: Spanned<String>,
    from: Spanned<String>,
    to: Spanned<String>,
    name_vi: String,
    name_en: Option<String>,
}

/// The default without the file; what is wrong in it goes to `errors`.
pub(super) fn decode_calendar(files: &RegistryFiles, errors: &mut Vec<FileError>) -> Calendar {
    let Some(text) = files.files.get(FILE) else { return Calendar::default() };
    let file = match decode_yaml::<CalendarFile>(FILE, text) {
        Ok(file) => file,
        Err(e) => {
            errors.push(e);
            return Calendar::default();
        }
    };
    let mut check = Check { errors };
    let zone = check.zone(file.time_zone.as_ref());
    let week = check.week(&file.working_hours);
    let (holidays, days_off) = check.holidays(file.holidays);
    let extra = check.extra(&file.working_days_extra, &days_off, &week);
    let shifts = check.shifts(file.shifts);
    let limits = check.limits(file.limits);
    let working = WorkingCalendar::new(&WorkingRules { week, holidays: days_off, extra, zone });
    Calendar { working, holidays, shifts, limits }
}

struct Check<'a> {
    errors: &'a mut Vec<FileError>,
}

impl Check<'_> {
    fn wrong(&mut self, at: Place, what: impl Into<String>, next: &str) {
        self.errors.push(FileError::new(FILE, at, what, next));
    }

    fn zone(&mut self, name: Option<&Spanned<String>>) -> jiff::tz::TimeZone {
        let database = TimeZoneDatabase::bundled();
        let zone = database.get(name.map_or(ZONE, |n| &n.value));
        if let (Err(_), Some(name)) = (&zone, name) {
            self.wrong(place(name), format!("time_zone {:?} is not known", name.value), "write an IANA name like Asia/Ho_Chi_Minh");
        }
        zone.unwrap_or(jiff::tz::TimeZone::UTC)
    }

    fn week(&mut self, entries: &[HoursEntry]) -> [Hours; 7] {
        let mut week: [Hours; 7] = Default::default();
        for entry in entries {
            let (Some(from), Some(to)) = (self.time(&entry.from), self.time(&entry.to)) else { continue };
            if to <= from {
                self.wrong(
                    place(&entry.to),
                    "working hours that end before they begin",
                    "write two periods where work goes on over midnight",
                );
                continue;
            }
            for day in &entry.days {
                match DAYS.iter().position(|d| *d == day.value) {
                    Some(n) if week[n].iter().any(|(f, t)| from < *t && *f < to) => {
                        self.wrong(place(day), format!("working hours of {} overlap", day.value), "let one end before the next begins");
                    }
                    Some(n) => week[n].push((from, to)),
                    None => {
                        let near = suggestion(&day.value, DAYS);
                        self.wrong(place(day), format!("{:?} is no day{near}", day.value), "write mon, tue, wed, thu, fri, sat or sun");
                    }
                }
            }
        }
        week.iter_mut().for_each(|day| day.sort());
        week
    }

    fn holidays(&mut self, by_year: BTreeMap<i16, Vec<HolidayEntry>>) -> (Vec<Holiday>, BTreeMap<i16, BTreeSet<Date>>) {
        let (mut holidays, mut days_off) = (Vec::new(), BTreeMap::new());
        for (year, entries) in by_year {
            if entries.is_empty() {
                let what = format!("holidays of {year} are empty: no year has none");
                self.wrong(Place::NONE, what, "list them, or remove the year: then working time in it is not known");
            }
            let days: &mut BTreeSet<Date> = days_off.entry(year).or_default();
            for entry in entries {
                let at = place(&entry.vi);
                let (from, to) = match (&entry.date, &entry.from, &entry.to) {
                    (Some(date), None, None) => {
                        let date = self.date(date);
                        (date, date)
                    }
                    (None, Some(from), Some(to)) => (self.date(from), self.date(to)),
                    _ => {
                        self.wrong(
                            at,
                            format!("{}: neither a date nor from and to", entry.vi.value),
                            "write `date:`, or `from:` and `to:`",
                        );
                        continue;
                    }
                };
                let (Some(from), Some(to)) = (from, to) else { continue };
                if to < from || from.year() != year || to.year() != year {
                    let what = format!("{}: {from} to {to} is no span of days in {year}", entry.vi.value);
                    self.wrong(at, what, "write each year's days under that year, the first day first");
                    continue;
                }
                days.extend(from.series(jiff::Span::new().days(1)).take_while(|day| *day <= to));
                let en = entry.en.unwrap_or_else(|| entry.vi.value.clone());
                holidays.push(Holiday { from, to, vi: entry.vi.value, en });
            }
        }
        holidays.sort_by_key(|h| (h.from, h.to));
        (holidays, days_off)
    }

    fn extra(
        &mut self,
        by_year: &BTreeMap<i16, Vec<ExtraEntry>>,
        days_off: &BTreeMap<i16, BTreeSet<Date>>,
        week: &[Hours; 7],
    ) -> BTreeMap<Date, Date> {
        let mut extra = BTreeMap::new();
        for (year, entry) in by_year.iter().flat_map(|(year, entries)| entries.iter().map(move |e| (*year, e))) {
            let Some(date) = self.date(&entry.date) else { continue };
            let instead = entry.instead_of.as_ref().map(|text| (place(text), self.date(text)));
            let at = place(&entry.date);
            let off = |day: Date| days_off.get(&day.year()).is_some_and(|days| days.contains(&day));
            let worked = |day: Date| !week[day.weekday().to_monday_zero_offset() as usize].is_empty();
            if date.year() != year {
                self.wrong(at, format!("{date} is not in {year}"), "write it under its own year");
            } else if !days_off.contains_key(&year) {
                self.wrong(at, format!("{date} is worked, but {year} has no holidays"), "write the holidays of that year too");
            } else if off(date) {
                self.wrong(at, format!("{date} is off and worked at once"), "remove one");
            } else if let Some((at, Some(like))) = instead.filter(|(_, like)| like.is_some_and(|day| !off(day) || !worked(day))) {
                let next = "name a day that would be worked, and list it under `holidays`";
                self.wrong(at, format!("{date} is worked instead of {like}, which is not off"), next);
            } else {
                let longest = (0..7).filter_map(|n| date.checked_add(jiff::Span::new().days(n)).ok()).max_by_key(|day| {
                    let hours = &week[day.weekday().to_monday_zero_offset() as usize];
                    (length_of(hours), std::cmp::Reverse(*day))
                });
                extra.insert(date, instead.and_then(|(_, like)| like).or(longest).unwrap_or(date));
            }
        }
        extra
    }

    fn shifts(&mut self, entries: Vec<ShiftEntry>) -> Vec<Shift> {
        let mut shifts: Vec<Shift> = Vec::new();
        for entry in entries {
            let at = place(&entry.code);
            let (Some(from), Some(to)) = (self.time(&entry.from), self.time(&entry.to)) else { continue };
            if shifts.iter().any(|s| s.code == entry.code.value) {
                self.wrong(at, format!("shift {} stands twice", entry.code.value), "remove one");
                continue;
            }
            let name_en = entry.name_en.unwrap_or_else(|| entry.name_vi.clone());
            shifts.push(Shift { code: entry.code.value, from, to, name_vi: entry.name_vi, name_en });
        }
        shifts
    }

    fn limits(&mut self, tables: BTreeMap<String, BTreeMap<String, Spanned<String>>>) -> BTreeMap<String, Limits> {
        let mut limits = BTreeMap::new();
        for (name, table) in tables {
            let mut of = BTreeMap::new();
            let first = table.values().next().map_or(Place::NONE, place);
            let has_default = table.contains_key("default");
            for (category, text) in table {
                match Length::parse(&text.value) {
                    Some(length) => {
                        of.insert(category, length);
                    }
                    None => {
                        let what = format!("limit {name}, {category}: {:?} is no length of time", text.value);
                        self.wrong(place(&text), what, "write `16 working hours`, `2 working days`, or `3d` for time on the clock");
                    }
                }
            }
            if !has_default {
                self.wrong(first, format!("limits {name} have no default"), "write `default: 16 working hours` or the like");
            }
            if let Some(default) = of.remove("default") {
                limits.insert(name, Limits { default, of });
            }
        }
        limits
    }

    fn date(&mut self, text: &Spanned<String>) -> Option<Date> {
        let date = Some(&text.value).filter(|t| t.len() == 10).and_then(|t| t.parse().ok());
        if date.is_none() {
            self.wrong(place(text), format!("{:?} is no date", text.value), "write YYYY-MM-DD");
        }
        date
    }

    fn time(&mut self, text: &Spanned<String>) -> Option<Time> {
        let part = |range: std::ops::Range<usize>| text.value.get(range).filter(|t| t.bytes().all(|b| b.is_ascii_digit()))?.parse().ok();
        let colon = text.value.len() == 5 && text.value.as_bytes()[2] == b':';
        let time = colon.then(|| Time::new(part(0..2)?, part(3..5)?, 0, 0).ok()).flatten();
        if time.is_none() {
            self.wrong(place(text), format!("{:?} is no time of day", text.value), "write HH:MM in quotes, as in \"07:30\"");
        }
        time
    }
}

fn place<T>(spanned: &Spanned<T>) -> Place {
    Place::from(spanned.referenced)
}
