//! Reading topics of Kafka as a member of a consumer group, for the driver's own thread; appending to them ([`KafkaDoor`]).
//!
//! Owns: [`KafkaReader`]. Each partition has its own queue in librdkafka: one that is full is simply not asked, so what librdkafka
//! holds ready stays ready (its own pause throws that away), and an error names its partition.
//! Refuses to know: events, ticks, checkpoints; when to commit.
//!
//! Invariants
//! 1. Where reading starts comes from the caller and from what the caller took out of the buffers, never from the broker's commits.
//! 2. A record fetched before its partition was revoked never reaches the buffer after it (D4; `book`).
//! 3. Records deleted before they were read are stated ([`KafkaReader::take_lost`]); nothing else is left out (D1).
//! 4. [`KafkaReader::poll`] returns within `wait`, whatever the brokers do.
//! 5. An index of [`KafkaReader::partitions`] never changes its meaning; new partitions are appended.
//!
//! Called by: driver, app.

mod admin;
mod book;
mod context;
mod door;
mod error;
mod parting;
pub(super) mod past;
mod settings;
mod statistics;
mod watch;

pub(crate) use admin::{Admin, Config, RETENTION, TIMESTAMP_TYPE};
pub use door::{Appended, DoorError, KafkaDoor};
pub use error::KafkaError;
pub use settings::{Bounds, Clock, DOOR_KIB, DOOR_RECORDS, KafkaSettings, TopicSettings};
pub use statistics::{KafkaStatistics, PartitionNumbers};
pub(crate) use watch::Asker;

use crate::ingest::{Fetched, Lost, PartitionName, PartitionStatus};
use crate::time::Timestamp;
use book::{Book, Mark, Step, Taken};
use context::{Callbacks, Rebalance};
use parting::Parting;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError as Rd, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Headers, Message, Timestamp as Stamp};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use watch::{Layout, Watch};

/// How long opening waits for the brokers.
const OPENING: Duration = Duration::from_secs(10);
/// Records taken from one partition before the next has its turn.
const TURN: usize = 500;

/// Rung by librdkafka's threads when a queue is no longer empty.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    ring: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.ring.notify_one();
    }

    fn hush(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }

    fn wait(&self, limit: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.ring.wait_timeout_while(rung, limit, |rung| !*rung));
    }
}

pub struct KafkaReader {
    /// Before the consumer: it must have ended when the group is left. In drop order.
    watch: Watch,
    queues: Vec<Option<PartitionQueue<Callbacks>>>,
    /// Of each partition's topic, as long as `queues`.
    clocks: Vec<Clock>,
    consumer: Arc<BaseConsumer<Callbacks>>,
    bell: Arc<Bell>,
    brokers: String,
    topics: Vec<TopicSettings>,
    book: Book,
    /// Version of the watch's marks that the book has.
    seen: u64,
    /// librdkafka has to be told anew what to read.
    reassign: bool,
    /// The partition whose turn is first in the next pass.
    first: usize,
    fatal: Option<KafkaError>,
    numbers: KafkaStatistics,
    /// Last in drop order.
    _parting: Parting,
}

impl KafkaReader {
    /// Joins the group. `start`: the next offset of each partition that is known; one that is missing there starts at its first record.
    /// Blocks up to about 10 s. Errors: settings that cannot work, brokers that do not answer, a topic that is missing or keeps the
    /// producers' times, a `start` beyond a partition's end.
    pub fn open(
        settings: &KafkaSettings,
        topics: &[TopicSettings],
        start: BTreeMap<PartitionName, u64>,
    ) -> Result<KafkaReader, KafkaError> {
        settings.check()?;
        if settings.group.is_empty() {
            return Err(KafkaError::Setting { key: "group".into(), problem: "is empty: write `group = \"ioc\"` under [kafka]".into() });
        }
        let asker = Asker::new(settings)?;
        let (layout, marks) = survey(&asker, topics, &start)?;
        refuse_create_time(settings, topics)?;
        let mut book = Book::new(Bounds::of(layout.len()));
        for name in layout.keys() {
            let first = marks.get(name).and_then(|mark| mark.low).map(|(low, _)| low);
            let i = book.add(name, start.get(name).copied().or(first));
            book.mark(i, marks.get(name).copied().unwrap_or_default());
        }
        let failed = |error| KafkaError::from_rd(&settings.brokers, "join the group", error);
        let mut consumer: BaseConsumer<Callbacks> =
            settings.consumer(Bounds::of(layout.len())).create_with_context(Callbacks::new("reader")).map_err(failed)?;
        let bell = Arc::new(Bell::default());
        let ringing = bell.clone();
        consumer.set_nonempty_callback(move || ringing.ring());
        let names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
        let watch = Watch::start(asker, names.clone(), layout, marks).map_err(|error| KafkaError::Failed {
            brokers: settings.brokers.clone(),
            what: "a thread".into(),
            detail: error.to_string(),
        })?;
        consumer.subscribe(&names.iter().map(String::as_str).collect::<Vec<_>>()).map_err(failed)?;
        let consumer = Arc::new(consumer);
        Ok(KafkaReader {
            watch,
            queues: Vec::new(),
            clocks: Vec::new(),
            _parting: Parting::of(&consumer),
            consumer,
            bell,
            brokers: settings.brokers.clone(),
            topics: topics.to_vec(),
            book,
            seen: 0,
            reassign: false,
            first: 0,
            fatal: None,
            numbers: KafkaStatistics::default(),
        })
    }

