//! What an operator writes, and what Cutover makes of it: mistakes, warnings, plans, edits, the effective
//! configuration.

#![allow(clippy::disallowed_methods)] // fixtures and examples are files

use std::fs;
use std::path::{Path, PathBuf};

use cutover::config::diff::{Plan, Verdict, diff};
use cutover::config::edit::set_percent;
use cutover::config::files::NamedFiles;
use cutover::config::print::effective;
use cutover::config::{Loaded, Problem, Rejected, load, parse};
use cutover::decide::bucket::Share;
use cutover::decide::subject::SubjectKey;
use cutover::decide::ticket::SigningKey;
use proptest::prelude::*;

/// The least there can be.
const LEAST: &str = r#"
[[listeners]]
bind = "0.0.0.0:8080"

[apps.portal.classic]
endpoints = ["http://10.0.0.11:8080"]

[apps.portal.identity]
endpoints = ["http://10.0.1.11:8080"]
"#;

fn key(byte: u8) -> String {
    SigningKey::new(vec![byte; 32]).expect("32 bytes").to_base64()
}

/// The files that fixtures may name.
fn files() -> NamedFiles {
    NamedFiles::default()
        .with("good.keys", format!("# the first signs\n{}\r\n\n{}\n", key(1), key(2)))
        .with("other.keys", key(3))
        .with("rotated.keys", format!("{}\n{}\n{}", key(4), key(1), key(2)))
        .with("bad.keys", format!("{}\nsecret of somebody\nc2hvcnQ=\n", key(1)))
        .with("comments.keys", "# none yet\n\n")
        .with("admin.token", "s3cret\n")
        .with("empty.token", " \n")
        .with("subjects.txt", "\u{feff}ada@example.com\r\nuser-1\n\nuser-2")
        .with("latin1.txt", b"ada@example.com\nJos\xe9\n".as_slice())
}

fn read(text: &str) -> Loaded {
    parse(text, "cutover.toml", &files()).unwrap_or_else(|rejected| panic!("{rejected}\n\n{text}"))
}

/// The text with lines added under `[apps.portal]`.
fn portal(lines: &str) -> String {
    format!("{LEAST}\n[apps.portal]\n{lines}\n")
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn toml_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is in the repository");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

fn rendered(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n\n")
}

/// `UPDATE_EXPECT=1 cargo test` writes the expectations anew; read the diff before committing it.
#[test]
fn every_mistake_is_shown_where_it_was_made() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let fixtures = toml_files(&repository("tests/it/invalid_config"));
    assert!(fixtures.len() >= 40, "{} fixtures", fixtures.len());
    let mut wrong = Vec::new();
    for fixture in fixtures {
        let text = fs::read_to_string(&fixture).expect("a fixture is UTF-8");
        let found = match parse(&text, "cutover.toml", &files()) {
            Ok(loaded) => rendered(&loaded.warnings),
            Err(rejected) => rejected.to_string(),
        };
        assert!(!found.is_empty(), "{} has neither error nor warning", fixture.display());
        let beside = fixture.with_extension("txt");
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        if format!("{found}\n") != expected {
            wrong.push(format!("{}:\n{found}\n", fixture.display()));
            if update {
                fs::write(&beside, format!("{found}\n")).expect("the repository can be written");
            }
        }
    }
    assert!(wrong.is_empty() || update, "{}", wrong.join("\n"));
}

#[test]
fn no_message_holds_a_secret() {
    for fixture in toml_files(&repository("tests/it/invalid_config")) {
        let shown = fs::read_to_string(fixture.with_extension("txt")).unwrap_or_default();
        for secret in ["hunter2", "secret of somebody", "s3cret", "c2VjcmV0", &key(1)] {
            assert!(!shown.contains(secret), "{} shows {secret}", fixture.display());
        }
    }
}

#[test]
fn every_example_can_be_used_as_it_is() {
    let examples = toml_files(&repository("config"));
    assert!(examples.len() >= 4, "{examples:?}");
    for example in examples {
        let loaded = load(&example, None).unwrap_or_else(|rejected| panic!("{rejected}"));
        assert_eq!(loaded.files[0], example);
        assert_round_trip(&loaded);
    }
}

