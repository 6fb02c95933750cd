//! The simulated province through the shipped definitions, by the commands as they are typed: simulate → file run → score.

use crate::support::app::Whole;
use ioc::app::Doors;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn ioc(arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_ioc")).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code().is_some_and(|code| code < 2), "ioc {arguments:?}: {told}");
    output
}

/// Plays `faults` into a span and gives the score as JSON.
fn scored(folder: &Path, from: &str, length: &str, faults: &[&str]) -> Value {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (events, truth, out) = (path("events.ndjson"), path("truth.json"), path("out"));
    let mut simulate = vec!["simulate", "--seed", "7", "--from", from, "--for", length, "--to", &events, "--truth", &truth];
    faults.iter().for_each(|fault| simulate.extend(["--fault", fault]));
    ioc(&simulate);
    let definitions = ["--pipelines", "pipelines", "--schemas", "schemas", "--registry", "registry"];
    let run = [
        &["run"],
        &definitions[..],
        &["--map", "pipelines/simulated.map.yaml", "--from", &events, "--out", &out, "--exit-at-end", "--quiet"],
    ];
    ioc(&run.concat());
    let (alerts, summary) = (path("out/alerts.ndjson"), path("out/summary.json"));
    let score = ioc(&["simulate", "--score", "--json", "--truth", &truth, "--alerts", &alerts, "--summary", &summary]);
    serde_json::from_slice(&score.stdout).unwrap()
}

/// Issue's measure, over a short span with the faults moved into it: all found, everything counted exactly, nothing false.
#[test]
fn faults_are_found_and_bad_records_counted_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let score = scored(folder.path(), "2026-06-01T08:00:00+07:00", "75m", &["block@+5m/20m", "clock@+10m/30m"]);
    assert_eq!(score["kinds"]["block"]["found"], 1, "{score:#}");
    assert_eq!(score["kinds"]["block"]["missed"].as_array().map(Vec::len), Some(0), "{score:#}");
    assert_eq!(score["false_alerts"].as_array().map(Vec::len), Some(0), "{score:#}");
    for count in score["counts"].as_array().unwrap() {
        assert_eq!(count["expected"], count["counted"], "{score:#}");
    }
}

/// Over HTTP into a running server: every event that is one is in the log when the command ends; what is none was refused at the door.
#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_takes_the_province_over_http() {
    const PIPELINE: &str = "pipeline: p\nsector: test\nfrom: [rain.gauge]\nout_of_orderness: 1s\nlateness: 1s\nwindows: [{measurement: m, every: 1m, by: [source], fields: {n: count()}}]\n";
    let mut whole = Whole::new(&[("pipelines/p.yaml", PIPELINE)]);
    whole.start().await;
    let door = whole.url("/api/v1/events");
    let simulate =
        move || ioc(&["simulate", "--seed", "3", "--from", "2026-06-01T08:00:00+07:00", "--for", "1m", "--speed", "max", "--to", &door]);
    let done = tokio::task::spawn_blocking(simulate).await.unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    // "2382 events in 0.1 s; the door refused 17 that are no CloudEvents"
    let numbers = said.split(|c: char| !c.is_ascii_digit() && c != '.').filter_map(|n| n.parse::<u64>().ok()).collect::<Vec<_>>();
    let [sent, refused] = numbers[..] else { panic!("{said}") };
    assert!(done.status.success() && sent > 1_000 && refused > 0, "{said}");
    let Doors::Embedded(log) = &whole.app.as_ref().unwrap().doors else { panic!("the embedded log") };
    assert_eq!(log.end_offsets().iter().sum::<u64>(), sent - refused, "{said}");
    whole.stop().await;
}
