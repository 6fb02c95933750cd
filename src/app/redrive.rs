//! Driving refused records again: their original bytes enter the log anew, and their verdict comes back.
//!
//! Owns: the way of such a record into the log, the wait for its verdict; what the server and the command line ask of the stores of
//! rejected and late records. Refuses to know: who may ask, how a verdict is reached.
//!
//! Invariants
//! 1. A ticket is durable before its record enters the log; the record carries it as a header (D5).
//! 2. The record goes to the topic and partition it came from, bytes and headers as they were: it is judged like any other (T4).
//! 3. A verdict is told only once its tick is committed; what is not judged within [`PATIENCE`] is told as such, never guessed.
//!
//! Called by: app (server's part), cli (`ioc rejected redrive` without a running server).

use crate::driver::wall_clock;
use crate::ingest::kafka::KafkaDoor;
use crate::ingest::log::{Log, NewRecord};
use crate::server::{Answer, Refusals, SourceError};
use crate::store::late::{KeptLate, LateStore, WantedLate};
use crate::store::rejected::{Kept, Place, Redriven, RejectedStore, TICKET_HEADER, Wanted};
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long a request waits for verdicts.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where records go in again.
#[derive(Clone)]
pub enum Way {
    /// One log a topic.
    Embedded(Vec<Log>),
    Kafka(Arc<KafkaDoor>, Vec<String>),
}

impl Way {
    fn has(&self, topic: &str) -> bool {
        match self {
            Way::Embedded(logs) => logs.iter().any(|log| log.topic() == topic),
            Way::Kafka(_, topics) => topics.iter().any(|t| t == topic),
        }
    }

    async fn append(&self, kept: &Kept, ticket: i64) -> anyhow::Result<Place> {
        let mut headers = kept.headers.clone();
        headers.retain(|(name, _)| name != TICKET_HEADER);
        headers.push((TICKET_HEADER.to_owned(), ticket.to_string().into_bytes()));
        let place = |partition: i32, offset: u64| Place { topic: kept.topic.clone(), partition, offset };
        match self {
            Way::Embedded(logs) => {
                let Some(log) = logs.iter().find(|log| log.topic() == kept.topic) else { bail!("no log of topic {}", kept.topic) };
                let record = NewRecord {
                    headers: headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
                    value: kept.raw.clone().into(),
                    partition: u32::try_from(kept.partition).ok(),
                    ..NewRecord::default()
                };
                let appended = log.append(vec![record]).await?;
                let at = appended.first().context("the log did not say where the record lies")?;
                Ok(place(at.partition as i32, at.offset))
            }
            Way::Kafka(door, _) => {
                let at = door.append_to(&kept.topic, Some(kept.partition), None, &headers, &kept.raw, None).await?;
                Ok(place(at.partition, at.offset))
            }
        }
    }
}

/// Appends each record anew; what is known of each then, in their order.
pub async fn drive_again(way: &Way, data: &Path, records: Vec<Kept>, by: &str) -> anyhow::Result<Vec<Redriven>> {
    if let Some(kept) = records.iter().find(|kept| !way.has(&kept.topic)) {
        bail!("record {}: topic {} is not read any more; name it under `[topics]` in ioc.toml", kept.number, kept.topic);
    }
    let mut store = RejectedStore::open(data)?;
    let numbers: Vec<i64> = records.iter().map(|kept| kept.number).collect();
    let tickets = store.begin_redrive(&numbers, wall_clock(), by)?;
    for (kept, ticket) in records.iter().zip(&tickets) {
        let place = way.append(kept, *ticket).await.with_context(|| format!("record {} was not driven again", kept.number))?;
        store.placed(*ticket, &place)?;
    }
    told(&store, &tickets)
}

fn told(store: &RejectedStore, tickets: &[i64]) -> anyhow::Result<Vec<Redriven>> {
    let known = tickets.iter().map(|ticket| store.ticket(*ticket)).collect::<Result<Vec<_>, _>>()?;
    Ok(known.into_iter().flatten().collect())
}

/// The server's questions about what was refused and what came late.
pub struct Desk {
    pub data: PathBuf,
    pub way: Way,
    /// Moves whenever verdicts were kept.
    pub judged: watch::Receiver<u64>,
}

impl Desk {
    async fn drive(&self, records: Vec<Kept>, by: String) -> anyhow::Result<Vec<Redriven>> {
        let mut judged = self.judged.clone();
        let data = self.data.clone();
        let mut known = drive_again(&self.way, &data, records, &by).await?;
        let tickets: Vec<i64> = known.iter().map(|r| r.ticket).collect();
        let all_judged = async {
            while known.iter().any(|r| r.verdict.is_none()) && judged.changed().await.is_ok() {
                known = told(&RejectedStore::open(&data)?, &tickets)?;
            }
            anyhow::Ok(known)
        };
        match tokio::time::timeout(PATIENCE, all_judged).await {
            Ok(known) => known,
            Err(_) => told(&RejectedStore::open(&self.data)?, &tickets),
        }
    }
}

impl Refusals for Desk {
    fn rejected(&self, wanted: Wanted) -> Answer<'_, Result<Vec<Kept>, SourceError>> {
        let data = self.data.clone();
        asked(move || RejectedStore::open(&data)?.list(&wanted))
    }

    fn one(&self, number: i64) -> Answer<'_, Result<Option<Kept>, SourceError>> {
        let data = self.data.clone();
        asked(move || RejectedStore::open(&data)?.get(number))
    }

    fn late(&self, wanted: WantedLate) -> Answer<'_, Result<Vec<KeptLate>, SourceError>> {
        let data = self.data.clone();
        asked(move || LateStore::open(&data)?.list(&wanted))
    }

    fn redrive(&self, records: Vec<Kept>, by: String) -> Answer<'_, Result<Vec<Redriven>, SourceError>> {
        Box::pin(async move { self.drive(records, by).await.map_err(|e| SourceError::Unavailable(format!("{e:#}"))) })
    }
}

/// Asks a database without holding up a thread of the server.
fn asked<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, crate::disk::database::DatabaseError> + Send + 'static,
) -> Answer<'static, Result<T, SourceError>> {
    Box::pin(async move {
        let done = tokio::task::spawn_blocking(ask).await.map_err(|e| SourceError::Failed(e.to_string()))?;
        done.map_err(|e| SourceError::Unavailable(e.to_string()))
    })
}
