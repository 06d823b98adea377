use super::*;

const MOST: usize = 8 * 1024;

/// What becomes of a stream that is fed in pieces of a size: where it ends, or the fault and where its line begins.
fn fed(bytes: &[u8], piece: usize) -> Result<Place, (usize, Fault)> {
    let mut checker = Checker::new(MOST);
    let mut before = 0;
    for piece in bytes.chunks(piece) {
        match checker.feed(piece) {
            Ok(judged) if judged == piece.len() => before += judged,
            Ok(_) => return Ok(checker.place),
            Err(Refused { passes, fault }) => return Err((before + passes, fault)),
        }
    }
    Ok(checker.place)
}

fn end_of(bytes: impl AsRef<[u8]>) -> Result<Place, Fault> {
    fed(bytes.as_ref(), usize::MAX).map_err(|(_, fault)| fault)
}

fn head(lines: &str) -> String {
    format!("POST / HTTP/1.1\r\nhost: a\r\n{lines}\r\n\r\n")
}

#[test]
fn a_body_ends_where_its_head_says() {
    for (lines, place) in [
        ("x: y", Place::Before(0)),
        ("content-length: 0", Place::Before(0)),
        ("content-length: 5", Place::Body(5)),
        ("Content-Length:   005  ", Place::Body(5)),
        ("content-length: 9223372036854775807", Place::Body(i64::MAX as u64)),
        ("transfer-encoding: chunked", Place::ChunkSize),
        ("Transfer-Encoding:CHUNKED", Place::ChunkSize),
        ("upgrade: websocket", Place::Undecided),
        ("upgrade: websocket\r\ncontent-length: 3", Place::Body(3)),
        ("x: \u{e9}\t\"", Place::Before(0)),
        ("x:", Place::Before(0)),
        ("!#$%&'*+-.^_`|~09az: y", Place::Before(0)),
    ] {
        assert_eq!(end_of(head(lines)), Ok(place), "{lines:?}");
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
        assert_eq!(end_of(head(line)), Err(fault), "{line:?}");
    }
}

#[test]
fn a_request_line_has_three_words_and_one_way_to_write_them() {
    for (line, outcome) in [
        ("GET / HTTP/1.1", Ok(Place::Head)),
        ("GET / HTTP/1.0", Ok(Place::Head)),
        ("OPTIONS * HTTP/1.1", Ok(Place::Head)),
        ("BREW /a?b=%zz&c={}|\\^`\"<> HTTP/1.1", Ok(Place::Head)),
        ("GET HTTP://a:80/b?c HTTP/1.1", Ok(Place::Head)),
        ("GET https://a?b HTTP/1.1", Ok(Place::Head)),
        ("GET * HTTP/1.1", Err(Fault::TargetForm)),
        ("OPTIONS ** HTTP/1.1", Err(Fault::TargetForm)),
        ("CONNECT a:443 HTTP/1.1", Err(Fault::TargetForm)),
        ("GET a:443 HTTP/1.1", Err(Fault::TargetForm)),
        ("GET a HTTP/1.1", Err(Fault::TargetForm)),
        ("GET ?a HTTP/1.1", Err(Fault::TargetForm)),
        ("GET http:/a/ HTTP/1.1", Err(Fault::TargetForm)),
        ("GET http:///a HTTP/1.1", Err(Fault::TargetForm)),
        ("GET http://u@a/ HTTP/1.1", Err(Fault::TargetForm)),
        ("GET ftp://a/ HTTP/1.1", Err(Fault::TargetForm)),
        ("GET /#a HTTP/1.1", Err(Fault::TargetByte)),
        ("GET /\u{e9} HTTP/1.1", Err(Fault::TargetByte)),
        ("GET /\0 HTTP/1.1", Err(Fault::TargetByte)),
        ("GET /a b HTTP/1.1", Err(Fault::TargetByte)),
        ("GET  / HTTP/1.1", Err(Fault::TargetByte)),
        ("GET /  HTTP/1.1", Err(Fault::TargetByte)),
        ("GET\t/ HTTP/1.1", Err(Fault::Method)),
        ("GET / HTTP/1.2", Err(Fault::Version)),
        ("GET / HTTP/2.0", Err(Fault::Version)),
        ("GET / http/1.1", Err(Fault::Version)),
        ("GET / HTTP/1.1 ", Err(Fault::Version)),
        ("GET / HTTP/1.1\r", Err(Fault::Version)),
        ("GET /a", Err(Fault::RequestLine)),
        ("GET /a/b/c/d/e", Err(Fault::Version)),
        ("GET", Err(Fault::RequestLine)),
        (" GET / HTTP/1.1", Err(Fault::Method)),
        ("G@T / HTTP/1.1", Err(Fault::Method)),
        ("\r\n\r\nGET / HTTP/1.1", Ok(Place::Head)),
        ("\r\n\r\n\r\nGET / HTTP/1.1", Err(Fault::EmptyLines)),
        ("\nGET / HTTP/1.1", Err(Fault::BareLf)),
    ] {
        assert_eq!(end_of(format!("{line}\r\n")), outcome, "{line:?}");
    }
}

