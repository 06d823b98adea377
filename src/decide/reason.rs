//! Why an engine was chosen: the rows of the decision table, in their order.

/// Why an engine was chosen: the name of the row.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reason {
    /// The browser holds a valid tester token of this app.
    Override,
    /// A workflow path carries a `state` that an engine was seen to issue.
    State,
    /// A live flow pin holds the path, or the page that asks.
    Flow,
    /// The URL can only belong to one engine.
    Landing,
    /// A session pin says who owns the signed-in session.
    Session,
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
    pub const ALL: [Self; 9] = [
        Self::Override,
        Self::State,
        Self::Flow,
        Self::Landing,
        Self::Session,
        Self::Target,
        Self::Cohort,
        Self::Default,
        Self::Failover,
    ];

    /// The name in metrics, logs and headers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Override => "override",
            Self::State => "state",
            Self::Flow => "flow",
            Self::Landing => "landing",
            Self::Session => "session",
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
