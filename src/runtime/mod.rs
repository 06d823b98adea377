//! What all requests share: the generation that is true right now.

pub mod states;
pub mod sightings;
pub mod listener;
pub mod pool;
pub mod snapshot;
pub mod live;
