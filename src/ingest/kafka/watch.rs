//! Asks the brokers, on a thread and a connection of its own, where each partition begins and ends, and which partitions there are.
//!
//! Owns: [`Watch`]; the newest [`Mark`] of every partition, and when its broker said so.
//! Refuses to know: the group, what is read.
//!
//! Invariants
//! 1. `confirmed` is an instant before the question was sent: a partition never looks fresher than it is.
//! 2. A dead broker delays the marks of the others' partitions by at most [`ANSWER`] per round; it is asked less often.
//! 3. Nothing queues up: only the newest marks are kept.
//!
//! Called by: reader, past, topics.

use super::book::Mark;
use super::context::Callbacks;
use super::error::KafkaError;
use super::settings::KafkaSettings;
use crate::ingest::PartitionName;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Ends are asked for this often.
const ROUND: Duration = Duration::from_millis(250);
/// How long one answer is waited for.
const ANSWER: Duration = Duration::from_millis(1000);
/// Partitions and their leaders are asked for this often; after a failure every second.
const LAYOUT: Duration = Duration::from_secs(5);
/// Where partitions begin is asked for every so many rounds, and when the reader hurries.
const LOW_EVERY: u64 = 8;

/// Which broker leads each partition.
pub(crate) type Layout = BTreeMap<PartitionName, i32>;

#[derive(Default)]
struct Board {
    stop: bool,
    hurry: bool,
    marks: BTreeMap<PartitionName, Mark>,
}

#[derive(Default)]
struct Shared {
    board: Mutex<Board>,
    wake: Condvar,
    /// Rises when marks changed.
    version: AtomicU64,
    /// The newest round begun.
    round: AtomicU64,
}

impl Shared {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client without group, for questions only.
pub(crate) struct Asker {
    client: BaseConsumer<Callbacks>,
    brokers: String,
}

impl Asker {
    pub fn new(settings: &KafkaSettings) -> Result<Asker, KafkaError> {
        let client = settings
            .watcher()
            .create_with_context(Callbacks::new("watch"))
            .map_err(|error| KafkaError::from_rd(&settings.brokers, "open a connection", error))?;
        Ok(Asker { client, brokers: settings.brokers.clone() })
    }

    /// Serves log lines and errors, which would pile up otherwise.
    fn drain(&self) {
        for _ in 0..100 {
            let before = self.client.context().called();
            let _ = self.client.poll(Duration::ZERO);
            if self.client.context().called() == before {
                break;
            }
        }
    }

    /// Serves callbacks until one came or the time is over.
    pub fn rest(&self, limit: Duration) {
        let _ = self.client.poll(limit);
    }

    /// The partitions of a topic and their leaders (-1: none now).
    pub fn layout(&self, topic: &str, limit: Duration) -> Result<Layout, KafkaError> {
        self.drain();
        let what = format!("describe topic `{topic}`");
        let found = self.client.fetch_metadata(Some(topic), limit).map_err(|error| KafkaError::from_rd(&self.brokers, &what, error))?;
        let Some(found) = found.topics().iter().find(|found| found.name() == topic) else {
            return Err(KafkaError::NoTopic { brokers: self.brokers.clone(), topic: topic.to_string() });
        };
        match found.error().map(Code::from) {
            None | Some(Code::NoError) => {}
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::InvalidTopic) => {
                return Err(KafkaError::NoTopic { brokers: self.brokers.clone(), topic: topic.to_string() });
            }
            Some(code) => return Err(KafkaError::from_code(&self.brokers, &what, code)),
        }
        let partition = |number: i32| PartitionName { topic: topic.to_string(), number };
        Ok(found.partitions().iter().map(|p| (partition(p.id()), p.leader())).collect())
    }

    /// First or one past the last readable offset of each partition, of one answer.
    pub fn offsets(&self, names: &[&PartitionName], which: Offset, limit: Duration) -> Result<Vec<(PartitionName, u64)>, KafkaError> {
        let what = "ask where partitions begin and end";
        let failed = |error| KafkaError::from_rd(&self.brokers, what, error);
        let mut list = TopicPartitionList::with_capacity(names.len());
        for name in names {
            list.add_partition_offset(&name.topic, name.number, which).map_err(failed)?;
        }
        let list = self.client.offsets_for_times(list, limit).map_err(failed)?;
        let answered = |e: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match (e.error(), e.offset()) {
            (Ok(()), Offset::Offset(offset)) => Some(offset as u64),
            _ => None,
        };
        let name = |e: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| PartitionName {
            topic: e.topic().to_string(),
            number: e.partition(),
        };
        Ok(list.elements().iter().filter_map(|e| Some((name(e), answered(e)?))).collect())
    }
}

