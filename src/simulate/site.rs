//! The sources of the simulated province: what stands where, and the registry lines that say so.
//!
//! Owns: [`Site`], their number, places, names, cadences, thresholds; the CSV of the registry. Refuses to know: seeds (the province is
//! the same for all), what they measure when.
//!
//! Invariants
//! 1. Each site lies in the commune that is named for it, by the registry's own polygons.
//! 2. The CSV is a function of the areas: the file that is shipped equals it (tested).
//!
//! Called by: simulate, cli (writes the CSV).

use super::chance::{Chance, Draw};
use crate::geo::{AreaId, AreaIndex};
use crate::time::{Span, Timestamp};
use std::fmt::Write;

/// What a site is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Role {
    Loop,
    Queue,
    Travel,
    /// Levels in metres: usual, báo động 1, 2, 3.
    Water {
        usual: f64,
        alarms: [f64; 3],
    },
    Rain,
    Air,
    /// Kind of the device.
    Device(&'static str),
    /// One service on the bus: its name.
    Service(&'static str),
    /// One feed into the warehouse: its sector.
    Feed(&'static str),
    /// An office system; its events come from the day's agenda.
    Office,
}

impl Role {
    pub fn kind(self) -> &'static str {
        match self {
            Role::Loop => "traffic.loop",
            Role::Queue => "traffic.queue",
            Role::Travel => "traffic.travel",
            Role::Water { .. } => "water.level",
            Role::Rain => "rain.gauge",
            Role::Air => "air.quality",
            Role::Device(_) => "device.state",
            Role::Service(_) => "service.call",
            Role::Feed(_) => "feed.load",
            Role::Office => "",
        }
    }
}

/// One source.
#[derive(Clone, PartialEq, Debug)]
pub struct Site {
    pub id: String,
    pub role: Role,
    /// Code of its commune; of an office system the province.
    pub area: String,
    /// Degrees; `None` for what has no place.
    pub at: Option<(f64, f64)>,
    pub cadence: Span,
    /// Two approaches a junction, numbered from 0; sites of one approach are blocked together.
    pub approach: Option<u32>,
    /// Id of the gateway that its readings pass through.
    pub gateway: Option<String>,
    pub river: Option<&'static str>,
    name: [String; 2],
    /// Types that it sends, where `role` does not say.
    office: &'static str,
}

impl Site {
    /// A source of the registry that the province does not place itself, of a kind that it can play.
    pub fn registered(id: &str, kind: &str, cadence: Span, at: Option<(f64, f64)>, area: &str) -> Option<Site> {
        let role = [Role::Loop, Role::Queue, Role::Travel].into_iter().find(|r| r.kind() == kind)?;
        Some(Site { id: id.to_owned(), area: area.to_owned(), at, cadence, ..Site::new(role, String::new()) })
    }

    fn new(role: Role, id: String) -> Site {
        Site {
            id,
            role,
            area: PROVINCE.to_owned(),
            at: None,
            cadence: Span::ZERO,
            approach: None,
            gateway: None,
            river: None,
            name: [String::new(), String::new()],
            office: "",
        }
    }
}

pub const PROVINCE: &str = "68";

/// Wards with two watched junctions each.
const TOWNS: [&str; 18] = [
    "24778", "24781", "24787", "24805", "24846", "24820", "24823", "24829", "24841", "22924", "22933", "22945", "22960", "23235", "23231",
    "24611", "24615", "24958",
];
/// Communes with a river gauge: code, river.
const GAUGES: [(&str, &str); 30] = [
    ("24934", "Đa Nhim"),
    ("24931", "Đa Nhim"),
    ("24955", "Đa Nhim"),
    ("24967", "Đa Nhim"),
    ("24871", "Đa Dâng"),
    ("24868", "Cam Ly"),
    ("24883", "Cam Ly"),
    ("24895", "Đa Dâng"),
    ("24907", "Đa Dâng"),
    ("24985", "Đồng Nai"),
    ("24991", "Đa Dâng"),
    ("25159", "Đồng Nai"),
    ("25162", "Đồng Nai"),
    ("25180", "Đồng Nai"),
    ("25126", "Đạ Tẻh"),
    ("25135", "Đạ Tẻh"),
    ("25099", "Đạ Huoai"),
    ("25105", "Đạ Huoai"),
    ("24688", "Krông Nô"),
    ("24697", "Krông Nô"),
    ("24712", "Krông Nô"),
    ("24631", "Đắk Nông"),
    ("24751", "Đắk R'Tíh"),
    ("23143", "Cà Ty"),
    ("23089", "Quao"),
    ("23023", "Lũy"),
    ("23005", "Lũy"),
    ("23149", "La Ngà"),
    ("23191", "La Ngà"),
    ("23152", "La Ngà"),
];
/// Communes whose devices hang on one gateway each. None has a river gauge.
const GATEWAYS: [&str; 10] = ["22918", "22969", "23032", "23194", "24616", "24664", "24733", "24976", "25000", "25054"];
const STATIONS: [&str; 20] = [
    "24781", "24778", "24823", "24820", "22945", "22924", "22918", "23235", "24615", "24617", "24664", "24958", "25000", "25054", "24733",
    "23005", "23191", "25099", "24640", "24717",
];
/// The bus: the one source of all calls.
const BUS: &str = "lgsp";
const CALLS_EVERY: Span = Span(2_500_000_000);
const SERVICES: [&str; 12] = [
    "dan-cu",
    "ho-tich",
    "dat-dai",
    "doanh-nghiep",
    "thue",
    "bao-hiem",
    "ly-lich-tu-phap",
    "thanh-toan",
    "van-ban",
    "giay-to-so",
    "dang-nhap",
    "dia-chi",
];
/// Feeds of the warehouse: code, sector, Vietnamese, English.
const FEEDS: [(&str, &str, &str, &str); 19] = [
    ("dan-cu", "public-service", "dân cư", "population"),
    ("ho-tich", "public-service", "hộ tịch", "civil status"),
    ("dat-dai", "socio-economy", "đất đai", "land"),
    ("doanh-nghiep", "socio-economy", "doanh nghiệp", "enterprises"),
    ("ngan-sach", "socio-economy", "thu chi ngân sách", "budget"),
    ("dau-tu", "socio-economy", "đầu tư công", "public investment"),
    ("gia-ca", "socio-economy", "giá cả thị trường", "market prices"),
    ("du-lich", "socio-economy", "lưu trú du lịch", "tourism"),
    ("nong-san", "socio-economy", "nông sản", "farm produce"),
    ("benh-vien", "health", "khám chữa bệnh", "hospitals"),
    ("dich-benh", "health", "dịch bệnh", "epidemics"),
    ("bao-hiem-y-te", "health", "bảo hiểm y tế", "health insurance"),
    ("truong-hoc", "education", "trường học", "schools"),
    ("tuyen-sinh", "education", "tuyển sinh", "enrolment"),
    ("khi-tuong", "disaster", "khí tượng", "weather"),
    ("ho-chua", "disaster", "hồ chứa", "reservoirs"),
    ("chay-rung", "environment", "cháy rừng", "forest fires"),
    ("chat-thai", "environment", "chất thải rắn", "solid waste"),
    ("trat-tu", "security", "trật tự xã hội", "public order"),
];
/// Office systems: id, type, Vietnamese, English, sector.
const OFFICES: [(&str, &str, &str, &str, &str); 10] = [
    ("phan-anh", "field_report.status", "Phản ánh hiện trường", "Field reports", "field-report"),
    ("mot-cua", "dossier.status", "Một cửa điện tử", "One-stop system", "public-service"),
    ("ho-so-cong-viec", "work_file.status", "Hồ sơ công việc", "Work files", "public-service"),
    ("bao-cao", "indicator.report", "Chế độ báo cáo", "Reporting regimes", "socio-economy"),
    ("thanh-tra", "indicator.report", "Thanh tra, kiểm tra", "Inspections", "public-service"),
    ("vneid", "indicator.report", "Ứng dụng công dân số", "Citizens' app", "public-service"),
    ("an-toan-thong-tin", "indicator.report", "An toàn thông tin", "Information security", "platform"),
    ("cong-thuong", "indicator.report", "Công thương", "Industry and trade", "socio-economy"),
    ("noi-vu", "indicator.report", "Nội vụ", "Home affairs", "public-service"),
    ("lgsp", "service.call", "Trục LGSP", "LGSP service bus", "platform"),
];

const LOOPS_OF_A_JUNCTION: u32 = 6;
const QUEUES_OF_A_JUNCTION: u32 = 3;
const RAIN_APART: usize = 40;
/// Devices behind a gateway, itself among them; with its two rain gauges 30.
const DEVICES: [(&str, u32); 6] = [("gateway", 1), ("camera", 12), ("signal", 4), ("router", 4), ("lamp", 5), ("screen", 2)];

fn words(role: Role) -> (&'static str, &'static str, &'static str) {
    match role {
        Role::Loop => ("loop", "Vòng từ", "Loop detector"),
        Role::Queue => ("area", "Vùng đo hàng chờ", "Queue detector"),
        Role::Travel => ("route", "Tuyến đo thời gian đi", "Travel time route"),
        Role::Water { .. } => ("gauge", "Trạm thủy văn", "River gauge"),
        Role::Rain => ("rain", "Trạm đo mưa", "Rain gauge"),
        Role::Air => ("air", "Trạm quan trắc không khí", "Air station"),
        Role::Device("gateway") => ("gateway", "Cổng kết nối", "Gateway"),
        Role::Device("camera") => ("camera", "Camera", "Camera"),
        Role::Device("signal") => ("signal", "Tủ đèn tín hiệu", "Traffic signal"),
        Role::Device("router") => ("router", "Bộ định tuyến", "Router"),
        Role::Device("lamp") => ("lamp", "Tủ chiếu sáng", "Street lighting"),
        Role::Device(_) => ("screen", "Bảng điện tử", "Message board"),
        Role::Service(_) => ("service", "Dịch vụ", "Service"),
        Role::Feed(_) => ("feed", "Nguồn nạp dữ liệu", "Data feed"),
        Role::Office => ("system", "Hệ thống", "System"),
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    #[error("commune {0} is not among the registry's areas in force: the simulated province is Lâm Đồng, use the registry that is shipped")]
    NoCommune(String),
    #[error("no place was found in commune {0}: its polygon in the registry is empty or too thin")]
    NoPlace(String),
}

/// All sources of the province, in the order of the registry's file.
pub fn sites(areas: &AreaIndex) -> Result<Vec<Site>, SiteError> {
    let mut builder = Builder { areas, sites: Vec::new() };
    builder.traffic()?;
    builder.gauges()?;
    builder.rain()?;
    for (n, code) in STATIONS.iter().enumerate() {
        builder.place(Role::Air, code, format!("KK{:02}", n + 1), Span::minutes(1), None)?;
    }
    builder.gateways()?;
    builder.systems();
    Ok(builder.sites)
}

/// When the areas are looked at.
fn moment() -> Timestamp {
    Timestamp::from_seconds(1_767_200_400)
}

struct Builder<'a> {
    areas: &'a AreaIndex,
    sites: Vec<Site>,
}

impl Builder<'_> {
    fn commune(&self, code: &str) -> Result<(AreaId, &str), SiteError> {
        let id = self.areas.by_code(code, moment()).ok_or_else(|| SiteError::NoCommune(code.to_owned()))?;
        let name = &self.areas.area(id).name;
        Ok((id, name))
    }

    /// A point in the commune; near `centre` if given.
    fn point(&self, code: &str, draw: &mut Draw, centre: Option<(f64, f64)>) -> Result<(f64, f64), SiteError> {
        let (id, _) = self.commune(code)?;
        let no_place = || SiteError::NoPlace(code.to_owned());
        let (mut low, mut high) = ((f64::MAX, f64::MAX), (f64::MIN, f64::MIN));
        for point in self.areas.geometry(id).ok_or_else(no_place)?.0.iter().flat_map(|p| p.exterior().0.iter()) {
            low = (low.0.min(point.x), low.1.min(point.y));
            high = (high.0.max(point.x), high.1.max(point.y));
        }
        for turn in 0..2_000 {
            let (x, y) = (draw.unit(), draw.unit());
            let point = match centre {
                Some((lon, lat)) if turn < 500 => (lon + (x - 0.5) * 0.0016, lat + (y - 0.5) * 0.0016),
                _ => (low.0 + (high.0 - low.0) * x, low.1 + (high.1 - low.1) * y),
            };
            let point = (round(point.0), round(point.1));
            if self.areas.locate(point.0, point.1, moment()) == Some(id) {
                return Ok(point);
            }
        }
        Err(no_place())
    }

    fn place(&mut self, role: Role, code: &str, id: String, cadence: Span, centre: Option<(f64, f64)>) -> Result<&mut Site, SiteError> {
        // the province is the same for every seed
        let mut draw = Chance::new(0).at(1, self.sites.len() as i64, 0);
        let at = self.point(code, &mut draw, centre)?;
        let (_, vi, en) = words(role);
        let place = self.commune(code)?.1;
        let name = [format!("{vi} {id}, {place}"), format!("{en} {id}, {}", plain(place))];
        self.sites.push(Site { at: Some(at), area: code.to_owned(), cadence, name, ..Site::new(role, id) });
        let last = self.sites.len() - 1;
        Ok(&mut self.sites[last])
    }

    fn traffic(&mut self) -> Result<(), SiteError> {
        let mut junction = 0;
        let mut number = [0, 0];
        for (town, code) in TOWNS.iter().enumerate() {
            for _ in 0..2 {
                let mut draw = Chance::new(0).at(2, i64::from(junction), 0);
                let centre = Some(self.point(code, &mut draw, None)?);
                for (role, n, cadence) in
                    [(Role::Loop, LOOPS_OF_A_JUNCTION, Span::seconds(15)), (Role::Queue, QUEUES_OF_A_JUNCTION, Span::seconds(20))]
                {
                    for i in 0..n {
                        let count = &mut number[usize::from(role == Role::Queue)];
                        *count += 1;
                        let id = format!("{}{:03}", if role == Role::Loop { "VT" } else { "HC" }, count);
                        self.place(role, code, id, cadence, centre)?.approach = Some(junction * 2 + i % 2);
                    }
                }
                junction += 1;
            }
            self.place(Role::Travel, code, format!("TD{:02}", town + 1), Span::minutes(1), None)?;
        }
        Ok(())
    }

    fn gauges(&mut self) -> Result<(), SiteError> {
        for (n, (code, river)) in GAUGES.into_iter().enumerate() {
            let mut draw = Chance::new(0).at(3, n as i64, 0);
            let usual = round2(1.2 + 2.4 * draw.unit());
            let first = round2(usual + 1.5 + draw.unit());
            let alarms = [first, round2(first + 0.8), round2(first + 1.6)];
            let site = self.place(Role::Water { usual, alarms }, code, format!("TV{:02}", n + 1), Span::minutes(10), None)?;
            site.river = Some(river);
        }
        Ok(())
    }

    /// Forty rain gauges: one in each commune with a river gauge, the rest in towns.
    fn rain(&mut self) -> Result<(), SiteError> {
        let codes = GAUGES.iter().map(|(code, _)| *code).chain(TOWNS);
        for (n, code) in codes.take(RAIN_APART).enumerate() {
            self.place(Role::Rain, code, format!("MU{:02}", n + 1), Span::minutes(10), None)?;
        }
        Ok(())
    }

    fn gateways(&mut self) -> Result<(), SiteError> {
        let mut rain = RAIN_APART;
        for (number, code) in GATEWAYS.into_iter().enumerate() {
            let gateway = format!("GW{:02}", number + 1);
            for (kind, n) in DEVICES {
                for i in 1..=n {
                    let id = if kind == "gateway" { gateway.clone() } else { format!("{gateway}-{kind}-{i}") };
                    self.place(Role::Device(kind), code, id, Span::seconds(30), None)?.gateway = Some(gateway.clone());
                }
            }
            for _ in 0..2 {
                rain += 1;
                self.place(Role::Rain, code, format!("MU{rain:02}"), Span::minutes(10), None)?.gateway = Some(gateway.clone());
            }
        }
        Ok(())
    }

    fn systems(&mut self) {
        for (code, sector, vi, en) in FEEDS {
            let role = Role::Feed(sector);
            let name = [format!("{} {vi}", words(role).1), format!("{} {en}", words(role).2)];
            self.sites.push(Site { cadence: Span::hours(1), name, ..Site::new(role, format!("nap-{code}")) });
        }
        for (id, office, vi, en, _) in OFFICES {
            let name = [vi.to_owned(), en.to_owned()];
            self.sites.push(Site { name, office, ..Site::new(Role::Office, id.to_owned()) });
        }
        for service in SERVICES {
            self.sites.push(Site { cadence: CALLS_EVERY, ..Site::new(Role::Service(service), BUS.to_owned()) });
        }
    }
}

