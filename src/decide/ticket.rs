//! What a browser's signed cookie says: seal it, and open it again.
//!
//! A ticket that does not verify is *no ticket*, never an error: it may come from a neighbour with other keys,
//! from before an epoch, or from somebody who tries (`DESIGN.md` 4).
//!
//! ```text
//! version 1 │ key id 4 │ flags 1 │ epoch 4 │ issued 4 │ bucket 3 │ HMAC-SHA256 32     base64url, no padding
//! ```
//! Integers are big-endian. The HMAC covers every byte before it, under a key derived from the signing key, the
//! cookie's name and the app's name: a ticket of another app, or moved to another cookie, does not verify.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::decide::bucket::Bucket;
use crate::decide::cookies::{self, CookieNames};

type HmacSha256 = Hmac<Sha256>;

/// The only version so far. A release reads its own and the one before, and writes the one before until told
/// that every replica reads the new one.
const VERSION: u8 = 1;
const PAYLOAD: usize = 17;
const SIGNATURE: usize = 32;
const SEALED: usize = (PAYLOAD + SIGNATURE) * 4 / 3 + 1;
const FLAG_USER: u8 = 1;

/// Browsers cap a cookie's life at 400 days (RFC 6265bis 5.5): a ticket that claims to be older was not kept
/// by a browser.
const LONGEST_LIFE: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// What a ticket says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ticket {
    /// Where this browser stands on the line.
    pub bucket: Bucket,
    /// Whether the bucket is that of a user key, or was minted for the browser.
    pub follows_user: bool,
    /// When it was sealed, in seconds since the Unix epoch.
    pub issued: u32,
    /// Whether the key that signs now sealed it; one that was sealed by an older key is sealed anew, so that the
    /// older key can be taken away. Not part of what is sealed.
    pub is_current: bool,
}

/// Why a cookie is no ticket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rejection {
    /// Not the shape of a ticket.
    Malformed,
    /// Written by a release we do not read.
    Version,
    /// Signed by a key we do not have.
    UnknownKey,
    /// The signature is wrong: forged, cut, of another app or another cookie.
    Signature,
    /// Sealed under another epoch.
    Epoch,
    /// Too old.
    Expired,
}

impl Rejection {
    /// All reasons, for metrics.
    pub const ALL: [Self; 6] =
        [Self::Malformed, Self::Version, Self::UnknownKey, Self::Signature, Self::Epoch, Self::Expired];

    /// The name in metrics and `explain`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Version => "version",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Epoch => "epoch",
            Self::Expired => "expired",
        }
    }
}

/// A key that signs tickets: 32 bytes or more. Prints as its id.
#[derive(Clone, Eq, PartialEq)]
pub struct SigningKey {
    bytes: Vec<u8>,
    id: [u8; 4],
}

impl SigningKey {
    /// The shortest key: that of HMAC-SHA256's output (RFC 2104 3).
    pub const SHORTEST: usize = 32;

    /// `None` when the key is too short to be safe.
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        if bytes.len() < Self::SHORTEST {
            return None;
        }
        let digest = Sha256::new().chain_update(b"cutover key id\0").chain_update(&bytes).finalize();
        let (id, _) = digest.split_first_chunk::<4>().expect("SHA-256 gives 32 bytes");
        Some(Self { id: *id, bytes })
    }

    /// Reads a line of a key file.
    pub fn from_base64(line: &str) -> Option<Self> {
        STANDARD.decode(line.trim()).ok().and_then(Self::new)
    }

    /// The line of a key file that holds this key.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(&self.bytes)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey({:08x})", u32::from_be_bytes(self.id))
    }
}

/// Seals and opens the tickets of one app.
#[derive(Clone, Debug)]
pub struct Sealer {
    keys: Vec<PreparedKey>,
    epoch: u32,
    /// `Max-Age` of the cookie; `None` for a session cookie.
    lifetime: Option<Duration>,
}

/// One signing key, with the state of HMAC after its key block computed beforehand for each cookie name.
#[derive(Clone)]
struct PreparedKey {
    id: [u8; 4],
    secure: HmacSha256,
    plain: HmacSha256,
}

impl fmt::Debug for PreparedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PreparedKey({:08x})", u32::from_be_bytes(self.id))
    }
}

