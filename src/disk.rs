//! The disk as the project's own files see it: what was written, and what survives.
//!
//! Owns: [`Disk`] (the real one, or one in memory that forgets what was not fsynced), atomic replacement of small files, the copy of a
//! folder as a killed process leaves it. Refuses to know: what the bytes mean.
//!
//! Invariants
//! 1. A file's bytes are durable once `DiskFile::sync` returned; a name (created, renamed, removed) once `Disk::sync_dir` returned.
//! 2. After `crash`, the disk in memory holds exactly the durable names with the durable bytes, plus of each file's unsynced tail as much as
//!    the caller says (a torn write).
//! 3. `write_atomic` leaves the old bytes or the new ones, never a mixture, and the new ones once it returned.
//!
//! What is simulated: files written through this module (spool, checkpoints). Bytes of a file reach the platter in order; a file is only
//! ever appended to, truncated or replaced. What is not: SQLite does its own input and output. Its databases run on the real disk; a crash
//! there is [`copy_as_killed`], which keeps every byte that was handed to the system, committed or not, as `kill -9` does. That a power cut
//! keeps what `synchronous=FULL` committed is SQLite's promise (sqlite.org/atomiccommit.html), taken on trust; tests only check that the
//! databases ask for it.
//!
//! Called by: checkpoint, store::spool, store::influx (dead letters); database.rs by whatever keeps SQLite files.

pub mod database;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where files live. Clones see the same disk.
#[derive(Clone, Debug)]
pub enum Disk {
    Real,
    /// For crash tests.
    Memory(Arc<Mutex<Memory>>),
}

/// A file open for appending and reading.
#[derive(Debug)]
pub enum DiskFile {
    Real(File),
    Memory { disk: Arc<Mutex<Memory>>, inode: usize, writable_in: u64 },
}

/// The state of a disk in memory.
#[derive(Debug, Default)]
pub struct Memory {
    inodes: Vec<Inode>,
    live: BTreeMap<PathBuf, usize>,
    durable: BTreeMap<PathBuf, usize>,
    /// Crashes so far: handles from before a crash are dead.
    crashes: u64,
    /// Writes, syncs, renames so far: lets a test stop at each of them.
    steps: u64,
    /// From this step on every operation that changes something fails.
    fail_from: Option<u64>,
}

#[derive(Debug, Default)]
struct Inode {
    bytes: Vec<u8>,
    durable: Vec<u8>,
}

fn locked(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{} does not exist", path.display()))
}

impl Memory {
    fn step(&mut self) -> io::Result<()> {
        if self.fail_from.is_some_and(|n| self.steps >= n) {
            return Err(io::Error::other("the disk in memory was told to fail here"));
        }
        self.steps += 1;
        Ok(())
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        self.live.get(path).copied().ok_or_else(|| not_found(path))
    }
}

impl Disk {
    pub fn memory() -> Disk {
        Disk::Memory(Arc::default())
    }

