//! From a stop, clean or not, back to where the lane was: checkpoint, then the journaled ticks fed again (D2).
//!
//! Owns: reading the checkpoint, feeding ticks, changing definitions at the tick from which they are in force.
//! Refuses to know: the gate; rows go straight to the spool, which knows what it has.
//!
//! Invariants
//! 1. After it the lane's next tick is the journal's last + 1 and its state is that of the last journaled tick.
//! 2. Definitions of the time are used for the ticks of the time.
//! 3. Where recomputation does not arrive at the journaled changes, that is counted as *diverged* and said.
//!
//! Called by: app; replay (`load_under`, `change_setup`).

use super::gate::{Checkpoint, told};
use super::records::keep_fed;
use super::redriven::{self, Seen};
use super::{DriverError, Figures, late_of, remember, skip_taken};
use crate::checkpoint::CheckpointReader;
use crate::definitions::{Definitions, Mistakes};
use crate::engine::lane::{Effects, Lane};
use crate::engine::setup::{MAX_BEHIND, Setup};
use crate::engine::{PartitionTick, Row, Tick};
use crate::ingest::reader::Reader;
use crate::ingest::{Lost, PartitionName};
use crate::journal::{Configuration, ConfigurationFile, Journal, JournalEntry, JournalReader, Note};
use crate::server::history::KeptAlerts;
use crate::server::views::Views;
use crate::store::late::LateStore;
use crate::store::line::LineFormats;
use crate::store::rejected::RejectedStore;
use crate::store::spool::Spool;
use crate::telemetry::Telemetry;
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What a checkpoint gave, before any log is opened.
pub struct Start {
    pub lane: Lane,
    pub figures: Figures,
    pub names: Vec<PartitionName>,
    /// First tick to feed again.
    pub next: u64,
    /// Hash of the definitions in force; empty for a lane that begins.
    pub definitions: String,
    /// Set from outside: feeding ends with [`DriverError::Stopped`].
    pub stop: Arc<AtomicBool>,
    /// Deleted before they were read, and not journaled yet.
    pub lost: Vec<Lost>,
}

impl Start {
    /// Next offsets by partition: where reading goes on.
    pub fn offsets(&self) -> BTreeMap<PartitionName, u64> {
        self.names.iter().cloned().zip(self.lane.collectors.iter().map(|c| c.next_offset())).collect()
    }
}

impl Definitions {
    /// As the journal keeps them.
    pub fn to_configuration(&self) -> Configuration {
        let file = |(path, text): (&String, &String)| ConfigurationFile { path: path.clone(), bytes: text.as_bytes().to_vec() };
        Configuration { files: self.files.iter().map(file).collect() }
    }

    pub fn from_configuration(configuration: &Configuration) -> Definitions {
        let file = |f: &ConfigurationFile| (f.path.clone(), String::from_utf8_lossy(&f.bytes).into_owned());
        Definitions { files: configuration.files.iter().map(file).collect() }
    }
}

/// The newest checkpoint at or before the journal's last tick, or an empty lane.
pub fn load(
    journal: &JournalReader,
    last: Option<u64>,
    checkpoints: &CheckpointReader,
    now: &Definitions,
    setup: &Arc<Setup>,
) -> Result<Start, DriverError> {
    let setup_of = |then: &Definitions| if then == now { Ok(setup.clone()) } else { Ok(Arc::new(then.compile(Some(MAX_BEHIND))?)) };
    load_under(journal, last, checkpoints, setup, &setup_of)
}

