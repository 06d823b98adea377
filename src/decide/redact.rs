//! Takes the secrets out of a request target before it is written down.
//!
//! Pure and linear. In doubt it takes away too much: a log that lost a page name is a nuisance, a log that holds
//! a one-time code is an incident.

use std::cmp::Ordering;

use memchr::{memchr, memchr2, memchr2_iter};
use percent_encoding::percent_decode_str;

/// What stands where a secret stood.
const REDACTED: &str = "[redacted]";

/// Query parameters whose values sign somebody in, or say who somebody is (`DOMAIN.md` 7, "Secrets in logs").
const SECRET_NAMES: [&str; 22] = [
    "code",
    "interaction_code",
    "interaction_handle",
    "state",
    "nonce",
    "otp",
    "token",
    "recoverytoken",
    "activationtoken",
    "statetoken",
    "sessiontoken",
    "id_token",
    "id_token_hint",
    "access_token",
    "refresh_token",
    "samlresponse",
    "samlrequest",
    "relaystate",
    "login_hint",
    "username",
    "email",
    "password",
];

/// The path segments after `/signin/` behind which a token follows.
const TOKEN_PAGES: [&str; 4] = ["reset-password", "recovery", "user-unlock", "refresh-auth-state"];

/// Appends a request target to `out`, with `[redacted]` where a secret stood.
///
/// Names and segments are compared percent-decoded and without regard to ASCII case, since an engine may read
/// them so; `;` ends a parameter for some engines and belongs to the value for others, so a secret reaches up to
/// the next `&`, and a name may also follow a `;`.
pub fn redact_target(target: &str, out: &mut String) {
    let query_at = memchr2(b'?', b'#', target.as_bytes()).unwrap_or(target.len());
    let (path, query) = target.split_at(query_at);
    redact_path(path, out);
    for (index, parameters) in query.split('&').enumerate() {
        if index > 0 {
            out.push('&');
        }
        redact_parameters(parameters, out);
    }
}

/// What follows a token page is all token: one with an encoded slash in it is still one.
fn redact_path(path: &str, out: &mut String) {
    let token_at = if path.len() > "/signin/".len() { token_position(path) } else { None };
    match token_at {
        Some(token_at) => {
            out.push_str(&path[..token_at]);
            out.push_str(REDACTED);
        }
        None => out.push_str(path),
    }
}

/// Where the token of a path begins, if it has one. Empty segments count as absent, and `%2F` as a slash:
/// servers differ in both.
fn token_position(path: &str) -> Option<usize> {
    let mut before_signin = true;
    let mut at = 0;
    loop {
        let (segment, next) = segment_at(path, at);
        let next = next?;
        if !segment.is_empty() && segment != "." {
            if !before_signin && TOKEN_PAGES.iter().any(|page| decodes_to(segment, page)) {
                return (next < path.len()).then_some(next);
            }
            before_signin = !decodes_to(segment, "signin");
        }
        at = next;
    }
}

/// The segment that begins at a position, and where the one after it begins.
fn segment_at(path: &str, at: usize) -> (&str, Option<usize>) {
    let rest = &path.as_bytes()[at..];
    for position in memchr2_iter(b'/', b'%', rest) {
        let slash = match &rest[position..] {
            [b'/', ..] => 1,
            [b'%', b'2', b'f' | b'F', ..] => 3,
            _ => continue,
        };
        return (&path[at..at + position], Some(at + position + slash));
    }
    (&path[at..], None)
}

/// One stretch of a query between two `&`.
fn redact_parameters(parameters: &str, out: &mut String) {
    let mut name_at = 0;
    for (position, byte) in parameters.bytes().enumerate() {
        match byte {
            b'?' | b'#' | b';' => name_at = position + 1,
            b'=' if is_secret(&parameters[name_at..position]) => {
                out.push_str(&parameters[..=position]);
                out.push_str(REDACTED);
                return;
            }
            // What follows belongs to the value, but `next=code=x` may well be a secret too.
            b'=' => name_at = position + 1,
            _ => {}
        }
    }
    out.push_str(parameters);
}

fn is_secret(name: &str) -> bool {
    // `+` is a space in a form, and some engines trim names.
    let name = name.trim_start_matches('+');
    if memchr(b'%', name.as_bytes()).is_none() {
        return SECRET_NAMES.iter().any(|secret| name.eq_ignore_ascii_case(secret));
    }
    SECRET_NAMES.iter().any(|secret| decodes_to(name, secret))
}

