//! One installation of a case: data folder, topic, group, bucket; and what is asked of it over HTTP.

use super::{brokers, until, variable};
use ioc::app::{App, Doors, Options};
use ioc::ingest::kafka::{Clock, KafkaSettings};
use ioc::ingest::topics::{self, TopicPlan};
use ioc::journal::{JournalReader, Note};
use ioc::server::wire::{AlertView, ServerMessage};
use ioc::settings::{ClockKind, LogKind, Settings, StoreKind, TopicFile};
use ioc::store::Store;
use ioc::store::line::StoredRow;
use ioc::time::Timestamp;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

static NUMBER: AtomicU32 = AtomicU32::new(0);

pub struct Site {
    pub settings: Settings,
    pub topic: String,
    dir: tempfile::TempDir,
}

pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

impl Site {
    /// The project's own definitions on Kafka and InfluxDB; the topic is not made yet.
    pub fn new(word: &str, clock: ClockKind) -> Site {
        let name = format!("{word}-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let dir = tempfile::tempdir().expect("a folder");
        let mut settings = Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data: dir.path().join("data"),
            pipelines: project("pipelines"),
            schemas: project("schemas"),
            registry: project("registry"),
            log: LogKind::Kafka,
            store: StoreKind::Influx,
            topics: BTreeMap::from([(name.clone(), TopicFile { clock })]),
            ..Settings::default()
        };
        settings.kafka.brokers = brokers();
        settings.kafka.group = format!("group-{name}");
        settings.influx.url = variable("IOC_TEST_INFLUX");
        settings.influx.org = variable("IOC_TEST_INFLUX_ORG");
        settings.influx.token = variable("IOC_TEST_INFLUX_TOKEN");
        settings.influx.bucket = format!("bucket-{name}");
        Site { settings, topic: name, dir }
    }

    /// With one pipeline instead of the project's, and no schemas.
    pub fn with_pipeline(word: &str, pipeline: &str) -> Site {
        let mut site = Site::new(word, ClockKind::Broker);
        let folder = |name: &str| {
            let folder = site.dir.path().join(name);
            std::fs::create_dir_all(&folder).expect("a folder");
            folder
        };
        let (pipelines, schemas) = (folder("pipelines"), folder("schemas"));
        std::fs::write(pipelines.join("case.yaml"), pipeline).expect("a pipeline");
        (site.settings.pipelines, site.settings.schemas) = (pipelines, schemas);
        site
    }

    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    pub fn kafka(&self) -> KafkaSettings {
        ioc::app::kafka_settings(&self.settings)
    }

    pub fn make_topic(&self, clock: Clock, partitions: i32) {
        let plan = TopicPlan { name: self.topic.clone(), clock, partitions, replication: None, retention: None };
        topics::create(&self.kafka(), &[plan]).expect("the topic is made");
    }

    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.settings.kafka.brokers);
        config
    }

    pub async fn start(&self, exit_at_end: bool) -> App {
        App::start(self.settings.clone(), Options { exit_at_end, ..Options::default() }).await.expect("it starts")
    }

    /// `ioc` with these words, in this installation.
    pub fn program(&self, words: &[&str]) -> Command {
        let (settings, text) = (&self.settings, |path: &Path| path.display().to_string());
        let config = self.folder().join("ioc.toml");
        let clock = |topic: &TopicFile| if topic.clock == ClockKind::Broker { "broker" } else { "event" };
        let topics = settings.topics.iter().map(|(name, topic)| format!("[topics.\"{name}\"]\nclock = \"{}\"\n", clock(topic)));
        std::fs::write(&config, topics.collect::<String>()).expect("a configuration");
        let mut program = Command::new(env!("CARGO_BIN_EXE_ioc"));
        program
            .args(words)
            .args(["--config", &text(&config)])
            .envs([("IOC_LISTEN", "127.0.0.1:0"), ("IOC_LOG", "kafka"), ("IOC_STORE", "influx"), ("IOC_LOG_LEVEL", "info")])
            .envs([("IOC_DATA", text(&settings.data)), ("IOC_PIPELINES", text(&settings.pipelines))])
            .envs([("IOC_SCHEMAS", text(&settings.schemas)), ("IOC_REGISTRY", text(&settings.registry))])
            .envs([("IOC_KAFKA_BROKERS", &settings.kafka.brokers), ("IOC_KAFKA_GROUP", &settings.kafka.group)])
            .envs([("IOC_INFLUX_URL", &settings.influx.url), ("IOC_INFLUX_ORG", &settings.influx.org)])
            .envs([("IOC_INFLUX_TOKEN", &settings.influx.token), ("IOC_INFLUX_BUCKET", &settings.influx.bucket)]);
        program
    }

    /// `ioc run`, with the lines of its log.
    pub fn run_program(&self) -> (Child, Lines<BufReader<ChildStderr>>) {
        let mut program = self.program(&["run"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("ioc runs");
        let said = BufReader::new(program.stderr.take().expect("its log")).lines();
        (program, said)
    }

    pub fn journal(&self) -> JournalReader {
        JournalReader::open(&self.settings.data).expect("the journal")
    }

    /// Lost ranges: partition, from, to.
    pub fn losses(&self) -> Vec<(u32, u64, u64)> {
        let lost = |(_, note)| match note {
            Note::Lost { index, from, to, .. } => Some((index, from, to)),
            _ => None,
        };
        self.journal().notes().expect("notes").into_iter().filter_map(lost).collect()
    }
}

/// Appends all, in order; durable when it returns.
pub async fn append(doors: &Doors, events: &[(String, Vec<u8>)]) {
    let Doors::Kafka(door, topic) = doors else { panic!("Kafka is the log") };
    for some in events.chunks(5_000) {
        let sent: Vec<_> = some.iter().map(|(key, event)| door.append(topic, Some(key.as_bytes()), &[], event, None)).collect();
        for answer in sent {
            answer.await.expect("it is appended");
        }
    }
}

/// As a topic's retention does.
pub async fn delete_below(site: &Site, partition: i32, offset: i64) {
    let admin: AdminClient<DefaultClientContext> = site.client().create().expect("an admin client");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&site.topic, partition, Offset::Offset(offset)).expect("an offset");
    let deleted = admin.delete_records(&list, &AdminOptions::new()).await.expect("records are deleted");
    assert!(deleted.elements().iter().all(|e| e.error().is_ok()), "{deleted:?}");
}

