use super::*;

const MOST: usize = 8 * 1024;

/// Reads one head that comes in pieces of a size. What is left behind it, too.
fn read(bytes: &[u8], piece: usize) -> Result<Option<(Head, BytesMut)>, Refused> {
    let mut reader = HeadReader::new(MOST, 100);
    let mut received = BytesMut::new();
    let mut pieces = bytes.chunks(piece);
    while let Some(piece) = pieces.next() {
        received.extend_from_slice(piece);
        if let Some(head) = reader.read(&mut received)? {
            pieces.for_each(|rest| received.extend_from_slice(rest));
            return Ok(Some((head, received)));
        }
    }
    Ok(None)
}

fn fault_of(bytes: impl AsRef<[u8]>) -> Option<Fault> {
    match read(bytes.as_ref(), usize::MAX) {
        Ok(_) => None,
        Err(Refused::Faulty(fault)) => Some(fault),
        Err(refused) => panic!("{refused:?}"),
    }
}

fn head(lines: &str) -> String {
    format!("POST / HTTP/1.1\r\nhost: a\r\n{lines}\r\n\r\n")
}

fn whole(bytes: impl AsRef<[u8]>) -> Head {
    let bytes = bytes.as_ref();
    let read =
        read(bytes, usize::MAX).unwrap_or_else(|refused| panic!("{refused:?}: {}", bytes.escape_ascii()));
    read.expect("a whole head").0
}

#[test]
fn a_head_says_where_its_body_ends() {
    for (lines, framing) in [
        ("x: y", Framing::Nothing),
        ("content-length: 0", Framing::Nothing),
        ("content-length: 5", Framing::Length(5)),
        ("Content-Length:   005  ", Framing::Length(5)),
        ("content-length: 9223372036854775807", Framing::Length(i64::MAX as u64)),
        ("transfer-encoding: chunked", Framing::Chunked),
        ("Transfer-Encoding:CHUNKED", Framing::Chunked),
        ("upgrade: websocket\r\ncontent-length: 3", Framing::Length(3)),
        ("x: \u{e9}\t\"", Framing::Nothing),
        ("x:", Framing::Nothing),
        ("!#$%&'*+-.^_`|~09az: y", Framing::Nothing),
    ] {
        assert_eq!(whole(head(lines)).framing, framing, "{lines:?}");
    }
}

#[test]
fn a_head_is_the_same_however_it_comes() {
    let bytes =
        b"\r\nBREW /a?b=%zz HTTP/1.1\r\nHost:  a:80 \r\nX-One: 1\r\nx-one:\r\nX-Two:\t2 \t 2\t\r\n\r\nbody";
    for piece in (1..40).chain([bytes.len()]) {
        let (head, rest) = read(bytes, piece).expect("sound").expect("whole");
        assert_eq!((head.method.as_str(), head.uri.to_string().as_str()), ("BREW", "/a?b=%zz"));
        assert_eq!(head.version, Version::HTTP_11);
        let lines: Vec<_> =
            head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let expected: [(&str, &[u8]); 4] =
            [("host", b"a:80"), ("x-one", b"1"), ("x-one", b""), ("x-two", b"2 \t 2")];
        assert_eq!(lines, expected, "in pieces of {piece}");
        assert_eq!(rest, "body"[..]);
    }
}

#[test]
fn heads_follow_one_another() {
    let mut reader = HeadReader::new(MOST, 100);
    let mut received =
        BytesMut::from(&b"GET /1 HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.0\r\nx: y\r\n\r\nGET /3"[..]);
    let mut next =
        || reader.read(&mut received).expect("sound").map(|head| (head.uri.to_string(), head.headers.len()));
    assert_eq!(next(), Some(("/1".into(), 1)));
    assert_eq!(next(), Some(("/2".into(), 1)));
    assert_eq!(next(), None);
    received.extend_from_slice(b" HTTP/1.1\r\nhost: b\r\n\r\n");
    assert_eq!(reader.read(&mut received).expect("sound").expect("whole").uri, "/3");
    assert!(received.is_empty());
}

#[test]
fn what_a_client_wants_of_its_connection_is_heard() {
    let of = |version: &str, lines: &str| {
        let head = whole(format!("GET / {version}\r\nhost: a\r\n{lines}\r\n"));
        (head.keeps_alive, head.expects_continue, head.takes_trailers, head.wants_upgrade)
    };
    for (version, lines, wants) in [
        ("HTTP/1.1", "", (true, false, false, false)),
        ("HTTP/1.1", "connection: x, Close\r\n", (false, false, false, false)),
        ("HTTP/1.1", "connection: keep-alive\r\nconnection: close\r\n", (false, false, false, false)),
        ("HTTP/1.1", "expect: 100-Continue\r\n", (true, true, false, false)),
        ("HTTP/1.1", "te: gzip;q=1, Trailers;q=1\r\n", (true, false, true, false)),
        ("HTTP/1.1", "upgrade: websocket\r\nconnection: upgrade\r\n", (true, false, false, true)),
        ("HTTP/1.0", "", (false, false, false, false)),
        (
            "HTTP/1.0",
            "connection: Keep-Alive\r\nexpect: 100-continue\r\nupgrade: h2c\r\n",
            (true, false, false, false),
        ),
    ] {
        assert_eq!(of(version, lines), wants, "{version} {lines:?}");
    }
}

