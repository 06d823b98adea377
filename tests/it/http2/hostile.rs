//! Frames that nobody may send, each sequence on a connection of its own: the connection or the stream ends as RFC 9113
//! says, no engine hears of what is no request, and another connection is served meanwhile.

mod corpus;

use corpus::corpus;

use crate::support::multi::{Multi, PREFACE, frame, status};
use crate::support::{Engine, Proxy, portal};

const END_STREAM: u8 = 1;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

/// RFC 9113 7, by number.
const CODES: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

/// Sends frames behind the preface, then pings, and reads until their answers or the end; a stream that is to end in
/// some way is waited for in between. What came back is told in words, each once: statuses, `reset CODE`, and how it
/// ended: `goaway CODE`, `closed` without one, or `open`.
fn send(proxy: &Proxy, frames: &[u8], is_stream_to_end: bool) -> String {
    let mut wire = proxy.wire();
    wire.send([PREFACE, frames, &frame(PING, 0, 0, b"ping no1")].concat());
    let mut seen: Vec<String> = Vec::new();
    let mut end = "closed".to_owned();
    let (mut is_ended, mut is_answered) = (!is_stream_to_end, false);
    while let Some(header) = wire.take(9) {
        let length = usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2]);
        let Some(payload) = wire.take(length) else { break };
        let code = |from: usize| {
            CODES[u32::from_be_bytes(payload[from..from + 4].try_into().expect("4 bytes")) as usize]
        };
        let was_over = is_ended && is_answered;
        is_ended |= header[3] == RST_STREAM || (header[3] <= HEADERS && header[4] & END_STREAM != 0);
        let word = match header[3] {
            HEADERS => Some(status(&payload).to_string()),
            RST_STREAM => Some(format!("reset {}", code(0))),
            GOAWAY => {
                end = format!("goaway {}", code(4));
                None
            }
            PING if payload == b"ping no1" => {
                is_answered = true;
                None
            }
            PING if payload == b"ping no2" => {
                end = "open".to_owned();
                break;
            }
            _ => None,
        };
        if let Some(word) = word
            && !seen.contains(&word)
        {
            seen.push(word);
        }
        if is_ended && is_answered && !was_over {
            wire.send(frame(PING, 0, 0, b"ping no2"));
        }
    }
    seen.push(end);
    seen.join(", ")
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
        let heard = classic.requests().len();
        let seen = send(&proxy, frames, due.contains(", open"));
        // Before a flood is noticed, some of it may be answered.
        if *due != seen && !(due.starts_with("goaway") && seen.ends_with(due)) {
            faults.push(format!("{name}: {seen}, not {due}"));
        }
        assert_eq!(other.get("/meanwhile").status, 200, "{name}");
        let more = classic.requests().len() - heard - 1;
        if more != usize::from(due.contains("200")) && !name.contains("ten thousand") {
            faults.push(format!("{name}: an engine heard {more} requests"));
        }
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
    // Each flood once, and by its name; what the protocol library ended, as such.
    for kind in ["reset", "settings", "ping", "priority", "empty", "window_update", "continuation"] {
        proxy.counts(&format!("cutover_http2_floods_total{{listener=\"127.0.0.1:0\",kind=\"{kind}\"}}"), 1.0);
    }
    let other = corpus.iter().filter(|(_, _, due)| due.ends_with("goaway ENHANCE_YOUR_CALM")).count();
    proxy.counts("cutover_http2_floods_total{listener=\"127.0.0.1:0\",kind=\"other\"}", other as f64);
    proxy.counts("cutover_connections_open{listener=\"127.0.0.1:0\"}", 1.0);
}
