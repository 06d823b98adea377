//! The request path as a table of contents.

use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, HOST, IF_MODIFIED_SINCE, IF_NONE_MATCH, STRICT_TRANSPORT_SECURITY,
    UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};

use crate::ambient::Moment;
use crate::decide::decision::{Question, decide};
use crate::decide::engine::Engine;
use crate::decide::evacuate;
use crate::decide::farewell;
use crate::decide::headers::{self, Lines, Seen};
use crate::decide::host::host_of;
use crate::net::activity::{Activity, Phase};
use crate::proxy::body::{ClientBody, Content, RequestBody, ResponseBody};
use crate::proxy::conn::Downstream;
use crate::proxy::context::View;
use crate::proxy::error::{ProxyError, close_reason_of};
use crate::proxy::forward::{Exchange, forward};
use crate::proxy::learn::{self, Answered};
use crate::proxy::multiplexed;
use crate::proxy::panic;
use crate::proxy::record::Record;
use crate::proxy::respond::{self, Shape};
use crate::proxy::tester;
use crate::proxy::upgrade::{self, OnClient};
use crate::runtime::snapshot::App;
use crate::telemetry::grpc::{self, GrpcStatus};
use crate::telemetry::kinds::AnswerKind;
use crate::upstream::answer::Answer;
use crate::upstream::head::RequestHead;

/// A request, as its connection hands it over.
pub struct Received {
    /// Its head, and its body as it comes.
    pub request: Box<Request<ClientBody>>,
    /// The client's half of a tunnel, where the request may become one.
    pub on_client: Option<OnClient>,
}

/// Answers one request. A panic below costs its own request a 500, and nobody else anything.
///
/// `stream` is what a request of its own stream waits for; without one, it is the connection.
///
/// Requests, answers and records travel boxed: a future's every step copies what it hands on, and these are
/// hundreds of bytes each.
pub async fn handle(
    downstream: Rc<Downstream>,
    stream: Option<Arc<Activity>>,
    received: Received,
) -> Response<ResponseBody> {
    let worker = &downstream.worker;
    let request = &received.request;
    let view = worker.view();
    let moment = worker.ambient.moment();
    let limits = &view.snapshot.limits;
    let activity = stream.as_ref().unwrap_or(&downstream.activity);
    activity.set_timeouts(limits.header_timeout, limits.idle_timeout);
    activity.enter(if request.body().is_end_stream() { Phase::Answer } else { Phase::Body });

    let accept = request.headers().get(ACCEPT).cloned();
    // gRPC is nothing but POSTs over HTTP/2: all others are spared a look.
    let calls = request.version() == Version::HTTP_2
        && request.method() == Method::POST
        && grpc::is_grpc(request.headers());
    let mut record = Box::new(Record::begin(worker, &view, request.method(), moment.monotonic));
    let listener = downstream.door.speaks(&view.snapshot);
    let redirects = listener.as_ref().is_some_and(|listener| listener.redirects);
    let outcome = serve(&downstream, activity, &view, moment, received, redirects, &mut record);
    let outcome = panic::catch(pin!(outcome)).await;
    let outcome = outcome.unwrap_or_else(|message| {
        worker.panicked("a request", &message);
        Err(ProxyError::Internal)
    });
    let mut response = outcome.unwrap_or_else(|error| {
        if let Some(reason) = close_reason_of(&error) {
            activity.end(reason);
        }
        let shape = if calls { Shape::Grpc } else { Shape::wanted_by(accept.as_ref()) };
        Box::new(our_answer(&error, shape, &mut record))
    });
    if downstream.peer.is_tls
        && let Some(hsts) = listener.as_ref().and_then(|listener| listener.hsts.as_ref())
    {
        // Ours in place of an engine's: one site has one policy.
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, hsts.clone());
    }
    if worker.drain.has_begun() && stream.is_none() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    (*response).map(|content| ResponseBody::new(content, activity, record))
}

