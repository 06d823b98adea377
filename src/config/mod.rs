//! Text becomes meaning: what did the operator mean?
//!
//! The way of a file: [`source`] reads it, `parse` takes it through `raw` (what is written) and `validate` (what
//! is meant) to a [`model::Config`], or to every [`Problem`] at once. [`diff`] compares two of them, [`edit`]
//! changes a text, [`print`](mod@print) writes one. Nothing here opens a socket, and only `source` opens a file; there is no
//! such thing as half a configuration.

pub mod certificate;
pub mod diff;
pub mod edit;
pub mod files;
mod lines;
pub mod model;
mod parse;
pub mod print;
mod print_flow;
mod problem;
mod problems;
mod preset;
mod raw;
mod raw_flow;
mod raw_pool;
mod reader;
pub mod secret;
pub mod source;
pub mod units;
mod validate;

pub use parse::{Loaded, Rejected, parse};
pub use problem::{Place, Problem, Severity};
pub use source::{WriteError, load, load_text, read_listed, replace};
