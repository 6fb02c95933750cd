//! Questions and orders about topics, one at a time, each with a time limit: configuration, creation, mending.
//!
//! Owns: [`Admin`]; waiting for one answer of librdkafka's admin client on a plain thread.
//! Refuses to know: what a topic should be like; the group.
//!
//! Invariants
//! 1. A configuration is altered by saying all of it again with one value changed: Kafka's AlterConfigs forgets what is left out.
//!
//! Called by: reader (at opening), topics.

use super::context::Callbacks;
use super::error::KafkaError;
use super::settings::KafkaSettings;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ConfigResource, ConfigSource, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError as Rd, RDKafkaErrorCode as Code};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

pub(crate) const TIMESTAMP_TYPE: &str = "message.timestamp.type";
pub(crate) const RETENTION: &str = "retention.ms";

/// What is known of a topic's configuration: value, and whether it was set for this topic.
pub(crate) type Config = BTreeMap<String, (String, bool)>;

pub(crate) struct Admin {
    client: AdminClient<Callbacks>,
    brokers: String,
    limit: Duration,
}

impl Admin {
    pub fn new(settings: &KafkaSettings, limit: Duration) -> Result<Admin, KafkaError> {
        let client = settings
            .admin()
            .create_with_context(Callbacks::new("admin"))
            .map_err(|error| KafkaError::from_rd(&settings.brokers, "open a connection", error))?;
        Ok(Admin { client, brokers: settings.brokers.clone(), limit })
    }

    fn options(&self) -> AdminOptions {
        AdminOptions::new().request_timeout(Some(self.limit)).operation_timeout(Some(self.limit))
    }

    fn answer<T>(&self, what: &str, future: impl Future<Output = Result<Vec<T>, Rd>>) -> Result<T, KafkaError> {
        let unanswered = || KafkaError::Unreachable { brokers: self.brokers.clone(), detail: format!("no answer when asked to {what}") };
        let answer = wait_for(future, self.limit + Duration::from_secs(1)).ok_or_else(unanswered)?;
        answer.map_err(|error| KafkaError::from_rd(&self.brokers, what, error))?.pop().ok_or_else(unanswered)
    }

    /// Of a topic that exists.
    pub fn config(&self, topic: &str) -> Result<Config, KafkaError> {
        let what = format!("describe the configuration of topic `{topic}`");
        let found: Result<ConfigResource, Code> =
            self.answer(&what, self.client.describe_configs(&[ResourceSpecifier::Topic(topic)], &self.options()))?;
        let found = found.map_err(|code| KafkaError::from_code(&self.brokers, &what, code))?;
        if found.entries.is_empty() {
            // The client drops the broker's reason; for a topic that exists there is one.
            let detail = "it answers nothing; DescribeConfigs on the topic is needed".to_string();
            return Err(KafkaError::Refused { brokers: self.brokers.clone(), what, detail });
        }
        let own = |source: &ConfigSource| *source == ConfigSource::DynamicTopic;
        Ok(found.entries.into_iter().filter_map(|e| Some((e.name, (e.value?, own(&e.source))))).collect())
    }

    /// `replication`: -1 leaves it to the broker.
    pub fn create(&self, topic: &str, partitions: i32, replication: i32, config: &[(&str, &str)]) -> Result<(), KafkaError> {
        let mut plan = NewTopic::new(topic, partitions, TopicReplication::Fixed(replication));
        plan.config.extend_from_slice(config);
        let what = format!("create topic `{topic}`");
        let made = self.answer(&what, self.client.create_topics([&plan], &self.options()))?;
        made.map(|_| ()).map_err(|(_, code)| KafkaError::from_code(&self.brokers, &what, code))
    }

    pub fn alter(&self, topic: &str, config: &Config, key: &str, value: &str) -> Result<(), KafkaError> {
        let mut plan = AlterConfig::new(ResourceSpecifier::Topic(topic));
        for (name, (old, _)) in config.iter().filter(|(_, (_, own))| *own) {
            plan = plan.set(name, old);
        }
        plan = plan.set(key, value);
        let what = format!("set {key}={value} for topic `{topic}`");
        let done = self.answer(&what, self.client.alter_configs([&plan], &self.options()))?;
        done.map_err(|(_, code)| KafkaError::from_code(&self.brokers, &what, code))?;
        // The client drops the broker's reason here too: see what became of it.
        match self.config(topic)?.get(key) {
            Some((now, _)) if now == value => Ok(()),
            _ => {
                let detail = "it did not change; AlterConfigs on the topic is needed".to_string();
                Err(KafkaError::Refused { brokers: self.brokers.clone(), what, detail })
            }
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs one future on this thread until it is ready or `limit` has gone.
pub(crate) fn wait_for<F: Future>(future: F, limit: Duration) -> Option<F::Output> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let (mut context, began) = (Context::from_waker(&waker), Instant::now());
    loop {
        if let Poll::Ready(answer) = future.as_mut().poll(&mut context) {
            return Some(answer);
        }
        std::thread::park_timeout(limit.checked_sub(began.elapsed())?);
    }
}
