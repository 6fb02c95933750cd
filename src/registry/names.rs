//! `names.yaml`: words for values of tags that events carry as codes.
//!
//! Owns: that file and its types. Refuses to know: which pipelines have such tags.
//!
//! Invariants
//! 1. A code stands once below its tag.
//! 2. Indicators are named by `indicators.yaml`, unless this file names them.
//!
//! Called by: `Registry::parse`.

use super::RegistryFiles;
use super::decode::decode_yaml;
use super::error::{FileError, Place};
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;

const FILE: &str = "names.yaml";

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name {
    pub vi: String,
    /// The Vietnamese name where the file gives no English one.
    pub en: String,
}

/// By tag, by code.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Names {
    by_tag: BTreeMap<String, BTreeMap<String, Name>>,
}

impl Names {
    pub fn get(&self, tag: &str, code: &str) -> Option<&Name> {
        self.by_tag.get(tag)?.get(code)
    }

    /// Names that another file has; what stands in `names.yaml` goes before them.
    pub(super) fn add(&mut self, tag: &str, others: impl Iterator<Item = (String, Name)>) {
        let of_tag = self.by_tag.entry(tag.to_owned()).or_default();
        for (code, name) in others {
            of_tag.entry(code).or_insert(name);
        }
    }

    pub fn by_tag(&self) -> &BTreeMap<String, BTreeMap<String, Name>> {
        &self.by_tag
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamesFile {
    names: BTreeMap<String, Vec<NameEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NameEntry {
    code: Spanned<String>,
    name_vi: String,
    name_en: Option<String>,
}

/// Without the file nothing has a name of this kind.
pub(super) fn decode_names(files: &RegistryFiles, errors: &mut Vec<FileError>) -> Names {
    let mut names = Names::default();
    let Some(text) = files.files.get(FILE) else { return names };
    let tags = match decode_yaml::<NamesFile>(FILE, text) {
        Ok(file) => file.names,
        Err(e) => {
            errors.push(e);
            return names;
        }
    };
    for (tag, entries) in tags {
        let of_tag = names.by_tag.entry(tag.clone()).or_default();
        for NameEntry { code, name_vi, name_en } in entries {
            let name = Name { en: name_en.unwrap_or_else(|| name_vi.clone()), vi: name_vi };
            if of_tag.insert(code.value.clone(), name).is_some() {
                errors.push(FileError::new(
                    FILE,
                    Place::from(code.referenced),
                    format!("{} of {tag} stands twice", code.value),
                    "remove one",
                ));
            }
        }
    }
    names
}
