//! What an edit means for people, before anybody applies it.

use cutover::config::diff::{Plan, Verdict, diff};

use super::{EVERYTHING, portal, read};

/// What `cutover plan` would print.
fn plan(old: &str, new: &str) -> Plan {
    diff(&read(old).config, &read(new).config, 0)
}

fn check_plan(old: &str, new: &str, lines: &[&str], verdict: Verdict, refusals: &[&str]) {
    let plan = plan(old, new);
    let printed = plan.to_string();
    assert_eq!(printed.lines().collect::<Vec<_>>(), lines);
    assert_eq!(plan.verdict(), verdict, "{printed}");
    let refused: Vec<String> = plan.refusals().iter().map(ToString::to_string).collect();
    assert_eq!(refused, refusals, "{printed}");
}

#[test]
fn a_share_that_grows_moves_people_one_way_only() {
    check_plan(
        &portal("percent = 10"),
        &portal("percent = 25"),
        &["portal 10% → 25%: 15.000% of subjects move to identity, 0 back"],
        Verdict::Widens,
        &[],
    );
    check_plan(
        &portal("percent = 60"),
        &portal("percent = 24.999"),
        &["portal 60% → 24.999%: 0 move to identity, 35.001% back"],
        Verdict::MovesBack,
        &[],
    );
    check_plan(&portal("percent = 10"), &portal("percent = '10.000%' # same"), &[], Verdict::Unchanged, &[]);
    assert!(plan(EVERYTHING, EVERYTHING).is_empty());
}

#[test]
fn a_listener_that_begins_or_ends_to_ask_for_certificates_recognises_others() {
    let written = |lines: &str, keys: &str| {
        let certificates = "tls.certificates = [{ cert = 'portal.pem', key = 'portal.key' }]";
        let listener = format!("bind = \"0.0.0.0:8080\"\n{certificates}\n{lines}");
        portal(&format!("keys = {keys}")).replace("bind = \"0.0.0.0:8080\"", &listener)
    };
    let (asks, by_certificate) = ("tls.client_ca = 'portal.pem'", "['client-cert:san', 'device']");
    for (old, new, what) in
        [(asks, "", "asks for no certificates any more"), ("", asks, "asks for certificates")]
    {
        let plan = plan(&written(old, by_certificate), &written(new, by_certificate));
        let line =
            format!("listener 0.0.0.0:8080 {what}: others are recognised than before; some may move back");
        assert_eq!(plan.lines().last(), Some(&line), "{plan}");
        assert_eq!((plan.verdict(), plan.refusals()), (Verdict::MovesBack, Vec::new()));
        let plan = self::plan(&written(old, "['device']"), &written(new, "['device']"));
        assert_eq!(plan.verdict(), Verdict::Unchanged, "{plan}");
    }
}

#[test]
fn another_salt_or_other_keys_need_consent() {
    check_plan(
        &portal("percent = 10"),
        &portal("percent = 10\nsalt = 'new'"),
        &["portal salt changed: everyone is placed anew"],
        Verdict::Reshuffles,
        &["another salt would place everyone of portal anew\n  \
           hint: if that is meant, write epoch = 2 under [apps.portal] in the same edit"],
    );
    check_plan(
        &portal("percent = 10"),
        &portal("percent = 20\nkeys = ['cookie:uid', 'device']\nepoch = 2"),
        &[
            "portal keys [device] → [cookie:uid, device]: everyone is placed anew",
            "portal epoch 1 → 2: every ticket is forgotten, everyone is placed anew",
            "portal 10% → 20%, of a line on which everyone is placed anew",
        ],
        Verdict::Reshuffles,
        &[],
    );
    check_plan(
        &portal("epoch = 3"),
        &portal("epoch = 2"),
        &["portal epoch 3 → 2: every ticket is forgotten, everyone is placed anew"],
        Verdict::Reshuffles,
        &["the epoch of portal cannot fall from 3 to 2\n  \
           hint: tickets that were forgotten would count again; keep it at 3, or raise it"],
    );
}

#[test]
fn ticket_keys_rotate_while_tickets_live() {
    let with = |file: &str, lines: &str| format!("ticket.key_file = '{file}'\n{}", portal(lines));
    let named = |from: &str, to: &str| format!("ticket.key_file {from} → {to}");
    check_plan(
        &with("good.keys", ""),
        &with("rotated.keys", ""),
        &[&named("good.keys", "rotated.keys"), "ticket keys changed; another one signs from now on"],
        Verdict::Unchanged,
        &[],
    );
    let lost = "ticket keys changed: the key that signed is gone, browsers known only by their ticket are placed anew";
    let refusal = "without the key that signed them, tickets of portal are lost\n  \
                   hint: keep the old key as a second line of the key file; \
                   or raise the epoch of these apps in the same edit";
    check_plan(
        &with("good.keys", ""),
        &with("other.keys", ""),
        &[&named("good.keys", "other.keys"), lost],
        Verdict::Reshuffles,
        &[refusal],
    );
    assert!(plan(&with("good.keys", ""), &with("other.keys", "epoch = 2")).refusals().is_empty());
    let keys = "keys = ['cookie:uid']";
    assert!(plan(&with("good.keys", keys), &with("other.keys", keys)).refusals().is_empty());
    let first_file = plan(&portal(""), &with("good.keys", ""));
    assert!(first_file.refusals().is_empty(), "the key made at start goes on verifying: {first_file}");
}

