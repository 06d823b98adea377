//! The whole question: which engine serves this request, and why?
//!
//! Rows in the order of `DESIGN.md` 3; the first that applies wins. The answer carries everything that
//! decided, so requests, `explain`, logs and metrics cannot tell different stories.

use std::net::IpAddr;

use http::header::ACCEPT;
use http::{HeaderMap, HeaderName, Method};

use crate::ambient::Moment;
use crate::decide::answer::CookieName;
use crate::decide::bucket::{Bucket, Share};
use crate::decide::certified::CertifiedNames;
use crate::decide::cookies::CookieNames;
use crate::decide::engine::Engine;
use crate::decide::evacuate::{self, Evacuation, Orders};
use crate::decide::headers::Seen;
use crate::decide::identify::identify;
use crate::decide::journey::{Entry, Journey, journey};
use crate::decide::presented::Presented;
use crate::decide::recall::Recall;
use crate::decide::stage::Schedule;
use crate::decide::subject::{KeySource, SubjectKind};
use crate::decide::target::Target;
use crate::decide::ticket::{Rejection, Sealer, SessionPin, Tester, Ticket};
use crate::decide::workflow::{Place, Table};

pub use crate::decide::reason::Reason;

/// What decides the requests of one app.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Where to look for a subject's key.
    pub keys: Vec<KeySource>,
    /// Separates this app's buckets from others'.
    pub salt: String,
    /// How much of the line belongs to the Identity engine, and from when on.
    pub share: Schedule,
    /// Targeting rules in order.
    pub targets: Vec<Target>,
    /// Opens and seals this app's tickets.
    pub sealer: Sealer,
    /// The engine of requests with nothing to go by: classic, unless classic has no endpoints left.
    pub default: Engine,
    /// The only engine that has endpoints, where one has none: then nothing can lead to the other, not even a pin from
    /// before.
    pub only: Option<Engine>,
    /// The app's workflows.
    pub table: Table,
    /// How a signed-in session is known.
    pub session: SessionRules,
    /// Orders to move people whatever pins say.
    pub evacuate: Orders,
}

/// How a signed-in session of an app is known, and how long we believe in it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SessionRules {
    /// The cookies that hold it; empty: sessions are not known, and pin nobody.
    pub cookies: Vec<CookieName>,
    /// Whether both engines read one session store, so that nobody need be kept.
    pub shared: bool,
    /// Whether each engine's cookies have a name of their own in the browser.
    pub isolate: bool,
    /// From the making of a pin, in seconds.
    pub lifetime: u32,
}

impl SessionRules {
    /// Whether sessions pin anybody.
    pub fn pins(&self) -> bool {
        !self.shared && !self.cookies.is_empty()
    }
}

impl Rules {
    /// Whether browsers are known by a bucket in their ticket.
    pub fn mints(&self) -> bool {
        self.keys.last() == Some(&KeySource::Device)
    }

    /// Whether browsers get tickets at all.
    fn gives_tickets(&self) -> bool {
        self.mints() || self.session.pins()
    }

    /// The schedule of the workflow that starts, else of the app.
    pub fn schedule_of(&self, start: Option<u8>) -> &Schedule {
        start.and_then(|at| self.table.workflow(at).share.as_ref()).unwrap_or(&self.share)
    }

    /// The share in force there; `now` is in seconds since the Unix epoch.
    pub fn share_at(&self, start: Option<u8>, now: u64) -> Share {
        self.schedule_of(start).at(now)
    }

    /// The rows below those of pins, where nothing holds the browser.
    pub(super) fn last_rows(
        &self,
        target: Option<usize>,
        bucket: Option<Bucket>,
        share: Share,
    ) -> (Engine, Reason) {
        match (target, bucket) {
            (Some(index), _) => (self.targets[index].engine, Reason::Target),
            (None, Some(bucket)) => (share.engine_for(bucket), Reason::Cohort),
            (None, None) => (self.default, Reason::Default),
        }
    }
}

