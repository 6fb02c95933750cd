//! What the tree promises about itself, read from the files: layers, purity, sizes, headers, names, the README's tree.
//!
//! Owns: these rules. Refuses to know: what the program does. Called by: `cargo test`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Modules of `src/` in order: one uses only itself and what stands above it.
const LAYERS: [&str; 23] = [
    "time",
    "event",
    "geo",
    "registry",
    "pipeline",
    "engine",
    "scenario",
    "simulate",
    "settings",
    "disk",
    "definitions",
    "ingest",
    "store",
    "journal",
    "checkpoint",
    "notify",
    "server",
    "telemetry",
    "driver",
    "replay",
    "file_run",
    "app",
    "cli",
];

/// Without clock, input, output, threads, chance.
const PURE: [&str; 8] = ["time", "event", "geo", "registry", "pipeline", "engine", "scenario", "simulate"];
/// Single files that are pure though their module is not.
const PURE_FILES: [&str; 1] = ["src/server/board.rs"];
/// The one file of a pure module that reads files.
const READS_FILES: &str = "src/registry/files.rs";
const IMPURE: [&str; 17] = [
    "std::time",
    "std::fs",
    "std::net",
    "std::thread",
    "std::env",
    "std::process",
    "std::sync::mpsc",
    "SystemTime",
    "Instant",
    "tokio",
    "rand",
    "getrandom",
    "rusqlite",
    "reqwest",
    "rdkafka",
    "async",
    "RandomState",
];

const CLOCK: [&str; 2] = ["src/driver/mod.rs", "src/ingest/log/writer.rs"];
const BANNED_NAMES: [&str; 8] = ["manager", "helper", "helpers", "util", "utils", "common", "misc", "processor"];
const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 70;