/// The commented lines of the reference are keys too, and their values the defaults, where there are any.
#[test]
fn the_reference_shows_the_defaults() {
    let reference = load(&repository("config/cutover.toml"), None).expect("an example");
    let text = fs::read_to_string(repository("config/cutover.toml")).expect("an example");
    let effective = effective(&reference.config);
    for line in effective.lines().filter(|line| line.contains(" = ")) {
        let key = line.split(" = ").next().expect("a key");
        assert!(text.contains(&format!("{key} = ")), "`{key}` is not in config/cutover.toml");
    }
}

#[test]
fn what_is_not_written_has_its_documented_default() {
    let printed = effective(&read(LEAST).config);
    let expected = r#"schema = 1
workers = 0

[[listeners]]
bind = "0.0.0.0:8080"

[admin]
bind = "127.0.0.1:9900"

[trust]
proxies = []

[limits]
header_bytes = "32KiB"
headers = 100
body_bytes = "0"
header_timeout = "10s"
idle_timeout = "75s"
request_timeout = "0"
connections = 0

[shutdown]
drain = "30s"

[ticket]
lifetime = "session"

[log]
format = "json"
level = "info"
access = true
sample = 1.0

[apps.portal]
salt = "portal"
epoch = 1
keys = ["device"]
percent = 0
annotate = false
on_unavailable = "error"

[apps.portal.classic]
endpoints = ["http://10.0.0.11:8080"]
balance = "least-request"
timeouts = { connect = "3s", response = "60s", idle = "90s" }
connections = { idle = 256, max = 1024, queue = 128, queue_timeout = "1s" }

[apps.portal.identity]
endpoints = ["http://10.0.1.11:8080"]
balance = "least-request"
timeouts = { connect = "3s", response = "60s", idle = "90s" }
connections = { idle = 256, max = 1024, queue = 128, queue_timeout = "1s" }
"#;
    assert_eq!(printed, expected);
}

const EVERYTHING: &str = r#"
schema = 1
workers = 3
listeners = [{ bind = "0.0.0.0:8443" }, { bind = "[::]:0" }, { bind = "[::]:0" }]
admin = { bind = "10.0.0.1:9900", token_file = "admin.token" }
trust.proxies = ["10.1.2.3/8", "::1"]
limits = { header_bytes = 65536, headers = 50, body_bytes = "10MiB", header_timeout = "250ms", idle_timeout = "1h30m", request_timeout = "2m", connections = 10_000 }
shutdown.drain = "0"
ticket = { key_file = "good.keys", lifetime = "30d" }
log = { format = "text", level = "debug", access = "logs/access.log", sample = 0.01 }

[apps.portal]
hosts = ["Portal.example.com", "*.portal.example.com", "[::1]"]
salt = "ünï \" code"
epoch = 4_294_967_295
keys = ["header:X-User-Id", "jwt:sub", "cookie:uid", "query:login_hint", "device"]
percent = "33.333%"
annotate = true
on_unavailable = "failover"

[apps.portal.classic]
endpoints = ["http://Old.example.com", { url = "http://[0::2]:8080", weight = 3 }]
balance = "round-robin"
timeouts = { connect = "1500ms", response = "1m", idle = "1d" }
connections = { idle = 0, max = 1, queue = 0, queue_timeout = "1ms" }

[apps.portal.identity]
endpoints = ["http://10.0.1.11:8080"]

[[apps.portal.targets]]
name = "staff"
engine = "identity"
subjects = ["Ada@example.com", "user-9"]
subjects_file = "subjects.txt"
networks = ["10.0.0.0/8", "192.0.2.1"]
header = { name = "X-Tester", value = "yes, please" }
claimed = true

[[apps.portal.targets]]
name = "everybody else"
engine = "classic"
networks = ["::/0"]

[apps.shop]
percent = 100
classic.endpoints = []
identity.endpoints = ["http://10.0.3.11:8080"]
"#;

#[test]
fn everything_that_can_be_written_means_what_it_says() {
    let loaded = read(EVERYTHING);
    assert_eq!(rendered(&loaded.warnings), "");
    let names: Vec<&str> = loaded.config.apps.iter().map(|app| app.name.as_str()).collect();
    assert_eq!(names, ["portal", "shop"]);
    let portal = &loaded.config.apps[0];
    assert_eq!(portal.share, Share::from_parts(33_333).expect("a share"));
    assert_eq!(portal.classic.endpoints[1].url.to_string(), "http://[::2]:8080");
    assert_eq!(portal.targets[0].subjects.len(), 4, "three of the file, one that is in both, one more");
    assert_eq!(loaded.config.ticket.keys.len(), 2);
    assert!(loaded.config.admin.token.as_ref().is_some_and(|token| token.is(b"s3cret")));
    let watched: Vec<&str> = loaded.files.iter().filter_map(|path| path.to_str()).collect();
    assert_eq!(watched, ["cutover.toml", "admin.token", "good.keys", "subjects.txt"]);
    assert_round_trip(&loaded);
}