#[test]
fn listed_subjects_are_counted_one_by_one() {
    let staff = |lines: &str| {
        portal(&format!(
            "keys = ['cookie:uid']\nsalt = 'portal-2026'\npercent = 60\n[[apps.portal.targets]]\nname = 'staff'\n\
             claimed = true\n{lines}"
        ))
    };
    // With this salt user-1 is at 73112 and user-2 at 59775: at 60 % the first is on classic.
    let nobody = portal("keys = ['cookie:uid']\nsalt = 'portal-2026'\npercent = 60");
    check_plan(
        &nobody,
        &staff("engine = 'identity'\nsubjects = ['user-1', 'user-2']"),
        &["portal target staff added: identity", "portal listed subjects: 1 move to identity, 0 back"],
        Verdict::Widens,
        &[],
    );
    check_plan(
        &staff("engine = 'identity'\nsubjects = ['user-1']"),
        &staff("engine = 'classic'\nsubjects = ['USER-1', 'user-2']"),
        &[
            "portal target staff changed: engine, subjects",
            "portal listed subjects: 0 move to identity, 2 back",
        ],
        Verdict::MovesBack,
        &[],
    );
    check_plan(
        &staff("engine = 'identity'\nsubjects_file = 'subjects.txt'"),
        &nobody,
        &[
            "portal target staff removed: it was for identity",
            "portal listed subjects: 0 move to identity, 2 back",
        ],
        Verdict::MovesBack,
        &[],
    );
}

#[test]
fn whom_nobody_can_count_may_move_back() {
    let office = |engine: &str, rule: &str| {
        portal(&format!(
            "percent = 50\n[[apps.portal.targets]]\nname = 'office'\nengine = '{engine}'\n{rule}"
        ))
    };
    let [wide, narrow] = ["networks = ['10.0.0.0/8']", "networks = ['10.1.0.0/16']"];
    for (old, new, back) in [
        (office("identity", wide), office("identity", narrow), true),
        (office("identity", narrow), office("identity", wide), false),
        (office("classic", wide), office("classic", narrow), false),
        (office("classic", narrow), office("classic", wide), true),
        (office("identity", wide), office("classic", wide), true),
        (office("classic", wide), office("identity", wide), false),
        (office("identity", wide), portal("percent = 50"), true),
        (portal("percent = 50"), office("identity", wide), false),
        (portal("percent = 50"), office("classic", wide), true),
        (portal(""), office("classic", wide).replace("percent = 50", "percent = 0"), false),
    ] {
        let plan = plan(&old, &new);
        assert_eq!(plan.verdict() == Verdict::MovesBack, back, "{plan}\n{old}\n{new}");
        assert_eq!(plan.to_string().contains("may move back"), back, "{plan}");
    }
}

#[test]
fn everything_else_is_told_and_moves_nobody() {
    let other = EVERYTHING
        .replace("workers = 3", "workers = 4")
        .replace("0.0.0.0:8443", "0.0.0.0:8444")
        .replace("10.0.0.1:9900", "10.0.0.1:9901")
        .replace("headers = 50", "headers = 60")
        .replace("\"2m\"", "\"90s\"")
        .replace("drain = \"0\"", "drain = \"5s\"")
        .replace("lifetime = \"30d\"", "lifetime = \"session\"")
        .replace("level = \"debug\"", "level = \"info\"")
        .replace("sample = 0.01", "sample = 1")
        .replace("annotate = true", "annotate = false")
        .replace("weight = 3", "weight = 4")
        .replace("http://Old.example.com", "http://new.example.com")
        .replace("round-robin", "least-request")
        .replace("max = 1,", "max = 2,")
        .replace("http2 = true", "http2 = false");
    check_plan(
        EVERYTHING,
        &other,
        &[
            "workers 3 → 4: applies after a restart",
            "listener 0.0.0.0:8443 removed: it drains",
            "listener 0.0.0.0:8444 added",
            "admin.bind 10.0.0.1:9900 → 10.0.0.1:9901",
            "limits.headers 50 → 60",
            "limits.request_timeout 2m → 90s",
            "shutdown.drain 0 → 5s",
            "ticket.lifetime 30d → session",
            "log.level debug → info",
            "log.sample 0.01 → 1",
            "apps.portal.annotate true → false",
            "portal classic endpoint http://old.example.com:80 removed: it drains",
            "portal classic endpoint http://new.example.com:80 added",
            "portal classic endpoint http://[::2]:8080 weight 3 → 4",
            "apps.portal.classic.balance round-robin → least-request",
            "apps.portal.classic.connections.max 1 → 2",
            "apps.portal.classic.http2 true → false: HTTP/2 connections end when what they carry is done",
        ],
        Verdict::Unchanged,
        &[],
    );
    assert_eq!(plan(EVERYTHING, &other).deferred().count(), 1);
}

