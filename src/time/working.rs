//! Working time: hours that count only while offices are open.
//!
//! Owns: [`WorkingCalendar`] (when work is done, in years that are known) and the spans that files write ([`WorkingSpan`], [`Length`]).
//! Refuses to know: the clock, files, who has which time limit.
//!
//! Invariants
//! 1. A year whose holidays nobody declared is refused with its number, never taken for one without holidays.
//! 2. `add` is the least instant with that much working time behind it: `between(t, add(t, s)) == s`; it never falls as `t` or `s` rises.
//! 3. `between(a, b) == -between(b, a)`, and it adds up over any instant in the middle.
//! 4. Every question costs O(log n) in the working periods of all known years.
//!
//! Called by: registry (makes it), engine (due times), pipeline (spans of files).

use super::{NANOS_PER_SECOND, Span, Timestamp};
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Working periods of one day, from and to, ascending and apart.
pub type Hours = Vec<(Time, Time)>;

/// What a calendar is made of.
#[derive(Clone, Debug)]
pub struct WorkingRules {
    /// Monday first.
    pub week: [Hours; 7],
    /// By year that is known: its days off besides those of the week.
    pub holidays: BTreeMap<i16, BTreeSet<Date>>,
    /// Days worked though their weekday is free, with the day whose weekday's hours they take.
    pub extra: BTreeMap<Date, Date>,
    pub zone: TimeZone,
}

/// Nobody declared the holidays of a year.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("registry/calendar.yaml has no holidays for {year}: write them under `holidays:`, else working time there is not known")]
pub struct NoCalendar {
    pub year: i16,
}

/// See the module. Without any year it refuses every question.
#[derive(Clone, Debug, Default)]
pub struct WorkingCalendar {
    /// Ascending, apart.
    periods: Vec<Period>,
    /// Unbroken years, ascending, apart.
    runs: Vec<Run>,
    day: Span,
    zone: Option<TimeZone>,
}

#[derive(Clone, Copy, Debug)]
struct Period {
    start: Timestamp,
    end: Timestamp,
    /// Working time of all periods before.
    before: Span,
}

/// `[from, to)`: the years `first` to `last`.
#[derive(Clone, Copy, Debug)]
struct Run {
    from: Timestamp,
    to: Timestamp,
    first: i16,
    last: i16,
}

impl WorkingCalendar {
    pub fn new(rules: &WorkingRules) -> WorkingCalendar {
        let mut calendar = WorkingCalendar {
            zone: Some(rules.zone.clone()),
            day: rules.week.iter().map(length_of).max().unwrap_or(Span::ZERO),
            ..Default::default()
        };
        for year in rules.holidays.keys().copied() {
            let (Ok(first), Some(next)) = (Date::new(year, 1, 1), year.checked_add(1).and_then(|y| Date::new(y, 1, 1).ok())) else {
                continue;
            };
            let (from, to) = (calendar.instant(first, Time::midnight()), calendar.instant(next, Time::midnight()));
            match calendar.runs.last_mut().filter(|run| run.to == from) {
                Some(run) => (run.to, run.last) = (to, year),
                None => calendar.runs.push(Run { from, to, first: year, last: year }),
            }
            for date in first.series(jiff::Span::new().days(1)).take_while(|date| *date < next) {
                for (start, end) in rules.hours_of(date) {
                    let before = calendar.periods.last().map_or(Span::ZERO, |p| p.before + (p.end - p.start));
                    let (start, end) = (calendar.instant(date, *start), calendar.instant(date, *end));
                    calendar.periods.push(Period { start, end, before });
                }
            }
        }
        calendar
    }

