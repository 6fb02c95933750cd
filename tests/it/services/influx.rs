//! The InfluxDB store on a real server.

use super::{run, shared, variable};
use ioc::disk::Disk;
use ioc::store::influx::{Influx, InfluxConfig};
use ioc::store::{Store, Stored, conformance};
use ioc::time::Timestamp;
use std::path::Path;
use std::time::Duration;

async fn influx(bucket: &str, folder: &Path) -> Influx {
    let (url, org, token) = (variable("IOC_TEST_INFLUX"), variable("IOC_TEST_INFLUX_ORG"), variable("IOC_TEST_INFLUX_TOKEN"));
    let bucket = format!("{bucket}-{}", std::process::id());
    let config = InfluxConfig::new(&url, &org, &bucket, &token, folder.join("dead-letters"));
    let influx = Influx::new(Disk::Real, config).expect("a client");
    influx.create_bucket(Duration::ZERO).await.expect("a bucket");
    influx.create_bucket(Duration::ZERO).await.expect("the same bucket again");
    influx
}

#[test]
fn influxdb_passes_the_cases_of_every_store() {
    let _servers = shared();
    let dir = tempfile::tempdir().expect("a folder");
    run(async {
        let store = Store::Influx(Box::new(influx("conformance", dir.path()).await));
        conformance::run(&store, "conformance").await.expect("all cases");
    });
}

#[test]
fn a_line_that_does_not_parse_and_one_of_another_type_hold_up_no_other() {
    let _servers = shared();
    let dir = tempfile::tempdir().expect("a folder");
    run(async {
        let influx = influx("lines", dir.path()).await;
        let good = |n: i64| format!("m,s=a x={n},revision=0i,state=\"final\" {}\n", n * 1_000_000_000);
        assert_eq!(influx.write(good(1).as_bytes()).await.expect("written"), Stored { rows: 1, refused: 0 });
        let mut lines: Vec<String> = (2..200).map(good).collect();
        lines.insert(50, "m,s=a x=,y 9\n".into());
        lines.insert(120, "m,s=a x=\"text\" 500000000000\n".into());
        assert_eq!(influx.write(lines.concat().as_bytes()).await.expect("written"), Stored { rows: 198, refused: 2 });
        let rows = influx.rows("m", Timestamp(0), Timestamp::from_seconds(1000)).await.expect("rows");
        assert_eq!(rows.len(), 199);
        let kept = std::fs::read_to_string(dir.path().join("dead-letters")).expect("dead letters");
        let [why_parse, unparsable, why_type, conflicting] = &kept.lines().collect::<Vec<_>>()[..] else { panic!("{kept}") };
        assert!(why_parse.starts_with("# 400") && why_parse.contains("unable to parse"), "{why_parse}");
        assert_eq!(*unparsable, "m,s=a x=,y 9");
        assert!(why_type.starts_with("# 422") && why_type.contains("field type conflict"), "{why_type}");
        assert_eq!(*conflicting, "m,s=a x=\"text\" 500000000000");
        assert_eq!((influx.figures().refused, influx.health().await.well), (2, true));
    });
}
