//! From the spool to a store and back after a kill.

use super::*;
use crate::disk::Disk;
use std::path::Path;

fn line(tick: u64, value: u64, revision: u32) -> Vec<u8> {
    format!("m,s={} x={value},revision={revision}i,state=\"final\" 60000000000\n", tick % 3).into_bytes()
}

#[tokio::test]
async fn what_is_spooled_arrives_once_and_in_order_d3() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::memory();
    let open = || {
        let store = Arc::new(Store::Embedded(Embedded::open(dir.path()).unwrap()));
        (store, Arc::new(Spool::open(disk.clone(), Path::new("/spool"), 1 << 20).unwrap()))
    };
    let (store, spool) = open();
    for tick in 1..=9 {
        spool.append(tick, &line(tick, tick, 0)).unwrap();
    }
    spool.sync().unwrap();
    assert_eq!(move_batch(&store, &spool).await.unwrap(), Some(9));
    assert_eq!(move_batch(&store, &spool).await.unwrap(), None);
    spool.append(10, &line(10, 99, 1)).unwrap();
    spool.sync().unwrap();
    drop((store, spool));
    disk.crash(|_, _| 0);

    let (store, spool) = open();
    assert_eq!(spool.acked(), Some(9));
    let stop = CancellationToken::new();
    let running = tokio::spawn(drain(store.clone(), spool.clone(), stop.clone()));
    while spool.acked() != Some(10) {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    running.await.unwrap();
    let rows = store.rows("m", Timestamp(0), Timestamp::MAX).await.unwrap();
    let values: Vec<_> = rows.iter().map(|r| (r.fields[0].1.number(), r.revision)).collect();
    assert_eq!(values, [(Some(9.0), 0), (Some(99.0), 1), (Some(8.0), 0)]);
}
