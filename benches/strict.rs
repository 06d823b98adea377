//! What reading a request costs, in nanoseconds: `cargo bench --bench strict`.

use bytes::BytesMut;
use cutover::net::strict::body::{BodyReader, Part};
use cutover::net::strict::head::HeadReader;
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

/// Bytes and lines that a head may have.
const MOST: (usize, usize) = (32 * 1024, 100);

#[divan::bench(args = [("short", SHORT), ("browser", BROWSER), ("form", FORM), ("chunked", CHUNKED)].map(Named), sample_size = 1000)]
fn a_request(bencher: Bencher<'_, '_>, request: &Named) {
    let bytes = request.0.1.as_bytes();
    let mut reader = HeadReader::new(MOST.0, MOST.1);
    let mut received = BytesMut::new();
    bencher.bench_local(|| {
        received.extend_from_slice(black_box(bytes));
        let head = reader.read(&mut received).expect("a good head").expect("all of it");
        let mut body = BodyReader::new(head.framing, MOST.0, MOST.1);
        while body.take(&mut received).expect("a good body") != Part::End {}
        head
    });
}

/// A head that comes in two pieces, cut inside of a line.
#[divan::bench(sample_size = 1000)]
fn a_request_in_two_reads(bencher: Bencher<'_, '_>) {
    let (first, second) = BROWSER.as_bytes().split_at(BROWSER.len() / 2);
    let mut reader = HeadReader::new(MOST.0, MOST.1);
    let mut received = BytesMut::new();
    bencher.bench_local(|| {
        received.extend_from_slice(black_box(first));
        assert!(reader.read(&mut received).expect("a good half").is_none());
        received.extend_from_slice(black_box(second));
        reader.read(&mut received).expect("a good half").expect("all of it")
    });
}

struct Named((&'static str, &'static str));

impl std::fmt::Display for Named {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} ({} bytes)", self.0.0, self.0.1.len())
    }
}
