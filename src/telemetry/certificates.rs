//! Certificates that are about to expire, told when a configuration is taken up.

use tracing::warn;

use crate::config::model::Config;
use crate::config::units::write_moment;

/// From so many days before its end on: whoever renews after two thirds of ninety days has failed for two weeks then.
pub const DAYS_OF_WARNING: i64 = 14;

/// Tells of every certificate that clients will soon refuse, or do already. `wall` is in seconds since the Unix epoch.
pub fn tell_of_certificates(config: &Config, wall: u64) {
    for listener in &config.listeners {
        for certificate in listener.tls.iter().flat_map(|tls| &tls.certificates) {
            let (facts, bind) = (&certificate.facts, listener.bind);
            let days_left = facts.days_left(wall);
            if days_left < DAYS_OF_WARNING {
                let (name, expires) = (facts.name(), write_moment(facts.not_after));
                warn!(listener = %bind, name, expires, days_left, "certificate expires");
            }
        }
    }
}
