//! Which partition a key belongs to, as Kafka's Java client decides.
//!
//! Owns: murmur2 with Kafka's seed. Refuses to know: everything else.
//!
//! Invariants
//! 1. Equal keys, equal partition; the same one as `DefaultPartitioner` of Apache Kafka (org.apache.kafka.common.utils.Utils.murmur2), so
//!    that a province keeps its order per key when it moves to Kafka.
//!
//! Called by: ingest::log (append), the HTTP door where it must know the partition before.

const M: u32 = 0x5bd1_e995;
const SEED: u32 = 0x9747_b28c;

/// MurmurHash2, 32 bit (Austin Appleby), with the seed that Kafka uses.
pub fn murmur2(key: &[u8]) -> u32 {
    let mut h = SEED ^ key.len() as u32;
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k ^= k >> 24;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    for (i, byte) in rest.iter().enumerate() {
        h ^= u32::from(*byte) << (8 * i);
    }
    if !rest.is_empty() {
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

/// The partition of a key among `partitions`.
pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partitions
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of Apache Kafka's UtilsTest.testMurmur2.
    #[test]
    fn murmur2_as_kafka_computes_it() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
        assert_eq!(partition_of(b"21", 4), (-973_932_308i32 as u32 & 0x7fff_ffff) % 4);
    }
}
