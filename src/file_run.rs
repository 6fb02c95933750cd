//! A lane over files: the same collectors, merger and rules as live, on a 1 s grid of the files' own clock.
//!
//! Owns: which tick comes next, the worker threads, the order in which their output is merged.
//! Refuses to know: what becomes of effects ([`Sink`]), how expressions or windows work.
//!
//! Invariants
//! 1. Each file is one partition in the order given; all are read abreast.
//! 2. Ticks fall on whole seconds, and only where input or a deadline falls; none after the last record but to flush rows (D7).
//! 3. The number of threads never changes a byte: collectors are merged by partition index, whoever ran them.
//!
//! Called by: cli (`run --from`, `test`), demo history, tests.

use crate::engine::collect::{Body, Collector, PartitionOutput, Record};
use crate::engine::lane::{Core, Effects};
use crate::engine::setup::Setup;
use crate::engine::snapshot::{LaneState, PartitionState};
use crate::engine::{PartitionTick, Tick};
use crate::ingest::file::{FileError, FileReader};
use crate::time::{Span, Timestamp};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use thiserror::Error;

#[derive(Debug, Error)]
pub enum RunError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("cannot write {what}: {source}; is the folder there and writable, and the disk not full?")]
    Write { what: String, source: std::io::Error },
    #[error("a reading thread ended unexpectedly; this is a defect, please report it with the command used")]
    Thread,
}

/// Where effects of a file run go.
pub trait Sink {
    fn tick(&mut self, setup: &Setup, tick: &Tick, effects: Effects) -> Result<(), RunError>;
    /// The state after a tick that asked for it; called about every minute of tick time.
    fn checkpoint(&mut self, _tick: &Tick, _state: LaneState) -> Result<(), RunError> {
        Ok(())
    }
    /// How much of the files is read: bytes (unpacked), or events where a map makes them.
    fn progress(&mut self, _read: u64) {}
    /// Asked before each tick: is a checkpoint wanted after it?
    fn wants_checkpoint(&mut self, _time: Timestamp) -> bool {
        false
    }
}

/// What a file run leaves: the state at its end.
pub struct Finished {
    pub collectors: Vec<Collector>,
    pub core: Core,
    pub ticks: u64,
    pub last: Option<Timestamp>,
}

enum Order {
    /// Take records up to this time, then close the tick; with the state if asked.
    Tick { time: Timestamp, save: bool },
    /// Give the collectors back.
    End,
}

enum Answer {
    Tick(Vec<PartitionAnswer>),
    Failed(FileError),
    End(Vec<(usize, Collector)>),
}

struct PartitionAnswer {
    partition: usize,
    output: PartitionOutput,
    at: PartitionTick,
    /// The clock with the next record; `None` when finished.
    next: Option<Timestamp>,
    deadline: Option<Timestamp>,
    state: Option<PartitionState>,
    /// See [`FileReader::position`].
    position: u64,
}

/// One file and its collector.
struct Feed {
    partition: usize,
    reader: FileReader,
    collector: Collector,
    next: Option<Timestamp>,
}

impl Feed {
    /// Takes records whose clock does not pass `until`.
    fn take(&mut self, setup: &Setup, until: Timestamp) -> Result<(), FileError> {
        self.next = None;
        while let Some(line) = self.reader.current() {
            let record = Record { offset: self.reader.offset(), broker_time: line.broker_time, body: Body::Structured(line.bytes) };
            if let Err(clock) = self.collector.take(setup, record, until) {
                self.next = Some(clock);
                break;
            }
            self.reader.advance()?;
        }
        Ok(())
    }

    fn tick(&mut self, setup: &Setup, time: Timestamp, save: bool) -> Result<PartitionAnswer, FileError> {
        self.collector.begin_tick(time);
        self.take(setup, time)?;
        let current = self.reader.current();
        let read_time = current.and_then(|l| l.broker_time).and(self.next);
        let at = PartitionTick { end: self.collector.next_offset(), read_time, unreadable: false, finished: current.is_none() };
        let output = self.collector.close_tick(setup, time, &at, &[]);
        Ok(PartitionAnswer {
            partition: self.partition,
            output,
            at,
            next: self.next,
            deadline: self.collector.next_deadline(setup),
            state: save.then(|| self.collector.save()),
            position: self.reader.position(),
        })
    }
}

/// Runs files through a lane; returns its state at the end.
pub fn run(setup: &Arc<Setup>, readers: Vec<FileReader>, threads: usize, sink: &mut dyn Sink) -> Result<Finished, RunError> {
    let feeds = readers.into_iter().enumerate();
    let mut feeds: Vec<Feed> = feeds
        .map(|(partition, reader)| Feed { partition, reader, collector: Collector::new(setup, partition as u32), next: None })
        .collect();
    for feed in &mut feeds {
        // up to the first record that has a clock
        feed.take(setup, Timestamp::MIN)?;
    }
    let first = feeds.iter().filter_map(|f| f.next).min();
    let partitions = feeds.len();
    let threads = threads.clamp(1, partitions.max(1));
    let mut shares: Vec<Vec<Feed>> = (0..threads).map(|_| Vec::new()).collect();
    for feed in feeds {
        shares[feed.partition % threads].push(feed);
    }
    std::thread::scope(|scope| {
        let crew = shares.into_iter().map(|share| {
            let (order_tx, order_rx) = sync_channel(1);
            let (answer_tx, answer_rx) = sync_channel(1);
            let setup = setup.clone();
            scope.spawn(move || work(&setup, share, &order_rx, &answer_tx));
            (order_tx, answer_rx)
        });
        Conductor { setup, crew: crew.collect(), partitions, core: Core::new(setup), number: 0, sink }.conduct(first)
    })
}