#[test]
fn a_faulty_line_is_told_by_its_fault() {
    for (line, fault) in [
        ("content-length: 3\r\ncontent-length: 4", Fault::SecondLength),
        ("content-length: 3\r\ncontent-length: 3", Fault::SecondLength),
        ("content-length: 3, 3", Fault::Length),
        ("content-length: +3", Fault::Length),
        ("content-length: 0x3", Fault::Length),
        ("content-length: 3 3", Fault::Length),
        ("content-length:", Fault::Length),
        ("content-length:\t3", Fault::Length),
        ("content-length: 9223372036854775808", Fault::Length),
        ("content-length: 3\r\ntransfer-encoding: chunked", Fault::LengthAndCoding),
        ("transfer-encoding: chunked\r\ncontent-length: 3", Fault::LengthAndCoding),
        ("transfer-encoding: chunked\r\ntransfer-encoding: chunked", Fault::Coding),
        ("transfer-encoding: gzip, chunked", Fault::Coding),
        ("transfer-encoding: \"chunked\"", Fault::Coding),
        ("transfer-encoding:\tchunked", Fault::Coding),
        ("transfer-encoding: chunked;q=1", Fault::Coding),
        ("transfer-encoding:", Fault::Coding),
        ("transfer_encoding: chunked", Fault::Underscore),
        ("Content_Length: 3", Fault::Underscore),
        ("host: a", Fault::SecondHost),
        ("x: y\r\n folded", Fault::Fold),
        ("x: y\r\n\tfolded", Fault::Fold),
        ("x : y", Fault::SpaceBeforeColon),
        ("x\t: y", Fault::SpaceBeforeColon),
        ("no colon", Fault::SpaceBeforeColon),
        ("nothing", Fault::Name),
        (": y", Fault::Name),
        ("\u{e9}: y", Fault::Name),
        ("x\0: y", Fault::Name),
        ("x: \0", Fault::ControlByte),
        ("x: a long enough value for whole blocks of it \x7f and more", Fault::ControlByte),
        ("x: a\rb: c", Fault::BareCr),
        ("x: a\r", Fault::BareCr),
        ("x: a\nb: c", Fault::BareLf),
    ] {
        assert_eq!(fault_of(head(line)), Some(fault), "{line:?}");
    }
}

#[test]
fn a_request_line_has_three_words_and_one_way_to_write_them() {
    for (line, outcome) in [
        ("GET / HTTP/1.1", None),
        ("GET / HTTP/1.0", None),
        ("OPTIONS * HTTP/1.1", None),
        ("BREW /a?b=%zz&c={}|\\^`\"<> HTTP/1.1", None),
        ("GET HTTP://a:80/b?c HTTP/1.1", None),
        ("GET https://a?b HTTP/1.1", None),
        ("GET * HTTP/1.1", Some(Fault::TargetForm)),
        ("OPTIONS ** HTTP/1.1", Some(Fault::TargetForm)),
        ("CONNECT a:443 HTTP/1.1", Some(Fault::TargetForm)),
        ("GET a:443 HTTP/1.1", Some(Fault::TargetForm)),
        ("GET a HTTP/1.1", Some(Fault::TargetForm)),
        ("GET ?a HTTP/1.1", Some(Fault::TargetForm)),
        ("GET http:/a/ HTTP/1.1", Some(Fault::TargetForm)),
        ("GET http:///a HTTP/1.1", Some(Fault::TargetForm)),
        ("GET http://u@a/ HTTP/1.1", Some(Fault::TargetForm)),
        ("GET ftp://a/ HTTP/1.1", Some(Fault::TargetForm)),
        ("GET /#a HTTP/1.1", Some(Fault::TargetByte)),
        ("GET /\u{e9} HTTP/1.1", Some(Fault::TargetByte)),
        ("GET /\0 HTTP/1.1", Some(Fault::TargetByte)),
        ("GET /a b HTTP/1.1", Some(Fault::TargetByte)),
        ("GET  / HTTP/1.1", Some(Fault::TargetByte)),
        ("GET /  HTTP/1.1", Some(Fault::TargetByte)),
        ("GET\t/ HTTP/1.1", Some(Fault::Method)),
        ("GET / HTTP/1.2", Some(Fault::Version)),
        ("GET / HTTP/2.0", Some(Fault::Version)),
        ("GET / http/1.1", Some(Fault::Version)),
        ("GET / HTTP/1.1 ", Some(Fault::Version)),
        ("GET / HTTP/1.1\r", Some(Fault::Version)),
        ("GET /a", Some(Fault::RequestLine)),
        ("GET /a/b/c/d/e", Some(Fault::Version)),
        ("GET", Some(Fault::RequestLine)),
        (" GET / HTTP/1.1", Some(Fault::Method)),
        ("G@T / HTTP/1.1", Some(Fault::Method)),
        ("\r\n\r\nGET / HTTP/1.1", None),
        ("\r\n\r\n\r\nGET / HTTP/1.1", Some(Fault::EmptyLines)),
        ("\nGET / HTTP/1.1", Some(Fault::BareLf)),
    ] {
        assert_eq!(fault_of(format!("{line}\r\n")), outcome, "{line:?}");
    }
    // What the URI library does not hold, though it is made of the right bytes.
    assert_eq!(fault_of("GET /<> HTTP/1.1\r\nhost: a\r\n\r\n"), Some(Fault::TargetByte));
}

