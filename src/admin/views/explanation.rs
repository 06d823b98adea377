//! A request as somebody asks about it, and what would become of it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::admin::views::StageView;
use crate::config::units::write_moment;
use crate::decide::bucket::{Bucket, Share};
use crate::decide::decision::{Decision, Reason, SessionState, TicketState, Trail};
use crate::decide::engine::Engine;
use crate::decide::evacuate::{self, Departure, Leaving, SignOut};
use crate::decide::stage::Stage;
use crate::decide::subject::{KeySource, SubjectKey, SubjectKind};
use crate::decide::workflow::LandingEngine;
use crate::runtime::snapshot::App;

/// The parameters of `GET /api/v1/explain`: a request, as far as somebody wants to say.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainQuery {
    /// Which app; may be left out when there is only one, or when `url` names a host.
    pub app: Option<String>,
    /// The subject's key, as it would come from where the app looks first.
    pub key: Option<String>,
    /// A `Cookie` line, or the value of a ticket.
    pub cookie: Option<String>,
    /// The method; `GET` when it is left out.
    pub method: Option<String>,
    /// A path with its query, or a whole URL; `/` when it is left out.
    pub url: Option<String>,
    /// Whether a browser loads a page. When it is left out: where a key or a cookie is given.
    pub page: Option<bool>,
    /// The client's address, for targets by network.
    pub client: Option<IpAddr>,
}

/// `GET /api/v1/explain` and `cutover explain`: a decision and everything it rests on, but for the key itself.
#[derive(Clone, Debug, Serialize)]
pub struct ExplanationView {
    /// Which app.
    pub app: String,
    /// Who serves the request.
    pub engine: &'static str,
    /// The row that decided.
    pub reason: &'static str,
    /// The kind of key that was found.
    pub subject: Option<&'static str>,
    /// The subject's place on the line.
    pub bucket: Option<u32>,
    /// The share that the bucket was held against.
    pub percent: String,
    /// The percentage from which on the answer is identity, and below which it is classic. `None` where no
    /// percentage changes the answer, or where the dice were thrown.
    pub flips_at: Option<String>,
    /// What comes next in the schedule of that share.
    pub next_stage: Option<StageView>,
    /// The stage with which the answer becomes another, as far as the cohort decides.
    pub flips_with: Option<StageView>,
    /// Whether the dice were thrown for a browser that nobody knows: another one may get another answer.
    pub is_random: bool,
    /// The workflow that the request is part of.
    pub workflow: Option<String>,
    /// What the same subject would get at the start of each workflow, whatever pins say.
    pub workflows: Vec<WorkflowView>,
    /// The browser's flows, where the request's path asks for them.
    pub flows: Vec<FlowView>,
    /// The targeting rule that names the request.
    pub target: Option<String>,
    /// What the browser's cookie was.
    pub ticket: TicketView,
    /// What each row of the table saw, in order.
    pub trail: Vec<RowView>,
    /// The ticket that the response would carry.
    pub issue: Option<IssueView>,
    /// Where the browser is sent instead of being served: an order evacuates the engine that holds its session.
    pub sign_out: Option<String>,
    /// What else is worth knowing.
    pub notes: Vec<String>,
}

/// One workflow's share, and the subject's side of it.
#[derive(Clone, Debug, Serialize)]
pub struct WorkflowView {
    /// Its name.
    pub workflow: String,
    /// The share in force: its own, or that of the app.
    pub percent: String,
    /// The engine of the subject's bucket; without a bucket that of everybody, and `None` where dice would decide.
    pub engine: Option<&'static str>,
    /// The percentage from which on that is identity.
    pub flips_at: Option<String>,
    /// What comes next in its schedule.
    pub next_stage: Option<StageView>,
}

/// A flow pin.
#[derive(Clone, Debug, Serialize)]
pub struct FlowView {
    /// Its workflow.
    pub workflow: String,
    /// Who began it.
    pub engine: &'static str,
    /// When it began, in seconds since the Unix epoch.
    pub began_at: u32,
    /// When it was used last, as far as that was written down, or when it ended.
    pub used_at: u32,
    /// Whether it has ended.
    pub has_ended: bool,
}