/// Decides, forwards, and makes an engine's answer ours; `redirects` where the listener only sends on to https.
async fn serve(
    downstream: &Rc<Downstream>,
    activity: &Arc<Activity>,
    view: &Rc<View>,
    moment: Moment,
    received: Received,
    redirects: bool,
    record: &mut Record,
) -> Result<Box<Response<Content>>, ProxyError> {
    let Received { request, on_client } = received;
    let (mut parts, body) = request.into_parts();
    let is_http2 = parts.version == Version::HTTP_2;
    let opens_tunnel = is_http2 && parts.method == Method::CONNECT;
    let most = view.snapshot.limits.headers;
    let is_ours = if is_http2 { multiplexed::as_http1(&mut parts, most) } else { Ok(()) };
    let peer = &downstream.peer;
    let peer_is_trusted = peer.speaks_for_itself && view.snapshot.trust.includes(peer.address);
    let client =
        if peer_is_trusted { view.snapshot.trust.client(&parts.headers, peer.address) } else { peer.address };
    let secure = peer.is_tls || (peer_is_trusted && headers::forwarded_over_tls(&parts.headers));
    let seen = Seen::of(&parts.headers);
    let roll = || downstream.worker.ambient.roll();
    let mut lines = Lines::with_room();
    record.begin_telling(&parts, client);
    record.named(headers::ensure_request_id(&mut parts.headers, seen, roll, &mut lines));

    is_ours?;
    let at = claim(downstream, view, &mut parts)?;
    let app = &view.snapshot.apps[at];
    record.claimed_by(at);
    if redirects {
        return to_https(&parts, record);
    }
    if parts.uri.path() == tester::PATH {
        let (answer, outcome) =
            tester::answer(&parts.method, parts.uri.query(), &app.rules.sealer, secure, moment.wall);
        record.tester_link(outcome);
        record.responds(answer.status(), None);
        return Ok(Box::new(answer));
    }
    let limits = &view.snapshot.limits;
    if let Some(limit) = limits.body_bytes
        && seen.content_length
        && declared_length(&parts.headers).is_some_and(|length| length > limit)
    {
        return Err(ProxyError::BodyTooLarge { limit });
    }

    // One connection of a browser is one roll of the dice, so that parallel first requests cannot split it; a
    // trusted proxy carries many browsers on one connection.
    let moment = if peer_is_trusted { moment } else { Moment { roll: downstream.roll ^ app.roll, ..moment } };
    let place = app.rules.table.place(&parts.method, parts.uri.path(), parts.uri.query());
    let state = if place.is_in_workflow() {
        view.snapshot.state_hit(app, parts.uri.query(), moment.wall)
    } else {
        None
    };
    let question = Question {
        method: &parts.method,
        path: parts.uri.path(),
        query: parts.uri.query(),
        headers: &parts.headers,
        seen,
        client,
        peer_is_trusted,
        certified: downstream.certified_for(seen, peer_is_trusted),
        secure,
        place,
        state,
        recall: Some(&downstream.worker.recall),
    };
    let mut decision = decide(&app.rules, &question, moment);
    record.decided(&decision, secure);
    // Without a key to seal its mark with, nobody is sent: nothing would keep them from being sent again.
    // Nor is anybody whose engine is gone: what would be sent there is decided anew.
    if let Some(to) = evacuate::sign_out_first(&app.rules, &decision, moment.wall)
        && app.pool(decision.engine).gone_since(moment.wall).is_none()
        && let Some(ticket) = record.set_cookie()
    {
        let shape = Shape::wanted_by(parts.headers.get(ACCEPT));
        let answer = respond::sign_out_first(to, ticket, shape, record.request_id());
        record.asks_nobody();
        record.responds(answer.status(), Some(AnswerKind::Evacuated));
        return Ok(Box::new(answer.map(Content::Page)));
    }
    if decision.changes_engine() {
        for name in [IF_NONE_MATCH, IF_MODIFIED_SINCE] {
            parts.headers.remove(name);
        }
    }
    let signs_out = decision.workflow().is_some_and(|at| app.rules.table.signs_out(at));
    let sessions = if signs_out && app.rules.session.pins() {
        farewell::sessions(&parts.headers, &app.rules.session.cookies)
    } else {
        Vec::new()
    };
    // Kept where answers are understood: whether a redirect stays on this site is told by its host.
    let host = if app.rules.table.is_empty() { None } else { parts.headers.get(HOST).cloned() };

    if parts.version < Version::HTTP_11 && !parts.headers.contains_key(HOST) {
        name_host(app, decision.engine, &mut parts.headers);
    }
    let mut hop = headers::strip_request(&mut parts.headers, seen, &app.key_headers, peer_is_trusted);
    if on_client.is_none() {
        // HTTP/1.0 has no Upgrade (RFC 9110 7.8): there is nobody to open a tunnel to.
        hop.upgrade = None;
    }
    downstream.forwarder.borrow_mut().write(&mut parts.headers, seen, peer_is_trusted, &mut lines);
    headers::ensure_traceparent(&mut parts.headers, seen, roll, &mut lines);
    headers::restore_hop(&mut parts.headers, &hop);
    let head = RequestHead {
        // A trailer could name a user where a header does, and whoever may write that header is not asked again.
        undeclared_trailers: parts.version == Version::HTTP_2 && app.key_headers.is_empty(),
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        lines,
    };
    record.traced(&head);

    let body = RequestBody::new(body, activity, limits.body_bytes);
    record.receives(body.received());
    let exchange = Exchange {
        worker: &downstream.worker,
        view,
        app: at,
        activity,
        wants_upgrade: hop.upgrade.is_some(),
        endpoint: decision.endpoint,
        once: decision.is_one_time(),
        secure,
        workflow: decision.workflow().map(|at| app.rules.table.workflow(at).name.as_str()),
    };
    let response = forward(&exchange, &mut decision, head, body, record).await?;
    if opens_tunnel {
        multiplexed::check_opening(&response)?;
    }
    record.responds(response.status(), None);
    let serving = record.engine().unwrap_or(decision.engine);
    let answered = Answered {
        snapshot: &view.snapshot,
        app,
        decision: &decision,
        host: host.as_ref(),
        secure,
        served: serving,
        endpoint: record.endpoint_hash(),
        now: moment.wall,
        sessions: &sessions,
    };
    Ok(engine_answer(downstream, activity, &answered, on_client, is_http2, response, record))
}

