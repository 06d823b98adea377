//! A stage that comes into force in the middle of a flow.

use cutover::ambient::unix_seconds;
use cutover::config::units::write_moment;

use super::{signs_in_on_identity, site};

#[test]
fn a_stage_in_the_middle_of_a_flow_moves_the_next_flow_only() {
    let site = site([0, 0, 0]);
    let mut ada = site.browser();
    ada.visit("/login");
    ada.submit("/login", "user=ada&password=right");
    let date = write_moment(unix_seconds() + 2);
    site.proxy
        .replace("percent = 0 # sign-in", &format!("stages = [{{ percent = 100, at = {date} }}] # sign-in"));
    site.proxy.counts("cutover_stages_total{app=\"portal\",workflow=\"sign-in\"}", 1.0);
    let away = ada.submit("/signin/verify/okta/email", "code=123456");
    ada.visit(&format!("/authorization-code/callback?code=c&state={}", away.state_sent()));
    ada.went(&[
        "GET /login 200 classic cohort sign-in",
        "POST /login 302 classic flow sign-in",
        "GET /signin/verify/okta/email 200 classic flow sign-in",
        "POST /signin/verify/okta/email 302 classic flow sign-in",
        "GET /authorization-code/callback 302 classic state sign-in",
        "GET / 200 classic session none",
    ]);
    let mut bob = site.browser();
    signs_in_on_identity(&mut bob);
    assert_eq!(bob.told()[0], "GET /login 302 identity cohort sign-in");
    ada.visit("/logout");
    ada.told();
    ada.visit("/login");
    assert_eq!(ada.told()[0], "GET /login 302 identity cohort sign-in");
    site.nobody_was_lost();
    site.proxy.counts("cutover_share_ratio{app=\"portal\",workflow=\"sign-in\"}", 1.0);
}
