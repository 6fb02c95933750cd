//! What can go wrong between `ioc` and Kafka, said so that an operator can act on it.
//!
//! Owns: [`KafkaError`]; turning librdkafka's codes into it.
//! Refuses to know: who retries.
//!
//! Invariants
//! 1. Every text names the object, the place and the next step.
//!
//! Called by: the rest of `ingest::kafka`, `ingest::topics`.

use crate::ingest::PartitionName;
use rdkafka::error::{KafkaError as Rd, RDKafkaErrorCode as Code};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KafkaError {
    #[error("Kafka setting `{key}`: {problem}")]
    Setting { key: String, problem: String },
    #[error(
        "Kafka setting `{key}` = \"{value}\" needs TLS, and this `ioc` was built without it: build it with `cargo build --release --features tls`"
    )]
    NeedsTls { key: String, value: String },
    #[error(
        "Kafka setting `security.protocol` = \"{protocol}\" without `sasl.mechanism`: add `sasl.mechanism` (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER) beside it"
    )]
    NoMechanism { protocol: String },
    #[error("Kafka at {brokers} does not answer ({detail}): is it running, and is `brokers` under [kafka] in ioc.toml its address?")]
    Unreachable { brokers: String, detail: String },
    #[error(
        "Kafka at {brokers} does not let this user {what} ({detail}): check the credentials under [kafka] in ioc.toml and the broker's ACLs"
    )]
    Refused { brokers: String, what: String, detail: String },
    #[error("Kafka at {brokers} has no topic `{topic}`: create it with `ioc topics create {topic}`, or correct its name in ioc.toml")]
    NoTopic { brokers: String, topic: String },
    #[error(
        "Kafka topic `{topic}` keeps the producers' times (message.timestamp.type={found}), so nobody knows when a record arrived: \
         run `ioc topics create {topic}`, which makes it LogAppendTime, or, for recorded data, write `clock = \"event\"` under [topics.{topic}] in ioc.toml"
    )]
    CreateTime { topic: String, found: String },
    #[error(
        "Kafka partition {partition} ends at offset {end}, but offset {wanted} is to be read next: the topic was created anew or lost its tail. \
         Read on under another topic name, or start with an empty data folder (`data` in ioc.toml): known offsets mean other records now"
    )]
    Beyond { partition: PartitionName, wanted: u64, end: u64 },
    #[error("Kafka at {brokers}: {what} failed: {detail}")]
    Failed { brokers: String, what: String, detail: String },
}

impl KafkaError {
    /// Trying again may help: nobody has to change anything first.
    pub fn may_pass(&self) -> bool {
        matches!(self, KafkaError::Unreachable { .. } | KafkaError::Failed { .. })
    }

    /// `what` is a verb phrase: "describe topic `x`".
    pub(crate) fn from_code(brokers: &str, what: &str, code: Code) -> KafkaError {
        let (brokers, detail) = (brokers.to_string(), code.to_string());
        match code {
            Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::SaslAuthenticationFailed
            | Code::Authentication => KafkaError::Refused { brokers, what: what.to_string(), detail },
            // brokers that are about to be there: a restart, an election
            Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::NetworkException
            | Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::TimedOutQueue => KafkaError::Unreachable { brokers, detail },
            _ => KafkaError::Failed { brokers, what: what.to_string(), detail },
        }
    }

    pub(crate) fn from_rd(brokers: &str, what: &str, error: Rd) -> KafkaError {
        match error {
            Rd::ClientConfig(_, problem, key, value) => {
                KafkaError::Setting { key, problem: format!("\"{value}\" is refused by librdkafka: {problem}") }
            }
            Rd::AdminOp(code) => KafkaError::from_code(brokers, what, code),
            other => match other.rdkafka_error_code() {
                Some(code) => KafkaError::from_code(brokers, what, code),
                None => KafkaError::Failed { brokers: brokers.to_string(), what: what.to_string(), detail: other.to_string() },
            },
        }
    }
}
