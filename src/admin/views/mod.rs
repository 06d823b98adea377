//! What operators see: the only types of the program that are written as JSON, or read from it.
//!
//! No secret is in any of them. Fields are only ever added; a reader must ignore what it does not know.

mod edge;
mod explanation;
mod stage;
mod status;

use serde::{Deserialize, Serialize};

use crate::config::{Problem, print};
use crate::control::Outcome;
use crate::control::evacuate::Lines;
use crate::decide::engine::Engine;
use crate::decide::evacuate::Order;
use crate::runtime::pool::Pool;
use crate::runtime::snapshot::Snapshot;

pub use edge::{CertificateView, ListenerView};
pub use explanation::{
    ExplainQuery, ExplanationView, FlowView, IssueView, RowView, TicketView, WorkflowView,
};
pub use stage::{StageView, WorkflowShareView};
pub use status::{
    AppReadyView, AppView, ByEngine, ConfigurationView, EndpointView, OrderView, PoolReadyView, PoolView,
    ReadyView, StatusView, WarningView,
};

/// An error answer (RFC 9457).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RefusalView<'a> {
    /// The status in words.
    pub title: &'a str,
    /// The status.
    pub status: u16,
    /// What is wrong.
    pub detail: &'a str,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<&'a str>,
    /// Where in the configuration to do it, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The lines that should stand there.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub lines: &'a [String],
}

/// The body of `POST /api/v1/apps/{app}/evacuate`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderQuery {
    /// Which engine is left.
    pub engine: String,
    /// Where signed-in users are sent first.
    pub sign_out: Option<String>,
}

/// The body of `POST /api/v1/apps/{app}/{engine}/endpoints/…`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointQuery {
    /// Its URL.
    pub endpoint: String,
}

/// An endpoint that an operator has enabled, drained or disabled.
#[derive(Clone, Debug, Serialize)]
pub struct EndpointOrderView {
    /// Which app.
    pub app: String,
    /// Which engine.
    pub engine: &'static str,
    /// How it stands now.
    #[serde(flatten)]
    pub endpoint: EndpointView,
    /// How many endpoints its engine has.
    pub endpoints: usize,
    /// To how many of them requests go.
    pub ready: usize,
}

impl EndpointOrderView {
    /// The endpoint at a place of its pool.
    pub fn of(app: String, engine: Engine, pool: &Pool, at: usize, weight: u32) -> Self {
        let PoolReadyView { endpoints, ready } = PoolReadyView::of(pool);
        let endpoint = EndpointView::of(&pool.endpoints[at], weight);
        Self { app, engine: engine.as_str(), endpoint, endpoints, ready }
    }
}

/// An order that was written down, and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct EvacuatedView {
    /// Which app.
    pub app: String,
    /// What was ordered.
    #[serde(flatten)]
    pub order: OrderView,
    /// Where it was written.
    pub file: String,
    /// The number of the first line that changed, from 1.
    pub line: Option<usize>,
    /// How the lines read that changed.
    pub lines: Vec<String>,
    /// What became of the look at the file that followed.
    #[serde(flatten)]
    pub look: LookView,
}

impl EvacuatedView {
    /// An order, where it stands, and what the running proxy made of it. `now` is in seconds since the Unix epoch.
    pub fn of(app: String, order: &Order, place: Lines, outcome: &Outcome, now: u64) -> Self {
        let Lines { file, first, lines } = place;
        let (order, look) = (OrderView::of(order, now), LookView::of(outcome));
        Self { app, order, file, line: first, lines, look }
    }
}

/// What became of a look at the configuration; also `POST /api/v1/reload`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct LookView {
    /// `applied`, `unchanged` or `rejected`.
    pub result: String,
    /// The generation that runs.
    pub generation: u64,
    /// What changed, a line each, and behind a schedule a line for each moment that lies ahead.
    #[serde(default)]
    pub changes: Vec<String>,
    /// What is odd about it, as `cutover check` shows it.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Why it was rejected, as `cutover check` shows it.
    #[serde(default)]
    pub problems: Option<String>,
}

impl LookView {
    /// What became of it.
    pub fn of(outcome: &Outcome) -> Self {
        match outcome.clone() {
            Outcome::Applied { generation, changes, warnings } => {
                Self { result: "applied".to_owned(), generation, changes, warnings, problems: None }
            }
            Outcome::Unchanged { generation } => {
                Self { result: "unchanged".to_owned(), generation, ..Self::default() }
            }
            Outcome::Rejected { generation, problems } => {
                let problems = Some(problems);
                Self { result: "rejected".to_owned(), generation, problems, ..Self::default() }
            }
        }
    }
}

/// `GET /api/v1/config`
#[derive(Clone, Debug, Serialize)]
pub struct ConfigView {
    /// The number of the running configuration.
    pub generation: u64,
    /// Its digest.
    pub hash: String,
    /// All of it, with every default filled in; of secrets the paths only.
    pub toml: String,
}

impl ConfigView {
    /// The running one.
    pub fn of(snapshot: &Snapshot) -> Self {
        Self {
            generation: snapshot.generation,
            hash: snapshot.hash.clone(),
            toml: print::effective(&snapshot.config),
        }
    }
}

/// A mistake in a configuration file.
#[derive(Clone, Debug, Serialize)]
pub struct ProblemView<'a> {
    /// `error` or `warning`.
    pub severity: &'static str,
    /// The file.
    pub file: &'a str,
    /// The key path; empty for the file as a whole.
    pub key: &'a str,
    /// 1-based.
    pub line: Option<usize>,
    /// 1-based, in characters.
    pub column: Option<usize>,
    /// What is wrong.
    pub message: &'a str,
    /// What to do.
    pub hint: Option<&'a str>,
}

impl<'a> From<&'a Problem> for ProblemView<'a> {
    fn from(problem: &'a Problem) -> Self {
        let Problem { severity, file, key, place, message, hint } = problem;
        Self {
            severity: severity.as_str(),
            file,
            key,
            line: place.as_ref().map(|place| place.line),
            column: place.as_ref().map(|place| place.column),
            message,
            hint: hint.as_deref(),
        }
    }
}
