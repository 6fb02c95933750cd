//! What the sensors, devices, services and feeds say.
//!
//! Owns: the daily and weekly rhythm, normal variation, how a fault looks in a signal. Refuses to know: when a reading arrives, what
//! happens to its bytes on the way.
//!
//! Invariants
//! 1. A reading depends on the seed, the site, its turn, the instant and the faults only: no state.
//! 2. Normal variation stays clear of the thresholds of the shipped rules: usual queues ≤ 60 m, occupancy ≤ 20 %, rain ≤ 25 mm an hour,
//!    water ≤ 0.3 m below the first alarm and ≤ 0.2 m an hour, PM2.5 ≤ 65, and one call in 250 fails.
//!
//! Called by: stream.

use super::chance::{Chance, Draw};
use super::plan::{Fault, FaultKind, Plan, RAIN_BEFORE, local};
use super::site::{Role, Site};
use super::text;
use crate::time::{NANOS_PER_SECOND, Span, Timestamp};

/// Share of the greatest load by hour: working days, then weekends.
const TRAFFIC: [[f64; 24]; 2] = [
    [
        0.06, 0.04, 0.03, 0.04, 0.10, 0.30, 0.75, 1.00, 0.75, 0.60, 0.60, 0.80, 0.60, 0.65, 0.60, 0.65, 0.85, 1.00, 0.75, 0.55, 0.40, 0.30,
        0.18, 0.10,
    ],
    [
        0.10, 0.06, 0.04, 0.04, 0.08, 0.20, 0.35, 0.45, 0.55, 0.65, 0.70, 0.65, 0.50, 0.50, 0.55, 0.65, 0.75, 0.85, 0.90, 0.80, 0.60, 0.42,
        0.28, 0.16,
    ],
];
const OFFICE: [f64; 24] = [
    0.10, 0.08, 0.08, 0.08, 0.10, 0.15, 0.30, 0.70, 1.00, 1.00, 0.95, 0.60, 0.35, 0.75, 0.95, 0.95, 0.85, 0.50, 0.30, 0.25, 0.25, 0.20,
    0.15, 0.12,
];

/// 0 = Monday.
pub fn weekday(day: i64) -> i64 {
    // 1970-01-01 was a Thursday
    (day + 3).rem_euclid(7)
}

/// Between the hours of a table, in a straight line.
fn along(table: &[f64; 24], second: i64) -> f64 {
    let (hour, part) = ((second / 3600) as usize, (second % 3600) as f64 / 3600.0);
    table[hour] + (table[(hour + 1) % 24] - table[hour]) * part
}

fn traffic(t: Timestamp) -> f64 {
    let (day, second) = local(t);
    along(&TRAFFIC[usize::from(weekday(day) > 4)], second)
}

/// 0 at the ends of 0..1, 1 from `rise` to `fall`, straight between.
fn plateau(x: f64, rise: f64, fall: f64) -> f64 {
    (x / rise).min((1.0 - x) / (1.0 - fall)).clamp(0.0, 1.0)
}

pub struct Signals<'a> {
    pub chance: Chance,
    pub sites: &'a [Site],
    pub plan: &'a Plan,
}

/// Streams of chance.
const READING: u64 = 1;
const SHOWER: u64 = 2;
const OUTAGE: u64 = 3;
const HAZE: u64 = 4;