/// What a browser's cookie was.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct TicketView {
    /// `unused`, `absent`, `valid` or `rejected`.
    pub state: &'static str,
    /// Why it was rejected.
    pub rejected: Option<&'static str>,
    /// The bucket that it holds.
    pub bucket: Option<u32>,
    /// Whether that is the bucket of a user, and not one that was minted for the browser.
    pub follows_user: Option<bool>,
    /// When it was sealed, in seconds since the Unix epoch.
    pub issued_at: Option<u32>,
    /// The engine that holds the signed-in session.
    pub session: Option<&'static str>,
    /// Since when, in seconds since the Unix epoch.
    pub session_since: Option<u32>,
    /// The engine that served the last page.
    pub last: Option<&'static str>,
    /// Whether an order has sent the browser to sign out already.
    pub leaves: Option<bool>,
}

/// What one row of the table saw.
#[derive(Clone, Debug, Serialize)]
pub struct RowView {
    /// The row's name.
    pub row: &'static str,
    /// Whether this row decided.
    pub decided: bool,
    /// What it saw.
    pub saw: String,
}

/// A ticket that a response would carry.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct IssueView {
    /// The bucket that it holds; `None` where tickets hold pins only.
    pub bucket: Option<u32>,
    /// Whether that is the bucket of a user.
    pub follows_user: bool,
    /// The engine that holds the signed-in session.
    pub session: Option<&'static str>,
}

impl ExplanationView {
    /// A decision of an app. `key` is the subject's, and is not shown; `now` is in seconds since the Unix epoch.
    pub fn of(app: &App, decision: &Decision, key: Option<&SubjectKey<'_>>, now: u64) -> Self {
        let Decision { engine, reason, trail, issue, journey, endpoint: _, evacuation: _ } = decision;
        let table = &app.rules.table;
        let name = |at: u8| table.workflow(at).name.clone();
        let dice = is_random(trail);
        let sign_out = evacuate::sign_out_first(&app.rules, decision, now);
        let flips_at = trail.bucket.filter(|_| *reason == Reason::Cohort && !dice);
        let schedule = app.rules.schedule_of(table.start_of(&trail.place));
        Self {
            app: app.name.clone(),
            engine: engine.as_str(),
            reason: reason.as_str(),
            subject: trail.subject.map(|kind| kind.as_str()),
            bucket: trail.bucket.map(|bucket| bucket.get()),
            percent: trail.share.to_string(),
            flips_at: flips_at.map(|bucket| bucket.flips_at().to_string()),
            next_stage: StageView::next(schedule, now),
            flips_with: flips_at.and_then(|bucket| {
                let flips = |stage: &&Stage| stage.share.engine_for(bucket) != trail.share.engine_for(bucket);
                schedule.ahead(now).iter().find(flips).map(StageView::of)
            }),
            is_random: dice && *reason == Reason::Cohort && engine_of_all(trail.share).is_none(),
            workflow: decision.workflow().map(name),
            workflows: workflows(app, trail.bucket.filter(|_| !dice), now),
            flows: journey
                .iter()
                .flat_map(|journey| journey.flows.iter())
                .filter_map(|pin| {
                    Some(FlowView {
                        workflow: name(table.named_by(pin.workflow)?),
                        engine: pin.engine.as_str(),
                        began_at: pin.began,
                        used_at: pin.used,
                        has_ended: pin.ended,
                    })
                })
                .collect(),
            target: trail.target.map(|at| app.rules.targets[at].name.clone()),
            ticket: TicketView::of(trail.ticket),
            trail: rows(app, decision),
            issue: issue.map(|ticket| IssueView {
                bucket: ticket.bucket.map(Bucket::get),
                follows_user: ticket.follows_user,
                session: ticket.session.map(|pin| pin.engine.as_str()),
            }),
            sign_out: sign_out.map(|path| path.as_str().to_owned()),
            notes: notes(app, decision, sign_out, key),
        }
    }
}

impl TicketView {
    fn of(state: TicketState) -> Self {
        match state {
            TicketState::Unused => Self { state: "unused", ..Self::default() },
            TicketState::Absent => Self { state: "absent", ..Self::default() },
            TicketState::Rejected(rejection) => {
                Self { state: "rejected", rejected: Some(rejection.as_str()), ..Self::default() }
            }
            TicketState::Valid(ticket) => Self {
                state: "valid",
                rejected: None,
                bucket: ticket.bucket.map(Bucket::get),
                follows_user: Some(ticket.follows_user),
                issued_at: Some(ticket.issued),
                session: ticket.session.map(|pin| pin.engine.as_str()),
                session_since: ticket.session.map(|pin| pin.made),
                last: ticket.last.map(Engine::as_str),
                leaves: Some(ticket.leaves),
            },
        }
    }
}

