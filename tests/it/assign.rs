//! Who is served by which engine: the same answer everywhere, for ever, and widening only adds.

use std::collections::BTreeMap;
use std::thread;

use cutover::decide::bucket::{Bucket, Share};
use cutover::decide::engine::Engine as Side;
use cutover::decide::subject::SubjectKey;
use proptest::prelude::*;

use crate::support::{Client, Engine, Folder, KEYS, Proxy, portal};

/// SHA-256 (FIPS 180-4) from its definition: slow, and nothing of ours is in it.
fn sha256(message: &[u8]) -> [u8; 32] {
    let is_prime = |number: &u32| (2..*number).all(|divisor| !number.is_multiple_of(divisor));
    let primes: Vec<f64> = (2u32..).filter(is_prime).take(64).map(f64::from).collect();
    let fraction = |root: f64| (root.fract() * 4_294_967_296.0) as u32;
    let constants: Vec<u32> = primes.iter().map(|prime| fraction(prime.cbrt())).collect();
    let mut state: Vec<u32> = primes.iter().take(8).map(|prime| fraction(prime.sqrt())).collect();
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize((padded.len() + 8).next_multiple_of(64) - 8, 0);
    padded.extend((message.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks(64) {
        let mut words: Vec<u32> =
            block.chunks(4).map(|word| u32::from_be_bytes(word.try_into().expect("4 bytes"))).collect();
        for at in 16..64 {
            let (near, far) = (words[at - 2], words[at - 15]);
            let far = far.rotate_right(7) ^ far.rotate_right(18) ^ (far >> 3);
            let near = near.rotate_right(17) ^ near.rotate_right(19) ^ (near >> 10);
            words.push(near.wrapping_add(words[at - 7]).wrapping_add(far).wrapping_add(words[at - 16]));
        }
        let mut now = state.clone();
        for at in 0..64 {
            let (a, e) = (now[0], now[4]);
            let choice = (e & now[5]) ^ (!e & now[6]);
            let majority = (a & now[1]) ^ (a & now[2]) ^ (now[1] & now[2]);
            let first = now[7]
                .wrapping_add(e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25))
                .wrapping_add(choice)
                .wrapping_add(constants[at])
                .wrapping_add(words[at]);
            let second = (a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22)).wrapping_add(majority);
            now.rotate_right(1);
            now[4] = now[4].wrapping_add(first);
            now[0] = first.wrapping_add(second);
        }
        for (sum, word) in state.iter_mut().zip(now) {
            *sum = sum.wrapping_add(word);
        }
    }
    let bytes: Vec<u8> = state.into_iter().flat_map(u32::to_be_bytes).collect();
    bytes.try_into().expect("32 bytes")
}

/// Bucket version 1 as DESIGN 3 words it, for keys that need no trimming.
fn bucket(salt: &str, key: &str) -> u128 {
    let digest = sha256(format!("{salt}:{key}").as_bytes());
    let place = digest[..8].iter().fold(0u128, |sum, byte| sum * 256 + u128::from(*byte));
    place * 100_000 / (1 << 64)
}

/// Asks for every user over this many connections, several requests ahead of the answers, and says who served
/// each of them.
fn serve(proxy: &Proxy, users: &[String], connections: usize) -> BTreeMap<String, String> {
    let address = proxy.address();
    let share = |users: Vec<String>| {
        let mut client = Client::to(address);
        let mut served = Vec::new();
        for ahead in users.chunks(50) {
            let requests: String = ahead
                .iter()
                .map(|user| format!("GET / HTTP/1.1\r\nhost: portal\r\ncookie: uid={user}\r\n\r\n"))
                .collect();
            client.wire.send(requests);
            for user in ahead {
                served.push((user.clone(), client.read("GET").expect("an answer").text()));
            }
        }
        served
    };
    thread::scope(|scope| {
        let parts = users.chunks(users.len().div_ceil(connections));
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || share(part.to_vec()))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("served")).collect()
    })
}

fn expected(salt: &str, user: &str, share: u128) -> &'static str {
    if bucket(salt, user) < share { "identity" } else { "classic" }
}

