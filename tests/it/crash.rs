//! Seeded crashes over the real journal, spool, store and checkpoint files (D1 to D3, D5, R3).

use crate::support::feed::{Kept, Log as Records, feed};
use crate::support::site::{Dead, Life, Rng, Site, end_of, new_records, records};
use crate::support::{compiled, definitions, event, s, sets};
use ioc::definitions::Definitions;
use ioc::driver::gate::Step;
use ioc::engine::lane::Lane;
use ioc::engine::setup::{MAX_BEHIND, Setup};
use ioc::engine::{Act, AlertChange, ChangeReason, Condition, HandlingChange, PartitionTick, Tick, Verdict};
use ioc::ingest::PartitionName;
use ioc::ingest::log::Retention;
use ioc::journal::Note;
use ioc::server::history::{AlertRecords, HistoryQuery, MOST};
use ioc::server::scope::Scope;
use ioc::server::views::Views;
use ioc::server::wire::{self, AlertDetail};
use ioc::server::{ActionAnswer, ActionRequest, Handled};
use ioc::store::line::{LineFormats, StoredRow, parse_line};
use ioc::store::rejected::{RejectedStore, Wanted};
use ioc::time::{Span, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::oneshot;

/// What left the process, over all lives.
#[derive(Default)]
struct Left {
    /// (first tick, last tick, lines) of each write to the store.
    writes: Vec<(u64, u64, Vec<u8>)>,
    /// The last tick that the store acknowledged.
    acked: Option<u64>,
    /// Who was told that their action is done.
    done: BTreeSet<String>,
    kills: u32,
}

/// One schedule: lives and deaths until everything is read, fired, stored.
struct Schedule<'a> {
    site: &'a mut Site,
    rng: Rng,
    left: Left,
    wall: Timestamp,
    end: Timestamp,
    waiting: Vec<(String, oneshot::Receiver<ActionAnswer>)>,
    /// Steps until the next kill; `None`: it lives.
    fuse: Option<u64>,
    /// In force from the third life on.
    change: Option<Definitions>,
    may_lose_records: bool,
}