/// English names lose the kind of area, but where a ward has a number only.
fn plain(name: &str) -> String {
    let bare = ["Phường ", "Xã ", "Đặc khu "].iter().find_map(|kind| name.strip_prefix(kind)).unwrap_or(name);
    if bare.starts_with(|c: char| c.is_ascii_digit()) { format!("Ward {bare}") } else { bare.to_owned() }
}

/// Six decimals: a tenth of a metre.
fn round(degrees: f64) -> f64 {
    (degrees * 1e6).round() / 1e6
}

fn round2(metres: f64) -> f64 {
    (metres * 100.0).round() / 100.0
}

fn sector(site: &Site) -> &'static str {
    match site.role {
        Role::Loop | Role::Queue | Role::Travel => "traffic",
        Role::Water { .. } | Role::Rain => "disaster",
        Role::Air => "environment",
        Role::Device(_) | Role::Service(_) => "platform",
        Role::Feed(sector) => sector,
        Role::Office => OFFICES.iter().find(|o| o.0 == site.id).map_or("platform", |o| o.4),
    }
}

/// `registry/sources/simulated.csv`.
pub fn registry_csv(sites: &[Site]) -> String {
    let mut out = "id,type,kind,name_vi,name_en,lon,lat,area,sector,cadence,approach,gateway,river,bd1,bd2,bd3\n".to_owned();
    // a call's source is the bus, which has its line among the systems
    for site in sites.iter().filter(|s| !matches!(s.role, Role::Service(_))) {
        let kind = if site.role == Role::Office { site.office } else { site.role.kind() };
        let (lon, lat) = site.at.map_or_else(Default::default, |(lon, lat)| (lon.to_string(), lat.to_string()));
        // what has a place is located by it
        let area = if site.at.is_some() { "" } else { &site.area };
        let cadence = if site.cadence == Span::ZERO { String::new() } else { site.cadence.to_string() };
        let approach = site.approach.map(|a| format!("J{:02}-{}", a / 2 + 1, a % 2 + 1)).unwrap_or_default();
        let alarms = match site.role {
            Role::Water { alarms: [a, b, c], .. } => [a, b, c].map(|m| m.to_string()),
            _ => Default::default(),
        };
        let gateway = site.gateway.as_deref().unwrap_or_default();
        let _ = writeln!(
            out,
            "{},{kind},{},{},{},{lon},{lat},{area},{},{cadence},{approach},{gateway},{},{}",
            site.id,
            words(site.role).0,
            quoted(&site.name[0]),
            quoted(&site.name[1]),
            sector(site),
            site.river.unwrap_or_default(),
            alarms.join(",")
        );
    }
    out
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