    /// The years that are known, ascending.
    pub fn years(&self) -> impl Iterator<Item = i16> + '_ {
        self.runs.iter().flat_map(|run| run.first..=run.last)
    }

    /// What "working day" means: the longest day of the week.
    pub fn day(&self) -> Span {
        self.day
    }

    /// The least instant with `span` of working time between `t` and it; `t` itself for a span of zero or less.
    pub fn add(&self, t: Timestamp, span: Span) -> Result<Timestamp, NoCalendar> {
        let run = self.run(t)?;
        if span <= Span::ZERO {
            return Ok(t);
        }
        let target = self.worked(t) + span;
        let period = self.periods.get(self.periods.partition_point(|p| p.before + (p.end - p.start) < target));
        match period.filter(|p| p.start < run.to) {
            Some(p) => Ok(p.start + (target - p.before)),
            None => Err(NoCalendar { year: run.last.saturating_add(1) }),
        }
    }

    /// The least instant from which no more than `span` of working time is left until `t`.
    pub fn before(&self, t: Timestamp, span: Span) -> Result<Timestamp, NoCalendar> {
        let run = self.run(t)?;
        if span <= Span::ZERO {
            return Ok(t);
        }
        let target = self.worked(t) - span;
        if target < self.worked(run.from) {
            return Err(NoCalendar { year: run.first.saturating_sub(1) });
        }
        let period = self.periods.get(self.periods.partition_point(|p| p.before + (p.end - p.start) < target));
        Ok(period.map_or(t, |p| (p.start + (target - p.before)).max(run.from).min(t)))
    }

    /// Working time from `a` to `b`; negative where `b` lies before `a`.
    pub fn between(&self, a: Timestamp, b: Timestamp) -> Result<Span, NoCalendar> {
        if b < a {
            return self.between(b, a).map(|span| Span(-span.0));
        }
        let run = self.run(a)?;
        if b > run.to {
            return Err(NoCalendar { year: run.last.saturating_add(1) });
        }
        Ok(self.worked(b) - self.worked(a))
    }

    /// Work is being done at `t`.
    pub fn is_working(&self, t: Timestamp) -> Result<bool, NoCalendar> {
        self.run(t)?;
        let next = self.periods.partition_point(|p| p.start <= t);
        Ok(next > 0 && t < self.periods[next - 1].end)
    }

    fn run(&self, t: Timestamp) -> Result<&Run, NoCalendar> {
        let next = self.runs.partition_point(|run| run.from <= t);
        let run = next.checked_sub(1).map(|i| &self.runs[i]).filter(|run| t < run.to);
        run.ok_or_else(|| NoCalendar { year: self.year_of(t) })
    }

    /// Working time of all known periods up to `t`.
    fn worked(&self, t: Timestamp) -> Span {
        let next = self.periods.partition_point(|p| p.start <= t);
        next.checked_sub(1).map_or(Span::ZERO, |i| self.periods[i].before + (t.min(self.periods[i].end) - self.periods[i].start))
    }

    fn year_of(&self, t: Timestamp) -> i16 {
        let instant = jiff::Timestamp::from_nanosecond(i128::from(t.0)).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        self.zone.as_ref().unwrap_or(&TimeZone::UTC).to_datetime(instant).date().year()
    }

    fn instant(&self, date: Date, time: Time) -> Timestamp {
        let zone = self.zone.clone().unwrap_or(TimeZone::UTC);
        let zoned = date.to_datetime(time).to_zoned(zone);
        zoned.map_or(Timestamp(0), |z| Timestamp(z.timestamp().as_nanosecond() as i64))
    }
}

impl WorkingRules {
    fn hours_of(&self, date: Date) -> &[(Time, Time)] {
        let weekday = |date: Date| &self.week[date.weekday().to_monday_zero_offset() as usize][..];
        match self.extra.get(&date) {
            Some(like) => weekday(*like),
            None if self.holidays.get(&date.year()).is_some_and(|days| days.contains(&date)) => &[],
            None => weekday(date),
        }
    }
}

/// Working time of one day.
pub fn length_of(hours: &Hours) -> Span {
    let seconds = |time: &Time| i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    Span::seconds(hours.iter().map(|(from, to)| seconds(to) - seconds(from)).sum())
}

/// "16 working hours", "2 working days", "30 working minutes": one or more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct WorkingSpan {
    pub count: u32,
    pub unit: WorkingUnit,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkingUnit {
    Minutes,
    Hours,
    Days,
}

impl WorkingSpan {
    pub fn parse(text: &str) -> Option<WorkingSpan> {
        let mut words = text.split_ascii_whitespace();
        let (count, working, unit) = (words.next()?, words.next()?, words.next()?);
        let unit = match unit {
            "minute" | "minutes" => WorkingUnit::Minutes,
            "hour" | "hours" => WorkingUnit::Hours,
            "day" | "days" => WorkingUnit::Days,
            _ => return None,
        };
        let count =
            count.bytes().all(|b| b.is_ascii_digit()).then(|| count.parse().ok()).flatten().filter(|n| (1..=1_000_000).contains(n))?;
        (working == "working" && words.next().is_none()).then_some(WorkingSpan { count, unit })
    }

    /// As working time of that calendar: a day is its longest day.
    pub fn length(self, calendar: &WorkingCalendar) -> Span {
        let unit = match self.unit {
            WorkingUnit::Minutes => Span::seconds(60),
            WorkingUnit::Hours => Span::seconds(3600),
            WorkingUnit::Days => calendar.day(),
        };
        unit.times(i64::from(self.count))
    }
}

