//! An edit of the configuration: all of it or nothing, and nobody who is being served notices.

#![allow(clippy::disallowed_methods)] // it edits files in every way that there is

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cutover::control::Outcome;

use crate::support::proxy::{completed, list, pools};
use crate::support::{Client, Engine, Folder, KEYS, Proxy, eventually, free_port, portal};

const KEYED: &str = "salt = \"portal-2026\"\nkeys = [\"cookie:uid\"]\npercent = 60";

const GENERATION: &str = "cutover_config_generation";
const GOOD: &str = "cutover_config_last_reload_successful";

fn engines() -> (Engine, Engine) {
    (Engine::answering("classic"), Engine::answering("identity"))
}

/// `user-2` has bucket 59775: on identity from 59.776 % on.
fn engine_of_user_2(proxy: &Proxy) -> String {
    proxy.client().get("/").cookie("uid=user-2").send().text()
}

#[test]
fn broken_edits_change_nothing_but_the_alarm_and_the_next_good_one_is_applied_at_once() {
    let (classic, identity) = engines();
    let proxy = Proxy::with(portal(KEYED, &classic, &identity));
    let original = proxy.text();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("an address");
    let listener = format!("[[listeners]]\nbind = \"{taken}\"\n");
    let target =
        "[[apps.portal.targets]]\nname = \"staff\"\nengine = \"identity\"\nsubjects_file = \"nobody.txt\"\n";
    let mut client = proxy.client();
    for (what, old, new, words) in [
        ("syntax", "percent = 60", "percent = = 60", &["percent = = 60"][..]),
        ("an unknown key", "percent = 60", "percnt = 60", &["percnt", "hint", "percent"]),
        ("a bad unit", "drain = \"5s\"", "drain = \"5 parsecs\"", &["shutdown.drain", "parsecs"]),
        ("too much", "percent = 60", "percent = 101", &["percent", "101"]),
        (
            "a host twice",
            "percent = 60",
            "hosts = [\"a.example.com\", \"A.example.com\"]",
            &["a.example.com"],
        ),
        ("a port in use", "[admin]", &format!("{listener}[admin]"), &["cannot listen", &taken.to_string()]),
        ("a missing file", "[admin]", &format!("{target}[admin]"), &["nobody.txt"]),
        ("another salt", "portal-2026", "portal-2027", &["epoch"]),
        ("other keys", "cookie:uid", "cookie:user", &["epoch"]),
        ("a bad address", "bind = \"127.0.0.1:0\"", "bind = \"localhost\"", &["bind", "localhost"]),
        ("no endpoint at all", "endpoints", "endpoint", &["endpoint"]),
        ("nothing", &original, "", &["empty"]),
    ] {
        assert!(original.contains(old), "{what}");
        let Outcome::Rejected { generation, problems } = proxy.try_edit(|_| original.replace(old, new))
        else {
            panic!("{what} was not rejected");
        };
        assert_eq!(generation, 1, "{what}");
        for word in words {
            assert!(problems.contains(word), "{what} says {word}: {problems}");
        }
        assert_eq!((proxy.metric(GOOD), proxy.metric(GENERATION)), (0.0, 1.0), "{what}");
        let reply = client.get("/").cookie("uid=user-2").send();
        assert_eq!(reply.text(), "identity", "{what}: on the same connection as ever");
    }
    let began = Instant::now();
    proxy.folder.write("cutover.toml", original.replace("percent = 60", "percent = 59"));
    proxy.counts(GENERATION, 2.0);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(client.get("/").cookie("uid=user-2").send().text(), "classic");
    assert_eq!(proxy.metric(GOOD), 1.0);
}

#[test]
fn an_edit_that_changes_nothing_is_none_and_the_old_text_ends_the_alarm() {
    let (classic, identity) = engines();
    let proxy = Proxy::with(portal(KEYED, &classic, &identity));
    let original = proxy.text();
    assert!(matches!(proxy.reload(), Outcome::Unchanged { generation: 1 }));
    assert!(matches!(proxy.try_edit(|_| "nonsense".to_owned()), Outcome::Rejected { .. }));
    assert_eq!(proxy.metric(GOOD), 0.0);
    assert!(matches!(proxy.try_edit(|_| original), Outcome::Unchanged { generation: 1 }));
    assert_eq!(proxy.metric(GOOD), 1.0, "what is written is what runs");
}

#[test]
fn a_reshuffle_is_applied_when_the_epoch_consents() {
    let (classic, identity) = engines();
    let proxy = Proxy::with(portal(KEYED, &classic, &identity));
    proxy.replace("salt = \"portal-2026\"", "salt = \"portal-2027\"\nepoch = 2");
    assert_eq!(proxy.metric(GENERATION), 2.0);
}

/// Waits for the file watch alone to take up an edit.
fn is_taken_up(proxy: &Proxy, engine: &str, how: &str) {
    eventually(how, || (engine_of_user_2(proxy) == engine).then_some(()));
    proxy.counts(GOOD, 1.0);
}