    /// All partitions of the topics: by topic and number, then those that were added while reading.
    pub fn partitions(&self) -> &[PartitionName] {
        self.book.names()
    }

    /// One pass: group, errors, ends, then a turn for every partition that has room. Waits for the first record at most `wait`.
    /// Returns how many records were buffered.
    pub fn poll(&mut self, wait: Duration) -> usize {
        let until = Instant::now() + wait;
        loop {
            self.bell.hush();
            self.serve_group();
            self.take_news();
            if self.reassign {
                self.assign_anew();
            }
            let taken = self.fetch(until);
            let left = until.saturating_duration_since(Instant::now());
            if taken > 0 || left.is_zero() {
                return taken;
            }
            self.bell.wait(left);
        }
    }

    pub fn buffer(&mut self, i: usize) -> &mut VecDeque<Fetched> {
        self.book.buffer(i)
    }

    pub fn status(&self, i: usize) -> PartitionStatus {
        self.book.status(i)
    }

    /// The first offset of a partition that the driver has not taken: `end` once all is taken.
    pub fn wanted(&self, i: usize) -> u64 {
        self.book.wanted(i)
    }

    /// Why a partition stands still until somebody acts; `None` in general.
    pub fn fault(&self, i: usize) -> Option<&KafkaError> {
        self.fatal.as_ref().or_else(|| self.book.fault(i))
    }

    pub fn take_lost(&mut self) -> Vec<Lost> {
        let lost = self.book.take_lost();
        self.numbers.lost += lost.iter().map(|lost| lost.to - lost.from).sum::<u64>();
        lost
    }

    /// Reads on at `offset`; what is buffered of the partition is dropped.
    pub fn seek(&mut self, i: usize, offset: u64) {
        self.book.seek(i, offset);
        self.reassign = true;
    }

    /// Tells the group how far we are, for lag displays only. Not waited for; errors are logged.
    pub fn commit(&mut self, offsets: &[(PartitionName, u64)]) {
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (name, offset) in offsets {
            let mine = self.book.find(&name.topic, name.number).is_some_and(|i| self.book.status(i).assigned);
            if mine && let Err(error) = list.add_partition_offset(&name.topic, name.number, Offset::Offset(*offset as i64)) {
                tracing::debug!("commit of {name} at {offset}: {error}");
            }
        }
        if list.count() > 0
            && let Err(error) = self.consumer.commit(&list, CommitMode::Async)
        {
            tracing::debug!("commit for lag displays failed: {error}");
        }
    }

    pub fn statistics(&self) -> KafkaStatistics {
        let partition = |(i, name): (usize, &PartitionName)| {
            let (status, buffered) = (self.book.status(i), self.book.buffered(i));
            PartitionNumbers {
                name: name.clone(),
                assigned: status.assigned,
                lag: status.end.saturating_sub(self.book.wanted(i)),
                buffered_records: buffered.0,
                buffered_bytes: buffered.1,
                full: self.book.is_full(i),
                faulty: self.fault(i).is_some(),
            }
        };
        KafkaStatistics { partitions: self.book.names().iter().enumerate().map(partition).collect(), ..self.numbers.clone() }
    }
}

/// What librdkafka says.
impl KafkaReader {
    /// Serves the group's queue until it is empty: rebalances, errors, statistics, log lines.
    fn serve_group(&mut self) {
        for _ in 0..1000 {
            let before = self.consumer.context().called();
            let consumer = self.consumer.clone();
            match consumer.poll(Duration::ZERO) {
                Some(Ok(message)) => {
                    if let Some(i) = self.book.find(message.topic(), message.partition()) {
                        self.take(i, &message);
                    }
                }
                Some(Err(error)) => self.note(None, error),
                None if self.consumer.context().called() == before => break,
                None => {}
            }
            for rebalance in self.consumer.context().take_rebalances() {
                self.rebalanced(rebalance);
            }
        }
        if let Some(found) = self.consumer.context().take_statistics() {
            self.take_statistics(&found);
        }
    }

