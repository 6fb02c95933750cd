//! One analyst's replay: a lane, a board, a clock of its own, on a thread of its own.
//!
//! Owns: what a command does, the pace, when a frame goes out. Refuses to know: sockets, how a tick is computed.
//!
//! Invariants
//! 1. A frame tells what the ticks up to `at` brought, in the reader's scope; each alert change once and in order, figures the newest of each.
//! 2. Whoever reads slowly slows only this replay: its thread waits, nothing is left out.
//! 3. It computes in bursts of [`BURST`], one replay at a time, and gives way after each: the live lane is never behind by more than that.
//! 4. A command is obeyed within a burst; a state goes out after each and at least once a second.
//! 5. It has nothing to write with: its inputs are readers, its output the frames of one reader.
//!
//! Called by: app (starts the thread behind a socket), tests.

use super::lane::ReplayLane;
use super::{Past, Reach, ReplayError, timeline};
use crate::journal::JournalReader;
use crate::server::board::{Board, BoardLimits};
use crate::server::hub::encode;
use crate::server::scope::Scope;
use crate::server::wire::{ReplayCommand, ReplayState, ServerMessage, Text, Update};
use crate::time::{Span, Timestamp};
use axum::extract::ws::Utf8Bytes;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// So long it computes before it gives way.
const BURST: Duration = Duration::from_millis(25);
/// Figures go out at most this often, as live.
const PACE: Duration = Duration::from_millis(250);
/// Frames with alerts go out at most this often: at a thousand times the pace of the past nobody could follow more.
const ALERTS: Duration = Duration::from_millis(50);
/// A state goes out at least this often.
const STATE: Duration = Duration::from_millis(900);
/// The same while something moves.
const STATE_MOVING: Duration = Duration::from_millis(400);
/// Health goes along this often.
const HEALTH: Duration = Duration::from_secs(1);
/// The reach is looked up again after so long.
const REACH: Duration = Duration::from_secs(10);

/// What a session is given; see the module.
pub struct Session {
    past: Arc<Past>,
    scope: Scope,
    commands: Receiver<ReplayCommand>,
    frames: mpsc::Sender<Utf8Bytes>,
    /// Held while computing: one replay at a time.
    turn: Arc<Mutex<()>>,
}

/// Nobody is there any more.
struct Gone;

enum End {
    Gone,
    Failed(ReplayError),
}

impl From<Gone> for End {
    fn from(_: Gone) -> End {
        End::Gone
    }
}

impl<E: Into<ReplayError>> From<E> for End {
    fn from(error: E) -> End {
        End::Failed(error.into())
    }
}

/// The picture that is being built.
#[derive(Clone, Copy)]
struct Aim {
    /// The last tick of it.
    tick: u64,
    at: Timestamp,
    /// Where building began, once it did.
    from: Option<u64>,
}

/// A replay under way.
struct Show {
    past: Arc<Past>,
    scope: Scope,
    frames: mpsc::Sender<Utf8Bytes>,
    turn: Arc<Mutex<()>>,
    journal: JournalReader,
    reach: Reach,
    reached: Instant,
    lane: Option<ReplayLane>,
    board: Board,
    /// Sequence of the board that has been told.
    told: u64,
    aim: Option<Aim>,
    at: Timestamp,
    speed: f64,
    /// When `at` was what it is, while playing.
    since: Instant,
    note: Option<Text>,
    last_update: Instant,
    last_figures: Instant,
    last_health: Instant,
    last_state: Instant,
}

impl Session {
    pub fn new(
        past: Arc<Past>,
        scope: Scope,
        commands: Receiver<ReplayCommand>,
        frames: mpsc::Sender<Utf8Bytes>,
        turn: Arc<Mutex<()>>,
    ) -> Session {
        Session { past, scope, commands, frames, turn }
    }