/// The app that a request is for. Its head is made to name one host, in one place (RFC 9112 3.2).
fn claim(downstream: &Downstream, view: &Rc<View>, parts: &mut Parts) -> Result<usize, ProxyError> {
    if parts.method == Method::CONNECT {
        return Err(ProxyError::Malformed("CONNECT asks for a forward proxy"));
    }
    if parts.uri.path() == "*" && parts.method != Method::OPTIONS {
        // RFC 9112 3.2.4, RFC 9113 8.3.1.
        return Err(ProxyError::Malformed("an asterisk for a target"));
    }
    if parts.uri.authority().is_some() {
        take_authority(parts)?;
    }
    let mut lines = parts.headers.get_all(HOST).iter();
    match (lines.next(), lines.next()) {
        (Some(host), None) => downstream.claims.borrow_mut().find(view, host),
        (Some(_), Some(_)) => Err(ProxyError::Malformed("more than one Host")),
        (None, _) if parts.version < Version::HTTP_11 => {
            view.snapshot.hosts.default().ok_or(ProxyError::Misdirected)
        }
        (None, _) => Err(ProxyError::Malformed("no Host")),
    }
}

/// The same URL over TLS. The host is one that an app claims: nobody is sent to a place that a client made up.
fn to_https(parts: &Parts, record: &mut Record) -> Result<Box<Response<Content>>, ProxyError> {
    let host = parts.headers.get(HOST).and_then(|host| host_of(host.to_str().ok()?));
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let shape = Shape::wanted_by(parts.headers.get(ACCEPT));
    let answer = host
        .filter(|_| target.starts_with('/'))
        .and_then(|host| respond::redirect_to_https(host, target, shape, record.request_id()));
    let answer = answer.ok_or(ProxyError::Malformed("no host to redirect to"))?;
    record.responds(answer.status(), Some(AnswerKind::RedirectToHttps));
    Ok(Box::new(answer.map(Content::Page)))
}

