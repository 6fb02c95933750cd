//! The past behind the server: who gets a replay, and the bar of the past.
//!
//! Owns: the places for replays, their threads. Refuses to know: how a replay computes, sockets.
//!
//! Invariants
//! 1. At most [`SESSIONS`] replays at once; one of them computes at a time, each on a thread of its own.
//! 2. A replay's place is free again when its thread has ended.
//!
//! Called by: app, cli (`place`).

use super::parts;
use crate::checkpoint::CheckpointReader;
use crate::definitions::Definitions;
use crate::disk::Disk;
use crate::engine::setup::Setup;
use crate::ingest::past::PastPlace;
use crate::replay::session::Session;
use crate::replay::{Past, ReplayError, SESSIONS, timeline};
use crate::server::scope::Scope;
use crate::server::wire::Timeline;
use crate::server::{Answer, ReplayLine, ReplayRefused, Replays, SourceError};
use crate::settings::{LogKind, Settings};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use tokio::sync::{Semaphore, mpsc};

/// Commands that wait: a scrub sends many.
const COMMANDS: usize = 256;
/// Frames that wait for their reader.
const FRAMES: usize = 8;

/// Where the log of these settings is, for reading.
pub fn place(settings: &Settings) -> PastPlace {
    match settings.log {
        LogKind::Embedded => PastPlace::Embedded {
            folder: settings.data.join("log"),
            topics: settings.topics.iter().map(|(name, how)| (name.clone(), how.clock)).collect(),
        },
        LogKind::Kafka => PastPlace::Kafka { settings: parts::kafka(settings), topics: parts::topics(settings) },
    }
}

/// The past of a running service.
pub fn of(settings: &Settings, definitions: &Definitions, setup: &Arc<Setup>) -> Past {
    let checkpoints = CheckpointReader::new(Disk::Real, &settings.data.join("checkpoints"));
    Past::new(settings.data.clone(), checkpoints, place(settings), definitions.version(), setup.clone())
}

pub struct Room {
    past: Arc<Past>,
    places: Arc<Semaphore>,
    turn: Arc<Mutex<()>>,
}

impl Room {
    pub fn new(past: Past) -> Room {
        Room { past: Arc::new(past), places: Arc::new(Semaphore::new(SESSIONS)), turn: Arc::default() }
    }
}

impl Replays for Room {
    fn open(&self, scope: Scope) -> Result<ReplayLine, ReplayRefused> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| ReplayRefused::Full(SESSIONS))?;
        let (commands, told) = sync_channel(COMMANDS);
        let (frames_in, frames) = mpsc::channel(FRAMES);
        let session = Session::new(self.past.clone(), scope, told, frames_in, self.turn.clone());
        let run = move || {
            session.run();
            drop(place);
        };
        let started = std::thread::Builder::new().name("replay".into()).stack_size(16 << 20).spawn(run);
        started
            .map_err(|e| ReplayRefused::Failed(format!("no thread can be started for it: {e}; raise the limit on threads of this user")))?;
        Ok(ReplayLine { commands, frames })
    }

    fn timeline(&self, scope: Scope, from: Option<i64>, to: Option<i64>) -> Answer<'_, Result<Timeline, SourceError>> {
        let past = self.past.clone();
        Box::pin(async move {
            let asked = tokio::task::spawn_blocking(move || timeline::timeline(&past, &scope, from, to)).await;
            match asked.map_err(|e| SourceError::Failed(e.to_string()))? {
                Ok(timeline) => Ok(timeline),
                // a page that comes before the first checkpoint shows an empty bar
                Err(ReplayError::Nothing) => Ok(Timeline::default()),
                Err(error) => Err(SourceError::Unavailable(error.to_string())),
            }
        })
    }
}
