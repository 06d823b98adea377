//! One change: what it is.

use std::net::SocketAddr;

use ipnet::IpNet;

use crate::config::diff::{Moves, ScheduleChange};
use crate::config::model::EndpointUrl;
use crate::decide::bucket::Share;
use crate::decide::engine::Engine;
use crate::decide::evacuate::Order;
use crate::decide::host::HostPattern;

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
    /// A listener asks for certificates from now on, or does not any more, and an app reads them: then people are
    /// recognised differently.
    Certificates {
        /// Which listener.
        bind: SocketAddr,
        /// Whether it asks from now on.
        asks: bool,
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
    /// An engine is spoken to in another version of HTTP.
    Protocol {
        /// Which app.
        app: String,
        /// Which pool.
        engine: Engine,
        /// Whether it is HTTP/2 from now on.
        http2: bool,
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
