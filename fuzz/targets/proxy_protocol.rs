//! PROXY protocol headers.
//!
//! Invariant: a header is no longer than what was given; every part of it wants more, and whatever follows it changes
//! nothing; what is no header stays none, whatever follows.

#![no_main]

use cutover::net::proxy_protocol::{Told, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let more = [data, b"GET / HTTP/1.1\r\n\r\n"].concat();
    match parse(data) {
        Ok(Some(header)) => {
            assert!((1..=data.len()).contains(&header.length));
            for length in 0..header.length {
                assert_eq!(parse(&data[..length]), Ok(None), "{length}");
            }
            assert_eq!(parse(&more), Ok(Some(header)));
            if let Told::Client(addresses) = header.told {
                assert_eq!(addresses.source.is_ipv4(), addresses.destination.is_ipv4());
            }
        }
        Ok(None) => {}
        Err(_) => assert!(parse(&more).is_err()),
    }
});
