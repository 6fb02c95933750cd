//! How to reach Kafka: addresses, credentials, what is passed through to librdkafka and what is not.
//!
//! Owns: [`KafkaSettings`], [`TopicSettings`], [`Clock`]; the librdkafka settings of each client that this module makes.
//! Refuses to know: `ioc.toml`; what is read or written.
//!
//! Invariants
//! 1. A setting on which the contracts rest (where reading starts, what counts as acknowledged) cannot be passed through.
//! 2. What needs TLS in a build without it is refused before a connection is tried, with the way to build it.
//! 3. Every queue inside librdkafka has a bound that is set here ([`Bounds`], [`DOOR_RECORDS`]).
//!
//! Called by: reader, past, door, topics.

use super::error::KafkaError;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use std::collections::BTreeMap;

/// Where Kafka is and as whom to speak to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KafkaSettings {
    /// `host:port`, several by comma.
    pub brokers: String,
    /// Consumer group; also shown in lag displays.
    pub group: String,
    /// Names this process in the broker's logs.
    pub client_id: String,
    /// librdkafka's own settings, passed through (`security.protocol`, `sasl.*`, `ssl.*`, `session.timeout.ms`…).
    pub extra: BTreeMap<String, String>,
}

/// What a topic's timestamps mean (design, section 2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Clock {
    /// LogAppendTime: the broker says when a record arrived.
    #[default]
    Broker,
    /// Recorded data: broker_time counts as missing.
    Event,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicSettings {
    pub name: String,
    pub clock: Clock,
}

/// Records that wait in librdkafka for an answer of the broker, of one producer. At this bound the door says busy.
pub const DOOR_RECORDS: u32 = 50_000;
/// Bytes likewise, in KiB.
pub const DOOR_KIB: u32 = 32 * 1024;

/// Bounds of one reader, by its number of partitions at opening.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Records buffered of one partition; reading it pauses there and resumes below half.
    pub records: usize,
    /// Bytes likewise, headers and values.
    pub bytes: usize,
    /// Records that librdkafka holds ready of one partition.
    pub ahead_records: usize,
    /// Bytes likewise, in KiB.
    pub ahead_kib: usize,
}

impl Bounds {
    /// A reader's buffers stay within about 96 MiB in all, or 1.25 MiB a partition past 77 partitions; one record may exceed each.
    pub fn of(partitions: usize) -> Bounds {
        let share = |total: usize, least: usize, most: usize| (total / partitions.max(1)).clamp(least, most);
        Bounds {
            records: 20_000,
            bytes: share(64 << 20, 1 << 20, 32 << 20),
            ahead_records: 20_000,
            ahead_kib: share(32 << 10, 256, 8 << 10),
        }
    }
}

/// On these the contracts rest (D1, D4): they are set here and nowhere else.
const OURS: [(&str, &str); 12] = [
    ("bootstrap.servers", "write it as `brokers`"),
    ("metadata.broker.list", "write it as `brokers`"),
    ("group.id", "write it as `group`"),
    ("client.id", "write it as `client_id`"),
    ("auto.offset.reset", "where reading starts is kept in the checkpoint"),
    ("enable.auto.commit", "commits follow the checkpoint"),
    ("enable.auto.offset.store", "commits follow the checkpoint"),
    ("enable.partition.eof", "the reader asks for the ends itself"),
    ("partition.assignment.strategy", "the reader relies on eager assignment"),
    ("group.protocol", "the reader relies on the classic protocol"),
    ("acks", "an event counts as taken when all replicas have it"),
    ("enable.idempotence", "an event is appended once"),
];

impl KafkaSettings {
    /// Refuses what cannot work in this build, with the reason.
    pub fn check(&self) -> Result<(), KafkaError> {
        self.check_for(cfg!(feature = "tls"))
    }

    fn check_for(&self, tls: bool) -> Result<(), KafkaError> {
        if self.brokers.trim().is_empty() {
            return Err(setting("brokers", "is empty: write `brokers = \"host:9092\"` under [kafka] in ioc.toml"));
        }
        if let Some((key, why)) = OURS.iter().find(|(key, _)| self.extra.contains_key(*key)) {
            return Err(setting(key, &format!("cannot be passed through ({why}): remove it")));
        }
        let protocol = self.extra.get("security.protocol").map(|p| p.to_ascii_lowercase()).unwrap_or_default();
        let mechanism = self.extra.get("sasl.mechanism").or_else(|| self.extra.get("sasl.mechanisms"));
        if !tls {
            if protocol.ends_with("ssl") {
                return Err(KafkaError::NeedsTls { key: "security.protocol".into(), value: protocol });
            }
            if let Some(scram) = mechanism.filter(|m| !m.eq_ignore_ascii_case("PLAIN") && !m.eq_ignore_ascii_case("GSSAPI")) {
                return Err(KafkaError::NeedsTls { key: "sasl.mechanism".into(), value: scram.clone() });
            }
            if let Some(key) = self.extra.keys().find(|key| key.starts_with("ssl.")) {
                return Err(KafkaError::NeedsTls { key: key.clone(), value: self.extra[key].clone() });
            }
        }
        if protocol.starts_with("sasl") && mechanism.is_none() {
            return Err(KafkaError::NoMechanism { protocol });
        }
        Ok(())
    }

    /// What every client needs: addresses, credentials, and quick returns after an outage.
    fn base(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", if self.client_id.is_empty() { "ioc" } else { &self.client_id })
            .set("socket.keepalive.enable", "true")
            .set("socket.timeout.ms", "10000")
            .set("reconnect.backoff.ms", "100")
            .set("reconnect.backoff.max.ms", "1000")
            .set("log.connection.close", "false")
            .set_log_level(RDKafkaLogLevel::Warning);
        config
    }

