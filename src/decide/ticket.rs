//! What a browser's ticket says: its place on the line, who holds its session, who served it last.
//!
//! ```text
//! flags 1 │ issued 4 │ bucket 3 │ when a session pin: made 4, endpoint 4      inside the envelope of `seal`
//! ```
//! Integers are big-endian; a place or an engine that a flag denies is 0.

use std::time::Duration;

use crate::decide::bucket::Bucket;
use crate::decide::cookies::{self, CookieNames};
use crate::decide::engine::Engine;
use crate::decide::flow::Flows;
use crate::decide::recall::Recall;
use crate::decide::seal::Seal;

pub use crate::decide::seal::{Rejection, SigningKey};

const PLAIN_PAYLOAD: usize = 8;
const SESSION_PAYLOAD: usize = 16;

const FLAG_USER: u8 = 1;
const FLAG_BUCKET: u8 = 1 << 1;
const FLAG_SESSION: u8 = 1 << 2;
const FLAG_SESSION_IDENTITY: u8 = 1 << 3;
const FLAG_LAST: u8 = 1 << 4;
const FLAG_LAST_IDENTITY: u8 = 1 << 5;
/// Came later than the others, and needs no other version: tickets from before have it not set, and a release from
/// before does not look at it. There no order is known either.
const FLAG_LEAVES: u8 = 1 << 6;

/// Browsers cap a cookie's life at 400 days (RFC 6265bis 5.5): a ticket that claims to be older was not kept
/// by a browser.
const LONGEST_LIFE: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// What a ticket says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ticket {
    /// Where this browser stands on the line; `None` where the app's keys do not end in `device`.
    pub bucket: Option<Bucket>,
    /// Whether the bucket is that of a user key, or was minted for the browser.
    pub follows_user: bool,
    /// Who holds this browser's signed-in session.
    pub session: Option<SessionPin>,
    /// Who served its last page.
    pub last: Option<Engine>,
    /// Whether an order has sent it to sign out of its session; without a session: whether an order has ended that
    /// since its last page.
    pub leaves: bool,
    /// When it was sealed, in seconds since the Unix epoch.
    pub issued: u32,
    /// Whether the key that signs now sealed it; one that was sealed by an older key is sealed anew, so that the
    /// older key can be taken away. Not part of what is sealed.
    pub is_current: bool,
}

/// Which engine holds a signed-in session, and since when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SessionPin {
    /// Who holds it.
    pub engine: Engine,
    /// When the pin was made, in seconds since the Unix epoch.
    pub made: u32,
    /// The hash of the endpoint that holds it; 0: none in particular.
    pub endpoint: u32,
}

impl Ticket {
    /// A ticket that says nothing yet.
    pub const fn new(issued: u32) -> Self {
        Self {
            bucket: None,
            follows_user: false,
            session: None,
            last: None,
            leaves: false,
            issued,
            is_current: true,
        }
    }

    /// Whether a browser that holds the other one should be given this one: when it was sealed does not matter.
    pub fn differs_from(&self, held: &Self) -> bool {
        *self != Self { issued: self.issued, is_current: self.is_current, ..*held }
    }

    fn write(&self) -> Vec<u8> {
        let identity = |flag: u8, engine: Engine| if engine == Engine::Identity { flag } else { 0 };
        let mut flags = if self.follows_user { FLAG_USER } else { 0 };
        if self.bucket.is_some() {
            flags |= FLAG_BUCKET;
        }
        if let Some(session) = self.session {
            flags |= FLAG_SESSION | identity(FLAG_SESSION_IDENTITY, session.engine);
        }
        if let Some(last) = self.last {
            flags |= FLAG_LAST | identity(FLAG_LAST_IDENTITY, last);
        }
        if self.leaves {
            flags |= FLAG_LEAVES;
        }
        let mut payload = Vec::with_capacity(SESSION_PAYLOAD);
        payload.push(flags);
        payload.extend_from_slice(&self.issued.to_be_bytes());
        payload.extend_from_slice(&self.bucket.map_or(0, Bucket::get).to_be_bytes()[1..]);
        if let Some(session) = self.session {
            payload.extend_from_slice(&session.made.to_be_bytes());
            payload.extend_from_slice(&session.endpoint.to_be_bytes());
        }
        payload
    }

