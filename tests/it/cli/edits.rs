//! `plan` and `set`: what an edit does to people, said before it is done.

use std::fs;
use std::io::pipe;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::json;

use super::{cutover, json_of, run, site, told};
use crate::operators::{ANY_PORT, config};

#[test]
fn the_exit_code_of_plan_says_what_happens_to_people() {
    let folder = site("");
    for (name, text, code, stdout, verdict) in [
        ("same.toml", config(25, ANY_PORT, ""), 0, "nothing changes\n", "unchanged"),
        (
            "more.toml",
            config(60, ANY_PORT, ""),
            0,
            "portal 25% → 60%: 35.000% of subjects move to identity, 0 back\n",
            "widens",
        ),
        (
            "less.toml",
            config(10, ANY_PORT, ""),
            3,
            "portal 25% → 10%: 0 move to identity, 15.000% back\n",
            "moves_back",
        ),
    ] {
        folder.write(name, text);
        let arguments = ["plan", "cutover.toml", name];
        assert_eq!(run(folder.path(), &arguments), (code, stdout.to_owned(), String::new()), "{name}");
        assert_eq!(json_of(folder.path(), &arguments, code)["verdict"], verdict, "{name}");
    }
    folder.write("salt.toml", config(25, ANY_PORT, "salt = \"other\""));
    let (code, stdout, stderr) = run(folder.path(), &["plan", "cutover.toml", "salt.toml"]);
    assert_eq!((code, stdout.as_str()), (4, "portal salt changed: everyone is placed anew\n"));
    assert!(
        stderr.starts_with("a running proxy refuses this edit: ") && stderr.contains("epoch = 2"),
        "{stderr}"
    );
    let told = json_of(folder.path(), &["plan", "cutover.toml", "salt.toml"], 4);
    assert_eq!(told["refusals"].as_array().map(Vec::len), Some(1));

    folder.write("bad.toml", "nonsense = true");
    for arguments in [["plan", "cutover.toml", "bad.toml"], ["plan", "bad.toml", "cutover.toml"]] {
        let (code, stdout, stderr) = run(folder.path(), &arguments);
        assert_eq!((code, stdout.as_str()), (1, ""), "{arguments:?}");
        assert!(stderr.contains("unknown key `nonsense`"), "{stderr}");
        assert!(json_of(folder.path(), &arguments, 1)["problems"].is_array());
    }
}

#[test]
fn set_changes_one_number_and_says_who_moves() {
    let folder = site("");
    let before = folder.read("cutover.toml");
    let plan = "portal 25% → 60%: 35.000% of subjects move to identity, 0 back\n".to_owned();
    let dry = run(folder.path(), &["set", "portal", "60", "--dry-run"]);
    assert_eq!(dry, (0, plan.clone(), "cutover.toml stays as it is: this was a dry run\n".to_owned()));
    assert_eq!(folder.read("cutover.toml"), before);

    let set = run(folder.path(), &["set", "portal", "60%"]);
    assert_eq!(set, (0, plan, "cutover.toml is written\n".to_owned()));
    assert_eq!(folder.read("cutover.toml"), before.replace("percent = 25", "percent = 60"));

    let (code, stdout, stderr) = run(folder.path(), &["set", "portal", "10", "--config", "./cutover.toml"]);
    assert_eq!((code, stdout.as_str()), (0, "portal 60% → 10%: 0 move to identity, 50.000% back\n"));
    assert_eq!(stderr, "note: this takes users back to classic\n./cutover.toml is written\n");
    let told = json_of(folder.path(), &["set", "portal", "10"], 0);
    assert_eq!((&told["written"], &told["verdict"]), (&json!(false), &json!("unchanged")));
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 2, "nothing is left beside the file");
}

