//! Texts of pipelines → [`Pipeline`]s that are valid by construction, or all their mistakes.
//!
//! Owns: the order of checks over a set of files, defaults of the timing, names, versions. compile/event.rs knows what expressions over
//! events may say, compile/window.rs windows and aggregates, compile/rule.rs alerts, compile/absence.rs those on absent sources, compile/ask.rs what they ask the registry. Refuses to know: files, schemas' insides
//! ([`Schemas`] answers), the registry's insides ([`Known`]).
//!
//! Invariants
//! 1. All mistakes of all files come at once, sorted; a set with a mistake gives no pipeline.
//! 2. `version` is a hash of what changes results: not of comments, spaces, order of keys, titles or procedures. The order of `by` and
//!    of `fields` is content: rows keep it.
//! 3. The same texts give the same pipelines and the same order of `Wanted`.
//!
//! Called by: check, cli, app, scenario.

mod absence;
mod ask;
mod case;
mod case_rule;
mod clause;
mod event;
mod gauge;
mod previous;
mod rule;
mod unit;
mod window;

#[cfg(test)]
mod tests;

use super::expr::syntax::{self, Ast};
use super::expr::{ExprError, Program, Scope, ValueType, compile_ast};
use super::mistake::{Mistake, Place, Report, closest, sorted};
use super::spec::{self, PipelineSpec};
use super::yaml::{self, Text};
use super::{Pipeline, Timing, TypePlan, WindowSpec};
use crate::event::decode::Wanted;
use crate::time::Span;
use event::{EventScope, Role};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// What a schema knows of one path.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct PathInfo {
    /// `Some(false)`: the schema is closed and does not have it. `None`: nobody knows.
    pub exists: Option<bool>,
    pub kind: ValueType,
    /// "km/h"; empty where none is declared.
    pub unit: String,
}

/// What the schemas know.
pub trait Schemas {
    /// Event types that have a schema.
    fn kinds(&self) -> Vec<String>;
    /// `path` is "data.speed_kmh".
    fn path(&self, kind: &str, path: &str) -> PathInfo;
    /// All paths of a type, for suggestions.
    fn paths(&self, kind: &str) -> Vec<String>;
}

/// No schemas: every path may exist.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSchemas;

impl Schemas for NoSchemas {
    fn kinds(&self) -> Vec<String> {
        Vec::new()
    }
    fn path(&self, _kind: &str, _path: &str) -> PathInfo {
        PathInfo::default()
    }
    fn paths(&self, _kind: &str) -> Vec<String> {
        Vec::new()
    }
}

/// What the registry knows. `None`: there is none, nothing is checked.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub sectors: Option<BTreeSet<String>>,
    /// Attributes that some source has: "bd1".
    pub source_attributes: Option<BTreeSet<String>>,
    /// Procedures, relative to the registry: "sop/congestion.md".
    pub sops: Option<BTreeSet<String>>,
    /// Indicators by code, with the units and levels of their targets.
    pub indicators: Option<BTreeMap<String, BTreeSet<String>>>,
    /// Tables of time limits in registry/calendar.yaml.
    pub limits: Option<BTreeSet<String>>,
    /// Not a single year of working time is known.
    pub no_calendar: bool,
}

/// Said where working time is asked for and there is none.
const NO_CALENDAR: &str =
    "working time needs a calendar: write registry/calendar.yaml with `working_hours:` and `holidays:` of the years asked for";

/// What rules may read of an area.
pub const AREA_VARS: [&str; 3] = ["code", "name", "level"];

/// Compiles a set of files (path → text). Wanted paths are added to `wanted`.
pub fn compile_pipelines(
    files: &BTreeMap<String, String>,
    schemas: &dyn Schemas,
    known: &Known,
    wanted: &mut Wanted,
) -> Result<Vec<Pipeline>, Vec<Mistake>> {
    compile_files(files, true, schemas, known, wanted)
}

/// Compiles one file without the rest of its set: what it says of alerts in other files is not judged.
pub fn compile_alone(file: (&str, &str), schemas: &dyn Schemas, known: &Known, wanted: &mut Wanted) -> Result<Vec<Pipeline>, Vec<Mistake>> {
    let files = BTreeMap::from([(file.0.to_owned(), file.1.to_owned())]);
    compile_files(&files, false, schemas, known, wanted)
}

