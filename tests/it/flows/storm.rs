//! Scenario 28 at its full size: a thousand flows, a storm of reloads, and a restart in the middle.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use cutover::control::Outcome;

use crate::support::{Browser, Proxy};

use super::site_with;

const BROWSERS: usize = 1000;
/// As many connections carry them all.
const CONNECTIONS: usize = 8;

/// One of the thousand, and where its sign-in has begun.
struct Visitor {
    browser: Browser,
    engine: String,
    story: Vec<String>,
}

/// Takes every visitor one step further, over a few connections that they share.
fn all_of(visitors: &mut [Visitor], proxy: &Proxy, step: impl Fn(&mut Visitor) + Sync, done: &AtomicUsize) {
    thread::scope(|scope| {
        for some in visitors.chunks_mut(BROWSERS / CONNECTIONS) {
            let step = &step;
            scope.spawn(move || {
                // Counted however it ends: the storm waits for nobody who is gone.
                struct Done<'a>(&'a AtomicUsize);
                impl Drop for Done<'_> {
                    fn drop(&mut self) {
                        self.0.fetch_add(1, Ordering::SeqCst);
                    }
                }
                let _done = Done(done);
                let mut connection = Some(proxy.client());
                for visitor in some {
                    visitor.browser.goes_to(proxy.address());
                    visitor.browser.lent = connection.take();
                    step(visitor);
                    connection = visitor.browser.lent.take();
                    visitor.story.append(&mut visitor.browser.told());
                }
            });
        }
    });
}

/// As [`all_of`], while every share changes over and over, and some edits are broken. How many there were of each kind.
fn in_a_storm(visitors: &mut [Visitor], proxy: &Proxy, step: impl Fn(&mut Visitor) + Sync) -> [usize; 2] {
    let done = AtomicUsize::new(0);
    thread::scope(|scope| {
        let storm = scope.spawn(|| {
            let (mut edits, mut last) = ([0; 2], proxy.text());
            let mut share = 0;
            while done.load(Ordering::SeqCst) < CONNECTIONS {
                share = (share + 37) % 101;
                let lines = last.lines().map(|line| match line.split_once(" # ") {
                    Some((_, workflow)) => format!("percent = {share} # {workflow}\n"),
                    None => format!("{line}\n"),
                });
                let good: String = lines.collect();
                proxy.edit(|_| good.clone());
                edits[0] += 1;
                if edits[0] % 8 == 1 {
                    let broken = proxy
                        .try_edit(|text| text.replace("[apps.portal.identity]", "[apps.portal.identiti]"));
                    // Unchanged is what the file watch was the first to reject.
                    assert!(
                        matches!(broken, Outcome::Rejected { .. } | Outcome::Unchanged { .. }),
                        "{broken:?}"
                    );
                    edits[1] += 1;
                }
                last = good;
            }
            // What the next proxy begins with.
            proxy.edit(|_| last.clone());
            edits
        });
        all_of(visitors, proxy, step, &done);
        storm.join().expect("it only edits")
    })
}

#[test]
fn c28_a_thousand_flows_live_through_a_storm_of_reloads_and_a_restart() {
    // Behind a load balancer, as all come over the same connections.
    let site = site_with("", [50, 50, 50], "[trust]\nproxies = [\"127.0.0.0/8\"]\n");
    let visitor = |_| Visitor { browser: site.browser(), engine: String::new(), story: Vec::new() };
    let mut visitors: Vec<Visitor> = (0..BROWSERS).map(visitor).collect();

    let edits = in_a_storm(&mut visitors, &site.proxy, |visitor| {
        visitor.browser.visit("/login");
        let form = visitor.browser.at();
        visitor.browser.submit(&form, "user=ada&password=right");
    });
    assert!(edits[0] >= 10 && edits[1] >= 2, "that is no storm: {edits:?}");
    for visitor in &mut visitors {
        visitor.engine = visitor.story[0].split(' ').nth(3).expect("an engine").to_owned();
    }
    let on_identity = visitors.iter().filter(|visitor| visitor.engine == "identity").count();
    assert!((50..950).contains(&on_identity), "{on_identity} of a thousand");
    let started = |proxy: &Proxy, what: &str, outcome: &str| -> f64 {
        let count = |engine| {
            proxy.metric(&format!(
                "cutover_flows_{what}{{app=\"portal\",workflow=\"sign-in\",engine=\"{engine}\"{outcome}}}"
            ))
        };
        count("classic") + count("identity")
    };
    crate::support::eventually("a thousand have begun", || {
        (started(&site.proxy, "started_total", "") == 1000.0).then_some(())
    });

    // Another process with the same files: whatever it knows of these flows, the browsers bring.
    let super::Site { classic, identity, proxy } = site;
    let text = proxy.text();
    let (_, folder) = proxy.shut_down();
    let next = Proxy::within(folder, text);
    let edits = in_a_storm(&mut visitors, &next, |visitor| {
        let browser = &mut visitor.browser;
        if visitor.engine == "identity" {
            let challenge = browser.at();
            browser.submit(&challenge, "code=123456");
        } else {
            let away = browser.submit("/signin/verify/okta/email", "code=123456");
            browser.visit(&format!("/authorization-code/callback?code=c&state={}", away.state_sent()));
        }
        browser.visit("/account");
    });
    assert!(edits[0] >= 10 && edits[1] >= 2, "that is no storm: {edits:?}");

    for Visitor { engine, story, .. } in &visitors {
        let strayed = story.iter().find(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            words[3] != engine || words[2].parse::<u16>().is_ok_and(|status| status >= 400)
        });
        assert_eq!(strayed, None, "{story:?}");
        let ending =
            [format!("GET / 200 {engine} session none"), format!("GET /account 200 {engine} session none")];
        assert_eq!(story[story.len() - 2..], ending, "{story:?}");
    }
    crate::support::eventually("a thousand have signed in", || {
        (started(&next, "total", ",outcome=\"success\"") == 1000.0).then_some(())
    });
    for outcome in ["failure", "replaced", "expired"] {
        assert_eq!(started(&next, "total", &format!(",outcome=\"{outcome}\"")), 0.0, "{outcome}");
    }
    super::Site { classic, identity, proxy: next }.nobody_was_lost();
}
