//! What headers cross the proxy: hop-by-hop ones do not, forwarded ones are ours to write, and our own cookies
//! and annotations stay between the browser and us.
//!
//! Nothing here sends; it edits a map, or writes lines, and says what it found.

mod certificate;
mod seen;
mod lines;
mod hop;
mod forwarded;
mod ids;
mod names;
mod response;
mod trailers;
#[cfg(test)]
mod tests;

pub use forwarded::{Forwarder, Trust, forwarded_over_tls, own};
pub use hop::{HopRequest, restore_hop, strip_request};
pub use ids::{RequestId, X_REQUEST_ID, ensure_request_id, ensure_traceparent, trace_id};
pub use lines::Lines;
pub use names::header_name;
pub use response::{set_our_cookie, strip_response};
pub use seen::Seen;
pub use trailers::{is_forbidden_trailer, may_be_trailer, strip_trailers};
