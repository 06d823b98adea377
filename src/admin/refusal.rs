//! An answer that is none: `application/problem+json` (RFC 9457), with a hint where there is something to do.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

use crate::admin::views::RefusalView;

/// Why a request is not answered as it was meant.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    detail: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
    challenge: Option<&'static str>,
    line: Option<usize>,
    lines: Vec<String>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, detail: detail.into(), hint: None, challenge: None, line: None, lines: Vec::new() }
    }

    /// With what to do about it.
    pub(super) fn hint(self, hint: impl Into<Cow<'static, str>>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// With the lines that the configuration would need, and the number of the first.
    pub(super) fn lines(self, line: Option<usize>, lines: Vec<String>) -> Self {
        Self { line, lines, ..self }
    }

    /// With the `WWW-Authenticate` that a 401 must have (RFC 9110 15.5.2).
    pub(super) fn challenge(self, challenge: &'static str) -> Self {
        Self { challenge: Some(challenge), ..self }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { status, detail, hint, challenge, line, lines } = self;
        let title = status.canonical_reason().unwrap_or_default();
        let hint = hint.as_deref();
        let view = RefusalView { title, status: status.as_u16(), detail: &detail, hint, line, lines: &lines };
        let mut response = (status, axum::Json(view)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = challenge {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
