//! What is asked from a terminal, against a whole server in this process: `ioc tail`, `ioc doctor`.

use crate::support::app::Whole;
use ioc::cli::doctor::{Finding, Grade, examine};
use ioc::cli::tail::{Language, SeverityArg, Tail, TailArgs};
use ioc::driver::wall_clock;
use ioc::time::Span;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

const PIPELINE: &str = "pipeline: p
sector: test
from: [t.a]
out_of_orderness: 1s
lateness: 1s
patience: 1s
windows: [{measurement: m, every: 1s, by: [source], fields: {x: max(data.x)}}]
alerts:
  - {alert: hot, on: m, when: x > 5, severity: major, title: {vi: \"Nóng {x} ở {source}\", en: \"Hot {x} at {source}\"}}
  - {alert: warm, on: m, when: x > 2, severity: minor, title: {vi: Ấm, en: Warm}}
";

/// Passes bytes to and fro until it is told to cut all lines.
struct Line {
    address: SocketAddr,
    cut: watch::Sender<u32>,
}

impl Line {
    async fn to(server: SocketAddr) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cut, cuts) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut cuts = cuts.clone();
                cuts.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(server).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Line { address, cut }
    }
}

fn args(token: Option<String>) -> TailArgs {
    TailArgs {
        server: None,
        token,
        severity: SeverityArg::Major,
        sector: vec!["test".into()],
        area: Vec::new(),
        pending: false,
        language: Language::Vi,
        json: false,
    }
}

fn hot(source: &str, ago: i64) -> Value {
    let time = (wall_clock() - Span::seconds(ago)).to_string();
    json!({"specversion": "1.0", "type": "t.a", "source": source, "id": format!("{source}{ago}"), "time": time, "data": {"x": 9}})
}

async fn next(lines: &mut mpsc::UnboundedReceiver<String>) -> String {
    tokio::time::timeout(Duration::from_secs(60), lines.recv()).await.expect("a line in time").expect("a line")
}

/// The protocol of docs/protocol.md: each change once, also over a cut; only what was asked for; a token where one is needed.
#[tokio::test(flavor = "multi_thread")]
async fn tail_shows_each_change_once_over_a_cut() {
    let mut whole = Whole::new(&[("pipelines/p.yaml", PIPELINE)]);
    whole.start().await;
    let line = Line::to(whole.app.as_ref().unwrap().address).await;
    let (out, mut lines) = mpsc::unbounded_channel();
    let mut tail = Tail::new(&format!("http://{}", line.address), args(None), false).unwrap();
    let following = tokio::spawn(async move { tail.run(|line| out.send(line).is_ok()).await });
    whole.send(&[hot("A", 1)]).await;
    let first = next(&mut lines).await;
    assert!(first.contains("Nghiêm trọng  đang diễn ra  Nóng 9 ở A  [test hot]"), "{first}");
    line.cut.send_modify(|n| *n += 1);
    whole.send(&[hot("B", 1)]).await;
    let mut told = Vec::new();
    while !told.iter().any(|line: &String| line.contains("ở B")) {
        told.push(next(&mut lines).await);
    }
    let again = told.iter().filter(|line| line.contains("đang diễn ra") && line.contains("ở A")).count();
    assert_eq!(again, 0, "{told:#?}");
    assert!(told.iter().all(|line| !line.contains("Ấm")), "minor alerts were not asked for: {told:#?}");
    drop(lines);
    whole.send(&[hot("C", 1)]).await;
    tokio::time::timeout(Duration::from_secs(60), following).await.expect("it ends with its reader").unwrap().unwrap();
    whole.stop().await;
}