impl fmt::Display for WorkingSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            WorkingUnit::Minutes => "minute",
            WorkingUnit::Hours => "hour",
            WorkingUnit::Days => "day",
        };
        write!(f, "{} working {unit}{}", self.count, if self.count == 1 { "" } else { "s" })
    }
}

/// A length of time as files write it: passing on the clock ("2h") or in working time ("2 working hours").
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Length {
    Elapsed(Span),
    Working(WorkingSpan),
}

impl Length {
    pub fn parse(text: &str) -> Option<Length> {
        Span::parse(text).map(Length::Elapsed).or_else(|| WorkingSpan::parse(text).map(Length::Working))
    }

    /// When it has passed since `t`.
    pub fn after(self, t: Timestamp, calendar: &WorkingCalendar) -> Result<Timestamp, NoCalendar> {
        match self {
            Length::Elapsed(span) => Ok(t + span),
            Length::Working(span) => calendar.add(t, span.length(calendar)),
        }
    }

    /// From when on no more of it is left until `t`.
    pub fn before(self, t: Timestamp, calendar: &WorkingCalendar) -> Result<Timestamp, NoCalendar> {
        match self {
            Length::Elapsed(span) => Ok(t - span),
            Length::Working(span) => calendar.before(t, span.length(calendar)),
        }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Length::Elapsed(span) => span.fmt(f),
            Length::Working(span) => span.fmt(f),
        }
    }
}

