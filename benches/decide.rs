//! What one decision costs, in nanoseconds: `cargo bench --bench decide`.
//!
//! The rows are those of a request on its way through `decide`: identify, open the ticket, targets, bucket, share.

use std::net::IpAddr;
use std::sync::Arc;

use cutover::ambient::{Ambient, Moment};
use cutover::config::files::NamedFiles;
use cutover::config::parse;
use cutover::decide::answer::AnswerFacts;
use cutover::decide::bucket::{Bucket, Share};
use cutover::decide::cookies::PLAIN;
use cutover::decide::decision::{Decision, Question, Rules, SessionRules, decide};
use cutover::decide::engine::Engine;
use cutover::decide::evacuate::Orders;
use cutover::decide::flow::{FlowPin, Flows};
use cutover::decide::headers::Seen;
use cutover::decide::lesson::learn;
use cutover::decide::recall::Recall;
use cutover::decide::subject::{KeySource, SubjectKey};
use cutover::decide::target::{Subjects, Target};
use cutover::decide::ticket::{Sealer, SigningKey, Ticket};
use cutover::decide::workflow::{Table, hash_of};
use cutover::runtime::pool::{Pool, Wish};
use divan::{Bencher, black_box};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

fn main() {
    divan::main();
}

/// A request as a browser sends it, and what decides it.
struct Scene {
    rules: Rules,
    headers: HeaderMap,
    moment: Moment,
    /// The tickets that the worker has seen; without, each is new to it.
    recall: Option<Recall>,
}

impl Scene {
    fn new(cookie: impl Fn(&Sealer, Moment) -> String) -> Self {
        let moment = Ambient::system().moment();
        let key = SigningKey::new(vec![7; 32]).expect("32 bytes");
        let sealer = Sealer::new(&[key], "portal", 1, None);
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "portal.example.com"),
            ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
            ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
            ("accept-language", "en-US,en;q=0.5"),
            ("sec-fetch-mode", "navigate"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let line = cookie(&sealer, moment);
        if !line.is_empty() {
            headers.insert("cookie", HeaderValue::try_from(line).expect("a header value"));
        }
        let target = |name: &str, subjects: &[&str], networks: &[&str]| Target {
            name: name.to_owned(),
            engine: Engine::Identity,
            claimed: true,
            subjects: Arc::new(Subjects::read(subjects.iter().copied()).expect("small")),
            networks: networks.iter().map(|network| network.parse().expect("a network")).collect(),
            header: None,
        };
        let rules = Rules {
            keys: vec![KeySource::Cookie("uid".to_owned()), KeySource::Device],
            salt: "portal-2026".to_owned(),
            share: Share::from_parts(25_000).expect("within the whole").into(),
            targets: vec![
                target("staff", &["ada@example.com", "grace@example.com"], &[]),
                target("office", &[], &["192.0.2.0/24"]),
            ],
            sealer,
            default: Engine::Classic,
            only: None,
            table: Table::default(),
            session: SessionRules::default(),
            evacuate: Orders::default(),
        };
        Self { rules, headers, moment, recall: None }
    }

    /// The workflows of the Okta preset, as a configuration has them, and a session cookie.
    fn with_preset(mut self) -> Self {
        let text = "[[listeners]]\nbind = \"127.0.0.1:0\"\n[apps.portal]\npreset = \"okta\"\n\
            classic.endpoints = [\"http://127.0.0.1:1\"]\nidentity.endpoints = [\"http://127.0.0.1:2\"]\n";
        let loaded = parse(text, "bench.toml", &NamedFiles::default()).expect("a configuration");
        let app = &loaded.config.apps[0];
        self.rules.table = Table::new(app.workflows.clone(), &app.assets);
        self.rules.session = SessionRules {
            cookies: app.session.cookies.clone(),
            shared: false,
            isolate: false,
            lifetime: 86_400,
        };
        self
    }

    fn decide(&self) -> Decision {
        self.decide_at("/")
    }

    fn decide_at(&self, path: &str) -> Decision {
        let question = Question {
            method: &Method::GET,
            path,
            query: None,
            headers: &self.headers,
            seen: Seen::of(&self.headers),
            client: IpAddr::from([198, 51, 100, 7]),
            peer_is_trusted: false,
            certified: None,
            secure: false,
            place: self.rules.table.place(&Method::GET, black_box(path), None),
            state: None,
            recall: self.recall.as_ref(),
        };
        decide(black_box(&self.rules), black_box(&question), self.moment)
    }
}

fn ticket_of(sealer: &Sealer, moment: Moment, bucket: Bucket, follows_user: bool) -> String {
    let issued = u32::try_from(moment.wall).expect("before 2106");
    let ticket =
        Ticket { bucket: Some(bucket), follows_user, last: Some(Engine::Classic), ..Ticket::new(issued) };
    let line = sealer.set_cookie(&PLAIN, &ticket).expect("a key");
    line.split(';').next().expect("a cookie").to_owned()
}

#[divan::bench]
fn nothing_to_go_by(bencher: Bencher<'_, '_>) {
    let mut scene = Scene::new(|_, _| String::new());
    scene.headers.remove("sec-fetch-mode");
    scene.headers.remove("accept");
    bencher.bench_local(|| scene.decide());
}

#[divan::bench]
fn a_browser_with_a_signed_ticket(bencher: Bencher<'_, '_>) {
    let scene = Scene::new(|sealer, moment| ticket_of(sealer, moment, Bucket::from_roll(moment.roll), false));
    bencher.bench_local(|| scene.decide());
}

