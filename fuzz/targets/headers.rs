//! Header maps of any lines, on their way through the proxy.
//!
//! Invariant: in the bytes that an engine reads, and behind `strip_response`, nothing of the hop is left that we did
//! not ask for, no annotation but ours and no cookie of ours; no `Connection` line takes a protected header away,
//! and everything else that it does not name stays. What tells of a client's certificate passes from trusted peers alone. Nothing that a client writes changes who it is behind a proxy
//! that appends to `X-Forwarded-For`, or alone to `Forwarded`; what we write says one client, one scheme, one port.
//!
//! The first character says whether the peer is trusted; the rest are header lines.

#![no_main]

use std::net::IpAddr;

use cutover::decide::cookies;
use cutover::decide::decision::Reason;
use cutover::decide::engine::Engine;
use cutover::decide::headers::{self, Forwarder, Lines, Seen, Trust};
use cutover::upstream::head::{RequestHead, Sending, write_request};
use cutover_fuzz::{SPACE, all, headers as read, trim};
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, Uri, header};
use libfuzzer_sys::fuzz_target;

const OF_REQUEST: [&str; 7] =
    ["connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade", "expect"];
const OF_RESPONSE: [&str; 6] =
    ["connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"];
const OURS: [&str; 3] = ["cutover-engine", "cutover-reason", "cutover-workflow"];
const PROTECTED: [&str; 11] = [
    "host",
    "authorization",
    "content-length",
    "content-type",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-request-id",
    "traceparent",
];

const PEER: &str = "10.0.0.1";
const CLIENT: &str = "203.0.113.9";

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn append(map: &mut HeaderMap, name: &'static str, value: &str) {
    map.append(name, HeaderValue::try_from(value).expect("visible"));
}

/// What the `Connection` lines name.
fn options(headers: &HeaderMap) -> Vec<Vec<u8>> {
    let lines = all(headers, "connection");
    lines
        .iter()
        .flat_map(|line| line.split(|b| *b == b','))
        .map(|o| trim(o, SPACE).to_ascii_lowercase())
        .collect()
}

fn folded(name: &HeaderName) -> String {
    name.as_str().replace('_', "-")
}

/// What must come out of a map as it went in.
fn keeps(before: &HeaderMap, after: &HeaderMap, taken: impl Fn(&HeaderName) -> bool) {
    for name in before.keys().filter(|name| !taken(name)) {
        assert_eq!(all(before, name.as_str()), all(after, name.as_str()), "{name} was changed");
    }
    assert!(after.keys().all(|name| taken(name) || before.contains_key(name)), "a header came from nowhere");
}

/// What only a trusted proxy may say: whose certificate a client has shown. `name` is spelled with dashes.
fn tells_of_a_certificate(name: &str) -> bool {
    let families = [
        "client-cert", "ssl-client-", "x-ssl-client", "x-client-cert", "x-forwarded-client-cert",
        "x-forwarded-tls-client-cert", "x-amzn-mtls-", "x-arr-clientcert", "l5d-client-id",
    ];
    families.iter().any(|family| name.starts_with(family))
}

/// What only we write, in a spelling that a framework may take for it.
fn is_misspelled(name: &HeaderName) -> bool {
    let ours = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto"];
    name.as_str().contains('_') && (ours.contains(&&*folded(name)) || OURS.contains(&&*folded(name)))
}

