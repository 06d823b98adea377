//! Why a request is answered by us, by who is at fault.

use std::time::Duration;

use crate::proxy::restart::Gone;
use crate::telemetry::kinds::{AnswerKind, UpstreamFailure};
use crate::upstream::error::UpstreamError;

/// A request that no engine answered.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The client broke the rules of HTTP.
    #[error("malformed request: {0}")]
    Malformed(&'static str),
    /// The client's head has more lines than `limits.headers`. What has too many bytes never becomes a request.
    #[error("request head has more than {limit} lines")]
    HeadTooLarge {
        /// The limit.
        limit: usize,
    },
    /// The client asked for a tunnel of a protocol that nobody here speaks.
    #[error("unknown protocol in an extended CONNECT")]
    UnknownProtocol,
    /// The client's body broke the rules of HTTP.
    #[error("malformed request body")]
    MalformedBody,
    /// The client asked for a host that no app claims.
    #[error("no app claims this host")]
    Misdirected,
    /// The client sent more than it may.
    #[error("request body exceeds {limit} bytes")]
    BodyTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The client stopped sending its body.
    #[error("request body stopped coming")]
    SlowBody,
    /// The client hung up, or stopped reading: nobody is left to answer.
    #[error("client is gone")]
    ClientGone,
    /// The engine could not be reached, or did not answer.
    #[error(transparent)]
    Upstream(UpstreamError),
    /// The engine that a flow or a session belongs to is gone.
    #[error("the engine is gone")]
    EngineGone(Box<Gone>),
    /// Everything together took too long.
    #[error("exchange took longer than {limit:?}")]
    RequestTimeout {
        /// `limits.request_timeout`.
        limit: Duration,
    },
    /// We panicked.
    #[error("internal error")]
    Internal,
}

impl ProxyError {
    /// What our answer is called in metrics and logs; it knows its status.
    pub fn kind(&self) -> AnswerKind {
        match self {
            Self::Malformed(_) | Self::MalformedBody => AnswerKind::Malformed,
            Self::HeadTooLarge { .. } => AnswerKind::HeadTooLarge,
            Self::UnknownProtocol => AnswerKind::UnknownProtocol,
            Self::Misdirected => AnswerKind::Misdirected,
            Self::BodyTooLarge { .. } => AnswerKind::BodyTooLarge,
            Self::SlowBody | Self::ClientGone => AnswerKind::SlowRequest,
            Self::RequestTimeout { .. } => AnswerKind::RequestTimeout,
            Self::Internal => AnswerKind::Internal,
            Self::EngineGone(gone) if gone.start.is_some() => AnswerKind::Restart,
            Self::EngineGone(_) => AnswerKind::EngineGone,
            Self::Upstream(error) => match error {
                UpstreamError::NoEndpoint => AnswerKind::Unavailable,
                UpstreamError::QueueFull { .. } | UpstreamError::QueueTimeout { .. } => {
                    AnswerKind::Overloaded
                }
                UpstreamError::Connect { .. } => AnswerKind::UpstreamRefused,
                UpstreamError::ConnectTimeout { .. } => AnswerKind::ConnectTimeout,
                UpstreamError::ClosedEarly { .. } | UpstreamError::Malformed { .. } => {
                    AnswerKind::UpstreamBroke
                }
                UpstreamError::ResponseTimeout { .. } => AnswerKind::ResponseTimeout,
                UpstreamError::UpgradeUnasked { .. } => AnswerKind::UpgradeUnasked,
                UpstreamError::UpgradeRefused { .. } => AnswerKind::UpstreamBroke,
                UpstreamError::RequestBody { .. } => AnswerKind::Malformed,
            },
        }
    }

    /// Whether the downstream connection cannot be used again: the request was not read to its end, or not
    /// understood.
    pub fn closes(&self) -> bool {
        match self {
            Self::Malformed(_)
            | Self::MalformedBody
            | Self::HeadTooLarge { .. }
            | Self::BodyTooLarge { .. }
            | Self::SlowBody
            | Self::ClientGone
            | Self::RequestTimeout { .. }
            | Self::Internal => true,
            Self::Misdirected | Self::UnknownProtocol | Self::EngineGone(_) | Self::Upstream(_) => false,
        }
    }
}

/// What went wrong with the endpoint, for its counters; `None` when it was not the endpoint.
pub fn failure_of(error: &UpstreamError) -> Option<UpstreamFailure> {
    match error {
        UpstreamError::NoEndpoint
        | UpstreamError::RequestBody { .. }
        // An honest answer, though none that the client could take for one.
        | UpstreamError::UpgradeRefused { .. } => None,
        UpstreamError::QueueFull { .. } | UpstreamError::QueueTimeout { .. } => {
            Some(UpstreamFailure::QueueFull)
        }
        UpstreamError::Connect { source, .. } if source.kind() == std::io::ErrorKind::ConnectionRefused => {
            Some(UpstreamFailure::ConnectRefused)
        }
        UpstreamError::Connect { .. } => Some(UpstreamFailure::ConnectFailed),
        UpstreamError::ConnectTimeout { .. } => Some(UpstreamFailure::ConnectTimeout),
        UpstreamError::ClosedEarly { .. } => Some(UpstreamFailure::ClosedEarly),
        UpstreamError::Malformed { .. } => Some(UpstreamFailure::Malformed),
        UpstreamError::ResponseTimeout { .. } => Some(UpstreamFailure::ResponseTimeout),
        UpstreamError::UpgradeUnasked { .. } => Some(UpstreamFailure::UpgradeUnasked),
    }
}