impl Sealer {
    /// The first key signs, all verify. Without keys nothing verifies and nothing is sealed.
    pub fn new(keys: &[SigningKey], app: &str, epoch: u32, lifetime: Option<Duration>) -> Self {
        let keys = keys
            .iter()
            .map(|key| PreparedKey {
                id: key.id,
                secure: derive(key, cookies::SECURE.ticket, app),
                plain: derive(key, cookies::PLAIN.ticket, app),
            })
            .collect();
        Self { keys, epoch, lifetime }
    }

    /// The value of `Set-Cookie` that gives a browser this ticket; `None` without a key to sign with.
    pub fn set_cookie(&self, names: &CookieNames, ticket: &Ticket) -> Option<String> {
        let key = self.keys.first()?;
        let mut sealed = [0u8; PAYLOAD + SIGNATURE];
        sealed[0] = VERSION;
        sealed[1..5].copy_from_slice(&key.id);
        sealed[5] = if ticket.follows_user { FLAG_USER } else { 0 };
        sealed[6..10].copy_from_slice(&self.epoch.to_be_bytes());
        sealed[10..14].copy_from_slice(&ticket.issued.to_be_bytes());
        sealed[14..17].copy_from_slice(&ticket.bucket.get().to_be_bytes()[1..]);
        let signature = key.mac(names).chain_update(&sealed[..PAYLOAD]).finalize().into_bytes();
        sealed[PAYLOAD..].copy_from_slice(&signature);

        let mut line = String::with_capacity(160);
        line.push_str(names.ticket);
        line.push('=');
        URL_SAFE_NO_PAD.encode_string(sealed, &mut line);
        line.push_str("; Path=/; HttpOnly; SameSite=Lax");
        if names.secure {
            line.push_str("; Secure");
        }
        if let Some(lifetime) = self.lifetime {
            line.push_str("; Max-Age=");
            line.push_str(&lifetime.as_secs().to_string());
        }
        Some(line)
    }

    /// What a cookie's value says, or why it says nothing. `now` is in seconds since the Unix epoch.
    pub fn open(&self, names: &CookieNames, value: &[u8], now: u64) -> Result<Ticket, Rejection> {
        let mut sealed = [0u8; SEALED];
        let length = URL_SAFE_NO_PAD.decode_slice(value, &mut sealed).map_err(|_| Rejection::Malformed)?;
        let sealed = &sealed[..length];
        match sealed.first() {
            Some(&VERSION) => {}
            Some(_) => return Err(Rejection::Version),
            None => return Err(Rejection::Malformed),
        }
        let (payload, signature) = sealed.split_at_checked(PAYLOAD).ok_or(Rejection::Malformed)?;
        if signature.len() != SIGNATURE {
            return Err(Rejection::Malformed);
        }
        let at = self.keys.iter().position(|key| key.id == payload[1..5]).ok_or(Rejection::UnknownKey)?;
        let key = &self.keys[at];
        // `verify_slice` compares in constant time.
        key.mac(names).chain_update(payload).verify_slice(signature).map_err(|_| Rejection::Signature)?;

        let integer = |from: usize| u32::from_be_bytes(payload[from..from + 4].try_into().expect("4 bytes"));
        if integer(6) != self.epoch {
            return Err(Rejection::Epoch);
        }
        let issued = integer(10);
        if now.saturating_sub(u64::from(issued)) > self.life().as_secs() {
            return Err(Rejection::Expired);
        }
        // Ours cannot be beyond the line; the check keeps the type honest.
        let bucket = Bucket::new(integer(13) & 0x00FF_FFFF).ok_or(Rejection::Malformed)?;
        Ok(Ticket { bucket, follows_user: payload[5] & FLAG_USER != 0, issued, is_current: at == 0 })
    }

    /// Whether a ticket should be sealed anew, so that a browser that keeps coming never loses it: it has lived
    /// half its life, or was sealed by a key that does not sign any more.
    pub fn is_due(&self, ticket: &Ticket, now: u64) -> bool {
        !ticket.is_current || now.saturating_sub(u64::from(ticket.issued)) > self.life().as_secs() / 2
    }

    fn life(&self) -> Duration {
        self.lifetime.unwrap_or(LONGEST_LIFE)
    }
}

impl PreparedKey {
    fn mac(&self, names: &CookieNames) -> HmacSha256 {
        if names.secure { self.secure.clone() } else { self.plain.clone() }
    }
}

/// The key of one cookie of one app. The zero bytes keep `ab` + `c` apart from `a` + `bc`: neither name can
/// contain one.
fn derive(key: &SigningKey, cookie: &str, app: &str) -> HmacSha256 {
    let derived = new_mac(&key.bytes)
        .chain_update(b"cutover ticket\0")
        .chain_update(cookie.as_bytes())
        .chain_update(b"\0")
        .chain_update(app.as_bytes())
        .finalize()
        .into_bytes();
    new_mac(&derived)
}

