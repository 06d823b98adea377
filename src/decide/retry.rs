//! May a failed attempt be repeated on another endpoint? (`DESIGN.md` 10)

use http::Method;

/// How far an attempt had come when it failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// Not one byte of the request was written.
    NothingWritten,
    /// Some of the request was written, and no byte of a response came.
    Written,
    /// A response had begun.
    Answering,
}

/// Extra tries of one request.
pub const EXTRA_TRIES: u32 = 1;

/// Whether a request may be sent once more after it failed. `has_body` is whether it carries one, `once` whether it
/// brings a one-time answer or link.
///
/// What was written may have been acted upon, even when the connection closed without a word: only methods
/// that RFC 9110 9.2.2 calls idempotent are sent twice, of those only the ones that engines treat so, and only
/// without a body, since that was consumed.
pub fn may_repeat(
    progress: Progress,
    method: &Method,
    has_body: bool,
    once: bool,
    tries_so_far: u32,
) -> bool {
    if tries_so_far > EXTRA_TRIES {
        return false;
    }
    match progress {
        Progress::NothingWritten => true,
        Progress::Written => !has_body && !once && is_repeatable(method),
        Progress::Answering => false,
    }
}

/// Methods of which a second copy does no harm.
pub fn is_repeatable(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE].contains(method)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_do_harm_is_sent_twice() {
        use Progress::{Answering, NothingWritten, Written};
        for (progress, method, has_body, tries, allowed) in [
            (NothingWritten, Method::POST, true, 1, true),
            (NothingWritten, Method::POST, true, 2, false),
            (Written, Method::GET, false, 1, true),
            (Written, Method::GET, false, 2, false),
            (Written, Method::GET, true, 1, false),
            (Written, Method::DELETE, false, 1, true),
            (Written, Method::PUT, true, 1, false),
            (Written, Method::POST, false, 1, false),
            (Written, Method::PATCH, false, 1, false),
            (Written, Method::TRACE, false, 1, false),
            (Answering, Method::GET, false, 1, false),
        ] {
            assert_eq!(
                may_repeat(progress, &method, has_body, false, tries),
                allowed,
                "{progress:?} {method} body {has_body} after {tries}"
            );
            let once = may_repeat(progress, &method, has_body, true, tries);
            assert_eq!(once, allowed && progress == NothingWritten, "{progress:?} {method} once");
        }
    }
}