#[test]
fn http_1_1_names_a_host_and_http_1_0_has_no_codings() {
    for (head, outcome) in [
        ("GET / HTTP/1.1\r\n\r\n", Err(Fault::NoHost)),
        ("GET http://a/ HTTP/1.1\r\n\r\n", Err(Fault::NoHost)),
        ("GET http://a/ HTTP/1.1\r\nhost: b/c\r\n\r\n", Err(Fault::Host)),
        ("GET / HTTP/1.1\r\nhost:\r\n\r\n", Err(Fault::Host)),
        ("GET / HTTP/1.1\r\nhost: a, b\r\n\r\n", Err(Fault::Host)),
        ("GET / HTTP/1.1\r\nhost: a\tb\r\n\r\n", Err(Fault::Host)),
        ("GET / HTTP/1.1\r\nHost:[::1]:80 \r\n\r\n", Ok(Place::Before(0))),
        ("GET / HTTP/1.0\r\n\r\n", Ok(Place::Before(0))),
        ("GET / HTTP/1.0\r\nhost: a\r\nhost: a\r\n\r\n", Err(Fault::SecondHost)),
        ("GET / HTTP/1.0\r\nupgrade: h2c\r\n\r\n", Ok(Place::Before(0))),
        ("POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n", Err(Fault::OldCoding)),
    ] {
        assert_eq!(end_of(head), outcome, "{head:?}");
    }
}

#[test]
fn chunks_are_read_by_the_book() {
    for (body, outcome) in [
        ("0\r\n\r\n", Ok(Place::Before(0))),
        ("5\r\nhello\r\n0\r\n\r\n", Ok(Place::Before(0))),
        ("005;a;b=c ; d = \"e;\\\"\"\r\nhello\r\n0\r\nx-sum: 7\r\n\r\n", Ok(Place::Before(0))),
        ("5\r\nhel", Ok(Place::Chunk(2))),
        ("5\r\nhello\r\n", Ok(Place::ChunkSize)),
        ("7fffffffffffffff\r\n", Ok(Place::Chunk(u64::MAX >> 1))),
        ("8000000000000000\r\n", Err(Fault::ChunkSize)),
        ("00000000000000005\r\n", Err(Fault::ChunkSize)),
        ("\r\n", Err(Fault::ChunkSize)),
        ("+5\r\n", Err(Fault::ChunkSize)),
        ("0x5\r\n", Err(Fault::ChunkSize)),
        (" 5\r\n", Err(Fault::ChunkSize)),
        ("5,\r\n", Err(Fault::ChunkSize)),
        ("5\rX\r\n", Err(Fault::ChunkSize)),
        ("5 \r\n", Err(Fault::ChunkExtension)),
        ("5 5\r\n", Err(Fault::ChunkExtension)),
        ("5;\r\n", Err(Fault::ChunkExtension)),
        ("5;a=\r\n", Err(Fault::ChunkExtension)),
        ("5;a=\"b\r\n", Err(Fault::ChunkExtension)),
        ("5;a=\"\r\"\r\n", Err(Fault::ChunkExtension)),
        ("5;\0\r\n", Err(Fault::ChunkExtension)),
        ("5\nhello\r\n", Err(Fault::BareLf)),
        ("5;a\nhello\r\n", Err(Fault::BareLf)),
        ("5\r\nhello!\r\n", Err(Fault::ChunkEnd)),
        ("5\r\nhello\n", Err(Fault::ChunkEnd)),
        ("5\r\nhello0\r\n\r\n", Err(Fault::ChunkEnd)),
        ("0\r\ncontent-length: 5\r\n\r\n", Err(Fault::Trailer)),
        ("0\r\nTransfer-Encoding: chunked\r\n\r\n", Err(Fault::Trailer)),
        ("0\r\nhost: a\r\n\r\n", Err(Fault::Trailer)),
        ("0\r\nCookie: a\r\n\r\n", Err(Fault::Trailer)),
        ("0\r\nauthorization: a\r\n\r\n", Err(Fault::Trailer)),
        ("0\r\nupgrade: a\r\n\r\n", Err(Fault::Trailer)),
        ("0\r\n folded\r\n\r\n", Err(Fault::Fold)),
        ("0\r\nx : y\r\n\r\n", Err(Fault::SpaceBeforeColon)),
        ("0\r\nx: \0\r\n\r\n", Err(Fault::ControlByte)),
        ("0\r\nGET / HTTP/1.1\r\n\r\n", Err(Fault::SpaceBeforeColon)),
        ("0\r\n\n", Err(Fault::BareLf)),
    ] {
        assert_eq!(end_of(head("transfer-encoding: chunked") + body), outcome, "{body:?}");
    }
    let extension = |length: usize| format!("5;{}\r\n", "a".repeat(length - 2));
    let of = |line: &str| end_of(head("transfer-encoding: chunked") + line);
    assert_eq!(of(&extension(MOST_SIZE_LINE)), Ok(Place::Chunk(5)));
    assert_eq!(of(&extension(MOST_SIZE_LINE + 1)), Err(Fault::LineTooLong));
    assert_eq!(of(&format!("0\r\nx: {}\r\n", "y".repeat(MOST))), Err(Fault::LineTooLong));
}

