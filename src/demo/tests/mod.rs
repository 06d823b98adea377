//! The engines over real sockets.

mod client;
mod recovery;
mod registration;
mod sign_in;
mod sign_out;

use std::io::{Read, Write};
use std::time::Duration;

use crate::decide::engine::Engine;
use crate::demo::DemoEngine;
use client::{Browser, ask, connect, form, header, with_engines};

#[test]
fn each_engine_names_itself_in_header_page_and_text() {
    with_engines(|classic, identity| {
        for (address, name, title) in
            [(classic, "classic", "Classic Engine"), (identity, "identity", "Identity Engine")]
        {
            let (head, page) = ask(address, "GET /", &["accept: text/html,*/*;q=0.8"], "");
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            assert_eq!(header(&head, "demo-engine"), Some(name));
            assert!(page.contains(&format!("<h1>{title}</h1>")), "{page}");

            let (_, text) = ask(address, "GET /", &["accept: */*", "cookie: uid=user-7"], "");
            assert!(text.starts_with(&format!("{name} served user-7: not signed in\n")), "{text}");
            let (_, css) = ask(address, "GET /assets/style.css", &[], "");
            assert!(css.contains("--accent"), "{css}");
        }
    });
}

#[test]
fn the_home_page_shows_what_a_proxy_sent_and_nothing_as_markup() {
    with_engines(|classic, _| {
        let sent = [
            "accept: text/html",
            "x-forwarded-for: 192.0.2.7",
            "cutover-reason: cohort",
            "x-request-id: <b>bold</b>",
            "authorization: secret",
            "cookie: uid=%3Cscript%3E",
        ];
        let (_, page) = ask(classic, "GET /", &sent, "");
        for shown in ["192.0.2.7", "cohort", "&lt;b&gt;bold&lt;/b&gt;", "&lt;script&gt;"] {
            assert!(page.contains(shown), "{shown} is not in {page}");
        }
        for hidden in ["<b>bold", "<script>\">", "secret"] {
            assert!(!page.contains(hidden), "{hidden} is in {page}");
        }
    });
}

#[test]
fn a_browser_becomes_another_user_and_nobody_again() {
    with_engines(|classic, _| {
        let (head, _) = form(classic, "/user", &[], "name=user-7;+x");
        assert_eq!(header(&head, "set-cookie"), Some("uid=user-7%3B%20x; Path=/; SameSite=Lax"));
        let (head, _) = form(classic, "/user", &[], "name=");
        assert_eq!(header(&head, "set-cookie"), Some("uid=; Path=/; SameSite=Lax; Max-Age=0"));
    });
}

#[test]
fn bodies_come_back_as_they_were_and_never_as_a_page() {
    with_engines(|_, identity| {
        let body = "<script>".repeat(20_000);
        let (head, echoed) = ask(identity, "POST /echo", &["content-type: text/html"], &body);
        assert_eq!(header(&head, "content-type"), Some("application/octet-stream"));
        assert_eq!(echoed.matches("<script>").count(), 20_000);
    });
}

#[test]
fn a_stream_comes_line_by_line() {
    with_engines(|classic, _| {
        let (head, body) = ask(classic, "GET /stream", &[], "");
        assert_eq!(header(&head, "transfer-encoding"), Some("chunked"));
        assert_eq!(body.matches("classic line ").count(), 10, "{body}");
    });
}

#[test]
fn statuses_slowness_assets_and_strays_are_answered() {
    with_engines(|classic, _| {
        for (request_line, status) in [
            ("GET /healthz", "200"),
            ("GET /slow?ms=1", "200"),
            ("GET /slow?ms=x", "400"),
            ("GET /status/204", "204"),
            ("DELETE /status/503", "503"),
            ("GET /status/101", "400"),
            ("GET /status/1000", "400"),
            ("GET /nowhere", "404"),
            ("GET /echo", "405"),
        ] {
            let (head, _) = ask(classic, request_line, &[], "");
            assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{request_line}: {head}");
        }
        let (head, _) = ask(classic, "GET /assets/style.css", &["if-none-match: \"classic-1\""], "");
        assert!(head.starts_with("HTTP/1.1 304"), "{head}");
        let (head, _) = ask(classic, "GET /assets/style.css", &["if-none-match: \"identity-1\""], "");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    });
}

#[test]
fn each_engine_has_a_style_sheet_and_a_picture_that_the_other_one_lacks() {
    with_engines(|classic, identity| {
        for (own, other, name) in [(classic, identity, "classic"), (identity, classic, "identity")] {
            let page = Browser::default().get(own, "/login/callback");
            for (before, content) in
                [(r#"<link rel="stylesheet" href=""#, "--accent"), (r#"<img src=""#, "<svg")]
            {
                let link = page.between(before, "\"");
                assert!(link.starts_with(&format!("/assets/{name}-")), "{link}");
                let (head, file) = ask(own, &format!("GET {link}"), &[], "");
                assert!(head.starts_with("HTTP/1.1 200") && file.contains(content), "{head}");
                assert!(
                    header(&head, "cache-control").is_some_and(|value| value.ends_with("immutable")),
                    "{head}"
                );
                let (head, _) = ask(other, &format!("GET {link}"), &[], "");
                assert!(head.starts_with("HTTP/1.1 404"), "{head}");
            }
        }
    });
}

/// RFC 6455 5.2: a short text frame is `81`, the length, and from a client a mask (here all zero) with the
/// length's top bit set.
#[test]
fn a_websocket_names_the_engine_and_then_echoes() {
    with_engines(|_, identity| {
        let mut stream = connect(identity);
        let upgrade = "GET /ws HTTP/1.1\r\nhost: demo\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                       sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(upgrade.as_bytes()).expect("the engine reads");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a head");
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("ASCII");
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        assert_eq!(header(&head, "sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));

        let mut first = [0; 10];
        stream.read_exact(&mut first).expect("a frame");
        assert_eq!(&first, b"\x81\x08identity");
        stream.write_all(b"\x81\x82\0\0\0\0hi").expect("the engine reads");
        let mut echoed = [0; 4];
        stream.read_exact(&mut echoed).expect("a frame");
        assert_eq!(&echoed, b"\x81\x02hi");
    });
}

#[test]
fn engines_run_on_either_kind_of_runtime_and_stop_when_dropped() {
    let ask_and_drop = async || {
        let engine = DemoEngine::start(Engine::Classic).expect("a free port");
        let address = engine.address();
        let answer = tokio::task::spawn_blocking(move || ask(address, "GET /healthz", &[], ""));
        assert_eq!(answer.await.expect("an answer").1, "ok\n");
        drop(engine);
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(address).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("still listening two seconds after it was dropped");
    };
    let builder = tokio::runtime::Builder::new_current_thread;
    builder().enable_all().build().expect("a runtime").block_on(ask_and_drop());
    let local = builder().enable_all().build_local(Default::default()).expect("a local runtime");
    local.block_on(ask_and_drop());
}
