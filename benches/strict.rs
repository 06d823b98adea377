//! What it costs to look at HTTP/1.1 before the parser does, in nanoseconds: `cargo bench --bench strict`.

use cutover::net::strict::Strict;
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

const SMALL: &[u8] = b"GET / HTTP/1.1\r\nHost: portal.example.com\r\nCookie: uid=user-1; cutover=AQAAAAEAAAABAAAAAAAAAAAAAAAA-AQAAAAEAAAABAAAAAAAAAAAAAAAA\r\n\r\n";

const BROWSER: &[u8] = b"GET /account/settings HTTP/1.1\r\nHost: portal.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\nConnection: keep-alive\r\n\
    Cookie: uid=user-1; connect.sid=s%3A0123456789abcdef; cutover=AQAAAAEAAAABAAAAAAAAAAAAAAAA-AQAAAAEAAAABAAAA\r\n\
    Upgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\n\r\n";

#[divan::bench]
fn a_small_request(bencher: Bencher<'_, '_>) {
    let mut strict = Strict::default();
    bencher.bench_local(|| strict.feed(black_box(SMALL)));
}

#[divan::bench]
fn a_browsers_request(bencher: Bencher<'_, '_>) {
    let mut strict = Strict::default();
    bencher.bench_local(|| strict.feed(black_box(BROWSER)));
}

/// 16 KiB in chunks of 1 KiB.
#[divan::bench]
fn a_chunked_body(bencher: Bencher<'_, '_>) {
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let chunk = [b"400\r\n", &[b'a'; 1024][..], b"\r\n"].concat();
    let bytes = [head, chunk.repeat(16), b"0\r\n\r\n".to_vec()].concat();
    let mut strict = Strict::default();
    bencher.bench_local(|| strict.feed(black_box(&bytes)));
}
