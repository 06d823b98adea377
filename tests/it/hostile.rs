//! A corpus of HTTP/1 messages that somebody sends who means harm, or whose software does. Each goes through a connection
//! of its own, and then between two good requests on one connection; an engine sees nothing of it, or exactly the one
//! request that it is by RFC 9112.

mod chunks;
mod heads;
mod lengths;
mod targets;

use crate::support::{Engine, Proxy, portal};

/// What a message deserves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Due {
    /// This status, a closed connection, and no engine that hears of it.
    Refused(u16),
    /// This status, and nothing else: where its messages end is beyond doubt.
    Answered(u16),
    /// It is a request, and passes as this method and target.
    Passes(&'static str),
}

/// A message, and what it deserves.
pub(crate) struct Hostile {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) due: Due,
}

/// A message that deserves 400.
pub(crate) fn bad(name: &'static str, bytes: impl AsRef<[u8]>) -> Hostile {
    Hostile { name, bytes: bytes.as_ref().to_vec(), due: Due::Refused(400) }
}

/// A message that is odd, and right.
pub(crate) fn odd(name: &'static str, bytes: impl AsRef<[u8]>, passes: &'static str) -> Hostile {
    Hostile { name, bytes: bytes.as_ref().to_vec(), due: Due::Passes(passes) }
}

const BEFORE: &str = "GET /before HTTP/1.1\r\nhost: portal.example.com\r\n\r\n";
const BEHIND: &str = "GET /behind HTTP/1.1\r\nhost: portal.example.com\r\n\r\n";
const LAST: &str = "GET /behind HTTP/1.1\r\nhost: portal.example.com\r\nconnection: close\r\n\r\n";

/// The statuses of the answers on a connection, in order.
fn statuses(answers: &str) -> Vec<u16> {
    let heads = answers.split("HTTP/1.").skip(1);
    heads.map(|head| head[2..5].parse().expect("a status")).collect()
}

/// What engines got, one `METHOD target` each.
fn seen(engines: [&Engine; 2], before: &[usize; 2]) -> Vec<String> {
    let mut seen = Vec::new();
    for (engine, before) in engines.into_iter().zip(before) {
        for request in &engine.requests()[*before..] {
            seen.push(format!("{} {}", request.head.method(), request.head.target()));
        }
    }
    seen
}

fn hold(corpus: Vec<Hostile>) {
    let (classic, identity) = (Engine::answering("classic"), Engine::answering("identity"));
    let proxy = Proxy::with(portal("hosts = [\"portal.example.com\"]", &classic, &identity));
    let engines = [&classic, &identity];
    let count = || engines.map(|engine| engine.requests().len());
    let mut faults = Vec::new();
    for Hostile { name, bytes, due } in &corpus {
        let mut check = |setting: &str, sent: Vec<u8>, statuses_due: Vec<u16>, seen_due: Vec<&str>| {
            // Where the proxy does not close, reading panics: this says what it was sent.
            eprintln!("{name} ({setting})");
            let before = count();
            let answers = statuses(&proxy.raw(&sent));
            let seen = seen(engines, &before);
            if answers != statuses_due || seen != seen_due {
                faults.push(format!("{name} ({setting}): answered {answers:?}, engines saw {seen:?}"));
            }
        };
        let between = |last: &str| [BEFORE.as_bytes(), bytes, last.as_bytes()].concat();
        match due {
            Due::Refused(status) => {
                check("alone", bytes.clone(), vec![*status], vec![]);
                check("between", between(BEHIND), vec![200, *status], vec!["GET /before"]);
            }
            Due::Answered(status) => {
                check("between", between(LAST), vec![200, *status, 200], vec!["GET /before", "GET /behind"]);
            }
            Due::Passes(request) => {
                check("between", between(LAST), vec![200; 3], vec!["GET /before", request, "GET /behind"]);
            }
        }
    }
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), corpus.len(), faults.join("\n"));
}

#[test]
fn heads_that_break_the_rules() {
    hold(heads::corpus());
}

#[test]
fn targets_and_hosts_that_two_readers_take_for_two_things() {
    hold(targets::corpus());
}

#[test]
fn lengths_that_two_readers_count_in_two_ways() {
    hold(lengths::corpus());
}

#[test]
fn chunks_that_end_elsewhere_than_they_say() {
    hold(chunks::corpus());
}

#[test]
fn the_corpus_is_as_large_as_it_should_be() {
    let corpora = [heads::corpus(), targets::corpus(), lengths::corpus(), chunks::corpus()];
    let names: std::collections::BTreeSet<_> = corpora.iter().flatten().map(|hostile| hostile.name).collect();
    let count: usize = corpora.iter().map(Vec::len).sum();
    assert!(count >= 150 && names.len() == count, "{count} messages, {} names", names.len());
}