    fn read(payload: &[u8], is_current: bool) -> Option<Self> {
        let flags = *payload.first()?;
        let has = |flag: u8| flags & flag != 0;
        let engine = |flag: u8| if has(flag) { Engine::Identity } else { Engine::Classic };
        if payload.len() != if has(FLAG_SESSION) { SESSION_PAYLOAD } else { PLAIN_PAYLOAD } {
            return None;
        }
        let integer = |from: usize| u32::from_be_bytes(payload[from..from + 4].try_into().expect("4 bytes"));
        Some(Self {
            // Ours cannot be beyond the line; the check keeps the type honest.
            bucket: if has(FLAG_BUCKET) { Some(Bucket::new(integer(4) & 0x00FF_FFFF)?) } else { None },
            follows_user: has(FLAG_USER),
            session: has(FLAG_SESSION).then(|| SessionPin {
                engine: engine(FLAG_SESSION_IDENTITY),
                made: integer(8),
                endpoint: integer(12),
            }),
            last: has(FLAG_LAST).then(|| engine(FLAG_LAST_IDENTITY)),
            leaves: has(FLAG_LEAVES),
            issued: integer(1),
            is_current,
        })
    }
}

/// What a tester token says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tester {
    /// Who serves its browser.
    pub engine: Engine,
    /// Until when, in seconds since the Unix epoch.
    pub expires: u32,
}

/// Seals and opens the cookies of one app.
#[derive(Clone, Debug)]
pub struct Sealer {
    secure: Seals,
    plain: Seals,
    /// A link is made where nobody knows how its browser will come: one seal for both schemes.
    tester: Seal,
    /// `Max-Age` of the ticket; `None` for a session cookie.
    lifetime: Option<Duration>,
    /// Whether the cookies must come with the identity provider's POSTs from its own site: browsers send it none that
    /// is not `SameSite=None` (RFC 6265bis 5.2), and such cookies only with `Secure`.
    cross_site: bool,
}

#[derive(Clone, Debug)]
struct Seals {
    ticket: Seal,
    flow: Seal,
}

impl Sealer {
    /// The first key signs, all verify. Without keys nothing verifies and nothing is sealed.
    pub fn new(keys: &[SigningKey], app: &str, epoch: u32, lifetime: Option<Duration>) -> Self {
        let seals = |names: &CookieNames| Seals {
            ticket: Seal::new(keys, names.ticket, app, epoch),
            flow: Seal::new(keys, names.flow, app, epoch),
        };
        let tester = Seal::new(keys, cookies::SECURE.tester, app, epoch);
        Self {
            secure: seals(&cookies::SECURE),
            plain: seals(&cookies::PLAIN),
            tester,
            lifetime,
            cross_site: false,
        }
    }

    /// Seals cookies that come with POSTs from other sites: pins, and with them the ticket, or a callback without
    /// it would place the browser anew.
    #[must_use]
    pub fn with_cross_site(self, cross_site: bool) -> Self {
        Self { cross_site, ..self }
    }

