//! Deciding anew from the trail says what all rows say.

use cutover::ambient::Moment;
use cutover::decide::anew::{Hold, let_go, without_session};
use cutover::decide::cookies::PLAIN;
use cutover::decide::decision::{Decision, Question, TicketState, decide};
use cutover::decide::flow::Flows;
use cutover::decide::ticket::Ticket;
use http::{HeaderValue, Method};

use super::World;

impl World {
    /// Were its engine gone, the request would go where one without the pin goes, and a flow would begin where its
    /// start goes without that flow: what is decided from the trail is what all rows say.
    pub(super) fn is_the_same_anew(&self, question: &Question<'_>, decision: &Decision, moment: Moment) {
        if !self.orders.is_empty() {
            // A session that is to end may end with this request, or stay for it: the next one is another question.
            return;
        }
        let sealer = &self.rules.sealer;
        let gone = decision.engine;
        let TicketState::Valid(ticket) = decision.trail.ticket else { return };
        let asks = |question: Question<'_>, ticket: Ticket, flows: &Flows| {
            let ticket = sealer.set_cookie(&PLAIN, &ticket).expect("a key");
            let flows = sealer.set_flow_cookie(&PLAIN, flows).expect("a key");
            let others = self.jar.iter().filter(|(name, _)| !name.starts_with("cutover"));
            let others = others.map(|(name, value)| format!("{name}={value}"));
            let ours = [&ticket, &flows].map(|line| line.split(';').next().expect("a pair").to_owned());
            let line = ours.into_iter().chain(others).collect::<Vec<_>>().join("; ");
            let mut headers = question.headers.clone();
            headers.insert("cookie", HeaderValue::from_str(&line).expect("a value"));
            decide(&self.rules, &Question { headers: &headers, ..question }, moment)
        };
        match decision.hold(&self.rules) {
            Hold::Session(_) => {
                let anew = without_session(&self.rules, decision, moment.wall);
                let flows =
                    decision.journey.as_ref().map(|journey| journey.flows.clone()).unwrap_or_default();
                let whole = asks(*question, Ticket { session: None, ..ticket }, &flows);
                assert_eq!((anew.engine, anew.reason), (whole.engine, whole.reason), "{:#?}", self.story);
                assert!(anew.issue.is_some_and(|ticket| ticket.session.is_none()));
            }
            Hold::Flow(workflow, pin) => {
                for is_over in [false, true] {
                    let let_go = let_go(&self.rules, decision, (workflow, pin), is_over, moment.wall);
                    let (path, engine) = let_go.start.expect("the preset has literal starts");
                    let place = self.rules.table.place(&Method::GET, &path, None);
                    assert_eq!(place.start, Some(workflow));
                    let session = ticket.session.filter(|pin| !(is_over && pin.engine == gone));
                    let (method, query, state) = (&Method::GET, None, None);
                    let question = Question { method, path: &path, query, state, place, ..*question };
                    let whole = asks(question, Ticket { session, ..ticket }, &let_go.flows);
                    assert_eq!(engine, whole.engine, "{:#?}", self.story);
                }
            }
            Hold::Page | Hold::Nothing => {}
        }
    }
}