/// Whether the bucket was thrown with dice: nobody is named, and no ticket of ours holds one.
fn is_random(trail: &Trail) -> bool {
    match trail.ticket {
        TicketState::Valid(_) | TicketState::Unused => false,
        TicketState::Absent | TicketState::Rejected(_) => trail.subject == Some(SubjectKind::Device),
    }
}

/// The rows of the table in the order in which they are asked.
fn rows(app: &App, decision: &Decision) -> Vec<RowView> {
    let Decision { engine, reason, trail, evacuation, .. } = decision;
    let table = &app.rules.table;
    let void = evacuation.as_deref();
    let state = match (trail.state, void.and_then(|void| void.state)) {
        (_, Some((hit, order))) => {
            format!("{} issued the state, but an order of {} voids it", hit.engine, write_moment(order))
        }
        (None, None) => "the request carries no state that this process saw an engine issue".to_owned(),
        (Some(hit), None) => format!("{} issued the state that the request carries", hit.engine),
    };
    let flow = match decision.journey.as_ref().map(|journey| (journey.pinned, journey.workflow)) {
        Some((Some(pin), Some(at))) => {
            let name = &table.workflow(at).name;
            let ended = if pin.ended { ", which has ended" } else { "" };
            format!("a flow of {name}{ended} is pinned to {}", pin.engine)
        }
        Some((None, _) | (_, None)) => voided_flow(app, decision),
        None if table.is_empty() => "the app has no workflows".to_owned(),
        None => "neither the path nor the page that asks belongs to a workflow".to_owned(),
    };
    let landing = match trail.place.landing {
        None => "the URL could belong to either engine".to_owned(),
        Some((at, entry)) => {
            let name = &table.workflow(at).name;
            match table.landing((at, entry)).engine {
                LandingEngine::Fixed(engine) => format!("a landing of {name}, which is {engine}'s"),
                LandingEngine::Cohort => format!("a landing of {name}, which is a start like any other"),
            }
        }
    };
    let departure = void.and_then(|void| void.session);
    let session = match trail.session {
        _ if departure.is_some() => departure.map(leaving).unwrap_or_default(),
        SessionState::None if !app.rules.session.pins() => "sessions pin nobody in this app".to_owned(),
        SessionState::None => "no session pin".to_owned(),
        SessionState::Held(pin) => format!("{} holds the signed-in session", pin.engine),
        SessionState::GivesWay(pin) => {
            format!("{} holds the session, and gives way where a user signs in anew", pin.engine)
        }
    };
    let target = match (trail.target, app.rules.targets.len()) {
        (Some(at), _) => {
            let target = &app.rules.targets[at];
            format!("{} sends this request to {}", target.name, target.engine)
        }
        (None, 0) => "the app has no targets".to_owned(),
        (None, 1) => "the app's only target does not name this request".to_owned(),
        (None, targets) => format!("none of the app's {targets} targets names this request"),
    };
    let cohort = match trail.bucket {
        None => "nobody to place: no key, no ticket, and no page is loaded".to_owned(),
        Some(bucket) => {
            let (share, engine) = (trail.share, trail.share.engine_for(bucket));
            let source = if is_random(trail) { ", thrown with dice," } else { "" };
            let relation = match engine {
                Engine::Identity => "below",
                Engine::Classic => "not below",
            };
            format!("bucket {bucket}{source} is {relation} the share of {share}: {engine}")
        }
    };
    let default = match reason {
        Reason::Default => format!("nothing to go by: {engine}"),
        Reason::Override
        | Reason::State
        | Reason::Flow
        | Reason::Landing
        | Reason::Session
        | Reason::Target
        | Reason::Cohort
        | Reason::Failover => "not asked".to_owned(),
    };
    let tester = match trail.tester {
        None => "the browser holds no tester token".to_owned(),
        Some(Ok(tester)) => format!("a tester token for {}", tester.engine),
        Some(Err(rejection)) => format!("the tester token was rejected: {}", rejection.as_str()),
    };
    let rows = [
        (Reason::Override, tester),
        (Reason::State, state),
        (Reason::Flow, flow),
        (Reason::Landing, landing),
        (Reason::Session, session),
        (Reason::Target, target),
        (Reason::Cohort, cohort),
        (Reason::Default, default),
    ];
    rows.map(|(row, saw)| RowView { row: row.as_str(), decided: row == *reason, saw }).into()
}