/// Hours as expressions give them; `None`: not a length (not finite, negative, more than a century).
pub fn hours_to_span(hours: f64) -> Option<Span> {
    let nanos = hours * 3600.0 * NANOS_PER_SECOND as f64;
    (nanos.is_finite() && nanos >= 0.0 && nanos <= Span::days(36_500).0 as f64).then_some(Span(nanos as i64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(format!("{text}:00+07:00").as_bytes()).unwrap()
    }

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    /// Two years with Tết of 2026 and a Saturday worked; a gap; another year.
    static CALENDAR: LazyLock<WorkingCalendar> = LazyLock::new(|| {
        let time = |h, m| Time::new(h, m, 0, 0).unwrap();
        let office = vec![(time(7, 30), time(11, 30)), (time(13, 30), time(17, 30))];
        let mut week: [Hours; 7] = Default::default();
        week[..5].fill(office);
        let tet = date("2026-02-16").series(jiff::Span::new().days(1)).take(5);
        let holidays = BTreeMap::from([
            (2025, BTreeSet::from([date("2025-01-01")])),
            (2026, tet.chain([date("2026-01-01"), date("2026-01-02")]).collect()),
            (2028, BTreeSet::from([date("2028-01-01")])),
        ]);
        let extra = BTreeMap::from([(date("2026-01-10"), date("2026-01-02"))]);
        let zone = jiff::tz::TimeZoneDatabase::bundled().get("Asia/Ho_Chi_Minh").unwrap();
        WorkingCalendar::new(&WorkingRules { week, holidays, extra, zone })
    });

    #[test]
    fn working_time_is_added() {
        for (from, hours, to) in [
            // within a period, over noon, over night, over a weekend
            ("2026-06-01T08:00", 2, "2026-06-01T10:00"),
            ("2026-06-01T11:00", 1, "2026-06-01T14:00"),
            ("2026-06-01T16:30", 2, "2026-06-02T08:30"),
            ("2026-06-05T16:30", 2, "2026-06-08T08:30"),
            // a full period ends with it, not with the beginning of the next
            ("2026-06-01T07:30", 4, "2026-06-01T11:30"),
            ("2026-06-01T07:30", 8, "2026-06-01T17:30"),
            // from outside
            ("2026-06-06T10:00", 16, "2026-06-09T17:30"),
            ("2026-06-01T12:00", 4, "2026-06-01T17:30"),
            // across Tết: Friday 13 February to Monday 23
            ("2026-02-13T16:30", 2, "2026-02-23T08:30"),
            ("2026-02-17T09:00", 8, "2026-02-23T17:30"),
            // the Saturday that is worked instead of Friday 2 January
            ("2026-01-09T16:30", 2, "2026-01-10T08:30"),
            // across the end of a year
            ("2025-12-31T16:30", 2, "2026-01-05T08:30"),
        ] {
            assert_eq!(CALENDAR.add(at(from), Span::hours(hours)), Ok(at(to)), "{from} + {hours}");
            assert_eq!(CALENDAR.between(at(from), at(to)), Ok(Span::hours(hours)), "{from} .. {to}");
            assert_eq!(CALENDAR.between(at(to), at(from)), Ok(Span::hours(-hours)), "{to} .. {from}");
        }
        assert_eq!(CALENDAR.add(at("2026-06-06T10:00"), Span::ZERO), Ok(at("2026-06-06T10:00")));
        for (until, hours, from) in [
            ("2026-06-01T09:30", 4, "2026-05-29T15:30"),
            ("2026-06-01T11:30", 4, "2026-05-29T17:30"),
            ("2026-02-23T08:30", 4, "2026-02-13T14:30"),
        ] {
            assert_eq!(CALENDAR.before(at(until), Span::hours(hours)), Ok(at(from)), "{hours} before {until}");
        }
    }

    #[test]
    fn a_year_without_holidays_is_refused_by_its_number() {
        let none = |year| Err(NoCalendar { year });
        assert_eq!(CALENDAR.add(at("2024-12-31T23:59"), Span::hours(1)), none(2024));
        assert_eq!(CALENDAR.add(at("2026-12-31T16:30"), Span::hours(2)), none(2027));
        assert_eq!(CALENDAR.between(at("2026-06-01T08:00"), at("2028-06-01T08:00")), none(2027).map(|_: Timestamp| Span::ZERO));
        assert_eq!(CALENDAR.between(at("2027-06-01T08:00"), at("2028-06-01T08:00")), none(2027).map(|_: Timestamp| Span::ZERO));
        assert_eq!(CALENDAR.before(at("2028-01-03T08:00"), Span::hours(2)), none(2027));
        assert_eq!(CALENDAR.is_working(at("2027-06-01T08:00")), Err(NoCalendar { year: 2027 }));
        assert_eq!(WorkingCalendar::default().add(at("2026-06-01T08:00"), Span::ZERO), none(2026));
        assert_eq!(CALENDAR.years().collect::<Vec<_>>(), [2025, 2026, 2028]);
        assert!(NoCalendar { year: 2027 }.to_string().contains("no holidays for 2027"));
    }

    #[test]
    fn working_spans_read_and_print() {
        for text in ["16 working hours", "1 working day", "30 working minutes"] {
            assert_eq!(WorkingSpan::parse(text).unwrap().to_string(), text);
            assert_eq!(Length::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Length::parse("3d"), Some(Length::Elapsed(Span::days(3))));
        assert_eq!(WorkingSpan::parse("2 working days").unwrap().length(&CALENDAR), Span::hours(16));
        for bad in [
            "",
            "working hours",
            "0 working hours",
            "-1 working hours",
            "+2 working hours",
            "1.5 working days",
            "2 hours",
            "2 working weeks",
            "2 working hours ago",
        ] {
            assert_eq!(Length::parse(bad), None, "{bad}");
        }
    }

    /// Any instant of 2025 and 2026, far enough from their ends.
    fn instants() -> impl Strategy<Value = Timestamp> {
        (0i64..600 * 86_400).prop_map(|s| at("2025-01-01T00:00") + Span::seconds(s))
    }

    proptest! {
        #[test]
        fn add_and_between_are_inverse(t in instants(), minutes in 0i64..20_000) {
            let span = Span::minutes(minutes);
            let end = CALENDAR.add(t, span).unwrap();
            prop_assert!(end >= t);
            prop_assert_eq!(CALENDAR.between(t, end), Ok(span));
            // and no earlier instant has as much behind it
            prop_assert!(minutes == 0 || CALENDAR.between(t, end - Span(1)).unwrap() < span);
        }

        #[test]
        fn add_never_falls(a in instants(), b in instants(), m in 0i64..20_000, n in 0i64..20_000) {
            let (a, b, m, n) = (a.min(b), a.max(b), m.min(n), m.max(n));
            prop_assert!(CALENDAR.add(a, Span::minutes(m)) <= CALENDAR.add(b, Span::minutes(n)));
        }

        #[test]
        fn between_adds_up_and_counts_no_free_time(a in instants(), b in instants(), c in instants()) {
            let between = |x, y| CALENDAR.between(x, y).unwrap();
            prop_assert_eq!(between(a, b) + between(b, c), between(a, c));
            prop_assert!(b < a || between(a, b) <= b - a);
        }

        #[test]
        fn before_is_the_first_instant_that_near(t in instants(), minutes in 1i64..20_000) {
            let span = Span::minutes(minutes);
            if let Ok(start) = CALENDAR.before(t, span) {
                prop_assert!(CALENDAR.between(start, t).unwrap() <= span);
                prop_assert!(start <= at("2025-01-01T00:00") || CALENDAR.between(start - Span(1), t).unwrap() >= span);
            }
        }

        #[test]
        fn whoever_works_moves(t in instants()) {
            let moved = CALENDAR.between(t, t + Span::seconds(1)).unwrap();
            prop_assert_eq!(moved > Span::ZERO, CALENDAR.is_working(t).unwrap());
        }
    }
}
