//! One change: what it is, what it does to people, when it applies, and whether it needs consent.

use std::net::SocketAddr;

use ipnet::IpNet;

use crate::config::diff::{Moves, Refusal, ScheduleChange};
use crate::config::model::EndpointUrl;
use crate::decide::bucket::Share;
use crate::decide::engine::Engine;
use crate::decide::evacuate::Order;
use crate::decide::host::HostPattern;

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

/// One difference between two configurations. No secret is in any of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// A listener is opened.
    ListenerAdded(SocketAddr),
    /// A listener is closed, and drained.
    ListenerRemoved(SocketAddr),
    /// The admin listener moves.
    AdminBind {
        /// Where it was.
        from: SocketAddr,
        /// Where it goes.
        to: SocketAddr,
    },
    /// The admin token is another one, or is there for the first time, or gone.
    AdminToken,
    /// Other peers are believed.
    Trust {
        /// Who is believed from now on.
        gained: Vec<IpNet>,
        /// Who is not any more.
        lost: Vec<IpNet>,
        /// Whether an app reads headers that only those may set: then people are recognised differently.
        decides: bool,
    },
    /// The number of workers.
    Workers {
        /// As written: 0 is one per core.
        from: usize,
        /// As written.
        to: usize,
    },
    /// The keys that sign tickets.
    SigningKeys(SigningChange),
    /// A value that moves nobody.
    Setting {
        /// The key path.
        key: String,
        /// As operators write it.
        from: String,
        /// As operators write it.
        to: String,
    },
    /// A value without which pins end that held until now.
    PinsEnd {
        /// The key path.
        key: String,
        /// As operators write it.
        from: String,
        /// As operators write it.
        to: String,
        /// Which pins, and when.
        follows: &'static str,
    },
    /// An app is new.
    AppAdded {
        /// Its name.
        app: String,
        /// Its share.
        share: Share,
    },
    /// An app is gone.
    AppRemoved {
        /// Its name.
        app: String,
    },
    /// An app claims another host.
    HostAdded {
        /// Which app.
        app: String,
        /// `None`: every host that no other app claims.
        host: Option<HostPattern>,
    },
    /// An app gives up a host.
    HostRemoved {
        /// Which app.
        app: String,
        /// `None`: every host that no other app claims.
        host: Option<HostPattern>,
        /// Whether somebody may have been on the Identity engine there.
        may_move_back: bool,
    },
    /// Another part of the line belongs to the Identity engine.
    Share {
        /// Which app.
        app: String,
        /// The share before.
        from: Share,
        /// The share after.
        to: Share,
        /// Whether everybody gets another place on the line by the same edit.
        anew: bool,
    },
    /// A share follows other stages.
    Schedule(ScheduleChange),
    /// Everybody gets another place on the line.
    Reshuffled {
        /// Which app.
        app: String,
        /// Why.
        cause: Cause,
        /// The epoch before.
        epoch: u32,
        /// Whether the same edit raises it.
        consented: bool,
    },
    /// Tickets count no more.
    Epoch {
        /// Which app.
        app: String,
        /// The epoch before.
        from: u32,
        /// The epoch after.
        to: u32,
        /// Whether browsers are known by their ticket.
        mints: bool,
    },
    /// A targeting rule.
    Target {
        /// Which app.
        app: String,
        /// Its name.
        target: String,
        /// What is different.
        change: TargetChange,
        /// Whether somebody whom no list names may lose the Identity engine.
        may_move_back: bool,
    },
    /// The rules are in another order.
    TargetOrder {
        /// Which app.
        app: String,
        /// Whether somebody whom no list names may lose the Identity engine.
        may_move_back: bool,
    },
    /// A workflow; its share is told by itself.
    Workflow {
        /// Which app.
        app: String,
        /// Its name.
        workflow: String,
        /// What is different.
        change: WorkflowChange,
    },
    /// An order to evacuate an engine.
    Evacuation {
        /// Which app.
        app: String,
        /// What it says.
        order: Order,
        /// Whether it is taken out, and not new.
        withdrawn: bool,
    },
    /// What the rules' changes do to the subjects that they list, counted.
    Listed {
        /// Which app.
        app: String,
        /// Who moves which way.
        moves: Moves,
    },
    /// An endpoint is new.
    EndpointAdded {
        /// Which app.
        app: String,
        /// Which pool.
        engine: Engine,
        /// Which address.
        url: EndpointUrl,
    },
    /// An endpoint is gone.
    EndpointRemoved {
        /// Which app.
        app: String,
        /// Which pool.
        engine: Engine,
        /// Which address.
        url: EndpointUrl,
    },
    /// An endpoint gets another part of the requests.
    EndpointWeight {
        /// Which app.
        app: String,
        /// Which pool.
        engine: Engine,
        /// Which address.
        url: EndpointUrl,
        /// The weight before.
        from: u32,
        /// The weight after.
        to: u32,
    },
}

/// Why everybody is placed anew.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Cause {
    /// The salt is another one.
    Salt,
    /// Subjects are known by other keys.
    Keys {
        /// As written before.
        from: String,
        /// As written now.
        to: String,
    },
}

/// How the signing keys differ.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SigningChange {
    /// The key that signed is still among them: its tickets count.
    Rotated {
        /// Whether another key signs from now on.
        signs_anew: bool,
        /// How many older keys are gone.
        dropped: usize,
    },
    /// The key that signed is gone, and with it every ticket that is not very old.
    Lost {
        /// Apps whose browsers are known by their ticket, and whose epoch the edit does not raise.
        unconsented: Vec<String>,
        /// Whether browsers of any app are known by their ticket.
        mints: bool,
    },
}

/// How a targeting rule differs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TargetChange {
    /// It is new, and sends to this engine.
    Added(Engine),
    /// It is gone, and sent to this engine.
    Removed(Engine),
    /// These keys of it differ.
    Changed(Vec<&'static str>),
}

/// How a workflow differs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum WorkflowChange {
    /// It is new.
    Added,
    /// It is gone, and its pins with it.
    Removed,
    /// These keys of it differ.
    Changed {
        /// Which.
        fields: Vec<&'static str>,
        /// Whether its pins hold for a shorter time.
        pins_end_sooner: bool,
    },
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
            Self::AppRemoved { .. } | Self::PinsEnd { .. } => Verdict::MovesBack,
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
            | Self::SigningKeys(_)
            | Self::Setting { .. }
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
            | Self::Workers { .. }
            | Self::SigningKeys(_)
            | Self::Setting { .. }
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
