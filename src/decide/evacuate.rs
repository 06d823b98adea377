//! Orders to evacuate an engine: dated, so that each replica reads the same order from the same file at the same
//! time, and voids the pins that were made until then. What is pinned after it is a new decision, and stays.
//!
//! Dates and pins know whole seconds: a pin of the order's own second may be older than the order, and counts as
//! older. An order of the future does nothing until its date has come. Of several orders for an engine the newest
//! that has come counts.
//!
//! A session pin is not always void at once. With a `sign_out` path its browser is sent there first, so that the
//! engine can end what it holds: once, since the ticket then bears a mark. Until then the engine that holds the
//! session serves everything else; a page that is loaded in spite of the mark ends the pin without the sign-out,
//! so that nobody goes round in circles and nobody stays for ever.

use http::{HeaderName, HeaderValue, Method};

use crate::decide::decision::{Decision, Question, Reason, Rules, SessionState, StateHit, TicketState};
use crate::decide::engine::Engine;
use crate::decide::flow::{FlowPin, Flows};
use crate::decide::journey::{Entry, is_prefetch};
use crate::decide::path::normalise;
use crate::decide::ticket::{SessionPin, Ticket};

/// An order: whoever was pinned to this engine until then is moved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Order {
    /// Who is left.
    pub engine: Engine,
    /// The date, in seconds since the Unix epoch.
    pub at: u64,
    /// Where a signed-in browser is sent before it is moved; `None`: its pin is void at once.
    pub sign_out: Option<SignOut>,
}

/// Why a path cannot be the one that signs users out.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SignOutError {
    /// A scheme, a host, or a path without a slash before it.
    #[error("it is no path of this site")]
    NotHere,
    /// Something that no `Location` may hold.
    #[error("it holds white space, control characters or letters that are not ASCII")]
    Letters,
    /// Something that a pattern has, or a page's anchor.
    #[error("it is one path, without `*`, braces, `#` or `\\`")]
    Pattern,
    /// A way up.
    #[error("it holds `..`")]
    Up,
    /// Longer than any sign-out's.
    #[error("it is longer than {} bytes", SignOut::LONGEST)]
    Long,
}

impl SignOutError {
    /// What to write instead.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Letters => "write it as browsers send it, percent-encoded, such as \"/logout?to=%2F\"",
            Self::NotHere | Self::Pattern | Self::Up | Self::Long => {
                "write the path that the engine's own sign-out link has, such as \"/logout\""
            }
        }
    }
}

/// A path of this site, perhaps with a query, that signs out whoever asks for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignOut {
    /// As it is written.
    text: HeaderValue,
    /// As it is compared.
    path: String,
    query: Option<String>,
}

impl SignOut {
    /// The longest that fits beside everything else in a response's head.
    pub const LONGEST: usize = 1024;

    /// Reads `/logout` or `/session/end?all=1`.
    pub fn parse(text: &str) -> Result<Self, SignOutError> {
        if !text.starts_with('/') || text.starts_with("//") || text.starts_with("/\\") {
            return Err(SignOutError::NotHere);
        }
        if text.len() > Self::LONGEST {
            return Err(SignOutError::Long);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SignOutError::Letters);
        }
        let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
        if path.contains(['*', '{', '}']) || text.contains(['#', '\\']) {
            return Err(SignOutError::Pattern);
        }
        let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
        if decoded.split(['/', '\\']).any(|segment| segment.split(';').next() == Some("..")) {
            return Err(SignOutError::Up);
        }
        if decoded.chars().any(char::is_control) {
            return Err(SignOutError::Letters);
        }
        if decoded.starts_with("//") || decoded.starts_with("/\\") {
            return Err(SignOutError::NotHere);
        }
        let path = normalise(path).into_owned();
        let text_value = HeaderValue::from_str(text).map_err(|_| SignOutError::Letters)?;
        Ok(Self { text: text_value, path, query: query.map(str::to_owned) })
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        self.text.to_str().unwrap_or_default()
    }

    /// The value of `Location` that leads there.
    pub fn location(&self) -> HeaderValue {
        self.text.clone()
    }

    /// Whether a request is for it. A query that is written must be there as it is written: it may be all that
    /// tells the sign-out from another page.
    fn fits(&self, path: &str, query: Option<&str>) -> bool {
        (self.query.is_none() || self.query.as_deref() == query) && normalise(path) == self.path
    }
}

