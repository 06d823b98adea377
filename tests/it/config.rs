//! What an operator writes, and what Cutover makes of it: mistakes, warnings, plans, edits, the effective
//! configuration.

#![allow(clippy::disallowed_methods)] // fixtures and examples are files

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use cutover::config::diff::{Plan, diff};
use cutover::config::files::NamedFiles;
use cutover::config::print::effective;
use cutover::config::{Loaded, Problem, Rejected, load, parse};
use cutover::decide::bucket::Share;
use cutover::decide::subject::SubjectKey;
use cutover::decide::ticket::SigningKey;

use crate::support::pki::{Authority, Pair};

mod damage;
mod plan;
mod stages;

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
    static PAIRS: LazyLock<[Pair; 2]> = LazyLock::new(|| {
        let authority = Authority::new();
        [authority.issue(&["portal.example.com"]), authority.issue(&["other.example.com"])]
    });
    let [portal, other] = &*PAIRS;
    NamedFiles::default()
        .with("portal.pem", portal.cert.clone())
        .with("portal.key", portal.key.clone())
        .with("other.pem", other.cert.clone())
        .with("other.key", other.key.clone())
        .with("portal.ocsp", [0x30, 0x03, 0x0a, 0x01, 0x00].as_slice())
        .with("damaged.pem", "-----BEGIN CERTIFICATE-----\nMIIB!\n-----END CERTIFICATE-----\n")
        .with("hollow.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
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
        let loaded = if example.ends_with("tls.toml") {
            // Its certificate is made by whoever tries it.
            let text = fs::read_to_string(&example).expect("an example");
            read(&text)
        } else {
            load(&example, None).unwrap_or_else(|rejected| panic!("{rejected}"))
        };
        assert_eq!(loaded.warnings.iter().filter(|warning| warning.key != "ticket.key_file").count(), 0);
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
proxy_protocol = false
redirect_to_https = false
hsts = ""

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
connections_per_ip = 0
streams = 128

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
on_unavailable = "restart"
assets = []
form_post = false
evacuate = []

[apps.portal.session]
cookies = []
shared = false
isolate = false
lifetime = "24h"

[apps.portal.classic]
endpoints = ["http://10.0.0.11:8080"]
balance = "least-request"
timeouts = { connect = "3s", response = "60s", idle = "90s" }
connections = { idle = 256, max = 1024, queue = 128, queue_timeout = "1s" }
ejection = { failures = 5, base = "30s", max_ejected = "50%", status = "" }
retries = { attempts = 1, budget = "20%" }
http2 = false

[apps.portal.identity]
endpoints = ["http://10.0.1.11:8080"]
balance = "least-request"
timeouts = { connect = "3s", response = "60s", idle = "90s" }
connections = { idle = 256, max = 1024, queue = 128, queue_timeout = "1s" }
ejection = { failures = 5, base = "30s", max_ejected = "50%", status = "" }
retries = { attempts = 1, budget = "20%" }
http2 = false
"#;
    assert_eq!(printed, expected);
}

const EVERYTHING: &str = r#"
schema = 1
workers = 3
listeners = [{ bind = "0.0.0.0:8443", hsts = "max-age=60; includeSubDomains", tls = { certificates = [{ cert = "portal.pem", key = "portal.key", ocsp = "portal.ocsp" }, { cert = "other.pem", key = "other.key" }], min_version = "1.3", client_ca = "other.pem" } }, { bind = "0.0.0.0:8080", redirect_to_https = true, proxy_protocol = true }, { bind = "[::]:0" }, { bind = "[::]:0" }]
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
health = { path = "/healthz?deep=1", interval = "1m", timeout = "3s", healthy = 1, unhealthy = 9, status = "200, 204-206", body = "\"ok\"" }
ejection = { failures = 0, base = "1h", max_ejected = 12.5, status = "500-599" }
retries = { attempts = 0, budget = "0.5%" }
http2 = true

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
    assert_eq!(portal.share.at(0), Share::from_parts(33_333).expect("a share"));
    assert_eq!(portal.classic.endpoints[1].url.to_string(), "http://[::2]:8080");
    assert_eq!(portal.targets[0].subjects.len(), 4, "three of the file, one that is in both, one more");
    assert_eq!(loaded.config.ticket.keys.len(), 2);
    assert!(loaded.config.admin.token.as_ref().is_some_and(|token| token.is(b"s3cret")));
    let watched: Vec<&str> = loaded.files.iter().filter_map(|path| path.to_str()).collect();
    assert_eq!(
        watched,
        [
            "cutover.toml",
            "other.pem",
            "portal.pem",
            "portal.key",
            "portal.ocsp",
            "other.key",
            "admin.token",
            "good.keys",
            "subjects.txt",
        ]
    );
    assert_round_trip(&loaded);
}

#[test]
fn the_preset_brings_no_warning_and_neither_does_what_is_printed_of_it() {
    for lines in ["preset = 'okta'", "preset = 'okta'\nworkflows.recovery = { percent = 5 }"] {
        let loaded = read(&format!("ticket.key_file = 'good.keys'\n{}", portal(lines)));
        assert_eq!(rendered(&loaded.warnings), "");
        let again = read(&effective(&loaded.config));
        assert_eq!(rendered(&again.warnings), "");
    }
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

#[test]
fn an_access_log_with_the_name_of_a_switch_keeps_its_dot() {
    for (written, printed) in [("./true", "./true"), ("./-", "./-"), (".", "."), ("./a.log", "a.log")] {
        let text = format!("{LEAST}\n[log]\naccess = '{written}'\n");
        let loaded = parse(&text, "etc/cutover.toml", &files()).expect("a path");
        let effective = effective(&loaded.config);
        assert!(effective.contains(&format!("access = \"{printed}\"")), "{effective}");
        let again = parse(&effective, "etc/cutover.toml", &files()).expect("what we write we read");
        assert_eq!(diff(&loaded.config, &again.config, 0), Plan::default());
    }
}

#[test]
fn a_file_that_is_written_as_a_folder_stays_one() {
    assert_round_trip(&read(&EVERYTHING.replace("\"admin.token\"", "\"admin.token/\"")));
}

/// The effective configuration, read again, means the same.
fn assert_round_trip(loaded: &Loaded) {
    let printed = effective(&loaded.config);
    let again =
        parse(&printed, &loaded.name, &files()).unwrap_or_else(|rejected| panic!("{rejected}\n\n{printed}"));
    assert_eq!(diff(&loaded.config, &again.config, 0), Plan::default(), "{printed}");
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
