//! One matcher for all path patterns of an app.
//!
//! A path is walked once, segment by segment, through a trie of all patterns, so that the cost does not grow with
//! their number.

use hashbrown::HashMap;

use crate::decide::pattern::{Methods, Pattern, Segment};

/// All patterns of an app in one trie. Values are what the owner calls them.
#[derive(Clone, Debug)]
pub struct Matcher<V> {
    nodes: Vec<Node<V>>,
}

impl<V> Default for Matcher<V> {
    fn default() -> Self {
        Self { nodes: vec![Node::new(false)] }
    }
}

/// A place in the trie: what may come next, and what ends here.
#[derive(Clone, Debug)]
struct Node<V> {
    literals: HashMap<Box<str>, u32>,
    /// Parts of the form `*.css`, by what follows the point: lists of static files are dozens of these, and one look
    /// answers for all.
    extensions: HashMap<Box<str>, u32>,
    parts: Vec<(Vec<Box<str>>, u32)>,
    any: Option<u32>,
    /// The place behind `**`, which is reached with no segment and left with none.
    deep: Option<u32>,
    /// Whether this is such a place.
    loops: bool,
    ends: Vec<End<V>>,
}

impl<V> Node<V> {
    fn new(loops: bool) -> Self {
        Self {
            literals: HashMap::new(),
            extensions: HashMap::new(),
            parts: Vec::new(),
            any: None,
            deep: None,
            loops,
            ends: Vec::new(),
        }
    }

    /// The place behind these parts, `next` if there was none.
    fn behind(&mut self, parts: &[Box<str>], next: u32) -> u32 {
        if let Some(extension) = extension_in(parts) {
            return *self.extensions.entry(extension.into()).or_insert(next);
        }
        if let Some((_, child)) = self.parts.iter().find(|(known, _)| known == parts) {
            return *child;
        }
        self.parts.push((parts.to_vec(), next));
        next
    }
}

/// A pattern that ends somewhere.
#[derive(Clone, Copy, Debug)]
pub struct End<V> {
    /// What the owner calls it.
    pub value: V,
    /// For which methods.
    pub methods: Methods,
    /// How specific it is.
    pub rank: Rank,
}

/// How specific a path is: segment by segment from the left, and a longer path before its beginning. Three bits for each
/// segment, so that two are compared at once; behind the twenty-first all are alike.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Rank(u64);

impl Rank {
    const BITS: usize = 3;
    const MOST: usize = 21;

    fn of(path: &[Segment]) -> Self {
        let places = (1..=Self::MOST).map(|place| u64::BITS as usize - 1 - place * Self::BITS);
        let ranks = path.iter().map(|segment| u64::from(segment.rank()) + 1);
        Self(places.zip(ranks).fold(0, |all, (place, rank)| all | rank << place))
    }
}

/// More places than a path is in at once; beyond it the least specific are not looked at.
const MOST_ACTIVE: usize = 32;

impl<V: Copy> Matcher<V> {
    /// Whether no pattern was added.
    pub fn is_empty(&self) -> bool {
        self.nodes.len() == 1 && self.nodes[0].ends.is_empty()
    }

    /// Adds a pattern.
    pub fn add(&mut self, pattern: &Pattern, value: V) {
        for path in &pattern.paths {
            let mut at = 0;
            for segment in path {
                at = self.child(at, segment);
            }
            let end = End { value, methods: pattern.methods, rank: Rank::of(path) };
            self.nodes[at as usize].ends.push(end);
        }
    }

    fn child(&mut self, at: u32, segment: &Segment) -> u32 {
        let next = u32::try_from(self.nodes.len()).expect("a file is not that long");
        let node = &mut self.nodes[at as usize];
        let (child, loops) = match segment {
            Segment::Deep => (*node.deep.get_or_insert(next), true),
            Segment::Any => (*node.any.get_or_insert(next), false),
            Segment::Literal(text) => (*node.literals.entry(text.clone()).or_insert(next), false),
            Segment::Parts(parts) => (node.behind(parts, next), false),
        };
        if child == next {
            self.nodes.push(Node::new(loops));
        }
        child
    }

