//! InfluxDB 2 as the window store.
//!
//! Owns: addresses and limits, writing (write.rs), reading (read.rs), set-up and health through the `influxdb2` crate. Refuses to know: the
//! spool, ticks.
//!
//! Invariants
//! 1. Every request has a time limit: a frozen server that accepts connections and never answers holds nobody.
//! 2. What users or data name (buckets, tags, fields) goes into Flux as an escaped string, never as code.
//! 3. A panic of the `influxdb2` crate becomes an error: its calls run in tasks of their own. (Needs a build that unwinds.)
//!
//! Why two clients: `influxdb2` has no retry, no time limit, forgets `Retry-After` and cannot gzip raw lines, so writes are our own.
//!
//! Called by: store (as `Store::Influx`), cli (set-up, doctor).

mod backoff;
mod read;
mod write;

pub use backoff::Backoff;
pub use read::flux_string;
pub use write::WriteFigures;

use super::Health;
use crate::disk::Disk;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct InfluxConfig {
    /// "http://127.0.0.1:8086", without a path.
    pub url: String,
    pub org: String,
    pub bucket: String,
    pub token: String,
    /// Where lines go that the server will never take.
    pub dead_letters: PathBuf,
    pub gzip: bool,
    /// For connecting, and for each request as a whole.
    pub time_limit: Duration,
    /// The first pause after a failure; the greatest one.
    pub pauses: (Duration, Duration),
    /// Between tries that need a person first (wrong token, no such bucket).
    pub slow_pause: Duration,
}

