//! Whatever one browser does in three tabs, whatever shares and keys do meanwhile, whichever of two nodes it asks, and
//! however the clock goes: a flow is answered by one engine from start to end, and a signed-in session never reaches
//! the other one. No sockets: the decision, what it learns, and the two versions of the app as state machines.
//!
//! The test keeps its own account of which flow each tab is in, and knows nothing of pins but what `DESIGN.md` 4
//! promises of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use cutover::ambient::{Ambient, Moment};
use cutover::config::files::NamedFiles;
use cutover::config::parse;
use cutover::decide::answer::{AnswerFacts, state_issued};
use cutover::decide::cookies::PLAIN;
use cutover::decide::decision::{Question, Reason, Rules, StateHit, decide};
use cutover::decide::engine::Engine as Side;
use cutover::decide::evacuate::{Orders, as_of, sign_out_first};
use cutover::decide::headers::Seen;
use cutover::decide::lesson::learn;
use cutover::decide::recall::Recall;
use cutover::decide::ticket::SigningKey;
use cutover::decide::workflow::parameter;
use cutover::runtime::snapshot::rules;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use proptest::prelude::*;

use crate::support::app::{Asked, Model, ORG, Page, SESSION};

mod account;
mod anew;
mod orders;

use account::{Flow, SLACK};

const CONFIG: &str = r#"
[[listeners]]
bind = "0.0.0.0:8080"
[apps.portal]
preset = "okta"
keys = ["device"]
[apps.portal.classic]
endpoints = ["http://10.0.0.11:8080"]
[apps.portal.identity]
endpoints = ["http://10.0.1.11:8080"]
"#;

/// Where a workflow starts, its name, and how long its pin holds unused and in all.
const WORKFLOWS: [(&str, &str, u64, u64); 3] = [
    ("/login", "sign-in", 30 * 60, 2 * 3600),
    ("/recover-password", "recovery", 75 * 60, 24 * 3600),
    ("/register", "registration", 75 * 60, 24 * 3600),
];

/// No story is longer than a session lives.
const LONGEST: u64 = 20 * 3600;

/// What is part of no flow but a sign-out's.
const OUTSIDE: [&str; 4] = ["/", "/account", "/logout", "/api/me"];

/// How many stories are told, unless the environment wants more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").map_or(300, |cases| cases.parse().expect("a number"))
}

