//! The history of alerts kept in step with the journal.
//!
//! Owns: what of a commit goes into [`KeptAlerts`], and how it is made again from the journal where it lags or was lost. Refuses to know:
//! how alerts are kept and searched.
//!
//! Invariants
//! 1. After [`catch_up`] every change before the given tick is kept; what is fed again from there on is kept tick by tick (D2).
//! 2. An alert is made again from the whole of its journaled life, under the definitions of the time as far as the journal still has
//!    them, else under today's where its rule is the same; what nobody can name any more is said and left out.
//!
//! Called by: gate, recover, app.

use super::DriverError;
use crate::definitions::Definitions;
use crate::disk::database::DatabaseError;
use crate::engine::alert::{Alert, AlertBook, Label};
use crate::engine::lane::Facts;
use crate::engine::rule::GONE;
use crate::engine::setup::{MAX_BEHIND, Setup};
use crate::engine::{AlertChange, AlertId};
use crate::ingest::PartitionName;
use crate::journal::{Change, JournalReader};
use crate::server::history::KeptAlerts;
use crate::server::views::Views;
use crate::server::wire::AlertDetail;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Alerts made again that share a transaction.
const TOGETHER: usize = 1_000;

/// Keeps the last of each alert: `alerts` are states in the order of their changes, up to tick `upto`.
pub fn keep_newest(records: &mut KeptAlerts, views: &Views, upto: u64, alerts: &[Alert]) -> Result<(), DatabaseError> {
    if alerts.is_empty() || records.upto().is_some_and(|kept| upto <= kept) {
        return Ok(());
    }
    let newest: BTreeMap<AlertId, &Alert> = alerts.iter().map(|alert| (alert.id, alert)).collect();
    let details: Vec<AlertDetail> = newest.into_values().map(|alert| views.detail(alert)).collect();
    records.keep(Some(upto), &details)
}

/// The same of a tick that was fed again, or computed before the gate is there; `setup`: the definitions of the time.
pub fn keep_fed(
    records: &mut KeptAlerts,
    (setup, names): (&Arc<Setup>, &[PartitionName]),
    tick: u64,
    alerts: &[Alert],
) -> Result<(), DriverError> {
    if alerts.is_empty() || records.upto().is_some_and(|kept| tick <= kept) {
        return Ok(());
    }
    let views = Views::new(setup.clone());
    views.name_partitions(names);
    keep_newest(records, &views, tick, alerts).map_err(|e| DriverError::Gate(e.to_string()))
}

/// Makes again what was journaled before tick `below` and is not kept: the file is new, was lost, or came from an older backup.
pub fn catch_up(
    records: &mut KeptAlerts,
    journal: &JournalReader,
    below: u64,
    (today, names): (&Arc<Setup>, &[PartitionName]),
) -> Result<(), DriverError> {
    let failed = |e: DatabaseError| DriverError::Gate(e.to_string());
    let from = records.upto().map_or(0, |kept| kept + 1);
    let Some(last) = below.checked_sub(1).filter(|last| from <= *last) else { return Ok(()) };
    let ids = journal.alerts_changed(from, last)?;
    if ids.is_empty() {
        return Ok(());
    }
    tracing::info!(alerts = ids.len(), "the history of alerts is made again from the journal");
    let mut then = Then { journal, today, names, known: BTreeMap::new() };
    let mut unnamed = 0usize;
    for some in ids.chunks(TOGETHER) {
        let mut details = Vec::new();
        for id in some {
            match then.detail(*id, last)? {
                Some(detail) => details.push(detail),
                None => unnamed += 1,
            }
        }
        // the number goes with the last chunk only: until then it is not whole
        let upto = (some.last() == ids.last()).then_some(last);
        records.keep(upto, &details).map_err(failed)?;
    }
    if unnamed > 0 {
        tracing::warn!(unnamed, "journaled alerts whose rule nobody knows any more are not in the history");
    }
    Ok(())
}

/// Definitions of the time.
struct Then<'a> {
    journal: &'a JournalReader,
    today: &'a Arc<Setup>,
    names: &'a [PartitionName],
    /// By the tick since which they are in force; `None`: they cannot be compiled any more.
    known: BTreeMap<u64, Option<Arc<Setup>>>,
}

impl Then<'_> {
    /// An alert after the last of its changes up to `last`; `None`: it has ended unseen, or nobody can name it.
    fn detail(&mut self, id: AlertId, last: u64) -> Result<Option<AlertDetail>, DriverError> {
        let mut book = AlertBook::default();
        let mut setup = self.today.clone();
        for change in self.journal.history(id)? {
            match change {
                Change::Alert(change) if change.tick <= last => {
                    let (of, change) = self.placed(*change)?;
                    let facts = Facts { registry: &of.registry, at: change.at };
                    book.apply_change(&change, Label::of(&change, &of.pipelines, &facts), change.at);
                    setup = of;
                }
                Change::Handling(handled) if handled.tick <= last && handled.refused.is_none() => {
                    book.apply_action(&handled.action, handled.tick, handled.action.at);
                }
                _ => {}
            }
        }
        let views = Views::new(setup);
        views.name_partitions(self.names);
        Ok(book.get(id).map(|alert| views.detail(alert)))
    }

    /// The definitions in force from tick `since` on, read and compiled once; `None`: they cannot be compiled any more.
    fn in_force(&mut self, since: u64) -> Result<Option<Arc<Setup>>, DriverError> {
        if let Some(known) = self.known.get(&since) {
            return Ok(known.clone());
        }
        let compiled = self.journal.configuration_at(since)?.and_then(|(_, configuration)| {
            let then = Definitions::from_configuration(&configuration).compile(Some(MAX_BEHIND));
            then.map_err(|error| tracing::warn!(since, %error, "definitions of the time cannot be compiled any more")).ok().map(Arc::new)
        });
        self.known.insert(since, compiled.clone());
        Ok(compiled)
    }

    /// The definitions under which a change came about, and the change with its rule's place in them.
    fn placed(&mut self, mut change: AlertChange) -> Result<(Arc<Setup>, AlertChange), DriverError> {
        if let Some(since) = self.journal.configured_since(change.tick)?
            && let Some(then) = self.in_force(since)?
        {
            return Ok((then, change));
        }
        let heads = self.today.pipelines.iter().enumerate().flat_map(|(p, pipeline)| pipeline.versions().map(move |(r, v)| (p, r, v)));
        let same = heads.into_iter().find(|(.., version)| *version == &*change.rule_version);
        // places that no rule has: it cannot be named
        (change.pipeline, change.rule) = same.map_or((GONE, GONE), |(p, r, _)| (p as u16, r));
        Ok((self.today.clone(), change))
    }
}
