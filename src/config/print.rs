//! The effective configuration as TOML: every key with the value that is in force.
//!
//! No content of a secret file is in it, only the path. Read again from the same folder it means the same.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value, value};

use crate::config::certificate::Certificate;
use crate::config::model::{
    AccessLog, Admin, App, ClientCa, Config, Connections, Limits, Listener, Log, Pool, Probing, SubjectList,
    TicketLifetime, TicketSettings, Timeouts, Tls,
};
use crate::config::print_flow;
use crate::config::units::{write_duration, write_percent, write_size};
use crate::config::validate::NO_FILES;
use crate::decide::bucket::Share;
use crate::decide::evacuate::Order;
use crate::decide::health::{Ejection, Thresholds};
use crate::decide::retry::Retries;
use crate::decide::target::Target;

/// Writes a configuration with every default filled in.
pub fn effective(config: &Config) -> String {
    let Config { folder, workers, listeners, admin, trusted_proxies, limits, drain, ticket, log, apps } =
        config;
    let mut document = DocumentMut::new();
    document["schema"] = value(1);
    document["workers"] = count(*workers);
    let mut tables = ArrayOfTables::new();
    for listener in listeners {
        tables.push(self::listener(listener, folder));
    }
    document["listeners"] = Item::ArrayOfTables(tables);
    document["admin"] = Item::Table(self::admin(admin, folder));
    document["trust"] = Item::Table(Table::from_iter([("proxies", texts(trusted_proxies))]));
    document["limits"] = Item::Table(self::limits(limits));
    document["shutdown"] = Item::Table(Table::from_iter([("drain", duration(*drain))]));
    document["ticket"] = Item::Table(self::ticket(ticket, folder));
    document["log"] = Item::Table(self::log(log, folder));
    let mut tables = Table::new();
    tables.set_implicit(true);
    for app in apps {
        tables.insert(&app.name, Item::Table(self::app(app, folder)));
    }
    document["apps"] = Item::Table(tables);
    document.to_string()
}

/// An order to evacuate an engine, as it stands in its list.
pub fn order(order: &Order) -> String {
    print_flow::order(order).to_string().trim().to_owned()
}

/// The same as lines of a table of its own.
pub(super) fn order_lines(order: &Order) -> Vec<String> {
    let lines = print_flow::order(order);
    lines.iter().map(|(key, value)| format!("{key} = {}", value.to_string().trim())).collect()
}

fn listener(listener: &Listener, folder: &Path) -> Table {
    let Listener { bind, proxy_protocol, redirect_to_https, hsts, tls } = listener;
    let mut table = Table::from_iter([("bind", bind.to_string())]);
    table["proxy_protocol"] = value(*proxy_protocol);
    table["redirect_to_https"] = value(*redirect_to_https);
    table["hsts"] = value(hsts.as_ref().and_then(|hsts| hsts.to_str().ok()).unwrap_or_default());
    let Some(Tls { certificates, min_version, client_ca }) = tls else { return table };
    let mut tls = Table::new();
    tls["certificates"] = value(Array::from_iter(certificates.iter().map(|certificate| {
        let Certificate { cert_file, key_file, ocsp_file, .. } = certificate;
        let mut files = InlineTable::new();
        files.insert("cert", written(cert_file, folder).into());
        files.insert("key", written(key_file, folder).into());
        if let Some(file) = ocsp_file {
            files.insert("ocsp", written(file, folder).into());
        }
        files
    })));
    tls["min_version"] = value(min_version.as_str());
    if let Some(ClientCa { file, .. }) = client_ca {
        tls["client_ca"] = path(file, folder);
    }
    table["tls"] = Item::Table(tls);
    table
}

fn admin(admin: &Admin, folder: &Path) -> Table {
    let Admin { bind, token_file, token: _ } = admin;
    let mut table = Table::new();
    table["bind"] = value(bind.to_string());
    if let Some(file) = token_file {
        table["token_file"] = path(file, folder);
    }
    table
}

