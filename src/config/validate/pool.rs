//! The rules of one engine's pool.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use crate::config::model::{Connections, EndpointSpec, EndpointUrl, Pool, Timeouts};
use crate::config::raw::{RawConnections, RawEndpoint, RawPool, RawTimeouts};
use crate::config::reader::List;
use crate::config::units::{self, UnitError};
use crate::config::validate::Context;
use crate::decide::balance::Balance;

/// Enough for a hundredfold imbalance in steps of a hundredth of a percent.
const HEAVIEST: u32 = 1_000_000;
/// More connections than one address pair has ports, many times over.
const MOST: u32 = 1_000_000;

pub(super) fn pool(context: &Context<'_, '_>, raw: RawPool) -> Pool {
    let RawPool { endpoints, balance, timeouts, connections, http2 } = raw;
    let balances = [Balance::LeastRequest, Balance::RoundRobin].map(|balance| (balance.as_str(), balance));
    Pool {
        endpoints: endpoints.map(|list| self::endpoints(context, list)).unwrap_or_default(),
        balance: context.choice(&balance, &balances, Balance::LeastRequest),
        timeouts: self::timeouts(context, timeouts),
        connections: self::connections(context, connections),
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