    fn rebalanced(&mut self, rebalance: Rebalance) {
        for i in 0..self.book.names().len() {
            self.book.revoke(i);
        }
        match rebalance {
            Rebalance::Assigned(list) => {
                tracing::info!(partitions = list.len(), "Kafka: assigned");
                self.numbers.assignments += 1;
                for (topic, number) in list {
                    let i = self.book.add(&PartitionName { topic, number }, None);
                    self.book.assign(i);
                }
                self.consumer.context().say(None);
                self.assign_anew();
            }
            Rebalance::Revoked => {
                tracing::info!("Kafka: assignment revoked");
                self.reassign = false;
                // What librdkafka still holds is outdated: asking once lets go of it.
                self.queues.iter().flatten().for_each(|queue| drop(queue.poll(Duration::ZERO)));
            }
        }
    }

    /// Tells librdkafka what to read and from where. A partition's own queue is split off before: it keeps what is read of it.
    fn assign_anew(&mut self) {
        self.reassign = false;
        self.queues.resize_with(self.book.names().len(), || None);
        for name in &self.book.names()[self.clocks.len()..] {
            self.clocks.push(self.topics.iter().find(|topic| topic.name == name.topic).map_or(Clock::Broker, |topic| topic.clock));
        }
        let mut list = TopicPartitionList::new();
        for (name, i, from) in self.book.reading() {
            self.queues[i] = None; // its end silences the bell of the same queue: first end, then split anew
            self.queues[i] = self.consumer.split_partition_queue(&name.topic, name.number);
            if let Some(queue) = &mut self.queues[i] {
                let bell = self.bell.clone();
                queue.set_nonempty_callback(move || bell.ring());
            }
            let from = from.map_or(Offset::Beginning, |offset| Offset::Offset(offset as i64));
            if let Err(error) = list.add_partition_offset(&name.topic, name.number, from) {
                self.consumer.context().say(Some(format!("{name} cannot be read from {from:?}: {error}")));
            }
        }
        if let Err(error) = self.consumer.assign(&list) {
            self.reassign = true;
            self.consumer.context().say(Some(format!("taking up {} partitions failed, is tried again: {error}", list.count())));
        }
    }

    /// Ends, beginnings and new partitions, as the watch has them.
    fn take_news(&mut self) {
        let Some(marks) = self.watch.news(&mut self.seen) else { return };
        for (name, mark) in marks {
            let i = self.book.add(&name, None);
            match self.book.mark(i, mark) {
                Step::Nothing => {}
                Step::Restart => self.reassign = true,
                Step::Broken => self.consumer.context().say(self.book.fault(i).map(ToString::to_string)),
            }
        }
    }

    fn take_statistics(&mut self, found: &rdkafka::statistics::Statistics) {
        self.numbers.received_bytes = found.rxmsg_bytes.max(0) as u64;
        self.numbers.received_records = found.rxmsgs.max(0) as u64;
        let mut brokers: Vec<_> = found.brokers.values().filter(|b| b.nodeid >= 0).map(|b| (b.name.clone(), b.state.clone())).collect();
        brokers.sort();
        self.numbers.brokers = brokers;
        let up = |leader: i32| found.brokers.values().any(|broker| broker.nodeid == leader && broker.state == "UP");
        for topic in found.topics.values() {
            for (number, partition) in &topic.partitions {
                let Some(i) = self.book.find(&topic.topic, *number) else { continue };
                let drained = partition.fetchq_cnt == 0 && partition.fetch_state == "active" && up(partition.leader);
                self.book.silent(i, if drained { partition.next_offset.max(0) as u64 } else { 0 });
            }
        }
    }

    /// A turn for each partition with room, until `until`.
    fn fetch(&mut self, until: Instant) -> usize {
        let (count, mut taken) = (self.queues.len(), 0);
        for turn in 0..count {
            let i = (self.first + turn) % count;
            if !self.book.wants_more(i) {
                continue;
            }
            taken += self.fetch_one(i);
            if turn + 1 < count && Instant::now() >= until && taken > 0 {
                self.first = (i + 1) % count;
                return taken;
            }
        }
        self.first = 0;
        taken
    }

    fn fetch_one(&mut self, i: usize) -> usize {
        let Some(queue) = self.queues[i].take() else { return 0 };
        let mut taken = 0;
        for _ in 0..TURN {
            match queue.poll(Duration::ZERO) {
                Some(Ok(message)) => taken += self.take(i, &message) as usize,
                Some(Err(error)) => self.note(Some(i), error),
                None => break,
            }
        }
        self.queues[i] = Some(queue);
        taken
    }

