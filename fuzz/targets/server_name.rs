//! The name that a client asks for in its handshake, and the certificates that there are.
//!
//! Invariant: something is shown to everybody; who asks for a name gets what is for it, and nothing that is for others
//! unless nothing is for it; case and a point at the end change nothing; and a plain search through all names finds the same.
//!
//! The first line is the name that is asked for, each other line the names of a certificate, with spaces between them.

#![no_main]

use cutover::net::names::Names;
use libfuzzer_sys::fuzz_target;

/// Whether a certificate's name is for a host, by the letter of RFC 6125 6.4.3.
fn is_for(name: &str, host: &str, by_wildcard: bool) -> bool {
    match (name.strip_prefix("*."), by_wildcard) {
        (Some(domain), true) => host.find('.').is_some_and(|point| &host[point + 1..] == domain),
        (None, false) => name == host,
        (Some(_), false) | (None, true) => false,
    }
}

fuzz_target!(|text: &str| {
    let (asked, lines) = text.split_once('\n').unwrap_or((text, ""));
    let certificates: Vec<Vec<String>> = lines
        .lines()
        .take(16)
        .map(|line| line.split_ascii_whitespace().take(8).map(str::to_ascii_lowercase).collect())
        .collect();
    let names = Names::new(certificates.iter().enumerate().map(|(number, names)| (&names[..], number)));
    let found = names.find(Some(asked));
    assert_eq!(found.is_empty(), certificates.is_empty(), "somebody is shown nothing");

    let host = asked.strip_suffix('.').unwrap_or(asked).to_ascii_lowercase();
    let all_for = |by_wildcard| -> Vec<usize> {
        let each = certificates.iter().enumerate();
        each.flat_map(|(number, names)| names.iter().map(move |name| (number, name)))
            .filter(|(_, name)| is_for(name, &host, by_wildcard))
            .map(|(number, _)| number)
            .collect()
    };
    let expected = [all_for(false), all_for(true)].into_iter().find(|found| !found.is_empty());
    assert_eq!(found, expected.unwrap_or_else(|| names.find(None).to_vec()), "{asked:?}");

    assert_eq!(names.find(Some(&asked.to_ascii_uppercase())), found);
    if !asked.ends_with('.') {
        assert_eq!(names.find(Some(&format!("{asked}."))), found);
    }
    let first = certificates.first().map(|names| names.first());
    let same: Vec<usize> = certificates
        .iter()
        .enumerate()
        .filter(|(_, names)| Some(names.first()) == first)
        .map(|(number, _)| number)
        .collect();
    assert_eq!(names.find(None), same);
});
