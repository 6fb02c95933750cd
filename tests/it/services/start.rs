//! What a start refuses, and what it says was lost.

use super::live::{PIPELINE, event};
use super::site::{Site, append, delete_below, metric};
use super::{SOON, run, shared, until};
use ioc::app::App;
use ioc::driver::wall_clock;
use ioc::ingest::kafka::Clock;
use ioc::settings::ClockKind;
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

/// D1: who would not know when a record arrived does not start.
#[test]
fn a_topic_with_the_producers_times_is_refused_with_the_command_that_mends_it() {
    let _servers = shared();
    let site = Site::new("create-time", ClockKind::Broker);
    site.make_topic(Clock::Event, 1);
    run(async {
        let app = site.start(false).await;
        until(SOON, "it ends by itself", async || app.ended()).await;
        let error = format!("{:#}", app.stop().await.expect_err("it is refused"));
        assert!(error.contains(&format!("`ioc topics create {}`", site.topic)) && error.contains("clock = \"event\""), "{error}");
    });
}

#[test]
fn a_missing_topic_is_refused_with_the_command_that_makes_it() {
    let _servers = shared();
    let site = Site::new("missing", ClockKind::Broker);
    run(async {
        let app = site.start(false).await;
        until(SOON, "it ends by itself", async || app.ended()).await;
        let error = format!("{:#}", app.stop().await.expect_err("it is refused"));
        assert!(error.contains(&format!("`ioc topics create {}`", site.topic)), "{error}");
    });
}

fn events(from: usize, to: usize) -> Vec<(String, Vec<u8>)> {
    (from..to).map(|n| ("s".to_owned(), event("s", n, wall_clock(), n as f64))).collect()
}

async fn read_to(app: &App, offset: f64) {
    until(LIMIT, "all is read", async || {
        metric(app, "ioc_partition_offset", "") == offset && metric(app, "ioc_partition_lag_records", "") == 0.0
    })
    .await;
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}

/// D1: stated with range, counted, and reading goes on; also where nothing came after them, and when the journal is fed again.
#[test]
fn records_deleted_before_they_were_read_are_journaled_and_counted() {
    let _servers = shared();
    let site = Site::with_pipeline("deleted", PIPELINE);
    site.make_topic(Clock::Broker, 1);
    let (checkpoints, kept) = (site.settings.data.join("checkpoints"), site.folder().join("checkpoints then"));
    run(async {
        let app = site.start(false).await;
        append(&app.doors, &events(0, 1000)).await;
        read_to(&app, 1000.0).await;
        app.stop().await.expect("it stops");
        copy(&checkpoints, &kept);

        let doors = ioc::app::open_kafka_door(&site.settings).expect("a door");
        append(&doors, &events(1000, 2000)).await;
        delete_below(&site, 0, 1500).await;
        let app = site.start(false).await;
        read_to(&app, 2000.0).await;
        assert_eq!(metric(&app, "ioc_lost_records_total", ""), 500.0);
        append(&app.doors, &events(2000, 2010)).await;
        read_to(&app, 2010.0).await;
        app.stop().await.expect("it stops");
        assert_eq!(site.losses(), [(0, 1000, 1500)]);

        // as if killed before its checkpoints: the ticks are fed again over the same hole, and nothing is said twice
        std::fs::remove_dir_all(&checkpoints).expect("they go");
        copy(&kept, &checkpoints);
        append(&doors, &events(2010, 2020)).await;
        let app = site.start(false).await;
        read_to(&app, 2020.0).await;
        assert_eq!(metric(&app, "ioc_diverged_ticks_total", ""), 0.0);
        app.stop().await.expect("it stops");
        assert_eq!(site.losses(), [(0, 1000, 1500)]);

        // nothing is left after the deleted ones: time goes on all the same
        append(&doors, &events(2020, 2030)).await;
        delete_below(&site, 0, 2030).await;
        let app = site.start(false).await;
        until(LIMIT, "it is live", async || metric(&app, "ioc_live", "") == 1.0 && metric(&app, "ioc_lost_records_total", "") == 10.0)
            .await;
        append(&app.doors, &events(2030, 2040)).await;
        read_to(&app, 2040.0).await;
        app.stop().await.expect("it stops");
        assert_eq!(site.losses(), [(0, 1000, 1500), (0, 2020, 2030)]);
    });
}