    fn attributes(&self, names: &CookieNames) -> &'static str {
        match (names.secure, self.cross_site) {
            (true, true) => "; Path=/; HttpOnly; SameSite=None; Secure",
            (true, false) => "; Path=/; HttpOnly; SameSite=Lax; Secure",
            (false, _) => "; Path=/; HttpOnly; SameSite=Lax",
        }
    }

    fn seals(&self, names: &CookieNames) -> &Seals {
        if names.secure { &self.secure } else { &self.plain }
    }

    /// The value of `Set-Cookie` that gives a browser this ticket; `None` without a key to sign with.
    pub fn set_cookie(&self, names: &CookieNames, ticket: &Ticket) -> Option<String> {
        let mut line = String::with_capacity(160);
        line.push_str(names.ticket);
        line.push('=');
        self.seals(names).ticket.seal(&ticket.write(), &mut line)?;
        line.push_str(self.attributes(names));
        if let Some(lifetime) = self.lifetime {
            line.push_str("; Max-Age=");
            line.push_str(&lifetime.as_secs().to_string());
        }
        Some(line)
    }

    /// What a cookie's value says, or why it says nothing. `now` is in seconds since the Unix epoch; `recall` saves
    /// work and changes nothing.
    pub fn open(
        &self,
        names: &CookieNames,
        value: &[u8],
        now: u64,
        recall: Option<&Recall>,
    ) -> Result<Ticket, Rejection> {
        let seal = &self.seals(names).ticket;
        let ticket = match recall.and_then(|recall| recall.find(seal.id(), value)) {
            Some(ticket) => ticket,
            None => {
                let opened = seal.open(value)?;
                let ticket = Ticket::read(opened.payload(), opened.is_current).ok_or(Rejection::Malformed)?;
                if let Some(recall) = recall {
                    recall.keep(seal.id(), value, &ticket);
                }
                ticket
            }
        };
        if now.saturating_sub(u64::from(ticket.issued)) > self.life().as_secs() {
            return Err(Rejection::Expired);
        }
        Ok(ticket)
    }

    /// The value of `Set-Cookie` that gives a browser these flow pins, or takes them away where there are none.
    pub fn set_flow_cookie(&self, names: &CookieNames, flows: &Flows) -> Option<String> {
        let mut line = String::with_capacity(256);
        line.push_str(names.flow);
        line.push('=');
        if !flows.is_empty() {
            self.seals(names).flow.seal(&flows.write(), &mut line)?;
        }
        line.push_str(self.attributes(names));
        if flows.is_empty() {
            line.push_str("; Max-Age=0");
        }
        Some(line)
    }

    /// The flow pins that a cookie's value holds, or why it holds none.
    pub fn open_flows(&self, names: &CookieNames, value: &[u8]) -> Result<Flows, Rejection> {
        let opened = self.seals(names).flow.open(value)?;
        Flows::read(opened.payload(), opened.is_current).ok_or(Rejection::Malformed)
    }

    /// The token of a tester link: its browser gets this engine until then, in seconds since the Unix epoch. `None`
    /// without a key to sign with.
    pub fn tester_token(&self, engine: Engine, expires: u32) -> Option<String> {
        let mut payload = vec![engine.index() as u8];
        payload.extend_from_slice(&expires.to_be_bytes());
        let mut token = String::new();
        self.tester.seal(&payload, &mut token)?;
        Some(token)
    }

    /// What a tester token says, in a link or in its cookie.
    pub fn open_tester(&self, token: &[u8], now: u64) -> Result<Tester, Rejection> {
        let opened = self.tester.open(token)?;
        let [engine, expires @ ..] = opened.payload() else { return Err(Rejection::Malformed) };
        let engine = Engine::BOTH.get(usize::from(*engine)).copied().ok_or(Rejection::Malformed)?;
        let expires = u32::from_be_bytes(expires.try_into().map_err(|_| Rejection::Malformed)?);
        if u64::from(expires) <= now {
            return Err(Rejection::Expired);
        }
        Ok(Tester { engine, expires })
    }

    /// The value of `Set-Cookie` that gives a browser a tester token, or takes it away.
    pub fn set_tester_cookie(names: &CookieNames, token: Option<&str>, seconds: u64) -> String {
        let (name, value) = (names.tester, token.unwrap_or_default());
        let secure = if names.secure { "; Secure" } else { "" };
        let life = if token.is_some() { seconds } else { 0 };
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}; Max-Age={life}")
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

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;
    use crate::decide::cookies::{PLAIN, SECURE};

    const NOW: u64 = 1_800_000_000;

    fn key(byte: u8) -> SigningKey {
        SigningKey::new(vec![byte; 32]).expect("32 bytes")
    }

    fn ticket() -> Ticket {
        Ticket {
            bucket: Bucket::new(71_213),
            follows_user: true,
            session: Some(SessionPin { engine: Engine::Identity, made: 7, endpoint: 9 }),
            last: Some(Engine::Classic),
            leaves: true,
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
        assert_eq!(rotated.open(&SECURE, value(&line), NOW, None), Ok(of_old_key));
        assert!(rotated.is_due(&of_old_key, NOW) && !rotated.is_due(&ticket(), NOW));
        let line = rotated.set_cookie(&SECURE, &ticket()).expect("a key");
        assert_eq!(old.open(&SECURE, value(&line), NOW, None), Err(Rejection::UnknownKey));
    }

    #[test]
    fn whatever_is_not_exactly_ours_is_rejected_for_its_reason() {
        let sealer = Sealer::new(&[key(1)], "portal", 3, Some(Duration::from_secs(100)));
        let line = sealer.set_cookie(&PLAIN, &ticket()).expect("a key");
        assert!(
            line.starts_with("cutover=") && line.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=100")
        );
        let good = value(&line).to_vec();
        assert_eq!(sealer.open(&PLAIN, &good, NOW + 100, None), Ok(ticket()));

        let open =
            |sealer: &Sealer, names, value: &[u8], now| sealer.open(names, value, now, None).unwrap_err();
        let of_app = |app| Sealer::new(&[key(1)], app, 3, None);
        assert_eq!(open(&of_app("other"), &PLAIN, &good, NOW), Rejection::Signature);
        assert_eq!(open(&sealer, &SECURE, &good, NOW), Rejection::Signature, "moved to the other cookie");
        assert_eq!(open(&Sealer::new(&[key(1)], "portal", 4, None), &PLAIN, &good, NOW), Rejection::Epoch);
        assert_eq!(open(&sealer, &PLAIN, &good, NOW + 101), Rejection::Expired);
        assert_eq!(open(&sealer, &PLAIN, &good[..good.len() / 4 * 4 - 4], NOW), Rejection::Signature, "cut");
        assert_eq!(open(&sealer, &PLAIN, &good[..40], NOW), Rejection::Malformed, "cut short");
        assert_eq!(open(&sealer, &PLAIN, b"", NOW), Rejection::Malformed);
        assert_eq!(open(&sealer, &PLAIN, &[b'A'; 8192], NOW), Rejection::Malformed);
        assert_eq!(open(&sealer, &PLAIN, b"Ag", NOW), Rejection::Version);
        let sealed = URL_SAFE_NO_PAD.decode(&good).expect("ours");
        for bit in 0..sealed.len() * 8 {
            let mut forged = sealed.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(
                sealer.open(&PLAIN, URL_SAFE_NO_PAD.encode(forged).as_bytes(), NOW, None).is_err(),
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
    fn a_ticket_says_what_it_was_given_and_nothing_more() {
        let sealer = Sealer::new(&[key(1)], "portal", 1, None);
        let pin = SessionPin { engine: Engine::Classic, made: 1, endpoint: 2 };
        for ticket in [
            Ticket::new(5),
            Ticket { bucket: Bucket::new(0), ..Ticket::new(5) },
            Ticket { last: Some(Engine::Identity), ..Ticket::new(5) },
            Ticket { session: Some(pin), ..Ticket::new(5) },
            Ticket { leaves: true, ..Ticket::new(5) },
            ticket(),
        ] {
            let line = sealer.set_cookie(&SECURE, &ticket).expect("a key");
            assert_eq!(sealer.open(&SECURE, value(&line), NOW.min(5), None), Ok(ticket));
        }
    }

    #[test]
    fn a_tester_token_is_for_one_app_one_key_and_its_time() {
        let sealer = Sealer::new(&[key(1)], "portal", 1, None);
        let token = sealer.tester_token(Engine::Identity, 100).expect("a key");
        let open = |sealer: &Sealer, now| sealer.open_tester(token.as_bytes(), now);
        assert_eq!(open(&sealer, 99), Ok(Tester { engine: Engine::Identity, expires: 100 }));
        assert_eq!(open(&sealer, 100), Err(Rejection::Expired));
        assert_eq!(open(&Sealer::new(&[key(1)], "other", 1, None), 99), Err(Rejection::Signature));
        assert_eq!(open(&Sealer::new(&[key(2)], "portal", 1, None), 99), Err(Rejection::UnknownKey));
        assert_eq!(open(&Sealer::new(&[key(1)], "portal", 2, None), 99), Err(Rejection::Epoch));
        assert_eq!(
            sealer.open(&SECURE, token.as_bytes(), 1, None),
            Err(Rejection::Signature),
            "it is no ticket"
        );
        assert_eq!(Sealer::new(&[], "portal", 1, None).tester_token(Engine::Classic, 1), None);
    }

    #[test]
    fn both_cookies_together_stay_under_300_bytes_of_a_cookie_line() {
        let sealer = Sealer::new(&[key(1)], "portal", 1, None);
        let mut flows = Flows::default();
        for workflow in 0..6 {
            flows.open(crate::decide::flow::FlowPin::new(workflow, Engine::Identity, 1));
        }
        let pair =
            |line: Option<String>| line.expect("a key").split(';').next().map(str::len).expect("a pair");
        let ticket = pair(sealer.set_cookie(&SECURE, &ticket()));
        let flow = pair(sealer.set_flow_cookie(&SECURE, &flows));
        assert!(ticket + 2 + flow < 300, "{ticket} and {flow}");
    }
}
