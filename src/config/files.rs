//! The files that a configuration names: how they are asked for, and what was read of them.
//!
//! Touches no disk itself: `source` reads from one, tests and fuzzers from a map in memory.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::config::problems::{Problems, excerpt};
use crate::config::reader::Written;
use crate::decide::target::Subjects;

/// Where the content of files comes from.
pub trait Files {
    /// The whole content of a file.
    fn read(&self, path: &Path) -> Result<Vec<u8>, FileError>;
}

/// Why a file cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FileError {
    /// There is none.
    #[error("there is no such file")]
    Missing,
    /// It is a folder.
    #[error("it is a folder")]
    Folder,
    /// It is a pipe, a device or a socket, which might never end.
    #[error("it is no regular file")]
    Special,
    /// We may not.
    #[error("permission denied")]
    Denied,
    /// Whatever else the system says.
    #[error("{0}")]
    Other(String),
}

/// Files in memory, for tests and for tools that have no disk.
#[derive(Clone, Debug, Default)]
pub struct NamedFiles(BTreeMap<PathBuf, Vec<u8>>);

impl NamedFiles {
    /// Adds a file.
    #[must_use]
    pub fn with(mut self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Self {
        self.0.insert(path.into(), content.into());
        self
    }
}

impl Files for NamedFiles {
    fn read(&self, path: &Path) -> Result<Vec<u8>, FileError> {
        self.0.get(path).cloned().ok_or(FileError::Missing)
    }
}

/// SHA-256 of some content. Prints as hexadecimal.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of one content.
    pub fn of(content: &[u8]) -> Self {
        Self(Sha256::digest(content).into())
    }

    /// The digest of several parts. Each is hashed by itself first, so that no part can pass for two.
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(Self::of(part).0);
        }
        Self(hasher.finalize().into())
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Digest({self})")
    }
}

/// Sets of subjects by the digest of what they were read from, so that a reload need not read them again.
pub(super) type SubjectSets = HashMap<Digest, Arc<Subjects>>;

/// Whether the content of a file may show, as a hash, in a metric.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Content {
    /// Yes.
    Public,
    /// No: even a hash of a weak token can be guessed at.
    Secret,
}

/// A file that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) path: PathBuf,
    pub(super) content: Content,
    /// `None` when it could not be read.
    pub(super) digest: Option<Digest>,
}

/// One reading of a configuration: asks for files, and keeps the record.
pub(super) struct Reading<'f> {
    pub(super) folder: &'f Path,
    files: &'f dyn Files,
    previous: Option<&'f SubjectSets>,
    pub(super) asked: Vec<Asked>,
    pub(super) sets: SubjectSets,
}

impl<'f> Reading<'f> {
    pub(super) fn new(folder: &'f Path, files: &'f dyn Files, previous: Option<&'f SubjectSets>) -> Self {
        Self { folder, files, previous, asked: Vec::new(), sets: SubjectSets::new() }
    }

    /// Where a path of the configuration leads: relative ones start at the folder of the file.
    pub(super) fn resolve(&self, written: &str) -> PathBuf {
        self.folder.join(written)
    }

    /// The content of a file that the configuration names, or a problem.
    pub(super) fn read(
        &mut self,
        written: &Written<String>,
        content: Content,
        problems: &Problems,
    ) -> Option<(Vec<u8>, Digest)> {
        if written.value.is_empty() {
            problems.error(&written.at, "the path is empty", "leave the key out to go without a file");
            return None;
        }
        let path = self.resolve(&written.value);
        let read = self.files.read(&path);
        let digest = read.as_ref().ok().map(|bytes| Digest::of(bytes));
        self.asked.push(Asked { path: path.clone(), content, digest });
        match (read, digest) {
            (Ok(bytes), Some(digest)) => Some((bytes, digest)),
            (Err(error), _) => {
                let hint = if error == FileError::Missing && Path::new(&written.value).is_relative() {
                    "relative paths start at the folder of the configuration file"
                } else {
                    ""
                };
                let shown = excerpt(&path.to_string_lossy());
                problems.error(&written.at, format!("cannot read {shown}: {error}"), hint);
                None
            }
            (Ok(_), None) => None,
        }
    }

    /// The set of subjects that this content gave the last time, if it did.
    pub(super) fn known_set(&self, digest: &Digest) -> Option<Arc<Subjects>> {
        self.sets.get(digest).or_else(|| self.previous?.get(digest)).cloned()
    }
}
