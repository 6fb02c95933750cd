//! What is found, with and without diacritics; pages, bounds, what is forgotten.

use super::*;
use crate::server::tests::fixtures::{alert, detail, id};
use crate::server::wire::{Acknowledgement, AreaRef, Assignment, Closing, Handling, HistoryEntry, Text};
use proptest::prelude::*;

fn note(text: &str) -> HistoryEntry {
    let (what, note) = ("noted".to_owned(), Some(text.to_owned()));
    HistoryEntry { at: 5, what, by: Some("Lan".into()), note, reason: None, values: BTreeMap::new(), to: None, verdict: None, step: None }
}

fn closed(verdict: Verdict) -> Option<Closing> {
    Some(Closing { by: "Lan".into(), at: 9, verdict, note: String::new() })
}

/// Three alerts of which each has something of its own.
fn three() -> Vec<AlertDetail> {
    let jam = AlertView {
        title: Text { vi: "Dòng xe đứng tại Đông Gia Nghĩa".into(), en: "Traffic at a standstill in Đông Gia Nghĩa".into() },
        area: Some(AreaRef { code: "24611".into(), name: "Phường Đông Gia Nghĩa".into() }),
        handling: Handling::Closed,
        acknowledged: Some(Acknowledgement { by: "Lan".into(), at: 3, note: String::new() }),
        assigned: Some(Assignment { to: "Đội CSGT số 2".into(), by: "Lan".into(), at: 4, note: String::new() }),
        closed: closed(Verdict::False),
        since: 3_000,
        ..alert(1, 4, "traffic", "ward")
    };
    let flood = AlertView {
        title: Text { vi: "Nước sông vượt báo động 2".into(), en: "River above alarm 2".into() },
        severity: Severity::Critical,
        rule: "flood_bd2".into(),
        acknowledged: Some(Acknowledgement { by: "Trần Thị Hạnh".into(), at: 3, note: String::new() }),
        handling: Handling::Acknowledged,
        since: 2_000,
        ..alert(2, 2, "water", "village")
    };
    let silent = AlertView { condition: Condition::Resolved, resolved: Some(1_500), since: 1_000, ..alert(3, 2, "traffic", "ward") };
    vec![detail(jam), AlertDetail { history: vec![note("Đã gọi trạm bơm Ủng Hoà")], ..detail(flood) }, detail(silent)]
}

struct Records {
    _folder: tempfile::TempDir,
    kept: KeptAlerts,
    records: AlertRecords,
}

impl Records {
    fn new() -> Records {
        let folder = tempfile::tempdir().unwrap();
        let records = AlertRecords::new(folder.path());
        assert_eq!(records.page(&query(), &whole(), &|_, _| true).unwrap(), AlertsPage::default(), "nothing was ever kept");
        let kept = KeptAlerts::open(folder.path()).unwrap();
        Records { _folder: folder, kept, records }
    }

    fn found(&self, query: &HistoryQuery) -> Vec<u32> {
        let page = self.records.page(query, &whole(), &|area, asked| area == asked).unwrap();
        assert_eq!(page.total, Some(page.alerts.len() as u64));
        page.alerts.iter().map(|alert| u32::from_str_radix(&alert.id, 16).unwrap()).collect()
    }
}

fn query() -> HistoryQuery {
    HistoryQuery { limit: 10, ..HistoryQuery::default() }
}

fn whole() -> Scope {
    Scope::new(&[], &[], Arc::new(|_: &str, _: &str| true))
}

#[test]
fn alerts_are_found_by_words_with_and_without_diacritics() {
    let mut it = Records::new();
    it.kept.keep(Some(7), &three()).unwrap();
    for (text, found) in [
        ("", &[1, 2, 3][..]),
        ("đứng", &[1, 3]),
        ("dung", &[1, 3]),
        ("DONG GIA nghia", &[1]),
        ("nghĩa đông", &[1]),
        ("do\u{302}ng nghi\u{303}a", &[1]),
        ("24611", &[1]),
        ("csgt số 2", &[1]),
        ("standstill", &[1, 3]),
        ("hạnh", &[2]),
        ("tram bom ung hoa", &[2]),
        ("traffic sông", &[]),
        ("ward", &[1, 3]),
        ("%", &[]),
        ("'", &[]),
    ] {
        assert_eq!(it.found(&HistoryQuery { text: Some(text.into()), ..query() }), found, "{text}");
    }
}

