//! Request targets before they are written to a log.
//!
//! Invariant: a value behind a secret name, however that name is spelled and whatever stands before and behind
//! it, is not in the output, and neither is what follows a token page; nothing else grows, an innocent target
//! stays as it is, redacting twice is redacting once, and the work is linear in the length.
//!
//! The first four bytes choose name and spelling, the rest is what stands before and, after a line feed, behind.

#![no_main]

use cutover::decide::redact::redact_target;
use libfuzzer_sys::fuzz_target;
use rustix::time::{ClockId, clock_gettime};

const NAMES: [&str; 22] = [
    "code",
    "interaction_code",
    "interaction_handle",
    "state",
    "nonce",
    "otp",
    "token",
    "recoveryToken",
    "activationToken",
    "stateToken",
    "sessionToken",
    "id_token",
    "id_token_hint",
    "access_token",
    "refresh_token",
    "SAMLResponse",
    "SAMLRequest",
    "RelayState",
    "login_hint",
    "username",
    "email",
    "password",
];
const PAGES: [&str; 4] = ["reset-password", "recovery", "user-unlock", "refresh-auth-state"];
const SECRET: &str = "hunter2~SECRET";

/// A spelling of a name: some letters in the other case, some as triplets.
fn spell(name: &str, how: u8) -> String {
    let mut spelled = String::new();
    for (index, byte) in name.bytes().enumerate() {
        match how >> (2 * (index % 4)) & 3 {
            0 | 1 => spelled.push(char::from(byte)),
            2 => spelled.push(char::from(byte ^ if byte.is_ascii_alphabetic() { 0x20 } else { 0 })),
            _ => spelled.push_str(&format!("%{byte:02x}")),
        }
    }
    spelled
}

fn redact(target: &str) -> String {
    let mut out = String::from("before ");
    redact_target(target, &mut out);
    let redacted = out.strip_prefix("before ").expect("it appends").to_owned();
    let stretches = target.bytes().filter(|byte| *byte == b'&').count() + 2;
    assert!(redacted.len() <= target.len() + stretches * "[redacted]".len());
    if !redacted.contains("[redacted]") {
        assert_eq!(redacted, target, "an innocent target was changed");
    }
    let mut twice = String::new();
    redact_target(&redacted, &mut twice);
    assert_eq!(twice, redacted, "redacting twice");
    redacted
}

/// Time of this thread alone, so that a machine with other work finds nothing here.
fn cpu_milliseconds() -> i64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

fuzz_target!(|data: &[u8]| {
    let Some((control, rest)) = data.split_first_chunk::<4>() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    if text.contains("SECRET") {
        return;
    }
    let (before, behind) = text.split_once('\n').unwrap_or((text, ""));
    redact(text);

    let name = spell(NAMES[usize::from(control[0]) % NAMES.len()], control[1]);
    let separator = match control[2] & 3 {
        0 => "?",
        1 => "#",
        2 if before.contains(['?', '#']) => "&",
        _ if before.contains(['?', '#']) => ";",
        _ => "?+",
    };
    let behind = format!("&{behind}");
    let target = format!("{before}{separator}{name}={SECRET}{behind}");
    let redacted = redact(&target);
    assert!(!redacted.contains("SECRET"), "{target:?} became {redacted:?}");

    if !before.contains(['?', '#']) {
        let page = spell(PAGES[usize::from(control[0]) % PAGES.len()], control[1]);
        let (slash, signin) =
            (["/", "//", "%2f", "/./"][usize::from(control[3]) & 3], spell("signin", control[1]));
        let target = format!("{before}/{signin}{slash}{page}{slash}{SECRET}?{behind}");
        let redacted = redact(&target);
        assert!(!redacted.contains("SECRET"), "{target:?} became {redacted:?}");
    }

    // A quadratic walk over this would take many seconds.
    if control[3] == 0xff && control[2] == 0xff && !text.is_empty() {
        let long = text.repeat((1 << 18) / text.len() + 1);
        let begun = cpu_milliseconds();
        let mut out = String::new();
        redact_target(&long, &mut out);
        let spent = cpu_milliseconds() - begun;
        assert!(spent < 1500, "{} bytes took {spent} ms", long.len());
    }
});
