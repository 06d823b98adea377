//! The stories that the whole program must tell.

mod admin;
mod cli;
mod config;
mod operators;