#[test]
fn alerts_are_found_by_what_they_are() {
    let mut it = Records::new();
    it.kept.keep(Some(7), &three()).unwrap();
    let all = [
        (HistoryQuery { rule: Some("flood_bd2".into()), ..query() }, &[2][..]),
        (HistoryQuery { rule: Some("flood".into()), ..query() }, &[]),
        (HistoryQuery { sector: Some("traffic".into()), ..query() }, &[1, 3]),
        (HistoryQuery { severity: Some(Severity::Critical), ..query() }, &[2]),
        (HistoryQuery { from: Some(2_000), ..query() }, &[1, 2]),
        (HistoryQuery { from: Some(1_000), to: Some(2_000), ..query() }, &[3]),
        (HistoryQuery { owner: Some("doi csgt".into()), ..query() }, &[1]),
        (HistoryQuery { owner: Some(" Hạnh".into()), ..query() }, &[2]),
        (HistoryQuery { owner: Some("Lan".into()), ..query() }, &[]),
        (HistoryQuery { verdict: Some(Verdict::False), ..query() }, &[1]),
        (HistoryQuery { verdict: Some(Verdict::True), ..query() }, &[]),
        (HistoryQuery { condition: Some(Condition::Resolved), ..query() }, &[3]),
        (HistoryQuery { area: Some("village".into()), ..query() }, &[2]),
    ];
    for (asked, found) in all {
        assert_eq!(it.found(&asked), found, "{asked:?}");
    }
}

/// D2: the row and the number of its tick are one; what was pending only is gone.
#[test]
fn d2_kept_alerts_are_the_newest_and_say_up_to_which_tick() {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = KeptAlerts::open(folder.path()).unwrap();
    let records = AlertRecords::new(folder.path());
    assert_eq!((kept.upto(), records.detail(&id(1)).unwrap()), (None, None));
    kept.keep(None, &[detail(alert(1, 1, "traffic", "ward"))]).unwrap();
    assert_eq!(kept.upto(), None, "others of that tick follow");
    let pending = AlertView { condition: Condition::Pending, ..alert(2, 1, "traffic", "ward") };
    kept.keep(Some(3), &[detail(alert(1, 2, "traffic", "ward")), detail(pending.clone())]).unwrap();
    assert_eq!(records.detail(&id(1)).unwrap(), Some(detail(alert(1, 2, "traffic", "ward"))));
    assert!(records.detail(&id(2)).unwrap().is_some());
    kept.keep(Some(5), &[detail(AlertView { condition: Condition::Inactive, ..pending })]).unwrap();
    assert_eq!(records.detail(&id(2)).unwrap(), None);
    drop(kept);
    assert_eq!(KeptAlerts::open(folder.path()).unwrap().upto(), Some(5));
}

#[test]
fn old_alerts_are_forgotten_once_resolved() {
    let mut it = Records::new();
    let mut all = three();
    all[2].alert.changed = 2_000;
    it.kept.keep(Some(1), &all).unwrap();
    it.kept.forget(Timestamp::from_millis(2_000)).unwrap();
    assert_eq!(it.found(&query()), [1, 2, 3]);
    it.kept.forget(Timestamp::from_millis(2_001)).unwrap();
    assert_eq!(it.found(&query()), [1, 2], "open ones stay, however old");
    assert_eq!((it.records.detail(&id(3)).unwrap(), it.records.detail(&id(1)).unwrap().is_some()), (None, true));
}

/// What is there can be made again from the journal: an older shape is not read, it begins anew.
#[test]
fn d2_a_file_of_an_older_format_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let old = database::create(&path_in(folder.path()), FORMAT - 1, "CREATE TABLE upto(tick); INSERT INTO upto VALUES (9)").unwrap();
    drop(old);
    let mut kept = KeptAlerts::open(folder.path()).unwrap();
    assert_eq!(kept.upto(), None);
    kept.keep(Some(3), &three()).unwrap();
    drop(kept);
    assert_eq!(KeptAlerts::open(folder.path()).unwrap().upto(), Some(3), "its own stays");
}

#[test]
fn the_way_to_the_next_page_is_checked() {
    let place = Place { since: -5, id: id(1) };
    assert_eq!(Place::parse(&place.to_string()), Some(place));
    for bad in ["", "5", "5.", "x.00000000000000000000000000000001", "5.0000000000000000000000000000000g", "5.' OR 1"] {
        assert_eq!(Place::parse(bad), None, "{bad}");
    }
}

#[test]
fn every_vietnamese_letter_loses_its_marks() {
    let all = "ÀÁẢÃẠĂẰẮẲẴẶÂẦẤẨẪẬĐÈÉẺẼẸÊỀẾỂỄỆÌÍỈĨỊÒÓỎÕỌÔỒỐỔỖỘƠỜỚỞỠỢÙÚỦŨỤƯỪỨỬỮỰỲÝỶỸỴ";
    let folded = fold(all);
    assert_eq!(
        folded,
        format!("{}d{}{}{}{}{}", "a".repeat(17), "e".repeat(11), "i".repeat(5), "o".repeat(17), "u".repeat(11), "y".repeat(5))
    );
    assert_eq!(fold(&all.to_lowercase()), folded);
    assert_eq!(fold("K\u{2019}Brèm 12,5 m\u{b3}"), "k\u{2019}brem 12,5 m\u{b3}");
}

proptest! {
    #[test]
    fn folding_twice_is_folding_once(text in "\\PC{0,40}") {
        let once = fold(&text);
        prop_assert_eq!(fold(&once), once);
    }
}
