//! Registry files from a folder. The only I/O of `registry`; everything else works on the texts this gives.
//!
//! Owns: which files of a folder are the registry. Refuses to know: what the files mean.
//!
//! Invariants
//! 1. Read are `.geojson`, `.yaml`, `.yml`, `.csv` anywhere below the folder, and `.md` below `sop/`; names that begin with a dot are passed over.
//! 2. Paths are relative, with `/`; the map is ordered, so the folder's own order does not matter.
//!
//! Called by: `cli`, `app`, tests.

use super::RegistryFiles;
use std::io;
use std::path::Path;

const MAX_DEPTH: usize = 8;

/// Reads the registry's folder. A text that is not UTF-8 is an error that names the file.
pub fn read_dir(path: impl AsRef<Path>) -> io::Result<RegistryFiles> {
    let mut files = RegistryFiles::default();
    read_into(path.as_ref(), "", 0, &mut files)?;
    Ok(files)
}

fn read_into(folder: &Path, prefix: &str, depth: usize, files: &mut RegistryFiles) -> io::Result<()> {
    let named = |path: &Path, e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
    for entry in std::fs::read_dir(folder).map_err(|e| named(folder, e))? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|n| n.to_str()).filter(|n| !n.starts_with('.')) else { continue };
        let relative = format!("{prefix}{name}");
        if path.is_dir() {
            if depth < MAX_DEPTH {
                read_into(&path, &format!("{relative}/"), depth + 1, files)?;
            }
        } else if is_registry_file(&relative) {
            let text = std::fs::read_to_string(&path).map_err(|e| named(&path, e))?;
            files.files.insert(relative, text);
        }
    }
    Ok(())
}

fn is_registry_file(relative: &str) -> bool {
    match relative.rsplit_once('.') {
        Some((_, "geojson" | "yaml" | "yml" | "csv")) => true,
        Some((_, "md")) => relative.starts_with("sop/"),
        _ => false,
    }
}
