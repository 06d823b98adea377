//! Notices that a file changed, however it was changed.
//!
//! Editors rename, tools write in place, Kubernetes swaps a link two folders up, and some file systems tell
//! nobody. So the parent folders are watched, and once a second the files are looked at anyway; what is asked
//! for is only a *look*, and the content decides. Nothing here can end the watching.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::ambient::unix_seconds;
use crate::control::{Command, Control};
use crate::telemetry::events::Origin;

/// How often the files are looked at when nobody says that they changed.
const POLL: Duration = Duration::from_secs(1);

/// How long to wait after a change for the rest of it: an editor that truncates and writes should be seen once.
const SETTLE: Duration = Duration::from_millis(50);

/// Watches until the process ends. `files` names what to watch, and changes with the configuration.
pub async fn watch_files(control: Control, mut files: watch::Receiver<Vec<PathBuf>>) {
    let (notices, mut noticed) = mpsc::unbounded_channel();
    let mut folders = Folders::new(notices);
    let mut paths = files.borrow_and_update().clone();
    folders.follow(&paths);
    let mut seen = settled(&paths);
    loop {
        tokio::select! {
            Some(()) = noticed.recv() => {
                tokio::time::sleep(SETTLE).await;
                while noticed.try_recv().is_ok() {}
            }
            () = tokio::time::sleep(POLL) => {}
            changed = files.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
        let newest = files.borrow_and_update().clone();
        if newest != paths {
            let added: Vec<PathBuf> = newest.iter().filter(|path| !paths.contains(path)).cloned().collect();
            seen.retain(|(path, _)| newest.contains(path));
            seen.extend(settled(&added));
            seen.sort();
            paths = newest;
        }
        folders.follow(&paths);
        let now = signatures(&paths);
        if now != seen {
            seen = now;
            control.send(Command::Reload { origin: Origin::File, reply: None });
        }
    }
}

/// Asks for a look at every SIGHUP.
pub async fn watch_hangups(control: Control) -> std::io::Result<()> {
    let mut hangups = signal(SignalKind::hangup())?;
    while hangups.recv().await.is_some() {
        control.send(Command::Reload { origin: Origin::Signal, reply: None });
    }
    Ok(())
}

/// What tells one state of a file from another without reading it. The inode sees a rename and a swapped link,
/// the change time everything else.
type Signature = Option<(u64, u64, u64, i64, i64, i64, i64)>;

fn signatures(paths: &[PathBuf]) -> Vec<(PathBuf, Signature)> {
    let mut found: Vec<_> = paths.iter().map(|path| (path.clone(), signature(path))).collect();
    found.sort();
    found
}

/// The signatures of files that were read a moment ago. One that changed within the last seconds may have
/// changed after it was read, so it is left out, and the next round asks for another look.
fn settled(paths: &[PathBuf]) -> Vec<(PathBuf, Signature)> {
    const RECENT: i64 = 2;
    let now = unix_seconds() as i64;
    let mut found = signatures(paths);
    found.retain(|(_, signature)| signature.is_none_or(|(_, _, _, _, _, changed, _)| now - changed > RECENT));
    found
}

fn signature(path: &Path) -> Signature {
    let data = path.metadata().ok()?;
    Some((
        data.dev(),
        data.ino(),
        data.size(),
        data.mtime(),
        data.mtime_nsec(),
        data.ctime(),
        data.ctime_nsec(),
    ))
}

/// The folders that the system tells us about.
struct Folders {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

impl Folders {
    fn new(notices: mpsc::UnboundedSender<()>) -> Self {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading the files is itself an event on some systems, and would notify without end.
            if event.is_ok_and(|event| !event.kind.is_access()) {
                let _ = notices.send(());
            }
        });
        if let Err(error) = &watcher {
            tracing::warn!(%error, "the system cannot tell of changed files; looking once a second instead");
        }
        Self { watcher: watcher.ok(), watched: BTreeSet::new() }
    }

    /// Watches the folders of these files: where the path says they are, and where their links lead.
    fn follow(&mut self, paths: &[PathBuf]) {
        let Some(watcher) = &mut self.watcher else { return };
        let folders: BTreeSet<PathBuf> = paths
            .iter()
            .flat_map(|path| [Some(path.clone()), path.canonicalize().ok()])
            .flatten()
            .filter_map(|path| folder_of(&path))
            .collect();
        for gone in self.watched.difference(&folders) {
            let _ = watcher.unwatch(gone);
        }
        let mut watched: BTreeSet<PathBuf> = self.watched.intersection(&folders).cloned().collect();
        for new in folders.difference(&self.watched) {
            // A folder that does not exist yet is tried again at the next look.
            if watcher.watch(new, RecursiveMode::NonRecursive).is_ok() {
                watched.insert(new.clone());
            }
        }
        self.watched = watched;
    }
}

fn folder_of(path: &Path) -> Option<PathBuf> {
    let folder = path.parent()?;
    Some(if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_path_buf() })
}
