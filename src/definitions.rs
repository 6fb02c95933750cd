//! Pipelines, schemas and registry as files, and compiled: the part of the input that decides results (D2).
//!
//! Owns: [`Definitions`] (texts by path) and how they become a [`Setup`]; [`Ground`], on which scenarios stand. Refuses to know: settings, lanes, the journal.
//!
//! Invariants
//! 1. Equal texts, equal `Setup::version`, wherever they lie.
//! 2. `compile` gives a setup or all mistakes of all files at once.
//!
//! Called by: app, cli, file runs, recovery (with texts from the journal), scenarios.

use crate::engine::setup::{Setup, Versions};
use crate::event::decode::{DecodePlan, Wanted};
use crate::event::schema::SchemaSet;
use crate::pipeline::compile::{Known, compile_alone, compile_pipelines};
use crate::pipeline::personal::Personal;
use crate::registry::{Registry, RegistryFiles};
use crate::time::Span;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

#[derive(Debug, Error)]
#[error("cannot read {path}: {source}; check --{option} and who may read it")]
pub struct ReadError {
    path: PathBuf,
    option: &'static str,
    source: io::Error,
}

/// Texts by path: "pipelines/traffic_loop.yaml", "schemas/traffic.loop.json", "registry/areas/layers.yaml".
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Definitions {
    pub files: BTreeMap<String, String>,
}

/// Everything wrong with a set of definitions, each a line "file:line:column: what".
#[derive(Debug, Error)]
#[error("{}", .0.join("\n"))]
pub struct Mistakes(pub Vec<String>);

const FOLDERS: [&str; 3] = ["pipelines", "schemas", "registry"];

impl Definitions {
    /// Reads three folders; `schemas` and `registry` may be absent where the run has none.
    pub fn read(pipelines: &Path, schemas: Option<&Path>, registry: Option<&Path>) -> Result<Definitions, ReadError> {
        Definitions::read_folders(Some(pipelines), schemas, registry)
    }

    /// Without pipelines: what [`Ground`] is made of.
    pub fn read_ground(schemas: &Path, registry: &Path) -> Result<Definitions, ReadError> {
        Definitions::read_folders(None, Some(schemas), Some(registry))
    }

    fn read_folders(pipelines: Option<&Path>, schemas: Option<&Path>, registry: Option<&Path>) -> Result<Definitions, ReadError> {
        let mut files = BTreeMap::new();
        let error = |option: &'static str, path: &Path| {
            let path = path.to_owned();
            move |source| ReadError { path, option, source }
        };
        for (folder, ending, path) in [("pipelines", ".yaml", pipelines), ("schemas", ".json", schemas)] {
            let Some(path) = path else { continue };
            let mut names = Vec::new();
            for entry in std::fs::read_dir(path).map_err(error(folder, path))? {
                names.push(entry.map_err(error(folder, path))?.file_name().to_string_lossy().into_owned());
            }
            let wanted = |n: &&String| n.ends_with(ending) && !n.ends_with(".test.yaml") && !n.ends_with(".map.yaml");
            for name in names.iter().filter(wanted) {
                let file = path.join(name);
                files.insert(format!("{folder}/{name}"), std::fs::read_to_string(&file).map_err(error(folder, &file))?);
            }
        }
        if let Some(path) = registry {
            let read = crate::registry::read_dir(path).map_err(error("registry", path))?;
            files.extend(read.files.into_iter().map(|(name, text)| (format!("registry/{name}"), text)));
        }
        Ok(Definitions { files })
    }

    /// The texts below a folder, by path within it.
    fn below(&self, folder: &str) -> BTreeMap<String, String> {
        let within = self.files.iter().filter_map(|(path, text)| Some((path.strip_prefix(folder)?.strip_prefix('/')?, text)));
        within.map(|(path, text)| (path.to_owned(), text.clone())).collect()
    }

    /// sha256 over paths and texts, 64 hex digits.
    pub fn version(&self) -> String {
        let mut sha = Sha256::new();
        for part in self.files.iter().flat_map(|(path, text)| [path, text]) {
            sha.update((part.len() as u64).to_le_bytes());
            sha.update(part.as_bytes());
        }
        sha.finalize().iter().map(|b| format!("{b:02x}")).collect()
    }

    /// All of it, or all mistakes. `max_behind`: T1's bound, none for files.
    pub fn compile(&self, max_behind: Option<Span>) -> Result<Setup, Mistakes> {
        let mut mistakes = Vec::new();
        let schemas = SchemaSet::parse(&self.named("schemas")).unwrap_or_else(|errors| {
            mistakes.extend(errors.iter().map(ToString::to_string));
            SchemaSet::default()
        });
        let registry = Registry::parse(&RegistryFiles { files: self.below("registry") }).unwrap_or_else(|errors| {
            mistakes.extend(errors.iter().map(|e| format!("registry/{e}")));
            Registry::default()
        });
        let mut wanted = Wanted::default();
        let pipelines =
            compile_pipelines(&self.named("pipelines"), &schemas, &known(&registry, self), &mut wanted).unwrap_or_else(|errors| {
                mistakes.extend(errors.iter().map(ToString::to_string));
                Vec::new()
            });
        if !mistakes.is_empty() {
            return Err(Mistakes(mistakes));
        }
        let plan = Arc::new(DecodePlan::compile(&schemas, &wanted));
        let areas = Definitions {
            files: self.files.iter().filter(|(p, _)| p.starts_with("registry/areas/")).map(|(p, t)| (p.clone(), t.clone())).collect(),
        };
        let versions = Versions { all: self.version(), areas: areas.version() };
        let slow = schemas.slow_types().map(|(kind, keywords)| (kind.to_owned(), keywords.to_vec())).collect();
        // an object's class is that of all it holds
        let within = |path: &str| path.match_indices('.').map(|(at, _)| at).chain([path.len()]).collect::<Vec<_>>();
        let is_personal = |kind: &str, path: &str| within(path).into_iter().any(|at| schemas.personal(kind, &path[..at]).is_some());
        let personal = Personal::of(&pipelines, &wanted, &is_personal);
        let mut setup = Setup::new(pipelines, plan, Arc::new(registry), versions, max_behind);
        setup.slow_types = slow;
        setup.personal = personal;
        Ok(setup)
    }

    fn named(&self, folder: &str) -> BTreeMap<String, String> {
        self.below(folder).into_iter().map(|(path, text)| (format!("{folder}/{path}"), text)).collect()
    }

    /// The Markdown of a procedure, by the path that rules name.
    pub fn procedure(&self, path: &str) -> Option<&str> {
        self.files.get(&format!("registry/{path}")).map(String::as_str)
    }

    pub fn folders() -> [&'static str; 3] {
        FOLDERS
    }
}

