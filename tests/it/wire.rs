//! Heads that break the rules of HTTP: they get their answer and a closed connection, and no engine hears of
//! them.

use crate::support::wire::Head;
use crate::support::{Engine, Proxy, portal};

fn head_of(answer: &str) -> Head {
    let (head, _) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("an answer, not {answer:?}"));
    Head { text: head.to_owned() }
}

/// Two engines, and a proxy whose app claims only `portal.example.com`.
fn strict() -> (Engine, Engine, Proxy) {
    let (classic, identity) = (Engine::answering("classic"), Engine::answering("identity"));
    let proxy = Proxy::with(portal("hosts = [\"portal.example.com\"]", &classic, &identity));
    (classic, identity, proxy)
}

#[test]
fn a_faulty_head_gets_400_and_a_closed_connection_and_no_engine_hears_of_it() {
    let (classic, identity, proxy) = strict();
    let host = "host: portal.example.com\r\n";
    let faults: [(&str, Vec<u8>); 25] = [
        ("garbage", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03garbage\r\n\r\n".to_vec()),
        ("not HTTP", b"hello\r\n\r\n".to_vec()),
        ("NUL in a value", format!("GET / HTTP/1.1\r\n{host}x: a\0b\r\n\r\n").into()),
        ("NUL in a name", format!("GET / HTTP/1.1\r\n{host}x\0: a\r\n\r\n").into()),
        ("NUL in the target", format!("GET /\0 HTTP/1.1\r\n{host}\r\n").into()),
        ("bare CR in a value", format!("GET / HTTP/1.1\r\n{host}x: a\rb\r\n\r\n").into()),
        ("obs-fold", format!("GET / HTTP/1.1\r\n{host}x: a\r\n b\r\n\r\n").into()),
        ("white space before the first line", format!("GET / HTTP/1.1\r\n {host}\r\n").into()),
        ("HTTP/1.2 with garbage", format!("GET / HTTP/1.x\r\n{host}\r\n").into()),
        ("HTTP/2 in clear", format!("GET / HTTP/2.0\r\n{host}\r\n").into()),
        ("HTTP/0.9", b"GET /\r\n\r\n".to_vec()),
        ("a bad method", format!("G@T / HTTP/1.1\r\n{host}\r\n").into()),
        ("an empty method", format!(" / HTTP/1.1\r\n{host}\r\n").into()),
        ("space before the colon", format!("GET / HTTP/1.1\r\n{host}x : a\r\n\r\n").into()),
        ("a space in the target", format!("GET /a b HTTP/1.1\r\n{host}\r\n").into()),
        ("a line without a colon", format!("GET / HTTP/1.1\r\n{host}nonsense\r\n\r\n").into()),
        ("an empty name", format!("GET / HTTP/1.1\r\n{host}: a\r\n\r\n").into()),
        (
            "differing lengths",
            format!("POST / HTTP/1.1\r\n{host}content-length: 3\r\ncontent-length: 4\r\n\r\nabcd").into(),
        ),
        ("a negative length", format!("POST / HTTP/1.1\r\n{host}content-length: -3\r\n\r\nabc").into()),
        ("a signed length", format!("POST / HTTP/1.1\r\n{host}content-length: +3\r\n\r\nabc").into()),
        ("a hexadecimal length", format!("POST / HTTP/1.1\r\n{host}content-length: 0x3\r\n\r\nabc").into()),
        (
            "an endless length",
            format!("POST / HTTP/1.1\r\n{host}content-length: 99999999999999999999\r\n\r\n").into(),
        ),
        ("an unknown coding", format!("POST / HTTP/1.1\r\n{host}transfer-encoding: gzip\r\n\r\n").into()),
        (
            "chunked not last",
            format!("POST / HTTP/1.1\r\n{host}transfer-encoding: chunked, gzip\r\n\r\n").into(),
        ),
        (
            "coding on HTTP/1.0",
            format!("POST / HTTP/1.0\r\n{host}transfer-encoding: chunked\r\n\r\n0\r\n\r\n").into(),
        ),
    ];
    for (fault, bytes) in faults {
        // Reading ends only because the proxy closes.
        let head = head_of(&proxy.raw(bytes));
        assert_eq!(head.status(), 400, "{fault}: {}", head.text);
    }
    assert_eq!((classic.accepts(), identity.accepts()), (0, 0), "no engine heard of it");
    proxy.counts("cutover_answers_total{app=\"none\",kind=\"malformed\"}", 25.0);
}

#[test]
fn what_was_answered_before_a_faulty_head_still_arrives() {
    let (classic, _identity, proxy) = strict();
    let good = "GET /good HTTP/1.1\r\nhost: portal.example.com\r\n\r\n";
    let answer = proxy.raw(format!("{good}G@T / HTTP/1.1\r\n\r\n{good}"));
    let statuses: Vec<&str> = answer.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "400"]);
    assert_eq!(classic.requests().len(), 1, "nothing behind the fault is read");
}

