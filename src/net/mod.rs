//! The downstream side of sockets: listening, accepting, and noticing clients that stall.
//!
//! Nothing here knows HTTP, beyond the bare status line that a stalled client gets, and but for [`strict`].

pub mod listener;
pub mod spread;
pub mod doors;
pub mod activity;
pub mod names;
pub mod tls;
pub mod client_certificate;
pub mod stream;
pub mod proxy_protocol;
pub mod preface;
pub mod strict;
pub mod frames;
pub mod watched;
pub mod crowd;
pub mod drain;