#[test]
fn http_1_1_names_a_host_and_http_1_0_has_no_codings() {
    for (head, outcome) in [
        ("GET / HTTP/1.1\r\n\r\n", Some(Fault::NoHost)),
        ("GET http://a/ HTTP/1.1\r\n\r\n", Some(Fault::NoHost)),
        ("GET http://a/ HTTP/1.1\r\nhost: b/c\r\n\r\n", Some(Fault::Host)),
        ("GET / HTTP/1.1\r\nhost:\r\n\r\n", Some(Fault::Host)),
        ("GET / HTTP/1.1\r\nhost: a, b\r\n\r\n", Some(Fault::Host)),
        ("GET / HTTP/1.1\r\nhost: a\tb\r\n\r\n", Some(Fault::Host)),
        ("GET / HTTP/1.1\r\nHost:[::1]:80 \r\n\r\n", None),
        ("GET / HTTP/1.0\r\n\r\n", None),
        ("GET / HTTP/1.0\r\nhost: a\r\nhost: a\r\n\r\n", Some(Fault::SecondHost)),
        ("GET / HTTP/1.0\r\nupgrade: h2c\r\n\r\n", None),
        ("POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n", Some(Fault::OldCoding)),
    ] {
        assert_eq!(fault_of(head), outcome, "{head:?}");
    }
}

#[test]
fn a_fault_is_found_at_its_line_however_the_bytes_come() {
    for (before, at_fault) in [
        ("", "GET / HTTP/1.3\r\n"),
        ("\r\nPOST / HTTP/1.1\r\nhost: a\r\n", "x\0: y\r\n"),
        ("POST / HTTP/1.1\r\nx: y\r\n", "\r\n"),
        ("POST / HTTP/1.1\r\nhost: a\r\n", "content-length: 5, 5\r\n"),
    ] {
        let stream = format!("{before}{at_fault}x: y\r\n\r\n");
        let end_of_line = before.len() + at_fault.len();
        for piece in (1..40).chain([stream.len()]) {
            let refused = read(stream.as_bytes(), piece).expect_err(at_fault);
            assert!(matches!(refused, Refused::Faulty(_)), "{refused:?}");
            assert!(read(&stream.as_bytes()[..end_of_line - 1], piece).is_ok(), "{at_fault:?}");
            assert_eq!(read(&stream.as_bytes()[..end_of_line], piece).err(), Some(refused));
        }
    }
}

#[test]
fn a_head_has_so_many_bytes_and_lines_however_it_comes() {
    let of_length = |length: usize| {
        let lines = "GET / HTTP/1.1\r\nhost: a\r\nx: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(length - lines))
    };
    for piece in [1, 1000, usize::MAX] {
        let (fits, too_large) = (of_length(MOST), of_length(MOST + 1));
        assert!(read(fits.as_bytes(), piece).expect("small enough").is_some());
        assert_eq!(read(too_large.as_bytes(), piece).err(), Some(Refused::TooLarge));
        let endless = format!("GET /{}", "a".repeat(MOST));
        assert_eq!(read(endless.as_bytes(), piece).err(), Some(Refused::TooLarge));
        let lines =
            |count: usize| format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(count - 1));
        assert!(read(lines(100).as_bytes(), piece).expect("few enough").is_some());
        assert_eq!(read(lines(101).as_bytes(), piece).err(), Some(Refused::TooLarge));
    }
}

#[test]
fn a_target_has_as_many_bytes_as_a_uri_holds() {
    let mut reader = HeadReader::new(1 << 20, 100);
    let mut of = |length: usize| {
        let mut received =
            BytesMut::from(&*format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(length - 1)));
        reader.read(&mut received).map(|head| head.is_some())
    };
    assert_eq!(of(MOST_TARGET_BYTES), Ok(true));
    assert_eq!(of(MOST_TARGET_BYTES + 1), Err(Refused::TargetTooLong));
}
