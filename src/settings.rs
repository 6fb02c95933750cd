//! Addresses, limits and secrets: `ioc.toml`, environment, flags. Every key has a default that works on one machine.
//!
//! Owns: [`Settings`], where the file is looked for, [`KEYS`] (the reference page is made from it).
//! Refuses to know: behaviour; that is in pipelines, schemas and registry.
//!
//! Invariants
//! 1. Flag before environment before file before default.
//! 2. Relative paths in a file are relative to that file; others to the working folder.
//! 3. An unknown key is refused with its place and the nearest known one.
//!
//! Called by: cli, app.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use thiserror::Error;

#[derive(Debug, Error)]
pub enum SettingsError {
    #[error("cannot read {path}: {source}; check the path given by --config or IOC_CONFIG")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}: {detail}")]
    Parse { path: PathBuf, detail: String },
    #[error("{place} = {value:?}: {what}")]
    Value { place: &'static str, value: String, what: String },
}

/// What a lane's log is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogKind {
    #[default]
    Embedded,
    Kafka,
}

/// Where rows go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    #[default]
    Embedded,
    Influx,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClockKind {
    /// The log's own append time.
    #[default]
    Broker,
    /// Recorded data: broker_time counts as missing, the lane's clock is event time.
    Event,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicFile {
    pub clock: ClockKind,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kafka {
    pub brokers: String,
    pub group: String,
    /// Settings of librdkafka, passed through.
    pub settings: BTreeMap<String, String>,
}

impl Default for Kafka {
    fn default() -> Self {
        Kafka { brokers: "127.0.0.1:9092".into(), group: "ioc".into(), settings: BTreeMap::new() }
    }
}

#[derive(Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Influx {
    pub url: String,
    pub org: String,
    pub bucket: String,
    pub token: String,
}

impl Default for Influx {
    fn default() -> Self {
        Influx { url: "http://127.0.0.1:8086".into(), org: "ioc".into(), bucket: "ioc".into(), token: String::new() }
    }
}

impl std::fmt::Debug for Influx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Influx {{ url: {:?}, org: {:?}, bucket: {:?}, token: … }}", self.url, self.org, self.bucket)
    }
}

/// Where alert changes go besides the page.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Out {
    /// Empty: to no topic, and none is made.
    pub topic: String,
}

#[derive(Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookFile {
    /// Empty: none.
    pub url: String,
    pub secret: String,
    pub give_up_days: u32,
}

impl Default for WebhookFile {
    fn default() -> Self {
        WebhookFile { url: String::new(), secret: String::new(), give_up_days: 3 }
    }
}

impl std::fmt::Debug for WebhookFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WebhookFile {{ url: {:?}, secret: …, give_up_days: {} }}", self.url, self.give_up_days)
    }
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Place {
    pub vi: String,
    pub en: String,
}

impl Default for Place {
    fn default() -> Self {
        Place { vi: "Lâm Đồng".into(), en: "Lâm Đồng".into() }
    }
}

/// Everything, resolved.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub listen: SocketAddr,
    pub data: PathBuf,
    pub pipelines: PathBuf,
    pub schemas: PathBuf,
    pub registry: PathBuf,
    pub log: LogKind,
    pub store: StoreKind,
    /// Topics to read; by name: how.
    pub topics: BTreeMap<String, TopicFile>,
    pub kafka: Kafka,
    pub influx: Influx,
    pub out: Out,
    pub webhook: WebhookFile,
    pub place: Place,
    /// Log kept for at most this many days.
    pub log_days: u32,
    /// Spool kept to at most this many megabytes; what does not fit is listed as owed.
    pub spool_mb: u64,
    /// Largest body of one event over HTTP, in kilobytes; a batch may have eight times as much.
    pub body_kb: usize,
    /// Open pages at once; one more is told to come back.
    pub clients: usize,
    /// Origins besides the server's own that may open the websocket.
    pub origins: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            data: "data".into(),
            pipelines: "pipelines".into(),
            schemas: "schemas".into(),
            registry: "registry".into(),
            log: LogKind::default(),
            store: StoreKind::default(),
            topics: BTreeMap::from([(DEFAULT_TOPIC.to_owned(), TopicFile::default())]),
            kafka: Kafka::default(),
            influx: Influx::default(),
            out: Out::default(),
            webhook: WebhookFile::default(),
            place: Place::default(),
            log_days: 7,
            spool_mb: 1024,
            body_kb: 1024,
            clients: 10_000,
            origins: Vec::new(),
        }
    }
}

/// Where events go unless a topic is named.
pub const DEFAULT_TOPIC: &str = "ioc.events";

/// One key of the reference page.
pub struct KeyDoc {
    pub key: &'static str,
    pub env: &'static str,
    pub default: &'static str,
    pub what: &'static str,
}

const fn key(key: &'static str, env: &'static str, default: &'static str, what: &'static str) -> KeyDoc {
    KeyDoc { key, env, default, what }
}

