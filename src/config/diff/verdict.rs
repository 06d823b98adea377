//! What a change does to people, when it applies, and whether it needs consent.

use crate::config::diff::Refusal;
use crate::config::diff::change::{Cause, Change, SigningChange, WorkflowChange};
use crate::decide::bucket::Share;
use crate::decide::engine::Engine;

/// What an edit does to people, from nothing to everything.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Verdict {
    /// Nobody moves.
    Unchanged,
    /// Some move to the Identity engine, nobody back.
    Widens,
    /// Some move back, or may.
    MovesBack,
    /// Some are placed anew, wherever they stood.
    Reshuffles,
}

impl Verdict {
    /// The exit code of `cutover plan`.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Unchanged | Self::Widens => 0,
            Self::MovesBack => 3,
            Self::Reshuffles => 4,
        }
    }
}

/// When a change takes effect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Applies {
    /// With the reload, at once.
    Live,
    /// With the reload, by opening and closing listeners.
    Rebinds,
    /// Not before the process is started anew.
    AfterRestart,
}

impl WorkflowChange {
    /// Whether a pin ends that would have held.
    const fn ends_pins(&self) -> bool {
        match self {
            Self::Added => false,
            Self::Removed => true,
            Self::Changed { fields: _, pins_end_sooner } => *pins_end_sooner,
        }
    }
}

impl Change {
    /// What it does to people.
    pub fn verdict(&self) -> Verdict {
        let back_if = |moves_back: bool| if moves_back { Verdict::MovesBack } else { Verdict::Unchanged };
        match self {
            Self::ListenerAdded(_)
            | Self::ListenerRemoved(_)
            | Self::AdminBind { .. }
            | Self::AdminToken
            | Self::Workers { .. }
            | Self::Setting { .. }
            | Self::Protocol { .. }
            | Self::HostAdded { .. }
            | Self::EndpointAdded { .. }
            | Self::EndpointRemoved { .. }
            | Self::EndpointWeight { .. }
            | Self::Evacuation { withdrawn: true, .. }
            | Self::SigningKeys(SigningChange::Rotated { .. } | SigningChange::Lost { mints: false, .. })
            | Self::Epoch { mints: false, .. } => Verdict::Unchanged,
            Self::AppAdded { share, .. } => {
                if *share == Share::NONE {
                    Verdict::Unchanged
                } else {
                    Verdict::Widens
                }
            }
            // Whom a pin held is placed by the share, which may have fallen since.
            Self::AppRemoved { .. } | Self::PinsEnd { .. } | Self::Certificates { .. } => Verdict::MovesBack,
            Self::Workflow { change, .. } => back_if(change.ends_pins()),
            Self::Evacuation { order, withdrawn: false, .. } => match order.engine {
                Engine::Classic => Verdict::Widens,
                Engine::Identity => Verdict::MovesBack,
            },
            Self::HostRemoved { may_move_back, .. } | Self::TargetOrder { may_move_back, .. } => {
                back_if(*may_move_back)
            }
            Self::Trust { decides, .. } => back_if(*decides),
            Self::Share { from, to, .. } => {
                if to < from {
                    Verdict::MovesBack
                } else {
                    Verdict::Widens
                }
            }
            Self::Schedule(change) => change.verdict(),
            Self::Target { may_move_back: true, .. } => Verdict::MovesBack,
            Self::Target { may_move_back: false, .. } => Verdict::Widens,
            Self::Listed { moves, .. } => {
                if moves.back > 0 {
                    Verdict::MovesBack
                } else if moves.to_identity > 0 {
                    Verdict::Widens
                } else {
                    Verdict::Unchanged
                }
            }
            Self::Reshuffled { .. }
            | Self::Epoch { mints: true, .. }
            | Self::SigningKeys(SigningChange::Lost { mints: true, .. }) => Verdict::Reshuffles,
        }
    }

    /// When it takes effect.
    pub fn applies(&self) -> Applies {
        match self {
            Self::ListenerAdded(_) | Self::ListenerRemoved(_) | Self::AdminBind { .. } => Applies::Rebinds,
            Self::Workers { .. } => Applies::AfterRestart,
            Self::AdminToken
            | Self::Trust { .. }
            | Self::Certificates { .. }
            | Self::SigningKeys(_)
            | Self::Setting { .. }
            | Self::Protocol { .. }
            | Self::PinsEnd { .. }
            | Self::AppAdded { .. }
            | Self::AppRemoved { .. }
            | Self::HostAdded { .. }
            | Self::Workflow { .. }
            | Self::Evacuation { .. }
            | Self::HostRemoved { .. }
            | Self::Share { .. }
            | Self::Schedule(_)
            | Self::Reshuffled { .. }
            | Self::Epoch { .. }
            | Self::Target { .. }
            | Self::TargetOrder { .. }
            | Self::Listed { .. }
            | Self::EndpointAdded { .. }
            | Self::EndpointRemoved { .. }
            | Self::EndpointWeight { .. } => Applies::Live,
        }
    }

    /// Why a reload must not make it.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Reshuffled { app, cause, epoch, consented: false } => {
                let cause = match cause {
                    Cause::Salt => "salt",
                    Cause::Keys { .. } => "keys",
                };
                Some(Refusal {
                    message: format!("another {cause} would place everyone of {app} anew"),
                    hint: format!(
                        "if that is meant, write epoch = {} under [apps.{app}] in the same edit",
                        epoch.saturating_add(1)
                    ),
                })
            }
            Self::Epoch { app, from, to, mints: _ } if to < from => Some(Refusal {
                message: format!("the epoch of {app} cannot fall from {from} to {to}"),
                hint: format!(
                    "tickets that were forgotten would count again; keep it at {from}, or raise it"
                ),
            }),
            Self::SigningKeys(SigningChange::Lost { unconsented, mints: _ }) if !unconsented.is_empty() => {
                Some(Refusal {
                    message: format!(
                        "without the key that signed them, tickets of {} are lost",
                        unconsented.join(", ")
                    ),
                    hint: "keep the old key as a second line of the key file; \
                           or raise the epoch of these apps in the same edit"
                        .to_owned(),
                })
            }
            Self::ListenerAdded(_)
            | Self::ListenerRemoved(_)
            | Self::AdminBind { .. }
            | Self::AdminToken
            | Self::Trust { .. }
            | Self::Certificates { .. }
            | Self::Workers { .. }
            | Self::SigningKeys(_)
            | Self::Setting { .. }
            | Self::Protocol { .. }
            | Self::PinsEnd { .. }
            | Self::AppAdded { .. }
            | Self::AppRemoved { .. }
            | Self::HostAdded { .. }
            | Self::Workflow { .. }
            | Self::Evacuation { .. }
            | Self::HostRemoved { .. }
            | Self::Share { .. }
            | Self::Schedule(_)
            | Self::Reshuffled { .. }
            | Self::Epoch { .. }
            | Self::Target { .. }
            | Self::TargetOrder { .. }
            | Self::Listed { .. }
            | Self::EndpointAdded { .. }
            | Self::EndpointRemoved { .. }
            | Self::EndpointWeight { .. } => None,
        }
    }
}