fn limits(limits: &Limits) -> Table {
    let Limits {
        header_bytes,
        headers,
        body_bytes,
        header_timeout,
        idle_timeout,
        request_timeout,
        connections,
        connections_per_ip,
        streams,
    } = limits;
    let mut table = Table::new();
    table["header_bytes"] = value(write_size(*header_bytes as u64));
    table["headers"] = value(*headers as i64);
    table["body_bytes"] = value(write_size(body_bytes.unwrap_or(0)));
    table["header_timeout"] = duration(*header_timeout);
    table["idle_timeout"] = duration(*idle_timeout);
    table["request_timeout"] = duration(request_timeout.unwrap_or(Duration::ZERO));
    table["connections"] = count(*connections);
    table["connections_per_ip"] = count(*connections_per_ip);
    table["streams"] = value(streams.get() as i64);
    table
}

fn ticket(ticket: &TicketSettings, folder: &Path) -> Table {
    let TicketSettings { key_file, keys: _, lifetime } = ticket;
    let mut table = Table::new();
    if let Some(file) = key_file {
        table["key_file"] = path(file, folder);
    }
    table["lifetime"] = match lifetime {
        TicketLifetime::Session => value("session"),
        TicketLifetime::For(life) => duration(*life),
    };
    table
}

fn log(log: &Log, folder: &Path) -> Table {
    let Log { format, level, access, sample } = log;
    let mut table = Table::new();
    table["format"] = value(format.as_str());
    table["level"] = value(level.as_str());
    table["access"] = match access {
        AccessLog::Off => value(false),
        AccessLog::Stdout => value(true),
        AccessLog::File(file) => access_file(file, folder),
    };
    table["sample"] = value(*sample);
    table
}

fn app(app: &App, folder: &Path) -> Table {
    let App {
        name: _,
        hosts,
        salt,
        epoch,
        keys,
        share,
        annotate,
        on_unavailable,
        workflows,
        assets,
        form_post,
        session,
        evacuate,
        targets,
        subject_lists,
        classic,
        identity,
    } = app;
    let mut table = Table::new();
    if !hosts.is_empty() {
        table["hosts"] = texts(hosts);
    }
    table["salt"] = value(salt);
    table["epoch"] = value(i64::from(*epoch));
    table["keys"] = texts(keys);
    print_flow::share(&mut table, share);
    table["annotate"] = value(*annotate);
    table["on_unavailable"] = value(on_unavailable.as_str());
    table["assets"] = texts(assets);
    table["form_post"] = value(*form_post);
    table["evacuate"] = value(evacuate.iter().map(print_flow::order).collect::<Array>());
    table["session"] = Item::Table(print_flow::session(session));
    if !workflows.is_empty() {
        let mut tables = Table::new();
        tables.set_implicit(true);
        for workflow in workflows {
            tables.insert(&workflow.name, Item::Table(print_flow::workflow(workflow)));
        }
        table["workflows"] = Item::Table(tables);
    }
    table["classic"] = Item::Table(pool(classic));
    table["identity"] = Item::Table(pool(identity));
    if !targets.is_empty() {
        let mut tables = ArrayOfTables::new();
        for (target, list) in targets.iter().zip(subject_lists) {
            tables.push(self::target(target, list, folder));
        }
        table["targets"] = Item::ArrayOfTables(tables);
    }
    table
}

/// As TOML writes it: a whole number where it is one. The digits of a share survive the way through a float: no two
/// of its 100,001 values are closer than 0.001.
pub(super) fn percent(share: Share) -> Value {
    let percent = write_percent(share);
    percent.parse::<Value>().unwrap_or_else(|_| percent.into())
}