    /// Tells every pattern that matches a normalised path, in no particular order.
    pub fn find<'m>(&'m self, path: &str, mut found: impl FnMut(&'m End<V>)) {
        let (mut here, mut beyond) = (Active::default(), Active::default());
        let (mut active, mut next) = (&mut here, &mut beyond);
        self.enter(0, active);
        let mut rest = path;
        while !rest.is_empty() {
            let (segment, behind) = match memchr::memchr(b'/', rest.as_bytes()) {
                Some(slash) => (&rest[..slash], &rest[slash + 1..]),
                None => (rest, ""),
            };
            rest = behind;
            if segment.is_empty() {
                continue;
            }
            next.count = 0;
            for at in active.iter() {
                self.go(at, segment, next);
            }
            if next.count == 0 {
                return;
            }
            std::mem::swap(&mut active, &mut next);
        }
        for at in active.iter() {
            self.nodes[at as usize].ends.iter().for_each(&mut found);
        }
    }

    /// Enters every place that a segment leads to from this one.
    fn go(&self, at: u32, segment: &str, next: &mut Active) {
        let node = &self.nodes[at as usize];
        if node.loops {
            self.enter(at, next);
        }
        if let Some(child) = node.literals.get(segment) {
            self.enter(*child, next);
        }
        if !node.extensions.is_empty()
            && let Some(point) = memchr::memrchr(b'.', segment.as_bytes())
            && let Some(child) = node.extensions.get(&segment[point + 1..])
        {
            self.enter(*child, next);
        }
        for (parts, child) in &node.parts {
            if matches_parts(parts, segment) {
                self.enter(*child, next);
            }
        }
        if let Some(child) = node.any {
            self.enter(child, next);
        }
    }

    fn enter(&self, at: u32, active: &mut Active) {
        let mut at = Some(at);
        while let Some(place) = at {
            if !active.add(place) {
                return;
            }
            at = self.nodes[place as usize].deep;
        }
    }
}

/// The places where a walk is at once.
#[derive(Clone, Copy, Default)]
struct Active {
    places: [u32; MOST_ACTIVE],
    count: usize,
}

impl Active {
    fn iter(&self) -> impl Iterator<Item = u32> {
        self.places[..self.count].iter().copied()
    }

    fn add(&mut self, place: u32) -> bool {
        if self.count == MOST_ACTIVE || self.places[..self.count].contains(&place) {
            return false;
        }
        self.places[self.count] = place;
        self.count += 1;
        true
    }
}

/// What `*.css` is about: the rest of a segment behind its last point.
fn extension_in(parts: &[Box<str>]) -> Option<&str> {
    let [before, after] = parts else { return None };
    let extension = after.strip_prefix('.').filter(|extension| !extension.contains('.'))?;
    before.is_empty().then_some(extension)
}

/// Whether a segment is these literals with anything between them: the first and the last stand at the ends, the
/// others are taken as far left as they are found, which leaves the most for those that follow.
fn matches_parts(parts: &[Box<str>], segment: &str) -> bool {
    let [first, middle @ .., last] = parts else { return false };
    let Some(rest) = segment.strip_prefix(&**first) else { return false };
    let Some(mut rest) = rest.strip_suffix(&**last) else { return false };
    for part in middle {
        let Some(at) = rest.find(&**part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_is_what_follows_the_last_point() {
        let mut matcher = Matcher::default();
        for (pattern, value) in [("/**/*.js", 0), ("/**/*.min.js", 1), ("/**/a*.js", 2), ("/**/*.js/x", 3)] {
            matcher.add(&Pattern::parse(pattern).expect("a pattern"), value);
        }
        for (path, expected) in [
            ("/app.js", vec![0, 2]),
            ("/app.min.js", vec![0, 1, 2]),
            ("/lib/x.min.js", vec![0, 1]),
            ("/.js", vec![0]),
            ("/js", vec![]),
            ("/x.js.map", vec![]),
            ("/y.js/x", vec![3]),
        ] {
            let mut found = Vec::new();
            matcher.find(path, |end| found.push(end.value));
            found.sort_unstable();
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn a_walk_is_bounded_whatever_the_path() {
        let mut matcher = Matcher::default();
        for at in 0..100 {
            matcher.add(&Pattern::parse(&format!("/**/a/**/b{at}/**/*c")).expect("a pattern"), at);
        }
        let path = "/a".repeat(4000);
        let mut count = 0;
        matcher.find(&path, |_| count += 1);
        assert_eq!(count, 0);
    }
}
