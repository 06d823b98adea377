//! What `cutover demo` writes and prints: a configuration to play with, and what to try.

use std::net::SocketAddr;
use std::path::Path;

use crate::demo::engine::DemoEngine;

/// The name of the demo's only app.
const APP: &str = "portal";

/// The configuration of the demo: complete, commented, and meant to be edited while it runs.
pub fn demo_config(
    classic: SocketAddr,
    identity: SocketAddr,
    listen: SocketAddr,
    admin: SocketAddr,
    key_file: &Path,
) -> String {
    let key_file = toml_edit::Value::from(key_file.to_string_lossy().into_owned());
    format!(
        r#"# The configuration of `cutover demo`. Edit it while the demo runs: a saved change takes effect at once,
# and one that cannot be right changes nothing (the demo says what is wrong with it).

[[listeners]]
bind = "{listen}"        # what users open

[admin]
bind = "{admin}"        # status, metrics, explain

[ticket]
key_file = {key_file}        # signs the cookie that remembers a browser's place

[log]
format = "text"
access = "access.log"        # one record for each request, beside this file

[shutdown]
drain = "2s"        # Ctrl-C waits this long for browsers that keep a connection open

[apps.{APP}]
# Who a request is for: the user in the cookie `uid`; without one, the browser itself.
keys = ["cookie:uid", "device"]
# How many of every hundred users the Identity engine serves, outside the workflows below and without a session.
# Raise it: nobody moves back.
percent = 25
# Where workflows begin and end in apps built like Okta's samples: `cutover check --print` shows it.
preset = "okta"
# Tells the engines what was decided, so that their pages can show it.
annotate = true

[apps.{APP}.session]
cookies = ["demo.sid"]

# The order that Okta recommends: recovery first, then registration, then sign-in.
[apps.{APP}.workflows.recovery]
percent = 100

[apps.{APP}.workflows.registration]
percent = 50

[apps.{APP}.workflows.sign-in]
percent = 25

[apps.{APP}.classic]
endpoints = ["http://{classic}"]

[apps.{APP}.identity]
endpoints = ["http://{identity}"]
"#
    )
}

/// What `cutover demo` prints when everything runs. The URLs have no slash at the end.
pub fn guide(proxy_url: &str, admin_url: &str, config_path: &Path, engines: [&DemoEngine; 2]) -> String {
    let config = shell_word(&config_path.to_string_lossy());
    let [classic, identity] = engines.map(DemoEngine::address);
    format!(
        r#"Cutover stands in front of two versions of one app, and sends 25 % of the users to the new one.

  the app    {proxy_url}/
  admin      {admin_url}/
  classic    http://{classic}/    (the engines themselves, without the proxy)
  identity   http://{identity}/
  config     {config}

Try this:

  Open {proxy_url}/ in a browser, and again in a private window.

  Come as twenty users. Run it twice: everyone stays where they are.
    for n in $(seq 20); do curl -s -H "cookie: uid=user-$n" {proxy_url}/ | head -1; done

  Widen the rollout, here or in the file with an editor, and come as the twenty again.
    cutover set {APP} 60 --config {config}

  Sign in at {proxy_url}/login, and between the name and the code move everybody: this sign-in ends where it
  began, and so does the session; the next one begins on the other engine. An engine refuses what it did not begin.
    cutover set {APP}/sign-in 100 --config {config}

  Ask why user-7 is where they are, and what would change it.
    cutover explain --config {config} --app {APP} --key user-7 /

  See what is running, and what Prometheus would see.
    cutover status --admin {admin_url}
    curl -s {admin_url}/metrics | grep cutover_requests_total

  Break the file on purpose: nothing happens, except that the demo tells you.

Ctrl-C ends it.
"#
    )
}

/// A word as a shell reads it, quoted only where that is needed.
fn shell_word(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+=:@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::engine::Engine;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn the_configuration_is_toml_that_names_what_it_was_given() {
        let key_file = Path::new(r#"/tmp/it's "odd"\keys"#);
        let text = demo_config(address(1), address(2), address(3), address(4), key_file);
        let table: toml::Table = text.parse().expect("TOML");
        assert_eq!(table["ticket"]["key_file"].as_str(), key_file.to_str());
        assert_eq!(table["listeners"][0]["bind"].as_str(), Some("127.0.0.1:3"));
        assert_eq!(table["admin"]["bind"].as_str(), Some("127.0.0.1:4"));
        let app = &table["apps"][APP];
        assert_eq!(app["percent"].as_integer(), Some(25));
        assert_eq!(app["classic"]["endpoints"][0].as_str(), Some("http://127.0.0.1:1"));
        assert_eq!(app["identity"]["endpoints"][0].as_str(), Some("http://127.0.0.1:2"));
    }

    #[tokio::test]
    async fn the_guide_names_every_address_and_quotes_the_path() {
        let classic = DemoEngine::start(Engine::Classic).expect("a free port");
        let identity = DemoEngine::start(Engine::Identity).expect("a free port");
        let text = guide("http://p", "http://a", Path::new("/tmp/it's/c.toml"), [&classic, &identity]);
        for needle in [
            "curl -s -H \"cookie: uid=user-$n\" http://p/",
            "cutover set portal 60 --config '/tmp/it'\\''s/c.toml'",
            "cutover status --admin http://a",
            &format!("http://{}/", classic.address()),
            &format!("http://{}/", identity.address()),
        ] {
            assert!(text.contains(needle), "{needle} is not in\n{text}");
        }
    }
}
