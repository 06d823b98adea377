//! A secret: prints nothing, and compares in a time that does not depend on where two values differ.

use std::fmt;

use subtle::ConstantTimeEq;

/// A token that operators present.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// `None` for an empty text: it would let everybody in.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// Whether somebody presented this secret. The length may show; the content does not.
    pub fn is(&self, presented: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(presented).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.is(other.0.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_nothing_and_knows_itself() {
        let secret = Secret::new(" s3cret\n").expect("not empty");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert!(secret.is(b"s3cret"));
        assert!(!secret.is(b"s3creT") && !secret.is(b"s3cret2") && !secret.is(b""));
        assert!(Secret::new(" \n").is_none());
    }
}
