//! Tickets that were never sealed, and sealed ones that were changed on their way.
//!
//! Invariant: what opens is, byte for byte, what a neighbour with the same key seals for the same ticket; under
//! another name, app, key or epoch, too old, or changed in any bit, nothing opens, and for the right reason.
//!
//! The first 16 bytes say how to seal, the rest is laid over the sealed value with XOR; a first byte with its
//! highest bit set opens the rest as it is.

#![no_main]

use std::time::Duration;

use cutover::decide::bucket::Bucket;
use cutover::decide::cookies::{CookieNames, PLAIN, SECURE};
use cutover::decide::engine::Engine;
use cutover::decide::recall::Recall;
use cutover::decide::ticket::{Rejection, Sealer, SessionPin, SigningKey, Ticket};
use libfuzzer_sys::fuzz_target;

const APPS: [&str; 2] = ["portal", "shop"];

fn key(byte: u8) -> SigningKey {
    SigningKey::new(vec![byte; 32]).expect("32 bytes")
}

fn value(line: &str) -> &[u8] {
    let (_, rest) = line.split_once('=').expect("a cookie");
    rest.split(';').next().expect("a value").as_bytes()
}

/// Opens a value with a sealer that has two keys, and holds whatever opens against what each key seals.
fn open(
    names: &CookieNames,
    app: &str,
    epoch: u32,
    life: Option<Duration>,
    given: &[u8],
    now: u64,
) -> Result<Ticket, Rejection> {
    let sealer = Sealer::new(&[key(1), key(2)], app, epoch, life);
    let opened = sealer.open(names, given, now, None);
    let recall = Recall::default();
    for _ in 0..2 {
        assert_eq!(sealer.open(names, given, now, Some(&recall)), opened, "with a memory");
    }
    if let Ok(ticket) = opened {
        let sealed =
            [1, 2].map(|byte| Sealer::new(&[key(byte)], app, epoch, life).set_cookie(names, &ticket));
        assert!(
            sealed.iter().flatten().any(|line| value(line) == given),
            "opened what nobody seals: {ticket:?}"
        );
        let limit = life.unwrap_or(Duration::from_secs(400 * 86_400)).as_secs();
        assert!(now.saturating_sub(u64::from(ticket.issued)) <= limit, "opened a ticket that had expired");
        let signs_now = sealed[0].as_deref().is_some_and(|line| value(line) == given);
        let lived = now.saturating_sub(u64::from(ticket.issued));
        assert_eq!(ticket.is_current, signs_now);
        assert_eq!(sealer.is_due(&ticket, now), !signs_now || lived > limit / 2);
    }
    opened
}

fuzz_target!(|data: &[u8]| {
    let Some((control, rest)) = data.split_first_chunk::<16>() else { return };
    let names = if control[0] & 1 == 0 { &SECURE } else { &PLAIN };
    let others = if control[0] & 1 == 0 { &PLAIN } else { &SECURE };
    let app = usize::from(control[0] >> 1 & 1);
    let life = match control[0] >> 2 & 3 {
        0 => None,
        1 => Some(Duration::from_secs(60)),
        2 => Some(Duration::from_secs(3600)),
        _ => Some(Duration::from_secs(400 * 86_400)),
    };
    let number = |from: usize| u32::from_be_bytes(control[from..from + 4].try_into().expect("4 bytes"));
    let (issued, epoch, now) = (number(4), u32::from(control[3]), u64::from(number(8)));
    if control[0] & 0x80 != 0 {
        for names in [names, others] {
            assert!(open(names, APPS[app], epoch, life, rest, now).is_err(), "opened what was never sealed");
        }
        return;
    }
    let Some(bucket) = Bucket::new(number(12) % 100_000) else { return };
    let by = 1 + (control[0] >> 4 & 3);
    let engine = |bit: u8| if control[1] & bit != 0 { Engine::Identity } else { Engine::Classic };
    let ticket = Ticket {
        bucket: (control[1] & 4 == 0).then_some(bucket),
        follows_user: control[1] & 1 != 0,
        session: (control[1] & 8 != 0).then(|| SessionPin {
            engine: engine(16),
            made: issued,
            endpoint: issued,
        }),
        last: (control[1] & 32 != 0).then(|| engine(64)),
        leaves: control[1] & 128 != 0,
        issued,
        is_current: by == 1,
    };
    let line = Sealer::new(&[key(by)], APPS[app], epoch, life).set_cookie(names, &ticket).expect("a key");
    let sealed = value(&line);

    let mut given = sealed.to_vec();
    for (byte, mask) in given.iter_mut().zip(rest) {
        *byte ^= mask;
    }
    if control[1] & 2 != 0 {
        given.truncate(usize::from(control[2]));
    } else {
        given.extend(rest.iter().skip(sealed.len()));
    }
    let is_old =
        now.saturating_sub(u64::from(issued)) > life.unwrap_or(Duration::from_secs(400 * 86_400)).as_secs();
    let opened = open(names, APPS[app], epoch, life, &given, now);
    if given != sealed {
        assert!(opened.is_err(), "opened a changed ticket");
        return;
    }
    assert_eq!(
        opened,
        match by {
            3.. => Err(Rejection::UnknownKey),
            _ if is_old => Err(Rejection::Expired),
            _ => Ok(ticket),
        }
    );
    if by < 3 {
        assert_eq!(open(others, APPS[app], epoch, life, sealed, now), Err(Rejection::Signature));
        assert_eq!(open(names, APPS[1 - app], epoch, life, sealed, now), Err(Rejection::Signature));
        assert_eq!(open(names, APPS[app], epoch + 1, life, sealed, now), Err(Rejection::Epoch));
    }
});
