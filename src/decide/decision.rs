//! Why an engine was chosen.

use std::fmt;

/// Why an engine was chosen, as logs, metrics and `explain` name it (`DESIGN.md` 3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// A targeting rule names this subject.
    Target,
    /// The subject's bucket against the share.
    Cohort,
    /// Nothing to go by: classic.
    Default,
    /// The decided engine could not serve and the policy let the other one answer.
    Failover,
}

impl Reason {
    /// All reasons, in the order in which [`Reason::index`] counts them.
    pub const ALL: [Self; 4] = [Self::Target, Self::Cohort, Self::Default, Self::Failover];

    /// The name in logs, metrics and `explain`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Cohort => "cohort",
            Self::Default => "default",
            Self::Failover => "failover",
        }
    }

    /// Position in an array indexed by reason.
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
