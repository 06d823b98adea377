//! What a browser presents: our cookies and the app's session, found in one walk over its `Cookie` lines.

use http::HeaderMap;
use http::header::COOKIE;

use crate::decide::cookies::{self, CookieNames};
use crate::decide::decision::{SessionRules, TicketState};
use crate::decide::flow::Flows;
use crate::decide::isolation;
use crate::decide::recall::Recall;
use crate::decide::seal::Rejection;
use crate::decide::ticket::{Sealer, Tester};

/// At most this many cookies of one of our names are tried: a browser that was given a bad one for another path
/// sends both, and the bad one must not shadow ours; more are somebody playing.
const TRIED: usize = 4;

/// The cookies of one request that matter to a decision, as they came.
#[derive(Clone, Copy, Debug, Default)]
pub struct Presented<'a> {
    tickets: [Option<&'a [u8]>; TRIED],
    flows: [Option<&'a [u8]>; TRIED],
    testers: [Option<&'a [u8]>; TRIED],
    /// Whether one of the app's session cookies is there that an engine would be given, and is not empty; by
    /// [`Engine::index`](crate::decide::engine::Engine::index).
    pub has_session: [bool; 2],
}

impl<'a> Presented<'a> {
    /// Reads the `Cookie` lines.
    pub fn read(headers: &'a HeaderMap, names: &CookieNames, session: &SessionRules) -> Self {
        let mut presented = Self::default();
        for line in headers.get_all(COOKIE) {
            for (name, value) in cookies::pairs(line.as_bytes()) {
                if cookies::is_ours(name) {
                    if name == names.ticket.as_bytes() {
                        keep(&mut presented.tickets, value);
                    } else if name == names.flow.as_bytes() {
                        keep(&mut presented.flows, value);
                    } else if name == names.tester.as_bytes() {
                        keep(&mut presented.testers, value);
                    }
                } else if presented.has_session != [true; 2] && !value.is_empty() {
                    presented.note_session(session, name);
                }
            }
        }
        presented
    }

    fn note_session(&mut self, session: &SessionRules, name: &[u8]) {
        let is_session = |name: &[u8]| session.cookies.iter().any(|wanted| wanted.matches(name));
        match session.isolate.then(|| isolation::restored(name)).flatten() {
            Some((engine, name)) => self.has_session[engine.index()] |= is_session(&name),
            None if is_session(name) => self.has_session = [true; 2],
            None => {}
        }
    }

    /// Whether the browser presents flow pins, genuine or not.
    pub fn has_flows(&self) -> bool {
        self.flows[0].is_some()
    }

    /// The browser's ticket. `now` is in seconds since the Unix epoch.
    pub fn ticket(
        &self,
        sealer: &Sealer,
        names: &CookieNames,
        now: u64,
        recall: Option<&Recall>,
    ) -> TicketState {
        match first(&self.tickets, |value| sealer.open(names, value, now, recall)) {
            None => TicketState::Absent,
            Some(Ok(ticket)) => TicketState::Valid(ticket),
            Some(Err(rejection)) => TicketState::Rejected(rejection),
        }
    }

    /// The browser's tester token. `now` is in seconds since the Unix epoch.
    pub fn tester(&self, sealer: &Sealer, now: u64) -> Option<Result<Tester, Rejection>> {
        first(&self.testers, |value| sealer.open_tester(value, now))
    }

    /// The browser's flow pins.
    pub fn flows(&self, sealer: &Sealer, names: &CookieNames) -> Option<Result<Flows, Rejection>> {
        first(&self.flows, |value| sealer.open_flows(names, value))
    }
}

fn keep<'a>(places: &mut [Option<&'a [u8]>; TRIED], value: &'a [u8]) {
    if let Some(free) = places.iter_mut().find(|place| place.is_none()) {
        *free = Some(value);
    }
}

/// The first that opens, or else why the first does not.
fn first<T>(
    places: &[Option<&[u8]>; TRIED],
    open: impl Fn(&[u8]) -> Result<T, Rejection>,
) -> Option<Result<T, Rejection>> {
    let mut fault = None;
    for value in places.iter().flatten() {
        match open(value) {
            Ok(opened) => return Some(Ok(opened)),
            Err(rejection) => fault = fault.or(Some(Err(rejection))),
        }
    }
    fault
}