/// What a request says, as far as a decision may hear it.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The request's method.
    pub method: &'a Method,
    /// The path as it came.
    pub path: &'a str,
    /// The query as it came.
    pub query: Option<&'a str>,
    /// The request's headers as they came.
    pub headers: &'a HeaderMap,
    /// Which of them are there.
    pub seen: Seen,
    /// The client: the peer, or whom a trusted peer names.
    pub client: IpAddr,
    /// Whether the peer's forwarded headers and key headers are believed.
    pub peer_is_trusted: bool,
    /// What the client's own certificate calls it, where a handshake verified one.
    pub certified: Option<&'a CertifiedNames>,
    /// Whether the client reached us over TLS.
    pub secure: bool,
    /// What the path is in the app's workflows.
    pub place: Place,
    /// Who issued the `state` that the request carries, as far as this process saw it.
    pub state: Option<StateHit>,
    /// Tickets that were opened before; changes no answer.
    pub recall: Option<&'a Recall>,
}

/// Who issued a `state` value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StateHit {
    /// The engine.
    pub engine: Engine,
    /// The hash of the workflow in which it did.
    pub workflow: Option<u32>,
    /// The hash of the endpoint that did.
    pub endpoint: u32,
    /// When, in seconds since the Unix epoch.
    pub issued: u32,
}

/// Which engine, why, and what became of the browser's cookies.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Decision {
    /// Who serves the request.
    pub engine: Engine,
    /// The row that decided.
    pub reason: Reason,
    /// What each row saw.
    pub trail: Trail,
    /// The ticket to give to the browser with the response, when something is new or due.
    pub issue: Option<Ticket>,
    /// The flow that the request belongs to, or may begin.
    pub journey: Option<Box<Journey>>,
    /// The endpoint that a pin asks for, by hash; 0: none in particular.
    pub endpoint: u32,
    /// What orders void of it, where there is something.
    pub evacuation: Option<Box<Evacuation>>,
}

impl Decision {
    /// The workflow that the request is part of.
    pub fn workflow(&self) -> Option<u8> {
        self.journey.as_ref().and_then(|journey| journey.workflow)
    }

    /// Whether the other engine may serve the request when this one cannot: nothing that it has begun is there,
    /// and a one-time answer or link is never offered to both.
    pub fn may_be_served_by_the_other(&self) -> bool {
        match self.reason {
            Reason::Target | Reason::Cohort | Reason::Default => !self.trail.place.is_one_time(),
            Reason::Override
            | Reason::State
            | Reason::Flow
            | Reason::Landing
            | Reason::Session
            | Reason::Failover => false,
        }
    }

    /// Whether the browser's last page came from the other engine: then what it has cached is of another build.
    pub fn changes_engine(&self) -> bool {
        matches!(self.trail.ticket, TicketState::Valid(Ticket { last: Some(last), .. }) if last != self.engine)
    }

    /// Policy let the other engine serve: the browser's page comes from there.
    pub fn is_served_by(&mut self, engine: Engine, now: u64) {
        if let (true, Some(held)) = (self.trail.loads_page, self.held())
            && held.last != Some(engine)
        {
            let issued = u32::try_from(now).unwrap_or(u32::MAX);
            self.issue = Some(Ticket { last: Some(engine), issued, is_current: true, ..held });
        }
    }

    /// The ticket that the browser holds once it has taken what we give it.
    pub fn held(&self) -> Option<Ticket> {
        match (self.issue, self.trail.ticket) {
            (Some(issued), _) => Some(issued),
            (None, TicketState::Valid(held)) => Some(held),
            (None, TicketState::Unused | TicketState::Absent | TicketState::Rejected(_)) => None,
        }
    }
}

/// What each row of the table saw, whether or not it decided.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Trail {
    /// The kind of key that was found.
    pub subject: Option<SubjectKind>,
    /// What the browser's cookie was.
    pub ticket: TicketState,
    /// Whether the request loads a page.
    pub loads_page: bool,
    /// What the browser's tester token was.
    pub tester: Option<Result<Tester, Rejection>>,
    /// What the path is in the app's workflows.
    pub place: Place,
    /// Who issued the `state` that the request carries.
    pub state: Option<StateHit>,
    /// Who owns the signed-in session, and whether that holds here.
    pub session: SessionState,
    /// Whether the request carries one of the app's session cookies, by the [`Engine::index`] of whom it is for.
    pub has_session_cookie: [bool; 2],
    /// Position among [`Rules::targets`] of the rule that names the request.
    pub target: Option<usize>,
    /// The subject's place on the line.
    pub bucket: Option<Bucket>,
    /// The share that the bucket was held against.
    pub share: Share,
}

