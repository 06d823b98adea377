//! The envelope of our cookies: signed, and bound to an app, a cookie's name and an epoch.
//!
//! ```text
//! version 1 │ key id 4 │ epoch 4 │ payload │ HMAC-SHA256 32     base64url, no padding
//! ```
//! Integers are big-endian. The HMAC covers every byte before it, under a key derived from the signing key, the
//! cookie's name and the app's name: what was sealed for another app, or moved to another cookie, does not verify.
//! What does not verify is nothing, never an error: it may come from a neighbour with other keys, from before an
//! epoch, or from somebody who tries (`DESIGN.md` 4).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

type HmacSha256 = Hmac<Sha256>;

/// The only version so far. A release reads its own and the one before, and writes the one before until told
/// that every replica reads the new one.
const VERSION: u8 = 1;
const HEAD: usize = 9;
const SIGNATURE: usize = 32;
/// The longest payload: four flow pins.
pub const LONGEST_PAYLOAD: usize = 68;
const LONGEST: usize = (HEAD + LONGEST_PAYLOAD + SIGNATURE) * 4 / 3 + 4;

/// Why a cookie says nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rejection {
    /// Not the shape of one of ours.
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

/// Seals and opens one cookie of one app.
#[derive(Clone, Debug)]
pub struct Seal {
    keys: Vec<PreparedKey>,
    epoch: u32,
    id: u64,
}

/// One signing key, with the state of HMAC after its key block computed beforehand.
#[derive(Clone)]
struct PreparedKey {
    id: [u8; 4],
    mac: HmacSha256,
}

impl fmt::Debug for PreparedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PreparedKey({:08x})", u32::from_be_bytes(self.id))
    }
}

/// What was inside, and whether the key that signs now had sealed it.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    bytes: [u8; LONGEST],
    length: usize,
    /// One that was sealed by an older key is sealed anew, so that the older key can be taken away.
    pub is_current: bool,
}

impl Opened {
    /// The payload.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[HEAD..HEAD + self.length]
    }
}

impl Seal {
    /// The first key seals, all open. Without keys nothing opens and nothing is sealed.
    pub fn new(keys: &[SigningKey], cookie: &str, app: &str, epoch: u32) -> Self {
        let keys: Vec<PreparedKey> =
            keys.iter().map(|key| PreparedKey { id: key.id, mac: derive(key, cookie, app) }).collect();
        let mut digest = Sha256::new().chain_update(b"cutover seal id\0").chain_update(epoch.to_be_bytes());
        for key in &keys {
            digest.update(key.mac.clone().chain_update(b"id").finalize().into_bytes());
        }
        let id = u64::from_be_bytes(*digest.finalize().first_chunk().expect("SHA-256 gives 32 bytes"));
        Self { keys, epoch, id }
    }

    /// Two seals of one id open the same values, and find the same in them.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Appends a sealed payload of at most [`LONGEST_PAYLOAD`] bytes. `None` without a key to seal with.
    pub fn seal(&self, payload: &[u8], out: &mut String) -> Option<()> {
        let key = self.keys.first()?;
        let mut sealed = Vec::with_capacity(HEAD + payload.len() + SIGNATURE);
        sealed.push(VERSION);
        sealed.extend_from_slice(&key.id);
        sealed.extend_from_slice(&self.epoch.to_be_bytes());
        sealed.extend_from_slice(payload);
        let signature = key.mac.clone().chain_update(&sealed).finalize().into_bytes();
        sealed.extend_from_slice(&signature);
        URL_SAFE_NO_PAD.encode_string(sealed, out);
        Some(())
    }

    /// What a cookie's value holds, or why it holds nothing.
    pub fn open(&self, value: &[u8]) -> Result<Opened, Rejection> {
        let mut bytes = [0u8; LONGEST];
        let length = URL_SAFE_NO_PAD.decode_slice(value, &mut bytes).map_err(|_| Rejection::Malformed)?;
        match bytes[..length].first() {
            Some(&VERSION) => {}
            Some(_) => return Err(Rejection::Version),
            None => return Err(Rejection::Malformed),
        }
        let signed = length.checked_sub(SIGNATURE).filter(|signed| *signed >= HEAD);
        let signed = signed.ok_or(Rejection::Malformed)?;
        let at = self.keys.iter().position(|key| key.id == bytes[1..5]).ok_or(Rejection::UnknownKey)?;
        let mac = self.keys[at].mac.clone().chain_update(&bytes[..signed]);
        // `verify_slice` compares in constant time.
        mac.verify_slice(&bytes[signed..length]).map_err(|_| Rejection::Signature)?;
        if bytes[5..HEAD] != self.epoch.to_be_bytes() {
            return Err(Rejection::Epoch);
        }
        Ok(Opened { bytes, length: signed - HEAD, is_current: at == 0 })
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

    #[test]
    fn a_key_prints_only_its_id_and_survives_its_file() {
        let key = SigningKey::new(vec![7; 32]).expect("32 bytes");
        assert!(!format!("{key:?}").contains("07"), "{key:?}");
        assert_eq!(SigningKey::from_base64(&key.to_base64()), Some(key));
        assert_eq!(SigningKey::from_base64("c2hvcnQ="), None);
    }
}
