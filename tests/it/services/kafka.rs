//! `ingest::kafka` and `ingest::topics` against a real broker: one topic and one group a case.
//!
use super::{Frozen, SOON, alone, brokers, services, shared};
use ioc::ingest::kafka::{
    Appended, Bounds, Clock, DOOR_RECORDS, DoorError, KafkaDoor, KafkaError, KafkaReader, KafkaSettings, TopicSettings,
};
use ioc::ingest::topics::{self, Made, TopicPlan, Verdict};
use ioc::ingest::{Fetched, Lost, PartitionName};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const fn moves_to_the_drivers_thread<T: Send>() {}
const _: () = moves_to_the_drivers_thread::<KafkaReader>();

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// One topic and group of a case.
struct Place {
    settings: KafkaSettings,
    topic: TopicSettings,
}

impl Place {
    fn new(word: &str, partitions: i32) -> Place {
        Place::with_clock(word, partitions, Clock::Broker)
    }

    fn with_clock(word: &str, partitions: i32, clock: Clock) -> Place {
        let name = format!("{word}-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let settings =
            KafkaSettings { brokers: brokers(), group: format!("group-{name}"), client_id: "test".into(), extra: BTreeMap::new() };
        let plan = TopicPlan { name: name.clone(), clock, partitions, replication: None, retention: None };
        let made = topics::create(&settings, &[plan]).expect("the topic is created");
        assert_eq!(made, [(name.clone(), Made::Created { partitions })]);
        Place { settings, topic: TopicSettings { name, clock } }
    }

    fn partition(&self, number: i32) -> PartitionName {
        PartitionName { topic: self.topic.name.clone(), number }
    }

    fn reader(&self, start: &[(i32, u64)]) -> Result<KafkaReader, KafkaError> {
        let start = start.iter().map(|(number, offset)| (self.partition(*number), *offset)).collect();
        KafkaReader::open(&self.settings, std::slice::from_ref(&self.topic), start)
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.settings.brokers);
        config
    }

    /// `count` records `value(n)` into one partition, by a plain producer.
    fn fill(&self, partition: i32, count: usize, value: impl Fn(usize) -> Vec<u8>) {
        let producer: BaseProducer = self.config().set("linger.ms", "5").create().expect("a producer");
        for n in 0..count {
            let payload = value(n);
            let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&self.topic.name).partition(partition).payload(&payload);
            while let Err((_, back)) = producer.send(record) {
                producer.poll(Duration::from_millis(10));
                record = back;
            }
        }
        producer.flush(SOON).expect("all is written");
    }

    fn delete_below(&self, partition: i32, offset: i64) {
        let admin: AdminClient<DefaultClientContext> = self.config().create().expect("an admin client");
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic.name, partition, Offset::Offset(offset)).expect("an offset");
        wait(admin.delete_records(&list, &AdminOptions::new())).expect("records are deleted");
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

/// What a driver keeps: for each partition the offsets that it took, and their values.
#[derive(Default)]
struct Driver {
    taken: BTreeMap<PartitionName, Vec<Fetched>>,
    lost: Vec<Lost>,
}

impl Driver {
    /// One pass; of each buffer at most `most` records are taken.
    fn pass(&mut self, reader: &mut KafkaReader, most: usize) {
        reader.poll(Duration::from_millis(20));
        self.lost.extend(reader.take_lost());
        for i in 0..reader.partitions().len() {
            let name = reader.partitions()[i].clone();
            let buffer = reader.buffer(i);
            let count = buffer.len().min(most);
            self.taken.entry(name).or_default().extend(buffer.drain(..count));
        }
    }

    fn until(&mut self, reader: &mut KafkaReader, most: usize, what: &str, reached: impl Fn(&Driver, &KafkaReader) -> bool) {
        let began = Instant::now();
        while !reached(self, reader) {
            self.pass(reader, most);
            assert!(began.elapsed() < 4 * SOON, "not within {:?}: {what}; {:?}", 4 * SOON, reader.statistics());
        }
    }

    fn count(&self) -> usize {
        self.taken.values().map(Vec::len).sum()
    }

