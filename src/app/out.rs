//! What leaves for other programs: the outbox of alert changes and the channels that are told of them.
//!
//! Owns: which channels the settings ask for, their tasks. Refuses to know: how a channel is told.
//!
//! Invariants
//! 1. A topic that is read is never written to: alert changes are not events of the province.
//! 2. Nothing is made or opened that the settings do not ask for.
//!
//! Called by: app.

use super::Doors;
use crate::driver::wall_clock;
use crate::ingest::log::Log;
use crate::journal::Journal;
use crate::notify::channel::Channel;
use crate::notify::cursor::Cursors;
use crate::notify::webhook::Webhook;
use crate::notify::{ChannelCounters, Outbox, tell};
use crate::settings::Settings;
use crate::telemetry::Telemetry;
use crate::time::Span;
use anyhow::bail;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The outbox, and the tasks that tell of it.
pub struct Telling {
    pub outbox: Arc<Outbox>,
    /// The embedded log that is written, if one is.
    pub log: Option<Log>,
    stop: CancellationToken,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Telling {
    /// Within a runtime.
    pub fn start(settings: &Settings, journal: &Journal, doors: &Doors, telemetry: &Telemetry) -> anyhow::Result<Telling> {
        let outbox = Arc::new(Outbox::new(&settings.data, journal.last_told()));
        let (mut channels, mut log) = (Vec::new(), None);
        let topic = &settings.out.topic;
        if !topic.is_empty() {
            if settings.topics.contains_key(topic) {
                bail!("out.topic: {topic:?} is read as events (`[topics]` in ioc.toml); give another name, such as \"ioc.alerts\"");
            }
            channels.push(match doors {
                Doors::Kafka(door, _) => Channel::Kafka { door: door.clone(), topic: topic.clone() },
                Doors::Embedded(_) => {
                    let opened = Log::open(&settings.data.join("log"), topic, 4)?;
                    log = Some(opened.clone());
                    Channel::Embedded(opened)
                }
            });
        }
        let hook = &settings.webhook;
        if !hook.url.is_empty() {
            let dead_letters = settings.data.join("dead-letters/webhook.ndjson");
            let give_up = Span::days(i64::from(hook.give_up_days));
            channels.push(Channel::Webhook(Webhook::new(&hook.url, &hook.secret, give_up, dead_letters, Arc::new(wall_clock))?));
        }
        let (stop, mut tasks, mut counted) = (CancellationToken::new(), Vec::new(), Vec::new());
        if !channels.is_empty() {
            let cursors = Arc::new(Cursors::open(&settings.data)?);
            for channel in channels {
                let counters = Arc::new(ChannelCounters::default());
                counted.push((channel.name(), counters.clone()));
                tasks.push(tokio::spawn(tell(outbox.clone(), cursors.clone(), channel, counters, stop.clone())));
            }
        }
        let _ = telemetry.channels.set((outbox.clone(), counted));
        Ok(Telling { outbox, log, stop, tasks })
    }

    /// What was not told waits for the next start.
    pub async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            let _ = task.await;
        }
    }
}