#[test]
fn an_app_that_goes_takes_people_back() {
    let without = EVERYTHING.split("[apps.shop]").next().expect("the part before");
    check_plan(EVERYTHING, without, &["shop removed"], Verdict::MovesBack, &[]);
    check_plan(without, EVERYTHING, &["shop added at 100%"], Verdict::Widens, &[]);
    check_plan(
        &portal("percent = 5"),
        &portal("percent = 5\nhosts = ['a.example.com']"),
        &[
            "portal no longer answers for hosts that no other app claims; some may move back",
            "portal answers for a.example.com",
        ],
        Verdict::MovesBack,
        &[],
    );
}

#[test]
fn an_order_to_evacuate_is_a_consequence_of_its_own() {
    let of = |list: &str| portal(&format!("evacuate = [{list}]"));
    let order = "{ engine = 'identity', at = 2026-12-03T11:00:00+01:00, sign_out = '/logout' }";
    let told =
        "portal evacuates identity at 2026-12-03T10:00:00Z: whoever it holds until then is placed anew";
    check_plan(
        &of(""),
        &of(order),
        &[&format!("{told}, signed-in users by way of /logout")],
        Verdict::MovesBack,
        &[],
    );
    check_plan(
        &of(order),
        &of("{ engine = 'classic', at = 2026-12-03T10:00:00Z }"),
        &[
            "portal no longer evacuates identity by the order of 2026-12-03T10:00:00Z",
            "portal evacuates classic at 2026-12-03T10:00:00Z: whoever it holds until then is placed anew",
        ],
        Verdict::Widens,
        &[],
    );
    check_plan(
        &of(order),
        &of(""),
        &["portal no longer evacuates identity by the order of 2026-12-03T10:00:00Z"],
        Verdict::Unchanged,
        &[],
    );
}

#[test]
fn an_edit_that_ends_pins_may_move_people_back() {
    let session = |lines: &str| portal(&format!("session.cookies = ['sid', 'auth']\n{lines}"));
    let key =
        |name: &str, follows: &str| format!("apps.portal.session.{name}: {follows}; some may move back");
    let flow = |pin: &str| portal(&format!("workflows.sign-in = {{ start = ['/login'], pin = {pin} }}"));
    for (old, new, line) in [
        (
            session("session.isolate = true"),
            session(""),
            key(
                "isolate true → false",
                "whoever signed in meanwhile is signed out, and the session's pin ends",
            ),
        ),
        (
            session(""),
            portal("session.cookies = ['sid']"),
            key("cookies [sid, auth] → [sid]", "session pins end without the cookies left"),
        ),
        (
            session(""),
            session("session.shared = true"),
            key("shared false → true", "no session pins anybody any more"),
        ),
        (
            session("session.lifetime = '2h'"),
            session("session.lifetime = '1h'"),
            key("lifetime 2h → 1h", "older session pins end"),
        ),
        (
            flow("{ idle = '1h', cap = '1h' }"),
            portal(""),
            "portal/sign-in removed: its flow pins end; some may move back".to_owned(),
        ),
        (
            flow("{ idle = '1h', cap = '2h' }"),
            flow("{ idle = '30m', cap = '2h' }"),
            "portal/sign-in changed: pin; its flow pins end sooner, some may move back".to_owned(),
        ),
    ] {
        check_plan(&old, &new, &[&line], Verdict::MovesBack, &[]);
        // Without pins to end, or the other way round, nobody moves.
        assert_eq!(plan(&new, &old).verdict(), Verdict::Unchanged, "{line}");
    }
    let shared = |lines: &str| session(&format!("session.shared = true\n{lines}"));
    let shorter = plan(&shared("session.lifetime = '2h'"), &shared("session.lifetime = '1h'"));
    assert_eq!(shorter.verdict(), Verdict::Unchanged, "{shorter}");
    let preset = plan(&portal("preset = 'okta'"), &portal(""));
    assert_eq!(preset.verdict(), Verdict::MovesBack, "{preset}");
}
