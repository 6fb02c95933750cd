//! Leaving a consumer group within a time, whatever the brokers do.
//!
//! Owns: the end of a consumer. Refuses to know: what it read.
//!
//! Invariants
//! 1. Whoever drops it is held up for [`PATIENCE`] at most. `BaseConsumer` itself polls on until its group is left, which never comes about
//!    where the broker dies in the middle of it.
//! 2. It is dropped after everything else that holds the consumer: the last field of its owner.
//!
//! Called by: kafka (the reader), past.

use super::context::Callbacks;
use rdkafka::consumer::BaseConsumer;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

/// A broker that is well takes less than a second; one that is gone is noticed by the group's session timeout.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Parting(Option<Arc<BaseConsumer<Callbacks>>>);

impl Parting {
    pub fn of(consumer: &Arc<BaseConsumer<Callbacks>>) -> Parting {
        Parting(Some(consumer.clone()))
    }
}

impl Drop for Parting {
    fn drop(&mut self) {
        let consumer = self.0.take();
        let (done, left) = channel();
        let leave = move || {
            drop(consumer);
            // who waited may have given up
            let _ = done.send(());
        };
        // without a thread the consumer is dropped here, by the failed call
        let started = std::thread::Builder::new().name("kafka-leave".into()).spawn(leave);
        if started.is_ok() && left.recv_timeout(PATIENCE).is_err() {
            tracing::warn!("Kafka: the group was not left within {} s; its brokers will notice by themselves", PATIENCE.as_secs());
        }
    }
}
