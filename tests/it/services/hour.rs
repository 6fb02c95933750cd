//! The recorded hour through Kafka into InfluxDB, compared with the embedded log and store and with files.

use super::site::{Site, append, assert_same_rows, ended_and_stored, metric, project, rows};
use super::{run, shared, until};
use ioc::app::{App, Doors, Options};
use ioc::checkpoint::Checkpoints;
use ioc::cli::files;
use ioc::definitions::Definitions;
use ioc::disk::Disk;
use ioc::driver::recover::{self, Refill};
use ioc::engine::setup::MAX_BEHIND;
use ioc::ingest::file::FileReader;
use ioc::ingest::kafka::{Clock, KafkaReader};
use ioc::ingest::log::{NewRecord, partition_of};
use ioc::ingest::mapped::load_map;
use ioc::ingest::reader::{Kind, Reader};
use ioc::journal::{Journal, JournalEntry};
use ioc::settings::{ClockKind, LogKind, StoreKind};
use ioc::store::Store;
use ioc::store::line::{StoredRow, parse_line};
use ioc::store::spool::Spool;
use ioc::telemetry::Telemetry;
use ioc::time::{Span, Timestamp};
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

const MEASUREMENTS: [&str; 4] = ["traffic_area", "traffic_loop", "traffic_queue", "traffic_travel"];
const PARTITIONS: u32 = 4;
const LIMIT: Duration = Duration::from_secs(240);
/// 2025-07-15T00:00:00Z, 07:00 in Gia Nghĩa.
const START: Timestamp = Timestamp::from_seconds(1_752_537_600);

/// Events with their keys, in the order in which they arrived.
fn hour() -> &'static [(String, Vec<u8>)] {
    static HOUR: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    HOUR.get_or_init(|| {
        #[derive(serde::Deserialize)]
        struct Source {
            source: String,
        }
        let map = Arc::new(load_map(&project("pipelines/sumo.map.yaml")).expect("the map"));
        let mut reader = FileReader::open(&project("demo/gia-nghia/events.ndjson.gz"), Some(&map)).expect("the recording");
        let mut events = Vec::new();
        while let Some(line) = reader.current() {
            let source: Source = serde_json::from_slice(line.bytes).expect("an event");
            events.push((source.source, line.bytes.to_vec()));
            reader.advance().expect("the next line");
        }
        events
    })
}

async fn stored(store: &Store) -> BTreeMap<String, StoredRow> {
    let all = rows(store, &MEASUREMENTS, START - Span::hours(1), START + Span::hours(2)).await;
    assert!(all.len() > 1_000, "{} rows", all.len());
    all
}

/// The rows of the embedded log and store, run once.
async fn embedded() -> Vec<String> {
    let mut site = Site::new("embedded", ClockKind::Event);
    (site.settings.log, site.settings.store) = (LogKind::Embedded, StoreKind::Embedded);
    let prepare = |doors: &Doors, _: &mut dyn FnMut(f64)| {
        let Doors::Embedded(log) = doors else { anyhow::bail!("the embedded log is the log") };
        let record = |(key, event): &(String, Vec<u8>)| NewRecord {
            key: Some(key.clone().into()),
            value: event.clone().into(),
            ..NewRecord::default()
        };
        for some in hour().chunks(5_000) {
            log.append_blocking(some.iter().map(record).collect())?;
        }
        Ok(())
    };
    let options = Options { exit_at_end: true, prepare: Some(Box::new(prepare)), ..Options::default() };
    let app = App::start(site.settings.clone(), options).await.expect("it starts");
    ended_and_stored(&app, LIMIT).await;
    let rows = stored(&app.store).await.into_keys().collect();
    app.stop().await.expect("it stops");
    rows
}

