//! Calls of gRPC, as they lie on HTTP/2: messages with a length before them, and the end in the trailers.

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response};

use super::{before, behind};
use crate::support::multi::{Multi, Whole};
use crate::support::multi_engine::{Asked, MultiEngine};
use crate::support::{Engine, Proxy};

fn message(text: &str) -> Bytes {
    let mut message = BytesMut::new();
    message.put_u8(0);
    message.put_u32(text.len() as u32);
    message.put_slice(text.as_bytes());
    message.freeze()
}

fn call(method: &str) -> Request<()> {
    Multi::request("POST", &format!("/echo.Echo/{method}"))
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers")
        .header("grpc-timeout", "5S")
        .body(())
        .expect("a call")
}

fn ended(status: &'static str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    trailers.insert("grpc-message", HeaderValue::from_static("that%20is%20it"));
    trailers
}

fn begin(asked: &mut Asked, is_whole: bool) -> h2::SendStream<Bytes> {
    asked.begin(Response::builder().header("content-type", "application/grpc+proto"), is_whole)
}

/// An echo service: each method ends as its name says.
fn service() -> MultiEngine {
    MultiEngine::script(100, |mut asked| async move {
        let path = asked.request.uri().path().to_owned();
        match path.rsplit('/').next().unwrap_or_default() {
            "Unary" => {
                let Some(got) = asked.read().await else { return };
                let mut stream = begin(&mut asked, false);
                let _ = stream.send_data(got.body.into(), false);
                let _ = stream.send_trailers(ended("0"));
            }
            // Every message is answered when it comes, before the next is sent.
            "Both" => {
                let mut stream = begin(&mut asked, false);
                while let Some(Ok(data)) = asked.request.body_mut().data().await {
                    let body = asked.request.body_mut();
                    body.flow_control().release_capacity(data.len()).expect("it was taken");
                    let _ = stream.send_data(data, false);
                }
                let _ = stream.send_trailers(ended("0"));
            }
            "TrailersOnly" => {
                asked.read().await;
                let mut head = Response::builder().header("content-type", "application/grpc");
                head = head.header("grpc-status", "5").header("grpc-message", "nobody");
                asked.begin(head, true);
            }
            "Strange" => {
                asked.read().await;
                let _ = begin(&mut asked, false).send_trailers(ended("99"));
            }
            "Unsaid" => {
                asked.read().await;
                let _ = begin(&mut asked, false).send_data(Bytes::new(), true);
            }
            _ => {
                asked.read().await;
                let _ = begin(&mut asked, false).send_trailers(ended("12"));
            }
        }
    })
}

/// The status of HTTP, and that of gRPC in the head and in the trailers.
fn told(answer: &Whole) -> (u16, Option<&str>, Option<&str>) {
    let trailer = answer.trailers.get("grpc-status").and_then(|value| value.to_str().ok());
    (answer.status, answer.get("grpc-status"), trailer)
}

fn responses(engine: &str, status: &str) -> String {
    format!("cutover_grpc_responses_total{{app=\"portal\",engine={engine:?},grpc_status={status:?}}}")
}

#[test]
fn calls_pass_and_how_they_ended_is_counted() {
    let engine = service();
    let proxy = before(&engine, "");
    let mut multi = Multi::to(proxy.address());
    let answer = multi.ask(call("Unary"), &message("hello")).expect("an answer");
    assert_eq!(told(&answer), (200, None, Some("0")));
    assert_eq!(answer.trailers["grpc-message"], "that%20is%20it");
    assert_eq!((answer.body.as_slice(), answer.get("set-cookie")), (&message("hello")[..], None));
    let got = engine.last();
    assert_eq!((got.get("te"), got.get("grpc-timeout")), (Some("trailers"), Some("5S")));
    let mut of =
        |method| told(&multi.ask(call(method), &message("x")).expect("an answer")).2.map(str::to_owned);
    assert_eq!(of("Missing").as_deref(), Some("12"));
    assert_eq!(of("Strange").as_deref(), Some("99"));
    assert_eq!(of("Unsaid"), None);
    let only = multi.ask(call("TrailersOnly"), &message("x")).expect("an answer");
    assert_eq!(told(&only), (200, Some("5"), None));
    for (status, count) in [("0", 1.0), ("12", 1.0), ("other", 1.0), ("none", 1.0), ("5", 1.0)] {
        proxy.counts(&responses("classic", status), count);
    }
    let code = "cutover_requests_total{app=\"portal\",workflow=\"none\",engine=\"classic\",method=\"POST\",code=\"200\"}";
    proxy.counts(code, 5.0);
}