/// What is told of the flow row where no pin holds the path: perhaps an order has seen to that.
fn voided_flow(app: &App, decision: &Decision) -> String {
    let voided = decision.journey.as_ref().and_then(|journey| journey.voided.first());
    let Some((at, pin, order)) = voided else { return "no flow pin holds this path".to_owned() };
    let name = &app.rules.table.workflow(*at).name;
    format!(
        "a flow of {name} was pinned to {}, but an order of {} voids it",
        pin.engine,
        write_moment(*order)
    )
}

fn leaving(departure: Departure) -> String {
    let Departure { pin, order, leaving } = departure;
    let (engine, order) = (pin.engine, write_moment(order));
    match leaving {
        Leaving::Void => {
            format!("{engine} held the signed-in session, but an order of {order} voids the pin")
        }
        Leaving::Asked => {
            format!("{engine} holds the session that an order of {order} ends: it is signed out first")
        }
        Leaving::SignsOut => format!("{engine} signs the session out, and an order of {order} ends the pin"),
        Leaving::Stays => {
            format!("{engine} holds the session until the next page: an order of {order} ends it there")
        }
    }
}

/// The share of each workflow, and on which side of it a bucket lies.
/// The engine that a share sends everybody to.
fn engine_of_all(share: Share) -> Option<Engine> {
    match share {
        Share::NONE => Some(Engine::Classic),
        Share::WHOLE => Some(Engine::Identity),
        _ => None,
    }
}

fn workflows(app: &App, bucket: Option<Bucket>, now: u64) -> Vec<WorkflowView> {
    let rows = app.rules.table.workflows().iter().map(|workflow| {
        let schedule = workflow.share.as_ref().unwrap_or(&app.rules.share);
        let share = schedule.at(now);
        WorkflowView {
            workflow: workflow.name.clone(),
            percent: share.to_string(),
            engine: engine_of_all(share)
                .or_else(|| bucket.map(|bucket| share.engine_for(bucket)))
                .map(Engine::as_str),
            flips_at: bucket.map(|bucket| bucket.flips_at().to_string()),
            next_stage: StageView::next(schedule, now),
        }
    });
    rows.collect()
}

fn notes(
    app: &App,
    decision: &Decision,
    sign_out: Option<&SignOut>,
    key: Option<&SubjectKey<'_>>,
) -> Vec<String> {
    let Decision { reason, trail, .. } = decision;
    let mut notes = Vec::new();
    let mints = app.rules.keys.last() == Some(&KeySource::Device);
    let chance = trail.share;
    if let Some(path) = sign_out {
        notes.push(format!(
            "the browser is sent to {} first, once; {} serves that",
            path.as_str(),
            decision.engine
        ));
    }
    match reason {
        // Dice that cannot change the answer are not worth a word.
        Reason::Cohort if is_random(trail) && engine_of_all(chance).is_none() => notes.push(format!(
            "a browser without a key or a ticket is placed at random, on identity with a probability of \
             {chance}: this is one throw of the dice, and the next browser gets another"
        )),
        Reason::Default if mints => notes.push(match engine_of_all(chance) {
            Some(engine) => format!("a browser that loads a page would be placed on {engine}, as everybody is"),
            None => format!(
                "a browser that loads a page would be placed at random, on identity with a probability of {chance}"
            ),
        }),
        Reason::Override
        | Reason::State
        | Reason::Flow
        | Reason::Landing
        | Reason::Session
        | Reason::Target
        | Reason::Cohort
        | Reason::Default
        | Reason::Failover => {}
    }
    // The commonest surprise: the name is on the list, and the rule does not apply.
    if let (Some(key), Some(kind)) = (key, trail.subject)
        && kind.is_claimed()
    {
        let listing =
            app.rules.targets.iter().filter(|target| !target.claimed && target.subjects.contains(key));
        notes.extend(listing.map(|target| {
            format!(
                "{} lists this subject, but anybody can claim a {} key: it counts with claimed = true",
                target.name,
                kind.as_str()
            )
        }));
    }
    notes
}