#[divan::bench]
fn a_user_with_a_signed_ticket(bencher: Bencher<'_, '_>) {
    let scene = Scene::new(|sealer, moment| {
        let bucket = Bucket::of("portal-2026", &SubjectKey::new("user-1").expect("not empty"));
        format!("uid=user-1; {}", ticket_of(sealer, moment, bucket, true))
    });
    bencher.bench_local(|| scene.decide());
}

#[divan::bench]
fn a_user_whose_ticket_the_worker_has_seen(bencher: Bencher<'_, '_>) {
    let mut scene = Scene::new(|sealer, moment| {
        let bucket = Bucket::of("portal-2026", &SubjectKey::new("user-1").expect("not empty"));
        format!("uid=user-1; {}", ticket_of(sealer, moment, bucket, true))
    });
    scene.recall = Some(Recall::default());
    bencher.bench_local(|| scene.decide());
}

#[divan::bench]
fn a_user_with_a_signed_ticket_and_the_okta_preset(bencher: Bencher<'_, '_>) {
    let scene = Scene::new(|sealer, moment| {
        let bucket = Bucket::of("portal-2026", &SubjectKey::new("user-1").expect("not empty"));
        format!("uid=user-1; {}", ticket_of(sealer, moment, bucket, true))
    });
    let scene = scene.with_preset();
    bencher.bench_local(|| scene.decide());
}

/// The dearest request: a step of a flow, with ticket, flow pin and session cookie.
fn a_step_of_a_flow() -> Scene {
    let scene = Scene::new(|sealer, moment| {
        let bucket = Bucket::of("portal-2026", &SubjectKey::new("user-1").expect("not empty"));
        let now = u32::try_from(moment.wall).expect("before 2106");
        let mut flows = Flows::default();
        flows.open(FlowPin { counted: true, ..FlowPin::new(hash_of("sign-in"), Engine::Identity, now) });
        let line = sealer.set_flow_cookie(&PLAIN, &flows).expect("a key");
        let flow = line.split(';').next().expect("a cookie");
        format!("uid=user-1; connect.sid=s; {}; {flow}", ticket_of(sealer, moment, bucket, true))
    });
    scene.with_preset()
}

const STEP: &str = "/challenge-authenticator/okta_email";

#[divan::bench]
fn a_step_of_a_flow_with_the_okta_preset(bencher: Bencher<'_, '_>) {
    let scene = a_step_of_a_flow();
    bencher.bench_local(|| scene.decide_at(STEP));
}

/// What an answer teaches: that of a step, which leads to the next, and that of a page outside workflows.
#[divan::bench(args = [STEP, "/account/settings"])]
fn learning_from_an_answer_with_the_okta_preset(bencher: Bencher<'_, '_>, path: &str) {
    let scene = a_step_of_a_flow();
    let decision = scene.decide_at(path);
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("text/html"));
    let status = StatusCode::OK;
    bencher.bench_local(|| {
        let facts = AnswerFacts::of(status, black_box(&headers), "portal.example.com", scene.moment.wall);
        learn(&scene.rules, black_box(&decision), &facts, Engine::Identity, 0)
    });
}

/// What the trie alone costs, for a page outside workflows and for a step.
#[divan::bench(args = ["/", "/account/settings", "/challenge-authenticator/okta_email", "/assets/js/app.41c2.js"])]
fn the_place_of_a_path_in_the_okta_preset(bencher: Bencher<'_, '_>, path: &str) {
    let scene = Scene::new(|_, _| String::new()).with_preset();
    bencher.bench_local(|| scene.rules.table.place(&Method::GET, black_box(path), None));
}

/// Which endpoint, by loads and verdicts; and, where a pin names one, whether it is of any use.
#[divan::bench(args = [2, 1000])]
fn picking_an_endpoint(bencher: Bencher<'_, '_>, endpoints: usize) {
    let (pool, ambient) = (pool(endpoints), Ambient::system());
    bencher.bench_local(|| {
        black_box(&pool).pick(Wish { number: ambient.roll(), tried: &[], may_try_out: true })
    });
}

#[divan::bench(args = [2, 1000])]
fn finding_the_endpoint_of_a_pin(bencher: Bencher<'_, '_>, endpoints: usize) {
    let pool = pool(endpoints);
    let hash = pool.endpoints[endpoints / 2].hash;
    bencher.bench_local(|| black_box(&pool).keeper(black_box(hash), true));
}

/// One classic pool with so many endpoints.
fn pool(endpoints: usize) -> Pool {
    let urls: Vec<String> =
        (0..endpoints).map(|at| format!("'http://10.0.{}.{}:80'", at / 250, at % 250)).collect();
    let text = format!(
        "[[listeners]]\nbind = '127.0.0.1:0'\n[apps.portal]\nclassic.endpoints = [{}]\n\
         identity.endpoints = ['http://127.0.0.1:2']\n",
        urls.join(", ")
    );
    let loaded = parse(&text, "bench.toml", &NamedFiles::default()).expect("a configuration");
    Pool::build(&loaded.config.apps[0].classic, |_| None)
}

#[divan::bench]
fn a_forged_ticket(bencher: Bencher<'_, '_>) {
    let scene = Scene::new(|sealer, moment| {
        let mut line = ticket_of(sealer, moment, Bucket::from_roll(moment.roll), false);
        line.pop();
        line.push('A');
        line
    });
    bencher.bench_local(|| scene.decide());
}

#[divan::bench]
fn a_listed_subject_among_a_million(bencher: Bencher<'_, '_>) {
    let names: Vec<String> = (0..1_000_000).map(|index| format!("somebody-{index}@example.com")).collect();
    let mut scene = Scene::new(|_, _| "uid=somebody-777777@example.com".to_owned());
    scene.rules.targets[0].subjects =
        Arc::new(Subjects::read(names.iter().map(String::as_str)).expect("far below 4 GiB"));
    bencher.bench_local(|| scene.decide());
}
