//! Titles of alerts in both languages.
//!
//! Owns: how values read inside a sentence. Refuses to know: where they come from.
//!
//! Invariants
//! 1. Numbers are grouped by thousands and rounded to two decimals at most: 1.234,5 in Vietnamese, 1,234.5 in English.
//! 2. An unknown value says so; a title is never half empty.
//! 3. Values of tags are told by the word that the registry has for them, else as they are.
//! 4. Times are told in the pipeline's time zone, to the minute.
//!
//! Called by: alert/mod.rs ([`super::Label::of`]).

use crate::engine::rule::RowView;
use crate::pipeline::expr::Value;
use crate::pipeline::{RuleVar, Template, TemplatePart};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Title {
    pub vi: String,
    pub en: String,
}

struct Language {
    vietnamese: bool,
    thousands: char,
    decimal: char,
    yes: &'static str,
    no: &'static str,
    unknown: &'static str,
    time: &'static str,
}

const VI: Language =
    Language { vietnamese: true, thousands: '.', decimal: ',', yes: "có", no: "không", unknown: "không rõ", time: "%H:%M %d/%m/%Y" };
const EN: Language =
    Language { vietnamese: false, thousands: ',', decimal: '.', yes: "yes", no: "no", unknown: "unknown", time: "%Y-%m-%d %H:%M" };

/// `tags`: the names of the row's tags.
pub fn render_title(template: &Template, row: RowView<'_>, tags: &[&str], zone: &TimeZone) -> Title {
    Title { vi: render(&template.vi, row, tags, &VI, zone), en: render(&template.en, row, tags, &EN, zone) }
}

fn render(parts: &[TemplatePart], row: RowView<'_>, tags: &[&str], language: &Language, zone: &TimeZone) -> String {
    let word = |var: &RuleVar, code: &str| match var {
        RuleVar::Tag(i) => tags.get(*i).and_then(|tag| row.facts.word(tag, code)).map(|(vi, en)| if language.vietnamese { vi } else { en }),
        _ => None,
    };
    let mut text = String::new();
    for part in parts {
        match part {
            TemplatePart::Text(plain) => text.push_str(plain),
            TemplatePart::Var(var) => match row.value(var) {
                Value::Unknown => text.push_str(language.unknown),
                Value::Bool(yes) => text.push_str(if yes { language.yes } else { language.no }),
                Value::Num(x) => push_number(&mut text, x, language),
                Value::Text(code) => text.push_str(word(var, &code).unwrap_or(&code)),
                Value::Time(t) => match jiff::Timestamp::from_nanosecond(i128::from(t.0)) {
                    Ok(instant) => text.push_str(&instant.to_zoned(zone.clone()).strftime(language.time).to_string()),
                    Err(_) => text.push_str(language.unknown),
                },
            },
        }
    }
    text
}

/// Two decimals at most, without trailing zeros; whole thousands in groups.
fn push_number(text: &mut String, x: f64, language: &Language) {
    if !x.is_finite() {
        text.push_str(language.unknown);
        return;
    }
    let digits = format!("{:.2}", x.abs());
    let (whole, decimals) = digits.split_once('.').unwrap_or((&digits, ""));
    let decimals = decimals.trim_end_matches('0');
    if x < 0.0 && digits.bytes().any(|b| (b'1'..=b'9').contains(&b)) {
        text.push('-');
    }
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            text.push(language.thousands);
        }
        text.push(digit);
    }
    if !decimals.is_empty() {
        text.push(language.decimal);
        text.push_str(decimals);
    }
}