/// The same at or before any tick. `setup`: where the journal names no definitions yet; `setup_of`: those that it names.
pub fn load_under(
    journal: &JournalReader,
    until: Option<u64>,
    checkpoints: &CheckpointReader,
    setup: &Arc<Setup>,
    setup_of: &dyn Fn(&Definitions) -> Result<Arc<Setup>, Mistakes>,
) -> Result<Start, DriverError> {
    let start = |lane, names, next, definitions| Start {
        lane,
        figures: Figures::new(),
        names,
        next,
        definitions,
        stop: Arc::default(),
        lost: Vec::new(),
    };
    let Some(until) = until else { return Ok(start(Lane::new(setup.clone()), Vec::new(), 0, String::new())) };
    let (loaded, skipped) = checkpoints.newest::<Checkpoint>(until)?;
    for skipped in &skipped {
        tracing::warn!(path = %skipped.path.display(), reason = %skipped.reason, "a checkpoint was passed over");
    }
    let tick = loaded.as_ref().map_or(0, |l| l.tick);
    let then = journal.configuration_at(tick)?.map(|(_, c)| Definitions::from_configuration(&c));
    let definitions = then.as_ref().map_or_else(String::new, Definitions::version);
    let setup = then.as_ref().map_or_else(|| Ok(setup.clone()), setup_of)?;
    let Some(loaded) = loaded else { return Ok(start(Lane::new(setup), joined(journal, Vec::new())?, 0, definitions)) };
    let body = loaded.body;
    let old = &body.lane.pipelines;
    // figures are kept by index: only those of windows that are where they were can be shown
    let same =
        |r: &&Row| setup.pipelines.get(r.pipeline as usize).is_some_and(|p| old.get(r.pipeline as usize).is_some_and(|o| o.name == p.name));
    let rows: Vec<Row> = body.figures.iter().filter(same).cloned().collect();
    let lane = Lane::restore(setup, body.lane)?;
    let mut start = start(lane, joined(journal, body.partitions)?, loaded.tick + 1, definitions);
    remember(&mut start.figures, &rows);
    Ok(start)
}

/// The partitions of a checkpoint and those that joined the lane after it, by index.
fn joined(journal: &JournalReader, mut names: Vec<PartitionName>) -> Result<Vec<PartitionName>, DriverError> {
    for (_, note) in journal.notes()? {
        if let Note::Partition { index, topic, partition, .. } = note
            && index as usize == names.len()
        {
            names.push(PartitionName { topic, number: partition as i32 });
        }
    }
    Ok(names)
}

/// Where recomputed rows and refused records go: each knows what it has.
pub struct Refill<'a> {
    pub spool: &'a Spool,
    pub rejected: &'a mut RejectedStore,
    pub late: &'a mut LateStore,
    pub kept: &'a mut KeptAlerts,
    pub telemetry: &'a Telemetry,
}

/// Feeds the journaled ticks again; the number of the next tick.
pub fn feed(
    start: &mut Start,
    journal: &JournalReader,
    reader: &mut Reader,
    refill: &mut Refill<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, DriverError> {
    let mut formats = LineFormats::new(&start.lane.setup.pipelines);
    let mut next = start.next;
    let mut log = Log { reader, known: Vec::new(), telemetry: refill.telemetry };
    for entry in journal.ticks_from(start.next) {
        let entry = entry?;
        if let Some(configuration) = &entry.configuration {
            let then = Definitions::from_configuration(configuration);
            let version = then.version();
            if version != start.definitions {
                let setup = Arc::new(then.compile(Some(MAX_BEHIND))?);
                change_setup(start, setup)?;
                formats = LineFormats::new(&start.lane.setup.pipelines);
                start.definitions = version;
            }
        }
        let lost = |note: &Note| match note {
            Note::Lost { index, from, to, .. } => Some((*index as usize, *from, *to)),
            _ => None,
        };
        log.known.extend(entry.notes.iter().filter_map(lost));
        let mut seen = Vec::new();
        let effects = feed_tick(start, &entry, &mut log, &mut seen)?;
        if effects.diverged {
            tracing::error!(tick = entry.tick.number, "recomputation does not arrive at the journaled alert changes: diverged");
            refill.telemetry.diverged();
        }
        let refused: Vec<_> = effects.rejected.into_iter().map(|(p, r)| (start.names[p as usize].clone(), r)).collect();
        let judged: Vec<_> = seen.into_iter().filter_map(|s| s.judged(&start.names)).collect();
        let late = late_of(effects.late, &start.lane.setup, &start.names);
        let kept = refill.rejected.keep(&refused).and_then(|()| refill.rejected.judged(&judged)).and_then(|()| refill.late.keep(&late));
        kept.map_err(|e| DriverError::Gate(e.to_string()))?;
        keep_fed(refill.kept, (&start.lane.setup, &start.names), entry.tick.number, &effects.alerts)?;
        store_rows(&effects.rows, entry.tick.number, &formats, refill)?;
        remember(&mut start.figures, &effects.rows);
        next = entry.tick.number + 1;
        progress(next);
    }
    refill.spool.sync().map_err(|e| DriverError::Gate(e.to_string()))?;
    let journaled = |l: &Lost| {
        let p = start.names.iter().position(|n| *n == l.partition);
        log.known.iter().any(|(of, from, to)| Some(*of) == p && *from <= l.from && l.to <= *to)
    };
    let lost = std::mem::take(&mut start.lost);
    start.lost = lost.into_iter().filter(|l| !journaled(l)).collect();
    Ok(next)
}

/// What is read again.
struct Log<'a> {
    reader: &'a mut Reader,
    /// (partition, from, to) that were lost at the time.
    known: Vec<(usize, u64, u64)>,
    telemetry: &'a Telemetry,
}