    /// Offsets of each partition run from `from` without gap or repetition.
    fn assert_whole(&self, from: u64) {
        for (name, records) in &self.taken {
            for (n, record) in records.iter().enumerate() {
                assert_eq!(record.offset, from + n as u64, "{name}: record {n}");
            }
        }
    }
}

fn all_reached(reader: &KafkaReader) -> bool {
    (0..reader.partitions().len()).all(|i| {
        let status = reader.status(i);
        let fresh = status.confirmed.is_some_and(|at| at.elapsed() < Duration::from_secs(2));
        status.assigned && fresh && reader.wanted(i) == status.end
    })
}

#[test]
fn all_records_come_in_order_structured_and_binary() {
    let _servers = shared();
    let place = Place::new("order", 3);
    let door = KafkaDoor::open(&place.settings).expect("a door");
    let sent: Vec<_> = (0..3000)
        .map(|n| {
            let binary = [("ce_id".to_string(), n.to_string().into_bytes()), ("content-type".to_string(), b"application/json".to_vec())];
            let headers: &[(String, Vec<u8>)] = if n % 2 == 0 { &binary } else { &[] };
            let key = format!("sensor-{}", n % 50);
            door.append(&place.topic.name, Some(key.as_bytes()), headers, format!("value {n}").as_bytes(), None)
        })
        .collect();
    let answers: Vec<Appended> = sent.into_iter().map(|answer| wait(answer).expect("it is appended")).collect();
    let (mut reader, mut driver) = (place.reader(&[]).expect("a reader"), Driver::default());
    driver.until(&mut reader, usize::MAX, "3000 records", |driver, reader| driver.count() == 3000 && all_reached(reader));
    driver.assert_whole(0);
    for (n, answer) in answers.iter().enumerate() {
        let record = &driver.taken[&place.partition(answer.partition)][answer.offset as usize];
        assert_eq!(record.value, format!("value {n}").as_bytes());
        assert!(record.broker_time.is_some());
        let id = record.headers.iter().find(|(key, _)| key == "ce_id").map(|(_, id)| id.clone());
        assert_eq!(id, (n % 2 == 0).then(|| n.to_string().into_bytes()));
    }
    reader.commit(&[(place.partition(0), reader.status(0).end)]);
    let again = place.reader(&[(0, 10), (1, 20), (2, 30)]);
    drop(reader);
    let (mut reader, mut driver) = (again.expect("a reader"), Driver::default());
    driver.until(&mut reader, usize::MAX, "the rest", |driver, reader| driver.count() == 2940 && all_reached(reader));
    assert_eq!(driver.taken.values().map(|records| records[0].offset).collect::<Vec<_>>(), [10, 20, 30], "ours, not the broker's commit");
}

#[test]
fn keys_meet_as_those_of_java_clients() {
    let _servers = shared();
    let place = Place::new("keys", 7);
    let door = KafkaDoor::open(&place.settings).expect("a door");
    // Apache Kafka, UtilsTest.testMurmur2.
    let hashes = [("21", -973932308i32), ("foobar", -790332482), ("a-little-bit-long-string", -985981536), ("abc", 479470107)];
    for (key, hash) in hashes {
        let answer = wait(door.append(&place.topic.name, Some(key.as_bytes()), &[], b"x", None)).expect("it is appended");
        assert_eq!(answer.partition, (hash & 0x7fff_ffff) % 7, "{key}");
    }
    assert!(door.drain(SOON));
}

#[test]
fn a_door_without_broker_is_busy_at_its_bound_and_says_who_is_missing() {
    let settings = KafkaSettings { brokers: "127.0.0.1:1".into(), group: "g".into(), ..KafkaSettings::default() };
    let door = KafkaDoor::open(&settings).expect("a door");
    let sent: Vec<_> = (0..=DOOR_RECORDS).map(|_| door.append("t", None, &[], b"x", None)).collect();
    assert_eq!(wait(sent.into_iter().next_back().expect("one")), Err(DoorError::Busy));
    let topic = TopicSettings { name: "t".into(), clock: Clock::Broker };
    let error = KafkaReader::open(&settings, &[topic], BTreeMap::new()).err().expect("nobody answers");
    assert!(matches!(&error, KafkaError::Unreachable { brokers, .. } if brokers == "127.0.0.1:1"), "{error}");
}

