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
use crate::decide::workflow::Workflow;

/// What the orders of one app need to know of it.
pub(super) struct Setting<'s> {
    pub(super) name: &'s str,
    /// `None` where it is wrong.
    pub(super) share: Option<&'s Schedule>,
    pub(super) workflows: &'s [Workflow],
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
        if let Some((_, at)) = of_engine.max_by_key(|(order, _)| order.at) {
            warn_of_return(context, engine, at, setting);
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

/// An engine that still has a share gets back whom it has just lost. Stages count as they stand, whatever the clock
/// says: one that gives the engine a share is why people come back, today or later.
fn warn_of_return(context: &Context<'_, '_>, engine: Engine, at: &At, setting: &Setting<'_>) {
    let own = setting.workflows.iter();
    let own = own.filter_map(|workflow| Some((Some(workflow.name.as_str()), workflow.share.as_ref()?)));
    let mut schedules = setting.share.map(|share| (None, share)).into_iter().chain(own);
    let (none, all) = match engine {
        Engine::Classic => (Share::WHOLE, "100"),
        Engine::Identity => (Share::NONE, "0"),
    };
    let after = |schedule: &Schedule| match schedule.stages() {
        [] => Some(schedule.at(0)).filter(|share| *share != none),
        stages => stages.iter().map(|stage| stage.share).find(|share| *share != none),
    };
    let Some((workflow, schedule, share)) =
        schedules.find_map(|(workflow, schedule)| Some((workflow, schedule, after(schedule)?)))
    else {
        return;
    };
    let name = setting.name;
    let place = workflow.map_or_else(|| name.to_owned(), |workflow| format!("{name}/{workflow}"));
    let hint = if schedule.is_constant() {
        format!("cutover set {place} {all}; or take the order out, once it is no longer wanted")
    } else {
        format!(
            "write percent = {all} instead of its stages; or take the order out, once it is no longer wanted"
        )
    };
    let message = format!("{engine} is evacuated, but {place} is at {share} on identity");
    let message = if schedule.is_constant() {
        format!("{message}: people come right back")
    } else {
        format!("{message} at one of its stages: people come back then")
    };
    context.problems.warning(at, message, hint);
}
