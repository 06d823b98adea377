//! The journeys of `DOMAIN.md` C over real sockets, between two versions of an app that refuse what they did not
//! begin. Every story also says which reason decided.

use std::fmt::Write as _;

use crate::support::{AppEngine, Browser, Proxy, portal};

mod callbacks;
mod edge;
mod evacuate;
mod forgery;
mod isolate;
mod properties;
mod recovery;
mod restart;
mod sessions;
mod shares;
mod stages;
mod storm;
mod testers;

/// The two versions and the proxy between them.
struct Site {
    classic: AppEngine,
    identity: AppEngine,
    proxy: Proxy,
}

/// Shares of recovery, registration and sign-in; everything else is at 0.
fn site(shares: [u32; 3]) -> Site {
    site_with("", shares, "")
}

/// As [`site`], with lines for the app's table, and with tables.
fn site_with(lines: &str, shares: [u32; 3], tables: &str) -> Site {
    let (classic, identity) = (AppEngine::called("classic"), AppEngine::called("identity"));
    let proxy = Proxy::with(toml(lines, shares, tables, &classic, &identity));
    Site { classic, identity, proxy }
}

fn toml(lines: &str, shares: [u32; 3], tables: &str, classic: &AppEngine, identity: &AppEngine) -> String {
    let keys = if lines.contains("keys =") { "" } else { "keys = [\"device\"]\n" };
    let percent = if lines.contains("percent =") { "" } else { "percent = 0\n" };
    let lines = format!("preset = \"okta\"\nannotate = true\nsalt = \"portal-2026\"\n{keys}{percent}{lines}");
    let mut text = portal(&lines, classic, identity);
    for (workflow, share) in ["recovery", "registration", "sign-in"].iter().zip(shares) {
        let _ = writeln!(text, "[apps.portal.workflows.{workflow}]\npercent = {share} # {workflow}");
    }
    text + tables
}

impl Site {
    fn browser(&self) -> Browser {
        self.proxy.browser()
    }

    /// Edits the share of a workflow.
    fn share(&self, workflow: &str, old: u32, new: u32) {
        self.proxy.replace(&format!("= {old} # {workflow}"), &format!("= {new} # {workflow}"));
    }

    /// Neither version was asked for anything that it had not begun.
    #[track_caller]
    fn nobody_was_lost(&self) {
        let (classic, identity) = (&self.classic.model().refused, &self.identity.model().refused);
        assert!(classic.is_empty() && identity.is_empty(), "classic: {classic:?}, identity: {identity:?}");
    }

    /// Checks how many flows of a workflow an engine has started, and how they ended.
    #[track_caller]
    fn flows(&self, workflow: &str, engine: &str, started: u32, outcomes: &[(&str, u32)]) {
        let labels = format!("app=\"portal\",workflow=\"{workflow}\",engine=\"{engine}\"");
        self.proxy.counts(&format!("cutover_flows_started_total{{{labels}}}"), f64::from(started));
        for outcome in ["success", "failure", "replaced", "expired"] {
            let count = outcomes.iter().find(|(name, _)| *name == outcome).map_or(0, |(_, count)| *count);
            let series = format!("cutover_flows_total{{{labels},outcome=\"{outcome}\"}}");
            self.proxy.counts(&series, f64::from(count));
        }
    }

    fn decisions(&self, workflow: &str, engine: &str, reason: &str) -> f64 {
        self.proxy.metric(&format!(
            "cutover_decisions_total{{app=\"portal\",workflow=\"{workflow}\",engine=\"{engine}\",reason=\"{reason}\"}}"
        ))
    }

    /// Moves of browsers from one engine to the other, whatever for.
    fn moves(&self, from: &str, to: &str) -> f64 {
        let page = self.proxy.ask("GET /metrics").body;
        let series = format!("cutover_moves_total{{app=\"portal\",from=\"{from}\",to=\"{to}\"");
        let values = page.lines().filter(|line| line.starts_with(&series));
        values.map(|line| line.rsplit(' ').next().expect("a value").parse::<f64>().expect("a number")).sum()
    }
}

/// A whole sign-in on Classic, from the form to the page behind it.
fn signs_in_on_classic(browser: &mut Browser) {
    browser.visit("/login");
    browser.submit("/login", "user=ada&password=right");
    let away = browser.submit("/signin/verify/okta/email", "code=123456");
    browser.visit(&format!("/authorization-code/callback?code=c&state={}", away.state_sent()));
}

/// A whole sign-in on Identity.
fn signs_in_on_identity(browser: &mut Browser) {
    browser.visit("/login");
    let form = browser.at();
    browser.submit(&form, "user=ada&password=right");
    let challenge = browser.at();
    browser.submit(&challenge, "code=123456");
}