/// D4.
#[test]
fn a_bare_second_member_joins_and_leaves_and_nothing_is_lost_or_doubled() {
    let _servers = shared();
    let place = Place::new("members", 4);
    let (mut reader, mut driver) = (place.reader(&[]).expect("a reader"), Driver::default());
    let append = |from: usize| (0..4).for_each(|p| place.fill(p, 1000, |n| format!("{}", from + n).into_bytes()));
    append(0);
    driver.until(&mut reader, 37, "some of the first", |driver, _| driver.count() > 1000);
    let other: BaseConsumer =
        place.config().set("group.id", &place.settings.group).set("auto.offset.reset", "earliest").create().expect("a second member");
    other.subscribe(&[&place.topic.name]).expect("it subscribes");
    let assigned = |reader: &KafkaReader| (0..4).filter(|i| reader.status(*i).assigned).count();
    driver.until(&mut reader, 1, "two partitions are given away", |_, reader| {
        let _ = other.poll(Duration::from_millis(5));
        assigned(reader) == 2 && other.assignment().is_ok_and(|list| list.count() == 2)
    });
    append(1000);
    driver.until(&mut reader, 37, "the two that are left", |driver, reader| {
        let _ = other.poll(Duration::from_millis(5));
        (0..4).all(|i| !reader.status(i).assigned || driver.taken[&reader.partitions()[i]].len() == 2000)
    });
    assert!((0..4).all(|i| reader.status(i).assigned == reader.status(i).confirmed.is_some()));
    drop(other);
    driver.until(&mut reader, 37, "all", |driver, reader| driver.count() == 8000 && all_reached(reader));
    driver.assert_whole(0);
    assert_eq!(driver.lost, []);
    assert_eq!(reader.statistics().assignments, 3);
}

#[test]
fn a_killed_broker_loses_and_doubles_nothing() {
    let _servers = alone();
    let place = Place::new("kill", 2);
    let (mut reader, mut driver) = (place.reader(&[]).expect("a reader"), Driver::default());
    (0..2).for_each(|p| place.fill(p, 30_000, |n| format!("{n:0>200}").into_bytes()));
    driver.until(&mut reader, 100, "some records", |driver, _| driver.count() > 5000);
    services(&["kill", "kafka"]);
    driver.until(&mut reader, 50, "it is unreadable", |_, reader| {
        reader.status(0).confirmed.is_none_or(|at| at.elapsed() > Duration::from_secs(2))
    });
    services(&["start", "kafka"]);
    place.fill(0, 1000, |n| n.to_string().into_bytes());
    driver.until(&mut reader, usize::MAX, "all", |driver, reader| driver.count() == 61_000 && all_reached(reader));
    driver.assert_whole(0);
    assert_eq!(driver.lost, []);
}

#[test]
fn a_frozen_broker_makes_partitions_unreadable_and_reading_goes_on_after_it() {
    let _servers = alone();
    let place = Place::new("freeze", 2);
    let (mut reader, mut driver) = (place.reader(&[]).expect("a reader"), Driver::default());
    place.fill(0, 100, |n| n.to_string().into_bytes());
    driver.until(&mut reader, usize::MAX, "the first", |driver, reader| driver.count() == 100 && all_reached(reader));
    let (broker, frozen) = (Frozen::now("kafka"), Instant::now());
    let mut longest = Duration::ZERO;
    driver.until(&mut reader, usize::MAX, "10 s have gone", |_, _| frozen.elapsed() > Duration::from_secs(10));
    for _ in 0..20 {
        let began = Instant::now();
        reader.poll(Duration::from_millis(5));
        longest = longest.max(began.elapsed());
    }
    assert!(longest < Duration::from_millis(100), "a pass of 5 ms took {longest:?} while the broker was frozen");
    let confirmed = reader.status(0).confirmed;
    assert!(confirmed.is_none_or(|at| at.elapsed() > Duration::from_secs(8)), "{confirmed:?}");
    drop(broker);
    let thawed = Instant::now();
    place.fill(1, 100, |n| n.to_string().into_bytes());
    driver.until(&mut reader, usize::MAX, "the rest", |driver, reader| driver.count() == 200 && all_reached(reader));
    eprintln!("read on {:?} after the thaw", thawed.elapsed());
    driver.assert_whole(0);
}