#[test]
fn apps_keep_the_order_of_the_file() {
    let text = "listeners = [{ bind = '0.0.0.0:1' }]\n".to_owned()
        + &["b", "a", "c"].map(|name| {
            format!("[apps.{name}]\nhosts = ['{name}']\nclassic.endpoints = ['http://{name}']\nidentity.endpoints = ['http://{name}']\n")
        }).concat();
    let names: Vec<String> = read(&text).config.apps.iter().map(|app| app.name.clone()).collect();
    assert_eq!(names, ["b", "a", "c"]);
}

/// The effective configuration, read again, means the same.
fn assert_round_trip(loaded: &Loaded) {
    let printed = effective(&loaded.config);
    let again =
        parse(&printed, &loaded.name, &files()).unwrap_or_else(|rejected| panic!("{rejected}\n\n{printed}"));
    assert_eq!(diff(&loaded.config, &again.config), Plan::default(), "{printed}");
    assert_eq!(format!("{:#?}", loaded.config), format!("{:#?}", again.config));
    assert_eq!(effective(&again.config), printed);
}

#[test]
fn the_digest_covers_every_file_and_the_hash_no_secret() {
    let text = EVERYTHING;
    let before = read(text);
    let with = |name: &str, content: &str| {
        parse(text, "cutover.toml", &files().with(name, content)).expect("as valid as before")
    };
    assert_eq!((before.digest, &before.hash), (read(text).digest, &read(text).hash));
    assert_eq!(before.hash.len(), 16);
    for (name, content, is_public) in [
        ("admin.token", "another", false),
        ("good.keys", &*key(9), false),
        ("subjects.txt", "somebody@example.com", true),
    ] {
        let after = with(name, content);
        assert_ne!(after.digest, before.digest, "{name}");
        assert_eq!(after.hash != before.hash, is_public, "{name}");
    }
}

#[test]
fn subjects_that_have_not_changed_are_not_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cutover.toml");
    let list = folder.path().join("subjects.txt");
    let text = portal(
        "keys = ['cookie:uid']\n[[apps.portal.targets]]\nname = 'staff'\nengine = 'identity'\n\
         claimed = true\nsubjects_file = 'subjects.txt'\nsubjects = ['ada']",
    );
    let write = |path: &Path, text: &str| fs::write(path, text).expect("a temporary folder can be written");
    write(&path, &text);
    write(&list, "user-1\nuser-2\n");
    let first = load(&path, None).expect("valid");
    let set = |loaded: &Loaded| loaded.config.apps[0].targets[0].subjects.clone();

    write(&path, &text.replace("'staff'", "'people'"));
    let second = load(&path, Some(&first)).expect("valid");
    assert!(
        std::sync::Arc::ptr_eq(&set(&first), &set(&second)),
        "the same file and the same inline subjects"
    );

    write(&list, "user-1\nuser-3\n");
    let third = load(&path, Some(&second)).expect("valid");
    assert!(!std::sync::Arc::ptr_eq(&set(&second), &set(&third)));
    assert!(set(&third).contains(&SubjectKey::new("USER-3").expect("a key")));
    write(&path, &text.replace("['ada']", "['bob']"));
    let fourth = load(&path, Some(&third)).expect("valid");
    assert!(set(&fourth).contains(&SubjectKey::new("bob").expect("a key")));
    assert!(!set(&fourth).contains(&SubjectKey::new("ada").expect("a key")));
}

