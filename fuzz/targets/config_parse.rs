//! Configurations of any text, with a few files in memory.
//!
//! Invariant: a text is refused with at least one problem, or means something that `print::effective` can write:
//! what it writes is accepted, means the same to `diff`, and is written again as the same text. No message and no
//! print shows what stands in a secret file.

#![no_main]

use std::sync::LazyLock;

use cutover::config::files::NamedFiles;
use cutover::config::{diff, parse, print};
use libfuzzer_sys::fuzz_target;

const NAME: &str = "etc/cutover.toml";
const TOKEN: &str = "hunter2-admin-token";
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

static FILES: LazyLock<NamedFiles> = LazyLock::new(|| {
    NamedFiles::default()
        .with("etc/admin.token", format!("{TOKEN}\n"))
        .with("etc/cutover.keys", format!("# keys\n{KEY}\n"))
        .with("etc/bad.keys", "hunter2-no-key\n")
        .with("etc/staff.txt", "ada@example.com\n# no comment\nBob\n")
        .with("etc/bad.txt", b"ada\n\xff\n".to_vec())
});

fn shows_no_secret(text: &str, written: &str) {
    for secret in [TOKEN, KEY, "hunter2-no-key"] {
        assert!(!written.contains(secret) || text.contains(secret), "a secret shows");
    }
}

fuzz_target!(|text: &str| {
    match parse(text, NAME, &*FILES) {
        Err(rejected) => {
            assert!(!rejected.problems.is_empty(), "refused for nothing");
            assert_eq!(rejected.files.first().map(|file| file.as_path()), Some(NAME.as_ref()));
            shows_no_secret(text, &format!("{rejected}{rejected:?}"));
        }
        Ok(loaded) => {
            assert!(!loaded.config.listeners.is_empty() && !loaded.config.apps.is_empty());
            assert_eq!(loaded.hash.len(), 16);
            let printed = print::effective(&loaded.config);
            shows_no_secret(text, &format!("{printed}{:?}", loaded.config));
            let again = match parse(&printed, NAME, &*FILES) {
                Ok(again) => again,
                Err(rejected) => panic!("what we write we refuse:\n{printed}\n{rejected}"),
            };
            let plan = diff::diff(&loaded.config, &again.config, 0);
            assert!(plan.is_empty(), "what we write means something else:\n{plan}\n{printed}");
            assert_eq!(print::effective(&again.config), printed);
        }
    }
});
