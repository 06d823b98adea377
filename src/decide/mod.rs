//! Pure decisions: what should happen, and why.
//!
//! Nothing here waits, opens a socket or a file, reads a clock or writes a log. Time and dice come in with a
//! [`Moment`](crate::ambient::Moment), so every answer can be given again.

pub mod engine;
pub mod subject;
pub mod certified;
pub mod identify;
pub mod bucket;
pub mod stage;
pub mod seal;
pub mod ticket;
pub mod recall;
pub mod cookies;
pub mod target;
pub mod path;
pub mod pattern;
pub mod matcher;
pub mod workflow;
pub mod answer;
pub mod flow;
pub mod isolation;
pub mod presented;
pub mod journey;
pub mod lesson;
pub mod farewell;
pub mod evacuate;
pub mod reason;
pub mod decision;
pub mod anew;
pub mod host;
pub mod headers;
pub mod redact;
pub mod status;
pub mod balance;
pub mod health;
pub mod retry;
