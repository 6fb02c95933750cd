//! One client's bounded queue of frames.
//!
//! Owns: the bound (frames and bytes) and what happens at it. Refuses to know: what frames say, scopes, sockets.
//!
//! Invariants
//! 1. Handing over a frame never waits: it goes into the queue, or the seat is given up.
//! 2. A seat that was given up gets no further frame; its client learns the reason.
//! 3. A frame is shared by all seats of a scope, never copied.
//!
//! Called by: fanout (the giving end), ws (the taking end).

use crate::server::wire::ByeReason;
use axum::extract::ws::Utf8Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{mpsc, oneshot};

#[derive(Clone, Copy, Debug)]
pub struct SeatLimits {
    pub frames: usize,
    pub bytes: usize,
}

impl Default for SeatLimits {
    fn default() -> Self {
        SeatLimits { frames: 256, bytes: 4 << 20 }
    }
}

/// The hub's end.
#[derive(Debug)]
pub struct Seat {
    frames: mpsc::Sender<Utf8Bytes>,
    bytes: Arc<AtomicUsize>,
    most_bytes: usize,
    /// Taken when the reason is told.
    bye: Option<oneshot::Sender<ByeReason>>,
}

/// The client's end.
#[derive(Debug)]
pub struct Frames {
    frames: mpsc::Receiver<Utf8Bytes>,
    bytes: Arc<AtomicUsize>,
    bye: oneshot::Receiver<ByeReason>,
    /// The reason, once told.
    over: Option<ByeReason>,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    Queued,
    /// The queue was full; the client has been told `slow`.
    Slow,
    /// The client is gone.
    Gone,
}

pub fn seat(limits: SeatLimits) -> (Seat, Frames) {
    let (frames_in, frames_out) = mpsc::channel(limits.frames.max(1));
    let (bye_in, bye_out) = oneshot::channel();
    let bytes = Arc::new(AtomicUsize::new(0));
    (
        Seat { frames: frames_in, bytes: bytes.clone(), most_bytes: limits.bytes, bye: Some(bye_in) },
        Frames { frames: frames_out, bytes, bye: bye_out, over: None },
    )
}

impl Seat {
    /// A frame larger than the bound still goes into an empty queue.
    pub fn give(&mut self, frame: &Utf8Bytes) -> Given {
        let size = frame.as_str().len();
        let queued = self.bytes.load(Ordering::Acquire);
        if queued > 0 && queued + size > self.most_bytes {
            self.dismiss(ByeReason::Slow);
            return Given::Slow;
        }
        self.bytes.fetch_add(size, Ordering::AcqRel);
        match self.frames.try_send(frame.clone()) {
            Ok(()) => Given::Queued,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.dismiss(ByeReason::Slow);
                Given::Slow
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Given::Gone,
        }
    }

    pub fn dismiss(&mut self, reason: ByeReason) {
        if let Some(bye) = self.bye.take() {
            let _ = bye.send(reason);
        }
    }
}

impl Frames {
    /// The next frame, or why there will be none. A dismissal overtakes queued frames.
    pub async fn next(&mut self) -> Result<Utf8Bytes, ByeReason> {
        if let Some(reason) = self.over {
            return Err(reason);
        }
        tokio::select! {
            biased;
            reason = &mut self.bye => Err(*self.over.insert(reason.unwrap_or(ByeReason::Shutdown))),
            frame = self.frames.recv() => match frame {
                Some(frame) => {
                    self.bytes.fetch_sub(frame.as_str().len(), Ordering::AcqRel);
                    Ok(frame)
                }
                None => Err(*self.over.insert(ByeReason::Shutdown)),
            },
        }
    }

    /// Resolves when the hub gives this client up, whatever is still queued.
    pub async fn dismissed(&mut self) -> ByeReason {
        match self.over {
            Some(reason) => reason,
            None => *self.over.insert((&mut self.bye).await.unwrap_or(ByeReason::Shutdown)),
        }
    }

    #[cfg(test)]
    pub fn try_next(&mut self) -> Option<Utf8Bytes> {
        let frame = self.frames.try_recv().ok()?;
        self.bytes.fetch_sub(frame.as_str().len(), Ordering::AcqRel);
        Some(frame)
    }

    #[cfg(test)]
    pub fn try_dismissed(&mut self) -> Option<ByeReason> {
        self.bye.try_recv().ok()
    }
}
