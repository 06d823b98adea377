//! What gRPC calls are told (<https://github.com/grpc/grpc/blob/master/doc/statuscodes.md> and PROTOCOL-HTTP2.md).

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::telemetry::kinds::{AnswerKind, labels};

labels! {
    /// How a gRPC call ended, by the number that goes over the wire.
    pub enum GrpcStatus {
        /// Success.
        Ok => "0",
        /// The caller gave up.
        Cancelled => "1",
        /// The engine does not say more.
        Unknown => "2",
        /// The caller asked for something that makes no sense.
        InvalidArgument => "3",
        /// The caller's deadline passed.
        DeadlineExceeded => "4",
        /// There is no such thing.
        NotFound => "5",
        /// There is such a thing already.
        AlreadyExists => "6",
        /// The caller may not.
        PermissionDenied => "7",
        /// A quota, or a limit of size.
        ResourceExhausted => "8",
        /// The system is not in the state for it.
        FailedPrecondition => "9",
        /// Somebody else was first.
        Aborted => "10",
        /// Beyond the end.
        OutOfRange => "11",
        /// No such method.
        Unimplemented => "12",
        /// An invariant is broken.
        Internal => "13",
        /// Nobody serves now.
        Unavailable => "14",
        /// Data is lost.
        DataLoss => "15",
        /// Nobody knows who the caller is.
        Unauthenticated => "16",
        /// A number that gRPC does not have.
        Other => "other",
        /// The answer ended without saying: it was cut, or the call was cancelled.
        Unsaid => "none",
    }
}

impl GrpcStatus {
    /// What trailers say, or the head of an answer that has nothing else (Trailers-Only); `Unsaid` if neither does.
    pub fn said_in(headers: &HeaderMap) -> Self {
        let Some(said) = headers.get("grpc-status") else { return Self::Unsaid };
        let known = Self::ALL[..=Self::Unauthenticated.index()].iter();
        let found = known.copied().find(|status| status.as_str().as_bytes() == said.as_bytes());
        found.unwrap_or(Self::Other)
    }
}

/// Whether a message is one of gRPC, by its content type: `application/grpc`, or that with `+` or `;` behind it.
/// gRPC-Web is another protocol.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
    content_type
        .and_then(|value| value.strip_prefix(b"application/grpc"))
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

impl AnswerKind {
    /// What a gRPC call is told in place of our status: gRPC's own mapping
    /// (<https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>) where it has the status, else what
    /// gRPC servers say of the same fault.
    pub const fn grpc_status(self) -> GrpcStatus {
        match self {
            Self::Malformed | Self::Internal => GrpcStatus::Internal,
            Self::BodyTooLarge | Self::HeadTooLarge => GrpcStatus::ResourceExhausted,
            Self::Misdirected | Self::UnknownProtocol => GrpcStatus::Unimplemented,
            Self::SlowRequest => GrpcStatus::Cancelled,
            // Pages load these, and no call of gRPC does.
            Self::Restart | Self::Evacuated | Self::RedirectToHttps => GrpcStatus::Unavailable,
            Self::UpstreamRefused
            | Self::UpstreamBroke
            | Self::UpgradeUnasked
            | Self::Overloaded
            | Self::TooManyConnections
            | Self::Unavailable
            | Self::EngineGone
            | Self::ConnectTimeout
            | Self::ResponseTimeout
            | Self::RequestTimeout => GrpcStatus::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_status_is_known_by_its_number() {
        let said = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-status", HeaderValue::from_static(value));
            GrpcStatus::said_in(&headers).as_str()
        };
        for number in 0..=16 {
            let text = number.to_string().leak();
            assert_eq!(said(text), text);
        }
        for strange in ["17", "-1", "00", "", "OK", "other", "none"] {
            assert_eq!(said(strange), "other", "{strange:?}");
        }
        assert_eq!(GrpcStatus::said_in(&HeaderMap::new()), GrpcStatus::Unsaid);
    }

    #[test]
    fn grpc_is_known_by_its_content_type() {
        for (content_type, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc; charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/grpcx", false),
            ("application/json", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            assert_eq!(is_grpc(&headers), expected, "{content_type}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }
}
