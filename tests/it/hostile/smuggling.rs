//! The classics: two ways to tell where a message ends, and a request in the difference.

use super::{Case, Passes, Refused, SMUGGLED, case, post};

pub(super) fn cases() -> Vec<Case> {
    let (sized, coded) = ("content-length: 57", "transfer-encoding: chunked");
    let body = format!("0\r\n\r\n{SMUGGLED}");
    let all = |lines: &[&str]| lines.join("\r\n");
    vec![
        post("CL.TE", &all(&[sized, coded]), &body, Refused),
        post(
            "TE.CL",
            &all(&[coded, "content-length: 4"]),
            &format!("34\r\n{SMUGGLED}\r\n0\r\n\r\n"),
            Refused,
        ),
        post("CL.TE with nothing", &all(&["content-length: 0", coded]), &body, Refused),
        post("TE.0", &all(&[coded, "content-length: 0"]), &body, Refused),
        post("TE.CL apart", &all(&[coded, "x: y", "y: z", "content-length: 5"]), &body, Refused),
        post("TE.TE", &all(&[sized, coded, "transfer-encoding: x"]), &body, Refused),
        post("TE.TE the other way round", &all(&[sized, "transfer-encoding: x", coded]), &body, Refused),
        post("TE.TE by case", &all(&[sized, coded, "Transfer-encoding: cow"]), &body, Refused),
        post("CL.CL", "content-length: 5\r\ncontent-length: 57", &body, Refused),
        post("CL and a coding that is none", &all(&[sized, "transfer-encoding: identity"]), &body, Refused),
        post("CL and an empty coding", &all(&[sized, "transfer-encoding:"]), &body, Refused),
        post("CL and a coding behind a tab", &all(&[sized, "transfer-encoding:\tchunked"]), &body, Refused),
        post("CL and a coding behind LF", &all(&[sized, "x: y\ntransfer-encoding: chunked"]), &body, Refused),
        post("CL and a coding behind CR", &all(&[sized, "x: y\rtransfer-encoding: chunked"]), &body, Refused),
        post("CL and a coding in a fold", &all(&[sized, "transfer-encoding:", " chunked"]), &body, Refused),
        post("CL and a coding with a space", &all(&[sized, "transfer-encoding : chunked"]), &body, Refused),
        post(
            "CL and a coding with an underscore",
            &all(&[sized, "transfer_encoding: chunked"]),
            &body,
            Refused,
        ),
        post(
            "CL and TE with Connection naming CL",
            &all(&["connection: content-length", sized, coded]),
            &body,
            Refused,
        ),
        post(
            "CL and TE with Connection naming TE",
            &all(&["connection: transfer-encoding", sized, coded]),
            &body,
            Refused,
        ),
        post("CL and TE with Expect", &all(&["expect: 100-continue", sized, coded]), &body, Refused),
        post(
            "CL and TE with Upgrade",
            &all(&["connection: upgrade", "upgrade: h2c", sized, coded]),
            &body,
            Refused,
        ),
        case(
            "CL and TE behind GET",
            format!("GET /hostile HTTP/1.1\r\nhost: portal.example.com\r\n{sized}\r\n{coded}\r\n\r\n{body}"),
            Refused,
        ),
        case(
            "a head in the request line",
            format!("GET /hostile\r\nhost:portal.example.com\r\n\r\n{SMUGGLED}"),
            Refused,
        ),
        case(
            "a head without an end before a request",
            format!("GET /hostile HTTP/1.1\r\nhost: portal.example.com\r\nx: y{SMUGGLED}"),
            Refused,
        ),
        case("a request line without an end before a request", format!("GET /hostile{SMUGGLED}"), Refused),
        case(
            "a name without an end before a request",
            format!("GET /hostile HTTP/1.1\r\nhost: portal.example.com\r\nx{SMUGGLED}"),
            Refused,
        ),
        // Odd, and allowed.
        post(
            "an upgrade refused and a request",
            "connection: upgrade\r\nupgrade: websocket",
            "",
            Passes("/hostile", ""),
        ),
        post(
            "Connection naming CL",
            &all(&["connection: content-length", "content-length: 52"]),
            SMUGGLED,
            Passes("/hostile", SMUGGLED),
        ),
        post(
            "Connection naming TE",
            &all(&["connection: transfer-encoding", coded]),
            "3\r\nabc\r\n0\r\n\r\n",
            Passes("/hostile", "abc"),
        ),
        post(
            "Expect of something else",
            &all(&["expect: the worst", "content-length: 3"]),
            "abc",
            Passes("/hostile", "abc"),
        ),
    ]
}