#[test]
fn leaving_a_frozen_broker_does_not_hang() {
    let _servers = alone();
    let place = Place::new("leave", 1);
    let (mut reader, mut driver) = (place.reader(&[]).expect("a reader"), Driver::default());
    driver.until(&mut reader, 1, "assigned", |_, reader| all_reached(reader));
    let (broker, began) = (Frozen::now("kafka"), Instant::now());
    drop(reader);
    let took = began.elapsed();
    drop(broker);
    eprintln!("left a frozen broker in {took:?}");
    assert!(took < Duration::from_secs(15), "{took:?}");
}

/// D1.
#[test]
fn records_deleted_before_they_were_read_are_stated() {
    let _servers = shared();
    let place = Place::new("lost", 2);
    place.fill(0, 1000, |n| n.to_string().into_bytes());
    place.delete_below(0, 500);
    let (mut reader, mut driver) = (place.reader(&[(0, 100), (1, 0)]).expect("a reader"), Driver::default());
    driver.until(&mut reader, usize::MAX, "the rest", |driver, reader| driver.count() == 500 && all_reached(reader));
    assert_eq!(driver.lost, [Lost { partition: place.partition(0), from: 100, to: 500 }]);
    driver.taken.remove(&place.partition(1));
    driver.assert_whole(500);

    // In mid-read: the buffer is full and librdkafka's too, the log behind them goes.
    place.fill(1, 150_000, |n| format!("{n:0>100}").into_bytes());
    let mut driver = Driver::default();
    driver.until(&mut reader, 0, "full", |_, reader| reader.statistics().partitions[1].full);
    place.delete_below(1, 140_000);
    driver.until(&mut reader, usize::MAX, "the rest", |_, reader| reader.wanted(1) == 150_000);
    let [Lost { partition, from, to: 140_000 }] = &driver.lost[..] else { panic!("{:?}", driver.lost) };
    assert_eq!(*partition, place.partition(1));
    let offsets: Vec<u64> = driver.taken[partition].iter().map(|record| record.offset).collect();
    assert!(offsets.iter().copied().eq((0..*from).chain(140_000..150_000)), "lost from {from}, read {}", offsets.len());
    assert!(*from >= 20_000 && *from < 140_000, "{from}");
}

#[test]
fn a_create_time_topic_is_refused_mended_and_taken_as_recorded_data() {
    let _servers = shared();
    let place = Place::with_clock("clock", 1, Clock::Event);
    place.fill(0, 10, |n| n.to_string().into_bytes());
    let (mut reader, mut driver) = (place.reader(&[]).expect("recorded data is read"), Driver::default());
    driver.until(&mut reader, usize::MAX, "all", |driver, _| driver.count() == 10);
    assert!(driver.taken[&place.partition(0)].iter().all(|record| record.broker_time.is_none()));
    drop(reader);

    let place = Place { topic: TopicSettings { clock: Clock::Broker, ..place.topic }, ..place };
    let error = place.reader(&[]).err().expect("it is refused").to_string();
    let name = &place.topic.name;
    assert!(error.contains(&format!("`ioc topics create {name}`")) && error.contains("clock = \"event\""), "{error}");
    let report = topics::check(&place.settings, std::slice::from_ref(&place.topic)).expect("a report");
    assert!(matches!(report[0].verdict(), Verdict::Bad(_)), "{}", topics::table(&report));
    let plan = TopicPlan { name: name.clone(), clock: Clock::Broker, partitions: 1, replication: None, retention: None };
    let plans = [plan];
    assert_eq!(topics::create(&place.settings, &plans).expect("mended")[0].1, Made::Mended { found: "CreateTime".into() });
    assert_eq!(topics::create(&place.settings, &plans).expect("mended")[0].1, Made::Present { partitions: 1 });
    let report = topics::check(&place.settings, std::slice::from_ref(&place.topic)).expect("a report");
    assert_eq!((report[0].verdict(), report[0].retention_ms), (Verdict::Good, Some(-1)), "retention survived: {}", topics::table(&report));
    place.fill(0, 1, |_| b"new".to_vec());
    let (mut reader, mut driver) = (place.reader(&[]).expect("it is taken now"), Driver::default());
    driver.until(&mut reader, usize::MAX, "all", |driver, _| driver.count() == 11);
    let clocked: Vec<bool> = driver.taken[&place.partition(0)].iter().map(|record| record.broker_time.is_some()).collect();
    assert_eq!(clocked, [vec![false; 10], vec![true]].concat(), "what was written before has no arrival time");
    assert_eq!(reader.statistics().unclocked, 10);
}

