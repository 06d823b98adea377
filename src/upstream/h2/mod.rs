//! HTTP/2 towards the engines (RFC 9113): many requests at a time over one connection.
//!
//! Frames are the `h2` crate's to read and write. What is ours is which connection a request goes by, what becomes of
//! it when that one ends, and how much of a body is in memory. A connection is driven by a task of its own, since its
//! frames belong to many requests; the rest of a request stays in the request's own task.

pub mod head;
pub mod upload;
pub mod answer;
pub mod exchange;
pub mod socket;
pub mod connection;
pub mod streams;
