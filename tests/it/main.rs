//! The stories that the whole program must tell.

mod admin;
mod architecture;
mod assign;
mod cli;
mod config;
mod forward;
mod operators;
mod sticky;
mod support;
mod wire;
