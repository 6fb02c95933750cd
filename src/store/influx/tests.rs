//! The InfluxDB writer and reader against servers that misbehave. Real servers are met in `tests/it`.

use super::*;
use crate::store::TrendQuery;
use crate::time::Timestamp;
use std::collections::VecDeque;
use std::io::Read as _;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How the stub answers one request.
#[derive(Clone, Debug)]
enum Behaviour {
    Status(u16, &'static str, &'static str),
    /// Closes the connection without an answer.
    Cut,
    /// Announces more than it sends.
    CutInBody(&'static str),
    /// Never answers.
    Freeze,
    /// As InfluxDB 2.7: 400 for the whole where a line holds "unparsable", 422 where one holds "conflict" (others written), 413 above so many
    /// lines, else 204.
    Judge {
        most_lines: usize,
    },
}

struct Stub {
    url: String,
    /// Lines written, in order; each request's text.
    seen: Arc<Mutex<(Vec<String>, Vec<String>)>>,
}

async fn stub(script: Vec<Behaviour>, then: Behaviour) -> Stub {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen: Arc<Mutex<(Vec<String>, Vec<String>)>> = Arc::default();
    let (shared, mut script) = (seen.clone(), VecDeque::from(script));
    tokio::spawn(async move {
        let mut frozen = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let (head, body) = read_request(&mut stream).await;
            let behaviour = script.pop_front().unwrap_or(then.clone());
            shared.lock().unwrap().1.push(head);
            let (status, header, answer) = match behaviour {
                Behaviour::Status(status, header, body) => (status, header, body.to_owned()),
                Behaviour::Cut => continue,
                Behaviour::CutInBody(part) => {
                    let text = format!("HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 9999\r\n\r\n{part}");
                    stream.write_all(text.as_bytes()).await.unwrap();
                    continue;
                }
                Behaviour::Freeze => {
                    frozen.push(stream);
                    continue;
                }
                Behaviour::Judge { most_lines } => judge_lines(&body, most_lines, &mut shared.lock().unwrap().0),
            };
            let text = format!("HTTP/1.1 {status} X\r\n{header}Connection: close\r\nContent-Length: {}\r\n\r\n{answer}", answer.len());
            // a client that gave up is no trouble of the server
            let _ = stream.write_all(text.as_bytes()).await;
        }
    });
    Stub { url, seen }
}

async fn read_request(stream: &mut TcpStream) -> (String, String) {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let n = stream.read(&mut piece).await.unwrap_or(0);
        bytes.extend_from_slice(&piece[..n]);
        let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else { if n == 0 { return Default::default() } else { continue } };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")).map_or(0, |l| l.trim().parse().unwrap());
        if bytes.len() < end + 4 + length {
            if n == 0 { return Default::default() } else { continue }
        }
        let body = &bytes[end + 4..];
        let mut text = String::new();
        if head.contains("content-encoding: gzip") {
            flate2::read::GzDecoder::new(body).read_to_string(&mut text).unwrap();
        } else {
            text = String::from_utf8_lossy(body).into_owned();
        }
        return (head, text);
    }
}

fn judge_lines(body: &str, most_lines: usize, written: &mut Vec<String>) -> (u16, &'static str, String) {
    if body.lines().count() > most_lines {
        return (413, "", String::new());
    }
    if let Some(bad) = body.lines().find(|l| l.contains("unparsable")) {
        return (400, "", format!("{{\"code\":\"invalid\",\"message\":\"unable to parse '{bad}': missing fields\"}}"));
    }
    written.extend(body.lines().filter(|l| !l.contains("conflict")).map(str::to_owned));
    match body.lines().filter(|l| l.contains("conflict")).count() {
        0 => (204, "", String::new()),
        n => (
            422,
            "",
            format!("{{\"code\":\"unprocessable entity\",\"message\":\"partial write: field type conflict: input field x dropped={n}\"}}"),
        ),
    }
}

fn influx(disk: &Disk, url: &str) -> Influx {
    let mut config = InfluxConfig::new(url, "ioc", "b", "secret-token", "/data/dead-letters.lp".into());
    config.pauses = (Duration::from_millis(1), Duration::from_millis(4));
    config.slow_pause = Duration::from_millis(1);
    Influx::new(disk.clone(), config).unwrap()
}

fn lines(names: &[&str]) -> Vec<u8> {
    names.iter().enumerate().map(|(i, name)| format!("m,s={name} x=1 {i}\n")).collect::<String>().into_bytes()
}

fn dead_letters(disk: &Disk) -> String {
    disk.read(Path::new("/data/dead-letters.lp")).map_or(String::new(), |b| String::from_utf8(b).unwrap())
}

