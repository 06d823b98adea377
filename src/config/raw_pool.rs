//! What the user wrote of an engine's pool, with its place in the text. No logic, as in [`raw`](super::raw).

use crate::config::raw::{DURATION, Integer, Text};
use crate::config::reader::{List, TableReader, Written};

const STATUSES: &str = "status codes such as \"200-399\"";

/// `[apps.NAME.classic]` and `[apps.NAME.identity]`
pub(super) struct RawPool {
    pub(super) endpoints: Option<List<RawEndpoint>>,
    pub(super) balance: Text,
    pub(super) timeouts: RawTimeouts,
    pub(super) connections: RawConnections,
    pub(super) health: Option<RawHealth>,
    pub(super) ejection: RawEjection,
    pub(super) retries: RawRetries,
    pub(super) http2: Option<Written<bool>>,
}

/// An item of `endpoints`: a string, or a table for a weight.
pub(super) struct RawEndpoint {
    pub(super) url: Text,
    pub(super) weight: Integer,
}

/// `timeouts` of a pool
pub(super) struct RawTimeouts {
    pub(super) connect: Text,
    pub(super) response: Text,
    pub(super) idle: Text,
}

/// `connections` of a pool
pub(super) struct RawConnections {
    pub(super) idle: Integer,
    pub(super) max: Integer,
    pub(super) queue: Integer,
    pub(super) queue_timeout: Text,
}

/// `health` of a pool
pub(super) struct RawHealth {
    pub(super) path: Text,
    pub(super) interval: Text,
    pub(super) timeout: Text,
    pub(super) healthy: Integer,
    pub(super) unhealthy: Integer,
    pub(super) status: Text,
    pub(super) body: Text,
}

/// `ejection` of a pool
pub(super) struct RawEjection {
    pub(super) failures: Integer,
    pub(super) base: Text,
    pub(super) max_ejected: Text,
    pub(super) status: Text,
}

/// `retries` of a pool
pub(super) struct RawRetries {
    pub(super) attempts: Integer,
    pub(super) budget: Text,
}

pub(super) fn pool(mut reader: TableReader<'_>) -> RawPool {
    reader.require("endpoints", "add endpoints = [\"http://host:port\"]");
    let raw = RawPool {
        endpoints: reader
            .texts_or_tables("endpoints", "an array such as [\"http://10.0.0.11:8080\"]")
            .map(|endpoints| endpoints.map(endpoint)),
        balance: reader.text("balance", "\"least-request\" or \"round-robin\""),
        timeouts: timeouts(reader.table("timeouts")),
        connections: connections(reader.table("connections")),
        health: reader.table("health").map(health),
        ejection: ejection(reader.table("ejection")),
        retries: retries(reader.table("retries")),
        http2: reader.flag("http2"),
    };
    reader.finish();
    raw
}

fn endpoint(item: Result<TableReader<'_>, Written<String>>) -> RawEndpoint {
    let mut reader = match item {
        Ok(reader) => reader,
        Err(url) => return RawEndpoint { url: Some(url), weight: None },
    };
    reader.require("url", "write { url = \"http://host:port\", weight = 2 }");
    let raw = RawEndpoint {
        url: reader.text("url", "an address such as \"http://10.0.0.11:8080\""),
        weight: reader.integer("weight"),
    };
    reader.finish();
    raw
}

fn timeouts(reader: Option<TableReader<'_>>) -> RawTimeouts {
    let Some(mut reader) = reader else {
        return RawTimeouts { connect: None, response: None, idle: None };
    };
    let raw = RawTimeouts {
        connect: reader.quantity("connect", DURATION),
        response: reader.quantity("response", DURATION),
        idle: reader.quantity("idle", DURATION),
    };
    reader.finish();
    raw
}

fn connections(reader: Option<TableReader<'_>>) -> RawConnections {
    let Some(mut reader) = reader else {
        return RawConnections { idle: None, max: None, queue: None, queue_timeout: None };
    };
    let raw = RawConnections {
        idle: reader.integer("idle"),
        max: reader.integer("max"),
        queue: reader.integer("queue"),
        queue_timeout: reader.quantity("queue_timeout", DURATION),
    };
    reader.finish();
    raw
}

fn health(mut reader: TableReader<'_>) -> RawHealth {
    reader.require("path", "add path = \"/healthz\"");
    let raw = RawHealth {
        path: reader.text("path", "a path such as \"/healthz\""),
        interval: reader.quantity("interval", DURATION),
        timeout: reader.quantity("timeout", DURATION),
        healthy: reader.integer("healthy"),
        unhealthy: reader.integer("unhealthy"),
        status: reader.quantity("status", STATUSES),
        body: reader.text("body", "a string"),
    };
    reader.finish();
    raw
}

fn ejection(reader: Option<TableReader<'_>>) -> RawEjection {
    let Some(mut reader) = reader else {
        return RawEjection { failures: None, base: None, max_ejected: None, status: None };
    };
    let raw = RawEjection {
        failures: reader.integer("failures"),
        base: reader.quantity("base", DURATION),
        max_ejected: reader.quantity("max_ejected", "a percentage such as \"50%\""),
        status: reader.quantity("status", STATUSES),
    };
    reader.finish();
    raw
}

fn retries(reader: Option<TableReader<'_>>) -> RawRetries {
    let Some(mut reader) = reader else { return RawRetries { attempts: None, budget: None } };
    let raw = RawRetries {
        attempts: reader.integer("attempts"),
        budget: reader.quantity("budget", "a percentage such as \"20%\""),
    };
    reader.finish();
    raw
}
