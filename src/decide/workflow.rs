//! Workflows: which paths start, continue and end a user's journey, and what an answer says of it.
//!
//! Paths decide where a flow *starts*; afterwards its pin does, since the pages in between are shared by all
//! workflows of an app (`DOMAIN.md` 0, finding 2).

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

use crate::decide::answer::{AnswerFacts, Ending, Target};
use crate::decide::engine::Engine;
use crate::decide::identify::is_named;
use crate::decide::matcher::{End, Matcher, Rank};
use crate::decide::path::normalise;
use crate::decide::pattern::{Methods, Pattern};
use crate::decide::stage::Schedule;

/// As many workflows fit into the sets of [`Place`].
pub const MOST_WORKFLOWS: usize = 32;

/// The one workflow whose name has a meaning: its start goes to the engine that holds the session.
pub const SIGN_OUT: &str = "sign-out";
/// The workflow to which an engine sends whom it does not know any more.
pub const SIGN_IN: &str = "sign-in";

/// A named user journey.
#[derive(Clone, Debug, PartialEq)]
pub struct Workflow {
    /// The name in configuration, metrics and logs.
    pub name: String,
    /// Where it begins.
    pub start: Vec<Pattern>,
    /// What lies in between.
    pub steps: Vec<Pattern>,
    /// Where the identity provider's one-time answers arrive.
    pub callback: Vec<Pattern>,
    /// Links that are opened elsewhere, without a cookie.
    pub landing: Vec<Landing>,
    /// What ends it well; empty: a redirect to a path of this site that is no start, step or callback.
    pub success: Vec<Ending>,
    /// What ends it badly, beside a 5xx on a callback.
    pub failure: Vec<Ending>,
    /// How long its pins hold.
    pub pin: PinLimits,
    /// The share that it begins with, and from when on; `None`: that of the app.
    pub share: Option<Schedule>,
}

/// How long a flow pin holds, in seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PinLimits {
    /// Unused.
    pub idle: u32,
    /// At most, however much it is used.
    pub cap: u32,
}

/// A link that belongs to one engine, whoever opens it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Landing {
    /// Which paths; `None`: every start, step and callback of the app.
    pub path: Option<Pattern>,
    /// Parameters that the query must have, with a value or with any.
    pub query: Vec<(String, Option<String>)>,
    /// Whose it is.
    pub engine: LandingEngine,
    /// From then on, in seconds since the Unix epoch, it is identity's.
    pub until: Option<u64>,
}

/// Whose a landing is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LandingEngine {
    /// That of this engine.
    Fixed(Engine),
    /// It is a start like any other.
    Cohort,
}

impl Landing {
    /// Whose the link is; `None` where the cohort decides. `now` is in seconds since the Unix epoch.
    pub fn owner(&self, now: u64) -> Option<Engine> {
        match self.engine {
            LandingEngine::Cohort => None,
            LandingEngine::Fixed(_) if self.until.is_some_and(|until| now >= until) => Some(Engine::Identity),
            LandingEngine::Fixed(engine) => Some(engine),
        }
    }

    fn fits(&self, query: Option<&str>) -> bool {
        self.query.iter().all(|(name, wanted)| {
            let found = query.and_then(|query| parameter(query, name));
            match (found, wanted) {
                (Some(found), Some(wanted)) => percent_decode_str(found).eq(wanted.bytes()),
                (Some(_), None) => true,
                (None, _) => false,
            }
        })
    }
}

/// The first parameter of a name in a query, as it came.
pub fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query.split('&').find_map(|pair| {
        let (found, value) = pair.split_once('=').unwrap_or((pair, ""));
        is_named(found, name).then_some(value)
    })
}

/// How a flow ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// Well.
    Success,
    /// Badly.
    Failure,
}

/// What a path is in an app's workflows; sets hold a bit for each workflow.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Place {
    /// The workflow that starts here.
    pub start: Option<u8>,
    /// Workflows that pass here.
    pub steps: u32,
    /// Workflows whose one-time answers arrive here.
    pub callback: u32,
    /// The landing that the URL is.
    pub landing: Option<(u8, u8)>,
    /// Whether it is a static file of the app.
    pub is_asset: bool,
}

