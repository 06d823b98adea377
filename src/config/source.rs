//! Reads the configuration, and every file it names, from the disk, and writes an edited one back. The only file of this
//! room that does.

#![allow(clippy::disallowed_methods)] // this is the file that the bans of std::fs in clippy.toml point to

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use crate::config::files::{FileError, Files};
use crate::config::parse::{Loaded, Rejected, parse_after};

/// No configuration is larger. Whoever names a disk image by mistake learns it before memory runs out.
const LARGEST: u64 = 64 * 1024 * 1024;

/// Reads a configuration. What has not changed since `previous` is taken from there.
pub fn load(path: &Path, previous: Option<&Loaded>) -> Result<Loaded, Rejected> {
    let name = path.display().to_string();
    let text = match read_text(path, previous.is_some()) {
        Ok(text) => text,
        Err((message, hint)) => return Err(Rejected::whole(path, &name, message, hint)),
    };
    parse_after(&text, path, &Disk, previous)
}

/// Like [`load`], of a text that is to become the content of `path`: the files that it names are on the disk.
pub fn load_text(path: &Path, text: &str, previous: Option<&Loaded>) -> Result<Loaded, Rejected> {
    parse_after(text, path, &Disk, previous)
}

/// The content of a file that an operator names beside a configuration, such as a list of subjects.
pub fn read_listed(path: &Path) -> Result<Vec<u8>, FileError> {
    read_file(path, true, u64::MAX)
}

/// Why an edited text was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Whoever saved the file while we were at it must not lose what they wrote.
    #[error("{} was changed by somebody else just now", .0.display())]
    Changed(PathBuf),
    /// The disk says no.
    #[error("cannot replace {}: {source}", path.display())]
    Disk {
        /// The file itself, where the name is a link.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl WriteError {
    /// What to do, where there is something to say.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Changed(_) => Some("look at it, and ask again"),
            Self::Disk { source, .. } => match source.kind() {
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                    Some("change it where it is made, such as a ConfigMap or a repository")
                }
                io::ErrorKind::ResourceBusy => {
                    Some("the file is mounted by itself: mount its folder instead, or use an editor")
                }
                // Foreign and open-ended: the system's own words must do.
                _ => None,
            },
        }
    }
}

/// Makes a text the content of the file that `before` was read from: beside it first and renamed, so that nobody ever
/// reads half of it. A link stays a link.
pub fn replace(path: &Path, text: &str, before: &Loaded) -> Result<(), WriteError> {
    match load(path, Some(before)) {
        Ok(now) if now.text == before.text => {}
        Ok(_) | Err(_) => return Err(WriteError::Changed(path.to_owned())),
    }
    let target =
        fs::canonicalize(path).map_err(|source| WriteError::Disk { path: path.to_owned(), source })?;
    write_beside(&target, text).map_err(|source| WriteError::Disk { path: target, source })
}

fn write_beside(target: &Path, text: &str) -> io::Result<()> {
    let folder = target.parent().unwrap_or(Path::new("/"));
    let before = fs::metadata(target)?;
    let mut file = tempfile::Builder::new().prefix(".cutover-").suffix(".tmp").tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    // Only root may give files away; for everybody else the owner is the same, or cannot be.
    let _ = fchown(file.as_file(), Some(before.uid()), Some(before.gid()));
    file.as_file().set_permissions(before.permissions())?;
    file.as_file().sync_all()?;
    file.persist(target)?;
    // The new name is safe when the folder is; not every file system can promise that.
    if let Ok(folder) = OpenOptions::new().read(true).open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// The text of the configuration, or what is wrong with it and a hint.
fn read_text(path: &Path, again: bool) -> Result<String, (String, &'static str)> {
    // A pipe can be read once, at the start or by `check`; a reload would wait for it for ever.
    let bytes = match read_file(path, !again, LARGEST) {
        Ok(bytes) => bytes,
        Err(error) => {
            let hint = match error {
                FileError::Missing => "name another file with --config, or start from config/cutover.toml",
                FileError::Folder => "name the file inside the folder",
                FileError::Denied => "let the user that runs cutover read it",
                FileError::Special | FileError::Other(_) => "",
            };
            return Err((format!("cannot read the configuration: {error}"), hint));
        }
    };
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = memchr::memchr_iter(b'\n', valid).count() + 1;
        (format!("line {line} is not UTF-8"), "save the file as UTF-8")
    })
}

/// The real files.
struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<Vec<u8>, FileError> {
        read_file(path, false, u64::MAX)
    }
}

fn read_file(path: &Path, special: bool, most: u64) -> Result<Vec<u8>, FileError> {
    // Asked before opening: opening a pipe waits for a writer.
    let metadata = fs::metadata(path).map_err(failure)?;
    if metadata.is_dir() {
        return Err(FileError::Folder);
    }
    if !metadata.is_file() && !special {
        return Err(FileError::Special);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().min(most)).unwrap_or(0));
    let file = File::open(path).map_err(failure)?;
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(failure)?;
    if bytes.len() as u64 > most {
        return Err(FileError::Other(format!("it is larger than {} MiB", most >> 20)));
    }
    Ok(bytes)
}

fn failure(error: io::Error) -> FileError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => FileError::Missing,
        io::ErrorKind::IsADirectory => FileError::Folder,
        io::ErrorKind::PermissionDenied => FileError::Denied,
        // Foreign and open-ended: the system's own words are the best there is.
        _ => FileError::Other(error.to_string()),
    }
}
