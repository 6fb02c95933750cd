//! The tokens of one installation, as a file in the data folder.
//!
//! Owns: `tokens.json`: its shape, its making, its changes. Refuses to know: cookies, requests, which areas exist.
//!
//! Invariants
//! 1. A token is 256 random bits, shown once as `ioc_<base64url>`; only its sha256 is kept.
//! 2. The file is replaced whole (new file, fsync, rename, fsync of the folder), readable by its owner only; changes exclude each other
//!    by a lock on `tokens.lock`.
//! 3. A file that cannot be read is an error, never "no tokens".
//!
//! Called by: cli (`ioc token create|list|revoke`), auth (reads).

use crate::server::wire::Role;
use crate::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

pub const FILE: &str = "tokens.json";
const NEW_FILE: &str = "tokens.json.new";
const LOCK_FILE: &str = "tokens.lock";
const PREFIX: &str = "ioc_";
/// So many tokens may exist; each sign-in looks at all of them.
const MOST: usize = 10_000;

/// sha256 of a token.
pub type TokenHash = [u8; 32];

/// One token as kept. The token itself cannot be had from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// 8 hexadecimal digits; names the token where its name is not at hand.
    pub id: String,
    pub name: String,
    pub role: Role,
    /// Area or group codes; empty: the whole province.
    pub areas: Vec<String>,
    /// Empty: all sectors.
    pub sectors: Vec<String>,
    /// sha256 of the token, 64 hexadecimal digits.
    pub hash: String,
    /// Milliseconds since 1970.
    pub created: i64,
    pub expires: Option<i64>,
}

impl TokenRecord {
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now.millis())
    }
}

/// What the person who makes a token decides.
#[derive(Clone, Debug, PartialEq)]
pub struct NewToken {
    pub name: String,
    pub role: Role,
    pub areas: Vec<String>,
    pub sectors: Vec<String>,
    pub expires: Option<Timestamp>,
}

#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("{path}: {error}; check that the data folder exists and belongs to the user who runs this")]
    File { path: PathBuf, error: std::io::Error },
    #[error("{path} is not a token file ({error}); restore it, or move it away and make new tokens")]
    Content { path: PathBuf, error: serde_json::Error },
    #[error("a token named {name:?} exists (id {id}); choose another name, or first `ioc token revoke {id}`")]
    NameTaken { name: String, id: String },
    #[error("a token needs a name of 1 to 100 characters without control characters: --name \"Gia Nghĩa, duty desk\"")]
    BadName,
    #[error("the role local sees named areas only: add --area CODE")]
    LocalWithoutArea,
    #[error("no token has the id or name {0:?}; `ioc token list` shows all")]
    Unknown(String),
    #[error("there are {MOST} tokens already; revoke those that are no longer used")]
    TooMany,
    #[error("the system gives no random bytes: {0}")]
    Random(#[from] getrandom::Error),
}

#[derive(Debug, Serialize, Deserialize)]
struct TokenFile {
    version: u32,
    tokens: Vec<TokenRecord>,
}

/// Makes a token and keeps its hash. The text is to be shown once and kept by its user.
pub fn create(folder: &Path, new: NewToken, now: Timestamp) -> Result<(String, TokenRecord), TokenError> {
    let name = new.name.trim();
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(TokenError::BadName);
    }
    if new.role == Role::Local && new.areas.is_empty() {
        return Err(TokenError::LocalWithoutArea);
    }
    let _lock = lock(folder)?;
    let mut tokens = list(folder)?;
    if let Some(taken) = tokens.iter().find(|token| token.name == name) {
        return Err(TokenError::NameTaken { name: name.to_owned(), id: taken.id.clone() });
    }
    if tokens.len() >= MOST {
        return Err(TokenError::TooMany);
    }
    let text = format!("{PREFIX}{}", random_text()?);
    let mut id = [0u8; 4];
    getrandom::fill(&mut id)?;
    let record = TokenRecord {
        id: hex(&id),
        name: name.to_owned(),
        role: new.role,
        areas: new.areas,
        sectors: new.sectors,
        hash: hex(&hash(&text)),
        created: now.millis(),
        expires: new.expires.map(Timestamp::millis),
    };
    tokens.push(record.clone());
    write(folder, tokens)?;
    Ok((text, record))
}