pub(crate) struct Watch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// `marks`: what `asker` already knows, as from round 0.
    pub fn start(asker: Asker, topics: Vec<String>, layout: Layout, marks: BTreeMap<PartitionName, Mark>) -> std::io::Result<Watch> {
        let shared = Arc::new(Shared { version: AtomicU64::new(1), ..Shared::default() });
        shared.board().marks = marks;
        let rounds = Rounds {
            shared: shared.clone(),
            asker,
            topics,
            layout,
            layout_due: Instant::now() + LAYOUT,
            resting: BTreeMap::new(),
            layout_trouble: None,
        };
        let thread = std::thread::Builder::new().name("kafka-watch".into()).spawn(move || rounds.run())?;
        Ok(Watch { shared, thread: Some(thread) })
    }

    /// The newest marks, if they are newer than `seen`, which is set.
    pub fn news(&self, seen: &mut u64) -> Option<BTreeMap<PartitionName, Mark>> {
        let version = self.shared.version.load(Ordering::Acquire);
        if version == *seen {
            return None;
        }
        *seen = version;
        Some(self.shared.board().marks.clone())
    }

    pub fn round(&self) -> u64 {
        self.shared.round.load(Ordering::Acquire)
    }

    /// Asks at once, beginnings too.
    pub fn hurry(&self) {
        self.shared.board().hurry = true;
        self.shared.wake.notify_one();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.board().stop = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("Kafka: the thread that watches ends of partitions panicked");
        }
    }
}

struct Rounds {
    shared: Arc<Shared>,
    asker: Asker,
    topics: Vec<String>,
    layout: Layout,
    layout_due: Instant,
    /// Brokers that did not answer, and until when they are left alone.
    resting: BTreeMap<i32, Instant>,
    layout_trouble: Option<String>,
}

impl Rounds {
    fn run(mut self) {
        for round in 1.. {
            let began = Instant::now();
            self.shared.round.store(round, Ordering::Release);
            let low_too = std::mem::take(&mut self.shared.board().hurry) || round % LOW_EVERY == 0;
            self.asker.drain();
            if began >= self.layout_due {
                self.ask_layout();
            }
            self.ask_offsets(round, low_too);
            let mut board = self.shared.board();
            while !board.stop && !board.hurry {
                let Some(left) = ROUND.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) else { break };
                board = self.shared.wake.wait_timeout(board, left).unwrap_or_else(PoisonError::into_inner).0;
            }
            if board.stop {
                return;
            }
        }
    }

    fn ask_layout(&mut self) {
        let mut wait = LAYOUT;
        self.layout_trouble = None;
        for topic in &self.topics {
            match self.asker.layout(topic, ANSWER) {
                Ok(found) => self.layout.extend(found),
                Err(error) => {
                    self.layout_trouble = Some(error.to_string());
                    wait = Duration::from_secs(1);
                    if matches!(error, KafkaError::Unreachable { .. }) {
                        break;
                    }
                }
            }
        }
        self.layout_due = Instant::now() + wait;
    }

    /// One question to each leader.
    fn ask_offsets(&mut self, round: u64, low_too: bool) {
        let mut by_leader: BTreeMap<i32, Vec<PartitionName>> = BTreeMap::new();
        for (name, leader) in &self.layout {
            by_leader.entry(*leader).or_default().push(name.clone());
        }
        let mut trouble = None;
        for (leader, names) in by_leader {
            let asked = Instant::now();
            if self.resting.get(&leader).is_some_and(|until| asked < *until) {
                trouble = Some(None);
                continue;
            }
            match self.ask(&names.iter().collect::<Vec<_>>(), asked, round, low_too) {
                Ok(()) => {
                    self.resting.remove(&leader);
                }
                Err(error) => {
                    self.resting.insert(leader, Instant::now() + ROUND);
                    self.layout_due = self.layout_due.min(Instant::now() + Duration::from_secs(1));
                    trouble = Some(Some(error.to_string()));
                }
            }
            if self.shared.board().stop {
                return;
            }
        }
        match (trouble, &self.layout_trouble) {
            (Some(Some(error)), _) => self.asker.client.context().say(Some(error)),
            (Some(None), _) => {}
            (None, layout) => self.asker.client.context().say(layout.clone()),
        }
    }

    fn ask(&self, names: &[&PartitionName], asked: Instant, round: u64, low_too: bool) -> Result<(), KafkaError> {
        let lows = if low_too { self.asker.offsets(names, Offset::Beginning, ANSWER)? } else { Vec::new() };
        let ends = self.asker.offsets(names, Offset::End, ANSWER)?;
        let all = ends.len() == names.len();
        let mut board = self.shared.board();
        for (name, end) in ends {
            let low = board.marks.get(&name).and_then(|mark| mark.low);
            board.marks.insert(name, Mark { low, end, confirmed: Some(asked) });
        }
        for (name, low) in lows {
            if let Some(mark) = board.marks.get_mut(&name) {
                mark.low = Some((low, round));
            }
        }
        drop(board);
        self.shared.version.fetch_add(1, Ordering::Release);
        let detail = format!("no answer for some of {} and its neighbours", names[0]);
        if all { Ok(()) } else { Err(KafkaError::Unreachable { brokers: self.asker.brokers.clone(), detail }) }
    }
}