impl InfluxConfig {
    pub fn new(url: &str, org: &str, bucket: &str, token: &str, dead_letters: PathBuf) -> InfluxConfig {
        InfluxConfig {
            url: url.to_owned(),
            org: org.to_owned(),
            bucket: bucket.to_owned(),
            token: token.to_owned(),
            dead_letters,
            gzip: true,
            time_limit: Duration::from_secs(10),
            pauses: (Duration::from_millis(250), Duration::from_secs(30)),
            slow_pause: Duration::from_secs(15),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum InfluxError {
    #[error("influxdb.url {url:?}: {reason}")]
    Url { url: String, reason: String },
    #[error("InfluxDB at {url}: {doing} failed: {reason}")]
    Request { url: String, doing: &'static str, reason: String },
    #[error("InfluxDB at {url} did not answer within {limit:?} ({doing}). Check that the server runs and is not overloaded")]
    TimeLimit { url: String, doing: &'static str, limit: Duration },
    #[error("{}: cannot keep a refused line: {source}. Check that the disk has room and that this user may write there", path.display())]
    DeadLetters { path: PathBuf, source: std::io::Error },
    #[error("InfluxDB at {url} knows no organization {org:?}. Create it there, or set influxdb.org")]
    NoOrganization { url: String, org: String },
}

/// What [`Influx::set_up`] found to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetUp {
    /// The server was empty: everything was made.
    First,
    /// It was set up before: the bucket is there now.
    Bucket,
}

pub struct Influx {
    config: InfluxConfig,
    disk: Disk,
    http: reqwest::Client,
    write_url: reqwest::Url,
    client: influxdb2::Client,
    figures: Arc<write::Counters>,
    /// The last failure, until a request succeeds again.
    trouble: Mutex<Option<String>>,
}

impl Influx {
    pub fn new(disk: Disk, config: InfluxConfig) -> Result<Influx, InfluxError> {
        let refuse = |reason: &str| InfluxError::Url { url: config.url.clone(), reason: reason.to_owned() };
        let url = reqwest::Url::parse(&config.url).map_err(|e| refuse(&format!("{e}. It looks like http://127.0.0.1:8086")))?;
        match url.scheme() {
            "http" => {}
            "https" if cfg!(feature = "tls") => {}
            "https" => return Err(refuse("this program was built without TLS. Build it with `cargo build --release --features tls`")),
            _ => return Err(refuse("it must begin with http:// or https://")),
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err(refuse("a path is not supported. Give scheme, host and port only"));
        }
        let mut write_url = url.clone();
        write_url.set_path("/api/v2/write");
        write_url.query_pairs_mut().append_pair("org", &config.org).append_pair("bucket", &config.bucket).append_pair("precision", "ns");
        let http = reqwest::Client::builder().connect_timeout(config.time_limit).timeout(config.time_limit).build();
        let http = http.map_err(|e| refuse(&format!("no HTTP client can be made: {e}")))?;
        let client = influxdb2::ClientBuilder::new(config.url.clone(), config.org.clone(), config.token.clone());
        let client = client.build().map_err(|e| refuse(&format!("no client can be made: {e}")))?;
        Ok(Influx { disk, http, write_url, client, figures: Arc::default(), trouble: Mutex::new(None), config })
    }

    /// For metrics.
    pub fn figures(&self) -> WriteFigures {
        self.figures.read()
    }

    pub async fn health(&self) -> Health {
        let client = self.client.clone();
        let answer = self.ask("the health check", async move { client.health().await }).await;
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (answer, trouble) {
            (Err(error), _) => Health { well: false, text: error.to_string() },
            (Ok(health), _) if health.status != influxdb2::models::Status::Pass => {
                Health { well: false, text: format!("InfluxDB at {} says: {}", self.config.url, health.message.unwrap_or_default()) }
            }
            (Ok(_), Some(trouble)) => Health { well: false, text: trouble },
            (Ok(health), None) => {
                let version = health.version.unwrap_or_default();
                Health { well: true, text: format!("InfluxDB {version} at {}, bucket {}", self.config.url, self.config.bucket) }
            }
        }
    }

    /// Nobody has set this server up yet: it has no organization, user or token.
    pub async fn is_empty(&self) -> Result<bool, InfluxError> {
        let client = self.client.clone();
        self.ask("asking whether it is set up", async move { client.is_onboarding_allowed().await }).await
    }

    /// Makes organization, bucket, user and token on a server that is empty, and says so; on any other only the bucket where it is
    /// missing. `retention` of zero keeps rows for ever.
    pub async fn set_up(&self, user: &str, password: &str, retention: Duration) -> Result<SetUp, InfluxError> {
        if self.is_empty().await? {
            // the crate's own call cannot choose the token, so the request is ours
            self.first_set_up(user, password, retention).await?;
            return Ok(SetUp::First);
        }
        self.create_bucket(retention).await?;
        Ok(SetUp::Bucket)
    }

    async fn first_set_up(&self, user: &str, password: &str, retention: Duration) -> Result<(), InfluxError> {
        let mut url = self.write_url.clone();
        url.set_path("/api/v2/setup");
        url.set_query(None);
        let body = serde_json::json!({
            "username": user, "password": password, "org": self.config.org, "bucket": self.config.bucket, "token": self.config.token,
            "retentionPeriodSeconds": retention.as_secs(),
        });
        let failed = |reason: String| self.failed("the first set-up", reason);
        let response = self.http.post(url).json(&body).send().await.map_err(|e| failed(e.to_string()))?;
        let status = response.status();
        if status.is_success() { Ok(()) } else { Err(failed(format!("{status} {}", response.text().await.unwrap_or_default()))) }
    }

    /// Makes the bucket unless it is there.
    pub async fn create_bucket(&self, retention: Duration) -> Result<(), InfluxError> {
        use influxdb2::api::buckets::ListBucketsRequest;
        use influxdb2::api::organization::ListOrganizationRequest;
        use influxdb2::models::{PostBucketRequest, RetentionRule, retention_rule};
        let (client, org) = (self.client.clone(), self.config.org.clone());
        let request = ListOrganizationRequest { org: Some(org.clone()), ..ListOrganizationRequest::default() };
        let found = self.ask("listing organizations", async move { client.list_organizations(request).await }).await?;
        let no_organization = || InfluxError::NoOrganization { url: self.config.url.clone(), org };
        let org_id = found.orgs.into_iter().find(|o| o.name == self.config.org).and_then(|o| o.id).ok_or_else(no_organization)?;
        let (client, name) = (self.client.clone(), Some(self.config.bucket.clone()));
        let request = ListBucketsRequest { name, org_id: Some(org_id.clone()), ..ListBucketsRequest::default() };
        // a name that is not there is answered with 404 by some versions, with an empty list by others
        let found = self.ask("listing buckets", async move { client.list_buckets(Some(request)).await }).await;
        if found.is_ok_and(|found| found.buckets.iter().any(|b| b.name == self.config.bucket)) {
            return Ok(());
        }
        let mut request = PostBucketRequest::new(org_id, self.config.bucket.clone());
        if !retention.is_zero() {
            let seconds = i32::try_from(retention.as_secs()).unwrap_or(i32::MAX);
            request.retention_rules.push(RetentionRule::new(retention_rule::Type::Expire, seconds));
        }
        let client = self.client.clone();
        self.ask("making the bucket", async move { client.create_bucket(Some(request)).await }).await
    }

    /// A call of the `influxdb2` crate in a task of its own with a time limit (invariants 1 and 3).
    async fn ask<T: Send + 'static>(
        &self,
        doing: &'static str,
        call: impl Future<Output = Result<T, influxdb2::RequestError>> + Send + 'static,
    ) -> Result<T, InfluxError> {
        let mut task = tokio::spawn(call);
        match tokio::time::timeout(self.config.time_limit, &mut task).await {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(error))) => Err(self.failed(doing, with_next_step(error))),
            Ok(Err(_)) => Err(self.failed(doing, "the connection was cut in the middle of the answer. Try again".into())),
            Err(_) => {
                task.abort();
                Err(InfluxError::TimeLimit { url: self.config.url.clone(), doing, limit: self.config.time_limit })
            }
        }
    }

    fn failed(&self, doing: &'static str, reason: String) -> InfluxError {
        InfluxError::Request { url: self.config.url.clone(), doing, reason }
    }
}

fn with_next_step(error: influxdb2::RequestError) -> String {
    match error {
        influxdb2::RequestError::Http { status, text } => next_step(status.as_u16(), &text),
        other => other.to_string(),
    }
}

/// What a person has to do about an answer.
fn next_step(status: u16, text: &str) -> String {
    let text = serde_json::from_str::<serde_json::Value>(text)
        .ok()
        .and_then(|body| body.get("message").and_then(|m| m.as_str()).map(str::to_owned))
        .unwrap_or_else(|| text.chars().take(300).collect());
    match status {
        401 => format!("401 {text}. The token is not accepted: set influxdb.token to one with read and write access to the bucket"),
        403 => format!("403 {text}. The token may not do this: give it read and write access to the bucket"),
        404 => format!("404 {text}. Organization or bucket is missing: check influxdb.org and influxdb.bucket, or create the bucket"),
        _ => format!("{status} {text}"),
    }
}

#[cfg(test)]
mod tests;
