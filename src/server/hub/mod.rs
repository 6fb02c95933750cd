//! The hub: one task that owns the live picture and hands frames to all clients.
//!
//! Owns: the task, its bounded doors, the pace at which it is woken. Refuses to know: what a frame says, sockets, tokens.
//!
//! Invariants
//! 1. One task owns the board; everybody else asks by message.
//! 2. Ticks come by their own door, before questions: the answer to a question shows all that was published before it was asked, and
//!    while ticks never cease to wait, one question is answered after each queueful.
//! 3. The task waits for nobody: neither a slow client nor a question whose asker is gone holds it up.
//! 4. What is published has been journaled before (D2); the hub adds nothing.
//!
//! Called by: driver (`publish`), ws (`join`), api (`alerts`, `alert`), the composition root (`start`, `stop`).

pub(super) mod fanout;
mod seat;

pub use fanout::{First, HEARTBEAT, HubCounters, Joined, PACE, encode};
pub use seat::{Frames, SeatLimits};

use crate::server::board::{BoardLimits, BoardTick};
use crate::server::scope::Scope;
use crate::server::wire::{AlertView, ByeReason, FigureView, Resume};
use fanout::Fanout;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Ticks that may wait; a driver that runs ahead of the hub waits here.
const TICKS: usize = 64;
/// Questions that may wait.
const ASKS: usize = 256;

#[derive(Clone, Copy, Debug, Default)]
pub struct HubLimits {
    pub board: BoardLimits,
    pub seat: SeatLimits,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the live picture is no longer kept: the server is stopping")]
pub struct HubGone;

#[derive(Debug)]
enum Ask {
    Join { scope: Scope, resume: Option<Resume>, answer: oneshot::Sender<Joined> },
    Alerts { scope: Scope, answer: oneshot::Sender<Vec<Arc<AlertView>>> },
    Alert { id: String, answer: oneshot::Sender<Option<Arc<AlertView>>> },
    Figures { scope: Scope, tag: String, answer: oneshot::Sender<Vec<Arc<FigureView>>> },
    Stop { answer: oneshot::Sender<()> },
}

/// A handle; clones speak to the same task.
#[derive(Clone, Debug)]
pub struct Hub {
    ticks: mpsc::Sender<Arc<BoardTick>>,
    asks: mpsc::Sender<Ask>,
    counters: Arc<HubCounters>,
}

impl Hub {
    /// Starts the task on the current runtime. `building` names this building of the state ([`new_building`]).
    pub fn start(limits: HubLimits, building: String) -> Hub {
        let counters = Arc::new(HubCounters::default());
        let (ticks_in, ticks) = mpsc::channel(TICKS);
        let (asks_in, asks) = mpsc::channel(ASKS);
        let fanout = Fanout::new(limits.board, limits.seat, building, counters.clone());
        tokio::spawn(run(fanout, ticks, asks));
        Hub { ticks: ticks_in, asks: asks_in, counters }
    }

    /// A hub whose ticks go to whoever holds the other end, and to no client: for looking at what is published.
    pub fn tapped(room: usize) -> (Hub, mpsc::Receiver<Arc<BoardTick>>) {
        let (ticks, published) = mpsc::channel(room);
        (Hub { ticks, asks: mpsc::channel(1).0, counters: Arc::default() }, published)
    }

    /// Hands over a committed tick.
    pub async fn publish(&self, tick: Arc<BoardTick>) -> Result<(), HubGone> {
        self.ticks.send(tick).await.map_err(|_| HubGone)
    }

    pub async fn join(&self, scope: Scope, resume: Option<Resume>) -> Result<Joined, HubGone> {
        self.ask(|answer| Ask::Join { scope, resume, answer }).await
    }

    /// The alerts of the picture in scope, in the order of their ids.
    pub async fn alerts(&self, scope: Scope) -> Result<Vec<Arc<AlertView>>, HubGone> {
        self.ask(|answer| Ask::Alerts { scope, answer }).await
    }

    /// Whatever its scope: the asker judges.
    pub async fn alert(&self, id: String) -> Result<Option<Arc<AlertView>>, HubGone> {
        self.ask(|answer| Ask::Alert { id, answer }).await
    }

    /// The figures in scope whose key has this tag, oldest change first.
    pub async fn figures(&self, scope: Scope, tag: String) -> Result<Vec<Arc<FigureView>>, HubGone> {
        self.ask(|answer| Ask::Figures { scope, tag, answer }).await
    }

    /// Says goodbye to every client and ends the task; ticks that wait are still told.
    pub async fn stop(&self) {
        let _ = self.ask(|answer| Ask::Stop { answer }).await;
    }

    pub fn counters(&self) -> &HubCounters {
        &self.counters
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, HubGone> {
        let (answer, answered) = oneshot::channel();
        self.asks.send(ask(answer)).await.map_err(|_| HubGone)?;
        answered.await.map_err(|_| HubGone)
    }
}

/// A name for one building of the state: 16 hexadecimal digits, random.
pub fn new_building() -> Result<String, getrandom::Error> {
    let mut bytes = [0u8; 8];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

async fn run(mut fanout: Fanout, mut ticks: mpsc::Receiver<Arc<BoardTick>>, mut asks: mpsc::Receiver<Ask>) {
    let start = Instant::now();
    let mut ticks_open = true;
    loop {
        let due = fanout.due().map(|due| start + due);
        let ask = tokio::select! {
            biased;
            tick = ticks.recv(), if ticks_open => {
                match tick {
                    Some(tick) => fanout.apply(start.elapsed(), &tick),
                    None => ticks_open = false,
                }
                // While catching up, ticks never cease to wait: questions have their turn all the same.
                match asks.try_recv() {
                    Ok(ask) => ask,
                    Err(_) => continue,
                }
            }
            () = sleep_until(due) => {
                fanout.wake(start.elapsed());
                continue;
            }
            ask = asks.recv() => match ask {
                Some(ask) => ask,
                None => return fanout.dismiss_all(ByeReason::Shutdown),
            },
        };
        // Whoever asks sees what was published before.
        for _ in 0..ticks.len() {
            if let Ok(tick) = ticks.try_recv() {
                fanout.apply(start.elapsed(), &tick);
            }
        }
        if let Ask::Stop { answer } = ask {
            fanout.dismiss_all(ByeReason::Shutdown);
            let _ = answer.send(());
            return;
        }
        reply(&mut fanout, start, ask);
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// An asker that is gone by now needs no answer.
fn reply(fanout: &mut Fanout, start: Instant, ask: Ask) {
    match ask {
        Ask::Join { scope, resume, answer } => {
            let _ = answer.send(fanout.join(start.elapsed(), &scope, resume.as_ref()));
        }
        Ask::Alerts { scope, answer } => {
            let _ = answer.send(fanout.board().alerts(&scope));
        }
        Ask::Alert { id, answer } => {
            let _ = answer.send(fanout.board().alert(&id).cloned());
        }
        Ask::Figures { scope, tag, answer } => {
            let mut figures = fanout.board().figures_since(&scope, 0);
            figures.retain(|figure| figure.key.contains_key(&tag));
            let _ = answer.send(figures);
        }
        Ask::Stop { answer } => {
            let _ = answer.send(());
        }
    }
}
