//! Edits of one percentage, and texts that nobody would write: an answer, and never a panic.

use std::fs;

use cutover::config::edit::set_percent;
use cutover::config::{load, parse};
use cutover::decide::bucket::Share;
use proptest::prelude::*;

use super::{EVERYTHING, assert_round_trip, files, repository, toml_files};

#[test]
fn an_example_is_edited_in_place() {
    let examples = toml_files(&repository("config"));
    // That of TLS names a certificate that is made by whoever tries it.
    for example in examples.into_iter().filter(|example| !example.ends_with("tls.toml")) {
        let text = fs::read_to_string(&example).expect("an example");
        let config = load(&example, None).expect("an example").config;
        for app in &config.apps {
            let edited = set_percent(&text, &app.name, None, "12.345").expect("can be edited");
            let changed: Vec<_> = text.lines().zip(edited.lines()).filter(|(old, new)| old != new).collect();
            assert_eq!(changed.len(), 1, "{changed:?}");
            assert_eq!(text.lines().count(), edited.lines().count());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever bytes there are: an answer, not a panic.
    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        let _ = parse(&text, "cutover.toml", &files());
        let _ = set_percent(&text, "portal", None, "10");
    }

    /// Texts that are nearly right reach much further than random ones.
    #[test]
    fn a_damaged_configuration_is_answered(
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0..4usize, "[\\PC\n\"'\\[\\]{}=.#\u{0}\r\t]{0,4}"), 1..6)
    ) {
        let mut text = EVERYTHING.to_owned();
        for (place, length, with) in damage {
            let characters: Vec<(usize, char)> = text.char_indices().collect();
            let start = place.index(characters.len());
            let end = (start + length).min(characters.len() - 1);
            text.replace_range(characters[start].0..characters[end].0, &with);
        }
        match parse(&text, "cutover.toml", &files()) {
            Ok(loaded) => assert_round_trip(&loaded),
            Err(rejected) => prop_assert!(!rejected.to_string().is_empty()),
        }
        if let Ok(edited) = set_percent(&text, "portal", None, "10") {
            let again = set_percent(&edited, "portal", None, "10");
            prop_assert_eq!(again.as_deref(), Ok(edited.as_str()));
        }
    }

    /// Only the value changes, whatever surrounds it, and every byte elsewhere stays.
    #[test]
    fn an_edit_changes_nothing_else(
        before in "[a-z]{0,8}( *#[\\PC&&[^\r\n]]{0,20})?",
        after in "( *#[\\PC&&[^\r\n]]{0,20})?",
        style in 0..4usize,
        crlf in any::<bool>(),
        old in 0u32..=100_000,
        new in 0u32..=100_000,
    ) {
        let number = |parts: u32| Share::from_parts(parts).expect("a share").to_string().replace('%', "");
        let newline = if crlf { "\r\n" } else { "\n" };
        let before = if before.starts_with(|first: char| first.is_ascii_lowercase()) {
            before.replacen(|_: char| true, "x = 1 # ", 1)
        } else {
            before
        };
        let text = |percent: &str| match style {
            0 => format!("{before}{newline}[apps.portal]{after}{newline}percent = {percent}{after}{newline}y = 2"),
            1 => format!("{before}{newline}[apps]{newline}portal.percent={percent}{after}"),
            2 => format!("{before}{newline}apps = {{ portal = {{ y = 1, percent = {percent} }} }}{after}{newline}"),
            _ => format!("{before}{newline}\"apps\" . 'portal' . percent = {percent}{newline}{newline}{after}"),
        };
        let edited = set_percent(&text(&number(old)), "portal", None, &format!("{}%", number(new)));
        prop_assert_eq!(edited, Ok(text(&number(new))));
    }
}
