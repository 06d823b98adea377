//! The two versions of the app, and nothing else: there is no third engine.

use std::fmt;
use std::str::FromStr;

/// One version of the app: today's, or the upgraded one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Engine {
    /// The version that uses Okta's Classic Engine.
    Classic,
    /// The version that uses Okta's Identity Engine.
    Identity,
}

impl Engine {
    /// Both engines, in the order in which [`Engine::index`] counts them.
    pub const BOTH: [Self; 2] = [Self::Classic, Self::Identity];

    /// The name in configuration, logs, metrics and headers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Identity => "identity",
        }
    }

    /// The engine that this one is not.
    pub const fn other(self) -> Self {
        match self {
            Self::Classic => Self::Identity,
            Self::Identity => Self::Classic,
        }
    }

    /// Position in a pair indexed by engine.
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Engine {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::BOTH.into_iter().find(|engine| engine.as_str() == name).ok_or(())
    }
}
