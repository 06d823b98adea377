//! One embedded engine: where it listens, and when it stops.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use axum::serve::ListenerExt;
use tokio::sync::oneshot;

use crate::decide::engine::Engine;
use crate::demo::routes;

/// A running engine; dropping it closes its listener and lets requests in flight finish.
#[derive(Debug)]
pub struct DemoEngine {
    engine: Engine,
    address: SocketAddr,
    /// Never sent on: the server stops when this is dropped.
    _stop: oneshot::Sender<()>,
}

impl DemoEngine {
    /// Listens on a free port of 127.0.0.1 and serves from a task on the current tokio runtime.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, as everything that spawns a task does.
    pub fn start(engine: Engine) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        // A WebSocket's small frames must not wait for the acknowledgement of the ones before (Nagle).
        let listener =
            tokio::net::TcpListener::from_std(listener)?.tap_io(|stream| drop(stream.set_nodelay(true)));

        let (stop, stopped) = oneshot::channel::<()>();
        let server = axum::serve(listener, routes::router(engine)).with_graceful_shutdown(async {
            // An error means that the sender is gone, which is the signal.
            let _ = stopped.await;
        });
        tokio::spawn(server.into_future());
        Ok(Self { engine, address, _stop: stop })
    }

    /// Which version of the app this is.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