#[test]
fn the_watch_sees_renames_writes_in_place_and_a_file_that_comes_back() {
    let (classic, identity) = engines();
    let proxy = Proxy::with(portal(KEYED, &classic, &identity));
    let path = proxy.folder.path().join("cutover.toml");
    let at = |percent: &str| proxy.text().replace("percent = 60", percent).replace("percent = 10", percent);
    assert_eq!(engine_of_user_2(&proxy), "identity");
    let (low, high) = (at("percent = 10"), at("percent = 60"));
    for _ in 0..2 {
        proxy.folder.write("cutover.toml", &low);
        is_taken_up(&proxy, "classic", "a rename");
        fs::write(&path, &high).expect("writable");
        is_taken_up(&proxy, "identity", "a write in place");
        fs::remove_file(&path).expect("removable");
        proxy.counts(GOOD, 0.0);
        assert_eq!(engine_of_user_2(&proxy), "identity", "it runs on without its file");
        fs::write(&path, &low).expect("writable");
        is_taken_up(&proxy, "classic", "a file that comes back");
        fs::write(&path, "[[[").expect("writable");
        proxy.counts(GOOD, 0.0);
        fs::write(&path, &high).expect("writable");
        is_taken_up(&proxy, "identity", "a good file after a bad one");
    }
}

#[test]
fn the_watch_sees_kubernetes_swap_a_link() {
    let (classic, identity) = engines();
    let folder = Folder::new();
    let root = folder.path().to_path_buf();
    let toml = completed(&portal(KEYED, &classic, &identity));
    let version = |name: &str, toml: &str| {
        fs::create_dir(root.join(name)).expect("a folder");
        fs::write(root.join(name).join("cutover.toml"), toml).expect("writable");
        fs::write(root.join(name).join("keys"), KEYS).expect("writable");
    };
    // As the kubelet does: a link beside it, renamed over the old one.
    let swap = |name: &str| {
        symlink(name, root.join("..data_tmp")).expect("a link");
        fs::rename(root.join("..data_tmp"), root.join("..data")).expect("renamable");
    };
    version("..1", &toml);
    swap("..1");
    for file in ["cutover.toml", "keys"] {
        symlink(Path::new("..data").join(file), root.join(file)).expect("a link");
    }
    let proxy = Proxy::from_file(folder, &root.join("cutover.toml"));
    for (number, percent, engine) in [(2, 10, "classic"), (3, 60, "identity"), (4, 10, "classic")] {
        let name = format!("..{number}");
        version(&name, &toml.replace("percent = 60", &format!("percent = {percent}")));
        swap(&name);
        is_taken_up(&proxy, engine, "a swapped link");
        fs::remove_dir_all(root.join(format!("..{}", number - 1))).expect("removable");
    }
}

#[test]
fn a_file_that_the_configuration_names_is_watched_as_well() {
    let (classic, identity) = engines();
    let folder = Folder::new();
    folder.write("keys", KEYS);
    folder.write("staff.txt", "grace\n");
    let target = "[[apps.portal.targets]]\nname = \"staff\"\nengine = \"identity\"\nsubjects_file = \"staff.txt\"\n\
                  claimed = true\n";
    let proxy =
        Proxy::within(folder, format!("{}{target}", portal("keys = [\"cookie:uid\"]", &classic, &identity)));
    assert_eq!(engine_of_user_2(&proxy), "classic");
    proxy.folder.write("staff.txt", "grace\nuser-2\n");
    is_taken_up(&proxy, "identity", "an edit of the subjects");
    fs::remove_file(proxy.folder.path().join("staff.txt")).expect("removable");
    proxy.counts(GOOD, 0.0);
    assert_eq!(engine_of_user_2(&proxy), "identity", "the old list holds");
    proxy.folder.write("staff.txt", "grace\n");
    is_taken_up(&proxy, "classic", "a list that comes back");
}

#[test]
fn listeners_come_and_go_while_connections_go_on() {
    let (classic, identity) = engines();
    let proxy = Proxy::with(portal(KEYED, &classic, &identity));
    let port = free_port();
    let more = format!("[[listeners]]\nbind = \"127.0.0.1:{port}\"\n[admin]");
    let mut old = proxy.client();
    assert_eq!(old.get("/").send().status(), 200);

    proxy.replace("[admin]", &more);
    let mut new = Client::to(([127, 0, 0, 1], port).into());
    assert_eq!(new.get("/").send().status(), 200);
    proxy.counts(&format!("cutover_connections_open{{listener=\"127.0.0.1:{port}\"}}"), 1.0);

    proxy.replace(&more, "[admin]");
    eventually("it does not listen any more", || {
        TcpStream::connect(("127.0.0.1", port)).is_err().then_some(())
    });
    for client in [&mut old, &mut new] {
        assert_eq!(client.get("/").send().status(), 200, "connections outlive their listener");
    }
    proxy.replace("[admin]", &more);
    assert_eq!(
        Client::to(([127, 0, 0, 1], port).into()).get("/").send().status(),
        200,
        "and it may come back"
    );
}