/// All tokens, in the order in which they were made; none where there is no file.
pub fn list(folder: &Path) -> Result<Vec<TokenRecord>, TokenError> {
    let path = folder.join(FILE);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(TokenError::File { path, error }),
    };
    let file: TokenFile = serde_json::from_slice(&bytes).map_err(|error| TokenError::Content { path, error })?;
    Ok(file.tokens)
}

/// Takes a token out of force, by id or name. A running server notices within seconds.
pub fn revoke(folder: &Path, id_or_name: &str) -> Result<TokenRecord, TokenError> {
    let _lock = lock(folder)?;
    let mut tokens = list(folder)?;
    let by_id = tokens.iter().position(|token| token.id == id_or_name);
    let at = by_id.or_else(|| tokens.iter().position(|token| token.name == id_or_name));
    let at = at.ok_or_else(|| TokenError::Unknown(id_or_name.to_owned()))?;
    let gone = tokens.remove(at);
    write(folder, tokens)?;
    Ok(gone)
}

fn lock(folder: &Path) -> Result<File, TokenError> {
    let path = folder.join(LOCK_FILE);
    let opened = owner_only(OpenOptions::new().create(true).truncate(false).write(true)).open(&path);
    let locked = opened.and_then(|file| file.lock().map(|()| file));
    locked.map_err(|error| TokenError::File { path, error })
}

fn write(folder: &Path, tokens: Vec<TokenRecord>) -> Result<(), TokenError> {
    let path = folder.join(NEW_FILE);
    let in_file = |error| TokenError::File { path: path.clone(), error };
    let text = serde_json::to_vec_pretty(&TokenFile { version: 1, tokens }).map_err(std::io::Error::from).map_err(in_file)?;
    // A left-over of a crash may have other rights: it is not written into.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(in_file(error)),
        _ => {}
    }
    let mut file = owner_only(OpenOptions::new().create_new(true).write(true)).open(&path).map_err(in_file)?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(in_file)?;
    std::fs::rename(&path, folder.join(FILE)).map_err(in_file)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(in_file)
}

#[cfg(unix)]
fn owner_only(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600)
}

#[cfg(not(unix))]
fn owner_only(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// 256 random bits as base64url.
pub fn random_text() -> Result<String, getrandom::Error> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

pub fn hash(text: &str) -> TokenHash {
    Sha256::digest(text.as_bytes()).into()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

    fn new(name: &str) -> NewToken {
        NewToken { name: name.into(), role: Role::Operator, areas: vec![], sectors: vec![], expires: None }
    }

    #[test]
    fn a_token_has_256_random_bits_and_is_kept_hashed() {
        let folder = tempfile::tempdir().unwrap();
        let (text, record) = create(folder.path(), new("desk"), NOW).unwrap();
        let (other, _) = create(folder.path(), new("wall"), NOW).unwrap();
        assert_ne!(text, other);
        assert_eq!(URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX).unwrap()).unwrap().len(), 32);
        let file = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert!(!file.contains(&text[4..]) && file.contains(&record.hash));
        assert_eq!(record.hash, hex(&hash(&text)));
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_its_owners_only_even_after_a_crash_left_one_behind() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(NEW_FILE), "half").unwrap();
        create(folder.path(), new("desk"), NOW).unwrap();
        let mode = std::fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!folder.path().join(NEW_FILE).exists());
    }

    #[test]
    fn revoking_by_id_or_name_takes_one_out() {
        let folder = tempfile::tempdir().unwrap();
        let (_, desk) = create(folder.path(), new("desk"), NOW).unwrap();
        create(folder.path(), new("wall"), NOW).unwrap();
        revoke(folder.path(), "wall").unwrap();
        assert_eq!(list(folder.path()).unwrap(), vec![desk.clone()]);
        revoke(folder.path(), &desk.id).unwrap();
        assert!(list(folder.path()).unwrap().is_empty());
        assert!(matches!(revoke(folder.path(), "desk"), Err(TokenError::Unknown(_))));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        create(folder.path(), new("desk"), NOW).unwrap();
        assert!(matches!(create(folder.path(), new(" desk "), NOW), Err(TokenError::NameTaken { .. })));
        assert!(matches!(create(folder.path(), new("  "), NOW), Err(TokenError::BadName)));
        let local = NewToken { role: Role::Local, ..new("ward") };
        assert!(matches!(create(folder.path(), local, NOW), Err(TokenError::LocalWithoutArea)));
        std::fs::write(folder.path().join(FILE), "{").unwrap();
        assert!(matches!(list(folder.path()), Err(TokenError::Content { .. })));
    }
}
