//! The sequences, and what each deserves.

use crate::support::multi::{GET, fields, frame};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const WHOLE: u8 = END_STREAM | END_HEADERS;

/// Its name, its frames, and what comes back, as [`send`](super::send) says it.
type Sequence = (&'static str, Vec<u8>, &'static str);

fn request(more: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, WHOLE, 1, &fields(&[GET, more].concat()))
}

fn on(stream: u32) -> Vec<u8> {
    frame(HEADERS, WHOLE, stream, &fields(GET))
}

fn open() -> Vec<u8> {
    frame(HEADERS, END_HEADERS, 1, &fields(GET))
}

fn without(name: &str) -> Vec<u8> {
    let kept: Vec<_> = GET.iter().filter(|(found, _)| *found != name).copied().collect();
    frame(HEADERS, WHOLE, 1, &fields(&kept))
}

fn with(name: &str, value: &str) -> Vec<u8> {
    let put =
        |(found, old): &(&'static str, &'static str)| (*found, if *found == name { value } else { *old });
    let changed: Vec<(&str, &str)> = GET.iter().map(put).collect();
    frame(HEADERS, WHOLE, 1, &fields(&changed))
}

/// A header block that has not ended.
fn unended() -> Vec<u8> {
    frame(HEADERS, END_STREAM, 1, &fields(GET))
}

pub(super) fn corpus() -> Vec<Sequence> {
    [connections(), blocks(), requests(), floods(), harmless()].concat()
}

fn connections() -> Vec<Sequence> {
    let refused = |(name, frames)| (name, frames, "goaway PROTOCOL_ERROR");
    [
        ("DATA on stream 0", frame(DATA, 0, 0, b"x")),
        ("DATA on a stream that nobody opened", frame(DATA, 0, 5, b"x")),
        ("DATA with padding longer than itself", [open(), frame(DATA, 8, 1, &[9, 1])].concat()),
        ("HEADERS on stream 0", frame(HEADERS, WHOLE, 0, &fields(GET))),
        ("HEADERS on an even stream", on(2)),
        ("HEADERS on a lower stream", [on(5), on(3)].concat()),
        ("HEADERS with padding longer than itself", frame(HEADERS, WHOLE | 8, 1, &[200, 1])),
        ("PRIORITY on stream 0", frame(PRIORITY, 0, 0, &[0; 5])),
        ("RST_STREAM on stream 0", frame(RST_STREAM, 0, 0, &[0; 4])),
        ("RST_STREAM of an idle stream", frame(RST_STREAM, 0, 5, &[0; 4])),
        ("RST_STREAM of 3 bytes", [open(), frame(RST_STREAM, 0, 1, &[0; 3])].concat()),
        ("SETTINGS on a stream", frame(SETTINGS, 0, 1, &[])),
        ("SETTINGS of 5 bytes", frame(SETTINGS, 0, 0, &[0; 5])),
        ("an acknowledgement with payload", frame(SETTINGS, 1, 0, &[0; 6])),
        ("ENABLE_PUSH of 2", frame(SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 2])),
        ("a window beyond 31 bits", frame(SETTINGS, 0, 0, &[0, 4, 0x80, 0, 0, 0])),
        ("a frame size below 16 KiB", frame(SETTINGS, 0, 0, &[0, 5, 0, 0, 0, 1])),
        ("PUSH_PROMISE", frame(PUSH_PROMISE, END_HEADERS, 1, &[&[0, 0, 0, 2][..], &fields(GET)].concat())),
        ("PING on a stream", frame(PING, 0, 1, &[0; 8])),
        ("PING of 7 bytes", frame(PING, 0, 0, &[0; 7])),
        ("GOAWAY on a stream", frame(GOAWAY, 0, 1, &[0; 8])),
        ("WINDOW_UPDATE of 0", frame(WINDOW_UPDATE, 0, 0, &[0; 4])),
        ("WINDOW_UPDATE of 3 bytes", frame(WINDOW_UPDATE, 0, 0, &[0; 3])),
    ]
    .into_iter()
    .map(refused)
    .collect()
}

