//! Hostile HTTP/1.1: messages made to be read in two ways. What is refused never reaches an engine, and what is not is
//! one request and nothing else, whatever stands before and behind it.

use std::collections::BTreeSet;

use crate::support::{Engine, Proxy, eventually, portal};

mod chunks;
mod codings;
mod fields;
mod hosts;
mod lengths;
mod smuggling;
mod targets;

/// What must come of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Expect {
    /// Its head is at fault: 400 and a closed connection, and no engine hears of it.
    Refused,
    /// Its body is at fault: the same, but an engine may have heard the beginning. It never gets the end.
    BodyRefused,
    /// It is larger than it may be: 431 or 414, and a closed connection.
    TooLarge,
    /// It is odd, and allowed: an engine gets exactly this target and body.
    Passes(&'static str, &'static str),
    /// It is allowed, and for nobody here.
    Misdirected,
}

use Expect::{BodyRefused, Misdirected, Passes, Refused, TooLarge};

/// A message, what it is called, and what must come of it.
struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    expect: Expect,
}

fn case(name: &'static str, bytes: impl AsRef<[u8]>, expect: Expect) -> Case {
    Case { name, bytes: bytes.as_ref().to_vec(), expect }
}

/// `POST /hostile` with these lines, and what follows them.
fn post(name: &'static str, lines: &str, body: &str, expect: Expect) -> Case {
    case(name, format!("POST /hostile HTTP/1.1\r\nhost: portal.example.com\r\n{lines}\r\n\r\n{body}"), expect)
}

/// `GET /hostile` with these lines.
fn get(name: &'static str, lines: &str, expect: Expect) -> Case {
    case(name, format!("GET /hostile HTTP/1.1\r\nhost: portal.example.com\r\n{lines}\r\n\r\n"), expect)
}

/// A request that must never be taken for one: it stands where a body ends in one of two readings.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nhost: portal.example.com\r\n\r\n";

const BEFORE: &str = "GET /before HTTP/1.1\r\nhost: portal.example.com\r\n\r\n";
const BEHIND: &str = "GET /behind HTTP/1.1\r\nhost: portal.example.com\r\nconnection: close\r\n\r\n";

fn all() -> Vec<Case> {
    let topics = [
        targets::cases(),
        fields::cases(),
        hosts::cases(),
        lengths::cases(),
        codings::cases(),
        chunks::cases(),
        smuggling::cases(),
    ];
    topics.into_iter().flatten().collect()
}

#[test]
fn there_are_enough_of_them_and_no_two_are_the_same() {
    let cases = all();
    assert!(cases.len() >= 150, "{}", cases.len());
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name).collect();
    let messages: BTreeSet<&[u8]> = cases.iter().map(|case| &case.bytes[..]).collect();
    assert_eq!((names.len(), messages.len()), (cases.len(), cases.len()));
}

/// Two recording engines and a proxy between them and the clients.
struct Stage {
    classic: Engine,
    identity: Engine,
    proxy: Proxy,
}

impl Stage {
    fn new() -> Self {
        let (classic, identity) = (Engine::answering("classic"), Engine::answering("identity"));
        let toml = portal("hosts = [\"portal.example.com\"]", &classic, &identity);
        Self { proxy: Proxy::with(format!("{toml}\n[limits]\nheader_bytes = \"8KiB\"\n")), classic, identity }
    }

    /// The targets of the whole requests that engines got since so many of them, and the body of one.
    fn requests_since(&self, known: usize) -> Vec<(String, String)> {
        assert_eq!(self.identity.accepts(), 0, "nobody asked for it");
        let requests = self.classic.requests();
        let new = requests[known..].iter();
        new.map(|request| (request.head.target().to_owned(), request.body.text())).collect()
    }

    /// Sends these bytes in pieces of a size, and gives back the statuses of all answers until the proxy closes.
    fn statuses(&self, bytes: &[u8], piece: usize) -> Vec<u16> {
        let mut wire = self.proxy.wire();
        for piece in bytes.chunks(piece) {
            wire.send(piece);
        }
        let answers = String::from_utf8_lossy(&wire.rest()).into_owned();
        let heads = answers.split("HTTP/1.1 ").skip(1);
        heads.map(|answer| answer[..3].parse().expect("a status")).filter(|status| *status != 100).collect()
    }
}

/// Sends every case of a topic alone, and between two good requests in one write, and byte by byte.
fn holds(cases: Vec<Case>) {
    let stage = Stage::new();
    let (mut refused, mut wrong) = (0, Vec::new());
    for Case { name, bytes, expect } in cases {
        let alone = if matches!(expect, Passes(..) | Misdirected) {
            [&bytes, BEHIND.as_bytes()].concat()
        } else {
            bytes.clone()
        };
        let between = [BEFORE.as_bytes(), &bytes, BEHIND.as_bytes()].concat();
        for (how, stream, piece) in
            [("alone", &alone, usize::MAX), ("between", &between, usize::MAX), ("byte by byte", &between, 1)]
        {
            let context = format!("{name:?} {how}");
            let known = stage.classic.requests().len();
            let statuses = stage.statuses(stream, piece);
            let before = if how == "alone" { vec![] } else { vec![200] };
            let own = match expect {
                Refused | BodyRefused => vec![400],
                TooLarge if statuses.last() == Some(&414) => vec![414],
                TooLarge => vec![431],
                Passes(..) => vec![200, 200],
                Misdirected => vec![421, 200],
            };
            let due = [before.clone(), own].concat();
            refused += usize::from(matches!(expect, Refused));

            let mut expected: Vec<(String, String)> =
                before.iter().map(|_| ("/before".into(), String::new())).collect();
            if let Passes(target, body) = expect {
                expected.push((target.into(), body.into()));
            }
            if matches!(expect, Passes(..) | Misdirected) {
                expected.push(("/behind".into(), String::new()));
            }
            let requests = stage.requests_since(known);
            if (&statuses, &requests) != (&due, &expected) {
                wrong.push(format!("{context}: {statuses:?} and {requests:?}, not {due:?} and {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    for head in stage.classic.heads() {
        assert!(head.first().ends_with(" HTTP/1.1"), "{:?}", head.text);
        assert_ne!((head.target(), head.method()), ("/smuggled", "GET"));
        assert!(
            head.all("content-length").len() + head.all("transfer-encoding").len() <= 1,
            "{:?}",
            head.text
        );
        assert_eq!(head.all("host").len(), 1, "{:?}", head.text);
    }
    eventually("each is counted", || {
        let series = "cutover_answers_total{app=\"none\",kind=\"malformed\"}";
        (stage.proxy.metric(series) >= refused as f64).then_some(())
    });
}

#[test]
fn of_request_lines() {
    holds(targets::cases());
}

#[test]
fn of_field_lines() {
    holds(fields::cases());
}

#[test]
fn of_hosts() {
    holds(hosts::cases());
}

#[test]
fn of_lengths() {
    holds(lengths::cases());
}

#[test]
fn of_codings() {
    holds(codings::cases());
}

#[test]
fn of_chunks() {
    holds(chunks::cases());
}

#[test]
fn of_two_readings() {
    holds(smuggling::cases());
}
