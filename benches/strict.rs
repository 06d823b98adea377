//! What judging a request head costs, in nanoseconds: `cargo bench --bench strict`.
//!
//! Every head of a client is read by `net::strict` before hyper reads it, so that this is added to each request.

use cutover::net::strict::checker::Checker;
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// What a load generator sends.
const SHORT: &str =
    "GET /index.html HTTP/1.1\r\nHost: portal.example.com\r\nUser-Agent: wrk\r\nAccept: */*\r\n\r\n";

/// What a browser sends.
const BROWSER: &str = "GET /account/settings?tab=security HTTP/1.1\r\nHost: portal.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\nConnection: keep-alive\r\nCookie: sid=0123456789abcdef\r\n\r\n";

const FORM: &str = "POST /login HTTP/1.1\r\nHost: portal.example.com\r\nContent-Type: application/x-www-form-urlencoded\r\n\
    Content-Length: 27\r\n\r\nusername=ada&password=12345";

const CHUNKED: &str = "POST /upload HTTP/1.1\r\nHost: portal.example.com\r\nTransfer-Encoding: chunked\r\n\r\n\
    10\r\n0123456789abcdef\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n";

#[divan::bench(args = [("short", SHORT), ("browser", BROWSER), ("form", FORM), ("chunked", CHUNKED)].map(Named), sample_size = 1000)]
fn a_request(bencher: Bencher<'_, '_>, request: &Named) {
    let bytes = request.0.1.as_bytes();
    let mut checker = Checker::new(32 * 1024);
    bencher.bench_local(|| checker.feed(black_box(bytes)).expect("a good request"));
}

/// A head that comes in two pieces, cut inside of a line.
#[divan::bench(sample_size = 1000)]
fn a_request_in_two_reads(bencher: Bencher<'_, '_>) {
    let (first, second) = BROWSER.as_bytes().split_at(BROWSER.len() / 2);
    let mut checker = Checker::new(32 * 1024);
    bencher.bench_local(|| {
        checker.feed(black_box(first)).expect("a good half");
        checker.feed(black_box(second)).expect("a good half")
    });
}

struct Named((&'static str, &'static str));

impl std::fmt::Display for Named {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} ({} bytes)", self.0.0, self.0.1.len())
    }
}