    fn with_extra(&self, mut config: ClientConfig, all: bool) -> ClientConfig {
        const SHARED: [&str; 8] = ["security.", "sasl.", "ssl.", "socket.", "broker.", "client.", "reconnect.", "metadata."];
        for (key, value) in &self.extra {
            if all || SHARED.iter().any(|prefix| key.starts_with(prefix)) {
                config.set(key, value);
            }
        }
        config
    }

    /// Group reading. Latency: a fetch is answered as soon as a record is there; an idle one after `fetch.wait.max.ms`.
    pub(crate) fn consumer(&self, bounds: Bounds) -> ClientConfig {
        let mut config = self.base();
        config
            .set("group.id", &self.group)
            .set("auto.offset.reset", "error")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("isolation.level", "read_committed")
            .set("check.crcs", "true")
            .set("partition.assignment.strategy", "range,roundrobin")
            .set("session.timeout.ms", "10000")
            .set("heartbeat.interval.ms", "2000")
            .set("fetch.min.bytes", "1")
            .set("fetch.wait.max.ms", "50")
            .set("fetch.error.backoff.ms", "100")
            .set("fetch.queue.backoff.ms", "2")
            .set("fetch.max.bytes", "8388608")
            .set("queued.min.messages", bounds.ahead_records.to_string())
            .set("queued.max.messages.kbytes", bounds.ahead_kib.to_string())
            .set("topic.metadata.refresh.interval.ms", "10000")
            .set("statistics.interval.ms", "1000");
        self.with_extra(config, true)
    }

    /// Reading at given offsets, in no group: librdkafka wants a name for one all the same. Nothing is ever committed under it.
    pub(crate) fn past(&self) -> ClientConfig {
        let mut config = self.base();
        config
            .set("group.id", format!("{}-replay", self.group))
            .set("auto.offset.reset", "error")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("isolation.level", "read_committed")
            .set("check.crcs", "true")
            .set("fetch.wait.max.ms", "50")
            .set("fetch.error.backoff.ms", "100")
            .set("queued.min.messages", "5000")
            .set("queued.max.messages.kbytes", "2048");
        self.with_extra(config, false)
    }

    /// The side connection that asks for ends and for new partitions: no group.
    pub(crate) fn watcher(&self) -> ClientConfig {
        let mut config = self.base();
        config.set("isolation.level", "read_committed");
        self.with_extra(config, false)
    }

    pub(crate) fn admin(&self) -> ClientConfig {
        self.with_extra(self.base(), false)
    }

    /// Appending. Keys meet as those of Java clients do (murmur2).
    pub(crate) fn producer(&self) -> ClientConfig {
        let mut config = self.base();
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("message.timeout.ms", "30000")
            .set("linger.ms", "2")
            .set("queue.buffering.max.messages", DOOR_RECORDS.to_string())
            .set("queue.buffering.max.kbytes", DOOR_KIB.to_string());
        self.with_extra(config, false)
    }
}

fn setting(key: &str, problem: &str) -> KafkaError {
    KafkaError::Setting { key: key.to_string(), problem: problem.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(extra: &[(&str, &str)]) -> KafkaSettings {
        KafkaSettings {
            brokers: "localhost:9092".into(),
            group: "g".into(),
            client_id: "c".into(),
            extra: extra.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
        }
    }

    #[test]
    fn settings_that_cannot_work_say_what_to_do() {
        type Case = (&'static [(&'static str, &'static str)], bool, &'static str);
        let cases: [Case; 12] = [
            (&[], false, ""),
            (&[("security.protocol", "ssl")], false, "--features tls"),
            (&[("security.protocol", "SASL_SSL"), ("sasl.mechanism", "PLAIN")], false, "--features tls"),
            (&[("security.protocol", "sasl_plaintext"), ("sasl.mechanism", "SCRAM-SHA-256")], false, "--features tls"),
            (&[("security.protocol", "sasl_plaintext"), ("sasl.mechanism", "PLAIN")], false, ""),
            (&[("security.protocol", "sasl_plaintext")], false, "sasl.mechanism"),
            (&[("ssl.ca.location", "/ca.pem")], false, "--features tls"),
            (&[("security.protocol", "ssl")], true, ""),
            (&[("security.protocol", "sasl_ssl")], true, "sasl.mechanism"),
            (&[("security.protocol", "sasl_ssl"), ("sasl.mechanisms", "SCRAM-SHA-512")], true, ""),
            (&[("auto.offset.reset", "latest")], true, "cannot be passed through"),
            (&[("session.timeout.ms", "30000")], false, ""),
        ];
        for (extra, tls, expected) in cases {
            let text = with(extra).check_for(tls).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(if expected.is_empty() { text.is_empty() } else { text.contains(expected) }, "{extra:?}: {text}");
        }
        assert!(KafkaSettings::default().check().unwrap_err().to_string().contains("brokers"));
    }

    #[test]
    fn bounds_share_out_memory() {
        assert_eq!(Bounds::of(1).bytes, 32 << 20);
        assert_eq!(Bounds::of(4).bytes, 16 << 20);
        assert_eq!(Bounds::of(1000).bytes, 1 << 20);
        assert_eq!((Bounds::of(4).ahead_kib, Bounds::of(64).ahead_kib, Bounds::of(1000).ahead_kib), (8192, 512, 256));
    }
}
