//! Where alert changes go: a topic of Kafka, a topic of the embedded log, a webhook.
//!
//! Owns: [`Channel`] and how a batch reaches each kind. Refuses to know: cursors, when a batch is tried again.
//!
//! Invariants
//! 1. A batch that was sent is durable where it went; one that was not is tried again as a whole, under the same ids.
//! 2. Kafka: an idempotent producer with acks=all keeps the order of one alert and writes each record once while this process lives.
//!
//! Called by: notify.

use super::event;
use super::webhook::{Webhook, WebhookError};
use crate::disk::database::DatabaseError;
use crate::ingest::kafka::{DoorError as KafkaDoorError, KafkaDoor};
use crate::ingest::log::{Log, LogError, NewRecord};
use crate::journal::{JournalError, Told};
use std::sync::Arc;

pub enum Channel {
    Kafka { door: Arc<KafkaDoor>, topic: String },
    Embedded(Log),
    Webhook(Webhook),
}

#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    #[error(transparent)]
    Kafka(#[from] KafkaDoorError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl Channel {
    /// The name under which its cursor is kept.
    pub fn name(&self) -> &'static str {
        match self {
            Channel::Kafka { .. } => "kafka",
            Channel::Embedded(_) => "embedded",
            Channel::Webhook(_) => "webhook",
        }
    }

    /// So many changes are noted at once: a webhook takes one a request, so that nothing it took is sent again.
    pub fn batch(&self) -> usize {
        match self {
            Channel::Kafka { .. } | Channel::Embedded(_) => super::BATCH,
            Channel::Webhook(_) => 1,
        }
    }

    /// All of them are there when it returns; how many were given up.
    pub async fn send(&mut self, batch: &[Arc<Told>]) -> Result<u64, ChannelError> {
        match self {
            Channel::Kafka { door, topic } => {
                let headers = [("content-type".to_owned(), event::CONTENT_TYPE.as_bytes().to_vec())];
                // handed over in order, then awaited: their order in a partition is that of the calls
                let hand_over =
                    |told: &Arc<Told>| door.append(topic, Some(told.alert.as_bytes()), &headers, event::structured(told).as_bytes(), None);
                let sent: Vec<_> = batch.iter().map(hand_over).collect();
                for delivery in sent {
                    delivery.await?;
                }
                Ok(0)
            }
            Channel::Embedded(log) => {
                let record = |told: &Arc<Told>| NewRecord {
                    key: Some(told.alert.clone().into()),
                    headers: vec![("content-type".into(), event::CONTENT_TYPE.into())],
                    value: event::structured(told).into(),
                    ..NewRecord::default()
                };
                log.append(batch.iter().map(record).collect()).await?;
                Ok(0)
            }
            Channel::Webhook(webhook) => {
                let mut dead = 0;
                for told in batch {
                    dead += u64::from(!webhook.post(told).await?);
                }
                Ok(dead)
            }
        }
    }
}
