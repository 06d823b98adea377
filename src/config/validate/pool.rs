//! The rules of one engine's pool.

use std::collections::HashMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use http::Method;

use crate::config::model::{Connections, EndpointSpec, EndpointUrl, Pool, Probing, Timeouts};
use crate::config::problems::{At, excerpt};
use crate::config::raw::Text;
use crate::config::raw_pool::{
    RawConnections, RawEjection, RawEndpoint, RawHealth, RawPool, RawRetries, RawTimeouts,
};
use crate::config::reader::List;
use crate::config::units::{self, UnitError};
use crate::config::validate::Context;
use crate::decide::balance::Balance;
use crate::decide::health::{Ejection, Thresholds};
use crate::decide::retry::Retries;
use crate::decide::status::{NoStatuses, Statuses};
use crate::decide::workflow::Table;

/// Enough for a hundredfold imbalance in steps of a hundredth of a percent.
const HEAVIEST: u32 = 1_000_000;
/// More connections than one address pair has ports, many times over.
const MOST: u32 = 1_000_000;

/// More tries than this are no help to anybody.
const MOST_TRIES: u32 = 10;

pub(super) fn pool(context: &Context<'_, '_>, raw: RawPool) -> Pool {
    let RawPool { endpoints, balance, timeouts, connections, health, ejection, retries, http2 } = raw;
    let balances = [Balance::LeastRequest, Balance::RoundRobin].map(|balance| (balance.as_str(), balance));
    Pool {
        endpoints: endpoints.map(|list| self::endpoints(context, list)).unwrap_or_default(),
        balance: context.choice(&balance, &balances, Balance::LeastRequest),
        timeouts: self::timeouts(context, timeouts),
        connections: self::connections(context, connections),
        health: health.and_then(|raw| self::health(context, raw)),
        ejection: self::ejection(context, ejection),
        retries: self::retries(context, retries),
        http2: context.flag(&http2, false),
    }
}

fn endpoints(context: &Context<'_, '_>, list: List<RawEndpoint>) -> Vec<EndpointSpec> {
    let mut first: HashMap<EndpointUrl, String> = HashMap::new();
    let mut endpoints = Vec::new();
    for RawEndpoint { url, weight } in list.items {
        let weight = context.number(&weight, 1..=HEAVIEST, 1);
        let Some(written) = url else { continue };
        match units::endpoint_url(&written.value) {
            Ok(url) => {
                if let Some(first) = first.get(&url) {
                    let message = format!("{url} is in this pool twice");
                    let hint = format!("{first} is the first; give that one a `weight` to send it more");
                    context.error(&written.at, message, hint);
                }
                first.entry(url.clone()).or_insert(written.at.key);
                endpoints.push(EndpointSpec { url, weight });
            }
            // An `@` sets off a user and a password: the line is shown without them.
            Err(UnitError { message, hint }) if written.value.contains('@') => {
                context.problems.hidden_error(&written.at, message, hint);
            }
            Err(UnitError { message, hint }) => context.error(&written.at, message, hint),
        }
    }
    endpoints
}

fn timeouts(context: &Context<'_, '_>, raw: RawTimeouts) -> Timeouts {
    let RawTimeouts { connect, response, idle } = raw;
    Timeouts {
        connect: context.timeout(&connect, Duration::from_secs(3)),
        response: context.timeout(&response, Duration::from_secs(60)),
        idle: context.timeout(&idle, Duration::from_secs(90)),
    }
}

fn connections(context: &Context<'_, '_>, raw: RawConnections) -> Connections {
    let RawConnections { idle, max, queue, queue_timeout } = raw;
    let kept = context.number(&idle, 0..=MOST, 256) as usize;
    let most = context.number(&max, 1..=MOST, 1024) as usize;
    if let Some(written) = &idle
        && kept > most
    {
        let message = format!("idle is {kept}, but only {most} connections may be open");
        context.problems.warning(&written.at, message, "the part above `max` has no effect");
    }
    Connections {
        idle: kept,
        max: NonZeroUsize::new(most).unwrap_or(NonZeroUsize::MIN),
        queue: context.number(&queue, 0..=MOST, 128) as usize,
        queue_timeout: context.timeout(&queue_timeout, Duration::from_secs(1)),
    }
}