impl Schedule<'_> {
    fn spark(&mut self) -> Result<(), Dead> {
        match &mut self.fuse {
            Some(0) => Err(Dead("killed".into())),
            Some(n) => {
                *n -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// True once nothing is left to do.
    fn live(&mut self, life: &mut Life) -> Result<(), Dead> {
        let mut idle_cuts = 0;
        loop {
            life.driver.poll(std::time::Duration::ZERO).map_err(|e| Dead(e.to_string()))?;
            self.spark()?;
            for _ in 0..1 + self.rng.below(40) {
                self.act(life);
                let more = life.driver.cut(self.wall).map_err(|e| Dead(e.to_string()))?;
                if !more && life.driver.all_at_end() && !self.site.append(15) {
                    self.wall = self.wall + Span::seconds(1 + self.rng.below(30) as i64);
                    idle_cuts += 1;
                }
            }
            self.spark()?;
            self.commit(life)?;
            self.store(life)?;
            if idle_cuts > 60 {
                break;
            }
        }
        life.driver.finish().map_err(|e| Dead(e.to_string()))?;
        self.spark()?;
        self.commit(life)?;
        if self.rng.one_in(2) {
            life.driver.last_checkpoint().map_err(|e| Dead(e.to_string()))?;
            self.commit(life)?;
        }
        while life.spool.figures().waiting_ticks > 0 {
            self.store(life)?;
        }
        Ok(())
    }

    /// Somebody acts on an alert.
    fn act(&mut self, life: &Life) {
        let held: Vec<_> = life.driver.lane.core.book().iter().map(|a| (a.id, a.version)).collect();
        if held.is_empty() || !self.rng.one_in(30) {
            return;
        }
        let (alert, version) = held[self.rng.below(held.len() as u64) as usize];
        let by = format!("operator {}", self.rng.below(1 << 40));
        let (answer, answered) = oneshot::channel();
        let act = match self.rng.below(8) {
            0 | 1 => Act::Acknowledge,
            2 => Act::Unacknowledge,
            3 => Act::Assign { to: format!("team {}", self.rng.below(2)) },
            4 => Act::Note,
            5 => Act::Close { verdict: Verdict::False },
            6 => Act::Reopen,
            _ => Act::Step { step: self.rng.below(3) as u32, done: self.rng.one_in(2) },
        };
        let request = ActionRequest { alerts: vec![(alert, version)], by: by.clone(), note: String::new(), act, answer };
        if life.actions.try_send(request).is_ok() {
            self.waiting.push((by, answered));
        }
    }

    fn commit(&mut self, life: &mut Life) -> Result<(), Dead> {
        let Some(mut batch) = life.batch() else { return Ok(()) };
        for step in Step::ALL {
            if step == Step::Journal {
                let early = self.waiting.iter_mut().any(|(_, a)| a.try_recv().is_ok());
                assert!(!early, "D2: an answer left before its tick was journaled");
            }
            life.commit_step(step, &mut batch)?;
            if step == Step::Show {
                for (by, mut answered) in std::mem::take(&mut self.waiting) {
                    match answered.try_recv() {
                        Ok(ActionAnswer::Handled(of)) if matches!(of[..], [Handled::Done(_)]) => drop(self.left.done.insert(by)),
                        Ok(_) => {}
                        Err(_) => self.waiting.push((by, answered)),
                    }
                }
            }
            self.spark()?;
        }
        Ok(())
    }

    /// Moves a batch from the spool to the store.
    fn store(&mut self, life: &mut Life) -> Result<(), Dead> {
        let rows = 1 + self.rng.below(400) as usize;
        let Some(batch) = life.spool.take(rows, 1 << 20).map_err(|e| Dead(e.to_string()))? else { return Ok(()) };
        assert!(Some(batch.first) > self.left.acked, "D3: tick {} was acknowledged before, {:?}", batch.first, self.left.acked);
        self.spark()?;
        self.site.runtime.block_on(life.store.write(batch.last, batch.lines.clone())).map_err(|e| Dead(e.to_string()))?;
        self.left.writes.push((batch.first, batch.last, batch.lines));
        self.spark()?;
        life.spool.ack(batch.last).map_err(|e| Dead(e.to_string()))?;
        self.left.acked = Some(batch.last);
        self.spark()
    }

    fn run(&mut self) -> Life {
        let mut last = String::new();
        for _ in 0..200 {
            let kills = self.left.kills;
            self.fuse = (kills < 6).then(|| 1 + self.rng.below(if kills < 3 { 40 } else { 120 }));
            if self.fuse.is_some() {
                self.site.arm(&mut self.rng);
            }
            let mut life = self.site.start().ok();
            let lived = life.as_mut().map_or_else(|| Err(Dead("while it started".into())), |life| self.live(life));
            if let (Ok(()), Some(life)) = (&lived, life.take_if(|_| lived.is_ok())) {
                let diverged = life.telemetry.render().lines().find(|l| l.starts_with("ioc_diverged_ticks_total")).map(str::to_owned);
                assert!(diverged.is_some_and(|d| d.ends_with(" 0")), "recovery arrives at the journaled changes");
                return life;
            }
            self.left.kills += 1;
            if let Err(Dead(why)) = lived {
                last = why;
            }
            if self.left.kills == 3
                && let Some(definitions) = self.change.take()
            {
                self.site.definitions = definitions;
            }
            // who waited for an answer hears nothing: the action was not said to be done
            self.waiting.clear();
            self.wall = self.wall.max(self.end);
            self.site.kill(life, &mut self.rng);
            if self.may_lose_records && self.rng.one_in(4) {
                self.site.lose_records();
            }
        }
        panic!("the schedule does not come to an end; the last death: {last}")
    }
}

/// What a run gives when the journaled ticks are fed to a fresh lane, under the definitions of the time.
#[derive(Default)]
struct Fed {
    lines: BTreeMap<u64, Vec<u8>>,
    refused: BTreeSet<(u32, u64)>,
    handled: Vec<HandlingChange>,
    changes: Vec<AlertChange>,
    /// Each alert as it last stood.
    alerts: BTreeMap<String, AlertDetail>,
    /// Ticks that retired windows.
    retired: usize,
}

fn feed_journal(site: &Site, log: &Records) -> Fed {
    let mut lane: Option<Lane> = None;
    let mut fed = Fed::default();
    let names: Vec<_> = (0..log.len() as i32).map(|number| PartitionName { topic: "events".into(), number }).collect();
    for (number, entry) in (0..).zip(site.journal().ticks_from(0)) {
        let entry = entry.unwrap();
        assert_eq!(entry.tick.number, number, "ticks have no hole");
        if let Some(configuration) = &entry.configuration {
            let setup = compiled(&Definitions::from_configuration(configuration), Some(MAX_BEHIND));
            lane = Some(lane.map_or_else(|| Lane::new(setup.clone()), |lane| Lane::restore(setup.clone(), lane.save()).unwrap()));
        }
        let lane = lane.as_mut().expect("the first tick carries the definitions");
        let effects = feed(lane, log, &entry.tick);
        assert_eq!(effects.changes, entry.alerts, "R3, History: alert changes of tick {number}");
        assert_eq!(effects.handled, entry.handling, "R3, History: handling of tick {number}");
        fed.refused.extend(effects.rejected.iter().map(|(p, r)| (*p, r.offset)));
        fed.handled.extend(effects.handled);
        fed.changes.extend(effects.changes);
        let views = Views::new(lane.setup.clone());
        views.name_partitions(&names);
        fed.alerts.extend(effects.alerts.iter().map(|alert| (alert.id.to_string(), views.detail(alert))));
        fed.retired += usize::from(!entry.tick.retire.is_empty());
        if !effects.rows.is_empty() {
            let lines = fed.lines.entry(number).or_default();
            let formats = LineFormats::new(&lane.setup.pipelines);
            effects.rows.iter().for_each(|r| _ = formats.render(r, lines));
        }
    }
    fed
}

/// The last row of each identity.
fn newest<'l>(lines: impl IntoIterator<Item = &'l Vec<u8>>) -> BTreeMap<String, StoredRow> {
    let lines = lines.into_iter().flat_map(|l| l.split(|b| *b == b'\n')).filter(|l| !l.is_empty());
    let rows = lines.map(|l| parse_line(l).unwrap());
    rows.map(|row| (format!("{} {:?} {}", row.measurement, row.tags, row.start.0), row)).collect()
}

/// Values of the run that was never stopped, in quite other ticks.
fn uncut(setup: &Arc<Setup>, log: &Records) -> BTreeMap<String, StoredRow> {
    let mut lane = Lane::new(setup.clone());
    let tick = |number, finished| Tick {
        number,
        time: end_of(log),
        partitions: log.iter().map(|p| PartitionTick { end: p.len() as u64, read_time: None, unreadable: false, finished }).collect(),
        ..Tick::default()
    };
    let mut rows = feed(&mut lane, log, &tick(0, false)).rows;
    rows.extend(feed(&mut lane, log, &tick(1, true)).rows);
    let (formats, mut lines) = (LineFormats::new(&setup.pipelines), Vec::new());
    rows.iter().for_each(|r| _ = formats.render(r, &mut lines));
    newest([&lines])
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Live,
    /// Definitions change on the way.
    Changing,
    /// The clock is event time; records come while the lane runs.
    Recorded,
}

fn schedule(seed: u64, kind: Kind) {
    let mut log = records(seed % 7);
    let definitions = definitions(&sets::files());
    let setup = compiled(&definitions, Some(MAX_BEHIND));
    let end = end_of(&log);
    let mut site = if kind == Kind::Recorded { Site::recorded(&log, definitions) } else { Site::new(&log, definitions) };
    if kind == Kind::Recorded {
        log.iter_mut().flatten().for_each(|kept| kept.broker_time = None);
    }
    let rng = Rng(seed * 0x9E37_79B9 + 77);
    let mut schedule = Schedule {
        site: &mut site,
        rng,
        left: Left::default(),
        wall: end,
        end,
        waiting: Vec::new(),
        fuse: None,
        change: (kind == Kind::Changing).then(changed),
        may_lose_records: kind == Kind::Live,
    };
    let life = schedule.run();
    let left = schedule.left;
    assert!(left.kills >= 3, "seed {seed}: {} kills", left.kills);
    let fed = feed_journal(&site, &log);

    // History: the rows of every journaled tick left, in their order and with their bytes
    let mut seen = BTreeSet::new();
    for (first, last, lines) in &left.writes {
        let ticks = fed.lines.range(*first..=*last);
        assert_eq!(
            String::from_utf8_lossy(&ticks.clone().flat_map(|(_, l)| l.clone()).collect::<Vec<u8>>()),
            String::from_utf8_lossy(lines),
            "seed {seed}: ticks {first} to {last}"
        );
        seen.extend(ticks.map(|(n, _)| *n));
    }
    assert_eq!(seen, fed.lines.keys().copied().collect(), "seed {seed}: nothing is lost");
    // what an operator was told is done is in the journal, once
    for by in &left.done {
        let of = fed.handled.iter().filter(|h| h.action.by == *by && h.refused.is_none()).count();
        assert_eq!(of, 1, "seed {seed}: {by}");
    }
    // D2: the history has each alert as it last stood, whatever was killed and lost
    let lasting = fed.alerts.iter().filter(|(_, detail)| detail.alert.condition != wire::Condition::Inactive);
    let records = AlertRecords::new(&site.data());
    let kept = records.page(&HistoryQuery { limit: MOST, ..HistoryQuery::default() }, &whole(), &|_, _| true).unwrap();
    let kept: BTreeSet<&str> = kept.alerts.iter().map(|alert| alert.id.as_str()).collect();
    assert_eq!(kept, lasting.clone().map(|(id, _)| id.as_str()).collect(), "seed {seed}: the history of alerts");
    for (id, detail) in lasting {
        assert_eq!(records.detail(id).unwrap().as_ref(), Some(detail), "seed {seed}");
    }
    // D5: every refused record is kept once
    let names: BTreeSet<(u32, u64)> = life.gate.rejected.list(&all()).unwrap().iter().map(|k| (k.partition as u32, k.offset)).collect();
    assert_eq!(names, fed.refused, "seed {seed}: refused records");
    assert!(!names.is_empty());

    // Values: the store holds the newest revision of every row, and what the uncut run says of it
    let newest = newest(fed.lines.values());
    let mut held = BTreeMap::new();
    for window in setup.pipelines.iter().flat_map(|p| &p.windows) {
        let rows = site.runtime.block_on(life.store.rows(&window.measurement, end - Span::days(2), end + Span::days(2))).unwrap();
        held.extend(rows.into_iter().map(|r| (format!("{} {:?} {}", r.measurement, r.tags, r.start.0), r)));
    }
    assert_eq!(held.keys().collect::<Vec<_>>(), newest.keys().collect::<Vec<_>>(), "seed {seed}: rows of the store");
    for (name, row) in &newest {
        assert_eq!(
            (held[name].canonical(), held[name].revision, held[name].state),
            (row.canonical(), row.revision, row.state),
            "seed {seed}: {name}"
        );
    }
    if kind == Kind::Changing {
        let of_rule = |c: &&AlertChange| c.reason == Some(ChangeReason::RuleChanged);
        assert!(fed.retired > 0, "seed {seed}: D2: what changed was retired");
        assert!(fed.changes.iter().filter(of_rule).all(|c| matches!(c.to, Condition::Resolved | Condition::Inactive)));
        return;
    }
    let canonical = |rows: &BTreeMap<String, StoredRow>| rows.values().map(StoredRow::canonical).collect::<Vec<_>>();
    assert_eq!(canonical(&held), canonical(&uncut(&setup, &log)), "seed {seed}: R3, Values");
}

/// D1, D2, D3, R3: killed between any two steps (read, cut to merge, journal, screens, spool, its fsync, refused records, checkpoint, store,
/// acknowledgement), in the middle of a write, and while recovering: nothing lost, nothing counted or said twice.
#[test]
fn d1_d2_d3_killed_anywhere_first_half() {
    (0..25).for_each(|seed| schedule(seed, Kind::Live));
}

#[test]
fn d1_d2_d3_killed_anywhere_second_half() {
    (25..50).for_each(|seed| schedule(seed, Kind::Live));
}

/// A window of `slow` and a rule of `quick` are others.
pub fn changed() -> Definitions {
    let (quick, slow) =
        (sets::QUICK.replace("when: high > 8", "when: high > 7"), sets::SLOW.replace("mid: p50(data.x)", "mid: p75(data.x)"));
    let mut files = sets::files();
    for (path, text) in &mut files {
        match *path {
            "pipelines/quick.yaml" => *text = &quick,
            "pipelines/slow.yaml" => *text = &slow,
            _ => {}
        }
    }
    definitions(&files)
}

/// D2: definitions are input too: changed between two lives, recovery uses those of the time, and what changed ends in a tick of its own.
#[test]
fn d2_definitions_change_among_kills() {
    (100..108).for_each(|seed| schedule(seed, Kind::Changing));
}

/// R3, D2: a recorded lane too, whose topic is filled while it runs.
#[test]
fn r3_d2_a_recorded_lane_among_kills() {
    (200..212).for_each(|seed| schedule(seed, Kind::Recorded));
}

/// Everything that is there, computed and not committed.
fn computed(site: &Site, log: &Records) -> Life {
    let mut life = site.start().unwrap();
    life.driver.poll(std::time::Duration::ZERO).unwrap();
    for _ in 0..60 {
        life.driver.cut(end_of(log)).unwrap();
    }
    life
}

fn whole() -> Scope {
    Scope::new(&[], &[], Arc::new(|_: &str, _: &str| true))
}

/// D2: the journal cannot be written: no row, no frame, no checkpoint leaves, who waits is told, the gate stops.
#[test]
fn d2_a_failing_journal_lets_nothing_out() {
    for fails in [false, true] {
        let log = records(1);
        let site = Site::new(&log, definitions(&sets::files()));
        let mut life = computed(&site, &log);
        let (answer, mut answered) = oneshot::channel();
        let alert = ioc::engine::AlertId([7; 16]);
        let request = ActionRequest { alerts: vec![(alert, 1)], by: "Lan".into(), note: String::new(), act: Act::Acknowledge, answer };
        life.actions.try_send(request).ok().unwrap();
        life.driver.cut(end_of(&log)).unwrap();
        life.driver.last_checkpoint().unwrap();
        if fails {
            // another process took the journal
            let other = rusqlite::Connection::open(site.data().join("journal.sqlite")).unwrap();
            other.execute("UPDATE owner SET epoch = epoch + 1", []).unwrap();
        }
        let Life { driver, gate, ticks, spool, .. } = life;
        drop(driver);
        let hub = gate.hub.clone();
        assert_eq!(gate.run(&ticks).is_err(), fails);
        let told = answered.try_recv().unwrap();
        let unknown = ActionAnswer::Handled(vec![Handled::Unknown]);
        assert!(if fails { matches!(told, ActionAnswer::Failed(_)) } else { told == unknown }, "{told:?}");
        let alerts = site.runtime.block_on(hub.alerts(whole())).unwrap();
        let left =
            (alerts.is_empty(), spool.last_tick().is_none(), site.journal().bounds().unwrap().is_none(), site.checkpoints().is_empty());
        assert_eq!(left, (fails, fails, fails, fails), "frames, rows, ticks, checkpoints");
    }
}

/// D1: what SIGTERM leaves is the whole state: the next start feeds no tick again but the last.
#[test]
fn d1_a_clean_stop_leaves_the_state() {
    let log = records(2);
    let site = Site::new(&log, definitions(&sets::files()));
    let mut life = computed(&site, &log);
    life.commit_all().unwrap();
    life.driver.last_checkpoint().unwrap();
    life.commit_all().unwrap();
    let (state, number) = (serde_json::to_string(&life.driver.lane.save()).unwrap(), life.driver.number);
    drop(life);
    assert_eq!(site.checkpoints().last(), Some(&(number - 1)));
    let life = site.start().unwrap();
    assert_eq!((serde_json::to_string(&life.driver.lane.save()).unwrap(), life.driver.number), (state, number));
}

/// T7: while the program was down the log could not be read: that time counts for nobody's silence, also after `kill -9`.
#[test]
fn t7_time_down_after_a_kill_is_no_silence() {
    let heard = |second: i64| Kept {
        broker_time: Some(s(second)),
        body: event("t.a", "s0", &format!("e{second}"), s(second), serde_json::json!({"x": 1})),
    };
    let log: Records = vec![(0..7).map(|n| heard(10 * n)).collect()];
    let mut site = Site::new(&log, definitions(&sets::files()));
    let mut life = computed(&site, &log);
    life.commit_all().unwrap();
    site.kill(Some(life), &mut Rng(7));

    // s0 speaks every 30 s; `gone` fires after 60 s: the hour without the program is not one of silence
    let later: Records = vec![vec![heard(3_600)]];
    site.log.append_blocking(new_records(&later).into()).unwrap();
    let mut life = site.start().unwrap();
    life.driver.begin_again().unwrap();
    life.driver.poll(std::time::Duration::ZERO).unwrap();
    for wall in [3_600, 3_601, 3_650, 3_700, 3_900] {
        life.driver.cut(s(wall)).unwrap();
        life.driver.cut(s(wall)).unwrap();
    }
    let outgoing: Vec<_> = life.ticks.try_iter().collect();
    let gone = outgoing.iter().flat_map(|out| &out.alerts).filter(|a| a.label.rule == "gone" && a.key.tags.iter().any(|t| &**t == "s0"));
    let began: Vec<_> = gone.map(|a| (a.condition, a.since)).collect();
    assert_eq!(began, [(ioc::engine::Condition::Firing, s(3_600))], "silent only after it was heard again");
}

/// D1: records that were deleted before they were read are journaled as lost, reading goes on, and so does recovery.
#[test]
fn d1_lost_records_are_journaled() {
    let kept =
        |second: i64, id: &str| Kept { broker_time: Some(s(second)), body: event("t.a", "s0", id, s(second), serde_json::json!({"x": 1})) };
    let day = 24 * 3600;
    let log: Records = vec![vec![kept(-3 * day, "0"), kept(-3 * day + 1, "1"), kept(0, "2"), kept(400, "3")]];
    let mut site = Site::new(&log, definitions(&sets::files()));
    site.log.retain_blocking(Retention { age: Span::days(1), ..Retention::default() }, s(0)).unwrap();
    for life in 0..2 {
        let mut life_of = computed(&site, &log);
        life_of.commit_all().unwrap();
        let notes = site.journal().notes().unwrap();
        let lost: Vec<_> = notes
            .iter()
            .filter_map(
                |(_, n)| if let Note::Lost { index, from, to, before, .. } = n { Some((*index, *from, *to, *before)) } else { None },
            )
            .collect();
        assert_eq!(lost, [(0, 0, 2, Some(s(0)))], "said once, with the time of the record after it, life {life}");
        assert_eq!(life_of.driver.lane.counts(0).read, 2);
        site.kill(Some(life_of), &mut Rng(3));
    }
}

/// D3: past the bound rows are owed, durably, and nothing waits for the store: reading and alerts go on; every row is stored or owed.
#[test]
fn d3_past_the_bound_rows_are_owed() {
    let log = records(4);
    let mut site = Site::new(&log, definitions(&sets::files()));
    site.spool_bound = 6_000;
    let mut life = site.start().unwrap();
    for _ in 0..40 {
        life.driver.poll(std::time::Duration::ZERO).unwrap();
        (0..30).for_each(|_| _ = life.driver.cut(end_of(&log)).unwrap());
        life.commit_all().unwrap();
    }
    assert!(life.driver.all_at_end(), "a dead store stops nothing");
    assert!(!site.runtime.block_on(life.gate.hub.alerts(whole())).unwrap().is_empty());
    let owed = life.spool.owed();
    assert!(!owed.is_empty() && life.spool.figures().bytes_on_disk <= 6_000 + 4_000);
    site.kill(Some(life), &mut Rng(9));
    let life = site.start().unwrap();
    assert_eq!(life.spool.owed(), owed, "the list is durable");
    let mut taken = Vec::new();
    while let Some(batch) = life.spool.take(1, 1).unwrap() {
        taken.push((batch.last, batch.lines));
        life.spool.ack(batch.last).unwrap();
    }
    let fed = feed_journal(&site, &log);
    let is_owed = |tick: u64| owed.iter().any(|o| (o.first..=o.last).contains(&tick));
    let kept: Vec<_> = fed.lines.into_iter().filter(|(tick, _)| !is_owed(*tick)).collect();
    assert_eq!(taken, kept);
}

/// D5: what was refused is told again by recovery: killed after the journal, before it was kept.
#[test]
fn d5_refused_records_survive_a_kill() {
    let log = records(3);
    let mut site = Site::new(&log, definitions(&sets::files()));
    let mut life = site.start().unwrap();
    life.driver.poll(std::time::Duration::ZERO).unwrap();
    for _ in 0..50 {
        life.driver.cut(end_of(&log)).unwrap();
    }
    let mut batch = life.batch().unwrap();
    life.commit_step(Step::Journal, &mut batch).unwrap();
    assert!(life.gate.rejected.list(&all()).unwrap().is_empty());
    site.kill(Some(life), &mut Rng(5));
    let life = site.start().unwrap();
    let kept = life.gate.rejected.list(&all()).unwrap().len();
    let fed = feed_journal(&site, &log);
    assert!(kept > 0 && kept == fed.refused.len());
    assert_eq!(RejectedStore::open(&site.data()).unwrap().list(&all()).unwrap().len(), kept);
}

fn all() -> Wanted {
    Wanted { limit: 10_000, ..Wanted::default() }
}
