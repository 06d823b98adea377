//! The closed sets of label values: what can happen to a request, a connection or a ticket, by name.
//!
//! Metrics and access log use the same names, so that a line and a series can be put side by side.

use http::{Method, StatusCode};

use crate::decide::journey::FlowOutcome;

/// Declares an enum whose variants have a name and a place in a table of counters.
macro_rules! labels {
    ($(#[doc = $about:literal])+ pub enum $kind:ident {
        $($(#[doc = $doc:literal])+ $variant:ident => $name:literal,)+
    }) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum $kind {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl $kind {
            /// How many there are.
            pub const COUNT: usize = [$($name),+].len();
            /// All of them, in the order of `index`.
            pub const ALL: [Self; Self::COUNT] = [$(Self::$variant),+];

            /// The name in metrics and logs.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Position in a table indexed by this.
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

pub(in crate::telemetry) use labels;

labels! {
    /// An answer that we gave ourselves, and why.
    pub enum AnswerKind {
        /// The head or the body breaks the rules of HTTP.
        Malformed => "malformed",
        /// The client took too long to send its request.
        SlowRequest => "slow_request",
        /// The body is larger than we accept.
        BodyTooLarge => "body_too_large",
        /// No app is configured for this host.
        Misdirected => "misdirected",
        /// The head is larger, or has more lines, than we accept.
        HeadTooLarge => "head_too_large",
        /// A panic of ours, caught.
        Internal => "internal",
        /// No connection to the endpoint came about.
        UpstreamRefused => "upstream_refused",
        /// The endpoint closed, or sent garbage, before a response had begun.
        UpstreamBroke => "upstream_broke",
        /// The endpoint switched protocols unasked.
        UpgradeUnasked => "upgrade_unasked",
        /// An extended CONNECT asks for a protocol that nobody here speaks.
        UnknownProtocol => "unknown_protocol",
        /// A limit of ours is reached: connections, or the queue for an endpoint.
        Overloaded => "overloaded",
        /// The client's address has as many connections open as it may.
        TooManyConnections => "too_many_connections",
        /// The engine has no endpoint that could be asked.
        Unavailable => "unavailable",
        /// The endpoint did not accept a connection in time.
        ConnectTimeout => "connect_timeout",
        /// The endpoint accepted the request and did not answer in time.
        ResponseTimeout => "response_timeout",
        /// The whole exchange took longer than it may.
        RequestTimeout => "request_timeout",
        /// The engine of a flow is gone; the browser is sent to where the workflow begins.
        Restart => "restart",
        /// The engine that a flow or a session belongs to is gone.
        EngineGone => "engine_gone",
        /// The same URL over TLS is the one to ask for.
        RedirectToHttps => "redirect_to_https",
        /// An order evacuates the engine that holds the session: the browser is sent to sign out first.
        Evacuated => "evacuated",
    }
}

impl AnswerKind {
    /// The status code of the answer.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::SlowRequest => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            // RFC 9220 3, of the same CONNECT over HTTP/3.
            Self::UnknownProtocol => StatusCode::NOT_IMPLEMENTED,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::UpstreamRefused | Self::UpstreamBroke | Self::UpgradeUnasked => StatusCode::BAD_GATEWAY,
            Self::TooManyConnections => StatusCode::TOO_MANY_REQUESTS,
            Self::Restart => StatusCode::SEE_OTHER,
            Self::Overloaded | Self::Unavailable | Self::EngineGone => StatusCode::SERVICE_UNAVAILABLE,
            Self::ConnectTimeout | Self::ResponseTimeout | Self::RequestTimeout => {
                StatusCode::GATEWAY_TIMEOUT
            }
            // Unlike 301 it keeps the method (RFC 9110 15.4.9).
            Self::RedirectToHttps => StatusCode::PERMANENT_REDIRECT,
            Self::Evacuated => StatusCode::SEE_OTHER,
        }
    }
}

labels! {
    /// What went wrong with an endpoint.
    pub enum UpstreamFailure {
        /// Nobody listens there.
        ConnectRefused => "connect_refused",
        /// No connection in time.
        ConnectTimeout => "connect_timeout",
        /// No connection for another reason: no route, no such name.
        ConnectFailed => "connect_failed",
        /// Closed before a response had begun.
        ClosedEarly => "closed_early",
        /// What came is not HTTP.
        Malformed => "malformed",
        /// No response in time.
        ResponseTimeout => "response_timeout",
        /// Closed in the middle of a response body.
        BodyBroken => "body_broken",
        /// A response body stopped coming.
        BodyTimeout => "body_timeout",
        /// Switched protocols without being asked.
        UpgradeUnasked => "upgrade_unasked",
        /// Every connection is busy, and the queue for one full or too slow.
        QueueFull => "queue_full",
    }
}

impl UpstreamFailure {
    /// Whether it says that the endpoint is not well: it is not there, or gives no whole answer. A full queue says that
    /// there is much to do.
    pub const fn is_the_endpoints(self) -> bool {
        match self {
            Self::ConnectRefused
            | Self::ConnectTimeout
            | Self::ConnectFailed
            | Self::ClosedEarly
            | Self::Malformed
            | Self::ResponseTimeout => true,
            Self::BodyBroken | Self::BodyTimeout | Self::UpgradeUnasked | Self::QueueFull => false,
        }
    }
}

labels! {
    /// What a further attempt achieved.
    pub enum RetryOutcome {
        /// A response.
        Success => "success",
        /// Another failure.
        Failure => "failure",
        /// There was none, because the budget for them was spent.
        Exhausted => "exhausted",
    }
}

labels! {
    /// Why a browser's engine is another than at its last visit.
    pub enum MoveCause {
        /// The browser became known as a user, and follows that user's bucket.
        Identified => "identified",
        /// The browser holds a tester token, or holds it no more.
        Override => "override",
        /// A share was raised or lowered since.
        Share => "share",
        /// The browser entered or left a workflow whose share is another than the app's.
        Workflow => "workflow",
        /// A targeting rule names the request, or names it no more.
        Target => "target",
        /// The browser went back to the engine that holds its session.
        Session => "session",
        /// The engine could not serve, and policy let the other one answer.
        Failover => "failover",
        /// The engine that held a flow or a session is gone, and the user began anew on the other one.
        Restart => "restart",
        /// An order to evacuate the engine had ended what held the browser there.
        Evacuated => "evacuated",
    }
}

labels! {
    /// What a tester link did.
    pub enum TesterOutcome {
        /// Its browser got the token.
        Set => "set",
        /// Its browser lost it.
        Cleared => "cleared",
        /// Its token was none, or is none any more.
        Refused => "refused",
    }
}

labels! {
    /// How a flow ended.
    pub enum FlowOutcomeLabel {
        /// Its answer said that it is done.
        Success => "success",
        /// Its answer said that it failed.
        Failure => "failure",
        /// The user began anew.
        Replaced => "replaced",
        /// It was left unused for too long.
        Expired => "expired",
    }
}

impl From<FlowOutcome> for FlowOutcomeLabel {
    fn from(outcome: FlowOutcome) -> Self {
        match outcome {
            FlowOutcome::Success => Self::Success,
            FlowOutcome::Failure => Self::Failure,
            FlowOutcome::Replaced => Self::Replaced,
            FlowOutcome::Expired => Self::Expired,
        }
    }
}

labels! {
    /// How an attempt to take up another configuration ended.
    pub enum ReloadResult {
        /// It was applied.
        Success => "success",
        /// It was refused, and the old one kept.
        Failure => "failure",
        /// It is what runs already.
        Unchanged => "unchanged",
    }
}

labels! {
    /// Why a TLS handshake with a client failed.
    pub enum HandshakeFailure {
        /// It took longer than a request head may.
        Timeout => "timeout",
        /// The client hung up in the middle.
        Closed => "closed",
        /// What came is not TLS.
        NotTls => "not_tls",
        /// No version, cipher or protocol in common.
        Incompatible => "incompatible",
        /// The client showed no certificate, or none that we take.
        ClientCertificate => "client_certificate",
        /// The client does not take our certificate.
        RefusedCertificate => "refused_certificate",
        /// Anything else.
        Other => "other",
    }
}

labels! {
    /// Why we ended a client's connection that was served.
    pub enum CloseReason {
        /// No request began in time: nobody's fault.
        Idle => "idle",
        /// A request head took too long.
        SlowHead => "slow_head",
        /// The next bytes of a request body took too long.
        SlowBody => "slow_body",
        /// The client took nothing of an answer for too long.
        SlowReader => "slow_reader",
        /// A tunnel carried nothing for too long.
        IdleTunnel => "idle_tunnel",
        /// The whole exchange took longer than it may.
        RequestTimeout => "request_timeout",
        /// The request breaks the rules of HTTP, or is larger than we accept.
        Refused => "refused",
    }
}

labels! {
    /// Why a connection was turned away before it could ask anything.
    pub enum TurnedAway {
        /// The process has as many open as it may.
        PerProcess => "per_process",
        /// Its address has as many open as it may.
        PerAddress => "per_address",
        /// A PROXY protocol header is wanted, and the peer is nobody whose word is believed.
        NotTrusted => "not_trusted",
        /// What came is no PROXY protocol header.
        NoHeader => "no_header",
        /// No PROXY protocol header came in time.
        LateHeader => "late_header",
    }
}

labels! {
    /// What an HTTP/2 client flooded us with.
    pub enum FloodKind {
        /// Streams that it opened and reset.
        Reset => "reset",
        /// `SETTINGS`
        Settings => "settings",
        /// `PING`
        Ping => "ping",
        /// `PRIORITY`
        Priority => "priority",
        /// `DATA` without data.
        Empty => "empty",
        /// `CONTINUATION`
        Continuation => "continuation",
        /// `WINDOW_UPDATE`
        WindowUpdate => "window_update",
        /// What the protocol library bounds: header lists far larger than we accept, streams that had to be reset, data of a
        /// few bytes that nobody could take in time.
        Other => "other",
    }
}

labels! {
    /// Where an upstream connection stands.
    pub enum ConnectionState {
        /// It carries a request.
        Active => "active",
        /// It waits for one.
        Idle => "idle",
    }
}

labels! {
    /// A request's method: the registered ones that browsers and their apps use, and the rest together, since a
    /// client may invent methods and a label must not grow with its imagination.
    pub enum MethodLabel {
        /// `GET`
        Get => "GET",
        /// `HEAD`
        Head => "HEAD",
        /// `POST`
        Post => "POST",
        /// `PUT`
        Put => "PUT",
        /// `DELETE`
        Delete => "DELETE",
        /// `CONNECT`
        Connect => "CONNECT",
        /// `OPTIONS`
        Options => "OPTIONS",
        /// `TRACE`
        Trace => "TRACE",
        /// `PATCH`
        Patch => "PATCH",
        /// Any other.
        Other => "OTHER",
    }
}

impl From<&Method> for MethodLabel {
    fn from(method: &Method) -> Self {
        match *method {
            Method::GET => Self::Get,
            Method::HEAD => Self::Head,
            Method::POST => Self::Post,
            Method::PUT => Self::Put,
            Method::DELETE => Self::Delete,
            Method::CONNECT => Self::Connect,
            Method::OPTIONS => Self::Options,
            Method::TRACE => Self::Trace,
            Method::PATCH => Self::Patch,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_stands_where_its_index_says() {
        for (index, kind) in AnswerKind::ALL.into_iter().enumerate() {
            assert_eq!(kind.index(), index);
        }
        for (index, kind) in UpstreamFailure::ALL.into_iter().enumerate() {
            assert_eq!(kind.index(), index);
        }
        assert_eq!(AnswerKind::COUNT, 20);
        assert_eq!(AnswerKind::ALL[19], AnswerKind::Evacuated);
    }

    #[test]
    fn a_method_counts_under_its_name_or_as_other() {
        for label in MethodLabel::ALL {
            let method = Method::from_bytes(label.as_str().as_bytes()).expect("a token");
            assert_eq!(MethodLabel::from(&method), label);
        }
        let invented = Method::from_bytes(b"get").expect("a token");
        assert_eq!(MethodLabel::from(&invented), MethodLabel::Other, "methods are case-sensitive");
    }

    #[test]
    fn our_answers_are_4xx_for_the_client_and_5xx_for_the_rest_but_for_those_that_lead_on() {
        let statuses = AnswerKind::ALL.map(|kind| kind.status().as_u16());
        let expected = [
            400, 408, 413, 421, 431, 500, 502, 502, 502, 501, 503, 429, 503, 504, 504, 504, 303, 503, 308,
            303,
        ];
        assert_eq!(statuses, expected);
    }
}
