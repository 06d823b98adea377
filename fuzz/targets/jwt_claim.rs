//! Claims of bearer tokens.
//!
//! Invariant: wherever a whole JSON parser understands the payload, the claim is what that parser finds: a text,
//! or a whole number in decimal, of the last of several; and no claim comes of a payload that is no object.
//!
//! The first line is the claim's name, the rest the payload; a name that begins with `!` gives the rest to the
//! parser as the token itself.

#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use cutover::decide::identify::claim_of;
use cutover_fuzz::first_line;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fn expected(payload: &Value, claim: &str) -> Option<String> {
    match payload.as_object()?.get(claim)? {
        Value::String(text) => Some(text.clone()),
        number @ Value::Number(_) => {
            let written = number.to_string();
            written.parse::<i128>().is_ok().then_some(written)
        }
        _ => None,
    }
}

fuzz_target!(|data: &[u8]| {
    let (claim, payload) = first_line(data);
    let Ok(claim) = std::str::from_utf8(claim) else { return };
    if let Some(claim) = claim.strip_prefix('!') {
        if claim_of(payload, claim).is_some() {
            let parts: Vec<&[u8]> = payload.split(|byte| *byte == b'.').collect();
            assert!(parts.len() >= 3, "a token of fewer than three parts");
            let unpadded = String::from_utf8_lossy(parts[1]).trim_end_matches('=').to_owned();
            let payload = URL_SAFE_NO_PAD.decode(unpadded).expect("base64url");
            assert_eq!(payload.iter().find(|byte| !byte.is_ascii_whitespace()), Some(&b'{'));
        }
        return;
    }
    let found = claim_of(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload)).as_bytes(), claim);
    let padded = claim_of(format!("e30.{}.", URL_SAFE.encode(payload)).as_bytes(), claim);
    assert_eq!(found, padded, "padding makes another person");
    match serde_json::from_slice::<Value>(payload) {
        Ok(value) => assert_eq!(found, expected(&value, claim)),
        // What is not asked for is skipped and not understood, so more is read than a whole parser reads; the
        // claim itself is there all the same.
        Err(_) => {
            assert!(
                found.is_none() || payload.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
            );
        }
    }
});
