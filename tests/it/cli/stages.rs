//! Stages on the command line: `check`, `plan`, `set`, `explain` and `status`.

use cutover::ambient::unix_seconds;
use cutover::config::units::write_moment;
use serde_json::json;

use super::{json_of, run, site};
use crate::operators::{ANY_PORT, Folder, config};
use crate::support::Proxy;

const PAST: &str = "2026-01-01T00:00:00Z";

/// The usual file with these lines instead of its percentage, and tables after it.
fn file(lines: &str, tables: &str) -> String {
    config(25, ANY_PORT, "salt = \"portal-2026\"\nsession.shared = true")
        .replace("percent = 25   # how far we are", lines)
        + tables
}

fn far(days: u64) -> String {
    write_moment(unix_seconds() + days * 86_400)
}

fn two(percent: u32, date: &str) -> String {
    format!("stages = [{{ percent = 1, at = {PAST} }}, {{ percent = {percent}, at = {date} }}]")
}

#[test]
fn check_shows_the_shares_in_force_and_what_comes_next() {
    let (folder, date) = (site(""), far(10));
    let workflows = format!(
        "[apps.portal.workflows.recovery]\nstart = [\"/recover\"]\npercent = 100\n\
         [apps.portal.workflows.registration]\nstart = [\"/join\"]\n\
         [apps.portal.workflows.sign-in]\nstart = [\"/login\"]\n{}\n",
        two(10, &date)
    );
    folder.write("staged.toml", file("percent = 10", &workflows));
    let summary = format!(
        "staged.toml is valid: 1 listener, 1 app: portal 10%, recovery 100%, sign-in 1% (10% from {date})\n  \
         127.0.0.1:0  HTTP/2 and HTTP/1.1\n"
    );
    let arguments = ["check", "staged.toml"];
    assert_eq!(run(folder.path(), &arguments), (0, summary, String::new()));
    let app = json_of(folder.path(), &arguments, 0)["apps"][0].clone();
    assert_eq!((&app["percent"], &app["next_stage"]), (&json!("10%"), &json!(null)));
    let sign_in = &app["workflows"][2];
    assert_eq!((&sign_in["percent"], &sign_in["own"]), (&json!("1%"), &json!(true)));
    assert_eq!(sign_in["next_stage"]["date"], json!(date));
}

#[test]
fn plan_tells_every_moment_and_its_exit_code_the_worst_of_them() {
    let (folder, date, later) = (site(""), far(10), far(20));
    folder.write("old.toml", file(&two(10, &date), ""));
    let (old, then) = (format!("1% from {PAST}, 10% from {date}"), "(before the edit it stays at 10%)");
    for (name, lines, code, stdout) in [
        ("same.toml", two(10, &date), 0, "nothing changes\n".to_owned()),
        (
            "more.toml",
            two(10, &date).replace(']', &format!(", {{ percent = 50, at = {later} }}]")),
            0,
            format!(
                "portal schedule {old} → {old}, 50% from {later}\n  \
                 at {date} 1% → 10%: 9.000% of subjects move to identity, 0 back (as before the edit)\n  \
                 at {later} 10% → 50%: 40.000% of subjects move to identity, 0 back {then}\n"
            ),
        ),
        (
            "shrink.toml",
            two(10, &date).replace(']', &format!(", {{ percent = 5, at = {later}, shrink = true }}]")),
            3,
            format!(
                "portal schedule {old} → {old}, 5% from {later}\n  \
                 at {date} 1% → 10%: 9.000% of subjects move to identity, 0 back (as before the edit)\n  \
                 at {later} 10% → 5%: 0 move to identity, 5.000% back {then}\n"
            ),
        ),
    ] {
        folder.write(name, file(&lines, ""));
        let arguments = ["plan", "old.toml", name];
        assert_eq!(run(folder.path(), &arguments), (code, stdout, String::new()), "{name}");
    }
    let moves = &json_of(folder.path(), &["plan", "old.toml", "shrink.toml"], 3)["moves"];
    assert_eq!(moves[0]["as_before"], json!(true));
    let back = &moves[1];
    assert_eq!(
        (&back["app"], &back["workflow"], &back["when"]),
        (&json!("portal"), &json!(null), &json!(later))
    );
    assert_eq!((&back["from"], &back["to"]), (&json!("10%"), &json!("5%")));
    assert_eq!((&back["to_identity"], &back["back"]), (&json!(0.0), &json!(0.05)));
    let reshuffled = file(&two(10, &date), "").replace("portal-2026", "other");
    folder.write("salt.toml", reshuffled);
    assert_eq!(run(folder.path(), &["plan", "old.toml", "salt.toml"]).0, 4);
    folder.write("bad.toml", file("stages = []", ""));
    assert_eq!(run(folder.path(), &["plan", "old.toml", "bad.toml"]).0, 1);
    assert_eq!(run(folder.path(), &["plan", "old.toml"]).0, 2);
}