/// The orders of an app, in file order.
#[derive(Clone, Debug, Default)]
pub struct Orders(Vec<Order>);

impl Orders {
    /// All of an app's.
    pub fn new(orders: Vec<Order>) -> Self {
        Self(orders)
    }

    /// Whether nobody is moved.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The newest order for an engine whose date has come. `now` is in seconds since the Unix epoch.
    pub fn in_force(&self, engine: Engine, now: u64) -> Option<&Order> {
        self.0.iter().filter(|order| order.engine == engine && order.at <= now).max_by_key(|order| order.at)
    }

    /// The order that voids what an engine began at this time.
    fn voiding(&self, engine: Engine, began: u32, now: u32) -> Option<&Order> {
        self.in_force(engine, u64::from(now)).filter(|order| u64::from(began) <= order.at)
    }

    /// When the pin of a session is taken to be made that is older than we are: now, unless its engine is to be
    /// left, since then it is older than the order, too.
    pub(super) fn made_before_us(&self, engine: Engine, now: u32) -> u32 {
        let order = self.in_force(engine, u64::from(now));
        order.and_then(|order| u32::try_from(order.at).ok()).unwrap_or(now)
    }
}

/// What orders do to one request.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Evacuation {
    /// The session pin that is to end.
    pub session: Option<Departure>,
    /// Who issued the request's `state`, and the date of the order that came after it: the value leads nowhere.
    pub state: Option<(StateHit, u64)>,
}

/// The end of a session pin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Departure {
    /// The pin.
    pub pin: SessionPin,
    /// The date of the order.
    pub order: u64,
    /// How far it is.
    pub leaving: Leaving,
}

/// How far the end of a session pin is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Leaving {
    /// It has ended: the request is decided anew.
    Void,
    /// The browser is sent to sign out with this answer.
    Asked,
    /// The browser signs out with this request; whatever the answer says, it ends the pin.
    SignsOut,
    /// No page is loaded: the engine that holds the session serves this one, too.
    Stays,
}

/// Voids what orders void of a request's session and `state`. `None` where nothing is void. Kept out of the way of apps
/// without orders, which are most.
#[cold]
#[inline(never)]
pub(super) fn void(
    rules: &Rules,
    question: &Question<'_>,
    entry: &Entry<'_>,
    ticket: TicketState,
    session: &mut SessionState,
    state: &mut Option<StateHit>,
) -> Option<Box<Evacuation>> {
    let mut evacuation = Evacuation::default();
    if let Some(hit) = *state
        && let Some(order) = rules.evacuate.voiding(hit.engine, hit.issued, entry.now)
    {
        // Or a flow that was to end would go on by another proof.
        evacuation.state = Some((hit, order.at));
        *state = None;
    }
    if let SessionState::Held(pin) | SessionState::GivesWay(pin) = *session
        && let Some(order) = rules.evacuate.voiding(pin.engine, pin.made, entry.now)
    {
        let leaving = leaving(rules, order, question, entry, ticket);
        match leaving {
            Leaving::Void => *session = SessionState::None,
            Leaving::SignsOut => *session = SessionState::Held(pin),
            Leaving::Asked | Leaving::Stays => {}
        }
        evacuation.session = Some(Departure { pin, order: order.at, leaving });
    }
    (evacuation != Evacuation::default()).then(|| Box::new(evacuation))
}