/// Every key: name in `ioc.toml`, environment variable, default, meaning.
pub const KEYS: &[KeyDoc] = &[
    key("listen", "IOC_LISTEN", "127.0.0.1:8080", "Address of the web server. Beyond loopback a token must exist."),
    key("data", "IOC_DATA", "./data", "Folder of log, journal, store, checkpoints, spool, tokens."),
    key("pipelines", "IOC_PIPELINES", "./pipelines", "Folder of pipelines and maps."),
    key("schemas", "IOC_SCHEMAS", "./schemas", "Folder of event schemas."),
    key("registry", "IOC_REGISTRY", "./registry", "Folder of areas, sources, sectors."),
    key("log", "IOC_LOG", "embedded", "`embedded` or `kafka`."),
    key("store", "IOC_STORE", "embedded", "`embedded` or `influx`."),
    key("topics.NAME.clock", "", "broker", "`broker`: the log's append time. `event`: recorded data, event time is the clock."),
    key("kafka.brokers", "IOC_KAFKA_BROKERS", "127.0.0.1:9092", "Bootstrap servers."),
    key("kafka.group", "IOC_KAFKA_GROUP", "ioc", "Consumer group."),
    key("kafka.settings", "", "{}", "Settings of librdkafka, passed through; TLS needs a build with `--features tls`."),
    key("influx.url", "IOC_INFLUX_URL", "http://127.0.0.1:8086", "InfluxDB 2."),
    key("influx.org", "IOC_INFLUX_ORG", "ioc", "Organisation."),
    key("influx.bucket", "IOC_INFLUX_BUCKET", "ioc", "Bucket; made if missing."),
    key("influx.token", "IOC_INFLUX_TOKEN", "", "Token; or IOC_INFLUX_TOKEN_FILE names a file that holds it."),
    key(
        "out.topic",
        "IOC_OUT_TOPIC",
        "",
        "Topic that alert changes are written to as CloudEvents, for example `ioc.alerts`; none if empty. With Kafka it must exist.",
    ),
    key(
        "webhook.url",
        "IOC_WEBHOOK_URL",
        "",
        "One receiver of alert changes: a signed POST each; none if empty. https needs a build with `--features tls`.",
    ),
    key(
        "webhook.secret",
        "IOC_WEBHOOK_SECRET",
        "",
        "What the POSTs are signed with, 16 characters or more; or IOC_WEBHOOK_SECRET_FILE names a file that holds it.",
    ),
    key("webhook.give_up_days", "", "3", "A change that is not taken for so long goes to the dead letters, and the next one has its turn."),
    key("place.vi", "", "Lâm Đồng", "Name of the place in the top bar, Vietnamese."),
    key("place.en", "", "Lâm Đồng", "The same, English."),
    key("log_days", "IOC_LOG_DAYS", "7", "Days the embedded log is kept."),
    key("spool_mb", "IOC_SPOOL_MB", "1024", "Bound of the spool; what does not fit is listed as owed."),
    key("body_kb", "IOC_BODY_KB", "1024", "Largest HTTP body of one event; a batch may have eight times as much."),
    key("clients", "IOC_CLIENTS", "10000", "Open pages at once; each takes a file descriptor (`ulimit -n`)."),
    key("origins", "", "[]", "Origins besides the server's own that may open the websocket."),
];

impl Settings {
    /// Reads the file (`given`, else `$IOC_CONFIG`, `./ioc.toml`, `/etc/ioc/ioc.toml`, else none) and the environment over it.
    pub fn load(given: Option<&Path>, env: &dyn Fn(&str) -> Option<String>) -> Result<Settings, SettingsError> {
        let named = given.map(Path::to_owned).or_else(|| env("IOC_CONFIG").map(PathBuf::from));
        let found = match named {
            Some(path) => Some(path),
            None => ["ioc.toml", "/etc/ioc/ioc.toml"].iter().map(PathBuf::from).find(|p| p.is_file()),
        };
        let mut settings = match found {
            None => Settings::default(),
            Some(path) => {
                let text = std::fs::read_to_string(&path).map_err(|source| SettingsError::Read { path: path.clone(), source })?;
                let mut read: Settings =
                    toml::from_str(&text).map_err(|e| SettingsError::Parse { path: path.clone(), detail: explain(&e.to_string()) })?;
                let base = path.parent().map(Path::to_owned).unwrap_or_default();
                for p in [&mut read.data, &mut read.pipelines, &mut read.schemas, &mut read.registry] {
                    *p = base.join(&*p);
                }
                read
            }
        };
        settings.read_env(env)?;
        Ok(settings)
    }