impl Place {
    /// Every workflow that this path belongs to.
    pub const fn workflows(&self) -> u32 {
        let start = match self.start {
            Some(at) => 1 << at,
            None => 0,
        };
        start | self.steps | self.callback
    }

    /// Whether any workflow passes here.
    pub const fn is_in_workflow(&self) -> bool {
        self.workflows() != 0
    }

    /// Whether any workflow passes here, or a link of one lands.
    pub const fn belongs_to_workflow(&self) -> bool {
        self.is_in_workflow() || self.landing.is_some()
    }

    /// Whether a one-time answer or link arrives here, which is never offered twice.
    pub const fn is_one_time(&self) -> bool {
        self.callback != 0 || self.landing.is_some()
    }
}

/// What a pattern of the trie is for.
#[derive(Clone, Copy, Debug)]
enum Role {
    Start(u8),
    Step(u8),
    Callback(u8),
    Landing(u8, u8),
    Asset,
}

/// The workflows of an app, and its one matcher.
#[derive(Clone, Debug, Default)]
pub struct Table {
    workflows: Vec<Workflow>,
    hashes: Vec<u32>,
    matcher: Matcher<Role>,
    /// Landings without a path.
    anywhere: Vec<(u8, u8)>,
}

impl Table {
    /// Compiles workflows, at most [`MOST_WORKFLOWS`] of them, and the app's static files.
    pub fn new(workflows: Vec<Workflow>, assets: &[Pattern]) -> Self {
        let mut table = Self::default();
        for (at, workflow) in (0u8..).zip(&workflows) {
            let Workflow { start, steps, callback, landing, .. } = workflow;
            table.add(start, Role::Start(at));
            table.add(steps, Role::Step(at));
            table.add(callback, Role::Callback(at));
            for (entry, landing) in (0u8..=254).zip(landing) {
                match &landing.path {
                    Some(path) => table.add(std::slice::from_ref(path), Role::Landing(at, entry)),
                    None => table.anywhere.push((at, entry)),
                }
            }
            table.hashes.push(hash_of(&workflow.name));
        }
        table.add(assets, Role::Asset);
        table.workflows = workflows;
        table
    }

    fn add(&mut self, patterns: &[Pattern], role: Role) {
        for pattern in patterns {
            self.matcher.add(pattern, role);
        }
    }

    /// Whether there is nothing to match.
    pub fn is_empty(&self) -> bool {
        self.matcher.is_empty()
    }

    /// The workflows, in the order in which sets count them.
    pub fn workflows(&self) -> &[Workflow] {
        &self.workflows
    }

    /// One workflow.
    pub fn workflow(&self, at: u8) -> &Workflow {
        &self.workflows[usize::from(at)]
    }

    /// Whether a workflow is the one that ends a session.
    pub fn signs_out(&self, at: u8) -> bool {
        self.workflow(at).name == SIGN_OUT
    }

    /// One landing.
    pub fn landing(&self, (at, entry): (u8, u8)) -> &Landing {
        &self.workflow(at).landing[usize::from(entry)]
    }

    /// The workflow that starts at a place: also by a link that is a start like any other.
    pub fn start_of(&self, place: &Place) -> Option<u8> {
        match place.landing {
            Some(landing) if self.landing(landing).engine == LandingEngine::Cohort => {
                place.start.or(Some(landing.0))
            }
            Some(_) | None => place.start,
        }
    }

    /// The hash by which cookies name a workflow.
    pub fn hash(&self, at: u8) -> u32 {
        self.hashes[usize::from(at)]
    }

    /// The workflow that a cookie names.
    pub fn named_by(&self, hash: u32) -> Option<u8> {
        self.hashes.iter().position(|known| *known == hash).and_then(|at| u8::try_from(at).ok())
    }