/// A group stands for its members: what happens elsewhere is not shown.
#[tokio::test(flavor = "multi_thread")]
async fn tail_shows_a_group_by_its_members() {
    const GROUPS: &str = "groups:\n  - {code: \"90\", level: former-district, name_vi: Cũ, name_en: Old, members: [A]}\n";
    const PLACES: &str = "id,type,area\nin,t.a,A\nout,t.a,B\n";
    let areas = ("registry/areas/a.geojson", crate::support::sets::AREAS);
    let files = [("pipelines/p.yaml", PIPELINE), areas, ("registry/areas/groups.yaml", GROUPS), ("registry/sources/s.csv", PLACES)];
    let mut whole = Whole::new(&files);
    whole.start().await;
    let (out, mut lines) = mpsc::unbounded_channel();
    let mut tail = Tail::new(&whole.url(""), TailArgs { area: vec!["90".into()], ..args(None) }, false).unwrap();
    let following = tokio::spawn(async move { tail.run(|line| out.send(line).is_ok()).await });
    whole.send(&[hot("out", 2), hot("in", 2), hot("out", 1), hot("in", 1)]).await;
    let first = next(&mut lines).await;
    assert!(first.contains("ở in"), "{first}");
    drop(lines);
    whole.send(&[hot("in", 0)]).await;
    following.abort();
    whole.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_says_what_to_do_where_it_is_refused() {
    let mut whole = Whole::new(&[("pipelines/p.yaml", PIPELINE)]);
    std::fs::create_dir_all(whole.settings().data).unwrap();
    let new = ioc::server::auth::tokens::NewToken {
        name: "desk".into(),
        role: ioc::server::wire::Role::Viewer,
        areas: vec![],
        sectors: vec![],
        expires: None,
    };
    let (token, _) = ioc::server::auth::tokens::create(&whole.settings().data, new, wall_clock()).unwrap();
    whole.start().await;
    let address = whole.url("");
    let refused = Tail::new(&address, args(None), false).unwrap().run(|_| true).await.unwrap_err().to_string();
    assert!(refused.contains("401") && refused.contains("--token"), "{refused}");
    assert!(Tail::new("https://ioc.example.vn", args(None), false).is_err());
    // with the token it is let in; the first line ends it
    let mut tail = Tail::new(&address, args(Some(token)), false).unwrap();
    let mut heard = None;
    let send = async {
        let client = reqwest::Client::new();
        let (sender, _) = ioc::server::auth::tokens::create(
            &whole.settings().data,
            ioc::server::auth::tokens::NewToken {
                name: "machine".into(),
                role: ioc::server::wire::Role::Source,
                areas: vec![],
                sectors: vec![],
                expires: None,
            },
            wall_clock(),
        )
        .unwrap();
        loop {
            let request = client.post(whole.url("/api/v1/events")).bearer_auth(&sender);
            let request = request.header("content-type", "application/cloudevents+json").body(hot("A", 1).to_string());
            // the file of tokens is looked at every 2 s
            if request.send().await.unwrap().status() == 202 {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    let listen = tail.run(|line| {
        heard = Some(line);
        false
    });
    let (ended, ()) = tokio::join!(listen, send);
    ended.unwrap();
    assert!(heard.unwrap().contains("Nóng 9 ở A"));
    whole.stop().await;
}

fn grade(findings: &[Finding], about: &str) -> (Grade, String) {
    let found = findings.iter().find(|f| f.about == about).unwrap_or_else(|| panic!("nothing about {about}: {findings:#?}"));
    (found.grade, format!("{}; {}", found.found, found.next))
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_names_what_is_wrong_and_the_next_step() {
    let mut whole = Whole::new(&[("pipelines/p.yaml", PIPELINE)]);
    let findings = examine(&whole.settings()).await;
    assert!(findings.iter().all(|f| f.grade != Grade::Fail), "{findings:#?}");
    assert_eq!(grade(&findings, "scenarios").0, Grade::Warn);
    // a server of ours on the port is well; anything else is not
    whole.start().await;
    let address = whole.app.as_ref().unwrap().address;
    let settings = ioc::settings::Settings { listen: address, ..whole.settings() };
    assert_eq!(grade(&examine(&settings).await, "port").0, Grade::Ok);
    whole.stop().await;
    let stranger = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    whole.write("pipelines/p.yaml", &PIPELINE.replace("lateness", "lateless"));
    let settings = ioc::settings::Settings {
        listen: stranger.local_addr().unwrap(),
        store: ioc::settings::StoreKind::Influx,
        influx: ioc::settings::Influx { url: "ftp://nowhere".into(), ..Default::default() },
        ..whole.settings()
    };
    drop(std::thread::spawn(move || stranger.accept().map(drop)));
    let findings = examine(&settings).await;
    let (fail, text) = grade(&findings, "port");
    assert!(fail == Grade::Fail && text.contains("--listen"), "{text}");
    let (fail, text) = grade(&findings, "definitions");
    assert!(fail == Grade::Fail && text.contains("ioc check"), "{text}");
    assert_eq!(grade(&findings, "store").0, Grade::Fail);
}

/// Who reads our output may have gone: that is no fault.
#[test]
fn a_reader_that_has_gone_is_no_fault() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let done =
        std::process::Command::new(env!("CARGO_BIN_EXE_ioc")).args(["schema", "pipeline"]).stdout(writer).output().expect("ioc runs");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.is_empty(), "{:?}: {said}", done.status);
}
