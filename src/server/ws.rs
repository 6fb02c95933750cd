//! One client's websocket: hello, first picture, frames, goodbye.
//!
//! Owns: the life of a socket and its time limits. Refuses to know: what frames say, who may see what (the hub's groups are by scope).
//!
//! Invariants
//! 1. A socket opens only for a page of this server ([`super::api::caller`]) and a reader; its first frame is a hello within `hello_within`.
//! 2. The last frame is `bye` with its reason, if the client still reads.
//! 3. Nothing here waits for a client without a limit, and nobody else waits for this client.
//! 4. A pass that no longer holds closes the socket within `look_again`.
//! 5. A client sends at most [`MESSAGE_LIMIT`] bytes a message, and nothing but its hello.
//!
//! Called by: the router; server::replay (hello, goodbye, limits).

use super::api::App;
use super::api::caller::Caller;
use super::api::problem::Refusal;
use super::hub::{First, Frames, Joined, encode};
use super::wire::{ByeReason, ClientMessage, PROTOCOL, Problem, Resume, ServerMessage};
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};

/// The largest message a client may send.
pub const MESSAGE_LIMIT: usize = 4096;
/// A client says a hello and answers pings.
const READ_BUFFER: usize = 1024;
/// A frame that the client does not take within this time is the last.
pub(super) const SENDING: Duration = Duration::from_secs(30);
/// So long the goodbye may take.
pub(super) const LEAVING: Duration = Duration::from_secs(4);
/// A client that answers no ping for so long is gone.
const SILENT: Duration = Duration::from_secs(60);

pub(super) type Upgrade = Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>;

#[utoipa::path(
    get, path = "/api/v1/live", tag = "live",
    responses(
        (status = 101, description = "The live protocol over a websocket: docs/protocol.md"),
        (status = 400, description = "No upgrade to a websocket", body = Problem)
    )
)]
pub async fn live(State(app): State<Arc<App>>, caller: Caller, upgrade: Upgrade) -> Result<Response, Refusal> {
    let caller = caller.reader()?;
    let (upgrade, place) = admitted(&app, upgrade)?;
    Ok(upgrade.on_upgrade(move |socket| async move {
        let (sink, stream) = socket.split();
        Line { sink, stream }.run(&app, &caller).await;
        drop(place);
    }))
}

/// A socket with its limits, and its place among all of them.
pub(super) fn admitted(app: &App, upgrade: Upgrade) -> Result<(WebSocketUpgrade, OwnedSemaphorePermit), Refusal> {
    let upgrade = upgrade.map_err(|error| Refusal::Malformed(format!("a websocket is expected here: {error}")))?;
    let place = app.place()?;
    let upgrade = upgrade.max_message_size(MESSAGE_LIMIT).max_frame_size(MESSAGE_LIMIT);
    // the library's own 128 kB for each client are meant for clients that talk
    Ok((upgrade.read_buffer_size(READ_BUFFER).write_buffer_size(0), place))
}

/// Asks whether a socket may stay open, again and again.
pub(super) struct Watch {
    look: Interval,
    heard: Instant,
}

impl Watch {
    pub fn new(app: &App) -> Watch {
        let every = app.parts.settings.look_again;
        let mut look = interval_at(Instant::now() + every, every);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Watch { look, heard: Instant::now() }
    }

    /// The client has said something.
    pub fn heard(&mut self) {
        self.heard = Instant::now();
    }

    pub async fn tick(&mut self) {
        self.look.tick().await;
    }

    /// The pass still holds, and the client has been heard of late.
    pub fn holds(&self, app: &App, caller: &Caller) -> Result<(), End> {
        if app.parts.access.admit(&caller.pass).is_none_or(|guest| guest.me != caller.guest.me) {
            return Err(End::Bye(ByeReason::Denied, "the token is no longer valid, or its rights have changed".to_owned()));
        }
        if self.heard.elapsed() > SILENT { Err(End::Gone) } else { Ok(()) }
    }
}

/// Why the socket ends: a goodbye to be said, or nobody there to hear one.
pub(super) enum End {
    Bye(ByeReason, String),
    Gone,
}

/// Both ways of a socket.
pub(super) struct Line {
    pub sink: SplitSink<WebSocket, Message>,
    pub stream: SplitStream<WebSocket>,
}

impl Line {
    async fn run(mut self, app: &App, caller: &Caller) {
        if let Err(End::Bye(reason, detail)) = self.speak(app, caller).await {
            // The client may not read any more: then it learns nothing, which is all that is left.
            let _ = timeout(LEAVING, self.leave(reason, detail)).await;
        }
    }

    async fn speak(&mut self, app: &App, caller: &Caller) -> Result<(), End> {
        let resume = self.hello(app).await?;
        let stopping = |_| End::Bye(ByeReason::Shutdown, String::new());
        let joined = app.parts.hub.join(caller.scope.clone(), resume).await.map_err(stopping)?;
        let Joined { epoch, first, mut frames } = joined;
        let resumed = matches!(first, First::Resumed(_));
        let server = app.parts.settings.server.clone();
        let hello = ServerMessage::Hello { protocol: PROTOCOL, server, epoch, resumed, me: caller.guest.me.clone() };
        if let Some(hello) = encode(&hello) {
            self.send(&mut frames, hello).await?;
        }
        if let Some(first) = encode_first(first).await {
            self.send(&mut frames, first).await?;
        }
        self.follow(app, caller, &mut frames).await
    }