/// The way of a request's headers through `proxy::handle`, to the bytes that an engine reads.
fn request(before: &HeaderMap, trusted: bool) {
    let keys = [HeaderName::from_static("x-user")];
    let named = options(before);
    let is_named = |name: &HeaderName| named.iter().any(|option| option == name.as_str().as_bytes());
    let is_stripped_key = |name: &HeaderName| folded(name) == "x-user" && !(trusted && *name == keys[0]);
    let is_hearsay = |name: &HeaderName| !trusted && tells_of_a_certificate(&folded(name));
    let (mut after, mut lines, seen) = (before.clone(), Lines::default(), Seen::of(before));
    let id = headers::ensure_request_id(&mut after, seen, || 7, &mut lines);
    let hop = headers::strip_request(&mut after, seen, &keys, trusted);
    for name in OF_REQUEST.iter().chain(&OURS) {
        assert!(!after.contains_key(*name), "{name} was left");
    }
    keeps(before, &after, |name| {
        let is_protected = PROTECTED.contains(&name.as_str())
            || ["cookie", "set-cookie"].contains(&name.as_str())
            || (trusted && *name == keys[0])
            || tells_of_a_certificate(name.as_str());
        OF_REQUEST.contains(&name.as_str())
            || OURS.contains(&name.as_str())
            || is_stripped_key(name)
            || is_hearsay(name)
            || is_misspelled(name)
            || *name == headers::X_REQUEST_ID
            // What is not declared does not pass: no trailer may carry a key past us.
            || *name == header::TRAILER
            || (is_named(name) && !is_protected)
    });
    assert!(!after.contains_key(header::TRAILER), "a trailer may carry a key");
    for name in after.keys() {
        assert!(!is_stripped_key(name), "a stranger's {name} was left");
        assert!(!is_misspelled(name) && !is_hearsay(name), "{name} was left");
        let may_stay = PROTECTED.contains(&name.as_str())
            || ["cookie", "set-cookie", "close", "x-user"].contains(&name.as_str())
            || (trusted && tells_of_a_certificate(name.as_str()));
        assert!(!is_named(name) || may_stay, "{name} is of this hop");
    }
    let asks_upgrade =
        before.contains_key(header::UPGRADE) && named.iter().any(|option| option == b"upgrade");
    assert_eq!(hop.upgrade.is_some(), asks_upgrade);

    let peer = address(if trusted { PEER } else { CLIENT });
    let mut forwarder = Forwarder::new(peer, false, 8080);
    let (mut again, mut first) = (after.clone(), Lines::default());
    forwarder.write(&mut again, seen, trusted, &mut first);
    let (mut again, mut second) = (after.clone(), Lines::default());
    forwarder.write(&mut again, seen, trusted, &mut second);
    assert_eq!(first, second, "what is kept between requests is not what was made");
    forwarder.write(&mut after, seen, trusted, &mut lines);
    headers::ensure_traceparent(&mut after, seen, || 7, &mut lines);
    headers::restore_hop(&mut after, &hop);
    lines.annotate(Engine::Classic, Reason::Target, None);

    let mut wire = Vec::new();
    let head = RequestHead { method: Method::POST, uri: Uri::from_static("/a"), headers: after, lines, undeclared_trailers: false };
    write_request(&mut wire, &head, Sending::Chunked);
    let text = wire.strip_prefix(b"POST /a HTTP/1.1\r\n").and_then(|rest| rest.strip_suffix(b"\r\n"));
    let text = text.expect("a head");
    let sent = read(text);
    let ends = text.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(sent.len(), ends, "a line that is no header, or two");
    assert!(text.is_empty() || text.ends_with(b"\r\n"));
    on_the_wire(before, &sent, trusted, id.as_bytes());
    let names_te = options(&sent).iter().any(|option| option == b"te");
    assert_eq!(names_te, sent.contains_key(header::TE));
    assert_eq!(sent.contains_key(header::UPGRADE), asks_upgrade);
}

/// What the engine reads, whatever the client wrote.
fn on_the_wire(before: &HeaderMap, sent: &HeaderMap, trusted: bool, id: &[u8]) {
    let peer = address(if trusted { PEER } else { CLIENT });
    assert_eq!(all(sent, "transfer-encoding"), [b"chunked"]);
    assert!(!sent.contains_key("content-length") && all(sent, "connection").len() <= 1);
    for name in OURS.iter().chain(&["x-forwarded-for", "forwarded", "x-request-id", "traceparent"]) {
        assert_eq!(all(sent, name).len(), 1, "{name} on one line");
    }
    assert_eq!(all(sent, "x-request-id"), [id], "one request, one name");
    assert!((1..=128).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic));
    let parent = &all(sent, "traceparent")[0];
    assert!(parent.len() >= 55 && !parent.starts_with(b"ff") && parent[2] == b'-');

    // The next hop trusts us, and reads either of them.
    let us = IpAddr::from([10, 255, 0, 1]);
    let trust = Trust::new(vec![us.into()]);
    assert_eq!(trust.client(sent, us), peer);
    let mut only = sent.clone();
    only.remove("x-forwarded-for");
    assert_eq!(trust.client(&only, us), peer, "{:?}", all(sent, "forwarded"));
    if !trusted {
        let one = |name| String::from_utf8_lossy(&all(sent, name).concat()).into_owned();
        let written = [one("x-forwarded-for"), one("x-forwarded-proto"), one("x-forwarded-port")];
        assert_eq!(written, [CLIENT, "http", "8080"]);
        let host = before.get("host").map(|host| host.as_bytes().to_vec());
        assert_eq!(all(sent, "x-forwarded-host"), host.into_iter().collect::<Vec<_>>());
        only.remove("x-forwarded-proto");
        assert!(!headers::forwarded_over_tls(&only));
    }

    let cookies = |map: &HeaderMap| -> Vec<(bool, Vec<u8>)> {
        let lines = all(map, "cookie");
        let parts =
            lines.iter().flat_map(|line| line.split(|byte| *byte == b';')).map(|part| trim(part, SPACE));
        let name =
            |part: &[u8]| trim(part.split(|byte| *byte == b'=').next().unwrap_or_default(), SPACE).to_vec();
        let parts = parts.filter(|part| !part.is_empty());
        parts.map(|part| (cookies::is_ours(&name(part)), part.to_vec())).collect()
    };
    let theirs: Vec<_> = cookies(before).into_iter().filter(|(is_ours, _)| !is_ours).collect();
    assert_eq!(cookies(sent), theirs, "ours was left, or theirs was changed");
}

