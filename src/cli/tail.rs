//! `ioc tail`: live alerts in a terminal.
//!
//! Owns: a client of the live protocol (docs/protocol.md), what of it is shown and how. Refuses to know: how alerts come to be.
//!
//! Invariants
//! 1. Each version of an alert is shown once, whatever was told again after a cut.
//! 2. After a cut it resumes; where the server cannot, the snapshot says what stands, and only what is new is shown.
//! 3. A token is sent as a header, never in the address.
//!
//! Called by: cli, tests.

use super::CliError;
use super::run::{own_url, runtime};
use crate::server::wire::{
    Acknowledgement, AlertView, ByeReason, Catalog, ClientMessage, Condition, Handling, PROTOCOL, Resume, ServerMessage, Severity,
};
use crate::settings::Settings;
use crate::time::Timestamp;
use clap::{Args, ValueEnum};
use futures_util::{SinkExt, StreamExt};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal, Write};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, ValueEnum)]
pub enum SeverityArg {
    Critical,
    Major,
    Minor,
    Notice,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Language {
    Vi,
    En,
}

#[derive(Clone, Args)]
pub struct TailArgs {
    /// The server, "http://ioc.example.vn:8080", or https behind a proxy; else the address of the settings.
    #[arg(long)]
    pub server: Option<String>,
    /// Where the server asks for one.
    #[arg(long, env = "IOC_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// This severity and worse.
    #[arg(long, value_enum, default_value = "notice")]
    pub severity: SeverityArg,
    /// Code of a sector; may be repeated.
    #[arg(long)]
    pub sector: Vec<String>,
    /// Code of the alert's area, or of a group of areas such as a former district; may be repeated.
    #[arg(long)]
    pub area: Vec<String>,
    /// Pending alerts too, which may end without ever firing.
    #[arg(long)]
    pub pending: bool,
    #[arg(long, value_enum, default_value = "vi")]
    pub language: Language,
    /// One JSON object a line instead, as the server sends it.
    #[arg(long)]
    pub json: bool,
}

/// A line is dead when it says nothing for so long (heartbeats come each second).
const SILENCE: Duration = Duration::from_secs(5);
/// Between two attempts to connect: the first, doubled up to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub fn tail(settings: &Settings, args: TailArgs) -> Result<i32, CliError> {
    let address = args.server.clone().unwrap_or_else(|| own_url(settings));
    let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut client = Tail::new(&address, args, colours)?;
    runtime()?.block_on(async {
        tokio::select! {
            ended = client.run(|line| writeln!(std::io::stdout(), "{line}").is_ok()) => ended.map(|()| 0),
            _ = tokio::signal::ctrl_c() => Ok(0),
        }
    })
}

/// The client's memory: where it was cut, and what it has shown.
pub struct Tail {
    /// "http://host:port"
    server: String,
    /// Of the websocket.
    url: String,
    /// The areas that are shown: those asked for and the members of groups asked for; empty: all, or not known yet.
    areas: BTreeSet<String>,
    args: TailArgs,
    colours: bool,
    resume: Option<Resume>,
    epoch: String,
    /// Newest version known of each alert.
    known: BTreeMap<String, u32>,
}

/// Why a connection ended.
enum Cut {
    /// Connect again, at once or after a while.
    Again { at_once: bool, why: String },
    /// The reader of the lines is gone.
    Done,
}

impl Tail {
    /// `address`: "http://host:port", or https where this program was built with TLS.
    pub fn new(address: &str, args: TailArgs, colours: bool) -> Result<Tail, CliError> {
        let server = address.trim_end_matches('/').to_owned();
        let url = match server.split_once("://") {
            Some(("http", rest)) => format!("ws://{rest}/api/v1/live"),
            Some(("https", rest)) if cfg!(feature = "tls") => format!("wss://{rest}/api/v1/live"),
            Some(("https", _)) => {
                let what =
                    "this program was built without TLS: build it with `cargo build --release --features tls`, or name the plain port";
                return Err(CliError::Usage(format!("--server {address}: {what}")));
            }
            _ => return Err(CliError::Usage(format!("--server {address}: write http://host:port or https://host"))),
        };
        Ok(Tail { server, url, areas: BTreeSet::new(), args, colours, resume: None, epoch: String::new(), known: BTreeMap::new() })
    }

