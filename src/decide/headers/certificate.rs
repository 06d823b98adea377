//! Headers in which proxies tell an application whose certificate a client has shown. Whoever is no trusted proxy has no
//! business with them: an engine that reads one would believe it.

use http::HeaderName;

/// What such a name begins with. Whole families, since each of these proxies writes several and adds more:
///
/// * `client-cert`, `client-cert-chain`: RFC 9440;
/// * `x-forwarded-client-cert`: Envoy, Istio; `x-forwarded-tls-client-cert`, `-info`: Traefik;
/// * `ssl-client-verify`, `-subject-dn` …: ingress-nginx, Apache; `x-ssl-client-…`: HAProxy and nginx by their guides;
/// * `x-client-cert…`: Google's balancers by their guides; `x-amzn-mtls-clientcert…`: AWS;
///   `x-arr-clientcert`: Azure; `l5d-client-id`: Linkerd;
/// * `cf-client-cert-…`, `cf-cert-…`, `x-cert-…`: Cloudflare, by itself and by its guides; `x-ssl-cert`: guides of nginx;
///   `wl-proxy-client-…`: WebLogic's and Apache's plugins.
const FAMILIES: [&str; 14] = [
    "client-cert",
    "x-forwarded-client-cert",
    "x-forwarded-tls-client-cert",
    "ssl-client-",
    "x-ssl-client",
    "x-client-cert",
    "x-amzn-mtls-",
    "x-arr-clientcert",
    "l5d-client-id",
    "cf-client-cert",
    "cf-cert-",
    "x-cert-",
    "x-ssl-cert",
    "wl-proxy-client-",
];

/// The shortest of them.
const SHORTEST: usize = 7;

/// Whether a name, as a header map holds it, is one of these. Asked of every header of every request: nearly all are
/// told by their length or their first letter.
pub(super) fn tells_of_a_certificate(name: &str) -> bool {
    name.len() >= SHORTEST
        && matches!(name.as_bytes()[0], b'c' | b'x' | b's' | b'l' | b'w')
        && FAMILIES.iter().any(|family| name.starts_with(family))
}

/// The same for a name with underscores, which reads as one with dashes to whoever maps headers to variables.
pub(super) fn is_misspelled(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.contains('_') && tells_of_a_certificate(&name.replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_families_are_known_and_their_neighbours_left_alone() {
        for name in [
            "client-cert",
            "client-cert-chain",
            "x-forwarded-client-cert",
            "x-forwarded-tls-client-cert-info",
            "ssl-client-verify",
            "ssl-client-s-dn",
            "x-ssl-client",
            "x-ssl-client-cn",
            "x-client-cert",
            "x-client-cert-subject-dn",
            "x-client-certificate",
            "x-amzn-mtls-clientcert-subject",
            "x-arr-clientcert",
            "l5d-client-id",
            "cf-client-cert-sha256",
            "cf-cert-verified",
            "x-cert-subject-dn",
            "x-ssl-cert",
            "wl-proxy-client-cert",
        ] {
            assert!(tells_of_a_certificate(name), "{name}");
        }
        for name in [
            "cookie",
            "content-type",
            "client-ip",
            "sec-ch-ua-platform",
            "ssl-cipher",
            "x-client-id",
            "x-forwarded-for",
            "x-ssl",
            "x-amzn-trace-id",
            "not-a-client-cert",
        ] {
            assert!(!tells_of_a_certificate(name), "{name}");
        }
        assert_eq!(FAMILIES.map(str::len).into_iter().min(), Some(SHORTEST));
        for family in FAMILIES {
            assert!(matches!(family.as_bytes()[0], b'c' | b'x' | b's' | b'l' | b'w'), "{family}");
        }
        let misspelled = |name: &'static str| is_misspelled(&HeaderName::from_static(name));
        assert!(misspelled("ssl_client_s_dn") && misspelled("x-ssl_client-cn"));
        assert!(!misspelled("ssl-client-s-dn") && !misspelled("user_id"));
    }
}