#[test]
fn a_fault_is_found_at_its_line_however_the_bytes_come() {
    let good = head("x: y");
    let chunked = head("transfer-encoding: chunked") + "5;a\r\nhello\r\n0\r\nx-sum: 7\r\n\r\n";
    let sized = head("content-length: 7") + "\r\n\r\n\n\r\n";
    for (before, at_fault) in [
        ("", "GET / HTTP/1.3\r\n"),
        ("POST / HTTP/1.1\r\nhost: a\r\n", "x\0: y\r\n"),
        ("POST / HTTP/1.1\r\nx: y\r\n", "\r\n"),
        ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n", "+5\r\n"),
        ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello", "!\r\n"),
    ] {
        let sound = format!("{good}{chunked}{sized}{before}");
        let stream = format!("{sound}{at_fault}{good}");
        let end_of_line = sound.len() + at_fault.len();
        for piece in (1..40).chain([stream.len()]) {
            let (passes, fault) = fed(stream.as_bytes(), piece).expect_err(at_fault);
            // What came of the line with earlier pieces has been passed on, but never its end.
            assert!((sound.len()..end_of_line).contains(&passes), "{fault} at {passes} in pieces of {piece}");
            assert!(fed(&stream.as_bytes()[..end_of_line - 1], piece).is_ok() || at_fault == "!\r\n");
        }
    }
}

#[test]
fn a_head_that_is_too_large_is_left_to_who_has_the_same_limit() {
    let large = format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(MOST));
    for piece in [1, 1000, large.len()] {
        assert_eq!(fed(large.as_bytes(), piece), Ok(Place::TooLarge));
    }
}

#[test]
fn behind_a_request_for_another_protocol_nothing_is_judged_until_it_is_known() {
    let mut checker = Checker::new(MOST);
    let asks = head("upgrade: websocket");
    let stream = format!("{asks}\0\0");
    assert_eq!(checker.feed(stream.as_bytes()), Ok(asks.len()));
    assert!(checker.is_undecided() && !checker.is_between_messages());
    assert_eq!(checker.feed(b"\0"), Ok(0));
    checker.stays();
    assert!(checker.is_between_messages());
    assert_eq!(checker.feed(asks.as_bytes()), Ok(asks.len()));
    checker.stays();
    assert_eq!(checker.feed(b"\0\r\n"), Err(Refused { passes: 0, fault: Fault::RequestLine }));
    assert_eq!(checker.feed(b"GET"), Err(Refused { passes: 0, fault: Fault::RequestLine }), "for ever");
}