/// Folders that are made, not kept.
const MADE: [&str; 7] = [".git", "target", "node_modules", "dist", "data", "shots", "work"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Every kept file below `folder`, as paths from the root, ordered.
fn files(folder: &str) -> Vec<String> {
    fn walk(at: &Path, out: &mut Vec<String>) {
        for entry in fs::read_dir(at).unwrap_or_else(|e| panic!("{}: {e}", at.display())).map(|e| e.unwrap()) {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if path.is_symlink() || (path.is_dir() && MADE.contains(&name.as_str())) || name == ".git" || name == ".env" {
                continue;
            }
            if path.is_dir() {
                walk(&path, out);
            } else {
                out.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut out = Vec::new();
    walk(&root().join(folder), &mut out);
    out.sort();
    out
}

fn rust_files(folder: &str) -> Vec<String> {
    files(folder).into_iter().filter(|f| f.ends_with(".rs")).collect()
}

/// The text with comments and the insides of texts blanked, line by line as before: what the compiler sees as words.
fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |n| at + n),
            b'/' if bytes[at..].starts_with(b"/*") => text[at + 2..].find("*/").map_or(bytes.len(), |n| at + n + 4),
            b'"' => end_of_text(bytes, at),
            b'r' | b'b' if !before_is_word(bytes, at) => end_of_raw(text, at).unwrap_or(at),
            b'\'' => end_of_char(text, at).unwrap_or(at),
            _ => at,
        };
        if end == at {
            out.push(bytes[at]);
            at += 1;
        } else {
            out.extend(bytes[at..end].iter().map(|b| if *b == b'\n' { b'\n' } else { b' ' }));
            at = end;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn before_is_word(bytes: &[u8], at: usize) -> bool {
    at > 0 && is_word(bytes[at - 1])
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn end_of_text(bytes: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while end < bytes.len() && bytes[end] != b'"' {
        end += if bytes[end] == b'\\' { 2 } else { 1 };
    }
    (end + 1).min(bytes.len())
}

/// `r"…"`, `r#"…"#`, `br"…"`: where it ends, if one begins here.
fn end_of_raw(text: &str, at: usize) -> Option<usize> {
    let rest = text[at..].strip_prefix("br").or_else(|| text[at..].strip_prefix('r'))?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    let body = rest[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    Some(text.len() - body.len() + body.find(&close)? + close.len())
}

/// `'x'`, `'\n'`: where it ends; a lifetime is none.
fn end_of_char(text: &str, at: usize) -> Option<usize> {
    let mut rest = text[at + 1..].chars();
    let first = rest.next()?;
    if first == '\\' {
        rest.next()?;
        return text[text.len() - rest.as_str().len()..].find('\'').map(|n| text.len() - rest.as_str().len() + n + 1);
    }
    (rest.next()? == '\'').then(|| text.len() - rest.as_str().len())
}

/// The place after the item that begins at `at`: past its `;`, or past the brace that closes it.
fn end_of_item(code: &str, at: usize) -> usize {
    let (mut braces, mut others) = (0usize, 0usize);
    for (n, byte) in code.as_bytes()[at..].iter().enumerate() {
        match byte {
            b'{' => braces += 1,
            b'(' | b'[' => others += 1,
            b')' | b']' => others = others.saturating_sub(1),
            b'}' => {
                braces = braces.saturating_sub(1);
                if braces == 0 && others == 0 {
                    return at + n + 1;
                }
            }
            b';' if braces == 0 && others == 0 => return at + n + 1,
            _ => {}
        }
    }
    code.len()
}

/// A source file of `src/` that is built into the program, without its comments and its tests.
struct Source {
    path: String,
    /// As it stands.
    text: String,
    /// Comments, texts and items for tests blanked.
    code: String,
}

impl Source {
    /// Its top-level module: "engine" of `src/engine/merge.rs`.
    fn module(&self) -> &str {
        let rest = self.path.strip_prefix("src/").unwrap();
        rest.split('/').next().unwrap().trim_end_matches(".rs")
    }
}

/// Blanks items under `#[cfg(test)]`; gives the files that such items name.
fn without_tests(path: &str, text: &str) -> (String, Vec<PathBuf>) {
    const MARK: &str = "#[cfg(test)]";
    let mut code = code(text);
    let mut tests = Vec::new();
    while let Some(start) = code.find(MARK) {
        let mut at = start + MARK.len();
        // further attributes of the same item
        while code[at..].trim_start().starts_with("#[") {
            at += code[at..].find(']').unwrap() + 1;
        }
        let end = end_of_item(&code, at);
        let item = &code[at..end];
        if let Some(name) = item.trim().strip_prefix("mod ").or(item.trim().strip_prefix("pub mod ")).and_then(|m| m.strip_suffix(';')) {
            tests.push(file_of_module(path, name.trim(), &text[start..end]));
        }
        let blank: String = code[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        code.replace_range(start..end, &blank);
    }
    (code, tests)
}

fn file_of_module(path: &str, name: &str, item: &str) -> PathBuf {
    let path = Path::new(path);
    let (folder, stem) = (path.parent().unwrap(), path.file_stem().unwrap().to_str().unwrap());
    if let Some(named) = item.split("#[path = \"").nth(1).and_then(|rest| rest.split('"').next()) {
        return folder.join(named);
    }
    let inner = if matches!(stem, "mod" | "lib" | "main") { folder.to_owned() } else { folder.join(stem) };
    let plain = inner.join(format!("{name}.rs"));
    if root().join(&plain).exists() { plain } else { inner.join(name).join("mod.rs") }
}

/// The program's own files, tests left out.
fn sources() -> Vec<Source> {
    let mut tests = BTreeSet::new();
    let mut all = Vec::new();
    for path in rust_files("src") {
        let text = read(&path);
        let (code, named) = without_tests(&path, &text);
        tests.extend(named);
        all.push(Source { path, text, code });
    }
    let below = |path: &Path| {
        tests.iter().any(|test| path == test || test.file_name().is_some_and(|n| n == "mod.rs") && path.starts_with(test.parent().unwrap()))
    };
    all.retain(|source| !below(Path::new(&source.path)));
    all
}

/// Where `word` stands as a word of its own: line numbers from 1.
fn lines_with(code: &str, word: &str) -> Vec<usize> {
    let bytes = code.as_bytes();
    let alone = |at: usize| !before_is_word(bytes, at) && !bytes.get(at + word.len()).is_some_and(|b| is_word(*b));
    code.match_indices(word).filter(|(at, _)| alone(*at)).map(|(at, _)| line_of(code, at)).collect()
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// The word that begins at `at`.
fn word_at(code: &str, at: usize) -> &str {
    let end = code.as_bytes()[at..].iter().position(|b| !is_word(*b)).map_or(code.len(), |n| at + n);
    &code[at..end]
}

fn hold(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n  {}\n", faults.join("\n  "));
}

#[test]
fn the_modules_are_those_of_the_order() {
    let declared: BTreeSet<String> =
        code(&read("src/lib.rs")).lines().filter_map(|l| l.strip_prefix("pub mod ")?.strip_suffix(';').map(str::to_owned)).collect();
    assert_eq!(declared, LAYERS.iter().map(|l| (*l).to_owned()).collect(), "src/lib.rs and LAYERS of this file");
}

#[test]
fn a_module_uses_only_what_stands_above_it() {
    let place: BTreeMap<&str, usize> = LAYERS.iter().enumerate().map(|(n, l)| (*l, n)).collect();
    let mut faults = Vec::new();
    for source in sources() {
        let Some(own) = place.get(source.module()) else { continue };
        for (at, _) in source.code.match_indices("crate::") {
            let used = word_at(&source.code, at + "crate::".len());
            let line = line_of(&source.code, at);
            match place.get(used) {
                Some(other) if other <= own => {}
                Some(_) => faults.push(format!("{}:{line}: {} uses {used}, which stands below it", source.path, source.module())),
                None => faults.push(format!("{}:{line}: `crate::{used}`: name the module, one `use` a module", source.path)),
            }
        }
        // `super` must not reach the crate's root: the edge would not be seen here
        let depth = source.path.matches('/').count() - usize::from(source.path.ends_with("/mod.rs"));
        for (at, _) in source.code.match_indices(&"super::".repeat(depth.max(1))) {
            faults.push(format!("{}:{}: write `crate::`, not `super::`", source.path, line_of(&source.code, at)));
        }
    }
    hold(faults);
}

#[test]
fn pure_modules_know_no_clock_no_input_no_threads_no_chance() {
    let pure = |s: &Source| (PURE.contains(&s.module()) && s.path != READS_FILES) || PURE_FILES.contains(&s.path.as_str());
    let mut faults = Vec::new();
    for source in sources().iter().filter(|s| pure(s)) {
        for word in IMPURE {
            faults.extend(lines_with(&source.code, word).iter().map(|line| format!("{}:{line}: `{word}`", source.path)));
        }
    }
    hold(faults);
}

#[test]
fn the_wall_clock_is_read_in_two_places() {
    let sources = sources();
    let readers: Vec<&str> = sources.iter().filter(|s| s.code.contains("SystemTime::now")).map(|s| s.path.as_str()).collect();
    assert_eq!(readers, CLOCK);
}

#[test]
fn files_and_functions_are_short() {
    let mut faults = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > FILE_LINES {
            faults.push(format!("{}: {lines} lines, at most {FILE_LINES}", source.path));
        }
        for (at, _) in source.code.match_indices("fn ") {
            let name = word_at(&source.code, at + 3);
            if before_is_word(source.code.as_bytes(), at) || name.is_empty() {
                continue;
            }
            let lines = source.code[at..end_of_item(&source.code, at)].matches('\n').count() + 1;
            if lines > FUNCTION_LINES {
                faults.push(format!(
                    "{}:{}: fn {name} has {lines} lines, at most {FUNCTION_LINES}",
                    source.path,
                    line_of(&source.code, at)
                ));
            }
        }
    }
    hold(faults);
}

#[test]
fn each_file_says_what_it_owns_what_it_refuses_to_know_and_who_calls_it() {
    let mut faults = Vec::new();
    for source in sources() {
        let head: String = source.text.lines().take_while(|l| l.starts_with("//!")).collect::<Vec<_>>().join("\n");
        if head.is_empty() {
            faults.push(format!("{}: does not open with `//!`", source.path));
        } else if !matches!(source.path.as_str(), "src/lib.rs" | "src/main.rs") {
            let missing = ["Owns", "Refuses", "Called by"].into_iter().filter(|word| !head.contains(word));
            faults.extend(missing.map(|word| format!("{}: its header does not say \"{word}\"", source.path)));
        }
    }
    hold(faults);
}

#[test]
fn names_say_what_a_thing_is() {
    let mut faults = Vec::new();
    let banned = |name: &str| words(name).into_iter().find(|w| BANNED_NAMES.contains(&w.as_str()));
    for path in ["src", "tests", "dashboard", "bench"].iter().flat_map(|folder| files(folder)) {
        let stem = path.rsplit('/').next().unwrap().split('.').next().unwrap();
        if let Some(word) = banned(stem) {
            faults.push(format!("{path}: a file named \"{word}\" says nothing"));
        }
    }
    for path in ["src", "tests"].iter().flat_map(|folder| rust_files(folder)) {
        let code = code(&read(&path));
        for keyword in ["fn ", "struct ", "enum ", "trait ", "type ", "mod "] {
            for (at, _) in code.match_indices(keyword).filter(|(at, _)| !before_is_word(code.as_bytes(), *at)) {
                let name = word_at(&code, at + keyword.len());
                if let Some(word) = banned(name) {
                    faults.push(format!("{path}:{}: {keyword}{name}: \"{word}\" says nothing", line_of(&code, at)));
                }
            }
        }
    }
    hold(faults);
}

/// "ReadManager" and "read_manager" → read, manager.
fn words(name: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    for c in name.chars() {
        if c == '_' || c == '-' || c.is_uppercase() {
            out.push(String::new());
        }
        if c.is_alphanumeric() {
            out.last_mut().unwrap().extend(c.to_lowercase());
        }
    }
    out
}

#[test]
fn nothing_is_left_out_or_put_off() {
    let mut faults = Vec::new();
    for path in ["src", "tests", "examples", "bench"].iter().flat_map(|folder| rust_files(folder)) {
        let code = code(&read(&path));
        for word in ["#[ignore", "todo!(", "unimplemented!(", "dbg!("] {
            faults.extend(code.match_indices(word).map(|(at, _)| format!("{path}:{}: `{word}`", line_of(&code, at))));
        }
        for (at, _) in code.match_indices("#[allow(").chain(code.match_indices("#![allow(")) {
            // what bench/ builds is no part of the program
            if !path.starts_with("bench/") && !code[at..].split(']').next().unwrap().contains("reason") {
                faults.push(format!("{path}:{}: `allow` without a reason", line_of(&code, at)));
            }
        }
    }
    for path in ["dashboard/test", "dashboard/e2e"].iter().flat_map(|folder| files(folder)) {
        // pictures are no text
        let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
        faults.extend([".skip(", ".only(", ".todo("].iter().filter(|w| text.contains(**w)).map(|word| format!("{path}: `{word}`")));
    }
    hold(faults);
}

#[test]
fn no_file_names_a_folder_outside_the_tree() {
    let mut faults = Vec::new();
    // put together here, else this file would name them
    let outside = [["/wo", "rk/"].concat(), ["../sha", "red"].concat()];
    for path in files("") {
        let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
        for word in &outside {
            let alone = |at: usize| word.starts_with('.') || !before_is_word(text.as_bytes(), at);
            let found = text.match_indices(word.as_str()).filter(|(at, _)| alone(*at));
            faults.extend(found.map(|(at, _)| format!("{path}:{}: {word}", line_of(&text, at))));
        }
    }
    hold(faults);
}

/// The block of README.md that draws the tree: (indent, name) a line.
fn drawn() -> Vec<(usize, String)> {
    let text = read("README.md");
    let block =
        text.split("## The tree").nth(1).and_then(|rest| rest.split("```").nth(1)).expect("README.md has a block under \"## The tree\"");
    let lines = block.lines().skip(1).filter(|l| !l.trim().is_empty());
    lines.map(|l| (l.len() - l.trim_start().len(), l.split_whitespace().next().unwrap().to_owned())).collect()
}

/// What lies in a folder, as the README draws it: folders with a slash, made things and files that begin with a dot left out.
fn entries(folder: &str) -> BTreeSet<String> {
    let read = fs::read_dir(root().join(folder)).unwrap().map(|e| e.unwrap());
    let named = read.map(|e| (e.file_name().into_string().unwrap(), e.path().is_dir()));
    let kept = named.filter(|(name, _)| !MADE.contains(&name.as_str()) && (!name.starts_with('.') || name == ".ci"));
    kept.map(|(name, folder)| if folder { format!("{name}/") } else { name }).collect()
}

#[test]
fn the_readme_draws_the_tree_as_it_is() {
    let drawn = drawn();
    let top: BTreeSet<String> = drawn.iter().filter(|(indent, _)| *indent == 0).map(|(_, name)| name.clone()).collect();
    assert_eq!(top, entries(""), "top of the tree: README.md, then the folder");

    let after = drawn.iter().skip_while(|(_, name)| name != "src/").skip(1);
    let inner: Vec<String> = after.take_while(|(indent, _)| *indent > 0).map(|(_, name)| name.clone()).collect();
    let modules: Vec<&str> = inner.iter().map(|n| n.trim_end_matches('/').trim_end_matches(".rs")).collect();
    let order: Vec<&str> = ["main", "lib"].into_iter().chain(LAYERS).collect();
    assert_eq!(modules, order, "src/ in README.md stands in the order of the layers");
    for name in inner {
        let path = root().join("src").join(&name);
        assert!(path.exists(), "README.md draws src/{name}, which is not there");
        assert_eq!(path.is_dir(), name.ends_with('/'), "src/{name}");
    }
}

#[test]
fn comments_and_texts_are_no_code() {
    let text = "let a = \"// tokio\"; // tokio\nlet b = r#\"a \" tokio\"#; /* tokio */ let c = '\"'; let d: &'static str = b\"tokio\";";
    assert_eq!(lines_with(&code(text), "tokio"), Vec::<usize>::new());
    assert!(code(text).contains("let d: &'static str"));
    assert_eq!(code(text).lines().count(), text.lines().count());
}

/// Blocks of README.md that open with `# path`: a file as a reader would write it.
fn example_files() -> Vec<(String, String)> {
    let text = read("README.md");
    let blocks = text.split("```").skip(1).step_by(2);
    let opened = blocks.filter_map(|b| b.split_once('\n')?.1.strip_prefix("# ")?.split_once('\n'));
    opened.map(|(path, body)| (path.trim().to_owned(), body.to_owned())).collect()
}

#[test]
fn the_readmes_example_loads_beside_what_is_shipped() {
    let folder = tempfile::tempdir().unwrap();
    for path in ["pipelines", "schemas", "registry"].iter().flat_map(|folder| files(folder)) {
        let copy = folder.path().join(&path);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(root().join(&path), copy).unwrap();
    }
    let examples = example_files();
    assert_eq!(
        examples.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(),
        ["registry/sources/reservoirs.csv", "pipelines/reservoir.yaml"]
    );
    for (path, body) in examples {
        fs::write(folder.path().join(path), body).unwrap();
    }
    let [pipelines, schemas, registry] = ["pipelines", "schemas", "registry"].map(|name| folder.path().join(name));
    let definitions = ioc::definitions::Definitions::read(&pipelines, Some(&schemas), Some(&registry)).unwrap();
    if let Err(mistakes) = definitions.compile(None) {
        panic!("{mistakes}");
    }
}

#[test]
fn the_page_has_words_for_what_is_shipped() {
    let [pipelines, schemas, registry] = ["pipelines", "schemas", "registry"].map(|folder| root().join(folder));
    let setup = ioc::definitions::Definitions::read(&pipelines, Some(&schemas), Some(&registry)).unwrap().compile(None).unwrap();
    let words = std::fs::read_to_string(root().join("dashboard/src/i18n/names.ts")).unwrap();
    let windows = || setup.pipelines.iter().flat_map(|p| &p.windows);
    let names: BTreeSet<&str> =
        windows().map(|w| w.measurement.as_str()).chain(windows().flat_map(|w| w.fields.iter().map(|f| f.name.as_str()))).collect();
    let without = names.into_iter().filter(|name| !words.contains(&format!("\n  {name}: [")));
    hold(without.map(|name| format!("dashboard/src/i18n/names.ts has no words for {name}")).collect());
}