#[test]
fn plan_names_who_moves_where_and_when() {
    let (folder, date) = (site(""), far(10));
    let workflow = "[apps.portal.workflows.sign-in]\nstart = [\"/login\"]\n";
    folder.write("old.toml", file("percent = 0", &format!("{workflow}percent = 0\n")));
    folder.write("new.toml", file("percent = 72", &format!("{workflow}{}\n", two(60, &date))));
    folder.write("keys.txt", "\u{feff}Ada@example.com\r\n\nuser-1\n user-2\n");
    // user-2 is at 59775, ada at 71213, user-1 at 73112.
    let arguments = ["plan", "old.toml", "new.toml", "--subjects", "keys.txt"];
    let (code, stdout, stderr) = run(folder.path(), &arguments);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let (_, names) = stdout.split_once("\n\n").expect("two parts");
    assert_eq!(
        names,
        format!(
            "Ada@example.com  portal          to identity  now\n\
             user-2           portal          to identity  now\n\
             user-2           portal/sign-in  to identity  {date}\n"
        )
    );
    let told = json_of(folder.path(), &arguments, 0);
    assert_eq!(told["subjects"].as_array().map(Vec::len), Some(3));
    let last = &told["subjects"][2];
    assert_eq!((&last["subject"], &last["workflow"]), (&json!("user-2"), &json!("sign-in")));
    assert_eq!(
        (&last["from"], &last["to"], &last["when"]),
        (&json!("classic"), &json!("identity"), &json!(date))
    );
    assert_eq!(json_of(folder.path(), &["plan", "old.toml", "new.toml"], 0)["subjects"], json!(null));

    let (code, stdout, stderr) =
        run(folder.path(), &["plan", "old.toml", "new.toml", "--subjects", "none.txt"]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(
        stderr.starts_with("error: cannot read the subjects in none.txt: there is no such file\n  hint: ")
    );
    let device = |text: &str| text.replace("\"cookie:uid\", ", "");
    folder.write("device.toml", device(&folder.read("new.toml")));
    let (_, stdout, stderr) =
        run(folder.path(), &["plan", "device.toml", "device.toml", "--subjects", "keys.txt"]);
    assert_eq!(stdout, "nothing changes\n\nof 3 subjects nobody moves\n");
    assert!(stderr.contains("note: portal knows browsers only"), "{stderr}");
}

#[test]
fn set_is_refused_on_stages_and_says_where_they_are() {
    let (folder, date) = (site(""), far(10));
    let tables = format!("[apps.portal.workflows.sign-in]\nstart = [\"/login\"]\n{}\n", two(10, &date));
    let text = file(&two(10, &date), &tables);
    folder.write("cutover.toml", &text);
    let line = |at: usize| {
        let found = text.lines().enumerate().filter(|(_, line)| line.starts_with("stages")).nth(at);
        found.map(|(index, _)| index + 1).expect("stages")
    };
    for (place, line) in [("portal", line(0)), ("portal/sign-in", line(1))] {
        let error = format!(
            "error: cutover.toml: the share of {place} follows the stages in line {line}\n  \
             hint: change the stages with an editor, or write percent in their place; `cutover plan` says who moves\n"
        );
        assert_eq!(run(folder.path(), &["set", place, "50"]), (1, String::new(), error));
    }
    assert_eq!(folder.read("cutover.toml"), text);
}

#[test]
fn explain_says_what_comes_next_and_with_which_stage_the_answer_changes() {
    let (folder, date, later) = (site(""), far(10), far(20));
    let lines = two(10, &date).replace(']', &format!(", {{ percent = 80, at = {later} }}]"));
    folder.write("cutover.toml", file(&lines, ""));
    let arguments = ["explain", "--key", "ada@example.com", "/"];
    let (_, stdout, _) = run(folder.path(), &arguments);
    for line in [
        "  share       1%\n",
        &format!("  next stage  10% from {date}\n"),
        &format!("  flips with  the stage of 80% from {later}\n"),
    ] {
        assert!(stdout.contains(line), "{stdout}");
    }
    let told = json_of(folder.path(), &arguments, 0);
    assert_eq!((&told["next_stage"]["date"], &told["flips_with"]["date"]), (&json!(date), &json!(later)));
}

#[test]
fn status_shows_the_shares_of_workflows_and_what_comes_next() {
    let (folder, date) = (Folder::new(), far(10));
    folder.write("keys", crate::operators::KEYS);
    let tables = "[apps.portal.workflows.sign-in]\nstart = [\"/login\"]\npercent = 5\n";
    let path = folder.write("cutover.toml", file(&two(10, &date), tables));
    let proxy = Proxy::from_file(folder, &path);
    let admin = format!("http://{}", proxy.admin());
    let (code, stdout, stderr) = run(proxy.folder.path(), &["status", "--admin", &admin]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains(&format!("portal  1% (10% from {date}) on identity  (")), "{stdout}");
    assert!(stdout.contains(")\n  sign-in 5%\n"), "{stdout}");
    let told = json_of(proxy.folder.path(), &["status", "--admin", &admin], 0);
    assert_eq!(told["apps"][0]["next_stage"]["date"], json!(date));
}
