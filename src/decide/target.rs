//! Targeting rules: listed subjects get an engine whatever the share.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};
use http::{HeaderMap, HeaderName};
use ipnet::IpNet;
use std::hash::BuildHasher;

use crate::decide::engine::Engine;
use crate::decide::identify::only;
use crate::decide::subject::{Subject, SubjectKey};

/// A named rule. It applies when any one of its lists names the request.
#[derive(Clone, Debug)]
pub struct Target {
    /// The name in the configuration and in `explain`.
    pub name: String,
    /// Where the listed subjects go.
    pub engine: Engine,
    /// Whether keys and headers that a client merely claims count too.
    pub claimed: bool,
    /// Subjects by key: those of the file and those of `subjects_file`.
    pub subjects: Arc<Subjects>,
    /// Clients by address.
    pub networks: Vec<IpNet>,
    /// Requests by a header value.
    pub header: Option<HeaderTarget>,
}

/// A header and the value it must have, compared byte for byte.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HeaderTarget {
    /// Which header.
    pub name: HeaderName,
    /// The whole value.
    pub value: String,
}

impl Target {
    /// Whether this rule names the request. `peer_is_trusted` says whether header values are proof.
    pub fn names(
        &self,
        subject: Option<&Subject<'_>>,
        client: IpAddr,
        headers: &HeaderMap,
        peer_is_trusted: bool,
    ) -> bool {
        let by_subject = subject.is_some_and(|subject| {
            (self.claimed || !subject.kind.is_claimed()) && self.subjects.contains(&subject.key)
        });
        let by_header = self.header.as_ref().is_some_and(|header| {
            (self.claimed || peer_is_trusted) && only(headers, &header.name) == Some(header.value.as_bytes())
        });
        by_subject || by_header || self.networks.iter().any(|network| network.contains(&client))
    }
}

/// A set of subject keys: built once, then only asked.
///
/// The keys lie in one text, and the table holds their positions: a million addresses of 24 bytes take about
/// 33 MB this way, where a set of strings takes three times that.
#[derive(Default)]
pub struct Subjects {
    text: String,
    places: HashTable<Place>,
    hasher: DefaultHashBuilder,
}

#[derive(Clone, Copy)]
struct Place {
    start: u32,
    length: u32,
}

impl Subjects {
    /// Reads keys, one per line or item; empty ones are skipped and doubles kept once. `None` when the
    /// canonical keys together exceed 4 GiB.
    pub fn read<'a>(keys: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut subjects = Self::default();
        for key in keys {
            let Some(key) = SubjectKey::new(key) else { continue };
            subjects.insert(&key)?;
        }
        subjects.text.shrink_to_fit();
        let Self { text, places, hasher } = &mut subjects;
        places.shrink_to_fit(|place| hasher.hash_one(place.of(text)));
        Some(subjects)
    }

    fn insert(&mut self, key: &SubjectKey<'_>) -> Option<()> {
        let Self { text, places, hasher } = self;
        let hash = hasher.hash_one(key.as_str());
        if places.find(hash, |place| place.of(text) == key.as_str()).is_some() {
            return Some(());
        }
        let place =
            Place { start: u32::try_from(text.len()).ok()?, length: u32::try_from(key.as_str().len()).ok()? };
        text.push_str(key.as_str());
        places.insert_unique(hash, place, |place| hasher.hash_one(place.of(text)));
        Some(())
    }

    /// Whether the set names this key.
    pub fn contains(&self, key: &SubjectKey<'_>) -> bool {
        if self.places.is_empty() {
            return false;
        }
        let hash = self.hasher.hash_one(key.as_str());
        self.places.find(hash, |place| place.of(&self.text) == key.as_str()).is_some()
    }

    /// How many different subjects.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether nobody is listed.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// All keys, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = SubjectKey<'_>> {
        self.places.iter().filter_map(|place| SubjectKey::new(place.of(&self.text)))
    }
}

impl Place {
    fn of(self, text: &str) -> &str {
        &text[self.start as usize..self.start as usize + self.length as usize]
    }
}

impl fmt::Debug for Subjects {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Subjects({})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> SubjectKey<'_> {
        SubjectKey::new(text).expect("not empty")
    }

    #[test]
    fn a_set_answers_for_the_canonical_key() {
        let subjects = Subjects::read(["Ada@Example.com", "", "  ", "user-1", "USER-1 "]).expect("small");
        assert_eq!(subjects.len(), 2);
        assert!(subjects.contains(&key("ADA@example.com")));
        assert!(!subjects.contains(&key("user-2")));
        assert!(!Subjects::default().contains(&key("user-1")));
    }
}
