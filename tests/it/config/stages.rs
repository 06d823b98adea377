//! Stages in a file, and what an edit of them does to people.

use cutover::config::diff::{Plan, Verdict, diff, movers};
use cutover::config::print::effective;
use cutover::decide::subject::SubjectKey;

use super::{assert_round_trip, portal, read};

/// 2026-12-10T09:00:00Z, between the first stage below and the second.
const NOW: u64 = 1_796_893_200;
const FIRST: &str = "2026-12-01T09:00:00Z";
const SECOND: &str = "2026-12-15T09:00:00Z";
const THIRD: &str = "2026-12-20T09:00:00Z";

fn stages(stages: &[(&str, &str)]) -> String {
    let stages: Vec<String> =
        stages.iter().map(|(percent, at)| format!("{{ percent = {percent}, at = {at} }}")).collect();
    format!("keys = ['cookie:uid']\nsalt = 'portal-2026'\nstages = [{}]", stages.join(", "))
}

fn plan(old: &str, new: &str) -> Plan {
    diff(&read(&portal(old)).config, &read(&portal(new)).config, NOW)
}

#[test]
fn stages_are_printed_as_they_are_read() {
    let text = portal(&format!(
        "preset = 'okta'\nstages = [{{ percent = '12.5%', at = 2026-12-01T10:00:00+01:00 }}]\n\
         [[apps.portal.workflows.recovery.stages]]\npercent = 50\nat = {FIRST}\n\
         [[apps.portal.workflows.recovery.stages]]\npercent = 20\nat = {SECOND}\nshrink = true"
    ));
    let loaded = read(&text);
    assert_round_trip(&loaded);
    let printed = effective(&loaded.config);
    assert!(printed.contains(&format!("stages = [\n  {{ percent = 12.5, at = {FIRST} }},\n]")), "{printed}");
    let shrinking = format!("  {{ percent = 20, at = {SECOND}, shrink = true }},\n]");
    assert!(printed.contains(&shrinking), "{printed}");
    assert_eq!(printed.matches("percent =").count(), 3, "stages stand instead of percent: {printed}");
    let share = &loaded.config.apps[0].share;
    assert_eq!((share.at(1_796_115_599).parts(), share.at(1_796_115_600).parts()), (0, 12_500));
}

#[test]
fn a_plan_tells_now_and_every_stage_that_lies_ahead_and_what_it_comes_to() {
    let two = stages(&[("1", FIRST), ("10", SECOND)]);
    let constant =
        |percent: &str| format!("keys = ['cookie:uid']\nsalt = 'portal-2026'\npercent = {percent}");
    for (old, new, lines, verdict) in [
        (two.clone(), two.clone(), vec![], Verdict::Unchanged),
        (
            constant("0"),
            two.clone(),
            vec![
                "portal 0% → 1%: 1.000% of subjects move to identity, 0 back",
                "portal schedule 0% → 1% from 2026-12-01T09:00:00Z, 10% from 2026-12-15T09:00:00Z",
                "  at 2026-12-15T09:00:00Z 1% → 10%: 9.000% of subjects move to identity, 0 back \
                 (before the edit it stays at 0%)",
            ],
            Verdict::Widens,
        ),
        (
            two.clone(),
            stages(&[("1", FIRST), ("10", SECOND), ("25", THIRD)]),
            vec![
                "portal schedule 1% from 2026-12-01T09:00:00Z, 10% from 2026-12-15T09:00:00Z → \
                 1% from 2026-12-01T09:00:00Z, 10% from 2026-12-15T09:00:00Z, 25% from 2026-12-20T09:00:00Z",
                "  at 2026-12-15T09:00:00Z 1% → 10%: 9.000% of subjects move to identity, 0 back \
                 (as before the edit)",
                "  at 2026-12-20T09:00:00Z 10% → 25%: 15.000% of subjects move to identity, 0 back \
                 (before the edit it stays at 10%)",
            ],
            Verdict::Widens,
        ),
        // Held: nobody is back today, but somebody is if the edit comes later than the stage that it takes away.
        (
            two.clone(),
            constant("1"),
            vec![
                "portal schedule 1% from 2026-12-01T09:00:00Z, 10% from 2026-12-15T09:00:00Z → 1%",
                "  at 2026-12-15T09:00:00Z it stays at 1% \
                 (before the edit 1% → 10%; applied after that, the edit takes 9.000% back)",
            ],
            Verdict::MovesBack,
        ),
        // Finished early.
        (
            two.clone(),
            constant("10"),
            vec![
                "portal 1% → 10%: 9.000% of subjects move to identity, 0 back",
                "portal schedule 1% from 2026-12-01T09:00:00Z, 10% from 2026-12-15T09:00:00Z → 10%",
                "  at 2026-12-15T09:00:00Z it stays at 10% (before the edit 1% → 10%)",
            ],
            Verdict::Widens,
        ),
        // A stage that is past is cleared away.
        (
            stages(&[("1", "2026-11-01T09:00:00Z"), ("5", FIRST)]),
            stages(&[("5", FIRST)]),
            vec![
                "portal schedule 1% from 2026-11-01T09:00:00Z, 5% from 2026-12-01T09:00:00Z → \
                 5% from 2026-12-01T09:00:00Z",
            ],
            Verdict::Unchanged,
        ),
    ] {
        let plan = plan(&old, &new);
        assert_eq!(plan.to_string().lines().collect::<Vec<_>>(), lines);
        assert_eq!(plan.verdict(), verdict, "{plan}");
    }
}

