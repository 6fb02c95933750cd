//! `ioc topics create` and `ioc topics check`: topics as the contracts need them.
//!
//! Owns: [`create`] (makes or mends), [`check`] (looks only), [`table`] (for people).
//! Refuses to know: records; the command line.
//!
//! Invariants
//! 1. `create` may be run again at any time: it changes nothing that is as it should be, and never partitions or records.
//! 2. A topic whose clock is declared `event` is left with the producers' times.
//! 3. Every verdict that is not good names the next step.
//!
//! Called by: cli, tests.

use super::kafka::{Admin, Asker, Clock, Config, KafkaError, KafkaSettings, RETENTION, TIMESTAMP_TYPE, TopicSettings};
use std::fmt;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(10);
const HOUR_MS: i64 = 3_600_000;

/// A topic as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPlan {
    pub name: String,
    pub clock: Clock,
    pub partitions: i32,
    /// Copies of each partition; `None`: the broker's default.
    pub replication: Option<i32>,
    /// How long records are kept. `None`: the broker's default, or without limit where the clock is the event's.
    pub retention: Option<Duration>,
}

/// What [`create`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    Created {
        partitions: i32,
    },
    /// It kept the producers' times and no longer does. Records written before keep theirs and count as without broker_time.
    Mended {
        found: String,
    },
    Present {
        partitions: i32,
    },
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Made::Created { partitions } => write!(f, "created with {partitions} partitions"),
            Made::Mended { found } => write!(f, "existed with {TIMESTAMP_TYPE}={found}; set to LogAppendTime for what comes from now on"),
            Made::Present { partitions } => write!(f, "exists with {partitions} partitions, nothing to do"),
        }
    }
}

/// Makes each topic, or mends its clock. Stops at the first error; running it again goes on.
pub fn create(settings: &KafkaSettings, plans: &[TopicPlan]) -> Result<Vec<(String, Made)>, KafkaError> {
    settings.check()?;
    let (admin, asker) = (Admin::new(settings, LIMIT)?, Asker::new(settings)?);
    plans.iter().map(|plan| Ok((plan.name.clone(), create_one(&admin, &asker, plan)?))).collect()
}

fn create_one(admin: &Admin, asker: &Asker, plan: &TopicPlan) -> Result<Made, KafkaError> {
    match asker.layout(&plan.name, LIMIT) {
        Ok(layout) => {
            let config = admin.config(&plan.name)?;
            let found = timestamp_type(&config);
            if plan.clock == Clock::Broker && found != "LogAppendTime" {
                admin.alter(&plan.name, &config, TIMESTAMP_TYPE, "LogAppendTime")?;
                return Ok(Made::Mended { found });
            }
            Ok(Made::Present { partitions: layout.len() as i32 })
        }
        Err(KafkaError::NoTopic { .. }) => {
            let retention = match (plan.retention, plan.clock) {
                (Some(kept), _) => Some(kept.as_millis().to_string()),
                // By their own times, recorded events would be deleted as soon as they arrive.
                (None, Clock::Event) => Some("-1".to_string()),
                (None, Clock::Broker) => None,
            };
            let clock = if plan.clock == Clock::Broker { "LogAppendTime" } else { "CreateTime" };
            let mut config = vec![(TIMESTAMP_TYPE, clock)];
            config.extend(retention.as_deref().map(|kept| (RETENTION, kept)));
            admin.create(&plan.name, plan.partitions, plan.replication.unwrap_or(-1), &config)?;
            wait_for_leaders(asker, plan)?;
            Ok(Made::Created { partitions: plan.partitions })
        }
        Err(error) => Err(error),
    }
}