    /// Hands each line to `show` until that says no, or the server refuses.
    pub async fn run(&mut self, mut show: impl FnMut(String) -> bool) -> Result<(), CliError> {
        let mut pause = PAUSES.0;
        loop {
            let connected = match self.know_areas().await {
                Ok(()) => self.connect().await,
                Err(why) => Err(Error::Io(std::io::Error::other(why))),
            };
            let why = match connected {
                Ok(socket) => match self.listen(socket, &mut show).await? {
                    Cut::Done => return Ok(()),
                    Cut::Again { at_once: true, .. } => {
                        pause = PAUSES.0;
                        continue;
                    }
                    Cut::Again { why, .. } => {
                        pause = PAUSES.0;
                        why
                    }
                },
                Err(Error::Http(answer)) => return Err(CliError::Usage(refused(&self.url, answer.status().as_u16()))),
                Err(error) => error.to_string(),
            };
            eprintln!("ioc: {}: {why}; trying again in {} ms", self.url, pause.as_millis());
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// What the areas asked for stand for: a group is its members, as the server's catalog says.
    async fn know_areas(&mut self) -> Result<(), String> {
        if self.args.area.is_empty() || !self.areas.is_empty() {
            return Ok(());
        }
        let mut request = reqwest::Client::new().get(format!("{}/api/v1/catalog", self.server)).timeout(SILENCE);
        if let Some(token) = &self.args.token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.map_err(|e| e.to_string())?;
        if answer.status().is_client_error() {
            // the websocket is refused in the same way, and says what to do
            return Ok(());
        }
        let catalog: Catalog = answer.json().await.map_err(|e| format!("its catalog cannot be read: {e}"))?;
        let members = catalog.groups.into_iter().filter(|group| self.args.area.contains(&group.code)).flat_map(|group| group.members);
        self.areas = self.args.area.iter().cloned().chain(members).collect();
        Ok(())
    }

    async fn connect(&self) -> Result<Socket, Error> {
        let mut request = self.url.as_str().into_client_request()?;
        if let Some(token) = &self.args.token {
            let bearer = format!("Bearer {token}")
                .parse()
                .map_err(|_| Error::Url(tokio_tungstenite::tungstenite::error::UrlError::EmptyHostName))?;
            request.headers_mut().insert("authorization", bearer);
        }
        let (mut socket, _) = connect_async(request).await?;
        let hello = ClientMessage::Hello { protocol: PROTOCOL, resume: self.resume.clone() };
        socket.send(Message::text(serde_json::to_string(&hello).unwrap_or_default())).await?;
        Ok(socket)
    }

    async fn listen(&mut self, mut socket: Socket, show: &mut impl FnMut(String) -> bool) -> Result<Cut, CliError> {
        loop {
            let again = |why: &str| Ok(Cut::Again { at_once: false, why: why.to_owned() });
            let text = match tokio::time::timeout(SILENCE, socket.next()).await {
                Err(_) => return again("the line is dead: no frame for 5 s"),
                Ok(None) => return again("the server closed the line"),
                Ok(Some(Err(error))) => return again(&error.to_string()),
                Ok(Some(Ok(Message::Text(text)))) => text,
                Ok(Some(Ok(Message::Close(_)))) => return again("the server closed the line"),
                Ok(Some(Ok(_))) => continue,
            };
            let message: ServerMessage = serde_json::from_str(&text).map_err(|e| {
                CliError::Usage(format!(
                    "{}: a frame that this ioc does not understand ({e}); use the ioc of the server's version",
                    self.url
                ))
            })?;
            let (seq, alerts) = match message {
                ServerMessage::Hello { epoch, resumed, .. } => {
                    self.epoch = epoch;
                    if !resumed {
                        self.resume = None;
                    }
                    continue;
                }
                // of a replay only
                ServerMessage::Replay(_) => continue,
                ServerMessage::Snapshot(snapshot) => (snapshot.seq, snapshot.alerts),
                ServerMessage::Update(update) => (update.seq, update.alerts),
                ServerMessage::Bye { reason: ByeReason::Slow, .. } => return Ok(Cut::Again { at_once: true, why: String::new() }),
                ServerMessage::Bye { reason: ByeReason::Shutdown, .. } => return again("the server stops"),
                ServerMessage::Bye { reason, detail } => return Err(CliError::Usage(format!("{}: {reason:?}: {detail}", self.url))),
            };
            self.resume = Some(Resume { epoch: self.epoch.clone(), seq });
            for alert in alerts {
                if self.is_new(&alert) && self.is_wanted(&alert) && !show(self.line(&alert)) {
                    return Ok(Cut::Done);
                }
            }
        }
    }

    fn is_new(&mut self, alert: &AlertView) -> bool {
        let known = self.known.insert(alert.id.clone(), alert.version);
        let newer = known.is_none_or(|version| version < alert.version);
        if alert.condition == Condition::Inactive {
            self.known.remove(&alert.id);
        }
        newer
    }

    fn is_wanted(&self, alert: &AlertView) -> bool {
        let args = &self.args;
        let of = |list: &[String], code: Option<&str>| list.is_empty() || code.is_some_and(|code| list.iter().any(|l| l == code));
        let early = matches!(alert.condition, Condition::Pending | Condition::Inactive);
        severity(alert.severity) <= args.severity
            && of(&args.sector, Some(&alert.sector))
            && (self.areas.is_empty() || alert.area.as_ref().is_some_and(|area| self.areas.contains(&area.code)))
            && (args.pending || !early)
    }

    fn line(&self, alert: &AlertView) -> String {
        if self.args.json {
            return serde_json::to_string(alert).unwrap_or_default();
        }
        let vi = self.args.language == Language::Vi;
        let title = if vi { &alert.title.vi } else { &alert.title.en };
        let what = self.paint(alert, &format!("{:<12}  {:<12}", severity_name(alert.severity, vi), state(alert, vi)));
        let at = alert.acted.map_or(alert.changed, |acted| acted.max(alert.changed));
        let area = alert.area.as_ref().map_or_else(String::new, |a| format!(" {} {}", a.code, a.name));
        format!("{}  {what}  {title}  [{} {}{area}]", local(at), alert.sector, alert.rule)
    }

    fn paint(&self, alert: &AlertView, text: &str) -> String {
        let colour = match (alert.condition, alert.severity) {
            _ if !self.colours => return text.to_owned(),
            (Condition::Resolved | Condition::Inactive, _) => "32",
            (Condition::Pending, _) => "36",
            (Condition::NoData, _) => "90",
            (Condition::Firing, Severity::Critical) => "1;31",
            (Condition::Firing, Severity::Major) => "31",
            (Condition::Firing, Severity::Minor) => "33",
            (Condition::Firing, Severity::Notice) => "34",
        };
        format!("\x1b[{colour}m{text}\x1b[0m")
    }
}

fn refused(url: &str, status: u16) -> String {
    let next = match status {
        401 => "give a token with --token or IOC_TOKEN (`ioc token create` makes one)",
        403 => "this token may not read; ask for one with the role viewer or higher",
        429 => "too many failed sign-ins; wait a minute",
        _ => "is this the address of an ioc?",
    };
    format!("{url} answers {status}: {next}")
}

fn severity(of: Severity) -> SeverityArg {
    match of {
        Severity::Critical => SeverityArg::Critical,
        Severity::Major => SeverityArg::Major,
        Severity::Minor => SeverityArg::Minor,
        Severity::Notice => SeverityArg::Notice,
    }
}

/// The words of the page.
pub(super) fn severity_name(severity: Severity, vi: bool) -> &'static str {
    match (severity, vi) {
        (Severity::Critical, true) => "Khẩn cấp",
        (Severity::Major, true) => "Nghiêm trọng",
        (Severity::Minor, true) => "Cần chú ý",
        (Severity::Notice, true) => "Thông báo",
        (Severity::Critical, false) => "critical",
        (Severity::Major, false) => "major",
        (Severity::Minor, false) => "minor",
        (Severity::Notice, false) => "notice",
    }
}

/// What happened last: an act, else the condition.
pub(super) fn state(alert: &AlertView, vi: bool) -> String {
    if alert.acted.is_some_and(|at| at > alert.changed)
        && let Some(done) = handled(alert, vi)
    {
        return done;
    }
    let (in_vietnamese, in_english) = match alert.condition {
        Condition::Inactive => ("hết trước khi đủ thời gian", "ended"),
        Condition::Pending => ("đang theo dõi", "pending"),
        Condition::Firing => ("đang diễn ra", "firing"),
        Condition::NoData => ("mất dữ liệu", "no data"),
        Condition::Resolved => ("đã hết", "resolved"),
    };
    if vi { in_vietnamese } else { in_english }.to_owned()
}

/// Who has it; `None`: nobody.
fn handled(alert: &AlertView, vi: bool) -> Option<String> {
    let by = |done: &Acknowledgement| if vi { format!("{} đã xác nhận", done.by) } else { format!("acknowledged by {}", done.by) };
    Some(match (alert.handling, &alert.assigned, &alert.closed) {
        (Handling::New, ..) => return None,
        (Handling::Closed, _, Some(done)) if vi => format!("{} đã đóng", done.by),
        (Handling::Closed, _, Some(done)) => format!("closed by {}", done.by),
        (Handling::Assigned, Some(done), _) if vi => format!("giao cho {}", done.to),
        (Handling::Assigned, Some(done), _) => format!("assigned to {}", done.to),
        _ => by(alert.acknowledged.as_ref()?),
    })
}

/// "2026-06-01 07:25:30" in Vietnam, which has one zone and no summer time.
pub(super) fn local(ms: i64) -> String {
    let text = Timestamp::from_millis(ms + 7 * 3_600_000).to_string();
    text.get(..19).unwrap_or(&text).replace('T', " ")
}