#[test]
fn a_shrink_moves_back_where_it_is_new() {
    let widening = stages(&[("1", FIRST), ("50", SECOND)]);
    let shrinking = stages(&[("1", FIRST), ("50", SECOND), ("20, shrink = true", THIRD)]);
    assert_eq!(plan(&widening, &shrinking).verdict(), Verdict::MovesBack);
    let deeper = shrinking.replace("percent = 20", "percent = 10");
    assert_eq!(plan(&shrinking, &deeper).verdict(), Verdict::MovesBack);
    assert_eq!(plan(&shrinking, &shrinking).verdict(), Verdict::Unchanged);
    let with_more = shrinking.replace("percent = 1,", "percent = 2,");
    let plan_of_more = plan(&shrinking, &with_more);
    assert_eq!(plan_of_more.verdict(), Verdict::Widens, "the old file shrinks the same: {plan_of_more}");
    // A new peak that is taken away again ends above what the old file has, and moves people back all the same.
    let peak = stages(&[("5", FIRST), ("50", SECOND), ("20, shrink = true", THIRD)]);
    assert_eq!(
        plan("keys = ['cookie:uid']\nsalt = 'portal-2026'\npercent = 5", &peak).verdict(),
        Verdict::MovesBack
    );
}

#[test]
fn workflows_follow_the_stages_of_their_app_and_a_new_app_has_its_own() {
    let workflow = "[apps.portal.workflows.sign-in]\nstart = ['/login']\n";
    let plan = plan(
        &format!("session.shared = true\npercent = 1\n{workflow}percent = 2"),
        &format!("session.shared = true\nstages = [{{ percent = 3, at = {SECOND} }}]\n{workflow}"),
    );
    let told = plan.to_string();
    for line in [
        "portal 1% → 0%: 0 move to identity, 1.000% back\n",
        "portal schedule 1% → 3% from 2026-12-15T09:00:00Z\n",
        "portal/sign-in 2% → 0%: 0 move to identity, 2.000% back\n",
        "portal/sign-in schedule 2% → 3% from 2026-12-15T09:00:00Z\n",
    ] {
        assert!(format!("{told}\n").contains(line), "{told}");
    }
    let shop = format!(
        "[apps.shop]\nhosts = ['shop']\nstages = [{{ percent = 3, at = {SECOND} }}, \
         {{ percent = 2, at = {THIRD}, shrink = true }}]\n\
         classic.endpoints = ['http://a']\nidentity.endpoints = ['http://b']"
    );
    let added = diff(&read(&portal("")).config, &read(&portal(&shop)).config, NOW);
    assert!(
        added.to_string().starts_with("shop added at 0%\nshop schedule 0% → 3% from 2026-12-15"),
        "{added}"
    );
    assert_eq!(added.verdict(), Verdict::MovesBack, "its shrink is new");
}

#[test]
fn subjects_are_named_with_the_moment_at_which_they_move() {
    // With this salt user-2 is at 59775, ada at 71213 and user-1 at 73112.
    let keys = ["ada@example.com", "user-1", "user-2"].map(|key| SubjectKey::new(key).expect("a key"));
    let old = read(&portal(&stages(&[("1", FIRST), ("60", SECOND)])));
    let new = read(&portal(&format!(
        "{}\n[[apps.portal.targets]]\nname = 'staff'\nengine = 'identity'\nsubjects = ['user-1']\nclaimed = true",
        stages(&[("1", FIRST), ("60", SECOND), ("75", THIRD), ("5, shrink = true", "2026-12-24T09:00:00Z")])
    )));
    let movers = movers(&old.config, &new.config, NOW, &keys);
    let told: Vec<_> =
        movers.iter().map(|mover| (mover.subject, mover.at, mover.to.as_str(), mover.is_as_before)).collect();
    let (second, third, last) = (Some(1_797_325_200), Some(1_797_757_200), Some(1_798_102_800));
    assert_eq!(
        told,
        [
            (0, third, "identity", false),
            (0, last, "classic", false),
            (1, None, "identity", false),
            (2, second, "identity", true),
            (2, last, "classic", false),
        ]
    );
    assert!(movers.iter().all(|mover| (mover.app, mover.workflow) == ("portal", None)));
}
