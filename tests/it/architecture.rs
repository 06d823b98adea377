//! The floors of the house, kept by machine: who may import whom, who may ask the machine, how long a file is.

#![allow(clippy::disallowed_methods)] // it reads the sources

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms and their floors, as in `src/lib.rs`. Rooms of one floor may not import each other, save the last
/// floor's, which is wiring.
const FLOORS: [&[&str]; 9] = [
    &["ambient"],
    &["decide"],
    &["config"],
    &["telemetry"],
    &["net", "upstream"],
    &["runtime"],
    &["proxy", "control"],
    &["admin"],
    &["worker", "app", "demo", "cli", "main", "lib"],
];

/// What a floor answers: where a line belongs that needs something from above.
const ANSWERS: [&str; 9] = [
    "what time is it, roll",
    "what should happen, and why",
    "what did the operator mean",
    "who must be told",
    "bytes in, bytes out",
    "what is true right now",
    "serve one, change all",
    "what operators see and ask",
    "in which order",
];

/// Beside the floors: `admin` may not know of `proxy`.
const FORBIDDEN: [(&str, &str); 1] = [("admin", "proxy")];

/// Files that may ask the machine itself, and why each may.
const EXEMPT: [&str; 6] = [
    "ambient.rs",                    // the clock and the dice
    "config/source.rs",              // the files of a configuration
    "telemetry/metrics/process.rs",  // the kernel's own files
    "telemetry/metrics/families.rs", // its test reads a golden page
    "telemetry/access_log/tests.rs", // reads what it wrote
    "cli/status.rs",                 // reads a token, and nothing that has a digest
];

/// Lines of code that one file may have, and the few that may have more.
const LONGEST: usize = 450;
/// `decide/headers.rs` is about to be split.
const LONGER: [&str; 1] = ["decide/headers.rs"];

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        for path in entries.collect::<Vec<PathBuf>>() {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).expect("inside").to_string_lossy().into_owned();
                found.push((name, fs::read_to_string(&path).expect("a source")));
            }
        }
    }
    assert!(found.len() > 50, "the sources were found");
    found
}

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// The rooms that a file names in its code: `crate::room`, also in `use crate::{room, room::…}`.
fn imports(text: &str) -> Vec<String> {
    // What a test module borrows does not hold up the house.
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let code: String = code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut found = Vec::new();
    for after in code.split("crate::").skip(1) {
        assert!(!after.starts_with('{'), "one `use crate::room` a line, so that floors can be seen");
        found.push(after.chars().take_while(|letter| is_word(*letter)).collect());
    }
    found
}

#[test]
fn a_file_imports_only_from_floors_below_it() {
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        let room = name.split(['/', '.']).next().expect("a name");
        let floor =
            floor_of(room).unwrap_or_else(|| panic!("src/{name}: give the room a floor, here and in lib.rs"));
        for import in imports(&text).into_iter().filter(|import| *import != room) {
            let Some(below) = floor_of(&import) else {
                wrong.push(format!("src/{name}: crate::{import} is no room"));
                continue;
            };
            let is_wiring = floor == FLOORS.len() - 1;
            let forbidden = FORBIDDEN.contains(&(room, import.as_str()));
            if forbidden || !(below < floor || (is_wiring && below == floor)) {
                let higher = (below + 1).min(FLOORS.len() - 1).max(floor);
                wrong.push(format!(
                    "src/{name} (floor {floor}) imports crate::{import} (floor {below}): either what it needs \
                     belongs on a floor below {floor} ({}), or this code belongs in {:?} ({})",
                    ANSWERS[floor.saturating_sub(1)],
                    FLOORS[higher],
                    ANSWERS[higher],
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_map_in_lib_rs_shows_the_same_floors() {
    let sources = sources();
    let (_, lib) = sources.iter().find(|(name, _)| name == "lib.rs").expect("lib.rs");
    for (floor, rooms) in FLOORS.iter().enumerate() {
        let row = lib.lines().find(|line| line.starts_with(&format!("//! | {floor} |"))).expect("a row");
        for room in rooms.iter().filter(|room| !["main", "lib"].contains(room)) {
            assert!(row.contains(&format!("[`{room}`]")), "{room} on floor {floor}");
        }
    }
}

#[test]
fn only_the_edge_of_the_program_asks_the_machine() {
    for (name, text) in sources() {
        if text.contains("disallowed_methods") {
            assert!(
                EXEMPT.contains(&name.as_str()),
                "src/{name} lifts the bans of clippy.toml: take a Moment, or let config/source.rs read"
            );
        }
    }
}

#[test]
fn a_decision_cannot_wait_read_or_tell() {
    for (name, text) in sources().into_iter().filter(|(name, _)| name.starts_with("decide/")) {
        let code: String = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
        for word in ["async ", "tokio", "hyper", "std::fs", "std::net::Tcp", "tracing", "Serialize"] {
            assert!(!code.contains(word), "src/{name} names {word:?}; see HOUSE.md for who may");
        }
    }
}

#[test]
fn no_file_is_longer_than_one_can_hold_in_mind() {
    for (name, text) in sources() {
        let lines = text.lines().count();
        let allowed = lines <= LONGEST || LONGER.contains(&name.as_str());
        assert!(allowed, "src/{name} has {lines} lines; split it where a second reason to change appears");
    }
}