/// Who owns a browser's signed-in session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SessionState {
    /// Nobody that we know of.
    None,
    /// This pin holds.
    Held(SessionPin),
    /// This pin is live, and gives way where a user signs in anew.
    GivesWay(SessionPin),
}

impl SessionState {
    /// A live pin, as it stands at the start of a workflow: where a user signs in anew, one on classic gives way.
    pub(super) fn at(table: &Table, start: Option<u8>, pin: SessionPin) -> Self {
        let signs_in_anew = start.is_some_and(|at| !table.signs_out(at));
        if signs_in_anew && pin.engine == Engine::Classic { Self::GivesWay(pin) } else { Self::Held(pin) }
    }
}

/// What the browser's cookie was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TicketState {
    /// This app does not give out tickets, so none was looked for.
    Unused,
    /// No cookie of ours.
    Absent,
    /// A ticket of ours.
    Valid(Ticket),
    /// A cookie that is no ticket.
    Rejected(Rejection),
}

/// Answers the question. `moment.roll` is the downstream connection's roll where the peer is the browser's own
/// connection, and a fresh one behind a trusted proxy.
pub fn decide(rules: &Rules, question: &Question<'_>, moment: Moment) -> Decision {
    let user = identify(&rules.keys, question);
    let names = CookieNames::for_scheme(question.secure);
    let presented = Presented::read(question.headers, names, &rules.session);
    let ticket = if rules.gives_tickets() {
        presented.ticket(&rules.sealer, names, moment.wall, question.recall)
    } else {
        TicketState::Unused
    };
    let loads_page = loads_page(question.headers, question.seen);
    let now = u32::try_from(moment.wall).unwrap_or(u32::MAX);
    let place = question.place;
    let start = rules.table.start_of(&place);
    let share = rules.share_at(start, moment.wall);

    let mut session = session(rules, ticket, presented.has_session, loads_page, start, now);
    let target = rules.targets.iter().position(|target| {
        target.names(user.as_ref(), question.client, question.headers, question.peer_is_trusted)
    });
    let bucket = match (&user, ticket) {
        (Some(subject), _) => Some(Bucket::of(&rules.salt, &subject.key)),
        (None, TicketState::Valid(Ticket { bucket: Some(bucket), .. })) if rules.mints() => Some(bucket),
        (None, TicketState::Unused) => None,
        (None, TicketState::Valid(_) | TicketState::Absent | TicketState::Rejected(_)) => {
            (loads_page && rules.mints()).then(|| Bucket::from_roll(moment.roll))
        }
    };
    let subject = match (&user, bucket) {
        (Some(subject), _) => Some(subject.kind),
        (None, Some(_)) => Some(SubjectKind::Device),
        (None, None) => None,
    };

    let entry = Entry { start, loads_page, names, now };
    let mut state = question.state.filter(|_| place.is_in_workflow());
    let mut evacuation = None;
    if !rules.evacuate.is_empty() {
        evacuation = evacuate::void(rules, question, &entry, ticket, &mut session, &mut state);
    }
    let mut journey = journey(rules, question, &presented, &entry);
    let pinned = journey.as_ref().and_then(|journey| journey.pinned);
    let landing = place.landing.and_then(|landing| rules.table.landing(landing).owner(moment.wall));
    let tester = presented.tester(&rules.sealer, moment.wall);
    let (engine, reason, endpoint) = if let Some(Ok(tester)) = tester {
        (tester.engine, Reason::Override, 0)
    } else if let Some(hit) = state {
        (hit.engine, Reason::State, hit.endpoint)
    } else if let Some(pin) = pinned {
        (pin.engine, Reason::Flow, pin.endpoint)
    } else if let Some(engine) = landing {
        (engine, Reason::Landing, 0)
    } else if let SessionState::Held(pin) = session {
        (pin.engine, Reason::Session, pin.endpoint)
    } else {
        let (engine, reason) = rules.last_rows(target, bucket, share);
        (engine, reason, 0)
    };
    let engine = rules.only.unwrap_or(engine);
    if let Some(journey) = &mut journey {
        journey.decided(rules, question, &entry, reason);
    }
    if let Some(evacuation) = &mut evacuation {
        evacuation.decided(engine, reason);
    }

    let trail = Trail {
        subject,
        ticket,
        loads_page,
        tester,
        place,
        state: question.state,
        session,
        has_session_cookie: presented.has_session,
        target,
        bucket,
        share,
    };
    let issue = issue(rules, &trail, evacuation.as_deref(), user.is_some(), engine, now);
    Decision { engine, reason, trail, issue, journey, endpoint, evacuation }
}