#[test]
fn both_sides_stream_at_once() {
    let engine = service();
    let proxy = before(&engine, "");
    let mut multi = Multi::to(proxy.address());
    let (answer, mut calling) = multi.begin(call("Both"), false);
    calling.send_data(message("0"), false).expect("room");
    let trailers = multi.run(async move {
        let response = answer.await.expect("a head");
        let mut listening = response.into_body();
        for number in 1..50 {
            let data = listening.data().await.expect("more").expect("whole");
            assert_eq!(data, message(&(number - 1).to_string()), "each is answered before the next");
            listening.flow_control().release_capacity(data.len()).expect("it was taken");
            calling.send_data(message(&number.to_string()), false).expect("room");
        }
        calling.send_data(Bytes::new(), true).expect("room");
        while let Some(data) = listening.data().await {
            data.expect("whole");
        }
        listening.trailers().await.expect("whole").expect("trailers")
    });
    assert_eq!(trailers["grpc-status"], "0");
    proxy.counts(&responses("classic", "0"), 1.0);
}

#[test]
fn a_listening_client_need_not_speak() {
    // The client is silent for longer than the limit, and the engine is not.
    let engine = MultiEngine::script(100, |mut asked| async move {
        let mut stream = begin(&mut asked, false);
        for _ in 0..8 {
            let _ = stream.send_data(message("tick"), false);
            tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        }
        let _ = stream.send_trailers(ended("0"));
    });
    let pool = format!("endpoints = [{:?}]\nhttp2 = true", engine.url());
    let app = crate::support::proxy::pools("percent = 0", &pool, &pool);
    let proxy = Proxy::with(format!("[limits]\nidle_timeout = \"500ms\"\n{app}"));
    let mut multi = Multi::to(proxy.address());
    let (answer, mut calling) = multi.begin(call("Both"), false);
    calling.send_data(message("subscribe"), false).expect("room");
    let answer = multi.finish(answer).expect("a whole answer");
    assert_eq!((answer.body.len(), told(&answer).2), (8 * message("tick").len(), Some("0")));
}

#[test]
fn a_call_that_nobody_serves_is_told_in_its_own_words() {
    let mut gone = Engine::answering("gone");
    let url = gone.url();
    gone.stop();
    let proxy = behind(&format!("[{url:?}]"), "");
    let mut multi = Multi::to(proxy.address());
    let answer = multi.ask(call("Unary"), &message("x")).expect("an answer");
    assert_eq!(told(&answer), (200, Some("14"), None));
    assert_eq!((answer.get("content-type"), answer.body.len()), (Some("application/grpc"), 0));
    assert!(answer.get("x-request-id").is_some() && answer.get("grpc-message").is_some());
    proxy.counts(&responses("classic", "14"), 1.0);
    proxy.counts("cutover_answers_total{app=\"portal\",kind=\"upstream_refused\"}", 1.0);
    let request = Multi::request("POST", "/").header("content-type", "application/json").body(());
    assert_eq!(
        multi.ask(request.expect("a request"), b"{}").expect("an answer").status,
        502,
        "no call of gRPC"
    );
}

#[test]
fn a_call_without_a_key_is_classics() {
    let (classic, identity) = (service(), service());
    let pool = |engine: &MultiEngine| format!("endpoints = [{:?}]\nhttp2 = true", engine.url());
    let lines = "keys = [\"header:x-user-id\", \"device\"]\npercent = 50\n[[apps.portal.targets]]\nname = \"ada\"\nengine = \"identity\"\nsubjects = [\"ada\"]";
    let app = format!(
        "trust.proxies = [\"127.0.0.1\"]\n[apps.portal]\n{lines}\n[apps.portal.classic]\n{}\n[apps.portal.identity]\n{}\n",
        pool(&classic),
        pool(&identity)
    );
    let proxy = Proxy::with(app);
    let mut multi = Multi::to(proxy.address());
    for _ in 0..20 {
        assert_eq!(told(&multi.ask(call("Unary"), &message("x")).expect("an answer")).2, Some("0"));
    }
    assert_eq!((classic.requests().len(), identity.requests().len()), (20, 0), "never a dice roll per call");
    let mut of_ada = call("Unary");
    of_ada.headers_mut().insert("x-user-id", HeaderValue::from_static("ada"));
    assert_eq!(told(&multi.ask(of_ada, &message("x")).expect("an answer")).2, Some("0"));
    assert_eq!(identity.requests().len(), 1);
}
