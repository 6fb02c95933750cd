//! A log's records read once more by who has no part in its reading: a replay.
//!
//! Owns: [`PastPlace`] (where the log is), [`PastLog`] (records by partition and offset). Refuses to know: ticks, who writes the log now.
//!
//! Invariants
//! 1. It can only read: nothing is appended, committed, removed, no lock is taken, no group joined.
//! 2. A partition's records come in offset order from the offset that was asked for; what is no longer there is an error that says where
//!    the log begins.
//!
//! Called by: replay.

use super::embedded::fetched;
use super::kafka::past::KafkaPast;
use super::kafka::{KafkaError, KafkaSettings, TopicSettings};
use super::log::{LogError, LogReader};
use super::{Fetched, PartitionName};
use crate::settings::ClockKind;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Records read together at most.
const BATCH: usize = 2_000;

#[derive(Debug, thiserror::Error)]
pub enum PastError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    #[error("topic {0} was read then and is not among the topics of the settings; name it under [topics] in ioc.toml")]
    Topic(String),
    #[error("records {from}..{to} of {partition} were read then and are no longer in the log, which begins at {start}")]
    Gone { partition: PartitionName, from: u64, to: u64, start: u64 },
}

/// Where a log is, for whoever opens it; topics by name with how their clock runs.
#[derive(Clone, Debug)]
pub enum PastPlace {
    Embedded { folder: PathBuf, topics: BTreeMap<String, ClockKind> },
    Kafka { settings: KafkaSettings, topics: Vec<TopicSettings> },
}

impl PastPlace {
    pub fn open(&self) -> Result<PastLog, PastError> {
        match self {
            PastPlace::Embedded { folder, topics } => {
                Ok(PastLog::Embedded(Topics { folder: folder.clone(), clocks: topics.clone(), readers: BTreeMap::new() }))
            }
            PastPlace::Kafka { settings, topics } => Ok(PastLog::Kafka(Box::new(KafkaPast::open(settings, topics)?))),
        }
    }
}

pub enum PastLog {
    Embedded(Topics),
    Kafka(Box<KafkaPast>),
}

/// The embedded log's topics, opened when first asked for.
pub struct Topics {
    folder: PathBuf,
    clocks: BTreeMap<String, ClockKind>,
    readers: BTreeMap<String, LogReader>,
}

impl PastLog {
    /// Offset of the first record that each partition still has, its end where it has none, in the order asked for; `None`: its topic is
    /// no longer there to be read.
    pub fn starts(&mut self, names: &[PartitionName]) -> Result<Vec<Option<u64>>, PastError> {
        match self {
            PastLog::Embedded(topics) => {
                let start = |name| match topics.reader(name, 0).and_then(|(reader, _)| Ok(reader.bounds(name.number as u32)?.0)) {
                    Ok(start) => Ok(Some(start)),
                    Err(PastError::Topic(_) | PastError::Log(LogError::Database(_))) => Ok(None),
                    Err(error) => Err(error),
                };
                names.iter().map(start).collect()
            }
            PastLog::Kafka(past) => {
                let known: Vec<&PartitionName> = names.iter().filter(|name| past.knows(&name.topic)).collect();
                let mut starts = if known.is_empty() { Vec::new() } else { past.starts(&known)? }.into_iter();
                Ok(names.iter().map(|name| if past.knows(&name.topic) { starts.next() } else { None }).collect())
            }
        }
    }

    /// Records of a partition from `from` on, at least one and perhaps some at or past `to`; the record before `to` was there once.
    pub fn read(&mut self, name: &PartitionName, from: u64, to: u64) -> Result<Vec<Fetched>, PastError> {
        let gone = |start: u64| PastError::Gone { partition: name.clone(), from, to, start };
        let records = match self {
            PastLog::Embedded(topics) => {
                let (reader, clock) = topics.reader(name, to)?;
                match reader.read(name.number as u32, from, BATCH) {
                    Err(LogError::Deleted { start, .. }) => return Err(gone(start)),
                    read => read?.into_iter().map(|record| fetched(record, clock)).collect(),
                }
            }
            PastLog::Kafka(past) if !past.knows(&name.topic) => return Err(PastError::Topic(name.topic.clone())),
            PastLog::Kafka(past) => past.read(name, from, to)?,
        };
        match records.first() {
            Some(first) if first.offset < to => Ok(records),
            _ => Err(gone(self.starts(std::slice::from_ref(name))?.into_iter().flatten().next().unwrap_or(to))),
        }
    }
}

impl Topics {
    /// A topic as it lay at some time when it reached `to`, if it does at all.
    fn reader(&mut self, name: &PartitionName, to: u64) -> Result<(&mut LogReader, ClockKind), PastError> {
        let clock = *self.clocks.get(&name.topic).ok_or_else(|| PastError::Topic(name.topic.clone()))?;
        let reaches = |r: &LogReader| r.bounds(name.number as u32).is_ok_and(|(_, end)| end >= to);
        if !self.readers.get(&name.topic).is_some_and(reaches) {
            self.readers.insert(name.topic.clone(), LogReader::look(&self.folder, &name.topic)?);
        }
        let reader = self.readers.get_mut(&name.topic).ok_or_else(|| PastError::Topic(name.topic.clone()))?;
        Ok((reader, clock))
    }
}
