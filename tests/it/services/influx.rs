//! The InfluxDB store on a real server.

use super::{SOON, run, shared, until, variable};
use ioc::disk::Disk;
use ioc::store::influx::{Influx, InfluxConfig};
use ioc::store::{Store, Stored, conformance};
use ioc::time::Timestamp;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
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

/// An InfluxDB of its own that nobody has set up; ended when this is dropped.
struct Empty {
    server: Child,
    url: String,
}

impl Empty {
    fn start(folder: &Path) -> Empty {
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its number").port();
        let path = |name: &str| folder.join(name).display().to_string();
        let address = format!("127.0.0.1:{port}");
        let server = Command::new(variable("IOC_TEST_INFLUXD"))
            .args(["--http-bind-address", &address, "--reporting-disabled", "--log-level", "error"])
            .args(["--bolt-path", &path("bolt"), "--sqlite-path", &path("sqlite"), "--engine-path", &path("engine")])
            .stdout(Stdio::null())
            .spawn()
            .expect("influxd starts");
        Empty { server, url: format!("http://{address}") }
    }
}

impl Drop for Empty {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn ioc(url: &str, folder: &Path, words: &[&str]) -> (i32, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_ioc"))
        .args(words)
        .current_dir(folder)
        .env_clear()
        .envs([("IOC_STORE", "influx"), ("IOC_INFLUX_URL", url), ("IOC_INFLUX_ORG", "ubnd"), ("IOC_INFLUX_BUCKET", "rows")])
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .envs(std::fs::read_to_string(folder.join("token")).ok().map(|token| ("IOC_INFLUX_TOKEN", token)))
        .output()
        .expect("ioc runs");
    (done.status.code().unwrap_or(-1), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
}

#[test]
fn an_empty_influxdb_is_set_up_by_one_command() {
    let dir = tempfile::tempdir().expect("a folder");
    let empty = Empty::start(dir.path());
    run(async {
        let answers = async || reqwest::get(format!("{}/health", empty.url)).await.is_ok_and(|answer| answer.status().is_success());
        until(SOON, "InfluxDB answers", answers).await;
    });
    let ioc = |words: &[&str]| ioc(&empty.url, dir.path(), words);
    let (code, said) = ioc(&["doctor"]);
    assert!(code == 1 && said.contains("`ioc store setup`"), "{said}");

    let (code, said) = ioc(&["store", "setup", "--retention", "730d"]);
    assert_eq!(code, 0, "{said}");
    let token = said.lines().find_map(|line| line.strip_prefix("token = \"")?.strip_suffix('"')).expect("a token is shown");
    assert!(said.contains("password of admin"), "{said}");

    let (code, said) = ioc(&["store", "setup"]);
    assert!(code == 2 && said.contains("was set up before, and no token is given"), "{said}");
    std::fs::write(dir.path().join("token"), token).expect("kept");
    let (code, said) = ioc(&["store", "setup"]);
    assert!(code == 0 && said.contains("bucket rows of ubnd is there") && !said.contains(token), "{said}");
    let (_, said) = ioc(&["doctor"]);
    assert!(said.lines().any(|line| line.starts_with("ok    store")), "{said}");

    run(async {
        let config = InfluxConfig::new(&empty.url, "ubnd", "rows", token, dir.path().join("dead-letters"));
        let influx = Influx::new(Disk::Real, config).expect("a client");
        // without a time InfluxDB takes its own: now, which the retention keeps
        assert_eq!(influx.write(b"m,s=a x=1,revision=0i,state=\"final\"\n").await.expect("written"), Stored { rows: 1, refused: 0 });
    });
}