fn leaving(
    rules: &Rules,
    order: &Order,
    question: &Question<'_>,
    entry: &Entry<'_>,
    ticket: TicketState,
) -> Leaving {
    let Some(sign_out) = &order.sign_out else { return Leaving::Void };
    if rules.only.is_some_and(|only| only != order.engine) {
        // Nobody is there any more to sign out of.
        return Leaving::Void;
    }
    let is_real = !matches!(*question.method, Method::HEAD | Method::OPTIONS) && !is_prefetch(question);
    if is_real && sign_out.fits(question.path, question.query) {
        return Leaving::SignsOut;
    }
    let signs_out_elsewhere = entry.start.is_some_and(|at| rules.table.signs_out(at));
    let is_page = *question.method == Method::GET && entry.loads_page && !is_framed(question);
    if !is_real || !is_page || signs_out_elsewhere {
        return Leaving::Stays;
    }
    match ticket {
        TicketState::Valid(Ticket { leaves: true, .. }) => Leaving::Void,
        TicketState::Valid(_) => Leaving::Asked,
        // A browser that has not shown yet that it keeps our cookies would not keep the mark either, and be sent
        // again and again. It gets its ticket with this page.
        TicketState::Unused | TicketState::Absent | TicketState::Rejected(_) => Leaving::Stays,
    }
}

/// Whether a page is loaded into another one (W3C Fetch Metadata 2.1), as identity providers' scripts do to renew a token
/// unseen: nobody would see a sign-out there.
fn is_framed(question: &Question<'_>) -> bool {
    const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
    question.headers.get(SEC_FETCH_DEST).is_some_and(|destination| destination.as_bytes() != b"document")
}

impl Evacuation {
    /// Who serves is known now. Where another row has decided, the session is not asked about.
    #[cold]
    pub(super) fn decided(&mut self, engine: Engine, reason: Reason) {
        let Some(Departure { pin, leaving, .. }) = &mut self.session else { return };
        let stays = match leaving {
            Leaving::Asked => reason != Reason::Session,
            Leaving::SignsOut => engine != pin.engine,
            Leaving::Void | Leaving::Stays => false,
        };
        if stays {
            *leaving = Leaving::Stays;
        }
    }
}

impl Departure {
    /// The session pin and the mark of the ticket that the answer gives. A mark without a pin is left by one that
    /// has ended: the next page tells by it why the browser moves, and takes it away.
    #[cold]
    pub(super) fn leaves(&self, held: Option<Ticket>, loads_page: bool) -> (Option<SessionPin>, bool) {
        match self.leaving {
            Leaving::Void => (None, !loads_page),
            Leaving::Asked => (Some(self.pin), true),
            Leaving::SignsOut => (None, true),
            Leaving::Stays => (Some(self.pin), held.is_some_and(|held| held.leaves)),
        }
    }
}

/// Takes away the flow pins that orders void, each with its workflow and the date of the order.
pub(super) fn void_flows(rules: &Rules, flows: &mut Flows, now: u32) -> Vec<(u8, FlowPin, u64)> {
    let order = |pin: &FlowPin| rules.evacuate.voiding(pin.engine, pin.began, now).map(|order| order.at);
    let gone = flows.take(|pin| order(pin).is_some());
    let named =
        gone.into_iter().filter_map(|pin| Some((rules.table.named_by(pin.workflow)?, pin, order(&pin)?)));
    named.collect()
}

/// Where the browser is sent instead of being served.
pub fn sign_out_first<'r>(rules: &'r Rules, decision: &Decision, now: u64) -> Option<&'r SignOut> {
    let departure = decision.evacuation.as_ref()?.session?;
    if departure.leaving != Leaving::Asked {
        return None;
    }
    rules.evacuate.in_force(departure.pin.engine, now)?.sign_out.as_ref()
}

/// When what an answer begins is taken to begin. What goes on from something that an order voids is as old as the order,
/// or users would linger: by signing in anew on the engine that holds a session which is to end, or by a link that could
/// only be that engine's. Signing out is what an order wants, and may take its time. `now` is in seconds since the Unix
/// epoch.
pub fn as_of(rules: &Rules, decision: &Decision, served: Engine, now: u32) -> u32 {
    if decision.workflow().is_some_and(|at| rules.table.signs_out(at)) {
        return now;
    }
    let Decision { reason, journey, evacuation, .. } = decision;
    let order = match reason {
        Reason::Session => {
            evacuation.as_ref().and_then(|evacuation| evacuation.session).map(|departure| departure.order)
        }
        Reason::Landing => {
            let by_state = evacuation.as_ref().and_then(|evacuation| evacuation.state);
            let by_state = by_state.filter(|(hit, _)| hit.engine == served).map(|(_, order)| order);
            let mut voided = journey.iter().flat_map(|journey| &journey.voided);
            by_state.or_else(|| voided.find(|(_, pin, _)| pin.engine == served).map(|(_, _, order)| *order))
        }
        Reason::Override
        | Reason::State
        | Reason::Flow
        | Reason::Target
        | Reason::Cohort
        | Reason::Default
        | Reason::Failover => None,
    };
    order.and_then(|order| u32::try_from(order).ok()).map_or(now, |order| order.min(now))
}

