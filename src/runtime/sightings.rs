//! Which session cookies both engines were seen to set: each would sign users out of the other, were it not for
//! session pins.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::decide::answer::CookieName;
use crate::decide::engine::Engine;
use crate::decide::isolation::whole;

/// What was seen of an app's session cookies. As large as the list of them, whatever engines do.
#[derive(Debug, Default)]
pub struct Sightings(Vec<Arc<Sighting>>);

#[derive(Debug)]
struct Sighting {
    cookie: CookieName,
    /// The hash of the name that an engine set last, by [`Engine::index`]; 0: none. A pattern stands for many names, and
    /// two engines that each have their own are as it should be.
    set: [AtomicU64; 2],
    is_in_both: AtomicBool,
}

impl Sightings {
    /// For these cookies; what was seen of one of them before is known still.
    pub fn of(cookies: &[CookieName], previous: Option<&Self>) -> Self {
        let known = |cookie: &CookieName| previous?.0.iter().find(|known| known.cookie == *cookie).cloned();
        let new = |cookie: &CookieName| {
            let cookie = cookie.clone();
            Arc::new(Sighting { cookie, set: Default::default(), is_in_both: AtomicBool::new(false) })
        };
        Self(cookies.iter().map(|cookie| known(cookie).unwrap_or_else(|| new(cookie))).collect())
    }

    /// An engine sets a cookie. Returns as it is configured the one that is seen to be set by both for the first time.
    pub fn note(&self, engine: Engine, name: &[u8]) -> Option<&str> {
        let sighting = self.0.iter().find(|known| known.cookie.matches(name))?;
        if sighting.is_in_both.load(Relaxed) {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        whole(name).hash(&mut hasher);
        let hash = hasher.finish().max(1);
        sighting.set[engine.index()].store(hash, Relaxed);
        let is_in_both = sighting.set[engine.other().index()].load(Relaxed) == hash;
        (is_in_both && !sighting.is_in_both.swap(true, Relaxed)).then(|| sighting.cookie.as_str())
    }

    /// The cookies that both engines were seen to set, as they are configured.
    pub fn in_both(&self) -> impl Iterator<Item = &str> {
        let told = self.0.iter().filter(|sighting| sighting.is_in_both.load(Relaxed));
        told.map(|sighting| sighting.cookie.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_both_engines_set_is_told_once() {
        let cookies =
            ["connect.sid", "_*_session", "app*"].map(|name| CookieName::parse(name).expect("a name"));
        let sightings = Sightings::of(&cookies, None);
        use Engine::{Classic, Identity};
        for (engine, name, told) in [
            (Classic, "connect.sid", None),
            (Classic, "connect.sid", None),
            (Identity, "uid", None),
            (Identity, "connect.sid", Some("connect.sid")),
            (Identity, "connect.sid", None),
            (Classic, "connect.sid", None),
            (Classic, "_old_session", None),
            (Identity, "_new_session", None),
            (Classic, "app.0", None),
            (Identity, "app.3", Some("app*")),
        ] {
            assert_eq!(sightings.note(engine, name.as_bytes()), told, "{engine} {name}");
        }
        let after = Sightings::of(&cookies[..2], Some(&sightings));
        assert_eq!(after.in_both().collect::<Vec<_>>(), ["connect.sid"]);
        assert_eq!(after.note(Classic, b"connect.sid"), None, "also after an edit");
    }
}