/// The last row of each identity of a file run over the same partitions.
fn from_files() -> Vec<String> {
    let dir = tempfile::tempdir().expect("a folder");
    let from: Vec<_> = (0..PARTITIONS).map(|p| dir.path().join(format!("{p}.ndjson"))).collect();
    let mut out: Vec<_> = from.iter().map(|path| std::io::BufWriter::new(std::fs::File::create(path).expect("a file"))).collect();
    for (key, event) in hour() {
        let file = &mut out[partition_of(key.as_bytes(), PARTITIONS) as usize];
        file.write_all(event).and_then(|()| file.write_all(b"\n")).expect("a line");
    }
    drop(out);
    let definitions = Definitions::read(&project("pipelines"), Some(&project("schemas")), Some(&project("registry"))).expect("definitions");
    let results = dir.path().join("out");
    let arguments = files::Arguments { definitions, map: None, from, out: results.clone(), threads: 2, checkpoints: None, quiet: true };
    files::run_files(arguments).expect("a file run");
    last_rows(&std::fs::read(results.join("rows.lp")).expect("rows.lp")).into_values().map(|row| row.canonical()).collect()
}

fn last_rows(lines: &[u8]) -> BTreeMap<(Vec<u8>, Timestamp), StoredRow> {
    let rows = lines.split(|b| *b == b'\n').filter_map(parse_line);
    rows.map(|row| ((row.series(), row.start), row)).collect()
}

fn entries(site: &Site) -> Vec<JournalEntry> {
    site.journal().ticks_from(0).collect::<Result<_, _>>().expect("the journal")
}

/// Feeds the journaled ticks again from nothing but journal and log; the rows, all revisions.
fn feed_again(site: &Site) -> Vec<u8> {
    let settings = &site.settings;
    let journal = Journal::open(&settings.data).expect("the journal");
    let reading = journal.reader().expect("a reading end");
    let empty = Checkpoints::open(Disk::Real, &site.folder().join("empty")).expect("a folder");
    let definitions = Definitions::read(&settings.pipelines, Some(&settings.schemas), Some(&settings.registry)).expect("definitions");
    let setup = Arc::new(definitions.compile(Some(MAX_BEHIND)).expect("a setup"));
    let mut start = recover::load(&reading, journal.last_tick(), &empty.reader(), &definitions, &setup).expect("a start");
    assert_eq!((start.next, start.names.len()), (0, PARTITIONS as usize));
    let kafka = ioc::ingest::kafka::KafkaSettings { group: format!("again-{}", settings.kafka.group), ..site.kafka() };
    let opened = KafkaReader::open(&kafka, &ioc::app::topic_settings(settings), start.offsets()).expect("a reader");
    let mut reader = Reader::new(Kind::Kafka(Box::new(opened)), &start.names).expect("a reader");
    let spool = Spool::open(Disk::Real, &site.folder().join("spool again"), 1 << 30).expect("a spool");
    let telemetry = Telemetry::default();
    let mut rejected = ioc::store::rejected::RejectedStore::open(&site.folder().join("empty")).expect("refused records have a file");
    let mut late = ioc::store::late::LateStore::open(&site.folder().join("empty")).expect("late records have a file");
    let mut kept = ioc::server::history::KeptAlerts::open(&site.folder().join("empty")).expect("alerts have a file");
    let mut refill = Refill { spool: &spool, telemetry: &telemetry, rejected: &mut rejected, late: &mut late, kept: &mut kept };
    let next = recover::feed(&mut start, &reading, &mut reader, &mut refill, &mut |_| ()).expect("all ticks are fed again");
    assert_eq!(Some(next), journal.last_tick().map(|last| last + 1));
    assert!(telemetry.render().contains("\nioc_diverged_ticks_total 0\n"), "alert changes are those of the journal");
    let mut lines = Vec::new();
    while let Some(batch) = spool.take(5_000, 8 << 20).expect("a batch") {
        lines.extend(batch.lines);
        spool.ack(batch.last).expect("acknowledged");
    }
    lines
}