/// Whether it was an order that made a browser free to leave an engine.
pub fn has_freed(decision: &Decision, from: Engine) -> bool {
    let held = match decision.trail.ticket {
        TicketState::Valid(held) => held.leaves && held.session.is_none(),
        TicketState::Unused | TicketState::Absent | TicketState::Rejected(_) => false,
    };
    let session = decision.evacuation.as_ref().and_then(|evacuation| evacuation.session);
    let by_session = session.is_some_and(|departure| departure.pin.engine == from);
    let voided = decision.journey.iter().flat_map(|journey| &journey.voided);
    held || by_session || voided.into_iter().any(|(_, pin, _)| pin.engine == from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_this_site_signs_out_and_nothing_else_does() {
        for (text, read) in [
            ("/logout", Ok(())),
            ("/session/end?all=1&to=%2F*", Ok(())),
            ("/log-out;v=1", Ok(())),
            ("logout", Err(SignOutError::NotHere)),
            ("", Err(SignOutError::NotHere)),
            ("//evil.test/logout", Err(SignOutError::NotHere)),
            ("/%2Fevil.test/logout", Err(SignOutError::NotHere)),
            ("/\\evil.test", Err(SignOutError::NotHere)),
            ("https://evil.test/logout", Err(SignOutError::NotHere)),
            ("/logout#top", Err(SignOutError::Pattern)),
            ("/log*", Err(SignOutError::Pattern)),
            ("/{a,b}", Err(SignOutError::Pattern)),
            ("/a/../logout", Err(SignOutError::Up)),
            ("/a/%2e%2E/logout", Err(SignOutError::Up)),
            ("/a/..;x/logout", Err(SignOutError::Up)),
            ("/log out", Err(SignOutError::Letters)),
            ("/logout\r\nset-cookie: a=b", Err(SignOutError::Letters)),
            ("/logout%0d%0a", Err(SignOutError::Letters)),
            ("/adiós", Err(SignOutError::Letters)),
            (&format!("/{}", "a".repeat(1024)), Err(SignOutError::Long)),
        ] {
            assert_eq!(SignOut::parse(text).map(|_| ()), read, "{text:?}");
        }
        let plain = SignOut::parse("/Logout").expect("a path");
        assert!(plain.fits("/logout/", Some("a=1")) && plain.fits("/x/../logout", None));
        assert!(!plain.fits("/logout-help", None));
        let with_query = SignOut::parse("/account?action=logout").expect("a path");
        assert!(with_query.fits("/account", Some("action=logout")) && !with_query.fits("/account", None));
    }

    #[test]
    fn the_newest_order_that_has_come_counts_and_voids_what_is_not_younger() {
        let order = |engine, at| Order { engine, at, sign_out: None };
        let (classic, identity) = (Engine::Classic, Engine::Identity);
        let orders = Orders::new(vec![order(identity, 300), order(identity, 100), order(classic, 200)]);
        for (engine, now, at) in [
            (identity, 99, None),
            (identity, 100, Some(100)),
            (identity, 299, Some(100)),
            (identity, 300, Some(300)),
            (classic, 199, None),
            (classic, 999, Some(200)),
        ] {
            assert_eq!(orders.in_force(engine, now).map(|order| order.at), at, "{engine} at {now}");
        }
        for (began, now, is_void) in [(99, 150, true), (100, 150, true), (101, 150, false), (101, 300, true)]
        {
            assert_eq!(orders.voiding(identity, began, now).is_some(), is_void, "began {began}, now {now}");
        }
        assert_eq!(orders.made_before_us(classic, 150), 150);
        assert_eq!(orders.made_before_us(classic, 250), 200);
    }
}
