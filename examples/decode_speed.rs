//! How long decoding takes: reads a file of events, one a line, and decodes every line a few times over.
//!
//! decode_speed FILE [SCHEMAS] [ROUNDS]      wanted: data.value of every type
use ioc::event::Scalar;
use ioc::event::decode::{DecodePlan, Decoder, Wanted};
use ioc::event::schema::SchemaSet;
use std::collections::BTreeMap;
use std::sync::Arc;

#[global_allocator]
static ALLOC: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Nanoseconds that this thread has run, others' work left out (Linux; else 0).
fn on_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0.0)
}

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    anyhow::ensure!(args.len() > 1, "usage: decode_speed FILE [SCHEMAS] [ROUNDS]");
    let text = std::fs::read(&args[1])?;
    let mut files = BTreeMap::new();
    if let Some(folder) = args.get(2).filter(|a| *a != "-") {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_file() {
                files.insert(path.display().to_string(), std::fs::read_to_string(&path)?);
            }
        }
    }
    let rounds: u32 = args.get(3).map_or(Ok(5), |r| r.parse())?;
    let schemas = SchemaSet::parse(&files).map_err(|e| anyhow::anyhow!("{e:?}"))?;
    let mut wanted = Wanted::default();
    for kind in ["traffic.flow", "iot.air_quality", "iot.water_level", "service.request"] {
        wanted.slot(kind, "data.value");
    }
    let mut decoder = Decoder::new(Arc::new(DecodePlan::compile(&schemas, &wanted)));
    let mut best = f64::MAX;
    for round in 0..rounds {
        let (mut good, mut bad, mut sum) = (0u64, 0u64, 0.0);
        let mut rest = &text[..];
        let started = on_cpu();
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            match decoder.decode(&rest[..end]) {
                Ok(event) => {
                    good += 1;
                    if let Some(Scalar::Num(v)) = event.slots.first() {
                        sum += v;
                    }
                    sum += event.position.map_or(0.0, |[lon, lat]| lon + lat) + event.time.0 as f64 + event.source.len() as f64;
                }
                Err(_) => bad += 1,
            }
            rest = rest.get(end + 1..).unwrap_or(&[]);
        }
        let ns = (on_cpu() - started) / (good + bad) as f64;
        best = best.min(ns);
        println!("round {round}: {ns:.1} ns of CPU an event, {good} good, {bad} refused, check {sum:e}");
    }
    println!("best {best:.1} ns");
    Ok(())
}
