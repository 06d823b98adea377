//! Frames that nobody may send, each sequence on a connection of its own: the connection or the stream ends as RFC 9113
//! says, no engine hears of what is no request, and another connection is served meanwhile.

mod corpus;

use corpus::{Due, corpus};

use crate::support::multi::{Multi, PREFACE, frame};
use crate::support::{Engine, Proxy, portal};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

/// What came back.
#[derive(Debug, Default)]
struct Seen {
    goaway: Option<u32>,
    resets: Vec<u32>,
    answers: usize,
    ponged: bool,
}

/// Sends frames behind the preface, then a ping, and reads until its answer or the end.
fn send(proxy: &Proxy, frames: &[u8]) -> Seen {
    let mut wire = proxy.wire();
    wire.send([PREFACE, frames, &frame(PING, 0, 0, b"lastping")].concat());
    let mut seen = Seen::default();
    while let Some(header) = wire.take(9) {
        let length = usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2]);
        let Some(payload) = wire.take(length) else { break };
        let word = |from: usize| u32::from_be_bytes(payload[from..from + 4].try_into().expect("4 bytes"));
        match header[3] {
            HEADERS => seen.answers += 1,
            RST_STREAM => seen.resets.push(word(0)),
            GOAWAY => seen.goaway = Some(word(4)),
            PING if payload == b"lastping" => {
                seen.ponged = true;
                break;
            }
            _ => {}
        }
    }
    seen
}

#[test]
fn frames_that_nobody_may_send() {
    let (classic, identity) = (Engine::answering("classic"), Engine::answering("identity"));
    let app = portal("hosts = [\"portal.example.com\"]\npercent = 0", &classic, &identity);
    let proxy = Proxy::with(app);
    let corpus = corpus();
    assert!(corpus.len() >= 40, "{}", corpus.len());
    let mut other = Multi::to(proxy.address());
    let mut faults = Vec::new();
    for (name, frames, due) in &corpus {
        let seen = send(&proxy, frames);
        let fits = match due {
            Due::Goaway => seen.goaway.is_some() && !seen.ponged,
            Due::Stream => seen.ponged || seen.goaway.is_some(),
            Due::Nothing => seen.ponged && seen.goaway.is_none() && seen.resets.is_empty(),
        };
        if !fits {
            faults.push(format!("{name}: {seen:?}"));
        }
        assert_eq!(other.get("/meanwhile").status, 200, "{name}");
    }
    // Whatever an engine heard was a request of its own: nothing was smuggled into it.
    for engine in [&classic, &identity] {
        for request in engine.requests() {
            let is_ours = ["GET /meanwhile HTTP/1.1", "GET / HTTP/1.1"].contains(&request.head.first());
            let has_more = request.head.has("z") || request.head.has("transfer-encoding");
            if !is_ours || has_more || request.head.get("host") != Some("portal.example.com") {
                faults.push(format!("an engine saw {:?}", request.head.text));
            }
        }
    }
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), corpus.len(), faults.join("\n"));
    for kind in ["reset", "settings", "ping", "priority", "empty"] {
        let series = format!("cutover_http2_floods_total{{listener=\"127.0.0.1:0\",kind=\"{kind}\"}}");
        assert!(proxy.metric(&series) >= 1.0, "{series}");
    }
    proxy.counts("cutover_connections_open{listener=\"127.0.0.1:0\"}", 1.0);
}
