//! The province is as large as it says, stands where it says, always says the same, and is damaged as it says.

use super::*;
use crate::event::decode::{DecodePlan, Decoder, Wanted};
use crate::event::schema::SchemaSet;
use crate::registry::read_dir;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

static SHIPPED: LazyLock<Registry> = LazyLock::new(|| {
    let files = read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/registry")).unwrap();
    Registry::parse(&files).unwrap_or_else(|errors| panic!("{}", errors.iter().map(|e| format!("{e}\n")).collect::<String>()))
});

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text.as_bytes()).unwrap()
}

fn province(seed: u64) -> Province {
    Province::new(seed, &SHIPPED, true).unwrap()
}

/// All bytes of a span, with their arrivals and keys.
fn bytes(province: &Province, from: Timestamp, to: Timestamp) -> (Vec<u8>, Tally) {
    let mut stream = province.events(from, to).unwrap();
    let mut arrival = Arrival::default();
    let mut out = Vec::new();
    while stream.next(&mut arrival).unwrap() {
        out.extend_from_slice(format!("{} {} ", arrival.at, arrival.key).as_bytes());
        out.extend_from_slice(&arrival.bytes);
        out.push(b'\n');
    }
    (out, stream.tally)
}

#[test]
fn the_shipped_file_of_sources_is_the_codes_own() {
    let text = registry_file(&SHIPPED.areas).unwrap();
    let shipped = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/registry/sources/simulated.csv")).unwrap();
    assert!(shipped == text, "write it anew: ioc simulate registry --out registry/sources/simulated.csv");
}

#[test]
fn about_nine_hundred_sources_stand_where_their_lines_say() {
    let province = province(1);
    let ids: BTreeSet<&str> = province.sites.iter().map(|s| s.id.as_str()).collect();
    assert!((850..950).contains(&ids.len()), "{}", ids.len());
    let now = at("2026-06-01T00:00:00+07:00");
    for site in &province.sites {
        let source = SHIPPED.sources.get(&site.id, now).unwrap_or_else(|| panic!("{} is not registered", site.id));
        let area = SHIPPED.area_of_source(source, now).map(|id| SHIPPED.areas.area(id).code.as_str());
        assert_eq!(area, Some(site.area.as_str()), "{}", site.id);
    }
    let behind = province.sites.iter().filter(|s| s.gateway.as_deref() == Some("GW01")).count();
    assert_eq!(behind, 30);
}

#[test]
fn the_same_seed_says_the_same_in_whatever_pieces() {
    let (from, to) = (at("2026-06-01T06:55:00+07:00"), at("2026-06-01T07:10:00+07:00"));
    let middle = at("2026-06-01T07:01:17.5+07:00");
    let (whole, _) = bytes(&province(1), from, to);
    let mut pieces = bytes(&province(1), from, middle).0;
    pieces.extend(bytes(&province(1), middle, to).0);
    assert!(whole == pieces);
    assert_ne!(whole, bytes(&province(2), from, to).0);
    // at midnight a day's plan and agenda give way to the next
    let (from, to) = (at("2026-06-01T23:55:00+07:00"), at("2026-06-02T00:03:00+07:00"));
    let middle = at("2026-06-02T00:00:03+07:00");
    let mut pieces = bytes(&province(1), from, middle).0;
    pieces.extend(bytes(&province(1), middle, to).0);
    assert!(bytes(&province(1), from, to).0 == pieces);
}

#[test]
fn a_minute_is_what_it_always_was() {
    use sha2::Digest;
    let (out, tally) = bytes(&province(1), at("2026-06-01T07:30:00+07:00"), at("2026-06-01T07:31:00+07:00"));
    let hash: String = sha2::Sha256::digest(&out).iter().take(8).map(|b| format!("{b:02x}")).collect();
    assert_eq!((tally.records, hash.as_str()), (2392, "cef42ebf0a14aa04"));
}

#[test]
fn forty_events_a_second_of_all_types_and_each_is_judged_as_it_was_meant() {
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/schemas")).unwrap();
    let files = folder.map(|e| e.unwrap().path()).filter(|p| p.is_file() && p.extension().is_some_and(|e| e == "json"));
    let texts: BTreeMap<String, String> = files.map(|p| (p.display().to_string(), std::fs::read_to_string(&p).unwrap())).collect();
    let schemas = SchemaSet::parse(&texts).unwrap();
    let mut decoder = Decoder::new(Arc::new(DecodePlan::compile(&schemas, &Wanted::default())));
    let province = province(1);
    let (from, to) = (at("2026-06-01T09:00:00+07:00"), at("2026-06-01T09:20:00+07:00"));
    let mut stream = province.events(from, to).unwrap();
    let mut arrival = Arrival::default();
    let mut rejected: BTreeMap<String, u64> = BTreeMap::new();
    let mut before = from;
    while stream.next(&mut arrival).unwrap() {
        assert!(before <= arrival.at && arrival.at < to, "in order");
        before = arrival.at;
        match decoder.decode(&arrival.bytes) {
            Ok(event) => {
                assert!(!arrival.broken, "{}", String::from_utf8_lossy(&arrival.bytes));
                assert_eq!(event.source, arrival.source);
                assert_eq!(event.subject.unwrap_or(event.source), arrival.key);
            }
            Err(refused) => {
                assert!(arrival.broken, "{refused}: {}", String::from_utf8_lossy(&arrival.bytes));
                *rejected.entry(refused.reason.name().to_owned()).or_default() += 1;
            }
        }
    }
    let tally = stream.tally;
    let counted: BTreeMap<String, u64> = tally.malformed.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect();
    assert_eq!(counted, rejected);
    assert_eq!(tally.by_type.len(), 13, "{:?}", tally.by_type);
    assert!((36.0..44.0).contains(&(tally.records as f64 / 1_200.0)), "{}", tally.records);
    let share = |n: u64| n as f64 / tally.records as f64;
    assert!((0.008..0.012).contains(&share(tally.malformed.values().sum())));
    assert!((0.008..0.012).contains(&share(tally.doubled.values().sum())));
}

#[test]
fn a_day_has_its_faults_and_they_keep_apart() {
    for seed in 1..30 {
        let province = province(seed);
        let day = plan::local(at("2026-06-01T12:00:00+07:00")).0;
        let faults = province.plan(day..day + 1).faults;
        let mut kinds: Vec<FaultKind> = faults.iter().map(|f| f.kind).collect();
        kinds.dedup();
        assert_eq!((kinds, faults.len()), (FaultKind::ALL.to_vec(), 7));
        let (from, to) = (plan::midnight(day), plan::midnight(day + 1));
        let mut sites: Vec<usize> = faults.iter().flat_map(|f| f.sites.iter().chain(&f.upstream).copied()).collect();
        let all = sites.len();
        sites.sort_unstable();
        sites.dedup();
        assert_eq!(sites.len(), all);
        assert!(faults.iter().all(|f| from <= f.from && f.from < f.to && f.to + Span::hours(3) <= to + Span::hours(3)));
        let gateway = faults.iter().find(|f| f.kind == FaultKind::Gateway).unwrap();
        assert_eq!(gateway.sites.len(), 30);
        assert!(faults.iter().filter(|f| f.kind == FaultKind::Flood).all(|f| f.upstream.len() == 3));
    }
}
