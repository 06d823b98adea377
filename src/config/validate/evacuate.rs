//! The rules of orders to evacuate: what they say, and that people do not come right back.

use crate::config::problems::{At, excerpt};
use crate::config::raw_flow::RawOrder;
use crate::config::reader::{List, Written};
use crate::config::units;
use crate::config::validate::Context;
use crate::decide::bucket::Share;
use crate::decide::engine::Engine;
use crate::decide::evacuate::{Order, SignOut, SignOutError};
use crate::decide::stage::Schedule;
use crate::decide::target::Target;
use crate::decide::workflow::Workflow;

/// What the orders of one app need to know of it.
pub(super) struct Setting<'s> {
    pub(super) name: &'s str,
    /// `None` where it is wrong.
    pub(super) share: Option<&'s Schedule>,
    pub(super) workflows: &'s [Workflow],
    pub(super) targets: &'s [Target],
    /// Whether sessions pin anybody.
    pub(super) pins: bool,
}

pub(super) fn orders(
    context: &Context<'_, '_>,
    raw: Option<List<RawOrder>>,
    setting: &Setting<'_>,
) -> Vec<Order> {
    let mut orders: Vec<(Order, At)> = Vec::new();
    for raw in raw.into_iter().flat_map(|list| list.items) {
        let at = raw.at.clone();
        let Some(order) = order(context, raw, setting) else { continue };
        let same = |known: &&(Order, At)| known.0.engine == order.engine && known.0.at == order.at;
        if let Some((_, first)) = orders.iter().find(same) {
            let message = format!("{} is evacuated twice at the same moment", order.engine);
            context.error(&at, message, format!("{} is the first", first.key));
        }
        orders.push((order, at));
    }
    for engine in Engine::BOTH {
        // The newest says all that older ones do.
        let of_engine = orders.iter().filter(|(order, _)| order.engine == engine);
        if let Some((order, at)) = of_engine.max_by_key(|(order, _)| order.at) {
            warn_of_return(context, order, at, setting);
        }
    }
    orders.into_iter().map(|(order, _)| order).collect()
}

fn order(context: &Context<'_, '_>, raw: RawOrder, setting: &Setting<'_>) -> Option<Order> {
    let RawOrder { at: _, engine, date, sign_out } = raw;
    let is_written = engine.is_some();
    let engines = Engine::BOTH.map(|engine| (engine.as_str(), engine));
    let engine = context.choice(&engine, &engines, Engine::Identity);
    let at = date.and_then(|date| context.unit(&date.at, units::moment(&date.value)));
    if let Some(written) = sign_out.as_ref().filter(|_| !setting.pins) {
        let hint =
            "sessions pin nobody in this app: no session cookie is named, or both engines share one store";
        context.problems.warning(&written.at, "nobody is ever sent to sign out", hint);
    }
    let sign_out = match sign_out {
        Some(written) => Some(self::sign_out(context, &written)?),
        None => None,
    };
    Some(Order { engine, at: at?, sign_out }).filter(|_| is_written)
}

fn sign_out(context: &Context<'_, '_>, written: &Written<String>) -> Option<SignOut> {
    let read = SignOut::parse(&written.value);
    let refused = |error: SignOutError| {
        let message = format!("{} cannot sign anybody out: {error}", excerpt(&written.value));
        context.error(&written.at, message, error.hint());
    };
    read.map_err(refused).ok()
}

/// An engine that still has a share, or that a target sends to, gets back whom it has just lost. Only what can be in
/// force at the order's date or after it counts; which of that is over by now is not asked, since checking a file reads
/// no clock.
fn warn_of_return(context: &Context<'_, '_>, order: &Order, at: &At, setting: &Setting<'_>) {
    let engine = order.engine;
    let (none, all) = match engine {
        Engine::Classic => (Share::WHOLE, "100"),
        Engine::Identity => (Share::NONE, "0"),
    };
    let name = setting.name;
    let own = setting.workflows.iter();
    let own =
        own.filter_map(|workflow| Some((format!("{name}/{}", workflow.name), workflow.share.as_ref()?)));
    let places = setting.share.map(|share| (name.to_owned(), share)).into_iter().chain(own);
    let (mut reasons, mut ways, mut at_once) = (Vec::new(), Vec::new(), false);
    for (place, schedule) in places {
        let now = schedule.at(order.at);
        if now != none {
            at_once = true;
            reasons.push(format!("{place} is at {now} on identity"));
        } else if let Some(stage) = schedule.ahead(order.at).iter().find(|stage| stage.share != none) {
            let from = units::write_moment(stage.at);
            reasons.push(format!("{place} is at {} on identity from {from} on", stage.share));
        } else {
            continue;
        }
        ways.push(if schedule.is_constant() {
            format!("cutover set {place} {all}")
        } else {
            format!("in {place} write percent = {all} instead of its stages")
        });
    }
    let to_engine = setting.targets.iter().filter(|target| target.engine == engine);
    let names: Vec<&str> = to_engine.map(|target| target.name.as_str()).collect();
    if !names.is_empty() {
        at_once = true;
        let (names, plural) = (names.join(", "), names.len() > 1);
        let (noun, verb) = if plural { ("targets", "send") } else { ("target", "sends") };
        reasons.push(format!("the {noun} {names} {verb} to it"));
        ways.push(format!("take the {noun} {names} out"));
    }
    if reasons.is_empty() {
        return;
    }
    let when = if at_once { "come right back" } else { "come back then" };
    let message = format!("{engine} is evacuated, but {}: people {when}", reasons.join(", "));
    let hint = format!("{}; or take the order out, once it is no longer wanted", ways.join("; "));
    context.problems.warning(at, message, hint);
}
