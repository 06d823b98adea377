//! The downstream side of sockets: listening, accepting, and noticing clients that stall.
//!
//! Nothing here knows HTTP, beyond the bare status line that a stalled client gets, and but for [`strict`].

pub mod listener;
pub mod doors;
pub mod activity;
pub mod stream;
pub mod strict;
pub mod drain;