#[test]
fn twenty_thousand_subjects_are_where_the_arithmetic_says_and_widening_moves_nobody_back() {
    let (classic, identity) = (Engine::answering("classic"), Engine::answering("identity"));
    let lines = "salt = \"portal-2026\"\nkeys = [\"cookie:uid\", \"device\"]\npercent = 25";
    let toml = portal(lines, &classic, &identity);
    let (proxy, neighbour) = (Proxy::with(&toml), Proxy::with(&toml));
    let users: Vec<String> = (0..20_000).map(|number| format!("user-{number}")).collect();

    let before = serve(&proxy, &users, 8);
    for (user, engine) in &before {
        assert_eq!(engine, expected("portal-2026", user, 25_000), "{user}");
    }
    let identities = before.values().filter(|engine| *engine == "identity").count();
    // Four standard errors: 4 × √(20 000 × 0.25 × 0.75) = 245.
    assert!(identities.abs_diff(5_000) <= 245, "{identities} of 20,000 at 25 %");

    // Part of them again: through another proxy, and after an edit. The rest follows from the arithmetic above.
    let part = &users[..4_000];
    for (user, engine) in serve(&neighbour, part, 4) {
        assert_eq!(engine, before[&user], "{user} through another proxy");
    }
    proxy.replace("percent = 25", "percent = 60");
    for (user, engine) in serve(&proxy, part, 4) {
        assert_eq!(engine, expected("portal-2026", &user, 60_000), "{user} at 60 %");
        assert!(engine == "identity" || before[&user] == "classic", "{user} was moved back");
    }
}

#[test]
fn the_published_buckets_stay_where_they_are() {
    let mut lines = 0;
    for line in include_str!("../golden/buckets_v1.csv").lines().filter(|line| !line.starts_with('#')).skip(1)
    {
        let (rest, place) = line.rsplit_once(',').expect("three columns");
        let (salt, key) = rest.split_once(',').expect("three columns");
        let found = Bucket::of(salt, &SubjectKey::new(key).expect("a key"));
        assert_eq!(found.get().to_string(), place, "{line}");
        let canonical = key.trim().to_ascii_lowercase();
        assert_eq!(bucket(salt, &canonical).to_string(), place, "{line}, by this file's arithmetic");
        lines += 1;
    }
    assert!(lines >= 1_005, "it is only ever added to");
}

#[test]
fn the_first_key_that_is_present_is_the_subject() {
    let (classic, identity) = (Engine::answering("classic"), Engine::answering("identity"));
    let keys = r#"["header:x-user-id", "jwt:sub", "cookie:uid", "query:login_hint"]"#;
    // user-1 has bucket 73112 and user-2 59775: at 65 % they part.
    let lines = format!("salt = \"portal-2026\"\nkeys = {keys}\npercent = 65\nannotate = true");
    let toml = portal(&lines, &classic, &identity);
    let open = Proxy::with(&toml);
    let trusting = Proxy::with(format!("{toml}\n[trust]\nproxies = [\"127.0.0.0/8\"]"));
    let token = |claims: &str| format!("authorization: Bearer e30.{claims}.");
    // {"sub":"user-2"} and {"sub":"user-1"}
    let (second, first) = (token("eyJzdWIiOiJ1c2VyLTIifQ"), token("eyJzdWIiOiJ1c2VyLTEifQ"));

    let header = "x-user-id: user-2";
    for (trusts, target, lines, engine, reason) in [
        (true, "/", vec![header], "identity", "cohort"),
        (true, "/", vec!["x-user-id:  USER-2 "], "identity", "cohort"),
        (false, "/", vec![header], "classic", "default"),
        (true, "/", vec![header, "x-user-id: user-2"], "classic", "default"),
        (true, "/", vec![header, "cookie: uid=user-1"], "identity", "cohort"),
        (false, "/", vec![header, "cookie: uid=user-1"], "classic", "cohort"),
        (false, "/", vec![&second], "identity", "cohort"),
        (false, "/", vec![&second, "cookie: uid=user-1"], "identity", "cohort"),
        (true, "/", vec!["x-user-id: user-1", &second], "classic", "cohort"),
        (false, "/?login_hint=user-2", vec![&first], "classic", "cohort"),
        (false, "/?login_hint=user-2", vec![], "identity", "cohort"),
        (false, "/?a=b&login%5Fhint=user%2D2", vec![], "identity", "cohort"),
        (false, "/?login_hint=", vec![], "classic", "default"),
        (false, "/?login_hint=user-2", vec!["cookie: uid=user-1"], "classic", "cohort"),
        (false, "/?login_hint=user-2", vec!["cookie: uid= "], "identity", "cohort"),
        (false, "/", vec!["cookie: uid=user-2; uid=user-1"], "identity", "cohort"),
        (false, "/", vec!["accept: text/html"], "classic", "default"),
    ] {
        let mut client = if trusts { &trusting } else { &open }.client();
        let ask = lines.iter().fold(client.get(target), |ask, line| ask.header(line));
        let reply = ask.send();
        assert_eq!(reply.text(), engine, "{target} {lines:?} trusted {trusts}");
        let served = if engine == "classic" { &classic } else { &identity }.last();
        assert_eq!(served.head.get("cutover-reason"), Some(reason), "{target} {lines:?} trusted {trusts}");
        let passed = trusts && lines.iter().any(|line| line.starts_with("x-user-id"));
        assert_eq!(served.head.has("x-user-id"), passed, "only a trusted peer's word reaches an engine");
        assert_eq!(reply.ticket(), None, "without `device` nobody gets a ticket");
    }
}