fn pool(pool: &Pool) -> Table {
    let Pool { endpoints, balance, timeouts, connections, health, ejection, retries, http2 } = pool;
    let Timeouts { connect, response, idle } = timeouts;
    let mut table = Table::new();
    let list: Array = endpoints
        .iter()
        .map(|spec| {
            if spec.weight == 1 {
                return Value::from(spec.url.to_string());
            }
            let weight = Value::from(i64::from(spec.weight));
            Value::from(InlineTable::from_iter([
                ("url", Value::from(spec.url.to_string())),
                ("weight", weight),
            ]))
        })
        .collect();
    table["endpoints"] = value(list);
    table["balance"] = value(balance.as_str());
    table["timeouts"] = value(InlineTable::from_iter([
        ("connect", write_duration(*connect)),
        ("response", write_duration(*response)),
        ("idle", write_duration(*idle)),
    ]));
    let Connections { idle, max, queue, queue_timeout } = connections;
    table["connections"] = value(InlineTable::from_iter([
        ("idle", Value::from(*idle as i64)),
        ("max", Value::from(max.get() as i64)),
        ("queue", Value::from(*queue as i64)),
        ("queue_timeout", Value::from(write_duration(*queue_timeout))),
    ]));
    if let Some(Probing { path, interval, timeout, thresholds, status, body }) = health {
        let Thresholds { healthy, unhealthy } = thresholds;
        let mut line = InlineTable::from_iter([
            ("path", Value::from(path.as_str())),
            ("interval", Value::from(write_duration(*interval))),
            ("timeout", Value::from(write_duration(*timeout))),
            ("healthy", Value::from(i64::from(healthy.get()))),
            ("unhealthy", Value::from(i64::from(unhealthy.get()))),
            ("status", Value::from(status.to_string())),
        ]);
        if let Some(body) = body {
            line.insert("body", Value::from(body.as_str()));
        }
        table["health"] = value(line);
    }
    let Ejection { failures, base, max_ejected, status } = ejection;
    table["ejection"] = value(InlineTable::from_iter([
        ("failures", Value::from(failures.map_or(0, |failures| i64::from(failures.get())))),
        ("base", Value::from(write_duration(*base))),
        ("max_ejected", Value::from(max_ejected.to_string())),
        ("status", Value::from(status.to_string())),
    ]));
    let Retries { attempts, budget } = retries;
    table["retries"] = value(InlineTable::from_iter([
        ("attempts", Value::from(i64::from(*attempts))),
        ("budget", Value::from(budget.to_string())),
    ]));
    table["http2"] = value(*http2);
    table
}

fn target(target: &Target, list: &SubjectList, folder: &Path) -> Table {
    // The set holds what both lists say, and each of them is written by itself.
    let Target { name, engine, claimed, subjects: _, networks, header } = target;
    let SubjectList { inline, file } = list;
    let mut table = Table::new();
    table["name"] = value(name);
    table["engine"] = value(engine.as_str());
    if !inline.is_empty() {
        table["subjects"] = texts(inline);
    }
    if let Some(file) = file {
        table["subjects_file"] = path(file, folder);
    }
    if !networks.is_empty() {
        table["networks"] = texts(networks);
    }
    if let Some(header) = header {
        table["header"] =
            value(InlineTable::from_iter([("name", header.name.as_str()), ("value", header.value.as_str())]));
    }
    table["claimed"] = value(*claimed);
    table
}

pub(super) fn texts<T: ToString>(items: &[T]) -> Item {
    value(items.iter().map(T::to_string).collect::<Array>())
}

pub(super) fn duration(duration: Duration) -> Item {
    value(write_duration(duration))
}

/// A limit that may be none, which is written 0.
fn count(limit: Option<NonZeroUsize>) -> Item {
    value(limit.map_or(0, |limit| limit.get() as i64))
}

/// A path as it is written: relative to the folder of the file, where it lies below it.
fn path(path: &Path, folder: &Path) -> Item {
    value(written(path, folder))
}

/// Like [`path`]. A file whose name `log.access` would take for something else, such as `./true`, keeps its dot.
fn access_file(file: &Path, folder: &Path) -> Item {
    let written = written(file, folder);
    value(if NO_FILES.contains(&written.as_str()) { format!("./{written}") } else { written })
}

fn written(path: &Path, folder: &Path) -> String {
    let mut relative = path.strip_prefix(folder).unwrap_or(path).to_string_lossy().into_owned();
    // `strip_prefix` compares components, and forgets that `a/` is not a file.
    if path.as_os_str().as_encoded_bytes().ends_with(b"/") && !relative.is_empty() && !relative.ends_with('/')
    {
        relative.push('/');
    }
    // The folder itself.
    if relative.is_empty() { ".".to_owned() } else { relative }
}
