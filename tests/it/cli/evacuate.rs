//! `evacuate`: an order that is written down, and nothing else that changes.

use std::fs;

use cutover::ambient::unix_seconds;
use cutover::config::units::write_moment;
use serde_json::json;

use super::{json_of, run, site};
use crate::operators::{ANY_PORT, config};

/// The only line that one text has and the other has not.
fn added(before: &str, after: &str) -> String {
    let lines: Vec<&str> = after.lines().filter(|line| !before.lines().any(|known| known == *line)).collect();
    let [line] = lines[..] else { panic!("{lines:?}") };
    assert_eq!(
        after.replacen(line, "", 1).replace("\r\n", "\n").replacen("\n\n", "\n", 1),
        before.replace("\r\n", "\n")
    );
    line.to_owned()
}

#[test]
fn an_order_is_one_more_line_and_what_follows_is_said() {
    let folder = site("");
    let before = config(0, ANY_PORT, "session.cookies = [\"sid\"]").replace('\n', "\r\n");
    folder.write("cutover.toml", &before);
    let dry = run(folder.path(), &["evacuate", "portal", "identity", "--dry-run"]);
    assert_eq!((dry.0, folder.read("cutover.toml")), (0, before.clone()));
    assert!(dry.2.ends_with("cutover.toml stays as it is: this was a dry run\n"), "{}", dry.2);

    let (code, stdout, stderr) =
        run(folder.path(), &["evacuate", "portal", "identity", "--sign-out", "/logout"]);
    assert_eq!(code, 0, "{stderr}");
    let after = folder.read("cutover.toml");
    let line = added(&before, &after);
    let at = line.split("at = ").nth(1).and_then(|rest| rest.split(',').next()).expect("a date");
    assert_eq!(line, format!("evacuate = [{{ engine = \"identity\", at = {at}, sign_out = \"/logout\" }}]"));
    assert_eq!(
        stdout,
        format!(
            "portal evacuates identity at {at}: whoever it holds until then is placed anew, signed-in users by way of /logout\n"
        )
    );
    assert_eq!(
        stderr,
        "note: flows on identity end with their next request; who is signed in there goes to /logout with the next \
         page, once, and is decided anew after it\ncutover.toml is written\n"
    );
    assert_eq!(after.matches("\r\n").count(), after.matches('\n').count(), "CRLF stays");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 2, "nothing is left beside the file");

    let told = json_of(folder.path(), &["evacuate", "portal", "classic"], 0);
    for (key, value) in [
        ("app", json!("portal")),
        ("engine", json!("classic")),
        ("sign_out", json!(null)),
        ("file", json!("cutover.toml")),
        ("written", json!(true)),
        ("verdict", json!("widens")),
    ] {
        assert_eq!(told[key], value, "{key}");
    }
    assert_eq!(told["changes"].as_array().map(Vec::len), Some(1));
    assert!(told["warnings"].to_string().contains("people come right back"), "classic has everybody: {told}");
    let line = told["line"].as_u64().expect("a number") as usize;
    let written = folder.read("cutover.toml");
    assert_eq!(told["lines"][0].as_str(), written.lines().nth(line - 1));
    assert!(
        written.contains(&format!("at = {at}, sign_out = \"/logout\" }}, {{ engine = \"classic\", at = "))
    );
    assert_eq!(run(folder.path(), &["check", "cutover.toml"]).0, 0);
}

#[test]
fn people_who_would_come_right_back_are_warned_of() {
    let folder = site("");
    let (code, _, stderr) = run(folder.path(), &["evacuate", "portal", "identity"]);
    assert_eq!(code, 0);
    assert!(
        stderr.starts_with("warning: identity is evacuated, but portal is at 25% on identity"),
        "{stderr}"
    );
    assert!(stderr.contains("hint: cutover set portal 0; or take the order out"), "{stderr}");
}

#[test]
fn the_same_order_twice_in_a_second_is_written_once() {
    let folder = site("");
    // Whichever of these seconds it is when we ask.
    let now = unix_seconds();
    let orders: Vec<String> =
        (now..now + 60).map(|at| format!("{{ engine = \"identity\", at = {} }}", write_moment(at))).collect();
    let text = config(0, ANY_PORT, &format!("evacuate = [{}]", orders.join(", ")));
    folder.write("cutover.toml", &text);
    let (code, stdout, stderr) = run(folder.path(), &["evacuate", "portal", "identity"]);
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, "", "already ordered; nothing to do\n"));
    let told = json_of(folder.path(), &["evacuate", "portal", "identity"], 0);
    assert_eq!((&told["written"], &told["verdict"]), (&json!(false), &json!("unchanged")));
    assert_eq!(folder.read("cutover.toml"), text);
    // Another way out is another order, and which of the two is meant nobody can tell.
    let other = run(folder.path(), &["evacuate", "portal", "identity", "--sign-out", "/logout"]);
    assert_eq!(other.0, 1);
    assert!(other.2.contains("identity is evacuated twice at the same moment"), "{}", other.2);
}

#[test]
fn what_is_no_order_writes_nothing() {
    let folder = site("");
    folder.write("broken.toml", "nonsense = true");
    folder.write("odd.toml", config(0, ANY_PORT, "evacuate = 1"));
    let before = folder.read("cutover.toml");
    for (arguments, code, error) in [
        (
            &["protal", "identity"][..],
            1,
            "error: cutover.toml: there is no app `protal`\n  hint: did you mean `portal`?\n",
        ),
        (&["portal", "idx"], 1, "error: \"idx\" is no engine\n  hint: write classic or identity\n"),
        (
            &["portal", "identity", "--sign-out", "https://evil.test/"],
            1,
            "error: --sign-out cannot sign anybody out: it is no path of this site\n  hint: ",
        ),
        (
            &["portal", "identity", "--sign-out", "/a/../b"],
            1,
            "error: --sign-out cannot sign anybody out: it holds `..`\n",
        ),
        (&["portal", "identity", "--config", "broken.toml"], 1, "error: `listeners` is missing\n"),
        (&["portal", "identity", "--config", "odd.toml"], 1, "error: expected an array of tables"),
        (&["portal", "identity", "--config", "nowhere.toml"], 1, "error: cannot read the configuration: "),
        (&["portal"], 2, "error: the following required arguments were not provided"),
    ] {
        let arguments: Vec<&str> = ["evacuate"].iter().chain(arguments).copied().collect();
        let (found, stdout, stderr) = run(folder.path(), &arguments);
        assert_eq!((found, stdout.as_str()), (code, ""), "{arguments:?}");
        assert!(stderr.starts_with(error), "{arguments:?}: {stderr}");
    }
    assert_eq!(folder.read("cutover.toml"), before);
}