fn blocks() -> Vec<Sequence> {
    let refused = |(name, frames)| (name, frames, "goaway PROTOCOL_ERROR");
    [
        ("HEADERS that are no HPACK", frame(HEADERS, WHOLE, 1, &[0xff; 40])),
        ("an index beyond the table", frame(HEADERS, WHOLE, 1, &[0xfe])),
        ("an index of 0", frame(HEADERS, WHOLE, 1, &[0x80])),
        ("a table larger than allowed", frame(HEADERS, WHOLE, 1, &[0x3f, 0xff, 0xff, 0x7f])),
        ("a broken Huffman code", frame(HEADERS, WHOLE, 1, &[0, 0x84, 0xff, 0xff, 0xff, 0xff, 1, b'a'])),
        ("DATA within a header block", [unended(), frame(DATA, 0, 1, b"x")].concat()),
        ("PING within a header block", unended()),
        ("CONTINUATION without HEADERS", frame(CONTINUATION, END_HEADERS, 1, &fields(GET))),
        ("CONTINUATION of another stream", [unended(), frame(CONTINUATION, END_HEADERS, 3, b"")].concat()),
    ]
    .into_iter()
    .map(refused)
    .collect()
}

fn requests() -> Vec<Sequence> {
    [refused(), malformed(), answered()].concat()
}

/// What makes the protocol library end the connection, where RFC 9113 would let it end the stream alone.
fn refused() -> Vec<Sequence> {
    let refused = |(name, frames)| (name, frames, "goaway PROTOCOL_ERROR");
    [
        ("DATA behind the end of a stream", [on(1), frame(DATA, 0, 1, b"x")].concat()),
        ("PRIORITY of 4 bytes", frame(PRIORITY, 0, 1, &[0; 4])),
        ("a method with a space", with(":method", "GET /x HTTP/1.1")),
        ("a method with CR LF", with(":method", "GET\r\n")),
        ("a pseudo field that nobody knows", request(&[(":evil", "x")])),
        ("a name in capitals", request(&[("X-Up", "y")])),
        ("an empty name", request(&[("", "y")])),
        ("a name with a colon", request(&[("x:y", "z")])),
        ("a name with a space", request(&[("x y", "z")])),
        ("a name with CR LF", request(&[("x\r\ny", "z")])),
        ("a value with CR LF", request(&[("x", "y\r\nz: a")])),
        ("a value with NUL", request(&[("x", "y\0z")])),
    ]
    .into_iter()
    .map(refused)
    .collect()
}

/// Requests that are malformed (RFC 9113 8.1.1).
fn malformed() -> Vec<Sequence> {
    let reset = |(name, frames)| (name, frames, "reset PROTOCOL_ERROR, open");
    let whole = |length: &str| {
        frame(HEADERS, END_HEADERS, 1, &fields(&[GET, &[("content-length", length)]].concat()))
    };
    let itself = [&[0, 0, 0, 1, 1][..], &fields(GET)].concat();
    let trailers = |trailers: &[(&str, &str)]| {
        [open(), frame(DATA, 0, 1, b"abc"), frame(HEADERS, END_HEADERS, 1, &fields(trailers))].concat()
    };
    [
        ("HEADERS that depend on themselves", frame(HEADERS, WHOLE | 0x20, 1, &itself)),
        ("no method", without(":method")),
        ("no scheme", without(":scheme")),
        ("no path", without(":path")),
        ("an empty path", with(":path", "")),
        ("a path that is a host", with(":path", "evil.example")),
        ("a path with a space", with(":path", "/a b")),
        ("a path with CR LF", with(":path", "/a\r\nx: y")),
        ("an authority with a path", with(":authority", "portal.example.com/x")),
        ("an authority with CR LF", with(":authority", "portal.example.com\r\nx: y")),
        ("two methods", request(&[(":method", "POST")])),
        ("a response's pseudo field", request(&[(":status", "200")])),
        ("a pseudo field behind others", request(&[("x", "y"), (":path", "/y")])),
        ("Connection", request(&[("connection", "close")])),
        ("Keep-Alive", request(&[("keep-alive", "timeout=5")])),
        ("Proxy-Connection", request(&[("proxy-connection", "close")])),
        ("Transfer-Encoding", request(&[("transfer-encoding", "chunked")])),
        ("Upgrade", request(&[("upgrade", "websocket")])),
        ("TE that is not trailers", request(&[("te", "gzip")])),
        ("a length and no body", request(&[("content-length", "5")])),
        ("two lengths", request(&[("content-length", "0"), ("content-length", "5")])),
        ("a length that is no number", request(&[("content-length", "0x0")])),
        ("a length below the body's", [whole("2"), frame(DATA, END_STREAM, 1, b"abc")].concat()),
        ("a length beyond the body's", [whole("5"), frame(DATA, END_STREAM, 1, b"abc")].concat()),
        ("trailers that do not end the stream", trailers(&[("x", "y")])),
        ("a protocol without CONNECT", request(&[(":protocol", "websocket")])),
        ("a WebSocket without a path", connect(&[(":protocol", "websocket"), (":scheme", "http")])),
    ]
    .into_iter()
    .map(reset)
    .collect()
}

