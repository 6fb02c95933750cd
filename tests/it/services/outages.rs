//! Kafka and InfluxDB killed and frozen while events come in.

use super::live::{Feed, assert_all_arrived, assert_each_fired_once, fires, site};
use super::site::{acknowledge, alerts, metric, watch};
use super::{Frozen, Killed, SOON, alone, outage, run, until};
use ioc::app::App;
use ioc::server::wire::{self, AlertView};
use ioc::time::Span;
use std::process::Command;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(180);

/// Takes a server away, does `meanwhile` again and again until the outage is over, brings it back.
async fn without<G: Send + 'static>(away: impl FnOnce() -> G + Send + 'static, mut meanwhile: impl AsyncFnMut()) {
    let guard = tokio::task::spawn_blocking(away).await.expect("the server is away");
    let began = Instant::now();
    while began.elapsed() < outage() {
        meanwhile().await;
    }
    tokio::task::spawn_blocking(|| drop(guard)).await.expect("the server is back");
}

/// D3: rows wait, alerts do not.
#[test]
fn a_dead_influxdb_delays_no_alert_and_gets_every_row_once() {
    let _servers = alone();
    let site = site("influx-away");
    let raised = run(async {
        let app = site.start(false).await;
        let (feed, mut socket) = (Feed::start(&app), watch(&app).await);
        // the first records of a fresh broker take seconds to come: that is no delay of alerts
        until(SOON, "the feed is read", async || metric(&app, "ioc_records_total", "accepted") > 0.0).await;
        let mut raised = 0;
        let mut delays = Vec::new();
        let mut alarm = async || {
            let source = format!("alarm-{raised}");
            raised += 1;
            feed.raise(&source);
            delays.push(fires(&mut socket, &source, SOON).await.1);
        };
        alarm().await;
        without(|| Killed::now("influxdb"), &mut alarm).await;
        until(LIMIT, "the rows are taken", async || app.spool().figures().waiting_ticks == 0).await;
        let before = metric(&app, "ioc_spool_waiting_bytes", "");
        without(
            || Frozen::now("influxdb"),
            async || {
                alarm().await;
                assert!(metric(&app, "ioc_spool_waiting_bytes", "") >= before);
            },
        )
        .await;
        delays.sort();
        eprintln!("{} alerts without InfluxDB: p50 {}, greatest {}", delays.len(), delays[delays.len() / 2], delays[delays.len() - 1]);
        assert!(delays.iter().all(|d| *d < Span::seconds(1)), "from the window's end to the frame: {delays:?}");
        assert_all_arrived(&app, &feed.stop().await, LIMIT).await;
        app.stop().await.expect("it stops");
        raised
    });
    assert_eq!(assert_each_fired_once(&site), raised);
}

async fn readiness(app: &App) -> (u16, String) {
    let answer = reqwest::get(format!("http://{}/readyz", app.address)).await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a text"))
}