#[test]
fn a_target_names_subjects_networks_and_headers_whatever_the_share() {
    let (classic, identity) = (Engine::answering("classic"), Engine::answering("identity"));
    let toml = portal("keys = [\"header:x-user\", \"cookie:uid\", \"device\"]", &classic, &identity);
    let targets = r#"
[[apps.portal.targets]]
name = "staff"
engine = "identity"
subjects = ["Ada@Example.com"]
subjects_file = "beta.txt"
[[apps.portal.targets]]
name = "volunteers"
engine = "identity"
subjects = ["volunteer"]
claimed = true
[[apps.portal.targets]]
name = "office"
engine = "identity"
networks = ["192.0.2.0/24", "2001:db8::/32"]
[[apps.portal.targets]]
name = "canary"
engine = "identity"
header = { name = "x-canary", value = "yes" }
"#;
    let folder = Folder::new();
    folder.write("keys", KEYS);
    folder.write("beta.txt", "grace@example.com\nlinus@example.com\n");
    let proxies = "[trust]\nproxies = [\"127.0.0.1/32\", \"10.0.0.0/8\"]";
    let trusting = Proxy::within(folder, format!("{toml}{targets}{proxies}"));
    let open = Proxy::with(format!("{toml}{}", targets.replace("subjects_file = \"beta.txt\"", "")));

    for (trusts, line, engine) in [
        (true, "x-user: ada@example.com", "identity"),
        (true, "x-user:  ADA@example.com ", "identity"),
        (true, "x-user: grace@example.com", "identity"),
        (true, "x-user: alan@example.com", "classic"),
        (true, "cookie: uid=ada@example.com", "classic"),
        (true, "cookie: uid=volunteer", "identity"),
        (false, "x-user: ada@example.com", "classic"),
        (false, "cookie: uid=volunteer", "identity"),
        (true, "x-forwarded-for: 192.0.2.7", "identity"),
        (true, "x-forwarded-for: 192.0.2.7, 10.1.2.3", "identity"),
        (true, "x-forwarded-for: 192.0.2.7, 198.51.100.1", "classic"),
        (true, "x-forwarded-for: [2001:db8::7]:443", "identity"),
        (true, "forwarded: for=\"[2001:db8::7]\"", "identity"),
        (true, "x-forwarded-for: 192.0.2.7, nonsense", "classic"),
        (false, "x-forwarded-for: 192.0.2.7", "classic"),
        (true, "x-canary: yes", "identity"),
        (true, "x-canary: no", "classic"),
        (false, "x-canary: yes", "classic"),
    ] {
        let mut client = if trusts { &trusting } else { &open }.client();
        assert_eq!(client.get("/").header(line).send().text(), engine, "{line}, trusted {trusts}");
    }
}

proptest! {
    #[test]
    fn raising_the_share_never_takes_identity_away(key in "\\PC{1,40}", salt in "\\PC{0,20}", low in 0u32..=100_000, more in 0u32..=100_000) {
        let Some(key) = SubjectKey::new(key) else { return Ok(()) };
        let bucket = Bucket::of(&salt, &key);
        let low = Share::from_parts(low).expect("on the line");
        let high = Share::from_parts((low.parts() + more).min(100_000)).expect("on the line");
        if low.engine_for(bucket) == Side::Identity {
            prop_assert_eq!(high.engine_for(bucket), Side::Identity);
        }
        prop_assert_eq!(Share::WHOLE.engine_for(bucket), Side::Identity);
        prop_assert_eq!(Share::NONE.engine_for(bucket), Side::Classic);
    }

    #[test]
    fn the_same_subject_has_the_same_bucket_however_it_is_spelled(key in "[a-zA-Z0-9@.é李 ]{1,40}", salt in "\\PC{0,20}") {
        let Some(canonical) = SubjectKey::new(key.trim().to_ascii_lowercase()) else { return Ok(()) };
        let place = u128::from(Bucket::of(&salt, &canonical).get());
        prop_assert_eq!(place, bucket(&salt, canonical.as_str()));
        for spelling in [format!("  {key}\t"), key.to_ascii_uppercase()] {
            let spelled = SubjectKey::new(spelling).expect("as above");
            prop_assert_eq!(u128::from(Bucket::of(&salt, &spelled).get()), place);
        }
    }
}
