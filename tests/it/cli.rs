//! The command line as its users see it: exit code, standard output, standard error.

mod edits;
mod evacuate;
mod running;
mod stages;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::operators::{ANY_PORT, Folder, KEYS, config};

/// The real program, in a folder of the test's own.
fn cutover(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    command.current_dir(folder).args(arguments).stdin(Stdio::null()).env("COLUMNS", "100");
    command
}

/// Exit code, standard output, standard error.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    told(cutover(folder, arguments).output().expect("the program runs"))
}

fn told(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("no signal"), text(output.stdout), text(output.stderr))
}

/// Standard output of `arguments --json`.
fn json_of(folder: &Path, arguments: &[&str], code: i32) -> Value {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    let (found, stdout, stderr) = run(folder, &arguments);
    assert_eq!(found, code, "{arguments:?}: {stderr}");
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error} in {stdout:?}"))
}

/// A folder with a good `cutover.toml` at 25 %.
fn site(app: &str) -> Folder {
    let folder = Folder::new();
    folder.write("keys", KEYS);
    folder.write("cutover.toml", config(25, ANY_PORT, app));
    folder
}

#[test]
fn every_verb_has_help_with_an_example() {
    let folder = Folder::new();
    for verb in ["run", "demo", "check", "plan", "explain", "set", "evacuate", "status", "keygen"] {
        let (code, stdout, stderr) = run(folder.path(), &[verb, "--help"]);
        assert_eq!((code, stderr.as_str()), (0, ""), "{verb}");
        let (options, example) =
            stdout.split_once("\nExample").unwrap_or_else(|| panic!("no example: {stdout}"));
        assert!(options.contains("--json") && example.contains(&format!("cutover {verb}")), "{stdout}");
    }
    let version = format!("cutover {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run(folder.path(), &["--version"]), (0, version, String::new()));
}

#[test]
fn a_mistake_in_the_command_line_is_exit_code_2() {
    let folder = Folder::new();
    for arguments in [&[][..], &["nonsense"], &["run", "--nonsense"], &["explain"], &["plan", "one"]] {
        let (code, stdout, stderr) = run(folder.path(), arguments);
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(stderr.contains("Usage: cutover"), "{arguments:?}: {stderr}");
    }
}

#[test]
fn check_says_what_a_good_file_does() {
    let folder = site("");
    let summary = "cutover.toml is valid: 1 listener, 1 app: portal 25%\n";
    let arguments = ["check", "cutover.toml"];
    let whole = format!("{summary}  127.0.0.1:0  HTTP/2 and HTTP/1.1\n");
    assert_eq!(run(folder.path(), &arguments), (0, whole, String::new()));
    let told = json_of(folder.path(), &arguments, 0);
    assert_eq!(
        told["apps"],
        json!([{ "name": "portal", "hosts": [], "percent": "25%", "ratio": 0.25, "next_stage": null, "workflows": [] }])
    );
    assert_eq!((&told["problems"], &told["effective"]), (&json!([]), &json!(null)));

    let (code, effective, talk) = run(folder.path(), &["check", "--print", "cutover.toml"]);
    assert_eq!((code, talk.as_str()), (0, summary));
    folder.write("effective.toml", &effective);
    let (code, again, _) = run(folder.path(), &["check", "--print", "effective.toml"]);
    assert_eq!((code, again), (0, effective), "what is printed means the same");
}

#[test]
fn check_finds_every_mistake_at_once() {
    let folder = site("");
    let text = folder.read("cutover.toml").replace("percent = 25", "pecrent = 25");
    folder.write("bad.toml", format!("wrokers = 2\n{text}"));
    let expected = "\
error: unknown key `wrokers`
 --> bad.toml:1:1  wrokers
  |
1 | wrokers = 2
  | ^^^^^^^
  hint: did you mean `workers`?

error: unknown key `pecrent`
  --> bad.toml:14:1  apps.portal.pecrent
   |
14 | pecrent = 25   # how far we are
   | ^^^^^^^
  hint: did you mean `percent`?
";
    assert_eq!(run(folder.path(), &["check", "bad.toml"]), (1, String::new(), expected.to_owned()));
    let told = json_of(folder.path(), &["check", "bad.toml"], 1);
    let place = |at: usize| (told["problems"][at]["key"].as_str(), told["problems"][at]["line"].as_u64());
    assert_eq!((place(0), place(1)), ((Some("wrokers"), Some(1)), (Some("apps.portal.pecrent"), Some(14))));

    let (code, stdout, stderr) = run(folder.path(), &["check", "nowhere.toml"]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("there is no such file") && stderr.contains("hint: "), "{stderr}");
}

#[test]
fn explain_shows_the_decision_and_all_that_it_rests_on() {
    let folder = site("salt = \"portal-2026\"");
    let expected = "\
classic, by cohort

  app         portal
  subject     cookie
  bucket      71213
  share       25%
  flips at    71.214%: identity from there on, classic below
  ticket      absent
  set-cookie  a ticket with bucket 71213, that of the user

   override  the browser holds no tester token
   state     the request carries no state that this process saw an engine issue
   flow      the app has no workflows
   landing   the URL could belong to either engine
   session   sessions pin nobody in this app
   target    the app has no targets
>  cohort    bucket 71213 is not below the share of 25%: classic
   default   not asked
";
    let arguments = ["explain", "--app", "portal", "--key", " Ada@example.com", "POST", "/login"];
    assert_eq!(run(folder.path(), &arguments), (0, expected.to_owned(), String::new()));
    let told = json_of(folder.path(), &arguments, 0);
    assert_eq!((&told["engine"], &told["flips_at"]), (&json!("classic"), &json!("71.214%")));

    let (code, stdout, _) = run(folder.path(), &["explain", "/"]);
    assert_eq!((code, stdout.lines().next()), (0, Some("classic, by default")));
    assert!(stdout.contains("would be placed at random, on identity with a probability of 25%"), "{stdout}");
    let told = json_of(folder.path(), &["explain", "--page", "/"], 0);
    assert_eq!((&told["is_random"], &told["flips_at"]), (&json!(true), &json!(null)));
    let told = json_of(folder.path(), &["explain", "--cookie", "forged", "/"], 0);
    assert_eq!((&told["ticket"]["state"], &told["is_random"]), (&json!("rejected"), &json!(true)));
}

#[test]
fn explain_speaks_of_chance_only_where_there_is_some() {
    let folder = site(
        "session.shared = true\nworkflows.recovery = { start = [\"/recover\"], percent = 100 }\n\
         workflows.registration = { start = [\"/register\"], percent = 30 }\n\
         workflows.sign-in = { start = [\"/login\"], percent = 0 }",
    );
    for request in [&["--no-page", "/"][..], &["--page", "/"]] {
        let arguments: Vec<&str> = ["explain"].iter().chain(request).copied().collect();
        let (code, stdout, stderr) = run(folder.path(), &arguments);
        assert_eq!(code, 0, "{stderr}");
        let engine_of = |workflow: &str| {
            let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let row = stdout.lines().map(words).find(|row| row.first().is_some_and(|name| name == workflow));
            row.map(|row| row[2..].join(" "))
        };
        assert_eq!(engine_of("recovery").as_deref(), Some("identity"), "{stdout}");
        assert_eq!(engine_of("registration").as_deref(), Some("by chance"), "{stdout}");
        assert_eq!(engine_of("sign-in").as_deref(), Some("classic"), "{stdout}");
    }
    let (_, stdout, _) = run(folder.path(), &["explain", "--page", "/login"]);
    assert!(!stdout.contains("dice, and"), "{stdout}");
    assert_eq!(json_of(folder.path(), &["explain", "--page", "/login"], 0)["is_random"], json!(false));
}

#[test]
fn explain_carries_the_key_wherever_the_app_looks_first() {
    let folder = Folder::new();
    folder.write("keys", KEYS);
    let text = config(25, ANY_PORT, "salt = \"portal-2026\"");
    for (source, subject) in [
        ("header:x-user-id", "header"),
        ("cookie:uid", "cookie"),
        ("query:login hint", "query"),
        ("jwt:sub", "jwt"),
    ] {
        let keys = format!("keys = [\"{source}\", \"query:other\", \"device\"]");
        folder.write("cutover.toml", text.replace("keys = [\"cookie:uid\", \"device\"]", &keys));
        for (key, bucket) in [("ada@example.com", 71213), ("user-1", 73112), ("josé", 77527)] {
            let told = json_of(folder.path(), &["explain", "--key", key, "/?other=x&a=b"], 0);
            assert_eq!(told["bucket"], bucket, "{source} {key}");
            assert_eq!(told["subject"], subject, "{source} {key}");
        }
    }
    for (source, key, error) in [
        ("cookie:uid", "a;b", "error: no request can carry this key as cookie:uid\n"),
        ("header:x-user-id", "a\nb", "error: no request can carry this key as header:x-user-id\n"),
        (
            "device",
            "ada",
            "error: portal knows browsers only, and no user has a key there\n  \
             hint: leave the key out, or ask with the browser's ticket as `cookie`\n",
        ),
    ] {
        let keys = format!("keys = [\"{source}\"]");
        folder.write("cutover.toml", text.replace("keys = [\"cookie:uid\", \"device\"]", &keys));
        let found = run(folder.path(), &["explain", "--key", key, "/"]);
        assert_eq!((found.0, found.2.as_str()), (1, error), "{source} {key}");
    }
}

#[test]
fn explain_says_why_a_listed_subject_is_not_targeted() {
    let target = "targets = [{ name = \"staff\", engine = \"identity\", subjects = [\"ada\"], CLAIMED \
                  networks = [\"10.0.0.0/8\"] }]";
    let folder = site(&target.replace("CLAIMED", ""));
    let told = json_of(folder.path(), &["explain", "--key", "ada", "/"], 0);
    assert_eq!((&told["target"], &told["reason"]), (&json!(null), &json!("cohort")));
    assert!(told["notes"].to_string().contains("claimed = true"), "{told}");
    let told = json_of(folder.path(), &["explain", "--key", "bob", "--client", "10.1.2.3", "/"], 0);
    assert_eq!((&told["target"], &told["engine"]), (&json!("staff"), &json!("identity")));

    folder.write("cutover.toml", config(25, ANY_PORT, &target.replace("CLAIMED", "claimed = true,")));
    let told = json_of(folder.path(), &["explain", "--key", "ada", "/"], 0);
    assert_eq!((&told["reason"], &told["flips_at"]), (&json!("target"), &json!(null)));
}

#[test]
fn explain_finds_the_app_by_host_and_asks_when_it_cannot() {
    let folder = site("hosts = [\"portal.example.com\"]");
    let shop = "\n[apps.shop]\nhosts = [\"shop.example.com\"]\nclassic.endpoints = [\"http://127.0.0.1:3\"]\n\
                identity.endpoints = [\"http://127.0.0.1:4\"]\n";
    folder.write("cutover.toml", folder.read("cutover.toml") + shop);
    let told = json_of(folder.path(), &["explain", "https://shop.example.com:8443/a"], 0);
    assert_eq!(told["app"], "shop");
    let told = json_of(folder.path(), &["explain", "--app", "portal", "http://shop.example.com/"], 0);
    assert_eq!(told["notes"][0], "shop.example.com is answered by shop, not by portal");
    for (arguments, error) in [
        (&["/"][..], "error: which app? there are portal, shop\n  hint: "),
        (&["--app", "protal", "/"], "error: there is no app \"protal\"\n  hint: "),
        (&["http://nowhere.example/"], "error: no app answers for nowhere.example\n"),
        (&["login"], "error: \"login\" is neither a path nor a URL\n  hint: "),
    ] {
        let arguments: Vec<&str> = ["explain"].iter().chain(arguments).copied().collect();
        let (code, _, stderr) = run(folder.path(), &arguments);
        assert!(code == 1 && stderr.starts_with(error), "{arguments:?}: {stderr}");
    }
}

#[test]
fn keygen_prints_one_key_that_a_key_file_may_hold() {
    let folder = site("");
    let (code, key, stderr) = run(folder.path(), &["keygen"]);
    assert_eq!((code, key.lines().count(), stderr.as_str()), (0, 1, ""));
    let other = json_of(folder.path(), &["keygen"], 0);
    assert_ne!(other["key"].as_str(), Some(key.trim()));
    fs::write(folder.path().join("keys"), key).expect("writable");
    assert_eq!(run(folder.path(), &["check", "cutover.toml"]).0, 0);
}