#[test]
fn a_request_names_one_host_in_one_place() {
    let (classic, identity, proxy) = strict();
    for (what, request, status) in [
        ("no Host", "GET / HTTP/1.1\r\n\r\n", 400),
        ("two Hosts", "GET / HTTP/1.1\r\nhost: portal.example.com\r\nhost: portal.example.com\r\n\r\n", 400),
        ("a list of hosts", "GET / HTTP/1.1\r\nhost: portal.example.com, b\r\n\r\n", 400),
        ("a user in Host", "GET / HTTP/1.1\r\nhost: a@portal.example.com\r\n\r\n", 400),
        ("a path in Host", "GET / HTTP/1.1\r\nhost: portal.example.com/x\r\n\r\n", 400),
        ("CONNECT", "CONNECT portal.example.com:443 HTTP/1.1\r\nhost: portal.example.com:443\r\n\r\n", 400),
    ] {
        let head = head_of(&proxy.raw(request));
        assert_eq!((head.status(), head.get("connection")), (status, Some("close")), "{what}: {}", head.text);
    }
    for (what, request) in [
        ("another host", "GET / HTTP/1.1\r\nhost: other.example.com\r\nconnection: close\r\n\r\n"),
        ("HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n"),
        (
            "another authority",
            "GET http://other.example.com/ HTTP/1.1\r\nhost: portal.example.com\r\nconnection: close\r\n\r\n",
        ),
    ] {
        assert_eq!(head_of(&proxy.raw(request)).status(), 421, "{what}");
    }
    assert_eq!((classic.accepts(), identity.accepts()), (0, 0), "no engine heard of it");
    proxy.counts("cutover_answers_total{app=\"none\",kind=\"misdirected\"}", 3.0);
}

#[test]
fn the_authority_of_an_absolute_target_replaces_host() {
    let (classic, _identity, proxy) = strict();
    let answer = proxy.raw(
        "GET http://portal.example.com/a?b HTTP/1.1\r\nhost: other.example.com\r\nconnection: close\r\n\r\n",
    );
    assert_eq!(head_of(&answer).status(), 200);
    let request = classic.last();
    assert_eq!(request.head.first(), "GET /a?b HTTP/1.1");
    assert_eq!(request.head.get("host"), Some("portal.example.com"));
}

#[test]
fn http_1_0_without_a_host_is_for_the_default_app() {
    let (classic, identity) = (Engine::answering("classic"), Engine::answering("identity"));
    let proxy = Proxy::with(portal("", &classic, &identity));
    let answer = proxy.raw("GET /old HTTP/1.0\r\n\r\n");
    assert_eq!(head_of(&answer).status(), 200);
    assert_eq!(classic.last().head.first(), "GET /old HTTP/1.1", "upstream it is HTTP/1.1 all the same");
}

#[test]
fn a_head_beyond_its_limits_gets_431_or_414_and_nothing_passes() {
    let (classic, identity) = (Engine::answering("classic"), Engine::answering("identity"));
    let toml = portal("", &classic, &identity);
    let proxy = Proxy::with(format!("{toml}\n[limits]\nheader_bytes = \"8KiB\"\nheaders = 20\n"));
    let large = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "x".repeat(9 * 1024));
    let many: String = (0..30).map(|number| format!("x-{number}: y\r\n")).collect();
    let many = format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n");
    for (what, request, statuses) in [
        ("a large head", &large, &[431][..]),
        ("many lines", &many, &[431]),
        ("a long target", &format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(9 * 1024)), &[431, 414]),
    ] {
        let head = head_of(&proxy.raw(request));
        assert!(statuses.contains(&head.status()), "{what}: {}", head.text);
    }
    let fits =
        format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\nconnection: close\r\n\r\n", "x".repeat(7 * 1024));
    assert_eq!(head_of(&proxy.raw(fits)).status(), 200);
    assert_eq!((classic.accepts(), identity.accepts()), (1, 0));
}

#[test]
fn an_answer_of_ours_says_nothing_about_engines() {
    let (mut classic, identity) = (Engine::answering("classic"), Engine::answering("identity"));
    let proxy = Proxy::with(portal("", &classic, &identity));
    let port = classic.address().port().to_string();
    classic.stop();
    let mut client = proxy.client();
    let program = client.get("/").header("x-request-id: my-request").send();
    assert_eq!((program.status(), program.head.get("content-type")), (502, Some("application/problem+json")));
    assert_eq!(program.head.get("x-request-id"), Some("my-request"));
    let person = client.get("/").page();
    assert_eq!((person.status(), person.head.get("content-type")), (502, Some("text/html; charset=utf-8")));
    for reply in [program, person] {
        let id = reply.head.get("x-request-id").expect("a name").to_owned();
        assert!(reply.text().contains(&id), "{}", reply.text());
        assert_eq!(reply.head.get("cache-control"), Some("no-store"));
        for word in [port.as_str(), "127.0.0.1", "os error", "classic"] {
            assert!(
                !reply.text().contains(word) && !reply.head.text.contains(word),
                "{word}: {}",
                reply.text()
            );
        }
    }
}

#[test]
fn no_spelling_of_a_path_dodges_its_workflow_and_the_engine_gets_it_as_it_came() {
    let (classic, identity) = (Engine::answering("classic"), Engine::answering("identity"));
    let workflow = "[apps.portal.workflows.sign-in]\nstart = [\"/login\", \"/factor/*\"]\npercent = 100\n";
    let proxy = Proxy::with(format!("{}{workflow}", portal("percent = 0", &classic, &identity)));
    for spelling in [
        "/login",
        "/Login/",
        "//login",
        "/%6c%6fgin?a=%2f",
        "/%u006cogin",
        "/login;jsessionid=1",
        "/login;%2f..%2fother",
        "/other/..;/login",
        "/other/%2e%2e%2flogin",
        "/./login/.",
        "/other\\..\\login",
        "/login%00",
        "/x/%5c..%5c..%5clogin//",
        // What Tomcat takes for `/x` is Express's factor `../x`.
        "/factor/..%2fx",
        "/Factor/..;a",
    ] {
        let reply = proxy.client().get(spelling).page();
        assert_eq!(reply.text(), "identity", "{spelling}");
        assert_eq!(identity.last().head.target(), spelling, "what is forwarded stays as it came");
    }
    for other in ["/login-help", "/login/x", "/log%2fin", "/login%3fa", "/%256cogin"] {
        assert_eq!(proxy.client().get(other).page().text(), "classic", "{other}");
    }
}
