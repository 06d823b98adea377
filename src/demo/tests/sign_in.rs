//! Sign-in on each engine, and in the middle of it on the other one.

use std::net::SocketAddr;

use crate::demo::tests::client::{Browser, Page, with_engines};

/// Up to the page with the code; that page, and the token of Classic's forms.
fn classic_until_code(browser: &mut Browser, classic: SocketAddr, name: &str) -> (Page, String) {
    let csrf = browser.get(classic, "/login").csrf();
    let sent = browser.post(classic, "/login", &[("csrf", &csrf), ("name", name)]);
    assert_eq!(sent.status, 303);
    (browser.get(classic, sent.leads_to("/mfa")), csrf)
}

/// Up to the page with the code; that page, and its path.
fn identity_until_code(browser: &mut Browser, identity: SocketAddr, name: &str) -> (Page, String) {
    let begun = browser.get(identity, "/login");
    let form = begun.leads_to("/login");
    browser.get(identity, form).shows(&format!(r#"action="{form}""#));
    let sent = browser.post(identity, form, &[("name", name)]);
    let here = sent.leads_to("/challenge-authenticator/okta_email").to_owned();
    (browser.get(identity, &here), here)
}

/// Signs in; what the home page is asked with afterwards.
pub(super) fn sign_in_on_classic(browser: &mut Browser, classic: SocketAddr, name: &str) {
    let (page, csrf) = classic_until_code(browser, classic, name);
    let answered = browser.post(classic, "/mfa", &[("csrf", &csrf), ("code", &page.code())]);
    let organization = browser.get(classic, answered.leads_to("/verify/demo-org/authorize"));
    let callback = browser.get(classic, organization.leads_to("/authorization-code/callback"));
    assert_eq!(callback.leads_to("/"), "/");
}

pub(super) fn sign_in_on_identity(browser: &mut Browser, identity: SocketAddr, name: &str) {
    let (page, here) = identity_until_code(browser, identity, name);
    let answered = browser.post(identity, &here, &[("code", &page.code())]);
    let callback = browser.get(identity, answered.leads_to("/login/callback"));
    assert_eq!(callback.leads_to("/"), "/");
}

#[test]
fn classic_signs_in_by_form_code_and_organization() {
    with_engines(|classic, identity| {
        let mut browser = Browser::default();
        sign_in_on_classic(&mut browser, classic, " Ada & <Bob> ");
        browser.get(classic, "/").shows("Signed in as Ada &amp; &lt;Bob&gt;");
        browser.get(identity, "/").shows("Your session is not known here");
    });
}

#[test]
fn identity_signs_in_with_its_state_in_every_url() {
    with_engines(|classic, identity| {
        let mut browser = Browser::default();
        sign_in_on_identity(&mut browser, identity, "Ada");
        browser.get(identity, "/").shows("Signed in as Ada");
        browser.get(classic, "/").shows("Your session is not known here");
    });
}

#[test]
fn a_link_in_identitys_mail_stands_for_its_code() {
    with_engines(|_, identity| {
        let mut browser = Browser::default();
        let (page, _) = identity_until_code(&mut browser, identity, "Ada");
        let opened = browser.get(identity, &page.mail_link());
        let callback = browser.get(identity, opened.leads_to("/login/callback"));
        callback.leads_to("/");
        browser.get(identity, "/").shows("Signed in as Ada");
    });
}

#[test]
fn a_wrong_code_is_asked_for_again_on_classic_and_begins_again_on_identity() {
    with_engines(|classic, identity| {
        let mut browser = Browser::default();
        let (page, csrf) = classic_until_code(&mut browser, classic, "Ada");
        let again = browser.post(classic, "/mfa", &[("csrf", &csrf), ("code", "x")]);
        assert_eq!((again.status, again.code()), (422, page.code()));
        again.shows(r#"role="alert""#);

        let (_, here) = identity_until_code(&mut browser, identity, "Ada");
        let again = browser.post(identity, &here, &[("code", "x")]);
        let form = again.leads_to("/login").to_owned();
        browser.get(identity, &form).shows(r#"role="alert""#);
        let sent = browser.post(identity, &form, &[("name", "Ada")]);
        assert_eq!(sent.leads_to("/challenge-authenticator/okta_email"), here);
    });
}

#[test]
fn a_form_without_a_name_says_what_is_missing() {
    with_engines(|classic, identity| {
        let mut browser = Browser::default();
        let csrf = browser.get(classic, "/login").csrf();
        let again = browser.post(classic, "/login", &[("csrf", &csrf), ("name", "  ")]);
        assert_eq!((again.status, again.csrf()), (422, csrf));
        let form = browser.get(identity, "/login").location;
        let again = browser.post(identity, &form, &[]);
        assert_eq!(again.status, 422);
        again.shows(r#"role="alert""#);
    });
}

#[test]
fn a_one_time_code_counts_once() {
    with_engines(|classic, identity| {
        let mut browser = Browser::default();
        let (page, here) = identity_until_code(&mut browser, identity, "Ada");
        let callback = browser.post(identity, &here, &[("code", &page.code())]).location;
        browser.get(identity, &callback).leads_to("/");
        assert_eq!(browser.get(identity, &callback).status, 410);

        let (page, csrf) = classic_until_code(&mut browser, classic, "Ada");
        let answered = browser.post(classic, "/mfa", &[("csrf", &csrf), ("code", &page.code())]);
        let callback = browser.get(classic, &answered.location).location;
        browser.get(classic, &callback).leads_to("/");
        assert_eq!(browser.get(classic, &callback).status, 410);
    });
}

#[test]
fn identity_refuses_every_step_of_a_sign_in_that_classic_began() {
    with_engines(|classic, identity| {
        let mut browser = Browser::default();
        let csrf = browser.get(classic, "/login").csrf();
        let name = [("csrf", csrf.as_str()), ("name", "Ada")];
        browser.post(identity, "/login", &name).is_refused_by("identity");
        browser.post(classic, "/login", &name).leads_to("/mfa");
        browser.get(identity, "/mfa").is_refused_by("identity");
        let code = browser.get(classic, "/mfa").code();
        let code = [("csrf", csrf.as_str()), ("code", &code)];
        browser.post(identity, "/mfa", &code).is_refused_by("identity");
        let organization = browser.post(classic, "/mfa", &code).location;
        browser.get(identity, &organization).is_refused_by("identity");
        let callback = browser.get(classic, &organization).location;
        browser.get(identity, &callback).is_refused_by("identity");
        browser.get(classic, &callback).leads_to("/");
    });
}

#[test]
fn classic_refuses_every_step_of_a_sign_in_that_identity_began() {
    with_engines(|classic, identity| {
        let mut browser = Browser::default();
        let form = browser.get(identity, "/login").location;
        browser.get(classic, &form).is_refused_by("classic");
        browser.post(classic, &form, &[("name", "Ada")]).is_refused_by("classic");
        let here = browser.post(identity, &form, &[("name", "Ada")]).location;
        browser.get(classic, &here).is_refused_by("classic");
        let page = browser.get(identity, &here);
        let code = [("code", page.code())];
        let code = [(code[0].0, code[0].1.as_str())];
        browser.post(classic, &here, &code).is_refused_by("classic");
        browser.get(classic, &page.mail_link()).is_refused_by("classic");
        let callback = browser.post(identity, &here, &code).location;
        browser.get(classic, &callback).is_refused_by("classic");
        browser.get(identity, &callback).leads_to("/");
    });
}

#[test]
fn a_browser_can_be_in_the_middle_of_a_sign_in_on_both_engines() {
    with_engines(|classic, identity| {
        let mut browser = Browser::default();
        let (page, csrf) = classic_until_code(&mut browser, classic, "Ada");
        sign_in_on_identity(&mut browser, identity, "Ada");
        browser
            .post(classic, "/mfa", &[("csrf", &csrf), ("code", &page.code())])
            .leads_to("/verify/demo-org/authorize");
    });
}

#[test]
fn a_tab_goes_on_with_what_it_began_when_another_one_begins() {
    with_engines(|classic, _| {
        let mut browser = Browser::default();
        let csrf = browser.get(classic, "/login").csrf();
        browser.get(classic, "/login");
        browser.post(classic, "/login", &[("csrf", &csrf), ("name", "Ada")]).leads_to("/mfa");
        browser.get(classic, "/mfa").shows("A mail for Ada");
    });
}

#[test]
fn another_browser_cannot_go_on_with_a_sign_in() {
    with_engines(|classic, identity| {
        let (mut browser, mut other) = (Browser::default(), Browser::default());
        let (page, here) = identity_until_code(&mut browser, identity, "Ada");
        other.post(identity, &here, &[("code", &page.code())]).is_refused_by("identity");
        let (page, csrf) = classic_until_code(&mut browser, classic, "Ada");
        other.post(classic, "/mfa", &[("csrf", &csrf), ("code", &page.code())]).is_refused_by("classic");
    });
}

#[test]
fn a_provider_that_wants_interaction_leads_back_to_the_form() {
    with_engines(|classic, identity| {
        let mut browser = Browser::default();
        let form = browser.get(identity, "/login").location;
        let (_, state) = form.split_once('=').expect("a state");
        let callback = format!("/login/callback?error=interaction_required&state={state}");
        assert_eq!(browser.get(identity, &callback).leads_to("/login"), form);
        browser.get(classic, &callback).is_refused_by("classic");
    });
}

#[test]
fn what_a_user_says_never_becomes_markup() {
    with_engines(|classic, identity| {
        let hostile = "<script>'\"&";
        let escaped = "A mail for &lt;script&gt;&#39;&quot;&amp;:";
        let mut browser = Browser::default();
        let (page, _) = classic_until_code(&mut browser, classic, hostile);
        page.shows(escaped);
        let (page, here) = identity_until_code(&mut browser, identity, hostile);
        page.shows(escaped);
        let (_, state) = here.split_once('=').expect("a state");
        let link = format!("/login/callback?otp=%3Cscript%3E&state={state}");
        for page in [
            browser.get(identity, &link),
            browser.get(identity, "/challenge-authenticator/okta_email?state=%3Cscript%3E"),
            browser.get(classic, "/reset-password/%3Cscript%3E"),
            Browser::default().get(identity, &link),
        ] {
            assert!(!page.html.contains("script"), "{page:?}");
        }
    });
}