#[test]
fn set_keeps_the_mode_of_the_file_and_a_link_a_link() {
    let folder = site("");
    let (real, link) = (folder.path().join("real"), folder.path().join("cutover.toml"));
    fs::create_dir(&real).expect("a folder");
    fs::rename(&link, real.join("data.toml")).expect("renamable");
    fs::set_permissions(real.join("data.toml"), fs::Permissions::from_mode(0o640)).expect("ours");
    symlink("real/data.toml", &link).expect("a link");

    let (code, _, stderr) = run(folder.path(), &["set", "portal", "30"]);
    assert_eq!((code, stderr.as_str()), (0, "cutover.toml is written\n"), "keys are beside the link");
    assert_eq!(fs::read_link(&link).expect("a link").to_str(), Some("real/data.toml"));
    assert!(folder.read("real/data.toml").contains("percent = 30   # how far we are"));
    let mode = fs::metadata(real.join("data.toml")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
}

#[test]
fn set_refuses_what_the_server_would_refuse_and_writes_nothing() {
    let folder = site("");
    let one_engine = config(0, ANY_PORT, "").replace("[\"http://127.0.0.1:2\"]", "[]");
    folder.write("one_engine.toml", &one_engine);
    folder.write("broken.toml", "nonsense = true");
    for (arguments, error) in [
        (&["portal", "140"][..], "error: cutover.toml: percent is above 100\n  hint: "),
        (&["portal", "-5"], "error: cutover.toml: percent is negative\n  hint: "),
        (&["protal", "5"], "error: cutover.toml: there is no app `protal`\n  hint: did you mean `portal`?\n"),
        (
            &["portal/sign-in", "5"],
            "error: portal has no workflow sign-in\n  hint: portal has none: add preset = \"okta\", or ",
        ),
        (&["portal", "5", "--config", "broken.toml"], "error: `listeners` is missing\n"),
        (&["portal", "5", "--config", "one_engine.toml"], "error: "),
        (&["portal", "5", "--config", "nowhere.toml"], "error: cannot read the configuration: "),
    ] {
        let arguments: Vec<&str> = ["set"].iter().chain(arguments).copied().collect();
        let (code, stdout, stderr) = run(folder.path(), &arguments);
        assert_eq!((code, stdout.as_str()), (1, ""), "{arguments:?}");
        assert!(stderr.starts_with(error), "{arguments:?}: {stderr}");
    }
    assert_eq!(folder.read("cutover.toml"), config(25, ANY_PORT, ""));
    assert_eq!(folder.read("one_engine.toml"), one_engine);
}

#[test]
fn a_link_is_signed_for_its_app_or_says_why_not() {
    let folder = site("");
    let (code, stdout, stderr) = run(folder.path(), &["link", "portal", "identity", "--ttl", "1h"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("/.well-known/cutover/tester?token="), "{stdout}");
    let told = json_of(folder.path(), &["link", "portal", "classic"], 0);
    assert_eq!((&told["app"], &told["engine"]), (&json!("portal"), &json!("classic")));
    for (arguments, error) in [
        (
            ["link", "protal", "identity", "--ttl", "1h"],
            "error: there is no app protal\n  hint: the apps are portal\n",
        ),
        (
            ["link", "portal", "idx", "--ttl", "1h"],
            "error: \"idx\" is no engine\n  hint: write classic or identity\n",
        ),
        (
            ["link", "portal", "identity", "--ttl", "0"],
            "error: --ttl must be a second or more\n  hint: write a duration such as 7d\n",
        ),
    ] {
        assert_eq!(run(folder.path(), &arguments), (1, String::new(), error.to_owned()), "{arguments:?}");
    }
}

#[test]
fn a_reader_that_hangs_up_is_no_failure() {
    let folder = site("");
    folder.write("less.toml", config(10, ANY_PORT, ""));
    let (reader, writer) = pipe().expect("a pipe");
    drop(reader);
    let output = cutover(folder.path(), &["plan", "cutover.toml", "less.toml"]).stdout(writer).output();
    assert_eq!(told(output.expect("the program runs")), (3, String::new(), String::new()));
}
