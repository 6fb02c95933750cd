//! The least that reading a topic of Kafka costs: a bare consumer that counts messages, with the same client library.
//!
//! kafka_floor fill BROKERS TOPIC FILE…       each file's lines into one partition of a new topic that keeps the producer's times
//! kafka_floor read BROKERS TOPIC MESSAGES    one poll a message; CPU and wall as JSON
use anyhow::{Context, bail, ensure};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::io::BufRead;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOC: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config
}

async fn fill(brokers: &str, topic: &str, files: &[String]) -> anyhow::Result<()> {
    let admin: AdminClient<_> = config(brokers).create()?;
    let new = NewTopic::new(topic, files.len() as i32, TopicReplication::Fixed(1)).set("message.timestamp.type", "CreateTime");
    for made in admin.create_topics(&[new], &AdminOptions::new()).await? {
        made.map_err(|(name, code)| anyhow::anyhow!("{name}: {code}"))?;
    }
    let producer: BaseProducer = config(brokers).set("linger.ms", "20").set("batch.size", "1000000").create()?;
    for (partition, file) in files.iter().enumerate() {
        for line in std::io::BufReader::new(std::fs::File::open(file)?).split(b'\n') {
            let line = line?;
            let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(partition as i32).payload(&line);
            while let Err((_, back)) = producer.send(record) {
                producer.poll(Duration::from_millis(5));
                record = back;
            }
        }
    }
    producer.flush(Duration::from_secs(120))?;
    Ok(())
}

fn read(brokers: &str, topic: &str, messages: u64) -> anyhow::Result<()> {
    let consumer: BaseConsumer = config(brokers).set("group.id", "kafka-floor").set("enable.auto.commit", "false").create()?;
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10))?;
    let partitions = metadata.topics().first().context("no such topic")?.partitions().len();
    ensure!(partitions > 0, "no topic {topic}");
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition as i32, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    let (mut seen, mut bytes) = (0, 0);
    let began = Instant::now();
    while seen < messages {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            bytes += message?.payload().map_or(0, <[u8]>::len);
            seen += 1;
        }
    }
    let wall = began.elapsed().as_secs_f64();
    let (cpu, mb) = usage();
    println!("{{\"messages\":{seen},\"bytes\":{bytes},\"wall_s\":{wall:.3},\"cpu_s\":{cpu:.2},\"max_rss_mb\":{mb:.1}}}");
    Ok(())
}

/// CPU seconds of this process and its greatest resident size in MB.
fn usage() -> (f64, f64) {
    let mut u: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the call fills the struct it is given
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut u) };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    (seconds(u.ru_utime) + seconds(u.ru_stime), u.ru_maxrss as f64 / 1024.0)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["fill", brokers, topic, _, ..] => fill(brokers, topic, &args[3..]).await,
        ["read", brokers, topic, messages] => read(brokers, topic, messages.parse()?),
        _ => bail!("usage: kafka_floor fill BROKERS TOPIC FILE… | read BROKERS TOPIC MESSAGES"),
    }
}
