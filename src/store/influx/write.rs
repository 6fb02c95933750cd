//! Writing lines to `/api/v2/write`.
//!
//! Owns: requests of up to [`BATCH_ROWS`] lines, retries, isolating bad lines, dead letters. Refuses to know: the spool; it is given lines
//! and answers when the server has them.
//!
//! Invariants
//! 1. Requests go one after another in the order of the lines, so no older revision overwrites a newer one.
//! 2. Whatever may pass by itself (429, 5xx, no connection, no answer in time) is tried again for ever, later and later; what needs a person
//!    (401, 403, 404) slowly, saying the next step. The spool is the buffer meanwhile.
//! 3. A line that the server will never take ends in the dead letters with the reason, counted; it never holds up the others. Of a request
//!    refused as a whole (400, 413) the halves are sent; of one written in part (422) too, which writes the good lines again and so changes
//!    nothing.
//!
//! Called by: store::influx.

use super::{Backoff, Influx, InfluxError, next_step};
use crate::store::{BATCH_ROWS, Stored};
use std::io::Write as _;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Counted since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WriteFigures {
    pub requests: u64,
    pub retries: u64,
    pub rows: u64,
    pub refused: u64,
    /// Rows older than the bucket keeps.
    pub too_old: u64,
    pub bytes_sent: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    requests: AtomicU64,
    retries: AtomicU64,
    rows: AtomicU64,
    refused: AtomicU64,
    too_old: AtomicU64,
    bytes_sent: AtomicU64,
}

impl Counters {
    pub fn read(&self) -> WriteFigures {
        WriteFigures {
            requests: self.requests.load(Relaxed),
            retries: self.retries.load(Relaxed),
            rows: self.rows.load(Relaxed),
            refused: self.refused.load(Relaxed),
            too_old: self.too_old.load(Relaxed),
            bytes_sent: self.bytes_sent.load(Relaxed),
        }
    }
}

/// What a server's answer means for the request.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Answer {
    Written,
    /// 422: some lines were not taken; the reason names the first.
    InPart(String),
    /// 400 or 413: nothing was written, and it is the lines' fault.
    Unwritten(String),
    /// Too old for the bucket: not written, nobody's fault.
    TooOld(u64),
    Later {
        asked: Option<Duration>,
        reason: String,
    },
    NeedsPerson(String),
}

impl Influx {
    /// Complete lines, in order. Answers when each is at the server or in the dead letters; dropped in the middle it may be called again
    /// with the same lines.
    pub async fn write(&self, lines: &[u8]) -> Result<Stored, InfluxError> {
        let lines: Vec<&[u8]> = lines.split_inclusive(|b| *b == b'\n').filter(|line| line.trim_ascii().len() > 1).collect();
        let mut stored = Stored::default();
        let mut backoff = Backoff::new(self.config.pauses.0, self.config.pauses.1);
        // pieces still to be sent, the next one last
        let mut pieces: Vec<&[&[u8]]> = lines.chunks(BATCH_ROWS).rev().collect();
        while let Some(piece) = pieces.pop() {
            let answer = self.send(piece).await;
            if !matches!(answer, Answer::Later { .. } | Answer::NeedsPerson(_)) {
                backoff.succeeded();
                self.set_trouble(None);
            }
            let rows = piece.len() as u64;
            match answer {
                Answer::Written => stored.rows += rows,
                Answer::TooOld(dropped) => {
                    self.figures.too_old.fetch_add(dropped.min(rows), Relaxed);
                    stored.rows += rows.saturating_sub(dropped);
                }
                Answer::InPart(reason) | Answer::Unwritten(reason) => match piece {
                    [line] => {
                        self.keep_dead_letter(line, &reason)?;
                        stored.refused += 1;
                    }
                    _ => {
                        let (first, second) = piece.split_at(piece.len() / 2);
                        pieces.extend([second, first]);
                    }
                },
                Answer::Later { asked, reason } => {
                    let pause = backoff.next_pause(asked);
                    tracing::warn!(%reason, ?pause, rows, "InfluxDB does not take rows now; they wait in the spool");
                    self.retry_after(pause, reason).await;
                    pieces.push(piece);
                }
                Answer::NeedsPerson(reason) => {
                    tracing::error!(%reason, rows, "InfluxDB refuses rows; they wait in the spool");
                    self.retry_after(self.config.slow_pause, reason).await;
                    pieces.push(piece);
                }
            }
        }
        self.figures.rows.fetch_add(stored.rows, Relaxed);
        Ok(stored)
    }

    async fn retry_after(&self, pause: Duration, reason: String) {
        self.set_trouble(Some(format!("InfluxDB at {}: {reason}", self.config.url)));
        self.figures.retries.fetch_add(1, Relaxed);
        tokio::time::sleep(pause).await;
    }

    fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    async fn send(&self, lines: &[&[u8]]) -> Answer {
        let later = |reason: String| Answer::Later { asked: None, reason };
        let plain = lines.concat();
        let mut request = self
            .http
            .post(self.write_url.clone())
            .header("Authorization", format!("Token {}", self.config.token))
            .header("Content-Type", "text/plain; charset=utf-8");
        let body = if self.config.gzip {
            request = request.header("Content-Encoding", "gzip");
            let mut gzip = flate2::write::GzEncoder::new(Vec::with_capacity(plain.len() / 4), flate2::Compression::fast());
            match gzip.write_all(&plain).and_then(|()| gzip.finish()) {
                Ok(body) => body,
                Err(error) => return later(format!("cannot compress: {error}")),
            }
        } else {
            plain
        };
        self.figures.requests.fetch_add(1, Relaxed);
        self.figures.bytes_sent.fetch_add(body.len() as u64, Relaxed);
        let response = match request.body(body).send().await {
            Ok(response) => response,
            Err(error) => return later(without_url(error)),
        };
        let status = response.status().as_u16();
        let asked =
            response.headers().get("Retry-After").and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok()).map(Duration::from_secs);
        match response.text().await {
            Ok(text) => judge(status, asked, &text),
            // 2xx has no body worth waiting for
            Err(_) if (200..300).contains(&status) => Answer::Written,
            Err(error) => later(without_url(error)),
        }
    }

    /// Appends the reason as a comment and the line below it, durably: the file can be mended and written again as it is.
    fn keep_dead_letter(&self, line: &[u8], reason: &str) -> Result<(), InfluxError> {
        self.figures.refused.fetch_add(1, Relaxed);
        let line_text = String::from_utf8_lossy(line);
        tracing::warn!(%reason, line = %line_text.trim_end(), file = %self.config.dead_letters.display(), "InfluxDB refused a line; it is kept");
        let mut bytes = format!("# {}\n", reason.replace('\n', " ")).into_bytes();
        bytes.extend_from_slice(line);
        let path = &self.config.dead_letters;
        let dir = path.parent().unwrap_or(std::path::Path::new("."));
        let kept = self.disk.create_dir_all(dir).and_then(|()| {
            let mut file = self.disk.open_append(path)?;
            file.write_all(&bytes)?;
            file.sync()?;
            self.disk.sync_dir(dir)
        });
        kept.map_err(|source| InfluxError::DeadLetters { path: path.clone(), source })
    }
}

/// The chain of reasons of a failed request; the address is known already and may hold secrets.
fn without_url(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn judge(status: u16, asked: Option<Duration>, text: &str) -> Answer {
    let reason = next_step(status, text);
    // a 400 from something between us and the server says nothing about the lines
    let from_influxdb = serde_json::from_str::<serde_json::Value>(text).is_ok_and(|body| body.get("code").is_some());
    match status {
        200..300 => Answer::Written,
        400 | 422 if reason.contains("retention policy") => Answer::TooOld(dropped(&reason).unwrap_or(u64::MAX)),
        422 => Answer::InPart(reason),
        400 if from_influxdb => Answer::Unwritten(reason),
        413 => Answer::Unwritten(reason),
        401 | 403 | 404 => Answer::NeedsPerson(reason),
        429 | 500.. => Answer::Later { asked, reason },
        _ => Answer::NeedsPerson(format!("{reason}. This is not an answer of InfluxDB: check what lies between")),
    }
}

/// N of "… dropped=N".
fn dropped(message: &str) -> Option<u64> {
    let (_, after) = message.rsplit_once("dropped=")?;
    after.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_as_real_servers_give_them() {
        let json = |code: &str, message: &str| format!("{{\"code\":\"{code}\",\"message\":\"{message}\"}}");
        let later = |status, asked| judge(status, asked, &json("unavailable", "busy"));
        assert_eq!(judge(204, None, ""), Answer::Written);
        assert!(
            matches!(judge(400, None, &json("invalid", "unable to parse 'x': missing fields")), Answer::Unwritten(r) if r.contains("missing fields"))
        );
        assert!(matches!(judge(400, None, "<html>bad request</html>"), Answer::NeedsPerson(_)));
        assert!(matches!(judge(413, None, ""), Answer::Unwritten(_)));
        assert!(matches!(
            judge(422, None, &json("unprocessable entity", "partial write: field type conflict dropped=1")),
            Answer::InPart(_)
        ));
        assert_eq!(
            judge(422, None, &json("unprocessable entity", "partial write: points beyond retention policy dropped=3")),
            Answer::TooOld(3)
        );
        for status in [429, 500, 502, 503, 504] {
            let asked = Some(Duration::from_secs(9));
            assert!(matches!(later(status, asked), Answer::Later { asked: Some(a), .. } if a.as_secs() == 9), "{status}");
        }
        for (status, step) in [(401, "influxdb.token"), (403, "access"), (404, "influxdb.bucket")] {
            assert!(matches!(judge(status, None, &json("x", "y")), Answer::NeedsPerson(r) if r.contains(step)), "{status}");
        }
    }
}
