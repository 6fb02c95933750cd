//! What units report for the indicators of the plans.
//!
//! Owns: who reports which indicator on which day, and which value lies behind. Refuses to know: targets of the registry.
//!
//! Invariants
//! 1. Each working day has six reports. Five say that nearly all is done; the sixth, of the one indicator that the shipped registry knows
//!    a baseline of, is on some days far behind the way to its target.
//!
//! Called by: desk, truth.

use super::chance::Chance;
use super::desk::Step;
use super::plan::midnight;
use super::signals::weekday;
use super::text;
use crate::time::Span;

/// Code, who sends it, unit that reports.
const REPORTED: [(&str, &str, &str); 6] = [
    ("report_regime", "bao-cao", "van-phong-ubnd"),
    ("inspection_digital", "thanh-tra", "thanh-tra"),
    ("citizen_app", "vneid", "so-khoa-hoc"),
    ("security_level", "an-toan-thong-tin", "so-khoa-hoc"),
    (PACED, "cong-thuong", "67"),
    ("open_data", "noi-vu", "so-noi-vu"),
];
const PACED: &str = "digital_economy";

/// One report as it is sent.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    pub indicator: &'static str,
    pub source: &'static str,
    pub unit: &'static str,
    pub behind: bool,
    pub at: crate::time::Timestamp,
    turn: i64,
}

/// Stream of chance.
const INDICATOR: u64 = 14;

/// The reports of a local day.
pub fn of_day(chance: Chance, day: i64) -> Vec<Report> {
    if weekday(day) > 4 {
        return Vec::new();
    }
    let late = chance.at(INDICATOR, day, 0).unit() < 0.5;
    let one = |(n, (indicator, source, unit)): (usize, &(&'static str, &'static str, &'static str))| {
        let at = midnight(day) + Span::seconds(chance.at(INDICATOR, day, n as i64 + 1).between(8 * 3600, 11 * 3600));
        Report { indicator, source, unit, behind: late && *indicator == PACED, at, turn: day }
    };
    REPORTED.iter().enumerate().map(one).collect()
}

/// Them as events.
pub fn reports(chance: Chance, day: i64) -> impl Iterator<Item = Step> {
    let month = month_before(day);
    of_day(chance, day).into_iter().map(move |report| {
        let mut bytes = Vec::with_capacity(320);
        let id = format_args!("{}-{}", report.indicator, report.turn);
        text::open(&mut bytes, id, report.source, "indicator.report", None, report.at);
        text::word(&mut bytes, "indicator", report.indicator);
        text::word(&mut bytes, "unit", report.unit);
        text::word(&mut bytes, "area", super::site::PROVINCE);
        text::word(&mut bytes, "period", &month);
        if report.indicator == PACED {
            text::number(&mut bytes, "value", Some(if report.behind { 4.1 } else { 11.8 }), 1);
        } else {
            text::number(&mut bytes, "numerator", Some(1_990.0), 0);
            text::number(&mut bytes, "denominator", Some(2_000.0), 0);
        }
        text::word(&mut bytes, "evidence_uri", &format!("https://ioc.lamdong.example/minh-chung/{}/{month}", report.indicator));
        text::close(&mut bytes);
        Step { at: report.at, kind: "indicator.report", source: report.source, key: report.source.to_owned(), bytes, secret: false }
    })
}

/// "2026-05" for a day of June 2026.
fn month_before(day: i64) -> String {
    // noon of the day, so that the offset does not matter; the text begins with year and month
    let text = (midnight(day) + Span::hours(12)).to_string();
    let (year, month) = (text[..4].parse::<i64>().unwrap_or(0), text[5..7].parse::<i64>().unwrap_or(1));
    let (year, month) = if month == 1 { (year - 1, 12) } else { (year, month - 1) };
    format!("{year:04}-{month:02}")
}
