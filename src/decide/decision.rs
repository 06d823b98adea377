//! The whole question: which engine serves this request, and why?
//!
//! Rows in the order of `DESIGN.md` 3; the first that applies wins. The answer carries everything that
//! decided, so requests, `explain`, logs and metrics cannot tell different stories.

use std::net::IpAddr;

use http::header::ACCEPT;
use http::{HeaderMap, HeaderName, Method};

use crate::ambient::Moment;
use crate::decide::bucket::{Bucket, Share};
use crate::decide::cookies::{self, CookieNames};
use crate::decide::engine::Engine;
use crate::decide::headers::Seen;
use crate::decide::identify::identify;
use crate::decide::subject::{KeySource, SubjectKind};
use crate::decide::target::Target;
use crate::decide::ticket::{Rejection, Sealer, Ticket};

/// What decides the requests of one app.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Where to look for a subject's key.
    pub keys: Vec<KeySource>,
    /// Separates this app's buckets from others'.
    pub salt: String,
    /// How much of the line belongs to the Identity engine.
    pub share: Share,
    /// Targeting rules in order.
    pub targets: Vec<Target>,
    /// Opens and seals this app's tickets.
    pub sealer: Sealer,
    /// The engine of requests with nothing to go by: classic, unless classic has no endpoints left.
    pub default: Engine,
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
    /// Whether the client reached us over TLS.
    pub secure: bool,
}

/// Why an engine was chosen: the name of the row.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reason {
    /// A targeting rule names this request.
    Target,
    /// The subject's bucket against the share.
    Cohort,
    /// Nothing to go by.
    Default,
    /// The decided engine could not serve, and policy let the other one answer.
    Failover,
}

impl Reason {
    /// All reasons, in the order of [`Reason::index`].
    pub const ALL: [Self; 4] = [Self::Target, Self::Cohort, Self::Default, Self::Failover];

    /// The name in metrics, logs and headers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Cohort => "cohort",
            Self::Default => "default",
            Self::Failover => "failover",
        }
    }

    /// Position in a table indexed by reason.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Which engine, why, and what became of the browser's ticket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Decision {
    /// Who serves the request.
    pub engine: Engine,
    /// The row that decided.
    pub reason: Reason,
    /// What each row saw.
    pub trail: Trail,
    /// The ticket to give to the browser with the response, when something is new or due.
    pub issue: Option<Ticket>,
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
    /// Position among [`Rules::targets`] of the rule that names the request.
    pub target: Option<usize>,
    /// The subject's place on the line.
    pub bucket: Option<Bucket>,
    /// The share that the bucket was held against.
    pub share: Share,
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

/// At most this many cookies of our name are tried: a browser that was given a bad one for another path sends
/// both, and the bad one must not shadow ours; more are somebody playing.
const TICKETS_TRIED: usize = 4;

/// Answers the question. `moment.roll` is the downstream connection's roll where the peer is the browser's own
/// connection, and a fresh one behind a trusted proxy.
pub fn decide(rules: &Rules, question: &Question<'_>, moment: Moment) -> Decision {
    let user = identify(&rules.keys, question);
    let names = CookieNames::for_scheme(question.secure);
    let has_tickets = rules.keys.last() == Some(&KeySource::Device);
    let ticket =
        if has_tickets { open_ticket(rules, question, names, moment.wall) } else { TicketState::Unused };
    let loads_page = loads_page(question.headers, question.seen);

    let target = rules.targets.iter().position(|target| {
        target.names(user.as_ref(), question.client, question.headers, question.peer_is_trusted)
    });
    let bucket = match (&user, ticket) {
        (Some(subject), _) => Some(Bucket::of(&rules.salt, &subject.key)),
        (None, TicketState::Valid(ticket)) => Some(ticket.bucket),
        (None, TicketState::Absent | TicketState::Rejected(_)) if loads_page => {
            Some(Bucket::from_roll(moment.roll))
        }
        (None, TicketState::Unused | TicketState::Absent | TicketState::Rejected(_)) => None,
    };
    let subject = match (&user, bucket) {
        (Some(subject), _) => Some(subject.kind),
        (None, Some(_)) => Some(SubjectKind::Device),
        (None, None) => None,
    };

    let (engine, reason) = match (target, bucket) {
        (Some(index), _) => (rules.targets[index].engine, Reason::Target),
        (None, Some(bucket)) => (rules.share.engine_for(bucket), Reason::Cohort),
        (None, None) => (rules.default, Reason::Default),
    };
    let issue = bucket
        .filter(|bucket| must_issue(rules, ticket, *bucket, user.is_some(), loads_page, moment.wall))
        .map(|bucket| Ticket {
            bucket,
            follows_user: user.is_some()
                || matches!(ticket, TicketState::Valid(ticket) if ticket.follows_user),
            issued: u32::try_from(moment.wall).unwrap_or(u32::MAX),
            is_current: true,
        });

    let trail = Trail { subject, ticket, loads_page, target, bucket, share: rules.share };
    Decision { engine, reason, trail, issue }
}

fn open_ticket(rules: &Rules, question: &Question<'_>, names: &CookieNames, now: u64) -> TicketState {
    let mut state = TicketState::Absent;
    for value in cookies::values(question.headers, names.ticket).take(TICKETS_TRIED) {
        match rules.sealer.open(names, value, now) {
            Ok(ticket) => return TicketState::Valid(ticket),
            // The first cookie's fault is the one that is told.
            Err(rejection) if state == TicketState::Absent => state = TicketState::Rejected(rejection),
            Err(_) => {}
        }
    }
    state
}

/// The ticket follows the user: whatever bucket decided is what the browser should hold. A client that sends
/// no ticket and loads no page is no browser we know of, and gets no cookie.
fn must_issue(
    rules: &Rules,
    ticket: TicketState,
    bucket: Bucket,
    is_user: bool,
    loads_page: bool,
    now: u64,
) -> bool {
    match ticket {
        TicketState::Unused => false,
        TicketState::Absent => loads_page,
        TicketState::Rejected(_) => true,
        TicketState::Valid(held) => {
            held.bucket != bucket || (is_user && !held.follows_user) || rules.sealer.is_due(&held, now)
        }
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