/// A new topic is known to all brokers a moment after it was created.
fn wait_for_leaders(asker: &Asker, plan: &TopicPlan) -> Result<(), KafkaError> {
    let until = Instant::now() + LIMIT;
    loop {
        match asker.layout(&plan.name, LIMIT) {
            Ok(layout) if layout.len() == plan.partitions as usize && layout.values().all(|leader| *leader >= 0) => return Ok(()),
            Err(error) if Instant::now() >= until => return Err(error),
            Ok(_) if Instant::now() >= until => return Ok(()),
            _ => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

fn timestamp_type(config: &Config) -> String {
    config.get(TIMESTAMP_TYPE).map_or_else(|| "unknown".to_string(), |(value, _)| value.clone())
}

/// What a topic is like, and whether `ioc` can work with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicReport {
    pub name: String,
    pub clock: Clock,
    /// `None`: there is no such topic.
    pub partitions: Option<usize>,
    pub timestamp_type: String,
    /// Milliseconds; -1: without limit.
    pub retention_ms: Option<i64>,
    /// Partitions without leader.
    pub leaderless: usize,
}

/// Whether `ioc run` takes the topic as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Good,
    /// It runs, but somebody should know this.
    Mind(String),
    /// It is refused, or nothing can be read; with the next step.
    Bad(String),
}

impl TopicReport {
    pub fn verdict(&self) -> Verdict {
        let name = &self.name;
        if self.partitions.is_none() {
            return Verdict::Bad(format!("missing: `ioc topics create {name}`"));
        }
        if self.leaderless > 0 {
            return Verdict::Bad(format!("{} partitions have no leader: look at the brokers", self.leaderless));
        }
        let log_time = self.timestamp_type == "LogAppendTime";
        match (self.clock, log_time, self.retention_ms) {
            (Clock::Broker, false, _) => Verdict::Bad(format!(
                "keeps the producers' times: `ioc topics create {name}`, or for recorded data `clock = \"event\"` under [topics.{name}]"
            )),
            (Clock::Event, false, Some(kept)) if kept >= 0 => Verdict::Mind(format!(
                "deletes records older than {} by their own time, recorded ones as they arrive: set {RETENTION}=-1",
                hours(kept)
            )),
            (Clock::Broker, true, Some(kept)) if (0..24 * HOUR_MS).contains(&kept) => {
                Verdict::Mind(format!("an outage longer than {} loses records: raise {RETENTION}", hours(kept)))
            }
            _ => Verdict::Good,
        }
    }
}

fn hours(ms: i64) -> String {
    match ms {
        ms if ms < 0 => "without limit".to_string(),
        ms if ms % (24 * HOUR_MS) == 0 => format!("{} d", ms / (24 * HOUR_MS)),
        ms if ms % HOUR_MS == 0 => format!("{} h", ms / HOUR_MS),
        ms => format!("{} s", ms / 1000),
    }
}

/// Looks at each topic, changes nothing.
pub fn check(settings: &KafkaSettings, topics: &[TopicSettings]) -> Result<Vec<TopicReport>, KafkaError> {
    settings.check()?;
    let (admin, asker) = (Admin::new(settings, LIMIT)?, Asker::new(settings)?);
    topics.iter().map(|topic| check_one(&admin, &asker, topic)).collect()
}

fn check_one(admin: &Admin, asker: &Asker, topic: &TopicSettings) -> Result<TopicReport, KafkaError> {
    let mut report = TopicReport {
        name: topic.name.clone(),
        clock: topic.clock,
        partitions: None,
        timestamp_type: "-".to_string(),
        retention_ms: None,
        leaderless: 0,
    };
    let layout = match asker.layout(&topic.name, LIMIT) {
        Ok(layout) => layout,
        Err(KafkaError::NoTopic { .. }) => return Ok(report),
        Err(error) => return Err(error),
    };
    let config = admin.config(&topic.name)?;
    report.partitions = Some(layout.len());
    report.leaderless = layout.values().filter(|leader| **leader < 0).count();
    report.timestamp_type = timestamp_type(&config);
    report.retention_ms = config.get(RETENTION).and_then(|(value, _)| value.parse().ok());
    Ok(report)
}

/// One line a topic: name, partitions, timestamps, retention, verdict.
pub fn table(reports: &[TopicReport]) -> String {
    let width = reports.iter().map(|report| report.name.len()).max().unwrap_or(0).max(5);
    let mut text = format!("{:width$}  partitions  {:13}  {:13}  verdict\n", "topic", "timestamps", "retention");
    for report in reports {
        let verdict = match report.verdict() {
            Verdict::Good => "good".to_string(),
            Verdict::Mind(note) => format!("good, but {note}"),
            Verdict::Bad(problem) => problem,
        };
        let partitions = report.partitions.map_or_else(|| "-".to_string(), |n| n.to_string());
        let kept = report.retention_ms.map_or_else(|| "-".to_string(), hours);
        text += &format!("{:width$}  {partitions:>10}  {:13}  {kept:13}  {verdict}\n", report.name, report.timestamp_type);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_name_the_next_step() {
        let report = |clock, partitions, timestamps: &str, retention_ms, leaderless| TopicReport {
            name: "events".into(),
            clock,
            partitions,
            timestamp_type: timestamps.into(),
            retention_ms,
            leaderless,
        };
        let day = 24 * HOUR_MS;
        let cases = [
            (report(Clock::Broker, Some(4), "LogAppendTime", Some(7 * day), 0), "good"),
            (report(Clock::Broker, Some(4), "LogAppendTime", Some(-1), 0), "good"),
            (report(Clock::Broker, Some(4), "LogAppendTime", Some(HOUR_MS), 0), "an outage longer than 1 h"),
            (report(Clock::Broker, Some(4), "CreateTime", Some(7 * day), 0), "`ioc topics create events`"),
            (report(Clock::Event, Some(4), "CreateTime", Some(-1), 0), "good"),
            (report(Clock::Event, Some(4), "CreateTime", Some(7 * day), 0), "older than 7 d by their own time"),
            (report(Clock::Broker, None, "-", None, 0), "missing: `ioc topics create events`"),
            (report(Clock::Broker, Some(4), "LogAppendTime", Some(-1), 2), "2 partitions have no leader"),
        ];
        for (report, expected) in cases {
            let text = table(std::slice::from_ref(&report));
            assert!(text.lines().nth(1).is_some_and(|line| line.contains(expected)), "{text}");
        }
    }
}