/// RFC 9112 3.2.2: the authority of an absolute-form target replaces what Host says, which must be there and in order
/// all the same.
fn take_authority(parts: &mut Parts) -> Result<(), ProxyError> {
    // RFC 9112 3.2.3: without a scheme it is the target of a CONNECT.
    if !matches!(parts.uri.scheme_str(), Some("http" | "https")) {
        return Err(ProxyError::Malformed("a target that is neither a path nor a URL of ours"));
    }
    let mut hosts = parts.headers.get_all(HOST).iter();
    let is_in_order = match (hosts.next(), hosts.next()) {
        // RFC 9113 8.3.1: `:authority` is enough, and Host may not say anything else.
        (None, _) if parts.version == Version::HTTP_2 => true,
        (Some(host), None) if parts.version == Version::HTTP_2 => {
            let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
            authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host.as_bytes()))
        }
        (Some(host), None) => host.to_str().is_ok_and(|host| host_of(host).is_some()),
        (Some(_), Some(_)) => false,
        (None, _) => parts.version < Version::HTTP_11,
    };
    if !is_in_order {
        return Err(ProxyError::Malformed("no Host, a bad one, or two"));
    }
    let host = parts.uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    parts.headers.insert(HOST, host.ok_or(ProxyError::Malformed("bad authority"))?);
    parts.uri = origin_form(&parts.uri)?;
    Ok(())
}

/// The target as its own server gets it (RFC 9112 3.2.1): an absolute path, which `http` writes but does not hold where a query follows
/// the authority.
fn origin_form(uri: &Uri) -> Result<Uri, ProxyError> {
    match uri.path_and_query() {
        None => Ok(Uri::from_static("/")),
        Some(target) if target.as_str().starts_with('?') => {
            Uri::try_from(target.to_string()).map_err(|_| ProxyError::Malformed("bad target"))
        }
        Some(target) => Ok(Uri::from(target.clone())),
    }
}

/// An HTTP/1.0 client may name no host, but what engines get is HTTP/1.1 (RFC 9112 3.2): it names theirs.
fn name_host(app: &App, engine: Engine, headers: &mut HeaderMap) {
    let Some(endpoint) = app.pool(engine).endpoints.first() else { return };
    let authority = endpoint.label.trim_start_matches("http://");
    if let Ok(host) = HeaderValue::from_str(authority) {
        headers.insert(HOST, host);
    }
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// An engine's answer, without what belongs to its own hop, and with the ticket when one is due.
#[expect(clippy::boxed_local, reason = "as it comes: it would be moved on its way here and back")]
fn engine_answer(
    downstream: &Rc<Downstream>,
    activity: &Arc<Activity>,
    answered: &Answered<'_>,
    on_client: Option<OnClient>,
    is_http2: bool,
    mut response: Box<Response<Answer<RequestBody>>>,
    record: &mut Record,
) -> Box<Response<Content>> {
    let idle_timeout = answered.app.pool(answered.served).timeouts.idle;
    let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let protocol = if switches { response.headers().get(UPGRADE).cloned() } else { None };
    headers::strip_response(response.headers_mut());
    if grpc::is_grpc(response.headers()) {
        record.answers_grpc(GrpcStatus::said_in(response.headers()));
    }
    let lesson = learn::from_answer(answered, response.status(), response.headers_mut());
    record.learned(answered.decision, &lesson, answered.now);
    if lesson.sets_session && !answered.app.rules.session.isolate {
        for cookie in learn::cookies_in_both(answered, response.headers()) {
            record.session_cookie_in_both(cookie);
        }
    }
    if switches {
        let load = record.take_load();
        let mut response = upgrade::switch(downstream, activity, protocol, on_client, load, *response);
        if is_http2 {
            multiplexed::answer_connect(&mut response);
            record.responds(response.status(), None);
        }
        return Box::new(response);
    }
    Box::new((*response).map(|answer| Content::Engine { answer, idle_timeout }))
}

fn our_answer(error: &ProxyError, shape: Shape, record: &mut Record) -> Response<Content> {
    let answer = respond::answer(error.kind(), shape, record.request_id(), error.closes());
    if matches!(error, ProxyError::ClientGone) {
        record.client_gone();
    } else {
        record.responds(answer.status(), Some(error.kind()));
    }
    if shape == Shape::Grpc {
        record.answers_grpc(error.kind().grpc_status());
    }
    let mut answer =
        answer.map(|page: Bytes| if page.is_empty() { Content::Empty } else { Content::Page(page) });
    if let ProxyError::EngineGone(gone) = error {
        gone.write(answer.headers_mut());
    }
    // An error answer is as sticky as a good one: a browser that was placed keeps its place.
    if let Some(line) = record.set_cookie() {
        headers::set_our_cookie(answer.headers_mut(), line);
    }
    answer
}