    /// Until the reader has gone. Blocking: it has a thread of its own.
    pub fn run(self) {
        let Ok(first) = self.commands.recv() else { return };
        let (at, speed) = match first {
            ReplayCommand::Open { at, speed } => (at, speed),
            ReplayCommand::Seek { at } => (at, 0.0),
            _ => return self.say_failed("the first command is `open` with the moment to show"),
        };
        let mut show = match Show::begin(&self) {
            Ok(show) => show,
            Err(error) => return self.say_failed(&error.to_string()),
        };
        show.speed = speed.max(0.0);
        let begun = show.go(Timestamp::from_millis(at)).and_then(|()| Ok(show.tell_state()?));
        let ended = begun.and_then(|()| self.follow(&mut show));
        if let Err(End::Failed(error)) = ended {
            tracing::warn!(%error, "a replay ended");
            show.speed = 0.0;
            show.note = Some(failed(&error));
            let _ = show.tell_state();
        }
    }

    fn follow(&self, show: &mut Show) -> Result<(), End> {
        loop {
            match self.commands.recv_timeout(show.wait()) {
                Ok(command) => {
                    show.obey(&command)?;
                    // of a scrub's many moments only the last is wanted
                    loop {
                        match self.commands.try_recv() {
                            Ok(command) => show.obey(&command)?,
                            Err(TryRecvError::Empty) => break,
                            Err(TryRecvError::Disconnected) => return Ok(()),
                        }
                    }
                    show.tell_state()?;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            show.work()?;
        }
    }

    /// Nothing can be shown at all.
    fn say_failed(&self, detail: &str) {
        let note = Some(Text { vi: format!("Không thể phát lại: {detail}"), en: format!("Cannot replay: {detail}") });
        let state = ReplayState { at: 0, oldest: 0, newest: 0, speed: 0.0, playing: false, building: 0.0, note };
        if let Some(frame) = encode(&ServerMessage::Replay(state)) {
            let _ = self.frames.blocking_send(frame);
        }
    }
}

fn failed(error: &ReplayError) -> Text {
    Text { vi: format!("Dừng phát lại: {error}"), en: format!("The replay stops: {error}") }
}

impl Show {
    fn begin(session: &Session) -> Result<Show, ReplayError> {
        let reach = session.past.reach()?;
        let now = Instant::now();
        Ok(Show {
            past: session.past.clone(),
            scope: session.scope.clone(),
            frames: session.frames.clone(),
            turn: session.turn.clone(),
            journal: session.past.journal()?,
            reach,
            reached: now,
            lane: None,
            board: Board::new(BoardLimits::default()),
            told: 0,
            aim: None,
            at: reach.newest,
            speed: 0.0,
            since: now,
            note: None,
            last_update: now,
            last_figures: now,
            last_health: now,
            last_state: now,
        })
    }

    fn obey(&mut self, command: &ReplayCommand) -> Result<(), End> {
        self.note = None;
        self.at = self.clock();
        self.since = Instant::now();
        match command {
            ReplayCommand::Open { at, speed } => {
                self.speed = speed.max(0.0);
                self.go(Timestamp::from_millis(*at))
            }
            ReplayCommand::Play { speed } => {
                self.speed = speed.max(0.0);
                Ok(())
            }
            ReplayCommand::Seek { at } => self.go(Timestamp::from_millis(*at)),
            ReplayCommand::Step { ms } => {
                self.speed = 0.0;
                self.go(self.at + Span(ms.saturating_mul(1_000_000)))
            }
            ReplayCommand::NextAlert => self.go_to_next_alert(),
        }
    }

    /// Aims at the picture of a moment, as far as the past reaches.
    fn go(&mut self, at: Timestamp) -> Result<(), End> {
        self.look_up_reach()?;
        let Reach { oldest, newest, .. } = self.reach;
        if at < oldest {
            let when = super::local(oldest);
            self.note = Some(Text {
                vi: format!("Dữ liệu cũ nhất còn xem lại được là lúc {when}"),
                en: format!("The oldest moment is {when}"),
            });
        }
        let at = at.clamp(oldest, newest);
        let tick = self.journal.tick_at(at.0)?.unwrap_or(self.reach.first).max(self.reach.first);
        self.aim_at(tick, at)
    }

    fn go_to_next_alert(&mut self) -> Result<(), End> {
        let shown = self.aim.map_or_else(|| self.lane.as_ref().map_or(self.reach.first, |lane| lane.last().number), |aim| aim.tick);
        self.speed = 0.0;
        let Some(tick) = timeline::next_alert(&self.past, &self.journal, &self.scope, shown)? else {
            self.note =
                Some(Text { vi: "Không còn cảnh báo nào sau lúc này".into(), en: "No alert begins after this moment".into() });
            return Ok(());
        };
        let at = self.journal.entry(tick)?.map_or(self.at, |entry| entry.tick.time);
        self.aim_at(tick, at)
    }

    /// The lane goes on where it is, unless the moment lies before it or a kept state is nearer.
    fn aim_at(&mut self, tick: u64, at: Timestamp) -> Result<(), End> {
        let kept = self.past.checkpoints.list()?.into_iter().map(|(head, _)| head.tick).rfind(|kept| *kept <= tick);
        let serves = |lane: &ReplayLane| lane.next_number() <= tick + 1 && kept.is_none_or(|kept| lane.next_number() > kept);
        self.lane = self.lane.take().filter(serves);
        self.aim = Some(Aim { tick, at, from: None });
        self.at = at;
        Ok(())
    }

    /// The moment that is shown, or due.
    fn clock(&self) -> Timestamp {
        if self.speed == 0.0 || self.aim.is_some() {
            return self.at;
        }
        let passed = self.since.elapsed().as_secs_f64() * self.speed * 1e9;
        // a day's worth at most: beyond, it goes as fast as it can be computed
        self.at + Span((passed as i64).min(Span::days(1).0))
    }

    /// Until there is something to do without a command.
    fn wait(&self) -> Duration {
        match (self.aim.is_some(), self.speed > 0.0) {
            (true, _) => Duration::ZERO,
            (false, true) => Duration::from_secs_f64((0.1 / self.speed).clamp(0.001, 0.1)),
            (false, false) => STATE.saturating_sub(self.last_state.elapsed()),
        }
    }

    fn work(&mut self) -> Result<(), End> {
        if let Some(aim) = self.aim {
            self.build(aim)?;
        } else if self.speed > 0.0 {
            self.play()?;
        }
        let moving = self.aim.is_some() || self.speed > 0.0;
        if self.last_state.elapsed() >= if moving { STATE_MOVING } else { STATE } {
            if self.reached.elapsed() >= REACH {
                match self.look_up_reach() {
                    // a log that is away takes nobody's picture away: what needs its records says so
                    Err(ReplayError::Log(_)) => self.reached = Instant::now(),
                    looked => looked?,
                }
            }
            self.tell_state()?;
        }
        Ok(())
    }

    /// One burst towards the picture; it is told once it is there.
    fn build(&mut self, aim: Aim) -> Result<(), End> {
        let turn = self.turn.clone();
        let held = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let began = Instant::now();
        let mut lane = match self.lane.take() {
            Some(lane) => lane,
            None => ReplayLane::open(&self.past, aim.tick)?,
        };
        let from = aim.from.unwrap_or_else(|| lane.next_number());
        let mut built = lane.next_number() > aim.tick;
        while !built && began.elapsed() < BURST {
            built = lane.step()?.is_none() || lane.next_number() > aim.tick;
        }
        let lane = self.lane.insert(lane);
        if !built {
            self.aim = Some(Aim { from: Some(from), ..aim });
            drop(held);
            std::thread::yield_now();
            return Ok(());
        }
        let picture = lane.picture();
        drop(held);
        self.aim = None;
        self.at = aim.at;
        self.since = Instant::now();
        self.board = Board::new(BoardLimits::default());
        self.board.apply(&picture);
        self.tell_picture()?;
        Ok(self.tell_state()?)
    }

    /// One burst of what is due.
    fn play(&mut self) -> Result<(), End> {
        let due = self.clock();
        let Some(lane) = &mut self.lane else { return Ok(()) };
        let turn = self.turn.clone();
        let held = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let began = Instant::now();
        let (mut behind, mut anew) = (false, false);
        let mut present = false;
        loop {
            match lane.peek()? {
                None => present = true,
                Some(tick) if tick.time > due => {}
                Some(_) if began.elapsed() >= BURST => behind = true,
                Some(_) => {
                    if let Some(fed) = lane.step()? {
                        anew |= fed.changed;
                        self.board.apply(&lane.board_tick(&fed));
                        continue;
                    }
                }
            }
            break;
        }
        let reached = lane.last().time;
        if anew {
            self.board = Board::new(BoardLimits::default());
            self.board.apply(&lane.picture());
        }
        drop(held);
        std::thread::yield_now();
        self.at = if behind || present { reached.max(self.at) } else { due };
        self.since = Instant::now();
        if present {
            self.speed = 0.0;
            self.note = Some(Text { vi: "Đã tới hiện tại".into(), en: "The present is reached".into() });
            self.reach.newest = self.reach.newest.max(reached);
        }
        match anew {
            true => self.tell_picture()?,
            false => self.tell_changes(present)?,
        }
        if present {
            self.tell_state()?;
        }
        Ok(())
    }

    fn look_up_reach(&mut self) -> Result<(), ReplayError> {
        self.reach = self.past.reach()?;
        self.reached = Instant::now();
        Ok(())
    }

    fn give(&self, message: &ServerMessage) -> Result<(), Gone> {
        let Some(frame) = encode(message) else { return Ok(()) };
        self.frames.blocking_send(frame).map_err(|_| Gone)
    }

    fn tell_picture(&mut self) -> Result<(), Gone> {
        let snapshot = self.board.snapshot(&self.scope);
        self.told = snapshot.seq;
        let now = Instant::now();
        (self.last_update, self.last_figures, self.last_health) = (now, now, now);
        self.give(&ServerMessage::Snapshot(snapshot))
    }

    /// What came since the last frame, if it is due.
    fn tell_changes(&mut self, at_once: bool) -> Result<(), Gone> {
        let now = Instant::now();
        let seq = self.board.seq();
        // more changes than the board remembers: the whole is told anew
        let Some(alerts) = self.board.alerts_since(&self.scope, self.told) else { return self.tell_picture() };
        let since = |last: Instant| now - last;
        let due = at_once || since(self.last_figures) >= PACE || (!alerts.is_empty() && since(self.last_update) >= ALERTS);
        if !due {
            return Ok(());
        }
        let figures = self.board.figures_since(&self.scope, self.told);
        let health = if at_once || since(self.last_health) >= HEALTH {
            self.last_health = now;
            self.lane.as_ref().map(|lane| lane.health().view(&self.scope))
        } else {
            None
        };
        self.told = seq;
        (self.last_update, self.last_figures) = (now, now);
        self.give(&ServerMessage::Update(Update { seq, tick: self.board.tick(), alerts, figures, health }))
    }

    fn tell_state(&mut self) -> Result<(), Gone> {
        self.last_state = Instant::now();
        let building = match (self.aim, &self.lane) {
            (None, _) => 1.0,
            (Some(Aim { tick, from: Some(from), .. }), Some(lane)) => {
                (lane.next_number().saturating_sub(from)) as f64 / (tick + 1 - from).max(1) as f64
            }
            (Some(_), _) => 0.0,
        };
        let diverged = self.lane.as_ref().map_or(0, ReplayLane::diverged);
        let differs = || Text {
            vi: format!("{diverged} nhịp tính lại khác với nhật ký; cảnh báo theo nhật ký"),
            en: format!("{diverged} ticks computed again differ from the journal; alerts are the journal's"),
        };
        self.give(&ServerMessage::Replay(ReplayState {
            at: self.clock().millis(),
            oldest: self.reach.oldest.millis(),
            newest: self.reach.newest.millis(),
            speed: self.speed,
            playing: self.speed > 0.0,
            building: building.min(0.999).max(if self.aim.is_none() { 1.0 } else { 0.0 }),
            note: self.note.clone().or_else(|| (diverged > 0).then(differs)),
        }))
    }
}
