//! `run`, `demo` and `status`: programs that serve, and the signals that end them.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{cutover, json_of, run, site};
use crate::operators::{ANY_PORT, Folder, KEYS, ask, config, eventually};

/// A program that runs until it is told not to; it does not outlive its test.
struct Running {
    child: Child,
    /// The log of events.
    log: BufReader<ChildStderr>,
}

impl Running {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = cutover(folder, arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let log = BufReader::new(child.stderr.take().expect("piped"));
        Self { child, log }
    }

    /// Reads the log up to a message.
    fn wait_for(&mut self, message: &str) -> Value {
        let mut line = String::new();
        while self.log.read_line(&mut line).expect("a log") > 0 {
            if let Ok(event) = serde_json::from_str::<Value>(&line)
                && event["message"] == message
            {
                return event;
            }
            line.clear();
        }
        panic!("{message:?} was never said");
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("it runs");
    }

    /// How it ended, and what it wrote to standard output that nobody has read yet.
    fn end(mut self) -> (ExitStatus, String) {
        let status = eventually("it ends", || self.child.try_wait().expect("a child"));
        let mut stdout = String::new();
        let rest = self.child.stdout.take().map(|mut out| out.read_to_string(&mut stdout));
        rest.transpose().expect("UTF-8");
        (status, stdout)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn started(folder: &Folder, admin: &str) -> (Running, SocketAddr, SocketAddr) {
    folder.write("keys", KEYS);
    folder.write("cutover.toml", config(25, admin, "").replace("level = \"error\"", "level = \"info\""));
    let mut proxy = Running::start(folder.path(), &["run"]);
    let event = proxy.wait_for("proxy started");
    let address = |key: &str| event[key].as_str().and_then(|text| text.parse().ok()).expect("an address");
    let (listener, admin) = (address("listeners"), address("admin"));
    (proxy, listener, admin)
}

#[test]
fn run_serves_until_a_signal_and_says_nothing_on_standard_output() {
    for signal in [Signal::TERM, Signal::INT] {
        let folder = Folder::new();
        let (proxy, listener, admin) = started(&folder, ANY_PORT);
        assert_eq!(ask(listener, "GET /", &[]).status, 502, "nobody is behind it");
        assert_eq!(ask(admin, "GET /readyz", &[]).status, 200);
        proxy.signal(signal);
        let (status, stdout) = proxy.end();
        assert_eq!((status.code(), stdout.as_str()), (Some(0), ""), "{signal:?}");
    }
}

#[test]
fn a_second_signal_does_not_wait() {
    let folder = Folder::new();
    let (mut proxy, listener, _) = started(&folder, ANY_PORT);
    let mut held = TcpStream::connect(listener).expect("it listens");
    held.write_all(b"GET / HTTP/1.1\r\n").expect("half a head");
    proxy.signal(Signal::TERM);
    proxy.wait_for("shutdown began");
    proxy.signal(Signal::TERM);
    let (status, _) = proxy.end();
    assert_eq!(status.code(), Some(1));
    drop(held);
}

#[test]
fn what_keeps_run_from_starting_is_said_with_a_hint() {
    let folder = site("");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let text = config(25, ANY_PORT, "");
    let bind = format!("bind = \"{address}\"");
    folder.write("listener.toml", text.replacen(ANY_PORT, &bind, 1));
    folder.write("admin.toml", config(25, &bind, ""));
    folder.write("bad.toml", "nonsense = true");
    let in_use = "Address already in use (os error 98)\n  hint: another process listens there: ";
    for (file, error) in [
        ("listener.toml", format!("error: cannot listen on {address}: {in_use}")),
        ("admin.toml", format!("error: cannot listen on {address} for admin: {in_use}")),
        ("bad.toml", "error: unknown key `nonsense`\n --> bad.toml:1:1  nonsense\n".to_owned()),
    ] {
        let (code, stdout, stderr) = run(folder.path(), &["run", "--config", file]);
        assert_eq!((code, stdout.as_str()), (1, ""), "{file}");
        assert!(stderr.contains(&error), "{file}: {stderr}");
    }
}

#[test]
fn status_shows_what_runs() {
    let folder = Folder::new();
    folder.write("token", "s3cret");
    let (proxy, _, admin) = started(&folder, &format!("{ANY_PORT}\ntoken_file = \"token\""));
    let admin = admin.to_string();
    let (code, stdout, stderr) = run(folder.path(), &["status", "--admin", &admin, "--token-file", "token"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.starts_with("state          ready, up "), "{stdout}");
    let app = "\n\nportal  25% on identity  (every other host; keys cookie:uid, device; epoch 1)\n  \
               ENGINE    ENDPOINT            WEIGHT  IN FLIGHT  STATE\n  \
               classic   http://127.0.0.1:1  3       0          ready\n  \
               identity  http://127.0.0.1:2  1       0          ready\n";
    assert!(stdout.ends_with(app), "{stdout}");
    let told = json_of(folder.path(), &["status", "--admin", &format!("http://{admin}/")], 0);
    assert_eq!((&told["generation"], &told["draining"]), (&json!(1), &json!(false)));
    drop(proxy);
}

#[test]
fn status_says_what_is_wrong_with_the_address_or_the_token() {
    let folder = Folder::new();
    folder.write("token", "s3cret");
    folder.write("wrong", "other");
    let (_proxy, listener, admin) = started(&folder, "bind = \"0.0.0.0:0\"\ntoken_file = \"token\"");
    let (listener, admin) = (listener.to_string(), format!("127.0.0.1:{}", admin.port()));
    let gone =
        TcpListener::bind("127.0.0.1:0").and_then(|probe| probe.local_addr()).expect("a port").to_string();
    let file = "name the file with the token: --token-file FILE";
    let not_ours = "--admin names the admin listener, which is not the one of the app";
    for (arguments, error, hint) in [
        (
            vec!["--admin", &admin],
            format!("{admin} answers 401 Unauthorized: this needs the admin token"),
            file,
        ),
        (
            vec!["--admin", &admin, "--token-file", "wrong"],
            format!("{admin} answers 401 Unauthorized: this is not the admin token"),
            file,
        ),
        (
            vec!["--admin", &listener],
            format!(
                "{listener} answers 502 Bad Gateway: The site could not answer. Please try again in a moment."
            ),
            not_ours,
        ),
        (
            vec!["--admin", &gone],
            format!("cannot connect to {gone}: Connection refused (os error 111)"),
            "nothing listens there: does the proxy run? Its admin.bind is what --admin must name",
        ),
        (
            vec!["--admin", "https://a"],
            "\"https://a\" is no URL of an admin listener".to_owned(),
            "such as http://127.0.0.1:9900",
        ),
    ] {
        let arguments: Vec<&str> = ["status"].into_iter().chain(arguments).collect();
        let expected = format!("error: {error}\n  hint: {hint}\n");
        assert_eq!(run(folder.path(), &arguments), (1, String::new(), expected));
        assert!(json_of(folder.path(), &arguments, 1)["error"].is_string());
    }
}

#[test]
fn the_demo_needs_nothing_follows_its_file_and_leaves_nothing() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let mut demo = Running::start(folder.path(), &["demo", "--json", "--port", &port]);
    let mut lines = BufReader::new(demo.child.stdout.take().expect("piped")).lines();
    let mut text = String::new();
    while !text.ends_with('}') {
        text.push_str(&lines.next().expect("a whole object").expect("UTF-8"));
    }
    let told: Value = serde_json::from_str(&text).expect("JSON");
    let address = |name: &str| -> SocketAddr {
        let url = told[name].as_str().and_then(|url| url.strip_prefix("http://"));
        url.and_then(|address| address.parse().ok()).expect("a URL")
    };
    let (app, admin) = (address("app"), address("admin"));
    assert_ne!(app.port().to_string(), port, "that one is taken");
    let engines = || -> Vec<String> {
        let served = (0..30).map(|user| ask(app, "GET /", &[&format!("cookie: uid=user-{user}")]));
        served.filter_map(|answer| answer.header("demo-engine").map(str::to_owned)).collect()
    };
    let before = engines();
    assert_eq!(before.len(), 30);
    assert!(["classic", "identity"].iter().all(|engine| before.iter().any(|served| served == engine)));

    let config = told["config"].as_str().expect("a path").to_owned();
    let set = run(folder.path(), &["set", "portal", "100", "--config", &config]);
    assert_eq!(set.0, 0, "{}", set.2);
    eventually("everybody is on identity", || {
        engines().iter().all(|engine| engine == "identity").then_some(())
    });
    assert_eq!(json_of(folder.path(), &["status", "--admin", &admin.to_string()], 0)["generation"], 2);

    demo.signal(Signal::INT);
    let (status, _) = demo.end();
    assert_eq!(status.code(), Some(0));
    assert_eq!(lines.count(), 0, "one object is all that a script has to read");
    let home = Path::new(&config).parent().expect("a folder");
    assert!(fs::metadata(home).is_err(), "{} is left", home.display());
}
