//! Nobody is moved in the middle of a flow or a session: the scenarios of `DOMAIN.md` C, against engines that refuse
//! what they did not begin.

mod hygiene;
mod links;
mod sessions;

use crate::support::app::app;
use crate::support::visitor::Visitor;
use crate::support::{Engine, Proxy, portal};

/// Two engines and the Okta preset; shares in percent.
struct Site {
    _classic: Engine,
    identity: Engine,
    proxy: Proxy,
}

impl Site {
    fn new(recovery: u32, registration: u32, sign_in: u32) -> Self {
        Self::with("", recovery, registration, sign_in)
    }

    fn with(lines: &str, recovery: u32, registration: u32, sign_in: u32) -> Self {
        let (classic, identity) = (app("classic"), app("identity"));
        let text =
            portal(&format!("preset = \"okta\"\nannotate = true\npercent = 0\n{lines}"), &classic, &identity);
        let text = format!(
            "{text}\n[apps.portal.session]\ncookies = [\"connect.sid\"]\n\
             [apps.portal.workflows.recovery]\npercent = {recovery} # recovery\n\
             [apps.portal.workflows.registration]\npercent = {registration} # registration\n\
             [apps.portal.workflows.sign-in]\npercent = {sign_in} # sign-in\n"
        );
        Self { _classic: classic, identity, proxy: Proxy::with(text) }
    }

    fn visitor(&self) -> Visitor {
        Visitor::to(self.proxy.address())
    }

    /// Another share of sign-in.
    fn set(&self, from: u32, to: u32) {
        self.proxy.replace(&format!("percent = {from} # sign-in"), &format!("percent = {to} # sign-in"));
    }

    /// Why the identity engine was chosen for the last request that it got, and in which workflow.
    fn last_on_identity(&self) -> (String, String) {
        let head = self.identity.last().head;
        let of = |name: &str| head.get(name).expect("annotated").to_owned();
        (of("cutover-reason"), of("cutover-workflow"))
    }

    fn decisions(&self, workflow: &str, engine: &str, reason: &str) -> f64 {
        self.proxy.metric(&format!(
            "cutover_decisions_total{{app=\"portal\",workflow=\"{workflow}\",engine=\"{engine}\",reason=\"{reason}\"}}"
        ))
    }

    fn started(&self, workflow: &str, engine: &str, flows: f64) {
        self.proxy.counts(
            &format!(
                "cutover_flows_started_total{{app=\"portal\",workflow=\"{workflow}\",engine=\"{engine}\"}}"
            ),
            flows,
        );
    }

    fn ended(&self, workflow: &str, engine: &str, outcome: &str, flows: f64) {
        self.proxy.counts(
            &format!(
                "cutover_flows_total{{app=\"portal\",workflow=\"{workflow}\",engine=\"{engine}\",outcome=\"{outcome}\"}}"
            ),
            flows,
        );
    }
}

/// Signs in on the Identity way, from its first page to the home page.
fn sign_in_on_identity(visitor: &mut Visitor) -> String {
    assert_eq!(visitor.open("/login").text(), "identity form of /login");
    let state = visitor.state();
    assert_eq!(
        visitor.submit(&format!("/login?state={state}"), "name=ada").text(),
        "identity asks for the code"
    );
    visitor.submit(&format!("/challenge-authenticator/okta_email?state={state}"), "code=123456").text()
}

/// Signs in on the Classic way.
fn sign_in_on_classic(visitor: &mut Visitor) -> String {
    assert_eq!(visitor.open("/login").text(), "classic form of /login");
    assert_eq!(visitor.submit("/login", "name=ada").text(), "classic asks for the code");
    let reply = visitor.submit("/mfa", "code=123456");
    let state =
        reply.head.get("location").expect("the org").split("state=").nth(1).expect("a state").to_owned();
    visitor.open(&format!("/authorization-code/callback?code=1&state={state}")).text()
}

/// Scenario 1.
#[test]
fn a_browser_keeps_its_engine_over_sign_ins_at_half() {
    let site = Site::new(100, 100, 50);
    let mut on_identity = 0;
    for _ in 0..40 {
        let mut visitor = site.visitor();
        let first = visitor.open("/login").text();
        for _ in 0..4 {
            assert_eq!(visitor.open("/login").text(), first, "a browser keeps its engine");
        }
        on_identity += u32::from(first.starts_with("identity"));
    }
    // Four standard errors of 40 throws are 12.6.
    assert!((7..=33).contains(&on_identity), "{on_identity} of 40");
}

