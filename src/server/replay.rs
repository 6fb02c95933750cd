//! An analyst's websocket: the past as the live one shows the present, and commands about which moment.
//!
//! Owns: the life of this socket. Refuses to know: how the past comes about ([`crate::server::Replays`]), what frames say.
//!
//! Invariants
//! 1. Who may open it, the hello, the goodbye and all limits are those of the live socket ([`super::ws`]).
//! 2. It takes commands about what is shown and nothing else: there is no message by which a replay could act.
//! 3. Whoever reads slowly holds up only this replay; after [`SENDING`] without progress the socket ends.
//!
//! Called by: the router.

use super::api::App;
use super::api::caller::Caller;
use super::api::problem::Refusal;
use super::hub::encode;
use super::parts::{ReplayLine, ReplayRefused};
use super::wire::{ByeReason, PROTOCOL, Problem, ReplayCommand, ServerMessage};
use super::ws::{End, LEAVING, Line, SENDING, Upgrade, Watch, admitted};
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes};
use axum::response::Response;
use futures_util::{SinkExt, StreamExt};
use std::sync::Arc;
use std::sync::mpsc::TrySendError;
use tokio::time::timeout;

#[utoipa::path(
    get, path = "/api/v1/replay", tag = "live",
    responses(
        (status = 101, description = "The past over a websocket: docs/protocol.md"),
        (status = 400, description = "No upgrade to a websocket", body = Problem)
    )
)]
pub async fn replay(State(app): State<Arc<App>>, caller: Caller, upgrade: Upgrade) -> Result<Response, Refusal> {
    let caller = caller.reader()?;
    let (upgrade, place) = admitted(&app, upgrade)?;
    let line = app.parts.replays.open(caller.scope.clone()).map_err(|refused| match refused {
        ReplayRefused::Full(_) => Refusal::Busy { seconds: 60, detail: refused.to_string() },
        ReplayRefused::Failed(detail) => Refusal::Unavailable(detail),
    })?;
    Ok(upgrade.on_upgrade(move |socket| async move {
        let (sink, stream) = socket.split();
        Desk { line: Line { sink, stream }, replay: line }.run(&app, &caller).await;
        drop(place);
    }))
}

struct Desk {
    line: Line,
    replay: ReplayLine,
}

impl Desk {
    async fn run(mut self, app: &App, caller: &Caller) {
        if let Err(End::Bye(reason, detail)) = self.speak(app, caller).await {
            // it computes no further for who is leaving
            drop(self.replay);
            let _ = timeout(LEAVING, self.line.leave(reason, detail)).await;
        }
    }

    async fn speak(&mut self, app: &App, caller: &Caller) -> Result<(), End> {
        // a replay is never taken up again: its client opens it anew where it was
        let _ = self.line.hello(app).await?;
        let server = app.parts.settings.server.clone();
        let epoch = "replay".to_owned();
        let hello = ServerMessage::Hello { protocol: PROTOCOL, server, epoch, resumed: false, me: caller.guest.me.clone() };
        if let Some(hello) = encode(&hello) {
            self.send(Message::Text(hello)).await?;
        }
        self.follow(app, caller).await
    }

    async fn follow(&mut self, app: &App, caller: &Caller) -> Result<(), End> {
        let mut watch = Watch::new(app);
        loop {
            tokio::select! {
                () = app.stopping.cancelled() => {
                    return Err(End::Bye(ByeReason::Shutdown, "the server stops; connect again in a moment".to_owned()));
                }
                frame = self.replay.frames.recv() => match frame {
                    Some(frame) => self.send(Message::Text(frame)).await?,
                    None => return Err(End::Bye(ByeReason::Shutdown, "the replay has ended; open it again".to_owned())),
                },
                message = self.line.stream.next() => {
                    watch.heard();
                    match message {
                        Some(Ok(Message::Text(text))) => self.command(&text)?,
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                        Some(Ok(Message::Close(_))) | None => return Ok(()),
                        Some(Ok(Message::Binary(_))) => return Err(protocol("text frames are expected".to_owned())),
                        Some(Err(error)) => return Err(protocol(error.to_string())),
                    }
                }
                () = watch.tick() => {
                    watch.holds(app, caller)?;
                    self.send(Message::Ping(bytes::Bytes::new())).await?;
                }
            }
        }
    }

    fn command(&self, text: &Utf8Bytes) -> Result<(), End> {
        let command: ReplayCommand =
            serde_json::from_str(text).map_err(|e| protocol(format!("a command of a replay is expected (docs/protocol.md): {e}")))?;
        match self.replay.commands.try_send(command) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => Err(protocol("commands come faster than they can be obeyed".to_owned())),
            // its last frames say why
            Err(TrySendError::Disconnected(_)) => Ok(()),
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        match timeout(SENDING, self.line.sink.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::Bye(ByeReason::Slow, format!("a frame was not taken within {} s", SENDING.as_secs()))),
        }
    }
}

fn protocol(detail: String) -> End {
    End::Bye(ByeReason::Protocol, detail)
}
