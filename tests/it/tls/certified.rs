//! Who shows a certificate is known by it, and by nothing that says so in a header.

use std::time::Duration;

use cutover::ambient::Ambient;
use rcgen::{DnType, SanType, date_time_ymd};
use rustls::version::{TLS12, TLS13};

use super::{BOTH, NAME, ONE, Scene, stage};
use crate::operators::{Folder, KEYS, eventually};
use crate::support::pki::{Authority, Pair, TlsClient};

/// Ada is sent to identity, everybody else to classic.
const TARGET: &str =
    "targets = [{ name = \"ada\", engine = \"identity\", subjects = [\"ada@example.com\"] }]";

/// A proxy that asks for certificates and looks for its users there.
fn scene(more: &str, keys: &str) -> Scene {
    let (authority, folder) = (Authority::new(), Folder::new());
    folder.write("keys", KEYS);
    folder.write("ca.pem", authority.pem());
    authority.issue(&[NAME]).write(&folder, "portal");
    let tls = format!("{ONE}\ntls.client_ca = \"ca.pem\"\n{more}");
    stage(authority, folder, &tls, &format!("keys = {keys}\n{TARGET}"))
}

fn ada(authority: &Authority) -> Pair {
    authority.client("Ada", "Ada@Example.com")
}

/// What is said to the client, without its head.
fn body(text: &str) -> &str {
    text.rsplit("\r\n\r\n").next().expect("there is always a last")
}

#[test]
fn the_name_in_a_certificate_is_proof_in_every_version_and_in_a_session_that_goes_on() {
    let Scene { authority, classic, proxy, _identity: identity } = scene("", "[\"client-cert:san\"]");
    let address = proxy.address();
    for (own, engine) in
        [(ada(&authority), "identity"), (authority.client("ada@example.com", "bob@example.com"), "classic")]
    {
        for versions in [&[&TLS12][..], &[&TLS13]] {
            let client = TlsClient::showing(&authority, versions, Some(&own));
            for resumed in [false, true] {
                let got = client.get(address, NAME, "").expect("an answer");
                assert_eq!((body(&got.text), got.resumed), (engine, resumed));
            }
            for resumed in [false, true] {
                let client = if resumed { client.clone() } else { client.without_sessions() };
                let got = client.get_by_http2(address, NAME, &[]).expect("an answer");
                assert_eq!((got.text.as_str(), got.resumed), (engine, resumed));
            }
        }
    }
    assert_eq!((classic.requests().len(), identity.requests().len()), (8, 8));
    let decided = |engine: &str, reason: &str| {
        format!(
            "cutover_decisions_total{{app=\"portal\",workflow=\"none\",engine=\"{engine}\",reason=\"{reason}\"}}"
        )
    };
    proxy.counts(&decided("identity", "target"), 8.0);
    proxy.counts(&decided("classic", "cohort"), 8.0);
}

#[test]
fn the_keys_are_asked_in_their_order_and_a_name_that_is_not_there_leaves_it_to_the_next() {
    let Scene { authority, proxy, classic: _classic, _identity } =
        scene("", "[\"client-cert:san\", \"client-cert:cn\", \"query:user\"]");
    let named = |common: &str, mail: Option<&str>| {
        let pair = authority.client_with(|params| {
            if !common.is_empty() {
                params.distinguished_name.push(DnType::CommonName, common);
            }
            params
                .subject_alt_names
                .extend(mail.map(|mail| SanType::Rfc822Name(mail.try_into().expect("ASCII"))));
        });
        let client = TlsClient::showing(&authority, BOTH, Some(&pair));
        body(&client.get(proxy.address(), NAME, "").expect("an answer").text).to_owned()
    };
    assert_eq!(named("Bob", Some("ada@example.com")), "identity");
    assert_eq!(
        named("ada@example.com", Some("bob@example.com")),
        "classic",
        "the first that is there counts"
    );
    assert_eq!(named(" ADA@example.com", None), "identity", "by the common name");
    assert_eq!(named("ada@example.com", Some("")), "identity", "an empty name is an absent one");
    assert_eq!(named("", None), "classic", "a certificate without a name names nobody");
    proxy.counts(
        "cutover_decisions_total{app=\"portal\",workflow=\"none\",engine=\"classic\",reason=\"default\"}",
        1.0,
    );
}

