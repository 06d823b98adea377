//! Workflows: which paths start, continue and end a user's journey, and what an answer says of it.
//!
//! Paths decide where a flow *starts*; afterwards its pin does, since the pages in between are shared by all
//! workflows of an app (`DOMAIN.md` 0, finding 2).

use http::header::LOCATION;
use http::{HeaderMap, HeaderName, Method, StatusCode};
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

use crate::decide::bucket::Share;
use crate::decide::cookies;
use crate::decide::engine::Engine;
use crate::decide::pattern::{Matcher, Methods, Pattern, normalise};

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
    /// The share that it begins with; `None`: that of the app.
    pub share: Option<Share>,
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
        let matches = found == name || (found.contains('%') && percent_decode_str(found).eq(name.bytes()));
        matches.then_some(value)
    })
}

/// What an answer must look like to end a flow: everything that is said must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ending {
    /// The least and the greatest status.
    pub status: Option<(u16, u16)>,
    /// The path of `Location`, and a parameter of its query.
    pub location: Option<(Pattern, Option<String>)>,
    /// A cookie that is set, and not deleted; `*` in the name stands for anything.
    pub set_cookie: Option<CookieName>,
    /// A header, and the value that it must have.
    pub header: Option<(HeaderName, String)>,
}

impl Ending {
    fn fits(&self, answer: &AnswerFacts<'_>) -> bool {
        let Self { status, location, set_cookie, header } = self;
        let by_status =
            status.is_none_or(|(least, greatest)| (least..=greatest).contains(&answer.status.as_u16()));
        by_status
            && location.as_ref().is_none_or(|(path, query)| {
                answer.target.as_ref().is_some_and(|target| {
                    path.matches(&normalise(target.path))
                        && query.as_ref().is_none_or(|name| {
                            target.query.is_some_and(|query| parameter(query, name).is_some())
                        })
                })
            })
            && set_cookie.as_ref().is_none_or(|name| {
                cookies::set_lines(answer.headers)
                    .any(|line| name.matches(line.name) && !line.is_deletion(answer.now))
            })
            && header.as_ref().is_none_or(|(name, value)| {
                answer.headers.get_all(name).iter().any(|found| found.as_bytes() == value.as_bytes())
            })
    }
}

/// The name of a cookie; `*` stands for anything, as in `appSession*` for a cookie that comes in pieces.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CookieName(String);

impl CookieName {
    /// `None` for what no cookie is called.
    pub fn parse(text: &str) -> Option<Self> {
        let is_token = HeaderName::from_bytes(text.replace('*', "x").as_bytes()).is_ok();
        (is_token && text.bytes().filter(|byte| *byte == b'*').count() <= 4).then(|| Self(text.to_owned()))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a cookie of this name is meant. Names of cookies are compared with their case.
    pub fn matches(&self, name: &[u8]) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else { return self.0.as_bytes() == name };
        let Some(mut left) = name.strip_prefix(first.as_bytes()) else { return false };
        let mut parts = rest.split('*').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return left.ends_with(part.as_bytes());
            }
            let Some(at) = memchr::memmem::find(left, part.as_bytes()) else { return false };
            left = &left[at + part.len()..];
        }
        true
    }
}

/// What an answer says, as far as a flow may hear it.
#[derive(Clone, Copy, Debug)]
pub struct AnswerFacts<'a> {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, as the engine wrote them.
    pub headers: &'a HeaderMap,
    /// Where it sends the browser, when that is a path of this site.
    pub target: Option<Target<'a>>,
    /// Whether it sends the browser anywhere.
    pub redirects: bool,
    /// In seconds since the Unix epoch.
    pub now: u64,
}

/// A place on this site.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Its path as it came.
    pub path: &'a str,
    /// Its query.
    pub query: Option<&'a str>,
}

impl<'a> AnswerFacts<'a> {
    /// Reads an answer to a request for `host` at `base`.
    pub fn of(status: StatusCode, headers: &'a HeaderMap, host: &str, now: u64) -> Self {
        let location = headers.get(LOCATION).and_then(|line| line.to_str().ok());
        let redirects = status.is_redirection() && location.is_some();
        let target = location.filter(|_| redirects).and_then(|location| same_site(location, host));
        Self { status, headers, target, redirects, now }
    }
}

/// The path and query of a `Location` that stays on this site: a path, or a URL with our host (RFC 9110 10.2.2).
/// One that is relative to the page is not resolved: its last segments are its own, and that is enough to see that
/// it stays.
fn same_site<'a>(location: &'a str, host: &str) -> Option<Target<'a>> {
    let after_scheme = ["http://", "https://"].iter().find_map(|scheme| {
        let (start, rest) = location.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    let rest = match after_scheme.or_else(|| location.strip_prefix("//")) {
        Some(rest) => {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            if !rest[..end].eq_ignore_ascii_case(host) {
                return None;
            }
            &rest[end..]
        }
        // `mailto:` and others leave the site; a colon behind a slash or a question mark is no scheme's.
        None if location.split(['/', '?', '#']).next().is_some_and(|first| first.contains(':')) => {
            return None;
        }
        None => location,
    };
    let rest = rest.split('#').next().unwrap_or_default();
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    Some(Target { path: if path.is_empty() { "/" } else { path }, query })
}

/// The value of `state` in a `Location`, wherever that leads.
pub fn state_issued(headers: &HeaderMap) -> Option<&str> {
    let location = headers.get(LOCATION)?.to_str().ok()?;
    let (_, query) = location.split('#').next()?.split_once('?')?;
    parameter(query, "state").filter(|state| !state.is_empty())
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
    matcher: Matcher,
    roles: Vec<Role>,
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
            let value = u32::try_from(self.roles.len()).expect("a file is not that long");
            self.matcher.add(pattern, value);
            self.roles.push(role);
        }
    }

    /// Whether there is nothing to match.
    pub fn is_empty(&self) -> bool {
        self.roles.is_empty()
    }

    /// The workflows, in the order in which sets count them.
    pub fn workflows(&self) -> &[Workflow] {
        &self.workflows
    }

    /// One workflow.
    pub fn workflow(&self, at: u8) -> &Workflow {
        &self.workflows[usize::from(at)]
    }

    /// One landing.
    pub fn landing(&self, (at, entry): (u8, u8)) -> &Landing {
        &self.workflow(at).landing[usize::from(entry)]
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
        let mut best: &[u8] = &[];
        let mut best_landing: Option<&[u8]> = None;
        self.matcher.find(&normalise(path), |end| {
            if !end.methods.includes(method) {
                return;
            }
            let role = self.roles[end.value as usize];
            match role {
                Role::Asset => place.is_asset = true,
                Role::Landing(at, entry) => {
                    let landing = self.landing((at, entry));
                    if landing.fits(query) && best_landing.is_none_or(|best| best < &end.rank[..]) {
                        best_landing = Some(&end.rank);
                        place.landing = Some((at, entry));
                    }
                }
                Role::Start(_) | Role::Step(_) | Role::Callback(_) => {
                    if end.rank[..] < *best {
                        return;
                    }
                    if end.rank[..] > *best {
                        best = &end.rank;
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
        });
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
        } else if workflow.name == SIGN_OUT {
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