/// Requests that are well formed, and that nobody may have.
fn answered() -> Vec<Sequence> {
    let many: Vec<(&str, &str)> = std::iter::repeat_n(("x", "y"), 101).collect();
    let opening = |protocol| connect(&[(":protocol", protocol), (":scheme", "http"), (":path", "/")]);
    vec![
        ("no authority and no host", without(":authority"), "400, open"),
        ("an authority with a user", with(":authority", "user@portal.example.com"), "400, open"),
        ("an authority that nobody claims", with(":authority", "evil.example"), "421, open"),
        ("a host that is another", request(&[("host", "evil.example")]), "400, open"),
        (
            "two hosts",
            request(&[("host", "portal.example.com"), ("host", "portal.example.com")]),
            "400, open",
        ),
        ("CONNECT", connect(&[]), "400, reset NO_ERROR, open"),
        ("a tunnel of another protocol", opening("connect-udp"), "501, reset NO_ERROR, open"),
        ("an asterisk", with(":path", "*"), "400, open"),
        ("a hundred and one lines", request(&many), "431, open"),
        ("a header list beyond 32 KiB", frame(HEADERS, WHOLE, 1, &bomb(9)), "431, open"),
        (
            "a header list that unpacks to megabytes",
            frame(HEADERS, WHOLE, 1, &bomb(12_000)),
            "goaway ENHANCE_YOUR_CALM",
        ),
        ("a frame beyond 16 KiB", frame(DATA, 0, 1, &[0; 16_385]), "goaway FRAME_SIZE_ERROR"),
        (
            "WINDOW_UPDATE beyond 31 bits",
            frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]).repeat(2),
            "goaway FLOW_CONTROL_ERROR",
        ),
    ]
}

/// A CONNECT with these other pseudo fields.
fn connect(more: &[(&str, &str)]) -> Vec<u8> {
    let target = [(":method", "CONNECT"), (":authority", "portal.example.com")];
    frame(HEADERS, END_HEADERS, 1, &fields(&[&target, more].concat()))
}

/// One large field in the dynamic table, named again and again (RFC 7541 6.1).
fn bomb(times: usize) -> Vec<u8> {
    let mut block = fields(GET);
    // A new name of one byte, and a value of 127 + 0x21 + (0x1e << 7) = 4,000 bytes.
    block.extend_from_slice(&[0x40, 1, b'x', 0x7f, 0xa1, 0x1e]);
    block.extend(std::iter::repeat_n(b'a', 4000));
    block.extend(std::iter::repeat_n(0xbe, times));
    block
}

fn floods() -> Vec<Sequence> {
    let resets = (0..10_000).flat_map(|number| {
        let stream = 2 * number + 1;
        [on(stream), frame(RST_STREAM, 0, stream, &8u32.to_be_bytes())].concat()
    });
    let refused =
        (0..3000).flat_map(|number| frame(HEADERS, WHOLE, 2 * number + 1, &fields(&[(":method", "GET")])));
    let endless = [unended(), frame(CONTINUATION, 0, 1, &fields(&[("x", "y")])).repeat(10_000)].concat();
    vec![
        ("ten thousand resets", resets.collect(), "goaway PROTOCOL_ERROR"),
        ("a flood of SETTINGS", frame(SETTINGS, 0, 0, &[]).repeat(10_000), "goaway PROTOCOL_ERROR"),
        ("a flood of PING", frame(PING, 0, 0, &[0; 8]).repeat(10_000), "goaway PROTOCOL_ERROR"),
        (
            "a flood of PRIORITY",
            frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1]).repeat(10_000),
            "goaway PROTOCOL_ERROR",
        ),
        (
            "a flood of empty DATA",
            [open(), frame(DATA, 0, 1, b"").repeat(10_000)].concat(),
            "goaway PROTOCOL_ERROR",
        ),
        (
            "a flood of WINDOW_UPDATE",
            frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]).repeat(400_000),
            "goaway PROTOCOL_ERROR",
        ),
        ("an endless header block", endless, "goaway PROTOCOL_ERROR"),
        ("a flood of requests that have to be reset", refused.collect(), "goaway ENHANCE_YOUR_CALM"),
    ]
}

fn harmless() -> Vec<Sequence> {
    vec![
        ("a frame of a kind to come", frame(0x77, 0xff, 1, b"anything"), "open"),
        ("a setting to come", frame(SETTINGS, 0, 0, &[0xff, 0xff, 0, 0, 0, 1]), "open"),
        (
            "WINDOW_UPDATE of a stream that is over",
            [on(1), frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])].concat(),
            "200, open",
        ),
    ]
}
