//! Cookie names, `Cookie` and `Set-Cookie` lines of any bytes, on their way through `session.isolate`.
//!
//! An input is one byte that chooses the engine, then lines: the first as a `Cookie` line, the others as `Set-Cookie`
//! lines. Invariant: a name comes back as it was; no engine sees a name that is made here, nor the other engine's
//! cookies, nor one of ours; what is neither a session's nor marked stays, in order and as it was; nothing grows by more
//! than its marks.

#![no_main]

use cutover::decide::answer::CookieName;
use cutover::decide::cookies;
use cutover::decide::engine::Engine;
use cutover::decide::isolation::{Jar, keep_apart, renamed, restored};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

const SESSION: [&str; 4] = ["connect.sid", "app*", "__Host-sid", "_*_session"];

fn is_session(name: &[u8], session: &[CookieName]) -> bool {
    session.iter().any(|wanted| wanted.matches(name))
}

fuzz_target!(|input: &[u8]| {
    let Some((first, rest)) = input.split_first() else { return };
    let engine = Engine::BOTH[usize::from(first & 1)];
    let session: Vec<CookieName> = SESSION.iter().filter_map(|name| CookieName::parse(name)).collect();
    let lines: Vec<HeaderValue> =
        rest.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok()).collect();
    let Some((line, set)) = lines.split_first() else { return };

    let mut headers = HeaderMap::new();
    headers.append(COOKIE, line.clone());
    let sent: Vec<(&[u8], &[u8])> = cookies::pairs(line.as_bytes()).collect();
    for (name, _) in &sent {
        let away = renamed(engine, name);
        let back = restored(&away).expect("marked");
        assert_eq!((back.0, &*back.1), (engine, *name));
        assert!(!cookies::is_ours(&away));
    }
    Jar::of(&headers).hand_to(engine, &session, &mut headers);
    let line = headers.remove(COOKIE);
    let got: Vec<(&[u8], &[u8])> = line.iter().flat_map(|line| cookies::pairs(line.as_bytes())).collect();
    let others = |pairs: &[(&[u8], &[u8])]| -> Vec<(Vec<u8>, Vec<u8>)> {
        let others = pairs.iter().filter(|(name, _)| restored(name).is_none() && !is_session(name, &session));
        others.map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
    };
    assert_eq!(others(&got), others(&sent));
    for (name, value) in &got {
        // `app*` may well be the engine's own name for what looks like one of ours.
        assert!(restored(name).is_none() || is_session(name, &session));
        assert!(
            sent.iter().any(|(was, same)| same == value
                && (was == name || restored(was).is_some_and(|(of, was)| of == engine && *was == **name))),
            "nothing is made up"
        );
    }

    for line in set {
        headers.append(SET_COOKIE, line.clone());
    }
    keep_apart(&mut headers, engine, &session, 1_800_000_000);
    assert!(headers.get_all(SET_COOKIE).iter().count() <= set.len() * 2);
    for line in headers.get_all(SET_COOKIE) {
        // Whatever the browser would store of it is no session of the other engine.
        let pair = line.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        for (name, _) in cookies::pairs(pair) {
            assert!(restored(name).is_none_or(|(of, _)| of == engine), "{line:?}");
        }
    }
});