#[tokio::test]
async fn bad_lines_are_isolated_and_the_rest_is_written() {
    let disk = Disk::memory();
    let stub = stub(vec![], Behaviour::Judge { most_lines: 6 }).await;
    let influx = influx(&disk, &stub.url);
    let names = ["a", "unparsable-1", "b", "c", "conflict-1", "d", "e", "f", "unparsable-2"];
    let stored = influx.write(&lines(&names)).await.unwrap();
    assert_eq!((stored.rows, stored.refused), (6, 3));
    let mut written = stub.seen.lock().unwrap().0.clone();
    written.dedup();
    let good: Vec<_> = names.iter().enumerate().filter(|(_, n)| n.len() == 1).map(|(i, n)| format!("m,s={n} x=1 {i}")).collect();
    let mut distinct = written.clone();
    distinct.sort_by_key(|l| l.rsplit(' ').next().unwrap().parse::<usize>().unwrap());
    distinct.dedup();
    assert_eq!(distinct, good);
    disk.crash(|_, _| 0);
    let kept = dead_letters(&disk);
    assert_eq!(kept.lines().filter(|l| !l.starts_with('#')).count(), 3, "{kept}");
    assert!(kept.contains("# 400 unable to parse") && kept.contains("# 422 partial write: field type conflict"), "{kept}");
    assert_eq!(influx.figures().refused, 3);
    let head = stub.seen.lock().unwrap().1[0].clone();
    assert!(
        head.contains("post /api/v2/write?org=ioc&bucket=b&precision=ns") && head.contains("authorization: token secret-token"),
        "{head}"
    );
}

#[tokio::test]
async fn what_may_pass_is_tried_again_in_order() {
    let disk = Disk::memory();
    let busy = |status| Behaviour::Status(status, "Retry-After: 0\r\n", "{\"code\":\"unavailable\",\"message\":\"busy\"}");
    let script = vec![
        busy(503),
        Behaviour::Cut,
        busy(429),
        busy(500),
        Behaviour::Status(401, "", "{\"code\":\"unauthorized\",\"message\":\"unauthorized access\"}"),
    ];
    let stub = stub(script, Behaviour::Judge { most_lines: usize::MAX }).await;
    let influx = influx(&disk, &stub.url);
    let stored = influx.write(&lines(&["a", "b"])).await.unwrap();
    assert_eq!((stored.rows, influx.figures().retries), (2, 5));
    assert_eq!(stub.seen.lock().unwrap().0, ["m,s=a x=1 0", "m,s=b x=1 1"]);
    assert_eq!(dead_letters(&disk), "");
}

#[tokio::test]
async fn a_frozen_server_holds_nobody() {
    let stub = stub(vec![Behaviour::Freeze, Behaviour::Freeze], Behaviour::Judge { most_lines: usize::MAX }).await;
    let mut influx = influx(&Disk::memory(), &stub.url);
    influx.config.time_limit = Duration::from_millis(30);
    influx.http = reqwest::Client::builder().timeout(influx.config.time_limit).build().unwrap();
    let health = influx.health().await;
    assert!(!health.well && health.text.contains("did not answer within 30ms"), "{}", health.text);
    assert_eq!(influx.write(&lines(&["a"])).await.unwrap().rows, 1);
    assert_eq!(influx.figures().retries, 1);
}

#[tokio::test]
async fn a_wrong_token_says_what_to_do_until_it_is_mended() {
    let wrong = Behaviour::Status(401, "", "{\"code\":\"unauthorized\",\"message\":\"unauthorized access\"}");
    let stub = stub(vec![wrong], Behaviour::Status(200, "", "{\"name\":\"influxdb\",\"status\":\"pass\",\"version\":\"v2\"}")).await;
    let mut influx = influx(&Disk::memory(), &stub.url);
    influx.config.slow_pause = Duration::from_secs(3600);
    let data = lines(&["a"]);
    // the write waits for a person; meanwhile health tells why
    tokio::select! {
        _ = influx.write(&data) => panic!("the token is wrong"),
        () = async { while influx.figures().retries == 0 { tokio::task::yield_now().await } } => {}
    }
    let health = influx.health().await;
    assert!(!health.well && health.text.contains("set influxdb.token"), "{}", health.text);
    influx.write(&data).await.unwrap();
    assert!(influx.health().await.well);
}

#[tokio::test]
async fn an_answer_cut_in_the_middle_is_an_error() {
    let stub = stub(vec![], Behaviour::CutInBody("#datatype,string,long,dateTime:RFC3339,double\r\n")).await;
    let influx = influx(&Disk::memory(), &stub.url);
    let query = TrendQuery { measurement: "m".into(), tags: vec![], field: "x".into(), from: Timestamp(0), to: Timestamp(9) };
    let error = influx.trend(&query).await.unwrap_err().to_string();
    assert!(error.contains("cut in the middle"), "{error}");
}

#[test]
fn addresses_are_checked() {
    let new = |url: &str| Influx::new(Disk::memory(), InfluxConfig::new(url, "o", "b", "t", "/d".into())).err().map(|e| e.to_string());
    assert_eq!(new("http://127.0.0.1:8086/"), None);
    for (url, says) in [("127.0.0.1:8086", "looks like"), ("ftp://x", "http://"), ("http://x/influx", "path")] {
        assert!(new(url).is_some_and(|e| e.contains(says) && e.contains(url)), "{url}: {:?}", new(url));
    }
    assert_eq!(new("https://x").is_some_and(|e| e.contains("--features tls")), !cfg!(feature = "tls"));
}

#[test]
fn flux_strings_are_never_code() {
    for (text, flux) in
        [("a", "\"a\""), ("a\"b", "\"a\\\"b\""), ("\\", "\"\\\\\""), ("${x}", "\"\\x24{x}\""), ("x\ny", "\"x\\ny\""), ("đ", "\"đ\"")]
    {
        assert_eq!(flux_string(text), flux);
    }
}