/// A pace at which an endpoint has time for anything else.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

fn health(context: &Context<'_, '_>, raw: RawHealth) -> Option<Probing> {
    let RawHealth { path, interval, timeout, healthy, unhealthy, status, body } = raw;
    let path = path?;
    let is_target = path.value.starts_with('/')
        && !path.value.contains('#')
        && path.value.parse::<http::uri::PathAndQuery>().is_ok();
    if !is_target {
        let message = format!("{} is no path of a URL", excerpt(&path.value));
        context.error(&path.at, message, "write such as \"/healthz\" or \"/healthz?deep=1\"");
    }
    let pace = context.timeout(&interval, Duration::from_secs(5));
    if let Some(text) = &interval
        && pace < SHORTEST_INTERVAL
        && !pace.is_zero()
    {
        context.error(&text.at, "interval must be 100ms or more", "");
    }
    let wanted: Statuses = statuses(context, &status, "200-399".parse().unwrap_or_default());
    if let Some(text) = &status
        && text.value.trim().is_empty()
    {
        context.error(&text.at, "no answer could have one of no statuses", "write such as \"200-399\"");
    }
    let times = |written, default| NonZeroU32::new(context.number(written, 1..=100, default));
    Some(Probing {
        path: path.value,
        interval: pace,
        timeout: context.timeout(&timeout, Duration::from_secs(2)),
        thresholds: Thresholds {
            healthy: times(&healthy, 2).unwrap_or(NonZeroU32::MIN),
            unhealthy: times(&unhealthy, 3).unwrap_or(NonZeroU32::MIN),
        },
        status: wanted,
        body: body.map(|body| body.value).filter(|body| !body.is_empty()),
    })
}

/// A probe of a path that starts a workflow begins a flow each time, and at Okta a transaction (`DOMAIN.md` 5.3).
pub(super) fn warn_of_starts(context: &Context<'_, '_>, at: &At, path: &str, table: &Table) {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let place = table.place(&Method::GET, path, query);
    let Some(workflow) = table.start_of(&place) else { return };
    let name = &table.workflow(workflow).name;
    let message = format!("each probe of {} would start the workflow {name}", excerpt(path));
    context.problems.warning(at, message, "probe a path that only tells whether the app is well");
}

fn ejection(context: &Context<'_, '_>, raw: RawEjection) -> Ejection {
    let RawEjection { failures, base, max_ejected, status } = raw;
    let default = Ejection::default();
    let most = max_ejected.and_then(|text| context.unit(&text.at, units::percent(&text.value)));
    Ejection {
        failures: NonZeroU32::new(context.number(&failures, 0..=MOST, 5)),
        base: context.timeout(&base, default.base),
        max_ejected: most.unwrap_or(default.max_ejected),
        status: statuses(context, &status, default.status),
    }
}

fn retries(context: &Context<'_, '_>, raw: RawRetries) -> Retries {
    let RawRetries { attempts, budget } = raw;
    let default = Retries::default();
    let budget = budget.and_then(|text| context.unit(&text.at, units::percent(&text.value)));
    Retries {
        attempts: context.number(&attempts, 0..=MOST_TRIES, default.attempts),
        budget: budget.unwrap_or(default.budget),
    }
}

fn statuses(context: &Context<'_, '_>, written: &Text, default: Statuses) -> Statuses {
    let Some(text) = written else { return default };
    text.value.parse().unwrap_or_else(|NoStatuses| {
        let message = format!("{} names no status codes", excerpt(&text.value));
        context.error(&text.at, message, "write codes and ranges of them, such as \"500,502-504\"");
        default
    })
}