/// Acknowledges while Kafka is away: it works, at once.
async fn acknowledged(app: &App, alert: &AlertView) {
    let (status, took) = acknowledge(app, alert).await;
    assert_eq!(status, 200, "after {took:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    let of = alerts(app).await.into_iter().find(|a| a.id == alert.id).expect("it is still there");
    assert_eq!(of.handling, wire::Handling::Acknowledged);
}

/// D1, D2.
#[test]
fn a_dead_kafka_loses_nothing_and_stops_nobody_from_acknowledging() {
    let _servers = alone();
    let site = site("kafka-away");
    run(async {
        let app = site.start(false).await;
        let feed = Feed::start(&app);
        for round in 0..2 {
            let (mut socket, source) = (watch(&app).await, format!("alarm-{round}"));
            feed.raise(&source);
            let (alert, _) = fires(&mut socket, &source, LIMIT).await;
            let mut pending = Some(alert);
            let meanwhile = async || {
                if readiness(&app).await.0 == 503
                    && let Some(alert) = pending.take()
                {
                    acknowledged(&app, &alert).await;
                }
                assert!(!alerts(&app).await.is_empty());
            };
            match round {
                0 => without(|| Killed::now("kafka"), meanwhile).await,
                _ => without(|| Frozen::now("kafka"), meanwhile).await,
            }
            assert!(pending.is_none(), "it was never said that nothing can be read");
            until(LIMIT, "it is ready again", async || readiness(&app).await.0 == 200).await;
        }
        let mut socket = watch(&app).await;
        feed.raise("alarm-last");
        fires(&mut socket, "alarm-last", LIMIT).await;
        assert_all_arrived(&app, &feed.stop().await, LIMIT).await;
        app.stop().await.expect("it stops");
    });
    assert_eq!(assert_each_fired_once(&site), 3);
}

/// The page, the old alerts and acknowledging are there before Kafka is.
#[test]
fn a_start_without_kafka_shows_and_acknowledges_what_there_is_and_reads_on_when_it_comes() {
    let _servers = alone();
    let site = site("late-kafka");
    run(async {
        let app = site.start(false).await;
        let (feed, mut socket) = (Feed::start(&app), watch(&app).await);
        feed.raise("alarm-0");
        let (alert, _) = fires(&mut socket, "alarm-0", LIMIT).await;
        let (mut sent, mut count) = feed.stop().await;
        app.stop().await.expect("it stops");

        let killed = tokio::task::spawn_blocking(|| Killed::now("kafka")).await.expect("Kafka is away");
        let app = site.start(false).await;
        until(SOON, "the old alert is shown", async || alerts(&app).await.iter().any(|a| a.id == alert.id)).await;
        until(SOON, "it says why nothing is read", async || readiness(&app).await.1.contains("does not answer")).await;
        let alert = alerts(&app).await.into_iter().find(|a| a.id == alert.id).expect("the alert");
        acknowledged(&app, &alert).await;
        // a stop without Kafka is a clean one too
        app.stop().await.expect("it stops");
        let app = site.start(false).await;
        let kept = async || alerts(&app).await.iter().any(|a| a.handling == wire::Handling::Acknowledged);
        until(SOON, "the act is kept", kept).await;
        app.stop().await.expect("it stops");

        // as if killed before its first checkpoint: the state needs the log, is waited for, and nobody has to wait with it
        std::fs::remove_dir_all(site.settings.data.join("checkpoints")).expect("they go");
        let app = site.start(false).await;
        until(SOON, "it says what it waits for", async || readiness(&app).await.1.contains("does not answer")).await;
        app.stop().await.expect("it stops");
        let app = site.start(false).await;
        tokio::task::spawn_blocking(|| drop(killed)).await.expect("Kafka is back");
        let kept = async || alerts(&app).await.iter().any(|a| a.handling == wire::Handling::Acknowledged);
        until(LIMIT, "the act is fed again", kept).await;
        assert_eq!(metric(&app, "ioc_diverged_ticks_total", ""), 0.0);
        let (feed, mut socket) = (Feed::start(&app), watch(&app).await);
        until(LIMIT, "it is ready", async || readiness(&app).await.0 == 200).await;
        feed.raise("alarm-1");
        fires(&mut socket, "alarm-1", LIMIT).await;
        let (more, more_count) = feed.stop().await;
        sent.extend(more);
        count += more_count;
        assert_all_arrived(&app, &(sent, count), LIMIT).await;
        app.stop().await.expect("it stops");
    });
    assert_eq!(assert_each_fired_once(&site), 2);
}

/// The page does not wait for InfluxDB; the bucket is made when it comes.
#[test]
fn a_start_without_influxdb_is_quick_and_its_rows_arrive_later() {
    let _servers = alone();
    let (there, site) = (site("influx-there"), site("late-influx"));
    run(async {
        let began = Instant::now();
        there.start(false).await.stop().await.expect("it stops");
        let usual = began.elapsed();
        let frozen = tokio::task::spawn_blocking(|| Frozen::now("influxdb")).await.expect("InfluxDB is away");
        let began = Instant::now();
        let app = site.start(false).await;
        let took = began.elapsed();
        assert!(took < usual + Duration::from_secs(3), "{took:?}, {usual:?} with InfluxDB");
        let (feed, mut socket) = (Feed::start(&app), watch(&app).await);
        feed.raise("alarm-0");
        fires(&mut socket, "alarm-0", LIMIT).await;
        tokio::task::spawn_blocking(|| drop(frozen)).await.expect("InfluxDB is back");
        assert_all_arrived(&app, &feed.stop().await, LIMIT).await;
        app.stop().await.expect("it stops");
    });
}

/// SIGTERM ends the program well, even where the broker dies while its group is being left: librdkafka alone waits for ever then, always in
/// a release build, now and then in this one.
#[test]
fn a_kafka_that_dies_while_the_program_stops_does_not_hold_it_up() {
    let _servers = alone();
    let site = site("dying");
    let (mut program, mut said) = site.run_program();
    assert!(said.by_ref().any(|line| line.expect("a line").contains("Kafka: assigned")), "it ended before it had a partition");
    let asked = Command::new("kill").args(["-TERM", &program.id().to_string()]).status().expect("kill runs");
    assert!(asked.success());
    let _killed = Killed::now("kafka");
    let ended = run(async {
        let ends = tokio::task::spawn_blocking(move || said.for_each(drop));
        tokio::time::timeout(SOON, ends).await.is_ok()
    });
    if !ended {
        program.kill().expect("it is killed");
    }
    let status = program.wait().expect("its status");
    assert!(ended && status.success(), "ended in time: {ended}, {status}");
}