/// Who owns the session: the pin of the ticket, or classic, where a session cookie comes without a ticket and so
/// is older than we are (`DESIGN.md` 4).
fn session(
    rules: &Rules,
    ticket: TicketState,
    has_cookie: [bool; 2],
    loads_page: bool,
    start: Option<u8>,
    now: u32,
) -> SessionState {
    if !rules.session.pins() {
        return SessionState::None;
    }
    let lives = |pin: &SessionPin| now.saturating_sub(pin.made) <= rules.session.lifetime;
    let pin = match ticket {
        // A page without any session cookie: it is over. Other requests may be for a path that the cookie is not
        // sent to.
        TicketState::Valid(ticket) => {
            ticket.session.filter(|pin| lives(pin) && (has_cookie[pin.engine.index()] || !loads_page))
        }
        TicketState::Absent | TicketState::Rejected(_) if has_cookie[rules.default.index()] => {
            let made = rules.evacuate.made_before_us(rules.default, now);
            Some(SessionPin { engine: rules.default, made, endpoint: 0 }).filter(lives)
        }
        TicketState::Unused | TicketState::Absent | TicketState::Rejected(_) => None,
    };
    pin.map_or(SessionState::None, |pin| SessionState::at(&rules.table, start, pin))
}

/// The ticket to give with the answer, as far as the request alone says. The ticket follows the user: whatever
/// bucket decided is what the browser should hold. A client that sends no ticket and loads no page is no browser
/// we know of, and gets no cookie.
fn issue(
    rules: &Rules,
    trail: &Trail,
    evacuation: Option<&Evacuation>,
    is_user: bool,
    engine: Engine,
    now: u32,
) -> Option<Ticket> {
    let held = match trail.ticket {
        TicketState::Valid(held) => Some(held),
        TicketState::Absent if trail.loads_page => None,
        // One that nobody can place is replaced by nothing, and goes on being counted.
        TicketState::Rejected(_) if trail.loads_page || trail.bucket.is_some() => None,
        TicketState::Unused | TicketState::Absent | TicketState::Rejected(_) => return None,
    };
    let pin = match trail.session {
        SessionState::Held(pin) | SessionState::GivesWay(pin) => Some(pin),
        SessionState::None => None,
    };
    let (pin, leaves) = match evacuation.and_then(|evacuation| evacuation.session) {
        Some(departure) => departure.leaves(held, trail.loads_page),
        None => (pin, pin.is_none() && !trail.loads_page && held.is_some_and(|held| held.leaves)),
    };
    let wanted = Ticket {
        bucket: trail.bucket.filter(|_| rules.mints()).or(held.and_then(|held| held.bucket)),
        follows_user: rules.mints() && (is_user || held.is_some_and(|held| held.follows_user)),
        session: pin,
        last: if trail.loads_page { Some(engine) } else { held.and_then(|held| held.last) },
        leaves,
        ..Ticket::new(now)
    };
    match held {
        Some(held) if !wanted.differs_from(&held) && !rules.sealer.is_due(&held, u64::from(now)) => None,
        Some(_) | None => Some(wanted),
    }
}

/// A request that loads a page: `Sec-Fetch-Mode: navigate` (W3C Fetch Metadata 2.2), or without fetch metadata
/// an `Accept` that names `text/html`.
fn loads_page(headers: &HeaderMap, seen: Seen) -> bool {
    const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
    if seen.fetch_mode {
        return headers.get(SEC_FETCH_MODE).is_some_and(|mode| mode.as_bytes() == b"navigate");
    }
    seen.accept
        && headers.get_all(ACCEPT).iter().any(|line| {
            line.as_bytes().split(|byte| *byte == b',').any(|range| {
                let media_type = range.split(|byte| *byte == b';').next().unwrap_or_default();
                media_type.trim_ascii().eq_ignore_ascii_case(b"text/html")
            })
        })
}