/// Schemas and registry, compiled once for the setups of many scenarios.
pub struct Ground {
    definitions: Definitions,
    schemas: SchemaSet,
    registry: Arc<Registry>,
}

impl Ground {
    /// Of the `schemas` and `registry` of these definitions.
    pub fn new(definitions: Definitions) -> Result<Ground, Mistakes> {
        let registry = Registry::parse(&RegistryFiles { files: definitions.below("registry") })
            .map_err(|errors| Mistakes(errors.iter().map(|e| format!("registry/{e}")).collect()))?;
        Ground::on(definitions, Arc::new(registry))
    }

    /// The same where their registry has been read already.
    pub fn on(definitions: Definitions, registry: Arc<Registry>) -> Result<Ground, Mistakes> {
        let schemas =
            SchemaSet::parse(&definitions.named("schemas")).map_err(|errors| Mistakes(errors.iter().map(ToString::to_string).collect()))?;
        Ok(Ground { definitions, schemas, registry })
    }

    /// A setup of one pipeline; `sources` (YAML), if there are any, stand in the place of the registry's: who is not of the story is
    /// neither expected nor silent in it. `scenario` names them in messages.
    pub fn setup(&self, path: &str, pipeline: &str, scenario: &str, sources: &str) -> Result<Setup, Mistakes> {
        let registry = if sources.is_empty() { self.registry.clone() } else { Arc::new(self.replaced(scenario, sources)?) };
        let mut wanted = Wanted::default();
        let pipelines = compile_alone((path, pipeline), &self.schemas, &known(&registry, &self.definitions), &mut wanted)
            .map_err(|errors| Mistakes(errors.iter().map(ToString::to_string).collect()))?;
        let plan = Arc::new(DecodePlan::compile(&self.schemas, &wanted));
        // nothing of a scenario is kept, so nothing asks for its version
        Ok(Setup::new(pipelines, plan, registry, Versions::default(), None))
    }

    fn replaced(&self, scenario: &str, sources: &str) -> Result<Registry, Mistakes> {
        let mut files = RegistryFiles { files: self.definitions.below("registry") };
        files.files.retain(|path, _| !path.starts_with("sources/"));
        let name = format!("sources/{scenario}");
        files.files.insert(name, sources.to_owned());
        self.registry.with(&files).map_err(|errors| {
            let place = |e: String| {
                e.strip_prefix("sources/").filter(|rest| rest.starts_with(scenario)).map_or(format!("registry/{e}"), str::to_owned)
            };
            Mistakes(errors.iter().map(|e| place(e.to_string())).collect())
        })
    }
}

/// The names that pipelines may use.
fn known(registry: &Registry, definitions: &Definitions) -> Known {
    let attributes: BTreeSet<String> = registry.sources.iter().flat_map(|s| s.attributes.keys().cloned()).collect();
    let sops = definitions.files.keys().filter_map(|p| p.strip_prefix("registry/")).filter(|p| p.starts_with("sop/"));
    Known {
        sectors: (!registry.sectors.is_empty()).then(|| registry.sectors.iter().map(|s| s.code.clone()).collect()),
        source_attributes: (!registry.sources.is_empty()).then_some(attributes),
        sops: Some(sops.map(str::to_owned).collect()),
        indicators: Some(
            registry.indicators.iter().map(|i| (i.code.clone(), i.names().map(str::to_owned).collect::<BTreeSet<_>>())).collect(),
        ),
        limits: Some(registry.calendar.limits.keys().cloned().collect()),
        no_calendar: registry.calendar.working.years().next().is_none(),
    }
}
