//! Text becomes meaning: what did the operator mean?

pub mod model;
pub mod secret;
