//! Recovery: Classic's link is good anywhere, Identity's where it was asked for.

use std::net::SocketAddr;

use crate::demo::tests::client::{Browser, Page, with_engines};

/// The link of Classic's mail.
fn classic_link(browser: &mut Browser, classic: SocketAddr) -> String {
    let csrf = browser.get(classic, "/recover-password").csrf();
    let sent = browser.post(classic, "/recover-password", &[("csrf", &csrf), ("name", "Ada")]);
    assert_eq!(sent.status, 200);
    sent.mail_link()
}

/// The page that waits for the code of Identity's mail, and its path.
fn identity_mail(browser: &mut Browser, identity: SocketAddr) -> (Page, String) {
    let begun = browser.get(identity, "/recover-password");
    let form = begun.leads_to("/recover-password");
    browser.get(identity, form).shows(&format!(r#"action="{form}""#));
    let sent = browser.post(identity, form, &[("name", "Ada")]);
    let here = sent.leads_to("/challenge-authenticator/okta_email").to_owned();
    (browser.get(identity, &here), here)
}

#[test]
fn classics_link_works_on_any_device_and_once() {
    with_engines(|classic, _| {
        let link = classic_link(&mut Browser::default(), classic);
        let mut phone = Browser::default();
        assert_eq!(phone.get(classic, &link).status, 200);
        assert_eq!(phone.post(classic, &link, &[("password", "")]).status, 422);
        let saved = phone.post(classic, &link, &[("password", "new")]);
        assert_eq!(saved.leads_to("/"), "/");
        assert!(phone.jar.is_empty(), "nobody is signed in: {phone:?}");
        phone.post(classic, &link, &[("password", "new")]).is_refused_by("classic");
        phone.get(classic, &link).is_refused_by("classic");
    });
}

#[test]
fn identity_recovers_by_code_and_ends_signed_in() {
    with_engines(|classic, identity| {
        let mut browser = Browser::default();
        let (page, here) = identity_mail(&mut browser, identity);
        assert_eq!(browser.post(identity, &here, &[("code", "x")]).status, 422);
        let verified = browser.post(identity, &here, &[("code", &page.code())]);
        let reset = verified.leads_to("/reset-password").to_owned();
        assert_eq!(browser.get(identity, &reset).status, 200);
        assert_eq!(browser.post(identity, &reset, &[]).status, 422);
        let saved = browser.post(identity, &reset, &[("password", "new")]);
        assert_eq!(saved.leads_to("/"), "/");
        browser.get(identity, "/").shows("Signed in as Ada");
        browser.get(classic, "/").shows("Your session is not known here");
    });
}

#[test]
fn identitys_link_goes_on_in_the_browser_that_asked_for_it() {
    with_engines(|_, identity| {
        let mut browser = Browser::default();
        let (page, here) = identity_mail(&mut browser, identity);
        let opened = browser.get(identity, &page.mail_link());
        let reset = opened.leads_to("/reset-password").to_owned();
        assert_eq!(browser.get(identity, &page.mail_link()).leads_to("/reset-password"), reset);
        assert_eq!(browser.get(identity, &here).leads_to("/reset-password"), reset);
        browser.post(identity, &reset, &[("password", "new")]).leads_to("/");
    });
}

#[test]
fn identitys_link_shows_its_code_in_another_browser_and_the_original_window_goes_on() {
    with_engines(|_, identity| {
        let mut browser = Browser::default();
        let (page, here) = identity_mail(&mut browser, identity);
        let opened = Browser::default().get(identity, &page.mail_link());
        assert_eq!((opened.status, opened.code()), (200, page.code()));
        opened.shows("Enter the code in the original window");
        browser.post(identity, &here, &[("code", &opened.code())]).leads_to("/reset-password");
    });
}

#[test]
fn a_link_with_another_code_leads_to_the_form_and_says_so() {
    with_engines(|_, identity| {
        let mut browser = Browser::default();
        let (page, here) = identity_mail(&mut browser, identity);
        let opened = browser.get(identity, &page.mail_link().replace("otp=", "otp=0"));
        assert_eq!(opened.leads_to("/challenge-authenticator/okta_email"), here);
        browser.get(identity, &here).shows("That link is not of the last mail");
        assert!(!browser.get(identity, &here).html.contains("That link"), "it says so once");
    });
}

#[test]
fn a_password_cannot_be_set_before_the_code_came_back() {
    with_engines(|_, identity| {
        let mut browser = Browser::default();
        let (_, here) = identity_mail(&mut browser, identity);
        let reset = here.replace("/challenge-authenticator/okta_email", "/reset-password");
        assert_eq!(browser.post(identity, &reset, &[("password", "new")]).location, here);
        assert_eq!(browser.get(identity, &reset).location, here);
    });
}

#[test]
fn identity_refuses_a_recovery_that_classic_began() {
    with_engines(|classic, identity| {
        let mut browser = Browser::default();
        let csrf = browser.get(classic, "/recover-password").csrf();
        let name = [("csrf", csrf.as_str()), ("name", "Ada")];
        browser.post(identity, "/recover-password", &name).is_refused_by("identity");
        let link = classic_link(&mut browser, classic);
        browser.get(identity, &link).is_refused_by("identity");
        browser.post(identity, &link, &[("password", "new")]).is_refused_by("identity");
    });
}

#[test]
fn classic_refuses_a_recovery_that_identity_began() {
    with_engines(|classic, identity| {
        let mut browser = Browser::default();
        let form = browser.get(identity, "/recover-password").location;
        browser.get(classic, &form).is_refused_by("classic");
        browser.post(classic, &form, &[("name", "Ada")]).is_refused_by("classic");
        let (page, here) = identity_mail(&mut browser, identity);
        browser.get(classic, &here).is_refused_by("classic");
        browser.get(classic, &page.mail_link()).is_refused_by("classic");
        let reset = browser.get(identity, &page.mail_link()).location;
        browser.get(classic, &reset).is_refused_by("classic");
        browser.post(classic, &reset, &[("password", "new")]).is_refused_by("classic");
    });
}