#[test]
fn missing_topics_and_impossible_starts_are_refused() {
    let _servers = shared();
    let place = Place::new("start", 1);
    let error = place.reader(&[(0, 5)]).err().expect("beyond the end");
    assert!(matches!(error, KafkaError::Beyond { wanted: 5, end: 0, .. }), "{error}");
    let error = place.reader(&[(7, 5)]).err().expect("no such partition");
    assert!(matches!(error, KafkaError::Beyond { wanted: 5, end: 0, .. }), "{error}");
    let missing = TopicSettings { name: "missing".into(), clock: Clock::Broker };
    let error = KafkaReader::open(&place.settings, std::slice::from_ref(&missing), BTreeMap::new()).err().expect("no such topic");
    assert!(error.to_string().contains("`ioc topics create missing`"), "{error}");
    let report = topics::check(&place.settings, &[missing]).expect("a report");
    assert!(topics::table(&report).contains("missing: `ioc topics create missing`"));
}

/// D1: offset reset is an error.
#[test]
fn a_topic_made_anew_under_a_reader_is_not_read_until_somebody_decides() {
    let _servers = shared();
    let place = Place::new("anew", 1);
    let (mut reader, mut driver) = (place.reader(&[]).expect("a reader"), Driver::default());
    place.fill(0, 100, |n| n.to_string().into_bytes());
    driver.until(&mut reader, usize::MAX, "the first", |driver, _| driver.count() == 100);
    let admin: AdminClient<DefaultClientContext> = place.config().create().expect("an admin client");
    let limit = AdminOptions::new().operation_timeout(Some(SOON));
    wait(admin.delete_topics(&[&place.topic.name], &limit)).expect("the topic is deleted");
    let plan = TopicPlan { name: place.topic.name.clone(), clock: Clock::Broker, partitions: 1, replication: None, retention: None };
    while topics::create(&place.settings, std::slice::from_ref(&plan)).expect("made anew")[0].1 != (Made::Created { partitions: 1 }) {}
    place.fill(0, 10, |n| n.to_string().into_bytes());
    driver.until(&mut reader, usize::MAX, "its fault is said", |_, reader| reader.fault(0).is_some());
    assert!(matches!(reader.fault(0), Some(KafkaError::Beyond { wanted: 100, end: 10, .. })), "{:?}", reader.fault(0));
    assert_eq!((driver.count(), reader.status(0).confirmed), (100, None));
    reader.seek(0, 0);
    driver.until(&mut reader, usize::MAX, "the new records", |driver, _| driver.count() == 110);
}

#[test]
fn seeking_reads_on_there_and_nowhere_else() {
    let _servers = shared();
    let place = Place::new("seek", 2);
    (0..2).for_each(|p| place.fill(p, 5000, |n| n.to_string().into_bytes()));
    let (mut reader, mut driver) = (place.reader(&[]).expect("a reader"), Driver::default());
    driver.until(&mut reader, 100, "some", |driver, _| driver.taken.get(&place.partition(0)).is_some_and(|records| records.len() > 1000));
    reader.seek(0, 10);
    driver.taken.remove(&place.partition(0));
    let enough = |driver: &Driver| driver.taken.get(&place.partition(0)).is_some_and(|records| records.len() == 4990);
    driver.until(&mut reader, 100, "all again", |driver, reader| enough(driver) && all_reached(reader));
    let offsets = driver.taken[&place.partition(0)].iter().map(|record| record.offset);
    assert!(offsets.eq(10..5000));
    driver.taken.remove(&place.partition(0));
    driver.assert_whole(0);
}

