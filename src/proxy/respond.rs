//! Errors become pages here and only here: small, with the request's name, and without a word about engines.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};

use crate::decide::evacuate::SignOut;
use crate::decide::headers::{self, RequestId, X_REQUEST_ID};
use crate::telemetry::kinds::AnswerKind;

/// How a client wants to be told of an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shape {
    /// A page for people.
    Html,
    /// `application/problem+json` (RFC 9457) for programs.
    Problem,
    /// Trailers-Only for calls of gRPC, which look at nothing else: HTTP 200, and the fault in `grpc-status`.
    Grpc,
}

impl Shape {
    /// A page for whoever names `text/html`, a problem for everybody else.
    pub fn wanted_by(accept: Option<&HeaderValue>) -> Self {
        let accept = accept.map(|accept| accept.as_bytes().to_ascii_lowercase()).unwrap_or_default();
        if memchr::memmem::find(&accept, b"text/html").is_some() { Self::Html } else { Self::Problem }
    }
}

/// What people read. It says what they can do, and nothing about what stands behind us.
fn advice(kind: AnswerKind) -> &'static str {
    match kind {
        AnswerKind::Malformed => "The request could not be understood.",
        AnswerKind::SlowRequest => "The request took too long to arrive. Please try again.",
        AnswerKind::BodyTooLarge => "What was sent is larger than this site accepts.",
        AnswerKind::HeadTooLarge => "The request's headers are larger than this site accepts.",
        AnswerKind::Misdirected => "This site is not served here.",
        AnswerKind::UnknownProtocol => "This site does not speak what was asked for.",
        AnswerKind::Internal => "Something went wrong on our side. Please try again.",
        AnswerKind::UpstreamRefused | AnswerKind::UpstreamBroke | AnswerKind::UpgradeUnasked => {
            "The site could not answer. Please try again in a moment."
        }
        AnswerKind::TooManyConnections => {
            "There are too many connections from where you are. Please close some."
        }
        AnswerKind::Overloaded | AnswerKind::Unavailable | AnswerKind::EngineGone => {
            "The site is busy or being maintained. Please try again in a moment."
        }
        AnswerKind::Restart => "What was begun here cannot go on. Please begin anew.",
        AnswerKind::ConnectTimeout | AnswerKind::ResponseTimeout | AnswerKind::RequestTimeout => {
            "The site took too long to answer. Please try again in a moment."
        }
        AnswerKind::RedirectToHttps => "This site is served over HTTPS.",
        AnswerKind::Evacuated => "You are signed out, and can sign in again at once.",
    }
}

/// Our answer, with its body apart so that the caller can wrap it.
pub fn answer(
    kind: AnswerKind,
    shape: Shape,
    request_id: Option<&RequestId>,
    close: bool,
) -> Response<Bytes> {
    let status = if shape == Shape::Grpc { StatusCode::OK } else { kind.status() };
    let id = request_id.map_or("none", RequestId::as_str);
    let (content_type, body) = match shape {
        Shape::Html => ("text/html; charset=utf-8", page(status, kind, id)),
        Shape::Problem => ("application/problem+json", problem(status, kind, id)),
        Shape::Grpc => ("application/grpc", String::new()),
    };
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(id) = request_id.and_then(|id| HeaderValue::from_bytes(id.as_bytes()).ok()) {
        headers.insert(X_REQUEST_ID, id);
    }
    if shape == Shape::Grpc {
        headers.insert("grpc-status", HeaderValue::from_static(kind.grpc_status().as_str()));
        // Percent-encoded as gRPC wants it: what we say is printable, and has no `%`.
        headers.insert("grpc-message", HeaderValue::from_static(advice(kind)));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if close {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Sends a browser to where its session ends, with the ticket that says so.
pub fn sign_out_first(
    to: &SignOut,
    ticket: String,
    shape: Shape,
    request_id: Option<&RequestId>,
) -> Response<Bytes> {
    let mut response = answer(AnswerKind::Evacuated, shape, request_id, false);
    response.headers_mut().insert(LOCATION, to.location());
    headers::set_our_cookie(response.headers_mut(), ticket);
    response
}

/// Sends a client to the same URL over TLS, at the port that browsers take for it.
pub fn redirect_to_https(
    host: &str,
    target: &str,
    shape: Shape,
    request_id: Option<&RequestId>,
) -> Option<Response<Bytes>> {
    let location = HeaderValue::from_maybe_shared(Bytes::from(format!("https://{host}{target}"))).ok()?;
    let mut response = answer(AnswerKind::RedirectToHttps, shape, request_id, false);
    response.headers_mut().insert(LOCATION, location);
    Some(response)
}

fn reason(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Error")
}

/// The id is ours, or was found safe to write anywhere (`decide::headers`).
fn page(status: StatusCode, kind: AnswerKind, id: &str) -> String {
    let (code, reason, advice) = (status.as_u16(), reason(status), advice(kind));
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{code} {reason}</title><style>body{{font:16px/1.5 system-ui,sans-serif;max-width:34em;\
         margin:12vh auto;padding:0 1em;color-scheme:light dark}}small{{opacity:.7}}</style>\
         <h1>{reason}</h1><p>{advice}</p><p><small>Error {code}, request {id}</small></p></html>\n"
    )
}

fn problem(status: StatusCode, kind: AnswerKind, id: &str) -> String {
    let problem = serde_json::json!({
        "type": "about:blank",
        "title": reason(status),
        "status": status.as_u16(),
        "detail": advice(kind),
        "request_id": id,
    });
    format!("{problem}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_page_and_a_problem_with_the_request_id() {
        let id = RequestId::Given(HeaderValue::from_static("abc-123"));
        for kind in AnswerKind::ALL {
            for shape in [Shape::Html, Shape::Problem] {
                let response = answer(kind, shape, Some(&id), true);
                let leads_on =
                    matches!(kind, AnswerKind::Restart | AnswerKind::RedirectToHttps | AnswerKind::Evacuated);
                assert_eq!(
                    response.status().is_client_error() || response.status().is_server_error(),
                    !leads_on
                );
                assert_eq!(response.headers()[CONNECTION], "close");
                let body = String::from_utf8(response.body().to_vec()).expect("UTF-8");
                assert!(body.contains("abc-123"), "{kind:?} {shape:?}");
            }
        }
    }

    #[test]
    fn a_call_of_grpc_is_told_in_its_own_words() {
        for kind in AnswerKind::ALL {
            let response = answer(kind, Shape::Grpc, None, false);
            let headers = response.headers();
            assert_eq!((response.status(), response.body().len()), (StatusCode::OK, 0));
            assert_eq!(headers[CONTENT_TYPE], "application/grpc");
            assert_eq!(headers["grpc-status"], kind.grpc_status().as_str());
            let message = headers["grpc-message"].as_bytes();
            assert!(message.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'%'), "{kind:?}");
        }
        let of = |kind: AnswerKind| kind.grpc_status().as_str();
        assert_eq!(of(AnswerKind::UpstreamRefused), "14");
        assert_eq!(of(AnswerKind::BodyTooLarge), "8");
        assert_eq!(of(AnswerKind::Misdirected), "12");
    }

    #[test]
    fn a_browser_gets_a_page_and_a_program_a_problem() {
        assert_eq!(Shape::wanted_by(None), Shape::Problem);
        assert_eq!(Shape::wanted_by(Some(&HeaderValue::from_static("application/json"))), Shape::Problem);
        let browser = HeaderValue::from_static("Text/HTML,application/xhtml+xml;q=0.9");
        assert_eq!(Shape::wanted_by(Some(&browser)), Shape::Html);
    }
}