impl Signals<'_> {
    /// One event: `turn` counts the site's readings since 1970, `t` is the true instant, `time` what the site's clock says.
    pub fn write(&self, out: &mut Vec<u8>, site: usize, turn: i64, t: Timestamp, time: Timestamp) {
        let it = &self.sites[site];
        let mut draw = self.chance.at(READING, site as i64, turn);
        let source = it.id.as_str();
        let kind = it.role.kind();
        match it.role {
            Role::Service(name) => text::open(out, format_args!("{name}-{turn}"), source, kind, None, time),
            _ => text::open(out, format_args!("{}", t.0 / NANOS_PER_SECOND), source, kind, None, time),
        }
        match it.role {
            Role::Loop => self.passing(out, site, t, &mut draw),
            Role::Queue => self.queue(out, site, t, &mut draw),
            Role::Travel => travel(out, t, &mut draw),
            Role::Water { usual, alarms } => self.water(out, site, t, usual, alarms, &mut draw),
            Role::Rain => self.rain(out, site, t),
            Role::Air => self.air(out, site, turn, t, &mut draw),
            Role::Device(kind) => self.device(out, site, kind, t),
            Role::Service(name) => call(out, name, &mut draw),
            Role::Feed(sector) => feed(out, it, sector, &mut draw),
            Role::Office => {}
        }
        text::close(out);
    }

    /// The block that holds the site now, and for how long it has.
    fn block(&self, site: usize, t: Timestamp) -> Option<&Fault> {
        self.plan.of_site(site).find(|f| f.kind == FaultKind::Block && f.holds(t))
    }

    fn passing(&self, out: &mut Vec<u8>, site: usize, t: Timestamp, draw: &mut Draw) {
        let it = &self.sites[site];
        let period = it.cadence.0 as f64 / NANOS_PER_SECOND as f64;
        let load = traffic(t);
        let standing = self.block(site, t).is_some_and(|f| t - f.from >= Span::seconds(30));
        let most = 0.45 * period * load * (0.6 + 0.8 * draw.unit());
        let count = if standing { 0 } else { (most + draw.unit()) as i64 };
        let speed = (count > 0).then(|| 44.0 - 18.0 * load + 4.0 * draw.swing());
        let occupancy = if standing { 34.0 + 3.0 * draw.swing() } else { (count as f64 / period * 36.0).min(19.0) };
        text::number(out, "period_s", Some(period), 0);
        text::whole(out, "count", count);
        text::number(out, "speed_kmh", speed, 1);
        text::number(out, "occupancy_pct", Some(occupancy), 1);
    }

    fn queue(&self, out: &mut Vec<u8>, site: usize, t: Timestamp, draw: &mut Draw) {
        let usual = 4.0 + 46.0 * traffic(t) * draw.unit();
        // it grows by 30 m a minute to 240 m, and is gone four minutes after the end
        let blocked = self.plan.of_site(site).filter(|f| f.kind == FaultKind::Block && t >= f.from);
        let standing = blocked.map(|f| {
            let minutes = |span: Span| span.0 as f64 / Span::minutes(1).0 as f64;
            let grown = (30.0 * minutes(t.min(f.to) - f.from)).min(240.0);
            (grown - 60.0 * minutes((t - f.to).max(Span::ZERO))).max(0.0)
        });
        let queue = usual.max(standing.fold(0.0, f64::max) + 3.0 * draw.unit());
        let period = self.sites[site].cadence.0 as f64 / NANOS_PER_SECOND as f64;
        text::number(out, "period_s", Some(period), 0);
        text::number(out, "queue_max_m", Some(queue), 1);
        text::number(out, "halting_s", Some(queue / 7.0 * period), 0);
    }

    fn water(&self, out: &mut Vec<u8>, site: usize, t: Timestamp, usual: f64, alarms: [f64; 3], draw: &mut Draw) {
        let flood = self.plan.of_site(site).find(|f| f.kind == FaultKind::Flood && f.holds(t) && f.sites.contains(&site));
        text::number(out, "level_m", Some(level(usual, alarms, flood, t) + 0.01 * draw.swing()), 2);
        text::number(out, "battery_v", Some(12.4 + 0.2 * draw.swing()), 1);
    }

    fn rain(&self, out: &mut Vec<u8>, site: usize, t: Timestamp) {
        let (day, second) = local(t);
        let mut draw = self.chance.at(SHOWER, site as i64, day);
        // on four days of ten a shower in the afternoon
        let falls = draw.unit() < 0.4;
        let (from, length) = (draw.between(13 * 3600, 19 * 3600), draw.between(1_200, 5_400));
        let heaviest = 3.5 * draw.unit();
        let within = (second - from) as f64 / length as f64;
        let shower = if falls && (0.0..1.0).contains(&within) { heaviest * plateau(within, 0.3, 0.5) } else { 0.0 };
        let upstream = self.plan.of_site(site).filter(|f| f.kind == FaultKind::Flood && f.upstream.contains(&site));
        let heavy = upstream.map(|f| {
            let (start, end) = (f.from - RAIN_BEFORE, f.from + Span((f.to - f.from).0 / 5 * 2));
            let x = (t - start).0 as f64 / (end - start).0.max(1) as f64;
            13.0 * plateau(x, 0.2, 0.8)
        });
        let mm = shower.max(heavy.fold(0.0, f64::max));
        text::number(out, "mm", Some(mm), 1);
        text::number(out, "period_s", Some(self.sites[site].cadence.0 as f64 / NANOS_PER_SECOND as f64), 0);
    }

    fn air(&self, out: &mut Vec<u8>, site: usize, turn: i64, t: Timestamp, draw: &mut Draw) {
        let (day, second) = local(t);
        let haze = 18.0 + 14.0 * self.chance.at(HAZE, site as i64, day).unit();
        let pm25 = haze + 14.0 * along(&TRAFFIC[0], second) + 4.0 * draw.swing();
        // the ceiling of a cheap sensor, one reading in a thousand
        let failed = turn.rem_euclid(1_000) == site as i64;
        text::number(out, "pm25", Some(if failed { 999.9 } else { pm25 }), 1);
        text::number(out, "pm10", Some(pm25 * 1.6 + 3.0 * draw.swing()), 1);
        text::number(out, "humidity_pct", Some(78.0 - 20.0 * along(&OFFICE, second) + 2.0 * draw.swing()), 1);
        text::number(out, "temperature_c", Some(17.0 + 8.0 * along(&OFFICE, second) + 0.5 * draw.swing()), 1);
    }

    fn device(&self, out: &mut Vec<u8>, site: usize, kind: &str, t: Timestamp) {
        // one hour in two hundred it is offline for ten minutes; a gateway never, else its area would be
        let hour = t.0.div_euclid(Span::hours(1).0);
        let mut draw = self.chance.at(OUTAGE, site as i64, hour);
        let down = draw.unit() < 0.005 && kind != "gateway";
        let from = Timestamp(hour * Span::hours(1).0) + Span::minutes(draw.between(0, 50));
        let offline = down && from <= t && t < from + Span::minutes(10);
        text::word(out, "state", if offline { "offline" } else { "online" });
        text::word(out, "kind", kind);
        if let Some(gateway) = &self.sites[site].gateway {
            text::word(out, "gateway", gateway);
        }
    }
}