/// `rows.lp` of `ioc replay` over all that there is: a run's hour is done as fast as it can be computed, and kept from its beginning.
fn replayed(site: &Site) -> Vec<u8> {
    let oldest = entries(site).first().expect("a first tick").tick.time.to_string();
    let out = site.folder().join("replayed");
    let done = site.program(&["replay", "--from", &oldest, "--out", &out.display().to_string()]).output().expect("ioc runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let alerts = std::fs::read_to_string(out.join("alerts.ndjson")).expect("alerts.ndjson");
    assert_eq!(alerts.lines().count(), entries(site).iter().map(|e| e.alerts.len()).sum::<usize>());
    std::fs::read(out.join("rows.lp")).expect("rows.lp")
}

/// R3: values equal the embedded run's and the file run's; history equals itself when the journal is fed again (D2).
#[test]
fn the_recorded_hour_through_kafka_and_influxdb_gives_the_same_rows_and_history() {
    let _servers = shared();
    let site = Site::new("hour", ClockKind::Event);
    site.make_topic(Clock::Event, PARTITIONS as i32);
    let found = run(async {
        let doors = ioc::app::open_kafka_door(&site.settings).expect("a door");
        append(&doors, hour()).await;
        let app = site.start(true).await;
        ended_and_stored(&app, LIMIT).await;
        let found = stored(&app.store).await;
        assert_eq!(metric(&app, "ioc_records_total", "pipeline=\"traffic_loop\"") as usize, hour().len());
        app.stop().await.expect("it stops");
        let expected = embedded().await;
        assert_same_rows("Kafka and InfluxDB against the embedded run", found.keys(), &expected);
        found
    });
    let files: std::collections::BTreeSet<String> = from_files().into_iter().collect();
    assert_same_rows("Kafka and InfluxDB against files", found.keys(), &files);

    let firing = entries(&site).iter().flat_map(|e| &e.alerts).filter(|c| c.to == ioc::engine::Condition::Firing).count();
    assert!(firing > 0, "the block is found");
    let fed = feed_again(&site);
    assert!(replayed(&site) == fed, "`ioc replay` of the hour has other rows than the journal fed again");
    let again = last_rows(&fed);
    assert_eq!(again.len(), found.len());
    for row in again.values() {
        let of = &found[&row.canonical()];
        assert_eq!((row.revision, row.state), (of.revision, of.state), "{}", row.canonical());
    }
}

/// D4, and a restart in the middle.
#[test]
fn a_second_member_joins_and_leaves_in_mid_run_and_the_values_are_the_same() {
    let _servers = shared();
    let site = Site::new("member", ClockKind::Event);
    site.make_topic(Clock::Event, PARTITIONS as i32);
    run(async {
        let (first, rest) = hour().split_at(hour().len() / 3);
        let (second, third) = rest.split_at(rest.len() / 2);
        let app = site.start(false).await;
        append(&app.doors, first).await;
        let read = async |n: usize| metric(&app, "ioc_records_total", "pipeline=\"traffic_loop\"") as usize >= n;
        until(LIMIT, "half of the first third is read", async || read(first.len() / 2).await).await;
        let group = &site.settings.kafka.group;
        let other: BaseConsumer = site.client().set("group.id", group).set("auto.offset.reset", "earliest").create().expect("a member");
        other.subscribe(&[&site.topic]).expect("it subscribes");
        let taken = || {
            let _ = other.poll(Duration::from_millis(5));
            other.assignment().is_ok_and(|list| list.count() == 2)
        };
        until(LIMIT, "the other member has two partitions", async || tokio::task::block_in_place(taken)).await;
        append(&app.doors, second).await;
        until(LIMIT, "the page says that a partition cannot be read", async || {
            tokio::task::block_in_place(taken);
            metric(&app, "ioc_partition_lag_records", "") > 0.0 && !read(first.len() + second.len()).await
        })
        .await;
        tokio::task::block_in_place(|| drop(other));
        until(LIMIT, "two thirds are read", async || read(first.len() + second.len()).await).await;
        app.stop().await.expect("it stops");

        let doors = ioc::app::open_kafka_door(&site.settings).expect("a door");
        append(&doors, third).await;
        let app = site.start(true).await;
        ended_and_stored(&app, LIMIT).await;
        assert_eq!(metric(&app, "ioc_records_total", "pipeline=\"traffic_loop\"") as usize, hour().len(), "nothing lost, nothing twice");
        assert_eq!(metric(&app, "ioc_lost_records_total", ""), 0.0);
        let found = stored(&app.store).await;
        app.stop().await.expect("it stops");
        let expected = embedded().await;
        assert_same_rows("with a second member", found.keys(), &expected);
    });
}
