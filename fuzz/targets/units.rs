//! Every parser of `config::units` over any text.
//!
//! Invariant: what is read is written so that it is read again as the same; a percentage is exactly the number
//! that was written; a refused endpoint never shows what may be its password.

#![no_main]

use cutover::config::units;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(duration) = units::duration(text) {
        assert!(duration <= units::LONGEST, "{duration:?}");
        assert_eq!(units::duration(&units::write_duration(duration)), Ok(duration));
    }
    if let Ok(bytes) = units::size(text) {
        assert!(i64::try_from(bytes).is_ok());
        assert_eq!(units::size(&units::write_size(bytes)), Ok(bytes));
    }
    if let Ok(share) = units::percent(text) {
        assert_eq!(units::percent(&share.to_string()), Ok(share));
        assert_eq!(units::percent(&units::write_percent(share)), Ok(share));
        // An oracle that is coarse, but not ours: the nearest float is within a thousandth of a part.
        let trimmed = text.trim();
        let number = trimmed.strip_suffix('%').unwrap_or(trimmed).trim_end();
        let float: f64 = number.parse().expect("a number");
        assert!((float * 1000.0 - f64::from(share.parts())).abs() < 0.001, "{float} became {share}");
    }
    if let Ok((host, port)) = units::host_port(text) {
        let written = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        assert!(port != 0 && host == host.to_ascii_lowercase());
        assert_eq!(units::host_port(&written), Ok((host, port)));
    }
    if let Ok(url) = units::endpoint_url(text) {
        assert!(!text.contains('@') && url.port != 0);
        assert_eq!(units::endpoint_url(&url.to_string()), Ok(url));
    }
    if let Ok(address) = units::bind_address(text) {
        assert_eq!(units::bind_address(&address.to_string()), Ok(address));
    }
    if let Ok(network) = units::network(text) {
        assert_eq!(network, network.trunc());
        assert_eq!(units::network(&network.to_string()), Ok(network));
    }
    for with_password in [format!("{text}hunter2@host:80"), format!("http://user:hunter2@{text}")] {
        let refused = units::endpoint_url(&with_password).expect_err("nobody signs in to an endpoint");
        assert!(!format!("{refused:?}").contains("hunter2"), "{refused:?}");
    }
});
