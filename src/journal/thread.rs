//! The journal's own thread, so that tick k + 1 is computed while tick k commits (D7).
//!
//! Owns: the [`Journal`] while it runs, a bounded queue before it. Refuses to know: what is released once a record is durable.
//!
//! Invariants
//! 1. Batches become durable in the order in which they were submitted; each is answered after its commit.
//! 2. After a failed append every later one fails: there is never a hole.
//!
//! Called by: driver.

use super::{Journal, JournalEntry, JournalError, JournalReader};
use crate::disk::database::InFile;
use std::path::PathBuf;
use tokio::sync::{mpsc, oneshot};

/// Batches that wait for their commit; the next one waits at the driver.
const QUEUE: usize = 8;

type Answer = oneshot::Sender<Result<(), JournalError>>;

pub struct JournalThread {
    queue: Option<mpsc::Sender<(Vec<JournalEntry>, Answer)>>,
    thread: Option<std::thread::JoinHandle<Journal>>,
    path: PathBuf,
}

impl JournalThread {
    pub fn start(journal: Journal) -> Result<JournalThread, JournalError> {
        let path = journal.path.clone();
        let (queue, batches) = mpsc::channel(QUEUE);
        let thread =
            std::thread::Builder::new().name("journal".into()).spawn(move || run(journal, batches)).in_file(&path, "start the thread")?;
        Ok(JournalThread { queue: Some(queue), thread: Some(thread), path })
    }

    /// Queues a batch, waiting while the queue is full. The answer comes once it is durable: nothing of it may leave before (D2).
    pub async fn submit(&self, entries: Vec<JournalEntry>) -> Result<oneshot::Receiver<Result<(), JournalError>>, JournalError> {
        let (answer, answered) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or(JournalError::Closed)?;
        queue.send((entries, answer)).await.map_err(|_| JournalError::Closed)?;
        Ok(answered)
    }

    /// [`JournalThread::submit`] for threads that may block.
    pub fn submit_blocking(&self, entries: Vec<JournalEntry>) -> Result<oneshot::Receiver<Result<(), JournalError>>, JournalError> {
        let (answer, answered) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or(JournalError::Closed)?;
        queue.blocking_send((entries, answer)).map_err(|_| JournalError::Closed)?;
        Ok(answered)
    }

    /// A reading end for any thread.
    pub fn reader(&self) -> Result<JournalReader, JournalError> {
        JournalReader::open_file(&self.path)
    }

    /// Commits what is queued and gives the journal back.
    pub fn stop(mut self) -> Result<Journal, JournalError> {
        self.queue = None;
        self.thread.take().and_then(|thread| thread.join().ok()).ok_or(JournalError::Closed)
    }
}

impl Drop for JournalThread {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(mut journal: Journal, mut batches: mpsc::Receiver<(Vec<JournalEntry>, Answer)>) -> Journal {
    let mut failed = false;
    while let Some((entries, answer)) = batches.blocking_recv() {
        let done = if failed { Err(JournalError::Closed) } else { journal.append(&entries) };
        failed |= done.is_err();
        let _ = answer.send(done);
    }
    journal
}
