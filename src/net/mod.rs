//! The downstream side of sockets: listening, accepting, and noticing clients that stall.
//!
//! HTTP/1.1 is [`http1`]'s and [`strict`]'s to read and write; nothing else here knows HTTP, beyond the bare status line that a
//! stalled client gets.

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
pub mod http1;
pub mod frames;
pub mod watched;
pub mod crowd;
pub mod drain;
