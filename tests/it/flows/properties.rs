//! Whatever one browser does, whatever shares do meanwhile, and however the clock goes: a flow is answered by one engine
//! from start to end, and a signed-in session never reaches the other one. No sockets: the decision, what it learns,
//! and the two versions of the app as state machines.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use cutover::ambient::{Ambient, Moment};
use cutover::config::files::NamedFiles;
use cutover::config::parse;
use cutover::decide::anew::{Hold, let_go, without_session};
use cutover::decide::answer::{AnswerFacts, state_issued};
use cutover::decide::bucket::Share;
use cutover::decide::cookies::PLAIN;
use cutover::decide::decision::{Decision, Question, Reason, Rules, StateHit, TicketState, decide};
use cutover::decide::engine::Engine as Side;
use cutover::decide::evacuate::{Order, Orders, SignOut, as_of, sign_out_first};
use cutover::decide::flow::Flows;
use cutover::decide::headers::Seen;
use cutover::decide::journey::learn;
use cutover::decide::ticket::{SigningKey, Ticket};
use cutover::decide::workflow::parameter;
use cutover::runtime::snapshot::rules;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use proptest::prelude::*;

use crate::support::app::{Asked, Model, ORG, Page, SESSION};

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

/// What the browser, the operators and the clock do next.
#[derive(Clone, Debug)]
enum Act {
    Visit(&'static str),
    /// The form of the page that the browser is on.
    Submit {
        wrong: bool,
    },
    Reload,
    Back,
    Share(&'static str, u32),
    Wait(u32),
    /// Another process takes over: nobody knows any state.
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
    let workflow = proptest::sample::select(vec!["app", "recovery", "registration", "sign-in"]);
    let share = proptest::sample::select(vec![0, 10_000, 50_000, 100_000]);
    prop_oneof![
        4 => page.prop_map(Act::Visit),
        8 => proptest::bool::weighted(0.2).prop_map(|wrong| Act::Submit { wrong }),
        1 => Just(Act::Reload),
        1 => Just(Act::Back),
        2 => (workflow, share).prop_map(|(workflow, share)| Act::Share(workflow, share)),
        2 => (0u32..25).prop_map(Act::Wait),
        1 => Just(Act::Restart),
    ]
}

struct World {
    rules: Rules,
    apps: [Model; 2],
    states: BTreeMap<String, StateHit>,
    jar: BTreeMap<String, String>,
    history: Vec<String>,
    now: u64,
    story: Vec<String>,
    /// Who served last.
    served: Option<Side>,
}

impl World {
    fn new() -> Self {
        let loaded = parse(CONFIG, "cutover.toml", &NamedFiles::default());
        let config = loaded.unwrap_or_else(|rejected| panic!("{rejected}")).config;
        let key = SigningKey::new(vec![7; 32]).expect("32 bytes");
        Self {
            rules: rules(&config.apps[0], &config, &[key]),
            apps: [Model::new("classic"), Model::new("identity")],
            states: BTreeMap::new(),
            jar: BTreeMap::new(),
            history: vec!["/".to_owned()],
            now: 1_800_000_000,
            story: Vec::new(),
            served: None,
        }
    }

    /// Takes Identity's shares away and moves everybody off it.
    fn evacuate(&mut self, sign_out: Option<&str>) {
        for of in ["app", "recovery", "registration", "sign-in"] {
            self.set_share(of, 0);
        }
        let sign_out = sign_out.and_then(|path| SignOut::parse(path).ok());
        self.rules.evacuate = Orders::new(vec![Order { engine: Side::Identity, at: self.now, sign_out }]);
        self.story.push(format!("evacuated at {}", self.now));
        self.now += 1;
    }

    fn set_share(&mut self, of: &str, parts: u32) {
        let share = Share::from_parts(parts).expect("on the line");
        if of == "app" {
            self.rules.share = share.into();
            return;
        }
        let mut workflows = self.rules.table.workflows().to_vec();
        for workflow in workflows.iter_mut().filter(|workflow| workflow.name == of) {
            workflow.share = Some(share.into());
        }
        self.rules.table = cutover::decide::workflow::Table::new(workflows, &[]);
    }

    fn act(&mut self, act: &Act, roll: u64) {
        self.story.push(format!("{act:?}"));
        match act {
            Act::Visit(page) => self.go("GET", page, "", roll),
            Act::Submit { wrong } => {
                let page = self.history.last().expect("a page").clone();
                let path = page.split('?').next().unwrap_or_default();
                if ["/", "/account", "/logout"].contains(&path) || path.contains("callback") {
                    return;
                }
                let form = if *wrong { "password=wrong" } else { "password=right" };
                self.go("POST", &page, form, roll);
            }
            Act::Reload => {
                let page = self.history.last().expect("a page").clone();
                self.go("GET", &page, "", roll);
            }
            Act::Back => {
                if self.history.len() > 1 {
                    self.history.pop();
                }
            }
            Act::Share(of, parts) => self.set_share(of, *parts),
            Act::Wait(seconds) => self.now += u64::from(*seconds),
            Act::Restart => self.states.clear(),
        }
    }

    /// Goes to a page and wherever it leads, by way of the org as well.
    fn go(&mut self, method: &str, target: &str, form: &str, roll: u64) {
        let (mut method, mut target, mut form) = (method.to_owned(), target.to_owned(), form.to_owned());
        for _ in 0..8 {
            let next = self.request(&method, &target, &form, roll);
            if target == "/" {
                // Pages of a flow that may have ended are nobody's.
                self.history.clear();
            }
            if self.history.last() != Some(&target) {
                self.history.push(target.clone());
            }
            let Some(next) = next else { return };
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

    /// One exchange; where it leads.
    fn request(&mut self, method: &str, target: &str, form: &str, roll: u64) -> Option<String> {
        let line = |jar: &BTreeMap<String, String>, ours: bool| {
            let pairs = jar.iter().filter(|(name, _)| ours || !name.starts_with("cutover"));
            pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
        };
        let mut headers = HeaderMap::new();
        let mut put = |name: &'static str, value: &str| {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"));
        };
        put("host", "portal.example.com");
        put("sec-fetch-mode", "navigate");
        put("cookie", &line(&self.jar, true));
        let asked = Asked::new(method, target, &line(&self.jar, false), form);
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let query = target.split_once('?').map(|(_, query)| query);
        let place = self.rules.table.place(&method, &asked.path, query);
        let state =
            query.and_then(|query| parameter(query, "state")).and_then(|state| self.states.get(state));
        let question = Question {
            method: &method,
            path: &asked.path,
            query,
            headers: &headers,
            seen: Seen::of(&headers),
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            peer_is_trusted: false,
            secure: false,
            place,
            state: state.copied().filter(|_| place.is_in_workflow()),
        };
        let moment = Moment { wall: self.now, roll, ..Ambient::system().moment() };
        let decision = decide(&self.rules, &question, moment);
        self.is_the_same_anew(&question, &decision, moment);
        if let Some(path) = sign_out_first(&self.rules, &decision, self.now).cloned() {
            self.story.push(format!("  {method} {target} → signs out first at {}", self.now));
            let ticket = decision.issue.expect("a mark");
            let line = self.rules.sealer.set_cookie(&PLAIN, &ticket);
            self.take(&Page::to(path.as_str()), |_, _, _| [line, None]);
            return Some(path.as_str().to_owned());
        }
        let served = decision.engine;
        self.served = Some(served);
        let page = self.apps[served.index()].answer(&asked);
        self.story.push(format!(
            "  {method} {target} → {} by {} at {}: {}",
            served.as_str(),
            decision.reason.as_str(),
            self.now,
            page.status
        ));
        self.take(&page, |world, status, headers| {
            let facts = AnswerFacts::of(status, headers, "portal.example.com", world.now);
            if let Some(state) = state_issued(headers).filter(|_| facts.redirects) {
                let workflow = decision.workflow().map(|at| world.rules.table.hash(at));
                let issued = as_of(&world.rules, &decision, served, world.now as u32);
                let hit = StateHit { engine: served, workflow, endpoint: 0, issued };
                world.states.insert(state.to_owned(), hit);
            }
            let lesson = learn(&world.rules, &decision, &facts, served, 0);
            let sealer = &world.rules.sealer;
            let ticket = lesson.ticket.and_then(|ticket| sealer.set_cookie(&PLAIN, &ticket));
            let flows = lesson.flows.and_then(|flows| sealer.set_flow_cookie(&PLAIN, &flows));
            [ticket, flows]
        });
        assert!(decision.reason != Reason::Failover);
        page.lines.iter().find_map(|line| line.strip_prefix("location: ").map(str::to_owned))
    }

    /// Were its engine gone, the request would go where one without the pin goes, and a flow would begin where its
    /// start goes without that flow: what is decided from the trail is what all rows say.
    fn is_the_same_anew(&self, question: &Question<'_>, decision: &Decision, moment: Moment) {
        let sealer = &self.rules.sealer;
        let gone = decision.engine;
        let TicketState::Valid(ticket) = decision.trail.ticket else { return };
        let asks = |question: Question<'_>, ticket: Ticket, flows: &Flows| {
            let ticket = sealer.set_cookie(&PLAIN, &ticket).expect("a key");
            let flows = sealer.set_flow_cookie(&PLAIN, flows).expect("a key");
            let others = self.jar.iter().filter(|(name, _)| !name.starts_with("cutover"));
            let others = others.map(|(name, value)| format!("{name}={value}"));
            let ours = [&ticket, &flows].map(|line| line.split(';').next().expect("a pair").to_owned());
            let line = ours.into_iter().chain(others).collect::<Vec<_>>().join("; ");
            let mut headers = question.headers.clone();
            headers.insert("cookie", HeaderValue::from_str(&line).expect("a value"));
            decide(&self.rules, &Question { headers: &headers, ..question }, moment)
        };
        match decision.hold(&self.rules) {
            Hold::Session(_) => {
                let anew = without_session(&self.rules, decision, moment.wall);
                let flows =
                    decision.journey.as_ref().map(|journey| journey.flows.clone()).unwrap_or_default();
                let whole = asks(*question, Ticket { session: None, ..ticket }, &flows);
                assert_eq!((anew.engine, anew.reason), (whole.engine, whole.reason), "{:#?}", self.story);
                assert!(anew.issue.is_some_and(|ticket| ticket.session.is_none()));
            }
            Hold::Flow(workflow, pin) => {
                for is_over in [false, true] {
                    let let_go = let_go(&self.rules, decision, (workflow, pin), is_over, moment.wall);
                    let (path, engine) = let_go.start.expect("the preset has literal starts");
                    let place = self.rules.table.place(&Method::GET, &path, None);
                    assert_eq!(place.start, Some(workflow));
                    let session = ticket.session.filter(|pin| !(is_over && pin.engine == gone));
                    let (method, query, state) = (&Method::GET, None, None);
                    let question = Question { method, path: &path, query, state, place, ..*question };
                    let whole = asks(question, Ticket { session, ..ticket }, &let_go.flows);
                    assert_eq!(engine, whole.engine, "{:#?}", self.story);
                }
            }
            Hold::Page | Hold::Nothing => {}
        }
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

    /// Nothing reached a version of the app that it had not begun, save what the user has left behind himself: a page
    /// of a flow that has ended, or was replaced, is nobody's.
    fn check(&self) {
        for (side, app) in Side::BOTH.iter().zip(&self.apps) {
            assert!(app.strangers.is_empty(), "{} got {:?}\n{:#?}", side.as_str(), app.strangers, self.story);
        }
        let session = self.jar.get(SESSION);
        assert!(session.is_none_or(|sid| !sid.is_empty()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_flow_ends_where_it_began_and_a_session_stays_where_it_is(
        acts in proptest::collection::vec(act(), 1..60),
        roll in any::<u64>(),
    ) {
        let mut world = World::new();
        for act in &acts {
            world.act(act, roll);
            world.check();
        }
    }

    #[test]
    fn an_order_leaves_nobody_on_its_engine_and_sends_nobody_round_in_circles(
        before in proptest::collection::vec(act(), 1..40),
        after in proptest::collection::vec(act(), 0..20),
        sign_out in proptest::sample::select(vec![None, Some("/logout"), Some("/account"), Some("/login")]),
        roll in any::<u64>(),
    ) {
        let mut world = World::new();
        for act in &before {
            world.act(act, roll);
        }
        world.evacuate(sign_out);
        for act in after.iter().filter(|act| !matches!(act, Act::Share(..))) {
            world.act(act, roll);
        }
        for _ in 0..2 {
            world.go("GET", "/", "", roll);
        }
        prop_assert_eq!(world.served, Some(Side::Classic), "{:#?}", world.story);
    }
}