    pub fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        match self {
            Disk::Real => fs::create_dir_all(dir),
            Disk::Memory(_) => Ok(()),
        }
    }

    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self {
            Disk::Real => fs::read(path),
            Disk::Memory(memory) => {
                let memory = locked(memory);
                Ok(memory.inodes[memory.find(path)?].bytes.clone())
            }
        }
    }

    /// Names and sizes of the files in `dir`, by name; folders are left out.
    pub fn list(&self, dir: &Path) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        match self {
            Disk::Real => {
                for entry in fs::read_dir(dir)? {
                    let entry = entry?;
                    let meta = entry.metadata()?;
                    if let (true, Ok(name)) = (meta.is_file(), entry.file_name().into_string()) {
                        files.push((name, meta.len()));
                    }
                }
                files.sort();
            }
            Disk::Memory(memory) => {
                let memory = locked(memory);
                for (path, inode) in &memory.live {
                    if let (true, Some(name)) = (path.parent() == Some(dir), path.file_name().and_then(|n| n.to_str())) {
                        files.push((name.to_owned(), memory.inodes[*inode].bytes.len() as u64));
                    }
                }
            }
        }
        Ok(files)
    }

    /// Opens for appending and reading, made if missing.
    pub fn open_append(&self, path: &Path) -> io::Result<DiskFile> {
        match self {
            Disk::Real => Ok(DiskFile::Real(OpenOptions::new().create(true).append(true).read(true).open(path)?)),
            Disk::Memory(disk) => {
                let mut memory = locked(disk);
                let inode = match memory.live.get(path) {
                    Some(inode) => *inode,
                    None => {
                        memory.step()?;
                        memory.inodes.push(Inode::default());
                        let inode = memory.inodes.len() - 1;
                        memory.live.insert(path.to_owned(), inode);
                        inode
                    }
                };
                Ok(DiskFile::Memory { disk: disk.clone(), inode, writable_in: memory.crashes })
            }
        }
    }

    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        match self {
            Disk::Real => fs::rename(from, to),
            Disk::Memory(memory) => {
                let mut memory = locked(memory);
                memory.step()?;
                let inode = memory.find(from)?;
                memory.live.remove(from);
                memory.live.insert(to.to_owned(), inode);
                Ok(())
            }
        }
    }

    pub fn remove(&self, path: &Path) -> io::Result<()> {
        match self {
            Disk::Real => fs::remove_file(path),
            Disk::Memory(memory) => {
                let mut memory = locked(memory);
                memory.step()?;
                memory.live.remove(path).map(|_| ()).ok_or_else(|| not_found(path))
            }
        }
    }

    /// Makes the names in `dir` durable.
    pub fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        match self {
            Disk::Real => File::open(dir)?.sync_all(),
            Disk::Memory(memory) => {
                let mut memory = locked(memory);
                memory.step()?;
                memory.durable.retain(|path, _| path.parent() != Some(dir));
                let here: Vec<_> =
                    memory.live.iter().filter(|(path, _)| path.parent() == Some(dir)).map(|(p, i)| (p.clone(), *i)).collect();
                memory.durable.extend(here);
                Ok(())
            }
        }
    }

    /// Replaces `path` by `bytes`: written beside it, fsynced, renamed, folder fsynced.
    pub fn write_atomic(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let dir = path.parent().unwrap_or(Path::new("."));
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(".tmp");
        let beside = dir.join(name);
        let mut file = self.open_append(&beside)?;
        file.set_len(0)?;
        file.write_all(bytes)?;
        file.sync()?;
        self.rename(&beside, path)?;
        self.sync_dir(dir)
    }

    /// Memory only: the power goes. Of each file's bytes beyond the durable ones, `keep(path, unsynced)` many survive.
    pub fn crash(&self, mut keep: impl FnMut(&Path, usize) -> usize) {
        let Disk::Memory(memory) = self else { return };
        let mut memory = locked(memory);
        memory.crashes += 1;
        memory.fail_from = None;
        memory.live = memory.durable.clone();
        for (path, inode) in memory.live.clone() {
            let inode = &mut memory.inodes[inode];
            let common = inode.durable.len();
            if inode.bytes.len() > common && inode.bytes[..common] == inode.durable[..] {
                let tail = keep(&path, inode.bytes.len() - common).min(inode.bytes.len() - common);
                inode.bytes.truncate(common + tail);
            } else {
                inode.bytes = inode.durable.clone();
            }
            inode.durable = inode.bytes.clone();
        }
    }

    /// Memory only: steps taken so far (creations, writes, truncations, syncs, renames, removals).
    pub fn steps(&self) -> u64 {
        match self {
            Disk::Real => 0,
            Disk::Memory(memory) => locked(memory).steps,
        }
    }

    /// Memory only: every step from number `step` on fails, until the next crash.
    pub fn fail_from(&self, step: u64) {
        if let Disk::Memory(memory) = self {
            locked(memory).fail_from = Some(step);
        }
    }
}