fn feed_tick(start: &mut Start, entry: &JournalEntry, log: &mut Log<'_>, seen: &mut Vec<Seen>) -> Result<Effects, DriverError> {
    let tick = &entry.tick;
    start.lane.begin(tick.time, tick.partitions.len());
    for (p, at) in tick.partitions.iter().enumerate() {
        while start.lane.collectors[p].next_offset() < at.end {
            let next = start.lane.collectors[p].next_offset();
            fill(start, log, p, (next, at.end))?;
            let buffer = log.reader.buffer(p);
            while buffer.front().is_some_and(|f| f.offset < at.end) {
                let Some(fetched) = buffer.pop_front() else { break };
                let _ = redriven::take(&mut start.lane, p, &fetched, Timestamp::MAX, seen);
            }
            if start.lane.collectors[p].next_offset() == next {
                // no record lies between here and the tick's end (a log may have holes)
                break;
            }
        }
    }
    for name in log.reader.partitions().iter().take(tick.partitions.len()).skip(start.names.len()) {
        start.names.push(name.clone());
    }
    Ok(start.lane.close_told(tick, Some(&entry.alerts)))
}

/// Reads until the next record of `p` is at hand.
fn fill(start: &mut Start, log: &mut Log<'_>, p: usize, (next, end): (u64, u64)) -> Result<(), DriverError> {
    let Log { reader, known, telemetry } = log;
    loop {
        if p < reader.partitions().len() {
            skip_taken(reader.buffer(p), next);
            if !reader.buffer(p).is_empty() {
                return Ok(());
            }
        }
        if start.stop.load(Ordering::Relaxed) {
            return Err(DriverError::Stopped);
        }
        reader.poll(Duration::from_millis(50))?;
        telemetry.set_log_trouble(reader.trouble());
        start.lost.extend(reader.take_lost());
        let Some(name) = reader.partitions().get(p) else { continue };
        let at_the_time = |offset: u64| known.iter().find(|(of, from, to)| *of == p && *from <= offset && offset < *to);
        for lost in start.lost.iter().filter(|l| l.partition == *name && l.to > next && l.from < end) {
            // what the lane read then must be there again
            let mut from = lost.from.max(next);
            while let Some((.., to)) = at_the_time(from) {
                from = *to;
            }
            if from < lost.to.min(end) {
                return Err(DriverError::LogGone { partition: name.clone(), from, to: lost.to.min(end) });
            }
        }
    }
}

