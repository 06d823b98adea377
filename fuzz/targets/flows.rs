//! Flow cookies, path patterns and answers: what a stranger or an engine writes must neither panic nor choose.
//!
//! Input: lines of text. The first is a pattern, the second a path, the third a `Set-Cookie` line, the fourth a
//! `Location`; the rest is a flow cookie's value.

#![no_main]

use cutover::decide::answer::AnswerFacts;
use cutover::decide::cookies::{PLAIN, set_lines};
use cutover::decide::evacuate::SignOut;
use cutover::decide::path::normalise;
use cutover::decide::pattern::Pattern;
use cutover::decide::ticket::{Sealer, SigningKey};
use cutover::decide::workflow::{Landing, LandingEngine, PinLimits, Table, Workflow};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut lines = data.splitn(5, |byte| *byte == b'\n');
    let mut next = || lines.next().unwrap_or_default();
    let (pattern, path, cookie, location, value) = (next(), next(), next(), next(), next());

    // What was never sealed never opens.
    let sealer = Sealer::new(&[SigningKey::new(vec![7; 32]).expect("32 bytes")], "portal", 1, None);
    assert!(sealer.open_flows(&PLAIN, value).is_err());

    let path = String::from_utf8_lossy(path).into_owned();
    if let Ok(sign_out) = SignOut::parse(&path) {
        let written = sign_out.as_str();
        assert!(written.starts_with('/') && !written.starts_with("//") && written == path);
        assert!(written.bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(written.split('?').next().is_some_and(|path| !path.contains("/../")), "a query leads nowhere");
    }
    let normal = normalise(&path).into_owned();
    assert!(normal.starts_with('/') && !normal.contains("//"), "{normal:?}");
    let segments: Vec<&str> = normal.split('/').collect();
    assert!(!segments.contains(&".") && !segments.contains(&".."), "{normal:?}");

    if let Some(pattern) = std::str::from_utf8(pattern).ok().and_then(|text| Pattern::parse(text).ok()) {
        let again = Pattern::parse(pattern.as_str()).expect("what was read is read again");
        assert_eq!(again, pattern);
        let landing = Landing {
            path: Some(pattern.clone()),
            query: vec![("state".to_owned(), None)],
            engine: LandingEngine::Cohort,
            until: None,
        };
        let workflow = Workflow {
            name: "sign-in".to_owned(),
            start: vec![pattern.clone()],
            steps: vec![pattern.clone()],
            callback: Vec::new(),
            landing: vec![landing],
            success: Vec::new(),
            failure: Vec::new(),
            pin: PinLimits { idle: 1, cap: 1 },
            share: None,
        };
        let table = Table::new(vec![workflow], &[]);
        let place = table.place(&Method::GET, &path, Some(&path));
        let by_itself = pattern.matches(&normal);
        assert!(place.start.is_none() || by_itself, "{pattern} at {normal:?}");
        assert_eq!(place.start.is_some(), place.steps == 1, "one pattern is as specific as itself");
    }

    let mut headers = HeaderMap::new();
    headers.extend(HeaderValue::from_bytes(cookie).map(|line| (http::header::SET_COOKIE, line)));
    headers.extend(HeaderValue::from_bytes(location).map(|line| (http::header::LOCATION, line)));
    for line in set_lines(&headers) {
        let _ = line.is_deletion(1_800_000_000);
    }
    let facts = AnswerFacts::of(StatusCode::FOUND, &headers, "portal.example.com", 1_800_000_000);
    if let Some(target) = facts.target {
        let location = String::from_utf8_lossy(location).to_ascii_lowercase();
        assert!(location.contains(&target.path.to_ascii_lowercase()) || target.path == "/");
        assert!(!location.starts_with("http://evil") && !location.starts_with("//evil"), "{location}");
    }
});
