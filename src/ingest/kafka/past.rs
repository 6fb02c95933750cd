//! Records of Kafka by partition and offset, for who has no part in the group's reading.
//!
//! Owns: [`KafkaPast`]: a client that assigns partitions to itself. Refuses to know: the group, commits, ticks.
//!
//! Invariants
//! 1. It joins no group and commits nothing: the group's members and its lag displays do not notice it.
//! 2. What librdkafka holds ready is bounded by partition; a partition that nobody asks for stays where it is.
//!
//! Called by: ingest::past.

use super::context::Callbacks;
use super::error::KafkaError;
use super::parting::Parting;
use super::settings::{KafkaSettings, TopicSettings};
use super::watch::Asker;
use super::{Clock, fetched};
use crate::ingest::{Fetched, PartitionName};
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError as Rd, RDKafkaErrorCode as Code};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Brokers that have not answered within this time do not answer.
const ANSWER: Duration = Duration::from_secs(10);
/// Records handed over together.
const BATCH: usize = 2_000;

pub struct KafkaPast {
    /// Before the consumer, in drop order.
    parts: BTreeMap<PartitionName, Part>,
    consumer: Arc<BaseConsumer<Callbacks>>,
    asker: Asker,
    brokers: String,
    clocks: BTreeMap<String, Clock>,
    /// Last in drop order.
    _parting: Parting,
}

struct Part {
    queue: Option<PartitionQueue<Callbacks>>,
    /// What comes next out of the queue.
    next: u64,
}

impl KafkaPast {
    pub fn open(settings: &KafkaSettings, topics: &[TopicSettings]) -> Result<KafkaPast, KafkaError> {
        settings.check()?;
        let failed = |error| KafkaError::from_rd(&settings.brokers, "open a connection", error);
        let consumer: BaseConsumer<Callbacks> = settings.past().create_with_context(Callbacks::new("past")).map_err(failed)?;
        let consumer = Arc::new(consumer);
        Ok(KafkaPast {
            parts: BTreeMap::new(),
            _parting: Parting::of(&consumer),
            consumer,
            asker: Asker::new(settings)?,
            brokers: settings.brokers.clone(),
            clocks: topics.iter().map(|topic| (topic.name.clone(), topic.clock)).collect(),
        })
    }

    /// The first offset that a partition still has.
    pub fn start(&self, name: &PartitionName) -> Result<u64, KafkaError> {
        let unanswered = || KafkaError::Unreachable { brokers: self.brokers.clone(), detail: format!("no answer for {name}") };
        let found = self.asker.offsets(&[name], Offset::Beginning, ANSWER)?;
        found.first().map(|(_, offset)| *offset).ok_or_else(unanswered)
    }

    /// Records from `from` on; none where the broker says that this offset is no longer there.
    pub fn read(&mut self, name: &PartitionName, from: u64, to: u64) -> Result<Vec<Fetched>, KafkaError> {
        if self.parts.get(name).is_none_or(|part| part.next != from) {
            self.parts.insert(name.clone(), Part { queue: None, next: from });
            self.assign_anew()?;
        }
        let clock = self.clocks.get(&name.topic).copied().unwrap_or_default();
        let mut records = Vec::new();
        let until = Instant::now() + ANSWER;
        while records.is_empty() {
            if Instant::now() >= until {
                let detail = format!("records {from}..{to} of {name} did not come within {} s", ANSWER.as_secs());
                return Err(KafkaError::Unreachable { brokers: self.brokers.clone(), detail });
            }
            // serves callbacks; records come by the partitions' own queues
            drop(self.consumer.poll(Duration::ZERO));
            let Some(queue) = self.parts.get(name).and_then(|part| part.queue.as_ref()) else { break };
            let mut wait = Duration::from_millis(50);
            while records.len() < BATCH
                && let Some(message) = queue.poll(wait)
            {
                wait = Duration::ZERO;
                match message {
                    // what was on its way before the partition was assigned anew
                    Ok(message) if (message.offset() as u64) < from => {}
                    Ok(message) => records.push(fetched(&message, clock)),
                    Err(Rd::MessageConsumption(Code::AutoOffsetReset | Code::OffsetOutOfRange)) => return Ok(Vec::new()),
                    Err(error) => self.consumer.context().say(Some(format!("{name}: {error}"))),
                }
            }
        }
        if let (Some(part), Some(last)) = (self.parts.get_mut(name), records.last()) {
            part.next = last.offset + 1;
        }
        Ok(records)
    }

    /// A partition's own queue is split off before it is assigned: it keeps what is read of it.
    fn assign_anew(&mut self) -> Result<(), KafkaError> {
        let failed = |error| KafkaError::from_rd(&self.brokers, "read at given offsets", error);
        let mut list = TopicPartitionList::with_capacity(self.parts.len());
        for (name, part) in &mut self.parts {
            part.queue = None;
            part.queue = self.consumer.split_partition_queue(&name.topic, name.number);
            list.add_partition_offset(&name.topic, name.number, Offset::Offset(part.next as i64)).map_err(failed)?;
        }
        self.consumer.assign(&list).map_err(failed)
    }
}