impl DiskFile {
    /// Appends; in memory a write that fails may leave a part, as a real one may.
    pub fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            DiskFile::Real(file) => io::Write::write_all(file, bytes),
            DiskFile::Memory { disk, inode, writable_in } => {
                let mut memory = alive(disk, *writable_in)?;
                if let Err(error) = memory.step() {
                    let half = &bytes[..bytes.len() / 2];
                    memory.inodes[*inode].bytes.extend_from_slice(half);
                    return Err(error);
                }
                memory.inodes[*inode].bytes.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Makes the bytes durable.
    pub fn sync(&mut self) -> io::Result<()> {
        match self {
            DiskFile::Real(file) => file.sync_data(),
            DiskFile::Memory { disk, inode, writable_in } => {
                let mut memory = alive(disk, *writable_in)?;
                memory.step()?;
                let inode = &mut memory.inodes[*inode];
                inode.durable = inode.bytes.clone();
                Ok(())
            }
        }
    }

    pub fn set_len(&mut self, len: u64) -> io::Result<()> {
        match self {
            DiskFile::Real(file) => file.set_len(len),
            DiskFile::Memory { disk, inode, writable_in } => {
                let mut memory = alive(disk, *writable_in)?;
                memory.step()?;
                memory.inodes[*inode].bytes.resize(len as usize, 0);
                Ok(())
            }
        }
    }

    /// A second handle on the same file.
    pub fn try_clone(&self) -> io::Result<DiskFile> {
        match self {
            DiskFile::Real(file) => Ok(DiskFile::Real(file.try_clone()?)),
            DiskFile::Memory { disk, inode, writable_in } => {
                Ok(DiskFile::Memory { disk: disk.clone(), inode: *inode, writable_in: *writable_in })
            }
        }
    }

    /// Fills `out` from `offset`; an error if the file ends before.
    pub fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            DiskFile::Real(file) => std::os::unix::fs::FileExt::read_exact_at(file, out, offset),
            DiskFile::Memory { disk, inode, .. } => {
                let memory = locked(disk);
                let bytes = &memory.inodes[*inode].bytes;
                let from = (offset as usize).min(bytes.len());
                let piece = bytes.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
                out.copy_from_slice(piece);
                Ok(())
            }
        }
    }
}

fn alive(disk: &Arc<Mutex<Memory>>, opened_in: u64) -> io::Result<MutexGuard<'_, Memory>> {
    let memory = locked(disk);
    if memory.crashes == opened_in { Ok(memory) } else { Err(io::Error::other("this file was opened before the crash")) }
}

/// Copies a folder with everything below it as `kill -9` leaves it: every byte handed to the system so far, without SQLite's shared-memory
/// index (`-shm`), which a dead process does not leave in use. Opening the copy shows what a restart would find. The databases in it may be
/// open meanwhile, but nobody may be in the middle of a checkpoint of theirs: call it between commits.
pub fn copy_as_killed(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_as_killed(&entry.path(), &target)?;
        } else if !entry.file_name().to_string_lossy().ends_with("-shm") {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_synced_survives() {
        let disk = Disk::memory();
        let (dir, path) = (Path::new("/d"), Path::new("/d/a"));
        let mut file = disk.open_append(path).unwrap();
        file.write_all(b"one").unwrap();
        file.sync().unwrap();
        disk.crash(|_, _| 0);
        assert!(disk.read(path).is_err(), "the name was never synced");

        let mut file = disk.open_append(path).unwrap();
        disk.sync_dir(dir).unwrap();
        file.write_all(b"one").unwrap();
        file.sync().unwrap();
        file.write_all(b"two").unwrap();
        disk.crash(|_, unsynced| unsynced - 1);
        assert_eq!(disk.read(path).unwrap(), b"onetw");
        assert!(file.write_all(b"x").is_err(), "handles die with the machine");

        disk.remove(path).unwrap();
        disk.crash(|_, _| 0);
        assert_eq!(disk.read(path).unwrap(), b"onetw", "the removal was never synced");
    }

    #[test]
    fn an_atomic_write_is_all_or_nothing_at_every_step() {
        for keep_tail in [0, 2, usize::MAX] {
            for step in 0.. {
                let disk = Disk::memory();
                let path = Path::new("/d/state");
                disk.write_atomic(path, b"old").unwrap();
                disk.fail_from(disk.steps() + step);
                let done = disk.write_atomic(path, b"newer");
                disk.crash(|_, unsynced| unsynced.min(keep_tail));
                let found = disk.read(path).unwrap();
                if done.is_ok() {
                    assert_eq!(found, b"newer");
                    break;
                }
                assert!(found == b"old" || found == b"newer", "step {step}: {found:?}");
            }
        }
    }

    #[test]
    fn the_real_disk_does_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        Disk::Real.write_atomic(&path, b"old").unwrap();
        Disk::Real.write_atomic(&path, b"new").unwrap();
        assert_eq!(Disk::Real.read(&path).unwrap(), b"new");
        let mut file = Disk::Real.open_append(&path).unwrap();
        file.write_all(b"er").unwrap();
        let mut out = [0; 3];
        file.read_exact_at(&mut out, 2).unwrap();
        assert_eq!(&out, b"wer");
        assert_eq!(Disk::Real.list(dir.path()).unwrap(), [("state".to_owned(), 5)]);
    }
}
