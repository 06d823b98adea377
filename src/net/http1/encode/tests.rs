use http::Response;

use super::*;

const ASKED: Asked<'_> = Asked {
    is_head: false,
    version: Version::HTTP_11,
    keeps_alive: true,
    takes_trailers: false,
    date: b"today",
};

fn written(
    status: u16,
    lines: &[(&'static str, &'static str)],
    size: Option<u64>,
    asked: &Asked<'_>,
) -> (String, Coding, bool) {
    let mut response = Response::builder().status(status);
    for (name, value) in lines {
        response = response.header(*name, *value);
    }
    let (head, ()) = response.body(()).expect("a response").into_parts();
    let size = size.map_or_else(SizeHint::default, SizeHint::with_exact);
    let mut out = Vec::new();
    let (coding, keeps_alive) = write_head(&mut out, &head, &size, asked);
    (String::from_utf8(out).expect("ASCII"), coding, keeps_alive)
}

#[test]
fn the_framing_of_an_answer_is_ours_to_write() {
    let lines = [("a", "1"), ("content-length", "99"), ("transfer-encoding", "gzip"), ("date", "then")];
    let (text, coding, keeps_alive) = written(200, &lines, Some(5), &ASKED);
    assert_eq!(text, "HTTP/1.1 200 OK\r\na: 1\r\ndate: then\r\ncontent-length: 5\r\n\r\n");
    assert_eq!((coding, keeps_alive), (Coding::Length(5), true));
    let (text, coding, _) = written(404, &[], None, &ASKED);
    assert_eq!(text, "HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\ndate: today\r\n\r\n");
    assert_eq!(coding, Coding::Chunked(Vec::new()));
    let (text, ..) = written(799, &[], Some(0), &ASKED);
    assert_eq!(text, "HTTP/1.1 799 \r\ncontent-length: 0\r\ndate: today\r\n\r\n");
}

#[test]
fn an_answer_without_a_body_tells_at_most_what_it_would_be() {
    let head = Asked { is_head: true, ..ASKED };
    let sized = [("content-length", "99")];
    for (status, lines, size, asked, told) in [
        (200, &sized[..], Some(0), &head, Some("99")),
        (200, &[], Some(5), &head, Some("5")),
        (200, &[], Some(0), &head, None),
        (200, &[], None, &head, None),
        (304, &sized, Some(0), &ASKED, Some("99")),
        (304, &[], Some(0), &ASKED, None),
        (204, &sized, Some(0), &ASKED, None),
        (101, &sized, Some(0), &ASKED, None),
    ] {
        let (text, coding, _) = written(status, lines, size, asked);
        let found = text.lines().find_map(|line| line.strip_prefix("content-length: "));
        assert_eq!((found, coding), (told, Coding::Nothing), "{status} {lines:?} {size:?}");
    }
}

#[test]
fn the_connection_goes_on_where_both_sides_would() {
    let old = Asked { version: Version::HTTP_10, ..ASKED };
    let last = Asked { keeps_alive: false, ..ASKED };
    let close = [("connection", "close")];
    for (lines, size, asked, told, goes_on) in [
        (&[][..], Some(1), &ASKED, None, true),
        (&close, Some(1), &ASKED, Some("close"), false),
        (&[], Some(1), &last, Some("close"), false),
        (&[], Some(1), &old, Some("keep-alive"), true),
        (&close, Some(1), &old, Some("close"), false),
        (&[], None, &old, Some("close"), false),
    ] {
        let (text, coding, keeps_alive) = written(200, lines, size, asked);
        let found = text.lines().find_map(|line| line.strip_prefix("connection: "));
        assert_eq!((found, keeps_alive), (told, goes_on), "{text}");
        assert_eq!(coding == Coding::UntilClose, size.is_none());
        assert!(!text.contains("transfer-encoding"));
    }
    let switch = [("connection", "upgrade"), ("upgrade", "websocket")];
    let (text, ..) = written(101, &switch, Some(0), &last);
    assert_eq!(
        text,
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\ndate: today\r\n\r\n"
    );
}

#[test]
fn a_body_that_is_longer_or_shorter_than_told_is_wrong() {
    let mut out = Vec::new();
    let mut coding = Coding::Length(5);
    assert_eq!(coding.begin_part(&mut out, 3), Ok(&b""[..]));
    assert_eq!(coding.end(&mut out, None), Err(WrongLength));
    assert_eq!(coding.begin_part(&mut out, 3), Err(WrongLength));
    assert_eq!(coding.begin_part(&mut out, 2), Ok(&b""[..]));
    assert_eq!(coding.end(&mut out, None), Ok(()));
    assert!(out.is_empty());
}

#[test]
fn trailers_pass_that_were_declared_to_who_takes_them() {
    let declares = [("trailer", "x-sum, x-other")];
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("7"));
    trailers.insert("x-secret", HeaderValue::from_static("8"));
    for (takes_trailers, end) in [(true, "0\r\nx-sum: 7\r\n\r\n"), (false, "0\r\n\r\n")] {
        let (_, mut coding, _) = written(200, &declares, None, &Asked { takes_trailers, ..ASKED });
        let mut out = Vec::new();
        assert_eq!(coding.begin_part(&mut out, 26), Ok(&b"\r\n"[..]));
        assert_eq!(coding.end(&mut out, Some(&trailers)), Ok(()));
        assert_eq!(String::from_utf8(out).expect("ASCII"), format!("1a\r\n{end}"));
    }
}
