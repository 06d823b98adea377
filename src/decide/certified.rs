//! What a client's certificate calls it. Names, and nothing of the certificate: whoever verified it read them out.

use crate::decide::subject::{CertifiedName, SubjectKey};

/// The names in one verified certificate, in the spelling that is hashed and compared. Prints none of them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CertifiedNames {
    san: Option<SubjectKey<'static>>,
    cn: Option<SubjectKey<'static>>,
}

impl CertifiedNames {
    /// Of the first alternative name and of the common name, as they stand in the certificate. One that is empty is
    /// absent, and so is one with control characters: a NUL in a name has been taken for its end before
    /// (CVE-2009-2408), and two readers would see two people.
    pub fn new(san: Option<&str>, cn: Option<&str>) -> Self {
        let key = |name: Option<&str>| {
            let name = name.filter(|name| !name.chars().any(char::is_control))?;
            SubjectKey::new(name.to_owned())
        };
        Self { san: key(san), cn: key(cn) }
    }

    /// One of them.
    pub fn get(&self, name: CertifiedName) -> Option<&SubjectKey<'static>> {
        match name {
            CertifiedName::San => self.san.as_ref(),
            CertifiedName::Cn => self.cn.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_key_like_any_other_and_one_that_reads_in_two_ways_is_absent() {
        for (name, key) in [
            (Some("Ada@Example.com"), Some("ada@example.com")),
            (Some(" ada "), Some("ada")),
            (Some(""), None),
            (Some("  "), None),
            (Some("ada\0.evil.example"), None),
            (Some("ada\nbob"), None),
            (Some("ada\u{85}"), None),
            (None, None),
        ] {
            for (names, kind) in [
                (CertifiedNames::new(name, None), CertifiedName::San),
                (CertifiedNames::new(None, name), CertifiedName::Cn),
            ] {
                assert_eq!(names.get(kind).map(SubjectKey::as_str), key, "{name:?}");
            }
        }
        let names = CertifiedNames::new(Some("ada"), None);
        assert_eq!(names.get(CertifiedName::Cn), None);
        assert!(!format!("{names:?}").contains("ada"));
    }
}