fn compile_files(
    files: &BTreeMap<String, String>,
    whole: bool,
    schemas: &dyn Schemas,
    known: &Known,
    wanted: &mut Wanted,
) -> Result<Vec<Pipeline>, Vec<Mistake>> {
    let mut pipelines = Vec::new();
    let mut mistakes = Vec::new();
    let mut names: BTreeMap<(&'static str, String), (String, Place)> = BTreeMap::new();
    let mut silences = Silences::default();
    for (file, text) in files {
        let mut report = Report::new(file);
        let spec = yaml::read_yaml(text, &mut report).and_then(|root| spec::read_pipeline(&root, &mut report));
        if let Some(spec) = spec {
            check_unique(file, &spec, &mut names, &mut report);
            silences.note(file, &spec);
            let compiler = Compiler { file, spec: &spec, schemas, known, wanted: &mut *wanted, report: &mut report };
            pipelines.extend(compiler.pipeline());
        }
        mistakes.extend(report.into_mistakes());
    }
    if whole {
        mistakes.extend(silences.unknown());
    }
    if mistakes.is_empty() { Ok(pipelines) } else { Err(sorted(mistakes)) }
}

/// Alerts on absent sources of all files, and what others stand for.
#[derive(Default)]
struct Silences {
    names: BTreeSet<String>,
    /// (file, name)
    asked: Vec<(String, Text)>,
}

impl Silences {
    fn note(&mut self, file: &str, spec: &PipelineSpec) {
        self.names.extend(spec.absences.iter().filter_map(|a| a.alert.as_ref()).map(|t| t.value.clone()));
        self.asked.extend(spec.alerts.iter().flat_map(|a| &a.stands_for).map(|t| (file.to_owned(), t.clone())));
    }

    fn unknown(&self) -> Vec<Mistake> {
        let unknown = self.asked.iter().filter(|(_, text)| !self.names.contains(&text.value));
        let mistake = |(file, text): &(String, Text)| Mistake {
            file: file.clone(),
            line: text.at.line,
            column: text.at.column,
            what: format!("no file has an alert on absent sources `{}`: write one with `absent:`, or correct the name", text.value),
            suggestion: closest(&text.value, self.names.iter().map(String::as_str)),
        };
        unknown.map(mistake).collect()
    }
}

/// R2: a measurement has one definition in the set; a pipeline's name is there once.
fn check_unique(file: &str, spec: &PipelineSpec, names: &mut BTreeMap<(&'static str, String), (String, Place)>, report: &mut Report) {
    let measurements = spec.windows.iter().filter_map(|w| w.measurement.as_ref());
    let cases = spec.cases.iter().filter_map(|c| c.case.as_ref());
    let all = spec.pipeline.iter().map(|t| ("pipeline", t)).chain(measurements.map(|t| ("measurement", t)));
    let all = all.chain(cases.map(|t| ("case", t)));
    for (what, text) in all {
        match names.get(&(what, text.value.clone())) {
            None => {
                names.insert((what, text.value.clone()), (file.to_owned(), text.at));
            }
            Some((other, at)) => {
                let why = if what == "measurement" { "a measurement has one definition: rename or remove one" } else { "rename one" };
                report.add(text.at, format!("the {what} `{}` is defined in {other}:{}:{} already; {why}", text.value, at.line, at.column));
            }
        }
    }
}

struct Compiler<'a> {
    file: &'a str,
    spec: &'a PipelineSpec,
    schemas: &'a dyn Schemas,
    known: &'a Known,
    wanted: &'a mut Wanted,
    report: &'a mut Report,
}

impl Compiler<'_> {
    /// `None` only where a mistake has been reported.
    fn pipeline(mut self) -> Option<Pipeline> {
        let name = self.spec.pipeline.as_ref().and_then(|t| self.name(t, "a pipeline"));
        let sector = self.sector();
        let kinds = self.kinds();
        let timing = self.timing();
        let zone = self.zone();
        let filter = self.spec.filter.as_ref().and_then(|t| self.parse(t).map(|ast| (t, ast)));
        let mut types = Vec::with_capacity(kinds.len());
        for kind in &kinds {
            let filter = filter.as_ref().and_then(|(text, ast)| self.condition(text, ast, kind, &kinds, Role::Where));
            types.push(TypePlan { kind: kind.clone(), filter, windows: Vec::new(), cases: Vec::new(), absences: Vec::new() });
        }
        let content = Content { kinds: &kinds, filter: filter.as_ref().map(|(_, ast)| ast.to_string()), zone: &zone };
        let spec = self.spec;
        let mut drafts = self.cases(&spec.cases, &content);
        let mut windows: Vec<WindowSpec> = Vec::new();
        for yaml in &self.spec.windows {
            if yaml.gauge.is_some() {
                if let Some(window) = self.gauge(yaml, &content, &mut drafts) {
                    windows.push(window);
                    types.iter_mut().for_each(|t| t.windows.push(None));
                }
            } else if let Some((window, inputs)) = self.window(yaml, &content) {
                windows.push(window);
                types.iter_mut().zip(inputs).for_each(|(t, input)| t.windows.push(input));
            }
        }
        let rules = self.rules(&windows, &mut drafts);
        let absences = self.absences(&kinds, &windows);
        for (i, absence) in absences.iter().enumerate() {
            types.iter_mut().filter(|t| t.kind == absence.kind).for_each(|t| t.absences.push(i as u16));
        }
        let cases = self.finish_cases(drafts, &mut types);
        if !self.report.is_empty() {
            return None;
        }
        let (name, sector, timing) = (name?, sector?, timing?);
        let mut version = Version::of("pipeline");
        version.add("name", &name).add("sector", &sector).add("timing", &format!("{timing:?}"));
        version.add("from", &sorted_names(&kinds)).add("where", content.filter.as_deref().unwrap_or(""));
        for case in &cases {
            version.add("case", &case.terms).add("keep", &case.keep.0.to_string());
        }
        for window in &windows {
            version.add("window", &window.version).add("early", &format!("{:?}", window.early));
        }
        for rule in &rules {
            version.add("rule", &rule.version);
        }
        for absence in &absences {
            version.add("absence", &absence.version);
        }
        Some(Pipeline {
            name,
            sector,
            file: self.file.to_owned(),
            version: version.hex(),
            types,
            timing,
            zone: zone.1,
            cases,
            windows,
            rules,
            absences,
        })
    }

    fn sector(&mut self) -> Option<String> {
        let text = self.spec.sector.as_ref()?;
        if let Some(sectors) = &self.known.sectors
            && !sectors.contains(&text.value)
        {
            let next = closest(&text.value, sectors.iter().map(String::as_str));
            self.report.suggest(
                text.at,
                format!("the registry has no sector `{}`: add it to registry/sectors.yaml or correct the name", text.value),
                next,
            );
        }
        Some(text.value.clone())
    }

    fn kinds(&mut self) -> Vec<String> {
        let with_schema = self.schemas.kinds();
        let mut kinds: Vec<String> = Vec::new();
        for text in &self.spec.from {
            if kinds.contains(&text.value) {
                self.report.add(text.at, format!("`{}` stands in `from` twice: remove one", text.value));
                continue;
            }
            if !with_schema.contains(&text.value)
                && let Some(next) = closest(&text.value, with_schema.iter().map(String::as_str))
            {
                let what = format!("no schema is named `{0}`: add schemas/{0}.json or correct the name", text.value);
                self.report.suggest(text.at, what, Some(next));
            }
            kinds.push(text.value.clone());
        }
        kinds
    }

    /// Defaults and bounds of T3, T5 and R4.
    fn timing(&mut self) -> Option<Timing> {
        let (out_of_orderness, lateness) = (self.spec.out_of_orderness?, self.spec.lateness?);
        let patience = self.spec.patience.unwrap_or(Span::minutes(2));
        let sum = Span(lateness.0 + out_of_orderness.0 + patience.0);
        let least = Span::minutes(15).max(sum);
        if let Some((at, given)) = self.spec.max_delay
            && given < least
        {
            let what = format!(
                "`max_delay: {given}` is too short: lateness + out_of_orderness + patience is {sum}, so write {least} or more, or remove it"
            );
            self.report.add(at, what);
        }
        let lengths = self.spec.windows.iter().filter_map(|w| w.period.map(|(_, period)| period).or(w.every));
        let longest = lengths.map(|e| e.nominal()).max().unwrap_or(Span::ZERO);
        Some(Timing {
            out_of_orderness,
            lateness,
            idle_after: self.spec.idle_after.unwrap_or(Span::seconds(30)),
            patience,
            max_delay: self.spec.max_delay.map_or(least, |(_, s)| s),
            dedup: self.spec.dedup.unwrap_or(Span(longest.min(Span::hours(1)).0 + lateness.0)),
        })
    }

    fn zone(&mut self) -> (String, TimeZone) {
        let default = "Asia/Ho_Chi_Minh";
        let name = self.spec.time_zone.as_ref().map_or(default, |t| &t.value);
        let zone = TimeZoneDatabase::bundled().get(name);
        if let (Err(_), Some(text)) = (&zone, &self.spec.time_zone) {
            let names: Vec<String> = TimeZoneDatabase::bundled().available().map(|n| n.as_str().to_owned()).collect();
            let next = closest(name, names.iter().map(String::as_str));
            self.report.suggest(text.at, format!("no time zone is named `{name}`: write an IANA name like {default}"), next);
        }
        (name.to_owned(), zone.unwrap_or(TimeZone::UTC))
    }

    /// A name that InfluxDB, files and URLs take as it is.
    fn name(&mut self, text: &Text, what: &str) -> Option<String> {
        let good = |s: &str| {
            s.len() <= 64
                && s.starts_with(|c: char| c.is_ascii_lowercase())
                && s.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        if good(&text.value) {
            return Some(text.value.clone());
        }
        let mut better: String = text.value.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        better = better.trim_matches('_').to_owned();
        let what =
            format!("`{}` cannot name {what}: names are a-z, 0-9 and _, begin with a letter and have at most 64 characters", text.value);
        self.report.suggest(text.at, what, Some(better).filter(|b| good(b)));
        None
    }

    fn parse(&mut self, text: &Text) -> Option<Ast> {
        match syntax::parse(&text.value) {
            Ok(ast) => Some(ast),
            Err(error) => {
                self.report_errors(text, vec![error]);
                None
            }
        }
    }

    fn report_errors(&mut self, text: &Text, errors: Vec<ExprError>) {
        for error in errors {
            self.report.suggest(text.place(error.at.start), error.what, error.next);
        }
    }

    fn compile(&mut self, text: &Text, ast: &Ast, shown: &str, scope: &mut dyn Scope) -> Option<Program> {
        match compile_ast(ast, shown, scope) {
            Ok(program) => Some(program),
            Err(errors) => {
                self.report_errors(text, errors);
                None
            }
        }
    }

    /// An expression over events of `kind`, which is one of `kinds` that it is compiled for.
    fn event_program(&mut self, text: &Text, ast: &Ast, kind: &str, kinds: &[String], role: Role) -> Option<Program> {
        let shown = if role == Role::Argument { ast.to_string() } else { text.value.clone() };
        match compile_ast(ast, &shown, &mut EventScope { schemas: self.schemas, wanted: self.wanted, kind, kinds, role }) {
            Ok(program) => Some(program),
            Err(errors) => {
                self.report_errors(text, errors);
                None
            }
        }
    }

    /// An expression over events that is true, false or unknown.
    fn condition(&mut self, text: &Text, ast: &Ast, kind: &str, kinds: &[String], role: Role) -> Option<Program> {
        let program = self.event_program(text, ast, kind, kinds, role)?;
        self.expect_truth(text, ast, &program, "a condition").then_some(program)
    }

    fn expect_truth(&mut self, text: &Text, ast: &Ast, program: &Program, what: &str) -> bool {
        let fine = matches!(program.kind(), ValueType::Bool | ValueType::Any);
        if !fine {
            self.report.add(
                text.place(ast.at.start),
                format!("{what} is true or false, `{ast}` is {}: compare it with something", program.kind()),
            );
        }
        fine
    }
}

/// What all windows of a pipeline share.
struct Content<'a> {
    kinds: &'a [String],
    /// Canonical.
    filter: Option<String>,
    zone: &'a (String, TimeZone),
}

fn sorted_names(names: &[String]) -> String {
    let mut names = names.to_vec();
    names.sort();
    names.join(",")
}

/// A hash over named parts: lengths go in too, so that no two contents read alike.
struct Version(Sha256);

impl Version {
    fn of(what: &str) -> Version {
        let mut version = Version(Sha256::new());
        version.add("what", what);
        version
    }

    fn add(&mut self, name: &str, value: &str) -> &mut Version {
        self.0.update(format!("{name} {}\n{value}\n", value.len()));
        self
    }

    fn hex(self) -> String {
        self.0.finalize().iter().map(|b| format!("{b:02x}")).collect()
    }
}
