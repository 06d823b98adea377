//! Cutover: a staged-rollout reverse proxy.
//!
//! A request asks one pure question, *which engine, and why?*, and everything else is plumbing around the
//! answer. Rooms are stacked on floors; a file may import what lies below it, never what lies beside or above.
//! `tests/it/architecture.rs` holds every `use` against this table:
//!
//! | floor | room | answers |
//! |---|---|---|
//! | 0 | [`ambient`] | what time is it, roll |
//! | 1 | [`decide`] | what should happen, and why |
//! | 2 | [`config`] | what did the operator mean |
//! | 3 | [`telemetry`] | who must be told |
//! | 4 | [`net`], [`upstream`] | bytes in, bytes out |
//! | 5 | [`runtime`] | what is true right now |
//! | 6 | [`proxy`], [`control`] | serve one, change all |
//! | 7 | [`admin`] | what operators see and ask |
//! | 8 | [`worker`], [`app`], [`demo`], [`cli`] | in which order |

pub mod ambient;
pub mod decide;
pub mod config;
pub mod telemetry;
pub mod net;
pub mod upstream;
pub mod runtime;
pub mod proxy;
pub mod control;
pub mod admin;
pub mod worker;
pub mod app;
pub mod demo;
pub mod cli;