/// Scenario 4.
#[test]
fn a_widening_between_password_and_code_moves_nobody() {
    let site = Site::new(100, 0, 0);
    let mut visitor = site.visitor();
    assert_eq!(visitor.open("/login").text(), "classic form of /login");
    site.set(0, 100);
    assert_eq!(visitor.submit("/login", "name=ada").text(), "classic asks for the code");
    let reply = visitor.submit("/mfa", "code=123456");
    let state =
        reply.head.get("location").expect("the org").split("state=").nth(1).expect("a state").to_owned();
    let home = visitor.open(&format!("/authorization-code/callback?code=1&state={state}"));
    assert_eq!(home.text(), "classic home of ada");
    assert!(site.decisions("sign-in", "classic", "flow") >= 2.0);
    site.ended("sign-in", "classic", "success", 1.0);
    assert_eq!(site.visitor().open("/login").text(), "identity form of /login", "the next one begins there");
}

/// Scenario 3.
#[test]
fn a_step_page_that_both_engines_have_belongs_to_the_flow() {
    let site = Site::new(100, 0, 0);
    let (mut recovering, mut signing_in) = (site.visitor(), site.visitor());
    recovering.open("/recover-password");
    let state = recovering.state();
    assert_eq!(signing_in.open("/login").text(), "classic form of /login");
    let page = recovering.open(&format!("/reset-password?state={state}"));
    assert_eq!(page.text(), "identity asks for a new password");
    assert_eq!(site.last_on_identity(), ("state".to_owned(), "recovery".to_owned()));
    assert_eq!(signing_in.open("/reset-password").text(), "classic's own page");
    assert!(site.decisions("sign-in", "classic", "flow") >= 1.0);
}

/// A second tab does not break the first.
#[test]
fn two_workflows_in_two_tabs_each_stay_where_they_began() {
    let site = Site::new(100, 0, 0);
    let mut visitor = site.visitor();
    assert_eq!(visitor.open("/login").text(), "classic form of /login");
    assert_eq!(visitor.open("/recover-password").text(), "identity form of /recover-password");
    assert_eq!(visitor.open("/login").text(), "classic form of /login");
    site.started("sign-in", "classic", 2.0);
    site.ended("sign-in", "classic", "replaced", 1.0);
}

/// Scenario 11, and whatever else is no flow of anybody's.
#[test]
fn scanners_heads_and_prefetches_start_no_flow() {
    let site = Site::new(100, 100, 100);
    for (method, line) in
        [("GET", "accept: text/html"), ("HEAD", "accept: text/html"), ("GET", "sec-purpose: prefetch")]
    {
        let reply = site.visitor().once(method, "/login", "", &[line]);
        assert!(reply.status() < 400, "{}", reply.head.text);
    }
    site.started("sign-in", "identity", 0.0);
    site.started("sign-in", "classic", 0.0);
    let mut visitor = site.visitor();
    visitor.open("/login");
    site.started("sign-in", "identity", 1.0);
}

/// Scenarios 5 and 28.
#[test]
fn pins_survive_a_narrowing_and_a_restart() {
    let site = Site::new(100, 100, 100);
    let (mut signed_in, mut signing_in) = (site.visitor(), site.visitor());
    assert_eq!(sign_in_on_identity(&mut signed_in), "identity home of ada");
    signing_in.open("/login");
    let state = signing_in.state();
    site.set(100, 0);
    assert_eq!(signed_in.open("/").text(), "identity home of ada");
    let again = Proxy::with(site.proxy.text());
    for visitor in [&mut signed_in, &mut signing_in] {
        visitor.goes_to(again.address());
    }
    assert_eq!(signed_in.open("/").text(), "identity home of ada");
    let page = signing_in.submit(&format!("/login?state={state}"), "name=ada");
    assert_eq!(page.text(), "identity asks for the code");
    let series =
        "cutover_decisions_total{app=\"portal\",workflow=\"sign-in\",engine=\"identity\",reason=\"flow\"}";
    assert!(again.metric(series) >= 1.0, "the pin, since no other process knows the state");
    assert_eq!(site.visitor().open("/login").text(), "classic form of /login");
}