#[test]
fn what_others_say_of_certificates_does_not_reach_the_engine() {
    let Scene { authority, classic, proxy, _identity } = scene("", "[\"client-cert:san\", \"device\"]");
    let bob = authority.client("Bob", "bob@example.com");
    let client = TlsClient::showing(&authority, BOTH, Some(&bob));
    let said = [
        ("x-forwarded-client-cert", "URI=ada@example.com"),
        ("ssl_client_s_dn", "ada@example.com"),
        ("x-ssl-client-cn", "ada@example.com"),
        ("client-cert", ":MIIB:"),
    ];
    let lines: String = said.map(|(name, value)| format!("{name}: {value}\r\n")).concat();
    assert_eq!(body(&client.get(proxy.address(), NAME, &lines).expect("an answer").text), "classic");
    assert_eq!(client.get_by_http2(proxy.address(), NAME, &said).expect("an answer").text, "classic");
    for request in classic.requests() {
        for (name, _) in said {
            assert_eq!(request.head.get(name), None, "{name} of {:?}", request.head.first());
        }
    }
    // To a trusted proxy it is left to say who has shown what, and its own certificate is not that of its clients.
    proxy.edit(|text| format!("{text}\n[trust]\nproxies = [\"127.0.0.1\"]\n"));
    let ada = TlsClient::showing(&authority, BOTH, Some(&ada(&authority)));
    assert_eq!(body(&ada.get(proxy.address(), NAME, "").expect("an answer").text), "identity");
    let forwards = format!("x-forwarded-for: 198.51.100.7\r\n{lines}");
    assert_eq!(body(&ada.get(proxy.address(), NAME, &forwards).expect("an answer").text), "classic");
    for (name, value) in said {
        assert_eq!(classic.last().head.get(name), Some(value), "{name}");
    }
}

#[test]
fn a_session_does_not_outlive_the_certificate_that_it_began_with() {
    let Scene { authority, proxy, classic: _classic, _identity } = scene("", "[\"client-cert:san\"]");
    let tomorrow = Duration::from_secs(Ambient::system().moment().wall + 86_400);
    let own = authority.client_with(|params| {
        params.not_after = date_time_ymd(1970, 1, 1) + tomorrow;
        params.subject_alt_names.push(SanType::Rfc822Name("ada@example.com".try_into().expect("ASCII")));
    });
    let clients = [&[&TLS12][..], &[&TLS13]].map(|only| TlsClient::showing(&authority, only, Some(&own)));
    for client in &clients {
        for resumed in [false, true] {
            assert_eq!(client.get(proxy.address(), NAME, "").expect("an answer").resumed, resumed);
        }
    }
    proxy.later(2 * 86_400);
    for client in &clients {
        eventually("the session is over", || client.get(proxy.address(), NAME, "").is_err().then_some(()));
    }
    let failures = "cutover_tls_handshake_failures_total";
    proxy.counts(&format!("{failures}{{listener=\"127.0.0.1:0\",reason=\"client_certificate\"}}"), 2.0);
}

#[test]
fn without_an_authority_nobody_is_asked_and_nobody_is_known() {
    let Scene { authority, proxy, classic: _classic, _identity } = scene("", "[\"client-cert:san\"]");
    let client = TlsClient::showing(&authority, BOTH, Some(&ada(&authority)));
    let engines = || body(&client.get(proxy.address(), NAME, "").expect("an answer").text).to_owned();
    assert_eq!(engines(), "identity");
    proxy.replace("tls.client_ca = \"ca.pem\"", "");
    assert_eq!(engines(), "classic");
    proxy.edit(|text| text.replace(ONE, &format!("{ONE}\ntls.client_ca = \"ca.pem\"")));
    assert_eq!(engines(), "identity");
}

#[test]
fn explain_says_that_the_key_is_in_the_certificate() {
    let Scene { authority: _authority, proxy, classic: _classic, _identity } =
        scene("", "[\"client-cert:cn\", \"device\"]");
    let told: serde_json::Value =
        serde_json::from_str(&proxy.ask("GET /api/v1/explain?key=Ada%40example.com&url=%2F").body)
            .expect("JSON");
    assert_eq!(
        (&told["subject"], &told["engine"], &told["reason"]),
        (&"client-cert:cn".into(), &"identity".into(), &"target".into())
    );
    let refused = proxy.ask("GET /api/v1/explain?key=ada%00&url=%2F").body;
    assert!(refused.contains("no request can carry this key as client-cert:cn"), "{refused}");
}
