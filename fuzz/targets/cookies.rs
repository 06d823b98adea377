//! `Cookie` and `Set-Cookie` lines of any bytes.
//!
//! Invariant: of a `Cookie` line exactly our cookies are taken out, every other cookie stays, in order and as it
//! was; what is left untouched had none of ours. A `Set-Cookie` line by which a browser would store a cookie of
//! ours is recognised, also in the nameless spelling (RFC 6265bis 5.6: `=cutover=x` is sent back as `cutover=x`).

#![no_main]

use cutover::decide::cookies;
use cutover_fuzz::{SPACE, trim};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

const OURS: [&[u8]; 6] = [
    b"__Host-cutover",
    b"__Host-cutover-flow",
    b"__Host-cutover-tester",
    b"cutover",
    b"cutover-flow",
    b"cutover-tester",
];

/// Name, value and the whole of each cookie, by the book and without care for speed.
fn read(line: &[u8]) -> Vec<(Option<&[u8]>, &[u8], &[u8])> {
    line.split(|byte| *byte == b';')
        .map(|part| match part.iter().position(|byte| *byte == b'=') {
            Some(at) => (Some(trim(&part[..at], SPACE)), trim(&part[at + 1..], SPACE), trim(part, SPACE)),
            None => (None, trim(part, SPACE), trim(part, SPACE)),
        })
        .filter(|(.., whole)| !whole.is_empty())
        .collect()
}

fn is_ours((name, value, _): &(Option<&[u8]>, &[u8], &[u8])) -> bool {
    OURS.contains(&name.unwrap_or(value))
}

fuzz_target!(|line: &[u8]| {
    let cookies = read(line);
    let kept: Vec<&[u8]> =
        cookies.iter().filter(|cookie| !is_ours(cookie)).map(|(.., whole)| *whole).collect();
    let mut rest = b"before".to_vec();
    assert_eq!(cookies::write_without_ours(line, &mut rest), rest.len() > b"before".len() || line.is_empty());
    let rest = rest.strip_prefix(b"before").expect("it appends");
    assert_eq!(read(rest).iter().map(|(.., whole)| *whole).collect::<Vec<_>>(), kept);
    assert!(rest.len() < line.len() * 2 + 1);

    let pairs: Vec<_> = cookies::pairs(line).collect();
    let expected: Vec<_> = cookies.iter().filter_map(|(name, value, _)| Some(((*name)?, *value))).collect();
    assert_eq!(pairs, expected);

    if let Ok(value) = HeaderValue::from_bytes(line) {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, value.clone());
        headers.append(COOKIE, value);
        for name in pairs.iter().filter_map(|(name, _)| std::str::from_utf8(name).ok()) {
            let once = pairs.iter().filter(|(found, _)| *found == name.as_bytes()).map(|(_, value)| *value);
            assert!(cookies::values(&headers, name).eq(once.clone().chain(once)), "values of {name}");
        }
    }

    // What a browser stores (RFC 6265bis 5.6), and sends back: a nameless cookie is sent without the `=`.
    let pair = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let sent_back = match pair.iter().position(|byte| *byte == b'=') {
        Some(at) if trim(&pair[..at], SPACE).is_empty() => trim(&pair[at + 1..], SPACE),
        Some(_) | None => trim(pair, SPACE),
    };
    let comes_back_as_ours = read(sent_back).iter().any(is_ours);
    assert!(cookies::sets_ours(line) || !comes_back_as_ours, "{:?}", String::from_utf8_lossy(line));
    if cookies::sets_ours(line) {
        assert!(line.windows(7).any(|window| window == b"cutover"));
    }
});
