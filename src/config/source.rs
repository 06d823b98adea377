//! Reads the configuration, and every file it names, from the disk. The only file of this room that does.

#![allow(clippy::disallowed_methods)] // this is the file that the bans of std::fs in clippy.toml point to

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

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
