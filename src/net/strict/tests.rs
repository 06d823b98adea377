use super::*;

const CHUNKED: &[u8] = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";

/// Feeds all at once, then byte by byte, and holds both against each other.
fn fault_in(bytes: &[u8]) -> Option<Fault> {
    let whole = Strict::default().feed(bytes);
    let mut strict = Strict::default();
    let mut fault = None;
    for byte in bytes {
        fault = strict.feed(&[*byte]).fault;
        if fault.is_some() {
            break;
        }
    }
    assert_eq!(whole.fault, fault, "{:?}", String::from_utf8_lossy(bytes));
    fault
}

fn head(lines: &str) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nhost: a\r\n{lines}\r\n").into_bytes()
}

#[test]
fn ordinary_requests_pass_whole_however_they_are_cut() {
    for bytes in [
        b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(),
        b"\r\nGET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n".to_vec(),
        head("content-length: 3\r\n"),
        [head("Content-Length:3 \t\r\n"), b"a\nb".to_vec(), head("")].concat(),
        [head("content-length: 0\r\n"), head("")].concat(),
        [CHUNKED, b"3;a=\"b\"\r\n\n\n\n\r\n0\r\nx: y\r\n\r\n\r\n", CHUNKED, b"0\r\n\r\n"].concat(),
        head("Transfer-Encoding:\t CHUNKED \r\n"),
        head("content-length-x: a\r\ntransfer-encodings: a\r\ntrailer: b\r\n"),
    ] {
        assert_eq!(fault_in(&bytes), None, "{:?}", String::from_utf8_lossy(&bytes));
        assert_eq!(Strict::default().feed(&bytes).good, bytes.len());
    }
}

#[test]
fn what_the_parser_would_forgive_is_a_fault() {
    for (lines, fault) in [
        ("content-length: 3\r\ntransfer-encoding: chunked\r\n", Fault::TwoLengths),
        ("transfer-encoding: chunked\r\nContent-LENGTH: 3\r\n", Fault::TwoLengths),
        ("content-length: 3\r\ncontent-length: 3\r\n", Fault::Length),
        ("content-length: 3, 3\r\n", Fault::Length),
        ("content-length: +3\r\n", Fault::Length),
        ("content-length:\r\n", Fault::Length),
        ("content-length: 18446744073709551616\r\n", Fault::Length),
        ("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", Fault::Coding),
        ("transfer-encoding: chunked, chunked\r\n", Fault::Coding),
        ("transfer-encoding: gzip, chunked\r\n", Fault::Coding),
        ("transfer-encoding: \"chunked\"\r\n", Fault::Coding),
        ("transfer-encoding: chunked;q=1\r\n", Fault::Coding),
        ("transfer-encoding: \x0bchunked\r\n", Fault::Coding),
        ("transfer-encoding:\r\n", Fault::Coding),
        ("x: a\n", Fault::BareLf),
        ("x: a\n\r\n", Fault::BareLf),
    ] {
        assert_eq!(fault_in(&head(lines)), Some(fault), "{lines:?}");
    }
    assert_eq!(fault_in(b"GET / HTTP/1.1\nhost: a\r\n\r\n"), Some(Fault::BareLf));
    assert_eq!(fault_in(b"\nGET / HTTP/1.1\r\nhost: a\r\n\r\n"), Some(Fault::BareLf));
    assert_eq!(fault_in(b"GET /a#b HTTP/1.1\r\nhost: a\r\n\r\n"), Some(Fault::Fragment));
    assert_eq!(fault_in(b"\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n"), Some(Fault::EmptyLines));
    assert_eq!(fault_in(b"POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n"), Some(Fault::OldCoding));
}

#[test]
fn a_fault_in_a_chunk_is_found_where_it_is() {
    for (body, fault) in [
        (&b"\r\n"[..], Fault::ChunkSize),
        (b"g\r\n", Fault::ChunkSize),
        (b"+3\r\n", Fault::ChunkSize),
        (b"0x3\r\n", Fault::ChunkSize),
        (b"3 \r\n", Fault::ChunkSize),
        (b" 3\r\n", Fault::ChunkSize),
        (b"3;a\x01\r\n", Fault::ChunkSize),
        (b"3;a\rb\r\n", Fault::ChunkSize),
        (b"3,a\r\n", Fault::ChunkSize),
        (b"1000000000000000\r\n", Fault::ChunkSize),
        (b"0000000000000003\r\n", Fault::ChunkSize),
        (b"3\n", Fault::BareLf),
        (b"3\r\nabcd\r\n", Fault::ChunkEnd),
        (b"3\r\nabc\n", Fault::ChunkEnd),
        (b"3\r\nabc\r\r\n", Fault::ChunkEnd),
        (b"3\r\nabc3\r\n", Fault::ChunkEnd),
        (b"0\r\nx: y\n\r\n", Fault::BareLf),
    ] {
        assert_eq!(fault_in(&[CHUNKED, body].concat()), Some(fault), "{:?}", String::from_utf8_lossy(body));
    }
    let endless = [CHUNKED, b"3;", &[b'a'; LONGEST_CHUNK_LINE]].concat();
    assert_eq!(fault_in(&endless), Some(Fault::ChunkSize), "before its end has come");
    let trailers = [CHUNKED, b"0\r\n", "x: y\r\n".repeat(LONGEST_TRAILERS / 6 + 1).as_bytes()].concat();
    assert_eq!(fault_in(&trailers), Some(Fault::Trailers));
}

#[test]
fn only_what_lies_before_a_faulty_line_is_good() {
    let (good, bad) = (head("x: a\r\n"), b"GET / HTTP/1.1\r\ncontent-length: x\r\n\r\n");
    let fed = Strict::default().feed(&[&good, &bad[..]].concat());
    assert_eq!(fed, Fed { good: good.len() + 16, fault: Some(Fault::Length) });
}

#[test]
fn a_long_line_keeps_its_start_and_its_end() {
    let target = "a".repeat(5000);
    let bytes = format!("POST /{target} HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n");
    assert_eq!(fault_in(bytes.as_bytes()), Some(Fault::OldCoding));
    let padded = format!("content-length:{}3\r\n", " ".repeat(5000));
    assert_eq!(fault_in(&head(&padded)), Some(Fault::Length), "nobody writes so");
}