    fn take(&mut self, i: usize, message: &BorrowedMessage<'_>) -> bool {
        let clock = self.clocks.get(i).copied().unwrap_or_default();
        let fetched = fetched(message, clock);
        self.numbers.unclocked += u64::from(fetched.broker_time.is_none() && clock != Clock::Event);
        match self.book.take(i, fetched) {
            Taken::Buffered => return true,
            Taken::Repeated => self.numbers.repeated += 1,
            Taken::Fenced => self.numbers.fenced += 1,
        }
        false
    }

    /// An error that librdkafka reports of a partition, or of the group.
    fn note(&mut self, i: Option<usize>, error: Rd) {
        match (&error, i) {
            (Rd::MessageConsumption(Code::AutoOffsetReset | Code::OffsetOutOfRange), Some(i)) => {
                self.book.out_of_range(i, self.watch.round());
                self.watch.hurry();
            }
            (Rd::MessageConsumptionFatal(code), _) => {
                let fatal = KafkaError::from_code(&self.brokers, "stay in the group", *code);
                self.consumer.context().say(Some(fatal.to_string()));
                self.fatal = Some(fatal);
            }
            (Rd::MessageConsumption(Code::BrokerTransportFailure | Code::AllBrokersDown | Code::OperationTimedOut), _) => {}
            _ => {
                let place = i.map_or_else(String::new, |i| format!("{}: ", self.book.names()[i]));
                self.consumer.context().say(Some(format!("{place}{error}")));
            }
        }
    }
}

impl Drop for KafkaReader {
    fn drop(&mut self) {
        self.consumer.context().close();
    }
}

/// A record of a topic with this clock, owned.
fn fetched(message: &BorrowedMessage<'_>, clock: Clock) -> Fetched {
    let broker_time = match (clock, message.timestamp()) {
        (Clock::Broker, Stamp::LogAppendTime(millis)) => Some(Timestamp::from_millis(millis)),
        _ => None,
    };
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers.iter().map(|header| (header.key.to_string(), header.value.unwrap_or_default().to_vec())).collect()
    });
    let value = message.payload().unwrap_or_default().to_vec();
    Fetched { offset: message.offset() as u64, broker_time, headers, value }
}

fn refuse_create_time(settings: &KafkaSettings, topics: &[TopicSettings]) -> Result<(), KafkaError> {
    let admin = Admin::new(settings, OPENING)?;
    for topic in topics {
        let config = admin.config(&topic.name)?;
        let found = config.get(TIMESTAMP_TYPE).map_or("unknown", |(value, _)| value.as_str());
        if topic.clock == Clock::Broker && found != "LogAppendTime" {
            return Err(KafkaError::CreateTime { topic: topic.name.clone(), found: found.to_string() });
        }
    }
    Ok(())
}

/// All partitions, where they begin and end; refuses a start beyond an end.
fn survey(
    asker: &Asker,
    topics: &[TopicSettings],
    start: &BTreeMap<PartitionName, u64>,
) -> Result<(Layout, BTreeMap<PartitionName, Mark>), KafkaError> {
    let mut layout = Layout::new();
    for topic in topics {
        layout.extend(asker.layout(&topic.name, OPENING)?);
    }
    if layout.is_empty() {
        return Err(KafkaError::Setting { key: "topics".into(), problem: "no topic is named: write a [topics.NAME] in ioc.toml".into() });
    }
    let (names, asked) = (layout.keys().collect::<Vec<_>>(), Instant::now());
    let lows: BTreeMap<_, _> = asker.offsets(&names, Offset::Beginning, OPENING)?.into_iter().collect();
    let ends: BTreeMap<_, _> = asker.offsets(&names, Offset::End, OPENING)?.into_iter().collect();
    let mut marks = BTreeMap::new();
    for name in names {
        let (Some(low), Some(end)) = (lows.get(name), ends.get(name)) else { continue };
        marks.insert(name.clone(), Mark { low: Some((*low, 0)), end: *end, confirmed: Some(asked) });
    }
    let topic_of = |name: &PartitionName| topics.iter().any(|topic| topic.name == name.topic);
    for (name, wanted) in start.iter().filter(|(name, _)| topic_of(name)) {
        let end = if layout.contains_key(name) { marks.get(name).map(|mark| mark.end) } else { Some(0) };
        if let Some(end) = end.filter(|end| end < wanted) {
            return Err(KafkaError::Beyond { partition: name.clone(), wanted: *wanted, end });
        }
    }
    Ok((layout, marks))
}