/// A metric without labels, or the sum over those whose labels hold `part`.
pub fn metric(app: &App, name: &str, part: &str) -> f64 {
    let text = app.telemetry.render();
    let of = |line: &&str| line.split([' ', '{']).next() == Some(name) && line.contains(part);
    text.lines().filter(of).filter_map(|line| line.rsplit_once(' ')).filter_map(|(_, value)| value.parse::<f64>().ok()).sum()
}

/// Until the driver has ended by itself and the store has all rows.
pub async fn ended_and_stored(app: &App, limit: Duration) {
    until(limit, "the run ends", async || app.ended()).await;
    until(limit, "all rows are stored", async || app.spool().figures().waiting_ticks == 0).await;
}

/// Rows by canonical line, with what is left out there: revision and state.
pub async fn rows(store: &Store, measurements: &[&str], from: Timestamp, to: Timestamp) -> BTreeMap<String, StoredRow> {
    let mut all = BTreeMap::new();
    for measurement in measurements {
        let found = store.rows(measurement, from, to).await.expect("rows are read");
        all.extend(found.into_iter().map(|row| (row.canonical(), row)));
    }
    all
}

/// Equal as canonical line protocol; the first differences otherwise.
pub fn assert_same_rows<'a>(what: &str, found: impl IntoIterator<Item = &'a String>, expected: impl IntoIterator<Item = &'a String>) {
    let (found, expected): (Vec<_>, Vec<_>) = (found.into_iter().collect(), expected.into_iter().collect());
    let missing: Vec<_> = expected.iter().filter(|e| found.binary_search(e).is_err()).take(5).collect();
    let strange: Vec<_> = found.iter().filter(|f| expected.binary_search(f).is_err()).take(5).collect();
    let counts = (found.len(), expected.len());
    assert!(
        missing.is_empty() && strange.is_empty() && counts.0 == counts.1,
        "{what}: {counts:?}; missing {missing:#?}, not expected {strange:#?}"
    );
}

pub async fn alerts(app: &App) -> Vec<AlertView> {
    let answer = reqwest::get(format!("http://{}/api/v1/alerts", app.address)).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    answer.json().await.expect("alerts")
}

/// The status of the answer, and how long it took.
pub async fn acknowledge(app: &App, alert: &AlertView) -> (u16, Duration) {
    let began = std::time::Instant::now();
    let url = format!("http://{}/api/v1/alerts/{}/act", app.address, alert.id);
    let body = serde_json::json!({"version": alert.version, "name": "Trực ban", "note": "seen", "act": {"kind": "acknowledge"}});
    let answer = reqwest::Client::new().post(url).json(&body).send().await.expect("an answer");
    (answer.status().as_u16(), began.elapsed())
}

pub type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// A client of a websocket, which has said hello.
pub async fn greet(app: &App, path: &str) -> Socket {
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{}{path}", app.address)).await.expect("a websocket");
    say(&mut socket, &serde_json::json!({"type": "hello", "protocol": 1, "resume": null})).await;
    socket
}

pub async fn say(socket: &mut Socket, message: &impl serde::Serialize) {
    use futures_util::SinkExt;
    let text = serde_json::to_string(message).expect("a message");
    socket.send(tokio_tungstenite::tungstenite::Message::text(text)).await.expect("it is sent");
}

/// A client of the live websocket, past its snapshot.
pub async fn watch(app: &App) -> Socket {
    let mut socket = greet(app, "/api/v1/live").await;
    while !matches!(hear(&mut socket).await, Some(ServerMessage::Snapshot(_))) {}
    socket
}

/// The next message; `None`: closed.
pub async fn hear(socket: &mut Socket) -> Option<ServerMessage> {
    use futures_util::StreamExt;
    use tokio_tungstenite::tungstenite::Message;
    loop {
        match socket.next().await? {
            Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).expect("a message")),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}
