//! Catches a panic, so that it costs one request and not the connection, the worker or the process.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

/// Runs a future to its end, or to its panic: then the error is what the panic said.
///
/// What the future had borrowed may be half changed; callers only pass what an error answer does not depend on.
///
/// Takes the future pinned, since moving one costs as much as copying everything that it will ever hold.
pub async fn catch<F: Future>(mut future: Pin<&mut F>) -> Result<F::Output, String> {
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(payload) => {
            let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
            Poll::Ready(Err(text.unwrap_or_else(|| "a panic without a message".to_owned())))
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_an_error_and_everything_else_passes() {
        assert_eq!(catch(pin!(async { 7 })).await, Ok(7));
        let panics = async {
            tokio::task::yield_now().await;
            panic!("bucket {}", 5)
        };
        assert_eq!(catch(pin!(panics)).await, Err("bucket 5".into()));
    }
}
