//! One-time answers and links of the identity provider: scenarios 7, 8, 9, 12 and 13.

use crate::support::Proxy;

use super::{signs_in_on_identity, site, site_with, toml};

const TLS_IN_FRONT: &str = "[trust]\nproxies = [\"127.0.0.0/8\"]\n";

#[test]
fn c7_a_callback_without_cookies_goes_to_whom_its_state_was_issued_by() {
    let site = site_with("form_post = true", [100, 100, 100], "");
    let mut ada = site.browser();
    site.share("sign-in", 100, 0);
    ada.visit("/login");
    ada.submit("/login", "user=ada&password=right");
    let away = ada.submit("/signin/verify/okta/email", "code=123456");
    ada.told();
    site.share("sign-in", 0, 100);
    ada.cross_site_submit(&format!("/authorization-code/callback?state={}", away.state_sent()), "code=c");
    ada.went(&["POST /authorization-code/callback 302 classic state sign-in"]);
    assert_eq!(ada.visit("/").text(), "classic ada");
    ada.went(&["GET / 200 classic session none"]);
    site.nobody_was_lost();
}

#[test]
fn c7_a_form_post_callback_is_carried_by_the_flow_cookie_where_no_index_is() {
    let site = site_with("form_post = true", [0, 0, 0], TLS_IN_FRONT);
    let mut ada = site.browser();
    ada.line = Some("x-forwarded-proto: https".to_owned());
    ada.visit("/");
    ada.visit("/login");
    ada.submit("/login", "user=ada&password=right");
    let away = ada.submit("/signin/verify/okta/email", "code=123456");
    let ticket = ada.jar["__Host-cutover"].clone();
    ada.told();

    // Another process: the state is in the body, and would be unknown anyway.
    let other =
        Proxy::with(toml("form_post = true", [100, 100, 100], TLS_IN_FRONT, &site.classic, &site.identity));
    ada.goes_to(other.address());
    ada.cross_site_submit("/authorization-code/callback", &format!("code=c&state={}", away.state_sent()));
    ada.went(&["POST /authorization-code/callback 302 classic flow sign-in"]);
    assert_ne!(ada.jar["__Host-cutover"], ticket, "the ticket says who owns the session");
    assert_eq!(ada.visit("/account").text(), "classic account of ada");
    ada.went(&["GET /account 200 classic session none"]);
    site.nobody_was_lost();
}

#[test]
fn c8_a_magic_link_in_another_tab_goes_on_with_the_flow_and_one_success_is_counted() {
    let site = site([100, 0, 0]);
    let mut ada = site.browser();
    ada.visit("/");
    ada.visit("/recover-password");
    ada.submit(&ada.at(), "user=ada");
    ada.told();
    let link = format!("/login/callback?otp=123456&state={}", ada.state());
    // A mail program opens it: no page of the site refers to it.
    ada.at = None;
    ada.visit(&link);
    ada.submit(&ada.at(), "password=new");
    ada.went(&[
        "GET /login/callback 302 identity state recovery",
        "GET /reset-password 200 identity state recovery",
        "POST /reset-password 302 identity state recovery",
        "GET / 200 identity session none",
    ]);
    site.nobody_was_lost();
    site.flows("recovery", "identity", 1, &[("success", 1)]);
}

#[test]
fn c9_a_magic_link_on_a_phone_shows_identitys_page_and_the_first_tab_still_ends() {
    let site = site([100, 0, 0]);
    let mut ada = site.browser();
    ada.visit("/");
    ada.visit("/recover-password");
    ada.submit(&ada.at(), "user=ada");
    let link = format!("/login/callback?otp=123456&state={}", ada.state());
    let mut phone = site.browser();
    assert_eq!(phone.visit(&link).text(), "identity: enter the code on the original device");
    phone.went(&["GET /login/callback 200 identity state recovery"]);

    // Also where nobody knows the state any more.
    let other = Proxy::with(toml("", [100, 0, 0], "", &site.classic, &site.identity));
    let mut phone = other.browser();
    assert_eq!(phone.visit(&link).text(), "identity: enter the code on the original device");
    phone.went(&["GET /login/callback 200 identity landing sign-in"]);

    ada.submit(&ada.at(), "code=123456");
    ada.submit(&ada.at(), "password=new");
    assert_eq!(ada.told().last().map(String::as_str), Some("GET / 200 identity session none"));
    site.nobody_was_lost();
    site.flows("recovery", "identity", 1, &[("success", 1)]);
}

