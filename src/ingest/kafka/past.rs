//! Records of Kafka by partition and offset, for who has no part in the group's reading.
//!
//! Owns: [`KafkaPast`]: a client that assigns partitions to itself. Refuses to know: the group, commits, ticks.
//!
//! Invariants
//! 1. It joins no group and commits nothing: the group's members and its lag displays do not notice it.
//! 2. What librdkafka holds ready is bounded by partition; a partition that nobody asks for stays where it is.
//! 3. Brokers that do not answer are an error after [`ANSWER`], which is less than a page waits for a sign of life.
//! 4. Who asks only where partitions begin opens no connection for records.
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
const ANSWER: Duration = Duration::from_secs(4);
/// Records handed over together.
const BATCH: usize = 2_000;

pub struct KafkaPast {
    settings: KafkaSettings,
    clocks: BTreeMap<String, Clock>,
    asker: Asker,
    /// Opened with the first records.
    records: Option<Records>,
}

/// A connection for records.
struct Records {
    /// Before the consumer, in drop order.
    parts: BTreeMap<PartitionName, Part>,
    consumer: Arc<BaseConsumer<Callbacks>>,
    brokers: String,
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
        Ok(KafkaPast {
            settings: settings.clone(),
            clocks: topics.iter().map(|topic| (topic.name.clone(), topic.clock)).collect(),
            asker: Asker::new(settings)?,
            records: None,
        })
    }

    /// Whether the settings say how this topic's clock runs.
    pub fn knows(&self, topic: &str) -> bool {
        self.clocks.contains_key(topic)
    }

    /// The first offsets that partitions still have, in the order asked for. Right after a broker came back some have no answer yet: asked
    /// again until [`ANSWER`] is over.
    pub fn starts(&self, names: &[&PartitionName]) -> Result<Vec<u64>, KafkaError> {
        let until = Instant::now() + ANSWER;
        let mut found: BTreeMap<PartitionName, u64> = BTreeMap::new();
        let mut failed = None;
        while let Some(missing) = names.iter().find(|name| !found.contains_key(**name)) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let detail = format!("where {missing} begins was not said within {} s", ANSWER.as_secs());
                return Err(failed.unwrap_or(KafkaError::Unreachable { brokers: self.settings.brokers.clone(), detail }));
            }
            match self.asker.offsets(names, Offset::Beginning, left) {
                Ok(some) => found.extend(some),
                Err(error) => failed = Some(error),
            }
            // no pause where nothing is missing any more
            if names.iter().any(|name| !found.contains_key(*name)) {
                self.asker.rest(Duration::from_millis(100).min(left));
            }
        }
        Ok(names.iter().filter_map(|name| found.get(*name).copied()).collect())
    }

    /// Records from `from` on; none where the broker says that this offset is no longer there.
    pub fn read(&mut self, name: &PartitionName, from: u64, to: u64) -> Result<Vec<Fetched>, KafkaError> {
        let clock = self.clocks.get(&name.topic).copied().unwrap_or_default();
        let records = match &mut self.records {
            Some(records) => records,
            None => self.records.insert(Records::open(&self.settings)?),
        };
        records.read((name, clock), from, to)
    }
}

impl Records {
    fn open(settings: &KafkaSettings) -> Result<Records, KafkaError> {
        let failed = |error| KafkaError::from_rd(&settings.brokers, "open a connection", error);
        let consumer: BaseConsumer<Callbacks> = settings.past().create_with_context(Callbacks::new("past")).map_err(failed)?;
        let consumer = Arc::new(consumer);
        Ok(Records { parts: BTreeMap::new(), _parting: Parting::of(&consumer), consumer, brokers: settings.brokers.clone() })
    }

    fn read(&mut self, (name, clock): (&PartitionName, Clock), from: u64, to: u64) -> Result<Vec<Fetched>, KafkaError> {
        if self.parts.get(name).is_none_or(|part| part.next != from) {
            self.parts.insert(name.clone(), Part { queue: None, next: from });
            self.assign_anew()?;
        }
        let (mut records, mut trouble) = (Vec::new(), String::new());
        let until = Instant::now() + ANSWER;
        while records.is_empty() {
            if Instant::now() >= until {
                let detail = format!("records {from}..{to} of {name} did not come within {} s{trouble}", ANSWER.as_secs());
                // what comes of it later belongs to nobody
                self.parts.remove(name);
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
                    Err(Rd::MessageConsumption(Code::AutoOffsetReset | Code::OffsetOutOfRange)) => {
                        self.parts.remove(name);
                        return Ok(Vec::new());
                    }
                    Err(error) => trouble = format!(": {error}"),
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
