//! Appending to topics of Kafka: the HTTP door's and the demo's way in.
//!
//! Owns: [`KafkaDoor`]: one idempotent producer with a bounded queue.
//! Refuses to know: events; what a key means.
//!
//! Invariants
//! 1. A resolved append is on all in-sync replicas (`acks=all`), in the order of the calls for one partition, once.
//! 2. Nothing waits beyond the bound: past it [`DoorError::Busy`] comes at once. An append is decided within 30 s.
//! 3. Keys meet as those of Java clients do (murmur2); without key the partition is random.
//!
//! Called by: http door, demo, simulate.

use super::context::Callbacks;
use super::error::KafkaError;
use super::settings::{DOOR_RECORDS, KafkaSettings};
use crate::time::Timestamp;
use rdkafka::error::{KafkaError as Rd, RDKafkaErrorCode as Code};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use std::future::Future;
use std::time::Duration;

#[derive(Clone)]
pub struct KafkaDoor {
    producer: FutureProducer<Callbacks>,
    brokers: String,
}

/// Where an append came to lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub partition: i32,
    pub offset: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DoorError {
    #[error("Kafka's answers are awaited for {DOOR_RECORDS} records already: send again in a moment")]
    Busy,
    #[error(
        "a record of {bytes} bytes is larger than Kafka takes (`message.max.bytes`): send smaller ones, or raise it on topic and client"
    )]
    TooLarge { bytes: usize },
    /// The record may have been written or not: who sends it again relies on duplicates being dropped by (source, id).
    #[error("Kafka at {brokers} did not confirm a record for topic `{topic}` within 30 s: send it again, copies are recognised")]
    Unconfirmed { brokers: String, topic: String },
    #[error(transparent)]
    Kafka(#[from] KafkaError),
}

impl KafkaDoor {
    /// Does not wait for the brokers: the first append finds out.
    pub fn open(settings: &KafkaSettings) -> Result<KafkaDoor, KafkaError> {
        settings.check()?;
        let failed = |error| KafkaError::from_rd(&settings.brokers, "open the door's producer", error);
        let producer = settings.producer().create_with_context(Callbacks::new("door")).map_err(failed)?;
        Ok(KafkaDoor { producer, brokers: settings.brokers.clone() })
    }

    /// Hands the record over now, in order; the future resolves when it is durable. `timestamp` is kept on topics with
    /// `clock = "event"` only: on others the broker's time takes its place.
    pub fn append(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        headers: &[(String, Vec<u8>)],
        value: &[u8],
        timestamp: Option<Timestamp>,
    ) -> impl Future<Output = Result<Appended, DoorError>> + Send + use<> {
        self.append_to(topic, None, key, headers, value, timestamp)
    }

    /// [`KafkaDoor::append`] to a partition; `None`: by the key.
    pub fn append_to(
        &self,
        topic: &str,
        partition: Option<i32>,
        key: Option<&[u8]>,
        headers: &[(String, Vec<u8>)],
        value: &[u8],
        timestamp: Option<Timestamp>,
    ) -> impl Future<Output = Result<Appended, DoorError>> + Send + use<> {
        let mut record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(topic).payload(value);
        record.partition = partition;
        record.key = key;
        record.timestamp = timestamp.map(Timestamp::millis);
        if !headers.is_empty() {
            let all = OwnedHeaders::new_with_capacity(headers.len());
            let insert = |all: OwnedHeaders, (key, value): &(String, Vec<u8>)| all.insert(Header { key, value: Some(value) });
            record.headers = Some(headers.iter().fold(all, insert));
        }
        let sent = self.producer.send_result(record).map_err(|(error, _)| error);
        let (brokers, topic, bytes) = (self.brokers.clone(), topic.to_string(), value.len());
        async move {
            let answer = match sent {
                Err(error) => Err(error),
                Ok(delivery) => delivery.await.unwrap_or(Err((Rd::Canceled, no_message()))).map_err(|(error, _)| error),
            };
            match answer {
                Ok(delivery) => Ok(Appended { partition: delivery.partition, offset: delivery.offset.max(0) as u64 }),
                Err(error) => Err(door_error(error, brokers, topic, bytes)),
            }
        }
    }

    /// Records whose confirmation is awaited.
    pub fn waiting(&self) -> usize {
        self.producer.in_flight_count().max(0) as usize
    }

    /// Waits up to `limit` until nothing is awaited; false if something still is.
    pub fn drain(&self, limit: Duration) -> bool {
        self.producer.flush(limit).is_ok()
    }
}

fn no_message() -> rdkafka::message::OwnedMessage {
    rdkafka::message::OwnedMessage::new(None, None, String::new(), rdkafka::Timestamp::NotAvailable, -1, -1, None)
}

fn door_error(error: Rd, brokers: String, topic: String, bytes: usize) -> DoorError {
    match error.rdkafka_error_code() {
        Some(Code::QueueFull) => DoorError::Busy,
        Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize) => DoorError::TooLarge { bytes },
        Some(Code::MessageTimedOut | Code::PurgeQueue | Code::PurgeInflight) => DoorError::Unconfirmed { brokers, topic },
        Some(Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition) => {
            DoorError::Kafka(KafkaError::NoTopic { brokers, topic })
        }
        Some(code) => DoorError::Kafka(KafkaError::from_code(&brokers, &format!("append to topic `{topic}`"), code)),
        None => DoorError::Unconfirmed { brokers, topic },
    }
}
