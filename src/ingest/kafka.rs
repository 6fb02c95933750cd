//! (skeleton)
use super::{Fetched, Lost, PartitionName, PartitionStatus};
use std::collections::VecDeque;
#[derive(Debug, thiserror::Error)]
#[error("kafka")]
pub struct KafkaError;
pub struct KafkaReader {}
impl KafkaReader {
    pub fn partitions(&self) -> &[PartitionName] { &[] }
    pub fn poll(&mut self, _w: std::time::Duration) {}
    pub fn buffer(&mut self, _i: usize) -> &mut VecDeque<Fetched> { unreachable!() }
    pub fn status(&self, _i: usize) -> PartitionStatus { PartitionStatus::default() }
    pub fn take_lost(&mut self) -> Vec<Lost> { Vec::new() }
    pub fn commit(&mut self, _o: &[(PartitionName, u64)]) {}
}
