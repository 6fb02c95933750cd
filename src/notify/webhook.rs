//! One receiver over HTTP: each alert change is a POST, signed.
//!
//! Owns: the request, its signature, when a change is given up. Refuses to know: the order of changes, cursors, how often is tried.
//!
//! Invariants
//! 1. Taken is what was answered with 2xx; everything else is tried again.
//! 2. The signature covers time and body: HMAC-SHA256 over `<time>.<body>` with the secret, in `Ioc-Signature: t=<seconds>,v1=<hex>`.
//! 3. A change that is older than `give_up` and is refused once more is written to `dead-letters/webhook.ndjson` and counted; then
//!    the next one has its turn.
//!
//! Called by: notify::channel.

use super::event;
use crate::journal::Told;
use crate::time::{Span, Timestamp};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// An answer must have come after so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read, for the message.
const SAID: usize = 200;

/// The wall clock, handed in.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

pub struct Webhook {
    client: reqwest::Client,
    url: reqwest::Url,
    secret: Vec<u8>,
    give_up: Span,
    dead_letters: PathBuf,
    clock: Clock,
}

#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    #[error("webhook.url {url:?}: {what}")]
    Settings { url: String, what: String },
    #[error("{url} did not take an alert change: {reason}")]
    NotTaken { url: String, reason: String },
    #[error("{path}: cannot keep what was given up: {source}. Check that the disk has room")]
    DeadLetter { path: PathBuf, source: std::io::Error },
}

impl Webhook {
    /// `secret`: at least 16 bytes; who has it can tell that a request is ours.
    pub fn new(url: &str, secret: &str, give_up: Span, dead_letters: PathBuf, clock: Clock) -> Result<Webhook, WebhookError> {
        let wrong = |what: &str| WebhookError::Settings { url: url.to_owned(), what: what.to_owned() };
        let parsed = reqwest::Url::parse(url).map_err(|error| wrong(&format!("{error}; write http://host/path")))?;
        match parsed.scheme() {
            "http" => {}
            "https" if cfg!(feature = "tls") => {}
            "https" => return Err(wrong("https needs a build with `--features tls`")),
            _ => return Err(wrong("write http://host/path or https://host/path")),
        }
        if secret.len() < 16 {
            return Err(wrong("webhook.secret needs at least 16 characters; make one with `openssl rand -hex 32`"));
        }
        let client = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build();
        let client = client.map_err(|error| wrong(&error.to_string()))?;
        Ok(Webhook { client, url: parsed, secret: secret.as_bytes().to_vec(), give_up, dead_letters, clock })
    }

    /// True: it was taken; false: it was given up.
    pub async fn post(&self, told: &Told) -> Result<bool, WebhookError> {
        let body = event::structured(told);
        let now = (self.clock)();
        let signature = signature(&self.secret, now.millis().div_euclid(1000), &body);
        let request = self.client.post(self.url.clone()).header("content-type", event::CONTENT_TYPE).header("ioc-signature", signature);
        let reason = match request.body(body.clone()).send().await {
            Ok(answer) if answer.status().is_success() => return Ok(true),
            Ok(answer) => {
                let status = answer.status();
                let said = answer.text().await.unwrap_or_default();
                format!("{status} {}", said.chars().take(SAID).collect::<String>())
            }
            // without the address: it may hold a secret of the receiver's
            Err(error) => error.without_url().to_string(),
        };
        let host = self.url.host_str().unwrap_or_default().to_owned();
        if now - Timestamp(told.time) < self.give_up {
            return Err(WebhookError::NotTaken { url: host, reason });
        }
        tracing::error!(receiver = host, id = event::id(told), reason, "an alert change was given up; it lies among the dead letters");
        self.bury(&body)?;
        Ok(false)
    }

    fn bury(&self, body: &str) -> Result<(), WebhookError> {
        let keep = || {
            if let Some(folder) = self.dead_letters.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&self.dead_letters)?;
            file.write_all(format!("{body}\n").as_bytes())?;
            file.sync_all()
        };
        keep().map_err(|source| WebhookError::DeadLetter { path: self.dead_letters.clone(), source })
    }
}

/// "t=1780000000,v1=…": what a receiver computes again from the body as it came and compares in constant time.
pub fn signature(secret: &[u8], seconds: i64, body: &str) -> String {
    // a key of any length is taken
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return String::new() };
    mac.update(format!("{seconds}.{body}").as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    format!("t={seconds},v1={hex}")
}