#[test]
fn a_file_that_cannot_be_read_says_why_and_stays_watched() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let refused = |path: &Path| -> Rejected { load(path, None).expect_err("not readable") };
    let message = |path: &Path| refused(path).problems[0].message.clone();

    assert_eq!(message(&at("none.toml")), "cannot read the configuration: there is no such file");
    assert_eq!(message(folder.path()), "cannot read the configuration: it is a folder");
    fs::write(at("empty.toml"), " \n").expect("a temporary folder can be written");
    assert_eq!(message(&at("empty.toml")), "the file is empty");
    fs::write(at("latin1.toml"), b"# ok\nsalt = '\xe9'\n").expect("a temporary folder can be written");
    assert_eq!(message(&at("latin1.toml")), "line 2 is not UTF-8");
    assert_eq!(
        refused(&at("none.toml")).to_string(),
        format!(
            "error: cannot read the configuration: there is no such file\n --> {}\n  \
             hint: name another file with --config, or start from config/cutover.toml",
            at("none.toml").display()
        )
    );

    let text =
        format!("ticket.key_file = 'none.keys'\nadmin.token_file = '{}'\n{LEAST}", folder.path().display());
    fs::write(at("cutover.toml"), text).expect("a temporary folder can be written");
    let rejected = refused(&at("cutover.toml"));
    let messages: Vec<&str> = rejected.problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(messages.len(), 2, "{rejected}");
    assert!(messages[0].ends_with("none.keys`: there is no such file"), "{rejected}");
    assert!(messages[1].ends_with("it is a folder"), "{rejected}");
    assert!(rejected.files.contains(&at("none.keys")), "a missing file is watched: {:?}", rejected.files);
}

/// What `cutover plan` would print.
fn plan(old: &str, new: &str) -> Plan {
    diff(&read(old).config, &read(new).config)
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
    assert_eq!(
        plan(&portal(""), &with("good.keys", "")).refusals().len(),
        1,
        "the key made at start is lost"
    );
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
        .replace("max = 1,", "max = 2,");
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
fn an_example_is_edited_in_place() {
    for example in toml_files(&repository("config")) {
        let text = fs::read_to_string(&example).expect("an example");
        let config = load(&example, None).expect("an example").config;
        for app in &config.apps {
            let edited = set_percent(&text, &app.name, "12.345").expect("can be edited");
            let changed: Vec<_> = text.lines().zip(edited.lines()).filter(|(old, new)| old != new).collect();
            assert_eq!(changed.len(), 1, "{changed:?}");
            assert_eq!(text.lines().count(), edited.lines().count());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever bytes there are: an answer, not a panic.
    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        let _ = parse(&text, "cutover.toml", &files());
        let _ = set_percent(&text, "portal", "10");
    }

    /// Texts that are nearly right reach much further than random ones.
    #[test]
    fn a_damaged_configuration_is_answered(
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0..4usize, "[\\PC\n\"'\\[\\]{}=.#\u{0}\r\t]{0,4}"), 1..6)
    ) {
        let mut text = EVERYTHING.to_owned();
        for (place, length, with) in damage {
            let characters: Vec<(usize, char)> = text.char_indices().collect();
            let start = place.index(characters.len());
            let end = (start + length).min(characters.len() - 1);
            text.replace_range(characters[start].0..characters[end].0, &with);
        }
        match parse(&text, "cutover.toml", &files()) {
            Ok(loaded) => assert_round_trip(&loaded),
            Err(rejected) => prop_assert!(!rejected.to_string().is_empty()),
        }
        if let Ok(edited) = set_percent(&text, "portal", "10") {
            let again = set_percent(&edited, "portal", "10");
            prop_assert_eq!(again.as_deref(), Ok(edited.as_str()));
        }
    }

    /// Only the value changes, whatever surrounds it, and every byte elsewhere stays.
    #[test]
    fn an_edit_changes_nothing_else(
        before in "[a-z]{0,8}( *#[\\PC&&[^\r\n]]{0,20})?",
        after in "( *#[\\PC&&[^\r\n]]{0,20})?",
        style in 0..4usize,
        crlf in any::<bool>(),
        old in 0u32..=100_000,
        new in 0u32..=100_000,
    ) {
        let number = |parts: u32| Share::from_parts(parts).expect("a share").to_string().replace('%', "");
        let newline = if crlf { "\r\n" } else { "\n" };
        let before = if before.starts_with(|first: char| first.is_ascii_lowercase()) {
            before.replacen(|_: char| true, "x = 1 # ", 1)
        } else {
            before
        };
        let text = |percent: &str| match style {
            0 => format!("{before}{newline}[apps.portal]{after}{newline}percent = {percent}{after}{newline}y = 2"),
            1 => format!("{before}{newline}[apps]{newline}portal.percent={percent}{after}"),
            2 => format!("{before}{newline}apps = {{ portal = {{ y = 1, percent = {percent} }} }}{after}{newline}"),
            _ => format!("{before}{newline}\"apps\" . 'portal' . percent = {percent}{newline}{newline}{after}"),
        };
        let edited = set_percent(&text(&number(old)), "portal", &format!("{}%", number(new)));
        prop_assert_eq!(edited, Ok(text(&number(new))));
    }
}