/// Whether a text, percent-decoded and in lower case, is `plain`.
fn decodes_to(encoded: &str, plain: &str) -> bool {
    // Decoding never makes a text longer, and one of the same length has nothing to decode: most comparisons
    // end with that.
    match encoded.len().cmp(&plain.len()) {
        Ordering::Less => false,
        Ordering::Equal => encoded.eq_ignore_ascii_case(plain),
        Ordering::Greater => {
            percent_decode_str(encoded).map(|byte| byte.to_ascii_lowercase()).eq(plain.bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(target: &str, expected: &str) {
        let mut out = String::new();
        redact_target(target, &mut out);
        assert_eq!(out, expected, "target {target:?}");
    }

    #[test]
    fn secrets_of_a_query_are_taken_out_and_the_rest_stays() {
        for (target, expected) in [
            ("/", "/"),
            ("", ""),
            ("*", "*"),
            ("/a?b=c&d=e", "/a?b=c&d=e"),
            ("/login/callback?code=x1&state=y2", "/login/callback?code=[redacted]&state=[redacted]"),
            ("/cb?interaction_code=x&lang=en", "/cb?interaction_code=[redacted]&lang=en"),
            ("/a?lang=en&recoveryToken=x", "/a?lang=en&recoveryToken=[redacted]"),
            ("/a?RELAYSTATE=x&SamlResponse=y", "/a?RELAYSTATE=[redacted]&SamlResponse=[redacted]"),
            ("/a?%63ode=x", "/a?%63ode=[redacted]"),
            ("/a?c%6FDe=x", "/a?c%6FDe=[redacted]"),
            ("/a?+code=x", "/a?+code=[redacted]"),
            ("/a?code=a=b=c&d=e", "/a?code=[redacted]&d=e"),
            ("/a?code=", "/a?code=[redacted]"),
            ("/a?code", "/a?code"),
            ("/a?code&state", "/a?code&state"),
            ("/a?&&code=x&&", "/a?&&code=[redacted]&&"),
            ("/a?encode=x&codec=y&cod=z", "/a?encode=x&codec=y&cod=z"),
            ("/a?password=ab;cd&e=f", "/a?password=[redacted]&e=f"),
            ("/a?lang=en;code=x", "/a?lang=en;code=[redacted]"),
            ("/a?b=c?code=x", "/a?b=c?code=[redacted]"),
            ("/a#access_token=x&b=c", "/a#access_token=[redacted]&b=c"),
            ("/a?b=c#id_token=x", "/a?b=c#id_token=[redacted]"),
            ("/a?%63%6f%64%65%=x", "/a?%63%6f%64%65%=x"),
            ("/é?é=ü&code=ö", "/é?é=ü&code=[redacted]"),
            ("http://portal.example.com/a?otp=1", "http://portal.example.com/a?otp=[redacted]"),
        ] {
            check(target, expected);
        }
    }

    #[test]
    fn tokens_in_paths_are_taken_out_to_the_end_of_the_path() {
        for (target, expected) in [
            ("/signin/reset-password/tok", "/signin/reset-password/[redacted]"),
            ("/signin/recovery/tok/more?lang=en", "/signin/recovery/[redacted]?lang=en"),
            ("/signin/user-unlock/tok?code=x", "/signin/user-unlock/[redacted]?code=[redacted]"),
            ("/signin/refresh-auth-state/tok", "/signin/refresh-auth-state/[redacted]"),
            ("/app/SignIn/Reset-Password/tok", "/app/SignIn/Reset-Password/[redacted]"),
            ("/signin/%72eset-password/tok", "/signin/%72eset-password/[redacted]"),
            ("/signin%2Freset-password%2ftok", "/signin%2Freset-password%2f[redacted]"),
            ("//signin//./recovery//tok", "//signin//./recovery/[redacted]"),
            ("/signin/signin/recovery/tok", "/signin/signin/recovery/[redacted]"),
            ("/signin/reset-password", "/signin/reset-password"),
            ("/signin/reset-password/", "/signin/reset-password/"),
            ("/signin/forgot-password/x", "/signin/forgot-password/x"),
            ("/recovery/x", "/recovery/x"),
            ("/signin/a/recovery/x", "/signin/a/recovery/x"),
        ] {
            check(target, expected);
        }
    }

    #[test]
    fn every_name_of_the_list_is_a_name_in_lower_case() {
        for name in SECRET_NAMES {
            assert_eq!(name, name.to_ascii_lowercase());
            check(&format!("/a?{name}=s"), &format!("/a?{name}=[redacted]"));
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_nothing_panics_and_no_secret_stays(
            before in "[a-z%;?#=/é]{0,20}", secret in "[A-Z0-9]{8}", after in "(&[a-z]{0,5}){0,2}"
        ) {
            let mut out = String::new();
            redact_target(&format!("/{before}?token={secret}{after}"), &mut out);
            proptest::prop_assert!(!out.contains(&secret), "{}", out);
        }

        #[test]
        fn anything_may_come(target in "\\PC{0,200}") {
            let mut out = String::new();
            redact_target(&target, &mut out);
        }
    }
}
