//! How an attempt failed: in which phase, why, and whether it may be repeated.

use std::io;
use std::time::Duration;

use crate::decide::retry::Progress;
use crate::upstream::client::BoxError;
use crate::upstream::head::Malformed;

/// A failed attempt at one endpoint.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The pool has no endpoint.
    #[error("the pool has no endpoint")]
    NoEndpoint,
    /// As many connections as allowed are open, and as many requests as allowed wait for one.
    #[error("{endpoint}: queue for a connection is full")]
    QueueFull {
        /// Which endpoint.
        endpoint: String,
    },
    /// No connection became free in time.
    #[error("{endpoint}: no connection became free within {after:?}")]
    QueueTimeout {
        /// Which endpoint.
        endpoint: String,
        /// How long the request waited.
        after: Duration,
    },
    /// No connection could be made.
    #[error("{endpoint}: connect failed")]
    Connect {
        /// Which endpoint.
        endpoint: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No connection stood in time.
    #[error("{endpoint}: connect timed out after {after:?}")]
    ConnectTimeout {
        /// Which endpoint.
        endpoint: String,
        /// How long we tried.
        after: Duration,
    },
    /// The connection ended before a whole response head had come.
    #[error("{endpoint}: closed before answering")]
    ClosedEarly {
        /// Which endpoint.
        endpoint: String,
        /// How far the exchange had come.
        progress: Progress,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// What came is no response head.
    #[error("{endpoint}: malformed response")]
    Malformed {
        /// Which endpoint.
        endpoint: String,
        /// What is wrong with it.
        #[source]
        source: Malformed,
    },
    /// No response head came in time.
    #[error("{endpoint}: no response within {after:?}")]
    ResponseTimeout {
        /// Which endpoint.
        endpoint: String,
        /// How long we waited.
        after: Duration,
    },
    /// The engine switched protocols although nobody had asked.
    #[error("{endpoint}: switched protocols unasked")]
    UpgradeUnasked {
        /// Which endpoint.
        endpoint: String,
    },
    /// The engine took a WebSocket's opening for an ordinary request, or did not prove that it understood it
    /// (RFC 6455 4.1).
    #[error("opened no WebSocket")]
    UpgradeRefused {
        /// What it answered.
        status: u16,
    },
    /// The client's body broke off: the client's fault, though it shows here.
    #[error("request body failed")]
    RequestBody {
        /// What the body said.
        #[source]
        source: BoxError,
    },
}

impl UpstreamError {
    /// How far the attempt had come.
    pub fn progress(&self) -> Progress {
        match self {
            Self::NoEndpoint
            | Self::QueueFull { .. }
            | Self::QueueTimeout { .. }
            | Self::Connect { .. }
            | Self::ConnectTimeout { .. } => Progress::NothingWritten,
            Self::ClosedEarly { progress, .. } => *progress,
            // A time-out is not repeated: the engine may still be at it.
            Self::Malformed { .. }
            | Self::ResponseTimeout { .. }
            | Self::UpgradeUnasked { .. }
            | Self::UpgradeRefused { .. }
            | Self::RequestBody { .. } => Progress::Answering,
        }
    }
}

/// Why a response's body broke off.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The engine closed before the end of the body.
    #[error("closed in the middle of the body")]
    Cut,
    /// The connection broke.
    #[error("connection broke in the middle of the body")]
    Io(#[from] io::Error),
    /// What came is no body.
    #[error("malformed body")]
    Malformed(#[from] Malformed),
    /// The stream ended before the end of the body (RFC 9113 6.4 and 6.8), or its connection did.
    #[error("stream broke in the middle of the body")]
    Http2(#[source] h2::Error),
    /// The client's own body broke off while the engine was answering.
    #[error("request body failed")]
    RequestBody(#[source] BoxError),
}