#[test]
fn the_operators_door_moves() {
    let (classic, identity) = engines();
    let proxy = Proxy::with(portal(KEYED, &classic, &identity));
    let (before, port) = (proxy.admin(), free_port());
    proxy.replace("[admin]\nbind = \"127.0.0.1:0\"", &format!("[admin]\nbind = \"127.0.0.1:{port}\""));
    let answer = crate::operators::ask(([127, 0, 0, 1], port).into(), "GET /readyz", &[]);
    assert_eq!(answer.status, 200);
    eventually("the old door is shut", || TcpStream::connect(before).is_err().then_some(()));
}

#[test]
fn unchanged_endpoints_keep_their_connections_and_new_settings_hold_at_once() {
    let (kept, other) = (Engine::answering("kept"), Engine::answering("other"));
    let pool = list(&[&kept]);
    let proxy = Proxy::with(format!("workers = 1\n{}", pools("percent = 0", &pool, &list(&[&other]))));
    let mut client = proxy.client();
    for percent in 1..=5 {
        assert_eq!(client.get("/").send().text(), "kept");
        proxy.edit(|text| {
            text.replace(&format!("percent = {}", percent - 1), &format!("percent = {percent}"))
        });
    }
    proxy.replace(&pool, &format!("{pool}\ntimeouts = {{ response = \"7s\" }}\nconnections = {{ max = 5 }}"));
    assert_eq!(client.get("/").send().text(), "kept");
    assert_eq!(kept.accepts(), 1, "one connection for all of it");

    proxy.replace(&pool, &list(&[&other]));
    assert_eq!(client.get("/").send().text(), "other");
    let series = format!("endpoint=\"{}\"", kept.url());
    eventually("the endpoint that left is forgotten", || {
        let page = proxy.ask("GET /metrics").body;
        let open = page.lines().filter(|line| line.starts_with("cutover_upstream_connections{"));
        open.filter(|line| line.contains(&series)).all(|line| line.ends_with(" 0")).then_some(())
    });
}

#[test]
fn a_time_out_that_was_edited_holds_for_the_next_request() {
    let hanging = Engine::script(|conn| {
        conn.request();
        conn.closes();
    });
    let proxy = Proxy::with(portal("", &hanging, &hanging));
    let pool = list(&[&hanging]);
    let mut client = proxy.client();
    proxy.replace(&pool, &format!("{pool}\ntimeouts = {{ response = \"200ms\" }}"));
    assert_eq!(client.get("/").send().status(), 504);
}

#[test]
fn a_request_finishes_on_the_generation_that_it_began_with() {
    let waiting = Engine::script(|conn| {
        conn.request();
        conn.wait();
        conn.send("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nold");
    });
    let other = Engine::answering("new");
    let proxy = Proxy::with(portal("percent = 0", &waiting, &other));
    let mut client = proxy.client();
    client.wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("it is in flight", || (waiting.requests().len() == 1).then_some(()));
    proxy.replace(&list(&[&waiting]), &list(&[&other]));
    assert_eq!(proxy.client().get("/").send().text(), "new");
    waiting.go_on();
    assert_eq!(client.read("GET").expect("an answer").text(), "old");
    assert_eq!(client.get("/").send().text(), "new", "and the next one on the newest");
}

struct StopOnDrop<'s>(&'s AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn twenty_reloads_under_sixty_four_connections_fail_not_one_request() {
    let (classic, identity) = engines();
    let proxy = Proxy::with(portal(KEYED, &classic, &identity));
    let stop = AtomicBool::new(false);
    let served = AtomicUsize::new(0);
    let (address, port) = (proxy.address(), free_port());
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut clients: Vec<Client> = (0..8).map(|_| Client::to(address)).collect();
                while !stop.load(Ordering::SeqCst) {
                    for client in &mut clients {
                        let reply = client.get("/").cookie("uid=user-1").send();
                        assert_eq!((reply.status(), reply.head.get("connection")), (200, None));
                        served.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        // Also when an edit fails: the clients would go on for ever.
        let _stops = StopOnDrop(&stop);
        let more = format!("[[listeners]]\nbind = \"127.0.0.1:{port}\"\n[admin]");
        for number in 0..20 {
            let before = served.load(Ordering::SeqCst);
            let (percent, next) = (60 + number, 61 + number);
            proxy.edit(|text| {
                let text = text.replace(&format!("percent = {percent}"), &format!("percent = {next}"));
                if number % 2 == 0 { text.replace("[admin]", &more) } else { text.replace(&more, "[admin]") }
            });
            eventually("the load goes on", || (served.load(Ordering::SeqCst) > before + 64).then_some(()));
        }
    });
    assert_eq!(proxy.metric(GENERATION), 21.0);
    assert_eq!(
        proxy.metric("cutover_connections_total{listener=\"127.0.0.1:0\"}"),
        64.0,
        "none was made anew"
    );
}
