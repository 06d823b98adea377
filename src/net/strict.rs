//! What a client sends over HTTP/1, read once and by the book.
//!
//! Where two readers differ about where a message ends, a request can be hidden from one of them (request smuggling). So
//! there is one reader here, and it settles no doubt in anybody's favour: what RFC 9112 lets a recipient repair, it
//! refuses. [`head`] reads the lines that begin a request, [`body`] what follows them, [`line`] judges a line alone.
//!
//! Pure: no socket, no clock. The bytes that were received go in; what follows a message stays for the next reader.

pub mod body;
pub mod fault;
pub mod head;
mod line;
