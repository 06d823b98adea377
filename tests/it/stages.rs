//! Stages of running proxies: shares that change by the clock alone.

use cutover::ambient::unix_seconds;
use cutover::config::units::write_moment;
use cutover::control::Outcome;
use cutover::decide::bucket::{Bucket, Share};
use cutover::decide::subject::SubjectKey;
use serde_json::json;

use crate::support::{Engine, Proxy, eventually, portal};

const RATIO: &str = "cutover_share_ratio{app=\"portal\",workflow=\"none\"}";
const STAGES: &str = "cutover_stages_total{app=\"portal\",workflow=\"none\"}";

fn lines(stages: &str) -> String {
    format!("salt = \"portal-2026\"\nkeys = [\"cookie:uid\"]\nstages = [{stages}]")
}

fn stage(percent: u32, at: u64) -> String {
    format!("{{ percent = {percent}, at = {} }}", write_moment(at))
}

/// Who serves a user.
fn engine_of(proxy: &Proxy, user: &str) -> String {
    proxy.client().get("/").cookie(&format!("uid={user}")).page().text()
}

#[test]
fn a_share_comes_into_force_without_a_reload_and_two_proxies_agree() {
    let (classic, identity) = (Engine::answering("classic"), Engine::answering("identity"));
    let at = unix_seconds() + 2;
    let toml = portal(&lines(&stage(50, at)), &classic, &identity);
    let proxies = [Proxy::with(&toml), Proxy::with(&toml)];
    let half = Share::from_parts(50_000).expect("a share");
    let users: Vec<String> = (0..40).map(|number| format!("user-{number}")).collect();
    let place = |user: &String| Bucket::of("portal-2026", &SubjectKey::new(user.as_str()).expect("a key"));
    let mover =
        users.iter().find(|user| half.engine_for(place(user)).as_str() == "identity").expect("half of them");
    for proxy in &proxies {
        let before = engine_of(proxy, mover);
        assert!(before == "classic" || unix_seconds() >= at, "nobody moves before the stage: {before}");
    }
    for proxy in &proxies {
        eventually("the stage is in force", || (engine_of(proxy, mover) == "identity").then_some(()));
        assert!(unix_seconds() >= at, "not before its second");
        proxy.counts(STAGES, 1.0);
        assert_eq!(proxy.metric(RATIO), 0.5);
        assert_eq!(proxy.metric("cutover_config_generation"), 1.0);
    }
    for user in &users {
        let expected = half.engine_for(place(user)).as_str();
        for proxy in &proxies {
            // Each worker reads the clock for itself.
            eventually(user, || (engine_of(proxy, user) == expected).then_some(()));
        }
    }
}

#[test]
fn what_was_past_at_the_start_or_the_reload_is_no_event_and_none_is_told_twice() {
    let (classic, identity) = (Engine::answering("classic"), Engine::answering("identity"));
    let (past, next, far) = (unix_seconds() - 60, unix_seconds() + 2, unix_seconds() + 86_400);
    let stages = format!("{}, {}, {}", stage(10, past), stage(20, next), stage(30, far));
    let proxy = Proxy::with(portal(&lines(&stages), &classic, &identity));
    proxy.counts(STAGES, 1.0);
    assert_eq!(proxy.metric(RATIO), 0.2);
    proxy.replace(&stage(20, next), &format!("{}, {}", stage(15, past + 1), stage(20, next)));
    proxy.edit(|text| text.replace("percent = 30", "percent = 40"));
    let last = unix_seconds() + 2;
    proxy.edit(|text| text.replace(&stage(40, far), &stage(40, last)));
    eventually("the last stage is in force", || (proxy.metric(RATIO) == 0.4).then_some(()));
    proxy.counts(STAGES, 2.0);
}

#[test]
fn a_reload_tells_what_happens_at_each_stage_that_lies_ahead() {
    let (classic, identity) = (Engine::answering("classic"), Engine::answering("identity"));
    let far = unix_seconds() + 86_400;
    let proxy = Proxy::with(portal(&lines(&stage(1, far)), &classic, &identity));
    // The file watch may be first with an edit; it cannot be first for ever.
    let mut percents = 2..100;
    let (percent, changes) = eventually("an edit that nobody else has applied", || {
        let percent = percents.next().expect("enough");
        match proxy.try_edit(|text| text.replace(&stage(percent - 1, far), &stage(percent, far))) {
            Outcome::Applied { changes, .. } => Some((percent, changes)),
            Outcome::Unchanged { .. } => None,
            Outcome::Rejected { problems, .. } => panic!("{problems}"),
        }
    });
    let (before, date) = (percent - 1, write_moment(far));
    assert_eq!(
        changes,
        [
            format!("portal schedule {before}% from {date} → {percent}% from {date}"),
            format!(
                "portal at {date} 0% → {percent}%: {percent}.000% of subjects move to identity, 0 back \
                 (before the edit 0% → {before}%)"
            ),
        ]
    );
}

#[test]
fn status_shows_what_is_in_force_and_what_comes_next() {
    let (classic, identity) = (Engine::answering("classic"), Engine::answering("identity"));
    let far = unix_seconds() + 86_400;
    let lines = format!(
        "keys = [\"cookie:uid\"]\nstages = [{}, {}]\n[apps.portal.workflows.recovery]\nstart = [\"/recover\"]\n\
         [apps.portal.workflows.sign-in]\nstart = [\"/login\"]\npercent = 5\n[apps.portal.session]\nshared = true",
        stage(10, 1_700_000_000),
        stage(12, far),
    );
    let proxy = Proxy::with(portal(&lines, &classic, &identity));
    let app = proxy.ask("GET /api/v1/status").json()["apps"][0].clone();
    let next = json!({ "percent": "12%", "ratio": 0.12, "at": far, "date": write_moment(far) });
    assert_eq!((&app["percent"], &app["next_stage"]), (&json!("10%"), &next));
    let workflows = json!([
        { "name": "recovery", "percent": "10%", "ratio": 0.1, "own": false, "next_stage": next },
        { "name": "sign-in", "percent": "5%", "ratio": 0.05, "own": true, "next_stage": null },
    ]);
    assert_eq!(app["workflows"], workflows);
    let explained = proxy.ask("GET /api/v1/explain?app=portal&key=user-1&url=/login").json();
    assert_eq!((&explained["percent"], &explained["next_stage"]), (&json!("5%"), &json!(null)));
    let explained = proxy.ask("GET /api/v1/explain?app=portal&key=user-1&url=/recover").json();
    assert_eq!((&explained["percent"], &explained["next_stage"]), (&json!("10%"), &next));
    assert_eq!(explained["workflows"][0]["next_stage"], next);
}
