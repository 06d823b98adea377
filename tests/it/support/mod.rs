//! The little language of the stories: engines that record and misbehave on command, a proxy between them, and
//! clients that see every byte.
//!
//! Everything is on 127.0.0.1 and port 0. Nothing sleeps for long enough to hope: what takes time is polled for.

pub(crate) mod app;
pub(crate) mod client;
pub(crate) mod engine;
pub(crate) mod multi;
pub(crate) mod multi_engine;
pub(crate) mod pki;
pub(crate) mod proxy;
mod surf;
pub(crate) mod wire;

pub(crate) use app::AppEngine;
pub(crate) use client::{Browser, Client, Reply};
pub(crate) use engine::Engine;
pub(crate) use proxy::{Proxy, portal};
pub(crate) use wire::Wire;

pub(crate) use crate::operators::{Folder, KEYS, eventually, free_port};
