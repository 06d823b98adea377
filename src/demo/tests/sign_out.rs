//! Sign-out, which only the engine that holds the session can do.

use crate::demo::tests::client::{Browser, with_engines};
use crate::demo::tests::sign_in::{sign_in_on_classic, sign_in_on_identity};

#[test]
fn the_engine_that_holds_the_session_ends_it() {
    with_engines(|classic, identity| {
        for (engine, sign_in) in
            [(classic, sign_in_on_classic as fn(&mut _, _, &_)), (identity, sign_in_on_identity)]
        {
            for by_link in [false, true] {
                let mut browser = Browser::default();
                sign_in(&mut browser, engine, "Ada");
                let session = browser.jar["demo.sid"].clone();
                let left = match by_link {
                    true => browser.get(engine, "/logout"),
                    false => browser.post(engine, "/logout", &[]),
                };
                assert_eq!(left.leads_to("/signed-out"), "/signed-out");
                assert!(!browser.jar.contains_key("demo.sid"), "{browser:?}");
                browser.get(engine, "/signed-out").shows("Your session here has ended");
                browser.jar.insert("demo.sid".to_owned(), session);
                browser.get(engine, "/").shows("Your session is not known here");
            }
        }
    });
}

#[test]
fn the_other_engine_is_as_cheerful_and_the_session_lives_on() {
    with_engines(|classic, identity| {
        let mut browser = Browser::default();
        sign_in_on_classic(&mut browser, classic, "Ada");
        let session = browser.jar["demo.sid"].clone();
        let left = browser.get(identity, "/logout");
        assert_eq!(left.leads_to("/signed-out"), "/signed-out?unknown");
        browser.get(identity, &left.location).shows("did not know your session");
        browser.jar.insert("demo.sid".to_owned(), session);
        browser.get(classic, "/").shows("Signed in as Ada");
    });
}

#[test]
fn signing_in_anew_ends_the_session_before() {
    with_engines(|classic, _| {
        let mut browser = Browser::default();
        sign_in_on_classic(&mut browser, classic, "Ada");
        let before = browser.jar["demo.sid"].clone();
        sign_in_on_classic(&mut browser, classic, "Bob");
        browser.get(classic, "/").shows("Signed in as Bob");
        browser.jar.insert("demo.sid".to_owned(), before);
        browser.get(classic, "/").shows("Your session is not known here");
    });
}