/// What the browser, the operators and the clock do next.
#[derive(Clone, Debug)]
enum Act {
    Visit(&'static str),
    /// The form of the page that the tab shows.
    Submit {
        wrong: bool,
    },
    /// What the script of that page asks for.
    Fetch(&'static str),
    Reload,
    Back,
    /// Goes on in another tab.
    Tab(usize),
    /// Shares of the app, recovery, registration and sign-in: a reload.
    Shares([u8; 4]),
    /// Another key signs, and the ones before still verify.
    NewKey,
    /// An edit that is refused.
    Broken,
    Wait(u64),
    /// Both nodes are replaced: nobody knows any state.
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    let page = proptest::sample::select(vec![
        "/",
        "/account",
        "/login",
        "/recover-password",
        "/register",
        "/logout",
    ]);
    let call = proptest::sample::select(vec!["/api/me", "/assets/any.js"]);
    let share = || proptest::sample::select(vec![0, 50, 100]);
    let shares = [share(), share(), share(), share()];
    let wait = prop_oneof![6 => 0u64..25, 2 => 50u64..70, 1 => 1700u64..1900, 1 => 4400u64..4600];
    prop_oneof![
        5 => page.prop_map(Act::Visit),
        9 => proptest::bool::weighted(0.2).prop_map(|wrong| Act::Submit { wrong }),
        2 => call.prop_map(Act::Fetch),
        1 => Just(Act::Reload),
        1 => Just(Act::Back),
        3 => (0usize..3).prop_map(Act::Tab),
        3 => shares.prop_map(Act::Shares),
        1 => Just(Act::NewKey),
        1 => Just(Act::Broken),
        2 => wait.prop_map(Act::Wait),
        1 => Just(Act::Restart),
    ]
}

/// A page in the history of a tab.
#[derive(Clone, Debug)]
struct Shown {
    target: String,
    /// The flow that it is a page of.
    flow: Option<usize>,
}

struct World {
    rules: Rules,
    /// As one worker has it, for as long as the story lasts.
    recall: Recall,
    keys: Vec<SigningKey>,
    shares: [u8; 4],
    apps: [Model; 2],
    /// What each node has seen engines issue.
    states: [BTreeMap<String, StateHit>; 2],
    jar: BTreeMap<String, String>,
    tabs: [Vec<Shown>; 3],
    tab: usize,
    /// Orders to evacuate; once there is one, the account of flows and sessions says nothing any more.
    orders: Orders,
    /// Who served last.
    served: Option<Side>,
    flows: Vec<Flow>,
    /// Flows by their last use, the newest first.
    order: Vec<usize>,
    now: u64,
    /// Chooses the node, and throws the dice.
    chance: u64,
    story: Vec<String>,
}

impl World {
    fn new(chance: u64) -> Self {
        let key = SigningKey::new(vec![7; 32]).expect("32 bytes");
        let home = || vec![Shown { target: "/".to_owned(), flow: None }];
        Self {
            recall: Recall::default(),
            rules: Self::loaded(CONFIG, std::slice::from_ref(&key)).expect("a good file"),
            keys: vec![key],
            shares: [0; 4],
            apps: [Model::new("classic"), Model::new("identity")],
            states: Default::default(),
            jar: BTreeMap::new(),
            tabs: [home(), home(), home()],
            tab: 0,
            orders: Orders::default(),
            served: None,
            flows: Vec::new(),
            order: Vec::new(),
            now: 1_800_000_000,
            chance,
            story: Vec::new(),
        }
    }

    fn loaded(text: &str, keys: &[SigningKey]) -> Option<Rules> {
        let config = parse(text, "cutover.toml", &NamedFiles::default()).ok()?.config;
        Some(rules(&config.apps[0], &config, keys))
    }

    /// A reload, as a node does it: all of the file, or nothing.
    fn reload(&mut self, is_broken: bool) {
        let [app, recovery, registration, sign_in] = self.shares;
        let mut text = CONFIG.replace("keys =", &format!("percent = {app}\nkeys ="));
        for (name, share) in [("recovery", recovery), ("registration", registration), ("sign-in", sign_in)] {
            let _ = writeln!(text, "[apps.portal.workflows.{name}]\npercent = {share}");
        }
        if is_broken {
            text = text.replace("preset", "presett");
        }
        match Self::loaded(&text, &self.keys) {
            Some(rules) => self.rules = Rules { evacuate: self.orders.clone(), ..rules },
            None => assert!(is_broken, "{text}"),
        }
    }

    /// A fresh number; no two stories have the same ones.
    fn next_chance(&mut self) -> u64 {
        self.chance =
            self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.chance ^ (self.chance >> 29)
    }

    fn shown(&self) -> Shown {
        self.tabs[self.tab].last().expect("a page").clone()
    }

    fn act(&mut self, act: &Act) {
        self.story.push(format!("{act:?}"));
        // A page of a flow that has ended, or was left alone for too long, is nobody's.
        let is_left = self.shown().flow.is_some_and(|at| !self.flows[at].must_hold(self.now));
        if is_left && matches!(act, Act::Submit { .. } | Act::Fetch(_) | Act::Reload) {
            return;
        }
        match act {
            Act::Visit(page) => self.go("GET", page, "", None),
            Act::Submit { wrong } => {
                let Shown { target, flow } = self.shown();
                let path = target.split('?').next().unwrap_or_default();
                if ["/", "/account", "/logout"].contains(&path) || path.contains("callback") {
                    return;
                }
                let form = if *wrong { "password=wrong" } else { "password=right" };
                self.go("POST", &target, form, flow);
            }
            Act::Fetch(call) => {
                let Shown { target, flow } = self.shown();
                self.request("GET", call, "", flow, Some(&target));
            }
            Act::Reload => {
                let Shown { target, flow } = self.shown();
                self.go("GET", &target, "", flow);
            }
            Act::Back => {
                let tab = &mut self.tabs[self.tab];
                if tab.len() > 1 {
                    tab.pop();
                }
            }
            Act::Tab(tab) => self.tab = *tab,
            Act::Shares(shares) => {
                self.shares = *shares;
                self.reload(false);
            }
            Act::NewKey => {
                let key = SigningKey::new(vec![self.keys.len() as u8; 32]).expect("32 bytes");
                self.keys.insert(0, key);
                self.reload(false);
            }
            Act::Broken => self.reload(true),
            Act::Wait(seconds) => self.wait(*seconds),
            Act::Restart => self.states = Default::default(),
        }
    }

    /// Never to a time at which nobody can say whether a pin still holds.
    fn wait(&mut self, seconds: u64) {
        let mut then = self.now + seconds;
        while self.flows.iter().any(|flow| !flow.ended && !flow.must_hold(then) && !flow.is_gone(then)) {
            then += SLACK;
        }
        if then < 1_800_000_000 + LONGEST {
            self.now = then;
        }
    }

    /// Goes to a page and wherever it leads, by way of the org as well.
    fn go(&mut self, method: &str, target: &str, form: &str, mut flow: Option<usize>) {
        let (mut method, mut target, mut form) = (method.to_owned(), target.to_owned(), form.to_owned());
        for _ in 0..8 {
            let (next, of) = self.request(&method, &target, &form, flow, None);
            flow = of;
            let Some(next) = next else {
                // A redirect is no page that one could go back to.
                let tab = &mut self.tabs[self.tab];
                tab.pop_if(|shown| shown.target == target);
                tab.push(Shown { target, flow });
                return;
            };
            target = match next.strip_prefix(ORG) {
                None => next,
                Some(at_org) => match at_org.split_once("state=") {
                    Some((_, rest)) => {
                        let state = rest.split('&').next().expect("a value");
                        format!("/authorization-code/callback?code=c&state={state}")
                    }
                    None => return,
                },
            };
            (method, form) = ("GET".to_owned(), String::new());
        }
        panic!("round in circles: {:#?}", self.story);
    }

    /// One exchange: where it leads, and the flow that it is part of afterwards. `page`: the one whose script asks.
    fn request(
        &mut self,
        method: &str,
        target: &str,
        form: &str,
        flow: Option<usize>,
        page: Option<&str>,
    ) -> (Option<String>, Option<usize>) {
        let line = |jar: &BTreeMap<String, String>, ours: bool| {
            let pairs = jar.iter().filter(|(name, _)| ours || !name.starts_with("cutover"));
            pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
        };
        let mut headers = HeaderMap::new();
        let mut put = |name: &'static str, value: &str| {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"));
        };
        put("host", "portal.example.com");
        put("cookie", &line(&self.jar, true));
        match page {
            Some(page) => {
                put("sec-fetch-mode", "cors");
                put("referer", &format!("http://portal.example.com{page}"));
            }
            None => put("sec-fetch-mode", "navigate"),
        }
        let asked = Asked::new(method, target, &line(&self.jar, false), form);
        let session = self.jar.get(SESSION).filter(|sid| sid.contains("-user-")).cloned();
        let query = target.split_once('?').map(|(_, query)| query);
        let chance = self.next_chance();
        let node = (chance & 1) as usize;
        let state =
            query.and_then(|query| parameter(query, "state")).and_then(|state| self.states[node].get(state));
        let state = state.copied();
        let decision = {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let place = self.rules.table.place(&method, &asked.path, query);
            let question = Question {
                method: &method,
                path: &asked.path,
                query,
                headers: &headers,
                seen: Seen::of(&headers),
                client: IpAddr::V4(Ipv4Addr::LOCALHOST),
                peer_is_trusted: false,
                certified: None,
                secure: false,
                place,
                state: state.filter(|_| place.is_in_workflow()),
                recall: Some(&self.recall),
            };
            let moment = Moment { wall: self.now, roll: chance, ..Ambient::system().moment() };
            let decision = decide(&self.rules, &question, moment);
            assert_eq!(decision, decide(&self.rules, &Question { recall: None, ..question }, moment));
            self.is_the_same_anew(&question, &decision, moment);
            decision
        };
        if let Some(path) = sign_out_first(&self.rules, &decision, self.now).cloned() {
            self.story.push(format!("  {method} {target} → signs out first at {}", self.now));
            let line = self.rules.sealer.set_cookie(&PLAIN, &decision.issue.expect("a mark"));
            self.take(&Page::to(path.as_str()), |_, _, _| [line, None]);
            return (Some(path.as_str().to_owned()), None);
        }
        let served = decision.engine;
        self.served = Some(served);
        self.story.push(format!(
            "  {method} {target} → {} by {} at {}, node {node}, flow {flow:?}",
            served.as_str(),
            decision.reason.as_str(),
            self.now,
        ));

        let start = WORKFLOWS.iter().position(|(path, ..)| *path == asked.path);
        let begins = start.filter(|_| method == "GET" && query.is_none());
        let flow = match begins {
            Some(workflow) if self.orders.is_empty() => {
                Some(self.begins(workflow, served, session.as_deref()))
            }
            Some(_) | None => flow,
        };
        let flow = flow.filter(|_| self.orders.is_empty());
        let part_of = flow.and_then(|at| match begins {
            Some(_) => Some(at),
            None => self.goes_on(at, served, page.unwrap_or(target), state.filter(|_| page.is_none())),
        });
        // Outside workflows only the session counts, and a sign-out is its owner's.
        let outside = |path: &str| OUTSIDE.contains(&path);
        if let Some(session) = &session
            && self.orders.is_empty()
            && outside(&asked.path)
            && page.is_none_or(outside)
        {
            assert!(session.starts_with(served.as_str()), "{session} has strayed: {:#?}", self.story);
        }

        let is_call = page.is_some();
        let answer = self.apps[served.index()].answer(&asked);
        self.story.push(format!("    {} {}", answer.status, answer.text));
        self.take(&answer, |world, status, headers| {
            let facts = AnswerFacts::of(status, headers, "portal.example.com", world.now);
            if let Some(state) = state_issued(headers).filter(|_| facts.redirects) {
                let workflow = decision.workflow().map(|at| world.rules.table.hash(at));
                let issued = as_of(&world.rules, &decision, served, world.now as u32);
                let hit = StateHit { engine: served, workflow, endpoint: 0, issued };
                world.states[node].insert(state.to_owned(), hit);
            }
            let lesson = learn(&world.rules, &decision, &facts, served, 0);
            let sealer = &world.rules.sealer;
            let ticket = lesson.ticket.and_then(|ticket| sealer.set_cookie(&PLAIN, &ticket));
            let flows = lesson.flows.and_then(|flows| sealer.set_flow_cookie(&PLAIN, &flows));
            [ticket, flows]
        });
        assert!(decision.reason != Reason::Failover);
        let next = answer.lines.iter().find_map(|line| line.strip_prefix("location: ").map(str::to_owned));
        if let Some(at) = part_of.filter(|_| !is_call) {
            self.flows[at].used = self.now;
            self.order.retain(|other| *other != at);
            self.order.insert(0, at);
            let arrived = next.as_deref() == Some("/");
            let failed = answer.status >= 500 && asked.path.contains("callback");
            self.flows[at].ended = arrived || failed;
        }
        (next, part_of.filter(|at| !self.flows[*at].ended))
    }

    /// Reads an answer as the proxy does, and keeps its cookies as a browser does.
    fn take(
        &mut self,
        page: &Page,
        learn: impl FnOnce(&mut Self, StatusCode, &HeaderMap) -> [Option<String>; 2],
    ) {
        let mut headers = HeaderMap::new();
        for line in &page.lines {
            let (name, value) = line.split_once(": ").expect("a header");
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            headers.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        let ours = learn(self, StatusCode::from_u16(page.status).expect("a status"), &headers);
        let theirs = headers.get_all("set-cookie").iter().map(|line| line.to_str().expect("text").to_owned());
        for line in theirs.chain(ours.into_iter().flatten()) {
            let (name, rest) = line.split_once('=').expect("a cookie");
            let value = rest.split(';').next().expect("a value");
            if value.is_empty() {
                self.jar.remove(name);
            } else {
                self.jar.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_flow_ends_where_it_began_and_a_session_stays_where_it_is(
        acts in proptest::collection::vec(act(), 1..80),
        chance in any::<u64>(),
    ) {
        let mut world = World::new(chance);
        for act in &acts {
            world.act(act);
        }
    }
}

/// Stories of which there are too few among those that chance tells.
#[test]
fn a_flow_that_is_used_or_begun_anew_holds_longer() {
    let submit = Act::Submit { wrong: false };
    let mut used = vec![Act::Shares([100; 4])];
    for act in [submit.clone(), Act::Reload, Act::Reload, submit.clone()] {
        used.extend([Act::Wait(1000), act]);
    }
    let mut anew = vec![Act::Shares([100; 4])];
    for _ in 0..5 {
        anew.extend([Act::Wait(1700), Act::Visit("/login")]);
    }
    anew.push(submit);
    for acts in [used, anew] {
        let mut world = World::new(0);
        world.act(&Act::Visit("/login"));
        for act in &acts {
            world.act(act);
        }
        assert_eq!(world.flows.len(), 1, "{:#?}", world.story);
    }
}

#[test]
fn a_session_pin_lives_for_a_day_and_no_longer() {
    let mut world = World::new(0);
    let submit = Act::Submit { wrong: false };
    let identity = Act::Shares([0, 0, 0, 100]);
    for act in [identity, Act::Visit("/login"), submit.clone(), submit, Act::Shares([0; 4])] {
        world.act(&act);
    }
    world.now += 24 * 3600;
    world.act(&Act::Visit("/account"));
    let last = |world: &World| world.story[world.story.len() - 2].trim().to_owned();
    assert!(last(&world).starts_with("GET /account → identity by session"), "{:#?}", world.story);
    world.now += 1;
    // The account of sessions would call this a fault.
    world.jar.insert(SESSION.to_owned(), "identity-forgotten".to_owned());
    world.act(&Act::Fetch("/api/me"));
    assert!(last(&world).starts_with("GET /api/me → classic by cohort"), "{:#?}", world.story);
}