fn work(setup: &Setup, mut share: Vec<Feed>, orders: &Receiver<Order>, answers: &SyncSender<Answer>) {
    while let Ok(order) = orders.recv() {
        let answer = match order {
            Order::Tick { time, save } => match share.iter_mut().map(|f| f.tick(setup, time, save)).collect() {
                Ok(answers) => Answer::Tick(answers),
                Err(error) => Answer::Failed(error),
            },
            Order::End => {
                let _ = answers.send(Answer::End(share.into_iter().map(|f| (f.partition, f.collector)).collect()));
                return;
            }
        };
        if answers.send(answer).is_err() {
            return;
        }
    }
}

struct Conductor<'a> {
    setup: &'a Arc<Setup>,
    crew: Vec<(SyncSender<Order>, Receiver<Answer>)>,
    partitions: usize,
    core: Core,
    number: u64,
    sink: &'a mut dyn Sink,
}

impl Conductor<'_> {
    fn conduct(mut self, first: Option<Timestamp>) -> Result<Finished, RunError> {
        // without any clock there is still one tick: it carries what was rejected
        let mut time = first.unwrap_or(Timestamp(0)).ceil_second();
        let mut save = self.sink.wants_checkpoint(time);
        self.order(time, save)?;
        let last = loop {
            let answers = self.answers()?;
            self.sink.progress(answers.iter().map(|a| a.position).sum());
            let next = answers.iter().filter_map(|a| a.next).min().map(Timestamp::ceil_second);
            let mut collectors = answers.iter().filter_map(|a| a.deadline).min();
            let finished = answers.iter().all(|a| a.at.finished);
            // the next second has input: it comes whatever the merger says, so reading goes on while it works
            let adjacent = next.filter(|n| *n <= time + Span::seconds(1));
            let was = (time, save);
            if let Some(next) = adjacent {
                time = next;
                save = self.sink.wants_checkpoint(time);
                self.order(time, save)?;
            }
            self.step(was.0, answers)?;
            if adjacent.is_some() {
                continue;
            }
            if finished {
                break was.0;
            }
            collectors = [collectors, self.core.next_deadline(self.setup)].into_iter().flatten().min();
            let due = collectors.map(|d| d.max(was.0 + Span(1)).ceil_second());
            time = [due, next].into_iter().flatten().min().unwrap_or(was.0 + Span::seconds(1));
            save = self.sink.wants_checkpoint(time);
            self.order(time, save)?;
        };
        self.flush(last)?;
        let collectors = self.end()?;
        Ok(Finished { collectors, core: self.core, ticks: self.number, last: Some(last) })
    }

    fn order(&self, time: Timestamp, save: bool) -> Result<(), RunError> {
        self.crew.iter().try_for_each(|(order, _)| order.send(Order::Tick { time, save })).map_err(|_| RunError::Thread)
    }

    /// All partitions' answers, by partition.
    fn answers(&self) -> Result<Vec<PartitionAnswer>, RunError> {
        let mut all: Vec<PartitionAnswer> = Vec::with_capacity(self.partitions);
        for (_, answers) in &self.crew {
            match answers.recv().map_err(|_| RunError::Thread)? {
                Answer::Tick(some) => all.extend(some),
                Answer::Failed(error) => return Err(error.into()),
                Answer::End(_) => return Err(RunError::Thread),
            }
        }
        all.sort_unstable_by_key(|a| a.partition);
        Ok(all)
    }

    fn step(&mut self, time: Timestamp, answers: Vec<PartitionAnswer>) -> Result<(), RunError> {
        let partitions = answers.iter().map(|a| a.at).collect();
        let tick = Tick { number: self.number, time, live: false, partitions, actions: Vec::new(), retire: Vec::new() };
        self.number += 1;
        let (outputs, states): (Vec<_>, Vec<_>) = answers.into_iter().map(|a| (a.output, a.state)).unzip();
        let effects = self.core.step(self.setup, &tick, outputs);
        self.sink.tick(self.setup, &tick, effects)?;
        let states: Vec<PartitionState> = states.into_iter().flatten().collect();
        if !states.is_empty() {
            let state = self.core.save(self.setup, states);
            self.sink.checkpoint(&tick, state)?;
        }
        Ok(())
    }

    /// Rows over a tick's bound: further ticks of the same time, in which nothing else can happen.
    fn flush(&mut self, time: Timestamp) -> Result<(), RunError> {
        while self.core.owes() {
            let tick = Tick { number: self.number, time, live: false, partitions: Vec::new(), actions: Vec::new(), retire: Vec::new() };
            self.number += 1;
            let effects = self.core.step(self.setup, &tick, Vec::new());
            self.sink.tick(self.setup, &tick, effects)?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<Vec<Collector>, RunError> {
        let mut all = Vec::with_capacity(self.partitions);
        for (order, answers) in &self.crew {
            order.send(Order::End).map_err(|_| RunError::Thread)?;
            if let Answer::End(some) = answers.recv().map_err(|_| RunError::Thread)? {
                all.extend(some);
            }
        }
        all.sort_unstable_by_key(|(p, _)| *p);
        Ok(all.into_iter().map(|(_, c)| c).collect())
    }
}