#[test]
fn c12_interaction_required_after_a_social_sign_in_leads_back_into_the_flow() {
    let site = site([100, 100, 100]);
    let mut ada = site.browser();
    ada.visit("/");
    ada.visit("/login");
    ada.told();
    let callback = format!("/login/callback?error=interaction_required&state={}", ada.state());
    ada.visit(&callback);
    ada.went(&["GET /login/callback 302 identity state sign-in", "GET /login 200 identity state sign-in"]);
    ada.submit(&ada.at(), "user=ada&password=wrong");
    ada.submit(&ada.at(), "user=ada&password=right");
    ada.submit(&ada.at(), "code=123456");
    assert_eq!(ada.told().last().map(String::as_str), Some("GET / 200 identity session none"));

    // By what the URL says, where nothing else is known: it is still not Classic's.
    let other = Proxy::with(toml("", [0, 0, 0], "", &site.classic, &site.identity));
    let mut stranger = other.browser();
    stranger.visit("/login/callback?error=interaction_required&state=unknown");
    stranger.went(&["GET /login/callback 409 identity landing sign-in"]);
    site.flows("sign-in", "identity", 1, &[("success", 1)]);
}

#[test]
fn c13_a_second_callback_goes_where_the_first_went_and_is_no_second_failure() {
    let site = site([100, 100, 100]);
    let mut ada = site.browser();
    ada.visit("/");
    signs_in_on_identity(&mut ada);
    let state = ada.told()[2].clone();
    assert_eq!(state, "GET /login 200 identity state sign-in");
    let used = site.identity.requests().into_iter().rev();
    let callback =
        used.map(|asked| asked.head.target().to_owned()).find(|target| target.contains("interaction_code"));
    let callback = callback.expect("it was there");
    site.share("sign-in", 100, 0);
    let again = ada.visit(&callback);
    assert_eq!((again.status(), again.text().as_str()), (500, "identity has seen this code already"));
    ada.went(&["GET /login/callback 500 identity state sign-in"]);

    // Without the index the pin that has ended still knows, though not for starts.
    let other = Proxy::with(toml("", [0, 0, 0], "", &site.classic, &site.identity));
    ada.goes_to(other.address());
    ada.visit(&callback);
    ada.went(&["GET /login/callback 500 identity flow sign-in"]);
    assert_eq!(ada.visit("/account").text(), "identity account of ada");
    site.nobody_was_lost();
    site.flows("sign-in", "identity", 1, &[("success", 1)]);
}

#[test]
fn c13_a_second_answer_to_a_flow_that_has_ended_begins_no_other_one() {
    let site = site([0, 0, 100]);
    let mut ada = site.browser();
    ada.visit("/");
    signs_in_on_identity(&mut ada);
    let state = site.identity.requests().into_iter().rev().find_map(|asked| {
        asked.head.target().strip_prefix("/login/callback?interaction_code=c&state=").map(str::to_owned)
    });
    ada.told();
    // The way back: what would end a flow well ends none, and begins none.
    ada.visit(&format!("/verify/nothing?state={}", state.expect("it was there")));
    assert!(ada.told()[0].ends_with(" identity state sign-in"));
    site.nobody_was_lost();
    site.flows("sign-in", "identity", 1, &[("success", 1)]);
}

#[test]
fn a_state_leads_back_to_the_flow_in_which_it_was_issued() {
    let site = site([0, 0, 100]);
    let mut ada = site.browser();
    ada.visit("/");
    ada.visit("/login");
    let form = ada.at();
    // Another one of the same workflow is begun on Classic, where nothing tells of the first.
    ada.jar.remove("cutover-flow");
    site.share("sign-in", 100, 0);
    ada.visit("/login");
    ada.told();
    ada.submit(&form, "user=ada&password=right");
    ada.went(&[
        "POST /login 302 identity state sign-in",
        "GET /challenge-authenticator/okta_email 200 identity state sign-in",
    ]);
    site.flows("sign-in", "classic", 1, &[("replaced", 1)]);
    // From here on the pin says so, too.
    let other = Proxy::with(toml("", [0, 0, 0], "", &site.classic, &site.identity));
    ada.goes_to(other.address());
    ada.submit(&ada.at(), "code=123456");
    assert_eq!(ada.told()[0], "POST /challenge-authenticator/okta_email 302 identity flow sign-in");
    site.nobody_was_lost();
}