/// Metres at an instant, but for the sensor's own noise.
pub fn level(usual: f64, alarms: [f64; 3], flood: Option<&Fault>, t: Timestamp) -> f64 {
    let (_, second) = local(t);
    let daily = 0.12 * (1.0 - ((second as f64 - 43_200.0) / 43_200.0).abs());
    // to 0.4 m above the third alarm in the first 40 % of its time, and gone at its end
    let above = flood.map_or(0.0, |f| (alarms[2] + 0.4 - usual) * plateau(f.part(t), 0.4, 0.55));
    usual + daily + above
}

fn travel(out: &mut Vec<u8>, t: Timestamp, draw: &mut Draw) {
    let load = traffic(t);
    let passed = (14.0 * load * (0.6 + 0.8 * draw.unit())) as i64;
    text::whole(out, "period_s", 60);
    text::whole(out, "passed", passed);
    text::whole(out, "inside", passed * 4);
    text::number(out, "travel_s", (passed > 0).then(|| 210.0 + 160.0 * load + 20.0 * draw.swing()), 0);
}

fn call(out: &mut Vec<u8>, name: &str, draw: &mut Draw) {
    let status = match draw.below(1_000) {
        0..4 => 503,
        4..24 => 404,
        24..34 => 400,
        _ => 200,
    };
    let slow = if draw.unit() < 0.03 { 900.0 * draw.unit() } else { 0.0 };
    text::word(out, "service", name);
    text::whole(out, "status", status);
    text::number(out, "duration_ms", Some(40.0 + 120.0 * draw.unit() * draw.unit() + slow), 0);
}

fn feed(out: &mut Vec<u8>, site: &Site, sector: &str, draw: &mut Draw) {
    let failed = draw.unit() < 0.01;
    text::word(out, "feed", site.id.strip_prefix("nap-").unwrap_or(&site.id));
    text::word(out, "sector", sector);
    text::word(out, "outcome", if failed { "failed" } else { "loaded" });
    text::number(out, "rows", (!failed).then(|| draw.between(200, 20_000) as f64), 0);
}
