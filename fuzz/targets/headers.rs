//! Header maps of any lines, on their way through the proxy.
//!
//! Invariant: behind `strip_request` and `strip_response` nothing of the hop is left, none of our annotations and
//! none of our cookies; no `Connection` line takes a protected header away, and everything else that it does not
//! name stays. Nothing that a client writes changes who it is behind a proxy that appends to `X-Forwarded-For`,
//! or alone to `Forwarded`. What the forwarder writes says one client, one scheme, one port.
//!
//! The first character says whether the peer is trusted; the rest are header lines.

#![no_main]

use std::net::IpAddr;

use cutover::decide::cookies;
use cutover::decide::engine::Engine;
use cutover::decide::headers::{self, Forwarder, Trust};
use cutover_fuzz::{SPACE, all, headers as read, trim};
use http::header::{CONNECTION, HeaderName, HeaderValue};
use http::{HeaderMap, header};
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

fn request(before: &HeaderMap, trusted: bool) {
    let keys = [HeaderName::from_static("x-user")];
    let named = options(before);
    let mut after = before.clone();
    let hop = headers::strip_request(&mut after, &keys, trusted);
    for name in OF_REQUEST.iter().chain(&OURS) {
        assert!(!after.contains_key(*name), "{name} was left");
    }
    keeps(before, &after, |name| {
        let is_named = named.iter().any(|option| option == name.as_str().as_bytes());
        let is_key = folded(name) == "x-user" && !(trusted && name == keys[0]);
        let is_protected = PROTECTED.contains(&name.as_str()) || (trusted && name == keys[0]);
        OF_REQUEST.contains(&name.as_str())
            || OURS.contains(&name.as_str())
            || is_key
            || *name == header::COOKIE
            || (is_named && !is_protected)
    });
    for name in after.keys() {
        let is_stripped_key = folded(name) == "x-user" && !(trusted && *name == keys[0]);
        assert!(!is_stripped_key, "a stranger's {name} was left");
        let is_named = named.iter().any(|option| option == name.as_str().as_bytes());
        let may_stay = PROTECTED.contains(&name.as_str())
            || ["cookie", "set-cookie", "close"].contains(&name.as_str())
            || folded(name) == "x-user";
        assert!(!is_named || may_stay, "{name} is of this hop");
    }
    let others = |map: &HeaderMap| -> Vec<Vec<u8>> {
        let lines = all(map, "cookie");
        let parts =
            lines.iter().flat_map(|line| line.split(|byte| *byte == b';')).map(|part| trim(part, SPACE));
        let name =
            |part: &[u8]| trim(part.split(|byte| *byte == b'=').next().unwrap_or_default(), SPACE).to_vec();
        parts.filter(|part| !part.is_empty() && !cookies::is_ours(&name(part))).map(<[u8]>::to_vec).collect()
    };
    assert_eq!(others(before), others(&after), "a cookie of the engine's was changed");
    for line in all(&after, "cookie") {
        assert_eq!(cookies::without_ours(&line), None, "a cookie of ours was left");
    }
    let asks_upgrade =
        before.contains_key(header::UPGRADE) && named.iter().any(|option| option == b"upgrade");
    assert_eq!(hop.upgrade.is_some(), asks_upgrade);

    headers::restore_hop(&mut after, &hop);
    let names_te = options(&after).iter().any(|option| option == b"te");
    assert_eq!(names_te, after.contains_key(header::TE));
    assert_eq!(after.contains_key(header::UPGRADE), asks_upgrade);
    assert!(after.get_all(CONNECTION).iter().count() <= 1);
    headers::annotate(&mut after, Engine::Classic, "cohort");
    assert!(OURS.iter().all(|name| all(&after, name).len() == 1));
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

fn forward(before: &HeaderMap, trusted: bool) {
    let peer = address(if trusted { PEER } else { CLIENT });
    let mut after = before.clone();
    let mut forwarder = Forwarder::new(peer, false, 8080);
    forwarder.write(&mut after, trusted);
    let mut again = before.clone();
    forwarder.write(&mut again, trusted);
    assert_eq!(after, again, "what is kept between requests is not what was made");
    keeps(&after, before, |name| name.as_str().starts_with("x-forwarded-") || *name == header::FORWARDED);

    for name in ["x-forwarded-for", "forwarded"] {
        assert_eq!(all(&after, name).len(), 1, "{name} on one line");
    }
    // The next hop trusts us, and reads either of them.
    let trust = Trust::new(vec![IpAddr::from([10, 255, 0, 1]).into()]);
    let us = IpAddr::from([10, 255, 0, 1]);
    assert_eq!(trust.client(&after, us), peer);
    let mut only = after.clone();
    only.remove("x-forwarded-for");
    assert_eq!(trust.client(&only, us), peer, "{:?}", all(&after, "forwarded"));
    if !trusted {
        let one = |name| String::from_utf8_lossy(&all(&after, name).concat()).into_owned();
        assert_eq!(
            [one("x-forwarded-for"), one("x-forwarded-proto"), one("x-forwarded-port")],
            [CLIENT, "http", "8080"]
        );
        let host = before.get("host").map(|host| host.as_bytes().to_vec());
        assert_eq!(all(&after, "x-forwarded-host"), host.into_iter().collect::<Vec<_>>());
        only.remove("x-forwarded-proto");
        assert!(!headers::forwarded_over_tls(&only));
    }

    let id = headers::ensure_request_id(&mut after, || 7);
    assert_eq!(all(&after, "x-request-id"), [id.as_bytes()], "one request, one name");
    assert!((1..=128).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic));
    headers::ensure_traceparent(&mut after, || 7);
    let [parent] = &all(&after, "traceparent")[..] else { panic!("one request, one parent") };
    assert!(parent.len() >= 55 && !parent.starts_with(b"ff") && parent[2] == b'-');
}

fuzz_target!(|data: &[u8]| {
    let Some((control, lines)) = data.split_first() else { return };
    let map = read(lines);
    request(&map, control & 1 != 0);
    response(&map);
    trust(&map);
    forward(&map, control & 1 != 0);
});