    /// The workflow of a name.
    pub fn named(&self, name: &str) -> Option<u8> {
        self.workflows.iter().position(|known| known.name == name).and_then(|at| u8::try_from(at).ok())
    }

    /// What a request's path is. Of the patterns that match, the most specific count; of several workflows that
    /// start at one path, the first in the file.
    pub fn place(&self, method: &Method, path: &str, query: Option<&str>) -> Place {
        let mut place = Place::default();
        if self.is_empty() {
            return place;
        }
        let method = Methods::of(method);
        let mut best = Rank::default();
        let mut best_landing = None;
        let mut hear = |end: &End<Role>| {
            if !end.methods.includes(method) {
                return;
            }
            let role = end.value;
            match role {
                Role::Asset => place.is_asset = true,
                Role::Landing(at, entry) => {
                    let landing = self.landing((at, entry));
                    if landing.fits(query) && best_landing.is_none_or(|best| best < end.rank) {
                        best_landing = Some(end.rank);
                        place.landing = Some((at, entry));
                    }
                }
                Role::Start(_) | Role::Step(_) | Role::Callback(_) => {
                    if end.rank < best {
                        return;
                    }
                    if end.rank > best {
                        best = end.rank;
                        (place.start, place.steps, place.callback) = (None, 0, 0);
                    }
                    match role {
                        Role::Start(at) => {
                            place.start = Some(place.start.map_or(at, |first| first.min(at)));
                        }
                        Role::Step(at) => place.steps |= 1 << at,
                        Role::Callback(at) => place.callback |= 1 << at,
                        Role::Landing(..) | Role::Asset => {}
                    }
                }
            }
        };
        let normal = normalise(path);
        self.matcher.find(&normal, &mut hear);
        if let Cow::Owned(normal) = &normal {
            // An engine may read a path as it came, as Express does: what it then takes for a page of a workflow is one.
            let as_it_came = path.to_ascii_lowercase();
            if as_it_came != *normal {
                self.matcher.find(&as_it_came, &mut hear);
            }
        }
        if place.landing.is_none() && place.is_in_workflow() && query.is_some() {
            place.landing = self.anywhere.iter().copied().find(|landing| self.landing(*landing).fits(query));
        }
        place
    }

    /// Whether a place of this site belongs to no workflow's start, step or callback.
    fn is_outside(&self, target: &Target<'_>) -> bool {
        !self.place(&Method::GET, target.path, target.query).is_in_workflow()
    }

    /// Whether an answer sends the browser to where signing in begins.
    pub fn sends_to_sign_in(&self, answer: &AnswerFacts<'_>) -> bool {
        answer.target.as_ref().is_some_and(|target| {
            let start = self.place(&Method::GET, target.path, target.query).start;
            start.is_some_and(|at| self.workflow(at).name == SIGN_IN)
        })
    }

    /// Whether an answer to a request inside a flow ends it, and how.
    pub fn ending(&self, at: u8, is_callback: bool, answer: &AnswerFacts<'_>) -> Option<Ended> {
        let workflow = self.workflow(at);
        let failed = workflow.failure.iter().any(|ending| ending.fits(answer));
        if failed || (is_callback && answer.status.is_server_error()) {
            return Some(Ended::Failure);
        }
        let succeeded = if !workflow.success.is_empty() {
            workflow.success.iter().any(|ending| ending.fits(answer))
        } else if self.signs_out(at) {
            // The way out leads to the identity provider, or back to a page of the site (`DOMAIN.md` 5.2).
            answer.redirects
        } else {
            answer.target.as_ref().is_some_and(|target| self.is_outside(target))
        };
        succeeded.then_some(Ended::Success)
    }
}

/// Workflows and endpoints stand in cookies as hashes, never as positions: an edit must not give a pin another
/// meaning.
pub fn hash_of(name: &str) -> u32 {
    let digest = Sha256::digest(name);
    u32::from_be_bytes(*digest.first_chunk().expect("SHA-256 gives 32 bytes"))
}