    /// The first frame, which must come in time.
    pub async fn hello(&mut self, app: &App) -> Result<Option<Resume>, End> {
        let within = app.parts.settings.hello_within;
        let late = |_| Err(End::Bye(ByeReason::Protocol, format!("no hello within {within:?}")));
        timeout(within, self.first()).await.unwrap_or_else(late)
    }

    async fn first(&mut self) -> Result<Option<Resume>, End> {
        loop {
            let text = match self.stream.next().await {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Binary(_))) => return Err(End::Bye(ByeReason::Protocol, "text frames are expected".to_owned())),
                Some(Err(error)) => return Err(End::Bye(ByeReason::Protocol, error.to_string())),
                Some(Ok(Message::Close(_))) | None => return Err(End::Gone),
            };
            return match serde_json::from_str(&text) {
                Ok(ClientMessage::Hello { protocol: PROTOCOL, resume }) => Ok(resume),
                Ok(ClientMessage::Hello { protocol, .. }) => Err(End::Bye(
                    ByeReason::Protocol,
                    format!("protocol {protocol} was asked for, {PROTOCOL} is spoken here; load the page anew"),
                )),
                Err(error) => Err(End::Bye(ByeReason::Protocol, format!("a hello is expected: {error}"))),
            };
        }
    }

    /// Frames out, pongs in, until somebody ends it.
    async fn follow(&mut self, app: &App, caller: &Caller, frames: &mut Frames) -> Result<(), End> {
        let mut watch = Watch::new(app);
        loop {
            tokio::select! {
                frame = frames.next() => match frame {
                    Ok(frame) => self.send(frames, frame).await?,
                    Err(reason) => return Err(dismissed(reason)),
                },
                message = self.stream.next() => match hear(message)? {
                    ControlFlow::Continue(()) => watch.heard(),
                    ControlFlow::Break(()) => return Ok(()),
                },
                () = watch.tick() => {
                    watch.holds(app, caller)?;
                    self.send_message(frames, Message::Ping(bytes::Bytes::new())).await?;
                }
            }
        }
    }

    async fn send(&mut self, frames: &mut Frames, frame: Utf8Bytes) -> Result<(), End> {
        self.send_message(frames, Message::Text(frame)).await
    }

    /// Waits for the client, but not longer than its bound or the limit allow.
    async fn send_message(&mut self, frames: &mut Frames, message: Message) -> Result<(), End> {
        tokio::select! {
            biased;
            reason = frames.dismissed() => Err(dismissed(reason)),
            sent = timeout(SENDING, self.sink.send(message)) => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(End::Gone),
                Err(_) => Err(End::Bye(ByeReason::Slow, format!("a frame was not taken within {} s", SENDING.as_secs()))),
            },
        }
    }

    pub async fn leave(&mut self, reason: ByeReason, detail: String) -> Result<(), axum::Error> {
        if let Some(bye) = encode(&ServerMessage::Bye { reason, detail }) {
            self.sink.send(Message::Text(bye)).await?;
        }
        let code = match reason {
            ByeReason::Shutdown => close_code::RESTART,
            ByeReason::Slow => close_code::AGAIN,
            ByeReason::Protocol | ByeReason::Denied => close_code::POLICY,
        };
        self.sink.send(Message::Close(Some(CloseFrame { code, reason: Utf8Bytes::default() }))).await?;
        // The client answers the close; what else is on its way is of no interest.
        while let Some(Ok(_)) = self.stream.next().await {}
        Ok(())
    }
}

/// After the hello a client has nothing to say.
fn hear(message: Option<Result<Message, axum::Error>>) -> Result<ControlFlow<()>, End> {
    match message {
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(ControlFlow::Continue(())),
        Some(Ok(Message::Close(_))) | None => Ok(ControlFlow::Break(())),
        Some(Ok(Message::Text(_) | Message::Binary(_))) => {
            Err(End::Bye(ByeReason::Protocol, "nothing is expected after the hello; act through the REST interface".to_owned()))
        }
        Some(Err(error)) => Err(End::Bye(ByeReason::Protocol, error.to_string())),
    }
}

fn dismissed(reason: ByeReason) -> End {
    let detail = match reason {
        ByeReason::Slow => "the queue of frames reached its bound; resume at once",
        ByeReason::Shutdown => "the server stops; connect again in a moment",
        ByeReason::Protocol | ByeReason::Denied => "",
    };
    End::Bye(reason, detail.to_owned())
}

/// A large picture takes a while to write: not on the thread that serves others.
async fn encode_first(first: First) -> Option<Utf8Bytes> {
    let message = match first {
        First::Snapshot(snapshot) => ServerMessage::Snapshot(snapshot),
        First::Resumed(update) => ServerMessage::Update(update),
    };
    tokio::task::spawn_blocking(move || encode(&message)).await.ok().flatten()
}
