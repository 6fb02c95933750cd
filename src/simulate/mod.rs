//! The simulated province: about 900 sources in the real communes of Lâm Đồng, 40 events a second, and what is wrong with them, known exactly.
//!
//! | what | where |
//! |---|---|
//! | the sources, and their lines in the registry | site.rs |
//! | the faults of a day: flood, blocks, dead gateway, cluster, fast clock, late upload | plan.rs |
//! | what sensors say | signals.rs |
//! | field reports, dossiers, work files; indicators | desk.rs, indicators.rs |
//! | events in the order of arrival; broken and doubled copies | stream.rs, damage.rs |
//! | the ground truth, and alerts held against it | truth.rs, score.rs |
//!
//! Owns: [`Province`]. Refuses to know: where events go, the wall clock, what the engine computes.
//!
//! Invariants
//! 1. The same seed, registry and time give the same bytes, in whatever pieces they are asked for.
//! 2. Nothing is drawn from a state: every value follows from the seed, the source and its turn.
//!
//! Called by: cli (simulate, demo), tests.

mod chance;
mod damage;
mod desk;
mod indicators;
mod plan;
pub mod score;
mod signals;
mod site;
mod stream;
#[cfg(test)]
mod tests;
mod text;
mod truth;

pub use plan::FaultKind;
pub use site::{SiteError, registry_csv};
pub use stream::{Arrival, Stream, Tally};
pub use truth::{Counts, Expected, Fault, Truth};

use crate::geo::AreaIndex;
use crate::registry::Registry;
use crate::time::working::{NoCalendar, WorkingCalendar};
use crate::time::{Span, Timestamp};
use chance::Chance;
use plan::Plan;
use site::Site;

/// Faults that are asked for instead of each day's own: what, when, how long.
pub type Wishes = Vec<(FaultKind, Timestamp, Option<Span>)>;

/// One seed's province.
pub struct Province {
    seed: u64,
    chance: Chance,
    sites: Vec<Site>,
    working: WorkingCalendar,
    /// By site: cadence and phase, nanoseconds.
    rhythm: Vec<(i64, i64)>,
    wishes: Option<Wishes>,
    punctual: bool,
}

impl Province {
    /// With `recorded`, detectors of the registry that the province has not placed itself say something usual too.
    pub fn new(seed: u64, registry: &Registry, recorded: bool) -> Result<Province, SiteError> {
        let mut sites = site::sites(&registry.areas)?;
        if recorded {
            let own = stream::ids(&sites);
            let others = registry.sources.iter().filter(|s| !own.contains(s.id.as_str()));
            let others = others.filter_map(|s| {
                let area = registry.area_of_source(s, Timestamp::from_seconds(1_767_200_400));
                let area = area.map_or("", |id| registry.areas.area(id).code.as_str());
                let kind = s.types.iter().find(|k| k.starts_with("traffic."))?;
                Site::registered(&s.id, kind, s.cadence?, s.position, area)
            });
            let others: Vec<Site> = others.collect();
            sites.extend(others);
        }
        let chance = Chance::new(seed);
        let rhythm = stream::rhythm(chance, &sites);
        Ok(Province { seed, chance, sites, working: registry.calendar.working.clone(), rhythm, wishes: None, punctual: false })
    }

    /// Only these faults.
    pub fn with_faults(mut self, wishes: Wishes) -> Province {
        self.wishes = Some(wishes);
        self
    }

    /// Offices in which only one matter in ten is late that would be so by chance, with an even load.
    pub fn with_punctual_offices(self) -> Province {
        Province { punctual: true, ..self }
    }

    /// Events that arrive in `[from, to)`, in order.
    pub fn events(&self, from: Timestamp, to: Timestamp) -> Result<Stream<'_>, NoCalendar> {
        Stream::new(self, from, to, true)
    }

    /// Of them what offices send: field reports, dossiers, work files, indicators.
    pub fn cases(&self, from: Timestamp, to: Timestamp) -> Result<Stream<'_>, NoCalendar> {
        Stream::new(self, from, to, false)
    }

    /// What is true of `[from, to)`, with what its stream counted.
    pub fn truth(&self, from: Timestamp, to: Timestamp, tally: &Tally) -> Result<Truth, NoCalendar> {
        truth::truth(self, from, to, tally)
    }

    fn plan(&self, days: std::ops::Range<i64>) -> Plan {
        match &self.wishes {
            Some(wishes) => Plan::of_wishes(self.chance, &self.sites, wishes),
            None => Plan::of_days(self.chance, &self.sites, days),
        }
    }
}

/// The registry's lines of the province's sources.
pub fn registry_file(areas: &AreaIndex) -> Result<String, SiteError> {
    Ok(registry_csv(&site::sites(areas)?))
}