fn response(before: &HeaderMap) {
    let named = options(before);
    let mut after = before.clone();
    headers::strip_response(&mut after);
    for name in OF_RESPONSE {
        assert!(!after.contains_key(name), "{name} was left");
    }
    keeps(before, &after, |name| {
        let is_named = named.iter().any(|option| option == name.as_str().as_bytes());
        let is_protected = PROTECTED.contains(&name.as_str()) || OURS.contains(&name.as_str());
        OF_RESPONSE.contains(&name.as_str())
            || *name == header::SET_COOKIE
            || (is_named && !is_protected && *name != header::COOKIE)
    });
    let kept: Vec<_> =
        all(before, "set-cookie").into_iter().filter(|line| !cookies::sets_ours(line)).collect();
    assert_eq!(all(&after, "set-cookie"), kept);

    headers::set_our_cookie(&mut after, "cutover=x; Path=/".to_owned());
    let cache: Vec<String> = all(&after, "cache-control")
        .iter()
        .flat_map(|line| line.split(|byte| *byte == b','))
        .map(|directive| String::from_utf8_lossy(trim(directive, SPACE)).to_ascii_lowercase())
        .collect();
    let name = |directive: &String| directive.split('=').next().unwrap_or_default().trim().to_owned();
    assert!(
        cache.iter().any(|directive| directive == "private" || name(directive) == "no-store"),
        "{cache:?}"
    );
    assert!(!cache.iter().any(|directive| ["public", "s-maxage"].contains(&&*name(directive))), "{cache:?}");
    let says_no_store = |line: &Vec<u8>| {
        line.split(|byte| *byte == b',')
            .any(|directive| trim(directive, SPACE).eq_ignore_ascii_case(b"no-store"))
    };
    if all(before, "cache-control").iter().any(says_no_store) && !named.iter().any(|n| n == b"cache-control")
    {
        assert!(cache.iter().any(|directive| directive == "no-store"), "no-store was lost");
    }
}

/// Whatever a client wrote, a trusted proxy that appends says who it is and how it came.
fn trust(from_client: &HeaderMap) {
    let trust = Trust::new(vec!["10.0.0.0/8".parse().expect("a network")]);
    let (peer, client) = (address(PEER), address(CLIENT));
    let anybody = trust.client(from_client, peer);
    let lines = [all(from_client, "x-forwarded-for"), all(from_client, "forwarded")].concat();
    let known: Vec<String> = lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    assert!(anybody == peer || !known.is_empty(), "{anybody} came from nowhere");

    // On a line of its own, or behind what is there.
    let mut appended = from_client.clone();
    append(&mut appended, "x-forwarded-for", CLIENT);
    assert_eq!(trust.client(&appended, peer), client, "a client talked its way past X-Forwarded-For");
    let mut joined = from_client.clone();
    let mut line = all(from_client, "x-forwarded-for").join(&b", "[..]);
    line.extend_from_slice(format!(", {CLIENT}").as_bytes());
    joined.insert("x-forwarded-for", HeaderValue::from_bytes(&line).expect("made of values"));
    assert_eq!(trust.client(&joined, peer), client, "a client talked its way past X-Forwarded-For");
    // Two trusted proxies in a row.
    append(&mut appended, "x-forwarded-for", "10.9.9.9:1234");
    assert_eq!(trust.client(&appended, peer), client);
    let mut alone = from_client.clone();
    alone.remove("x-forwarded-for");
    append(&mut alone, "forwarded", &format!("For=\"{CLIENT}\";proto=https"));
    assert_eq!(trust.client(&alone, peer), client, "a client talked its way past Forwarded");
    alone.remove("x-forwarded-proto");
    assert!(headers::forwarded_over_tls(&alone));

    for (word, over_tls) in [("http", false), ("https", true)] {
        let mut said = from_client.clone();
        append(&mut said, "x-forwarded-proto", word);
        assert_eq!(headers::forwarded_over_tls(&said), over_tls, "the proxy's own word stands last");
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((control, lines)) = data.split_first() else { return };
    let map = read(lines);
    request(&map, control & 1 != 0);
    response(&map);
    trust(&map);
});