/// D1.
#[test]
fn new_partitions_are_noticed_and_read_from_their_first_record() {
    let _servers = shared();
    let place = Place::new("grow", 1);
    let (mut reader, mut driver) = (place.reader(&[]).expect("a reader"), Driver::default());
    place.fill(0, 10, |n| n.to_string().into_bytes());
    driver.until(&mut reader, usize::MAX, "the first", |driver, _| driver.count() == 10);
    let admin: AdminClient<DefaultClientContext> = place.config().create().expect("an admin client");
    wait(admin.create_partitions(&[NewPartitions::new(&place.topic.name, 3)], &AdminOptions::new())).expect("partitions are added");
    (1..3).for_each(|p| place.fill(p, 20, |n| n.to_string().into_bytes()));
    driver.until(&mut reader, usize::MAX, "all", |driver, reader| driver.count() == 50 && all_reached(reader));
    assert_eq!(reader.partitions(), [place.partition(0), place.partition(1), place.partition(2)]);
    driver.assert_whole(0);
    assert_eq!(driver.lost, []);
}

#[test]
fn a_full_buffer_pauses_its_partition_only_and_resumes() {
    let _servers = shared();
    let place = Place::new("full", 2);
    (0..2).for_each(|p| place.fill(p, 100_000, |n| n.to_string().into_bytes()));
    let mut reader = place.reader(&[]).expect("a reader");
    let (mut read, began) = (0, Instant::now());
    while read < 100_000 {
        reader.poll(Duration::from_millis(20));
        read += reader.buffer(1).drain(..).len();
        assert!(began.elapsed() < SOON, "{read} read; {:?}", reader.statistics());
    }
    let held = reader.buffer(0).len();
    let bound = Bounds::of(2).records;
    assert!((bound..bound + 500).contains(&held), "{held} records are held of a partition that nobody takes from");
    let mut driver = Driver::default();
    driver.until(&mut reader, 3000, "the other", |driver, _| driver.count() == 100_000);
    driver.assert_whole(0);
}

#[test]
fn a_marker_of_a_transaction_at_the_end_does_not_hide_the_end() {
    let _servers = shared();
    let place = Place::new("marker", 1);
    let producer: BaseProducer = place.config().set("transactional.id", &place.topic.name).create().expect("a producer");
    producer.init_transactions(SOON).expect("transactions");
    for commit in [true, false] {
        producer.begin_transaction().expect("begun");
        for n in 0..10 {
            let value = n.to_string();
            producer.send(BaseRecord::<(), str>::to(&place.topic.name).payload(&value)).map_err(|(error, _)| error).expect("sent");
        }
        producer.flush(SOON).expect("written");
        if commit { producer.commit_transaction(SOON) } else { producer.abort_transaction(SOON) }.expect("ended");
    }
    let (mut reader, mut driver) = (place.reader(&[]).expect("a reader"), Driver::default());
    driver.until(&mut reader, usize::MAX, "the end is reached", |driver, reader| driver.count() == 10 && all_reached(reader));
    assert_eq!((driver.count(), reader.wanted(0)), (10, 10), "aborted records are not read");
}

#[test]
fn an_idle_topic_answers_quickly() {
    let _servers = shared();
    let place = Place::new("quick", 2);
    let (mut reader, mut driver) = (place.reader(&[]).expect("a reader"), Driver::default());
    driver.until(&mut reader, usize::MAX, "assigned", |_, reader| all_reached(reader));
    let producer: BaseProducer = place.config().set("linger.ms", "0").create().expect("a producer");
    let mut times: Vec<Duration> = (0..200)
        .map(|n| {
            let value = n.to_string();
            let began = Instant::now();
            producer.send(BaseRecord::<(), str>::to(&place.topic.name).payload(&value)).map_err(|(error, _)| error).expect("sent");
            while reader.poll(Duration::from_millis(500)) == 0 {}
            let took = began.elapsed();
            (0..2).for_each(|i| reader.buffer(i).clear());
            producer.poll(Duration::from_millis(7));
            took
        })
        .collect();
    times.sort();
    eprintln!("from send to buffer: p50 {:?}, p99 {:?}, greatest {:?}", times[100], times[198], times[199]);
    assert!(times[100] < Duration::from_millis(20), "{:?}", times[100]);
}
