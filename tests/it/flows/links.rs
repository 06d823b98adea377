//! Links and one-time answers, with and without the cookies of who asked for them.

use super::Site;

/// Scenario 7: `form_post` from the identity provider's site, without cookies.
#[test]
fn a_callback_without_cookies_goes_to_whoever_issued_its_state() {
    let site = Site::new(100, 0, 100);
    let mut visitor = site.visitor();
    visitor.open("/login");
    let state = visitor.state();
    site.set(100, 0);
    let mut bare = visitor.other_device();
    let reply = bare.submit(&format!("/login/callback?state={state}"), "interaction_code=1");
    assert_eq!(reply.text(), "identity home of ada");
    assert!(site.decisions("sign-in", "identity", "state") >= 1.0);
    assert_eq!(bare.open("/").text(), "identity home of ada", "it is signed in there");
}

/// Scenario 8.
#[test]
fn a_magic_link_in_the_same_browser_goes_on_with_the_flow() {
    let site = Site::new(100, 0, 100);
    let mut visitor = site.visitor();
    visitor.open("/login");
    let state = visitor.state();
    visitor.submit(&format!("/login?state={state}"), "name=ada");
    site.set(100, 0);
    assert_eq!(visitor.open(&format!("/login/callback?otp=1&state={state}")).text(), "identity home of ada");
    site.ended("sign-in", "identity", "success", 1.0);
}

/// Scenario 9.
#[test]
fn a_magic_link_on_a_phone_is_shown_by_identity_and_ends_nothing() {
    let site = Site::new(100, 0, 100);
    let mut visitor = site.visitor();
    visitor.open("/login");
    let state = visitor.state();
    site.set(100, 0);
    // Another proxy has not seen the state.
    let other = crate::support::Proxy::with(site.proxy.text());
    let mut phone = visitor.other_device();
    phone.goes_to(other.address());
    let reply = phone.open(&format!("/login/callback?otp=1&state={state}"));
    assert_eq!(reply.text(), "identity: enter the code there");
    assert_eq!(site.last_on_identity(), ("landing".to_owned(), "sign-in".to_owned()));
    site.ended("sign-in", "identity", "success", 0.0);
    assert_eq!(
        visitor.open(&format!("/login/callback?interaction_code=1&state={state}")).text(),
        "identity home of ada"
    );
}

/// Scenario 10.
#[test]
fn a_recovery_mail_of_classic_is_opened_on_another_device_and_completed_there() {
    let site = Site::new(0, 0, 0);
    let mut visitor = site.visitor();
    visitor.open("/recover-password");
    let sent = visitor.submit("/recover-password", "name=ada").text();
    let link = sent.strip_prefix("classic sent ").expect("a link").to_owned();
    site.proxy.replace("percent = 0 # recovery", "percent = 100 # recovery");
    let mut phone = visitor.other_device();
    assert_eq!(phone.open(&link).text(), "classic asks for a new password");
    assert!(site.decisions("recovery", "classic", "landing") >= 1.0);
    assert_eq!(phone.submit(&link, "password=1").status(), 200);
    site.started("recovery", "classic", 2.0);
}

/// Scenario 12.
#[test]
fn interaction_required_loops_back_to_the_sign_in_that_it_belongs_to() {
    let site = Site::new(100, 0, 100);
    let mut visitor = site.visitor();
    visitor.open("/login");
    let state = visitor.state();
    let page = visitor.open(&format!("/login/callback?error=interaction_required&state={state}"));
    assert_eq!(page.text(), "identity form of /login");
    site.ended("sign-in", "identity", "failure", 0.0);
    site.ended("sign-in", "identity", "replaced", 0.0);
}

/// Scenario 13.
#[test]
fn a_second_callback_goes_where_the_first_went_and_is_no_second_failure() {
    let site = Site::new(100, 0, 100);
    let mut visitor = site.visitor();
    visitor.open("/login");
    let state = visitor.state();
    let callback = format!("/login/callback?interaction_code=1&state={state}");
    assert_eq!(visitor.open(&callback).text(), "identity home of ada");
    site.set(100, 0);
    assert_eq!(visitor.open(&callback).text(), "identity: the code is used up");
    site.ended("sign-in", "identity", "success", 1.0);
    site.ended("sign-in", "identity", "failure", 0.0);
}
