//! Tunnels: after a 101 both sides speak another protocol, and we carry its bytes.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Response};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::oneshot;

use crate::net::activity::{Activity, Phase, Stall};
use crate::proxy::body::{Content, RequestBody};
use crate::proxy::conn::Downstream;
use crate::telemetry::kinds::CloseReason;
use crate::upstream::answer::Answer;
use crate::upstream::endpoint::InFlight;

/// The client's half of a tunnel, when it is open.
pub type Client = Box<dyn Duplex>;

/// Bytes both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

/// The client's half of a tunnel that may come of a request.
pub enum OnClient {
    /// All of its connection: comes once the 101 was written.
    Http1(oneshot::Receiver<Client>),
    /// The request's stream.
    Http2(OnUpgrade),
}

impl OnClient {
    /// Waits until the client has switched; `None` if it broke before.
    async fn open(self) -> Option<Client> {
        match self {
            Self::Http1(client) => client.await.ok(),
            Self::Http2(client) => Some(Box::new(TokioIo::new(client.await.ok()?))),
        }
    }
}

/// Passes an engine's 101 on and carries what follows. The tunnel outlives the response, in a task of its own.
pub fn switch(
    downstream: &Rc<Downstream>,
    activity: &Arc<Activity>,
    protocol: Option<HeaderValue>,
    on_client: Option<OnClient>,
    load: Option<InFlight>,
    response: Response<Answer<RequestBody>>,
) -> Response<Content> {
    let (mut parts, answer) = response.into_parts();
    parts.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    if let Some(protocol) = protocol {
        parts.headers.insert(UPGRADE, protocol);
    }
    if let Some(on_client) = on_client {
        activity.enter(Phase::Tunnel);
        tokio::task::spawn_local(carry(Rc::clone(downstream), Arc::clone(activity), on_client, answer, load));
    }
    Response::from_parts(parts, Content::Empty)
}

/// Carries bytes both ways until either side is done, or neither has said anything for the idle time-out.
async fn carry(
    // Keeps the connection counted.
    _downstream: Rc<Downstream>,
    activity: Arc<Activity>,
    on_client: OnClient,
    engine: Answer<RequestBody>,
    _load: Option<InFlight>,
) {
    let Some((mut engine, first_words, _counted)) = engine.into_tunnel() else { return };
    // Until the 101 is written, time-outs are the connection's own to tell. It may break before; then the engine's side is
    // closed by being dropped.
    let Some(mut client) = on_client.open().await else { return };
    let tunnel = async {
        // An error is one side's way to hang up.
        if client.write_all(&first_words).await.is_ok() {
            let _ = tokio::io::copy_bidirectional(&mut client, &mut engine).await;
        }
    };
    let mut tunnel = pin!(tunnel);
    poll_fn(|context| {
        activity.register(context.waker());
        let polled = match tunnel.as_mut().poll(context) {
            Poll::Pending if activity.stall() == Some(Stall::Tunnel) => {
                activity.end(CloseReason::IdleTunnel);
                Poll::Ready(())
            }
            polled => polled,
        };
        if polled.is_ready() {
            activity.leave(context.waker());
        }
        polled
    })
    .await;
}