fn store_rows(rows: &[Row], tick: u64, formats: &LineFormats, refill: &Refill<'_>) -> Result<(), DriverError> {
    if rows.is_empty() || refill.spool.last_tick().is_some_and(|last| tick <= last) {
        return Ok(());
    }
    let mut lines = Vec::new();
    for row in rows {
        formats.render(row, &mut lines);
    }
    refill.spool.append(tick, &lines).map(|_| ()).map_err(|e| DriverError::Gate(e.to_string()))
}

/// Puts the lane under other definitions; figures of pipelines that moved are dropped.
pub fn change_setup(start: &mut Start, setup: Arc<Setup>) -> Result<(), DriverError> {
    let state = start.lane.save();
    let same = |r: &Row| {
        let name = state.pipelines.get(r.pipeline as usize).map(|p| &p.name);
        setup.pipelines.get(r.pipeline as usize).is_some_and(|p| Some(&p.name) == name && p.windows.len() > r.window as usize)
    };
    start.figures.retain(|_, r| same(r));
    start.lane = Lane::restore(setup, state)?;
    Ok(())
}

/// The windows of the lane whose definition is another under `setup`, or gone.
pub fn changed_windows(lane: &Lane, setup: &Setup) -> Vec<(u16, u16)> {
    let mut changed = Vec::new();
    for (p, pipeline) in lane.setup.pipelines.iter().enumerate() {
        let now = setup.pipelines.iter().find(|n| n.name == pipeline.name);
        for (w, window) in pipeline.windows.iter().enumerate() {
            let same = now.is_some_and(|n| n.windows.iter().any(|x| x.measurement == window.measurement && x.version == window.version));
            let areas_same = window.area_tag.is_none() || lane.setup.areas_version == setup.areas_version;
            if !same || !areas_same {
                changed.push((p as u16, w as u16));
            }
        }
    }
    changed
}

/// The tick in which the old definitions end: nothing was read, what is open of changed windows fires incomplete.
pub fn retirement(lane: &Lane, number: u64, retire: Vec<(u16, u16)>) -> Tick {
    let time = lane.core.time().unwrap_or(Timestamp(0));
    let at =
        |c: &crate::engine::collect::Collector| PartitionTick { end: c.next_offset(), read_time: None, unreadable: true, finished: false };
    let partitions = lane.collectors.iter().map(at).collect();
    Tick { number, time, live: false, partitions, actions: Vec::new(), retire }
}

/// Ends what the new definitions do not have any more, in a tick of its own, and puts the lane under them; the number of the next tick.
pub fn retire(
    start: &mut Start,
    next: u64,
    setup: &Arc<Setup>,
    journal: &mut Journal,
    (spool, kept): (&Spool, &mut KeptAlerts),
    notes: &mut Vec<Note>,
) -> Result<u64, DriverError> {
    let changed = changed_windows(&start.lane, setup);
    let mut number = next;
    if !changed.is_empty() {
        let tick = retirement(&start.lane, next, changed);
        start.lane.begin(tick.time, tick.partitions.len());
        let effects = start.lane.close(&tick);
        remember(&mut start.figures, &effects.rows);
        let (views, mut newest) = (Views::new(start.lane.setup.clone()), journal.last_told());
        let told = told(&views, &effects.alerts, &effects.restated, &tick, &mut newest);
        let entry = JournalEntry { tick, alerts: effects.changes, notes: std::mem::take(notes), told, ..JournalEntry::default() };
        journal.append(std::slice::from_ref(&entry))?;
        let refill = LineFormats::new(&start.lane.setup.pipelines);
        let mut lines = Vec::new();
        effects.rows.iter().for_each(|row| {
            refill.render(row, &mut lines);
        });
        let spooled = if lines.is_empty() { Ok(()) } else { spool.append(next, &lines).map(|_| ()) };
        spooled.and_then(|()| spool.sync()).map_err(|e| DriverError::Gate(e.to_string()))?;
        keep_fed(kept, (&start.lane.setup, &start.names), next, &effects.alerts)?;
        number += 1;
    }
    change_setup(start, setup.clone())?;
    Ok(number)
}
