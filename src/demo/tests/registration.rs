//! Registration, which ends signed in on both engines.

use crate::demo::tests::client::{Browser, with_engines};

#[test]
fn classic_registers_by_form_and_code() {
    with_engines(|classic, _| {
        let mut browser = Browser::default();
        let csrf = browser.get(classic, "/register").csrf();
        let sent = browser.post(classic, "/register", &[("csrf", &csrf), ("name", "Ada")]);
        let here = sent.leads_to("/enroll-authenticator/okta_email");
        let page = browser.get(classic, here);
        assert_eq!(browser.post(classic, here, &[("csrf", &csrf), ("code", "x")]).status, 422);
        let confirmed = browser.post(classic, here, &[("csrf", &csrf), ("code", &page.code())]);
        assert_eq!(confirmed.leads_to("/"), "/");
        browser.get(classic, "/").shows("Signed in as Ada");
    });
}

#[test]
fn identity_registers_with_its_state_in_every_url() {
    with_engines(|_, identity| {
        let mut browser = Browser::default();
        let begun = browser.get(identity, "/register");
        let sent = browser.post(identity, begun.leads_to("/register"), &[("name", "Ada")]);
        let here = sent.leads_to("/enroll-authenticator/okta_email");
        let code = browser.get(identity, here).code();
        let confirmed = browser.post(identity, here, &[("code", &code)]);
        assert_eq!(confirmed.leads_to("/"), "/");
        browser.get(identity, "/").shows("Signed in as Ada");
    });
}

#[test]
fn identity_refuses_a_registration_that_classic_began() {
    with_engines(|classic, identity| {
        let mut browser = Browser::default();
        let csrf = browser.get(classic, "/register").csrf();
        let name = [("csrf", csrf.as_str()), ("name", "Ada")];
        browser.post(identity, "/register", &name).is_refused_by("identity");
        let here = browser.post(classic, "/register", &name).location;
        browser.get(identity, &here).is_refused_by("identity");
        let code = browser.get(classic, &here).code();
        browser.post(identity, &here, &[("csrf", &csrf), ("code", &code)]).is_refused_by("identity");
    });
}

#[test]
fn classic_refuses_a_registration_that_identity_began() {
    with_engines(|classic, identity| {
        let mut browser = Browser::default();
        let form = browser.get(identity, "/register").location;
        browser.get(classic, &form).is_refused_by("classic");
        browser.post(classic, &form, &[("name", "Ada")]).is_refused_by("classic");
        let here = browser.post(identity, &form, &[("name", "Ada")]).location;
        browser.get(classic, &here).is_refused_by("classic");
        let code = browser.get(identity, &here).code();
        browser.post(classic, &here, &[("code", &code)]).is_refused_by("classic");
    });
}
