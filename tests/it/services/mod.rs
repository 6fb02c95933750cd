//! The program on real Apache Kafka and real InfluxDB 2.
//!
//! Needs what `env $(tests/services/services env)` sets, and for the cases that kill or freeze a server the same IOC_SERVICES_INSTANCE.
//! Those cases have the servers for themselves; the others share them. Each has topics, groups, buckets of its own.

mod hour;
mod influx;
mod kafka;
mod live;
mod outages;
mod replay;
mod site;
mod start;

use std::process::Command;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

static SERVERS: RwLock<()> = RwLock::new(());

const SOON: Duration = Duration::from_secs(30);

fn shared() -> RwLockReadGuard<'static, ()> {
    SERVERS.read().unwrap_or_else(PoisonError::into_inner)
}

fn alone() -> RwLockWriteGuard<'static, ()> {
    SERVERS.write().unwrap_or_else(PoisonError::into_inner)
}

fn variable(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is unset: `tests/services/services up`, then `env $(tests/services/services env) cargo test …`"))
}

fn brokers() -> String {
    variable("IOC_TEST_KAFKA")
}

/// How long a server is away: a minute, unless IOC_TEST_OUTAGE_SECONDS says less.
fn outage() -> Duration {
    let seconds = std::env::var("IOC_TEST_OUTAGE_SECONDS").map_or(60, |s| s.parse().expect("IOC_TEST_OUTAGE_SECONDS is a number"));
    Duration::from_secs(seconds)
}

fn services(words: &[&str]) {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/services/services");
    let done = Command::new(program).args(words).output().expect("tests/services/services runs");
    assert!(done.status.success(), "services {words:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A server, stopped by SIGSTOP until this is dropped: a case that fails leaves no frozen server to the next.
struct Frozen(&'static str);

impl Frozen {
    fn now(name: &'static str) -> Frozen {
        services(&["freeze", name]);
        Frozen(name)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        services(&["thaw", self.0]);
        services(&["wait", self.0]);
    }
}

/// A server, killed; started again when this is dropped.
struct Killed(&'static str);

impl Killed {
    fn now(name: &'static str) -> Killed {
        services(&["kill", name]);
        Killed(name)
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        services(&["start", self.0]);
    }
}

/// Waits until `reached`, at most `limit`.
async fn until(limit: Duration, what: &str, mut reached: impl AsyncFnMut() -> bool) {
    let looking = async {
        let mut look = tokio::time::interval(Duration::from_millis(20));
        while !reached().await {
            look.tick().await;
        }
    };
    assert!(tokio::time::timeout(limit, looking).await.is_ok(), "not within {limit:?}: {what}");
}

/// What the program says goes to standard error, as IOC_LOG_LEVEL says ("info"); errors without it.
fn run<T>(case: impl Future<Output = T>) -> T {
    let level = std::env::var("IOC_LOG_LEVEL").unwrap_or_else(|_| "error".into());
    // only the first case of the process can
    let _ = tracing_subscriber::fmt().with_env_filter(level).with_writer(std::io::stderr).try_init();
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().expect("a runtime").block_on(case)
}
