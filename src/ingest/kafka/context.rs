//! librdkafka's callbacks: what it says of groups, errors and itself.
//!
//! Owns: [`Callbacks`]: rebalances in their order, the newest statistics, one log line for each change of an error.
//! Refuses to know: offsets; what a rebalance means for a buffer.
//!
//! Invariants
//! 1. A revocation ends fetching before it is reported, so nothing fetched under it can follow the report.
//! 2. Nothing waits here but a rebalance or two and one set of statistics.
//!
//! Called by: librdkafka, on the thread that polls; reader, watch and door take from it.

use super::error::KafkaError;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError as Rd, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the group decided.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rebalance {
    /// The whole assignment (eager); fetching starts when the reader answers it.
    Assigned(Vec<(String, i32)>),
    /// All of it was taken away, and fetching has ended.
    Revoked,
}

#[derive(Default)]
struct Inbox {
    rebalances: Vec<Rebalance>,
    statistics: Option<Statistics>,
    last_error: Option<String>,
}

#[derive(Default)]
pub(crate) struct Callbacks {
    /// "reader", "watch", "door": names the client in the log.
    client: &'static str,
    inbox: Mutex<Inbox>,
    closing: AtomicBool,
    called: AtomicU64,
}

impl Callbacks {
    pub fn new(client: &'static str) -> Callbacks {
        Callbacks { client, ..Callbacks::default() }
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn take_rebalances(&self) -> Vec<Rebalance> {
        std::mem::take(&mut self.inbox().rebalances)
    }

    pub fn take_statistics(&self) -> Option<Statistics> {
        self.inbox().statistics.take()
    }

    /// Rises with each callback: an unchanged number after an empty poll says that the queue is drained.
    pub fn called(&self) -> u64 {
        self.called.load(Ordering::Relaxed)
    }

    /// From now on assignments are declined: the client is leaving.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    /// Logs `error` unless it is the last one said; `None` says that all is well again.
    pub fn say(&self, error: Option<String>) {
        let mut inbox = self.inbox();
        if inbox.last_error == error {
            return;
        }
        match &error {
            Some(text) => tracing::warn!(client = self.client, "{text}"),
            None => tracing::info!(client = self.client, "Kafka: well again"),
        }
        inbox.last_error = error;
    }

    fn count(&self) {
        self.called.fetch_add(1, Ordering::Relaxed);
    }
}

impl ClientContext for Callbacks {
    /// librdkafka repeats itself at every attempt: detail for who looks for it; changes are said by [`Callbacks::say`].
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.count();
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(client = self.client, facility, "librdkafka: {text}")
            }
            _ => tracing::debug!(client = self.client, facility, "librdkafka: {text}"),
        }
    }

    fn stats(&self, statistics: Statistics) {
        self.count();
        self.inbox().statistics = Some(statistics);
    }

    fn error(&self, error: Rd, reason: &str) {
        self.count();
        match error.rdkafka_error_code() {
            // Of one partition: the reader sees it in the partition's own queue.
            Some(Code::PartitionEOF | Code::AutoOffsetReset | Code::OffsetOutOfRange) => {}
            // Transport: the watch says when the broker is gone and back.
            Some(Code::BrokerTransportFailure | Code::AllBrokersDown | Code::OperationTimedOut | Code::Resolve) => {
                tracing::debug!(client = self.client, "librdkafka: {error}: {reason}")
            }
            Some(code) => self.say(Some(KafkaError::from_code("the brokers", "work as asked", code).to_string())),
            None => self.say(Some(format!("{error}: {reason}"))),
        }
    }
}

impl ConsumerContext for Callbacks {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, decision: RDKafkaRespErr, list: &mut TopicPartitionList) {
        self.count();
        let closing = self.closing.load(Ordering::Relaxed);
        let assigned = decision == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if (closing || !assigned)
            && let Err(error) = consumer.unassign()
        {
            self.say(Some(format!("giving up the assignment failed: {error}")));
        }
        let what = if assigned && !closing {
            Rebalance::Assigned(list.elements().iter().map(|e| (e.topic().to_string(), e.partition())).collect())
        } else {
            Rebalance::Revoked
        };
        self.inbox().rebalances.push(what);
    }

    /// Commits are for lag displays: one that fails is repeated by the next.
    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        self.count();
        if let Err(error) = result {
            tracing::debug!(client = self.client, "commit for lag displays failed: {error}");
        }
    }
}
