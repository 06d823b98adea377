//! How a change reads in a log and in `cutover plan`: one line.

use std::fmt;

use crate::config::diff::change::{Cause, Change, SigningChange, TargetChange, WorkflowChange};
use crate::config::diff::stages::Moving;
use crate::config::diff::targets::Moves;
use crate::config::units::write_moment;
use crate::decide::host::HostPattern;

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAY: [&str; 2] = ["", "; some may move back"];
        match self {
            Self::ListenerAdded(bind) => write!(formatter, "listener {bind} added"),
            Self::ListenerRemoved(bind) => write!(formatter, "listener {bind} removed: it drains"),
            Self::AdminBind { from, to } => write!(formatter, "admin.bind {from} → {to}"),
            Self::AdminToken => formatter.write_str("admin token changed"),
            Self::Trust { gained, lost, decides } => {
                formatter.write_str("trust.proxies")?;
                lost.iter().try_for_each(|network| write!(formatter, " -{network}"))?;
                gained.iter().try_for_each(|network| write!(formatter, " +{network}"))?;
                if *decides {
                    formatter.write_str(": headers name other people than before; some may move back")?;
                }
                Ok(())
            }
            Self::Certificates { bind, asks } => {
                let what = if *asks { "asks for certificates" } else { "asks for no certificates any more" };
                write!(
                    formatter,
                    "listener {bind} {what}: others are recognised than before; some may move back"
                )
            }
            Self::Workers { from, to } => write!(formatter, "workers {from} → {to}: applies after a restart"),
            Self::SigningKeys(SigningChange::Rotated { signs_anew, dropped }) => {
                formatter.write_str("ticket keys changed")?;
                if *signs_anew {
                    formatter.write_str("; another one signs from now on")?;
                }
                match dropped {
                    0 => Ok(()),
                    dropped => write!(formatter, "; {dropped} dropped, and tickets of theirs are forgotten"),
                }
            }
            Self::SigningKeys(SigningChange::Lost { mints, unconsented: _ }) => {
                formatter.write_str("ticket keys changed: the key that signed is gone")?;
                formatter.write_str(if *mints {
                    ", browsers known only by their ticket are placed anew"
                } else {
                    ", every ticket is forgotten"
                })
            }
            Self::Setting { key, from, to } => write!(formatter, "{key} {from} → {to}"),
            Self::Protocol { app, engine, http2 } => {
                let (from, to) = (!http2, http2);
                let kept = if *http2 { "HTTP/1.1" } else { "HTTP/2" };
                write!(
                    formatter,
                    "apps.{app}.{engine}.http2 {from} → {to}: {kept} connections end when what they carry is done"
                )
            }
            Self::PinsEnd { key, from, to, follows } => {
                write!(formatter, "{key} {from} → {to}: {follows}; some may move back")
            }
            Self::AppAdded { app, share } => write!(formatter, "{app} added at {share}"),
            Self::AppRemoved { app } => write!(formatter, "{app} removed"),
            Self::HostAdded { app, host } => write!(formatter, "{app} answers for {}", shown(host)),
            Self::HostRemoved { app, host, may_move_back } => {
                let may = MAY[usize::from(*may_move_back)];
                write!(formatter, "{app} no longer answers for {}{may}", shown(host))
            }
            Self::Share { app, from, to, anew: true } => {
                write!(formatter, "{app} {from} → {to}, of a line on which everyone is placed anew")
            }
            Self::Share { app, from, to, anew: false } => write!(formatter, "{app} {}", Moving(*from, *to)),
            Self::Schedule(change) => change.fmt(formatter),
            Self::Reshuffled { app, cause, .. } => {
                match cause {
                    Cause::Salt => write!(formatter, "{app} salt changed")?,
                    Cause::Keys { from, to } => write!(formatter, "{app} keys {from} → {to}")?,
                }
                formatter.write_str(": everyone is placed anew")
            }
            Self::Epoch { app, from, to, mints } => {
                write!(formatter, "{app} epoch {from} → {to}: every ticket is forgotten")?;
                formatter.write_str(if *mints { ", everyone is placed anew" } else { "" })
            }
            Self::Target { app, target, change, may_move_back } => {
                write!(formatter, "{app} target {target} ")?;
                match change {
                    TargetChange::Added(engine) => write!(formatter, "added: {engine}")?,
                    TargetChange::Removed(engine) => write!(formatter, "removed: it was for {engine}")?,
                    TargetChange::Changed(fields) => write!(formatter, "changed: {}", fields.join(", "))?,
                }
                formatter.write_str(MAY[usize::from(*may_move_back)])
            }
            Self::Workflow { app, workflow, change } => match change {
                WorkflowChange::Added => write!(formatter, "{app}/{workflow} added"),
                WorkflowChange::Removed => {
                    write!(formatter, "{app}/{workflow} removed: its flow pins end; some may move back")
                }
                WorkflowChange::Changed { fields, pins_end_sooner } => {
                    write!(formatter, "{app}/{workflow} changed: {}", fields.join(", "))?;
                    let sooner = "; its flow pins end sooner, some may move back";
                    formatter.write_str(if *pins_end_sooner { sooner } else { "" })
                }
            },
            Self::Evacuation { app, order, withdrawn: true } => {
                let (engine, at) = (order.engine, write_moment(order.at));
                write!(formatter, "{app} no longer evacuates {engine} by the order of {at}")
            }
            Self::Evacuation { app, order, withdrawn: false } => {
                let (engine, at) = (order.engine, write_moment(order.at));
                write!(
                    formatter,
                    "{app} evacuates {engine} at {at}: whoever it holds until then is placed anew"
                )?;
                match &order.sign_out {
                    Some(path) => write!(formatter, ", signed-in users by way of {}", path.as_str()),
                    None => Ok(()),
                }
            }
            Self::TargetOrder { app, may_move_back } => {
                write!(formatter, "{app} targets in another order{}", MAY[usize::from(*may_move_back)])
            }
            Self::Listed { app, moves: Moves { to_identity, back, stay: _ } } => {
                write!(formatter, "{app} listed subjects: {to_identity} move to identity, {back} back")
            }
            Self::EndpointAdded { app, engine, url } => {
                write!(formatter, "{app} {engine} endpoint {url} added")
            }
            Self::EndpointRemoved { app, engine, url } => {
                write!(formatter, "{app} {engine} endpoint {url} removed: it drains")
            }
            Self::EndpointWeight { app, engine, url, from, to } => {
                write!(formatter, "{app} {engine} endpoint {url} weight {from} → {to}")
            }
        }
    }
}

fn shown(host: &Option<HostPattern>) -> String {
    host.as_ref().map_or_else(|| "hosts that no other app claims".to_owned(), HostPattern::to_string)
}

/// Parts per 100,000 as a percentage with three decimals.
pub(super) fn thousandths(parts: u32) -> String {
    format!("{}.{:03}", parts / 1000, parts % 1000)
}