    fn read_env(&mut self, env: &dyn Fn(&str) -> Option<String>) -> Result<(), SettingsError> {
        fn parse<T: std::str::FromStr>(place: &'static str, value: String, what: &str) -> Result<T, SettingsError> {
            value.parse().map_err(|_| SettingsError::Value { place, value, what: what.to_owned() })
        }
        if let Some(v) = env("IOC_LISTEN") {
            self.listen = parse("IOC_LISTEN", v, "an address and port like 127.0.0.1:8080 is needed")?;
        }
        for (name, path) in [
            ("IOC_DATA", &mut self.data),
            ("IOC_PIPELINES", &mut self.pipelines),
            ("IOC_SCHEMAS", &mut self.schemas),
            ("IOC_REGISTRY", &mut self.registry),
        ] {
            if let Some(v) = env(name) {
                *path = v.into();
            }
        }
        if let Some(v) = env("IOC_LOG") {
            self.log = match v.as_str() {
                "embedded" => LogKind::Embedded,
                "kafka" => LogKind::Kafka,
                _ => return Err(SettingsError::Value { place: "IOC_LOG", value: v, what: "use `embedded` or `kafka`".into() }),
            };
        }
        if let Some(v) = env("IOC_STORE") {
            self.store = match v.as_str() {
                "embedded" => StoreKind::Embedded,
                "influx" => StoreKind::Influx,
                _ => return Err(SettingsError::Value { place: "IOC_STORE", value: v, what: "use `embedded` or `influx`".into() }),
            };
        }
        for (name, text) in [
            ("IOC_KAFKA_BROKERS", &mut self.kafka.brokers),
            ("IOC_KAFKA_GROUP", &mut self.kafka.group),
            ("IOC_INFLUX_URL", &mut self.influx.url),
            ("IOC_INFLUX_ORG", &mut self.influx.org),
            ("IOC_INFLUX_BUCKET", &mut self.influx.bucket),
            ("IOC_INFLUX_TOKEN", &mut self.influx.token),
            ("IOC_OUT_TOPIC", &mut self.out.topic),
            ("IOC_WEBHOOK_URL", &mut self.webhook.url),
            ("IOC_WEBHOOK_SECRET", &mut self.webhook.secret),
        ] {
            if let Some(v) = env(name) {
                *text = v;
            }
        }
        for (name, secret) in [("IOC_INFLUX_TOKEN_FILE", &mut self.influx.token), ("IOC_WEBHOOK_SECRET_FILE", &mut self.webhook.secret)] {
            if let Some(path) = env(name).map(PathBuf::from) {
                let text = std::fs::read_to_string(&path).map_err(|source| SettingsError::Read { path, source })?;
                *secret = text.trim().to_owned();
            }
        }
        if let Some(v) = env("IOC_LOG_DAYS") {
            self.log_days = parse("IOC_LOG_DAYS", v, "a whole number of days is needed")?;
        }
        if let Some(v) = env("IOC_SPOOL_MB") {
            self.spool_mb = parse("IOC_SPOOL_MB", v, "a whole number of megabytes is needed")?;
        }
        if let Some(v) = env("IOC_BODY_KB") {
            self.body_kb = parse("IOC_BODY_KB", v, "a whole number of kilobytes is needed")?;
        }
        if let Some(v) = env("IOC_CLIENTS") {
            self.clients = parse("IOC_CLIENTS", v, "a whole number of open pages is needed")?;
        }
        Ok(())
    }
}

/// The parser's message, and for an unknown key the nearest known one.
fn explain(message: &str) -> String {
    let unknown = message.split("unknown field `").nth(1).and_then(|m| m.split('`').next());
    let names = KEYS.iter().flat_map(|k| k.key.split('.'));
    let near = unknown.and_then(|u| names.min_by_key(|k| strsim::levenshtein(u, k)));
    match (unknown, near) {
        (Some(_), Some(near)) => format!("{message}\nDid you mean `{near}`? All keys are listed in docs/configuration.md."),
        _ => message.to_owned(),
    }
}

/// docs/configuration.md, from [`KEYS`].
pub fn reference_page() -> String {
    let mut page = String::from(
        "# Configuration\n\nMade from `src/settings.rs`; a difference fails the tests.\n\n\
         `ioc` looks for its file in `--config`, `$IOC_CONFIG`, `./ioc.toml`, `/etc/ioc/ioc.toml`; relative paths in it are relative to it.\n\
         A flag goes before the environment, the environment before the file, the file before the default.\n\n\
         | key | environment | default | meaning |\n|---|---|---|---|\n",
    );
    for k in KEYS {
        let env = if k.env.is_empty() { "".into() } else { format!("`{}`", k.env) };
        page += &format!("| `{}` | {env} | `{}` | {} |\n", k.key, k.default, k.what);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_goes_before_file_and_paths_are_relative_to_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ioc.toml");
        std::fs::write(&path, "listen = \"127.0.0.1:9000\"\ndata = \"d\"\n[topics.\"a\"]\nclock = \"event\"\n").unwrap();
        let settings = Settings::load(Some(&path), &|k| (k == "IOC_LISTEN").then(|| "127.0.0.1:9001".into())).unwrap();
        assert_eq!(settings.listen.port(), 9001);
        assert_eq!(settings.data, dir.path().join("d"));
        assert_eq!(settings.topics["a"].clock, ClockKind::Event);
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ioc.toml");
        std::fs::write(&path, "lissten = \"127.0.0.1:9000\"\n").unwrap();
        let text = Settings::load(Some(&path), &|_| None).unwrap_err().to_string();
        assert!(text.contains("Did you mean `listen`?"), "{text}");
    }

    #[test]
    fn the_reference_page_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, reference_page()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), reference_page(), "run UPDATE_GOLDEN=1 cargo test reference_page");
    }
}