fn new_mac(key: &[u8]) -> HmacSha256 {
    HmacSha256::new_from_slice(key).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::cookies::{PLAIN, SECURE};

    const NOW: u64 = 1_800_000_000;

    fn key(byte: u8) -> SigningKey {
        SigningKey::new(vec![byte; 32]).expect("32 bytes")
    }

    fn ticket() -> Ticket {
        Ticket {
            bucket: Bucket::new(71_213).expect("on the line"),
            follows_user: true,
            issued: NOW as u32,
            is_current: true,
        }
    }

    fn value(line: &str) -> &[u8] {
        let (_, rest) = line.split_once('=').expect("a cookie");
        rest.split(';').next().expect("a value").as_bytes()
    }

    #[test]
    fn a_sealed_ticket_opens_with_any_of_the_keys() {
        let old = Sealer::new(&[key(1)], "portal", 1, None);
        let rotated = Sealer::new(&[key(2), key(1)], "portal", 1, None);
        let line = old.set_cookie(&SECURE, &ticket()).expect("a key");
        assert!(
            line.starts_with("__Host-cutover=") && line.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure")
        );
        let of_old_key = Ticket { is_current: false, ..ticket() };
        assert_eq!(rotated.open(&SECURE, value(&line), NOW), Ok(of_old_key));
        assert!(rotated.is_due(&of_old_key, NOW) && !rotated.is_due(&ticket(), NOW));
        let line = rotated.set_cookie(&SECURE, &ticket()).expect("a key");
        assert_eq!(old.open(&SECURE, value(&line), NOW), Err(Rejection::UnknownKey));
    }

    #[test]
    fn whatever_is_not_exactly_ours_is_rejected_for_its_reason() {
        let sealer = Sealer::new(&[key(1)], "portal", 3, Some(Duration::from_secs(100)));
        let line = sealer.set_cookie(&PLAIN, &ticket()).expect("a key");
        assert!(
            line.starts_with("cutover=") && line.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=100")
        );
        let good = value(&line).to_vec();
        assert_eq!(sealer.open(&PLAIN, &good, NOW + 100), Ok(ticket()));

        let open = |sealer: &Sealer, names, value: &[u8], now| sealer.open(names, value, now).unwrap_err();
        let of_app = |app| Sealer::new(&[key(1)], app, 3, None);
        assert_eq!(open(&of_app("other"), &PLAIN, &good, NOW), Rejection::Signature);
        assert_eq!(open(&sealer, &SECURE, &good, NOW), Rejection::Signature, "moved to the other cookie");
        assert_eq!(open(&Sealer::new(&[key(1)], "portal", 4, None), &PLAIN, &good, NOW), Rejection::Epoch);
        assert_eq!(open(&sealer, &PLAIN, &good, NOW + 101), Rejection::Expired);
        assert_eq!(open(&sealer, &PLAIN, &good[..good.len() - 4], NOW), Rejection::Malformed);
        assert_eq!(open(&sealer, &PLAIN, b"", NOW), Rejection::Malformed);
        assert_eq!(open(&sealer, &PLAIN, &[b'A'; 8192], NOW), Rejection::Malformed);
        assert_eq!(open(&sealer, &PLAIN, b"Ag", NOW), Rejection::Version);
        let sealed = URL_SAFE_NO_PAD.decode(&good).expect("ours");
        for bit in 0..sealed.len() * 8 {
            let mut forged = sealed.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(
                sealer.open(&PLAIN, URL_SAFE_NO_PAD.encode(forged).as_bytes(), NOW).is_err(),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn a_ticket_is_due_after_half_its_life() {
        let sealer = Sealer::new(&[key(1)], "portal", 1, Some(Duration::from_secs(100)));
        assert!(!sealer.is_due(&ticket(), NOW + 50));
        assert!(sealer.is_due(&ticket(), NOW + 51));
        assert!(!sealer.is_due(&ticket(), NOW - 1000), "a clock that went back makes nothing due");
    }

    #[test]
    fn a_key_prints_only_its_id_and_survives_its_file() {
        let key = key(7);
        assert!(!format!("{key:?}").contains("07"), "{key:?}");
        assert_eq!(SigningKey::from_base64(&key.to_base64()), Some(key));
        assert_eq!(SigningKey::from_base64("c2hvcnQ="), None);
    }
}
