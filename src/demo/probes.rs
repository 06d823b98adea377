//! What a proxy can break that has nothing to do with sign-in: slowness, streams, echoes, upgrades, errors.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use http_body::Frame;
use serde::Deserialize;
use tokio::time::{Interval, interval, sleep};

use crate::decide::engine::Engine;
use crate::demo::state::Shared;

/// The slow page is for watching a request in flight, not for holding one for ever.
const SLOWEST: Duration = Duration::from_secs(30);
const STREAM_LINES: u32 = 10;
const STREAM_PACE: Duration = Duration::from_millis(200);

#[derive(Deserialize)]
pub(super) struct Slowness {
    #[serde(default = "Slowness::usual")]
    ms: u64,
}

impl Slowness {
    fn usual() -> u64 {
        1500
    }
}

pub(super) async fn slow(State(instance): Shared, Query(slowness): Query<Slowness>) -> String {
    let pause = Duration::from_millis(slowness.ms).min(SLOWEST);
    sleep(pause).await;
    format!("{} answered after {} ms\n", instance.engine, pause.as_millis())
}

pub(super) async fn stream(State(instance): Shared) -> Response {
    let lines = Lines { engine: instance.engine, sent: 0, pace: interval(STREAM_PACE) };
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], Body::new(lines)).into_response()
}

/// A body that writes a line at every beat.
struct Lines {
    engine: Engine,
    sent: u32,
    pace: Interval,
}

impl http_body::Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.sent == STREAM_LINES {
            return Poll::Ready(None);
        }
        ready!(self.pace.poll_tick(context));
        self.sent += 1;
        let line = format!("{} line {} of {STREAM_LINES}\n", self.engine, self.sent);
        Poll::Ready(Some(Ok(Frame::data(line.into()))))
    }
}

/// The request's body, streamed back as it comes.
pub(super) async fn echo(request: Request) -> Response {
    let content_type = request.headers().get(CONTENT_TYPE).cloned();
    let mut response = Response::new(request.into_body());
    // Never a type that a browser would render: the bytes are the client's.
    let content_type = content_type.filter(|kind| kind == "application/json");
    let plain = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(CONTENT_TYPE, content_type.unwrap_or(plain));
    response
}

pub(super) async fn websocket(State(instance): Shared, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |mut socket| {
        // An error is the end of the connection, and nobody is left to tell.
        let _ = converse(&mut socket, instance.engine).await;
    })
}

async fn converse(socket: &mut WebSocket, engine: Engine) -> Result<(), axum::Error> {
    socket.send(Message::text(engine.as_str())).await?;
    while let Some(message) = socket.recv().await {
        match message? {
            message @ (Message::Text(_) | Message::Binary(_)) => socket.send(message).await?,
            // Pings and closes are answered below us.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => {}
        }
    }
    Ok(())
}

/// Any final status; 1xx are no answers.
pub(super) async fn status(Path(code): Path<u16>) -> Response {
    match StatusCode::from_u16(code) {
        Ok(code) if code.as_u16() < 200 => (StatusCode::BAD_REQUEST, "200 to 999\n").into_response(),
        Ok(code) => code.into_response(),
        Err(_) => (StatusCode::BAD_REQUEST, "200 to 999\n").into_response(),
    }
}
