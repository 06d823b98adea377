//! The stories that the whole program must tell.

mod config;
