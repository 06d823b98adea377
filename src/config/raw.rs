//! What the user wrote, with its place in the text. No logic: `None` means "not written".
//!
//! Each struct is read by the function beside it, which names every key once; what a key means, and what stands
//! in for one that is absent, is decided in `validate`.

use toml::de::DeTable;

use crate::config::problems::{At, Problems};
use crate::config::raw_flow::{self, RawOrder, RawSession, RawStage, RawWorkflow};
use crate::config::raw_pool::{self, RawPool};
use crate::config::reader::{List, TableReader, Written};

pub(super) const DURATION: &str = "a duration such as \"30s\"";
const SIZE: &str = "a size such as \"32KiB\"";
const PATH: &str = "the path of a file";

/// A text, or a number as text.
pub(super) type Text = Option<Written<String>>;
/// A list of texts.
pub(super) type Texts = Option<List<Written<String>>>;
/// A whole number.
pub(super) type Integer = Option<Written<i128>>;

/// The whole file.
pub(super) struct RawConfig {
    pub(super) schema: Integer,
    pub(super) workers: Integer,
    pub(super) listeners: Option<List<RawListener>>,
    pub(super) admin: RawAdmin,
    pub(super) trust: RawTrust,
    pub(super) limits: RawLimits,
    pub(super) shutdown: RawShutdown,
    pub(super) ticket: RawTicket,
    pub(super) log: RawLog,
    pub(super) apps: Option<List<RawApp>>,
}

/// `[[listeners]]`
pub(super) struct RawListener {
    pub(super) bind: Text,
    pub(super) proxy_protocol: Option<Written<bool>>,
    pub(super) redirect_to_https: Option<Written<bool>>,
    pub(super) hsts: Text,
    pub(super) tls: Option<RawTls>,
}

/// `[listeners.tls]`
pub(super) struct RawTls {
    pub(super) at: At,
    pub(super) certificates: Option<List<RawCertificate>>,
    pub(super) min_version: Text,
    pub(super) client_ca: Text,
}

/// An item of `certificates`.
pub(super) struct RawCertificate {
    pub(super) cert: Text,
    pub(super) key: Text,
    pub(super) ocsp: Text,
}

/// `[admin]`
pub(super) struct RawAdmin {
    pub(super) at: At,
    pub(super) bind: Text,
    pub(super) token_file: Text,
}

/// `[trust]`
pub(super) struct RawTrust {
    pub(super) proxies: Texts,
}

/// `[limits]`
pub(super) struct RawLimits {
    pub(super) header_bytes: Text,
    pub(super) headers: Integer,
    pub(super) header_timeout: Text,
    pub(super) idle_timeout: Text,
    pub(super) connections: Integer,
    pub(super) connections_per_ip: Integer,
    pub(super) streams: Integer,
    pub(super) body_bytes: Text,
    pub(super) request_timeout: Text,
}

/// `[shutdown]`
pub(super) struct RawShutdown {
    pub(super) drain: Text,
}

/// `[ticket]`
pub(super) struct RawTicket {
    pub(super) at: At,
    pub(super) key_file: Text,
    pub(super) lifetime: Text,
}

/// `[log]`
pub(super) struct RawLog {
    pub(super) format: Text,
    pub(super) level: Text,
    pub(super) access: Option<Written<Result<bool, String>>>,
    pub(super) sample: Text,
}

/// `[apps.NAME]`
pub(super) struct RawApp {
    pub(super) at: At,
    pub(super) name: Written<String>,
    pub(super) hosts: Texts,
    pub(super) salt: Text,
    pub(super) epoch: Integer,
    pub(super) keys: Texts,
    pub(super) percent: Text,
    pub(super) stages: Option<List<RawStage>>,
    pub(super) annotate: Option<Written<bool>>,
    pub(super) on_unavailable: Text,
    pub(super) preset: Text,
    pub(super) assets: Texts,
    pub(super) form_post: Option<Written<bool>>,
    pub(super) session: RawSession,
    pub(super) workflows: Option<List<RawWorkflow>>,
    pub(super) evacuate: Option<List<RawOrder>>,
    pub(super) classic: Option<RawPool>,
    pub(super) identity: Option<RawPool>,
    pub(super) targets: Option<List<RawTarget>>,
}

/// `[[apps.NAME.targets]]`
pub(super) struct RawTarget {
    pub(super) at: At,
    pub(super) name: Text,
    pub(super) engine: Text,
    pub(super) subjects: Texts,
    pub(super) subjects_file: Text,
    pub(super) networks: Texts,
    pub(super) header: Option<RawHeader>,
    pub(super) claimed: Option<Written<bool>>,
}

/// `header` of a target
pub(super) struct RawHeader {
    pub(super) name: Text,
    pub(super) value: Text,
}

/// Reads a document, and reports keys that do not exist and values of the wrong type.
pub(super) fn read(document: &DeTable<'_>, problems: &Problems) -> RawConfig {
    let mut reader = TableReader::root(document, problems);
    reader.require("listeners", "add a [[listeners]] table with bind = \"0.0.0.0:8080\"");
    reader.require("apps", "add an [apps.NAME] table with the endpoints of both engines");
    let raw = RawConfig {
        schema: reader.integer("schema"),
        workers: reader.integer("workers"),
        listeners: reader
            .tables("listeners", "write [[listeners]], in double brackets")
            .map(|listeners| listeners.map(listener)),
        admin: admin(reader.table("admin")),
        trust: trust(reader.table("trust")),
        limits: limits(reader.table("limits")),
        shutdown: shutdown(reader.table("shutdown")),
        ticket: ticket(reader.table("ticket")),
        log: log(reader.table("log")),
        apps: reader
            .named_tables("apps", "an app is a table: [apps.NAME]")
            .map(|apps| apps.map(|(name, reader)| app(name, reader))),
    };
    reader.finish();
    raw
}

fn listener(mut reader: TableReader<'_>) -> RawListener {
    reader.require("bind", "add bind = \"0.0.0.0:8080\"");
    let raw = RawListener {
        bind: reader.text("bind", "an address such as \"0.0.0.0:8080\""),
        proxy_protocol: reader.flag("proxy_protocol"),
        redirect_to_https: reader.flag("redirect_to_https"),
        hsts: reader.text("hsts", "a header value such as \"max-age=31536000\""),
        tls: reader.table("tls").map(tls),
    };
    reader.finish();
    raw
}

fn tls(mut reader: TableReader<'_>) -> RawTls {
    let raw = RawTls {
        at: reader.at().clone(),
        certificates: reader
            .tables("certificates", "write [{ cert = \"portal.pem\", key = \"portal.key\" }]")
            .map(|certificates| certificates.map(certificate)),
        min_version: reader.text("min_version", "\"1.2\" or \"1.3\""),
        client_ca: reader.text("client_ca", PATH),
    };
    reader.finish();
    raw
}

fn certificate(mut reader: TableReader<'_>) -> RawCertificate {
    reader.require("cert", "add cert = \"portal.pem\"");
    reader.require("key", "add key = \"portal.key\"");
    let raw = RawCertificate {
        cert: reader.text("cert", PATH),
        key: reader.text("key", PATH),
        ocsp: reader.text("ocsp", PATH),
    };
    reader.finish();
    raw
}

fn admin(reader: Option<TableReader<'_>>) -> RawAdmin {
    let Some(mut reader) = reader else {
        return RawAdmin { at: absent("admin"), bind: None, token_file: None };
    };
    let raw = RawAdmin {
        at: reader.at().clone(),
        bind: reader.text("bind", "an address such as \"127.0.0.1:9900\""),
        token_file: reader.text("token_file", PATH),
    };
    reader.finish();
    raw
}

fn trust(reader: Option<TableReader<'_>>) -> RawTrust {
    let Some(mut reader) = reader else { return RawTrust { proxies: None } };
    let raw = RawTrust { proxies: reader.texts("proxies", "an array of networks such as [\"10.0.0.0/8\"]") };
    reader.finish();
    raw
}

fn limits(reader: Option<TableReader<'_>>) -> RawLimits {
    let Some(mut reader) = reader else {
        return RawLimits {
            header_bytes: None,
            headers: None,
            header_timeout: None,
            idle_timeout: None,
            connections: None,
            connections_per_ip: None,
            streams: None,
            body_bytes: None,
            request_timeout: None,
        };
    };
    let raw = RawLimits {
        header_bytes: reader.quantity("header_bytes", SIZE),
        headers: reader.integer("headers"),
        header_timeout: reader.quantity("header_timeout", DURATION),
        idle_timeout: reader.quantity("idle_timeout", DURATION),
        connections: reader.integer("connections"),
        connections_per_ip: reader.integer("connections_per_ip"),
        streams: reader.integer("streams"),
        body_bytes: reader.quantity("body_bytes", SIZE),
        request_timeout: reader.quantity("request_timeout", DURATION),
    };
    reader.finish();
    raw
}

fn shutdown(reader: Option<TableReader<'_>>) -> RawShutdown {
    let Some(mut reader) = reader else { return RawShutdown { drain: None } };
    let raw = RawShutdown { drain: reader.quantity("drain", DURATION) };
    reader.finish();
    raw
}

fn ticket(reader: Option<TableReader<'_>>) -> RawTicket {
    let Some(mut reader) = reader else {
        return RawTicket { at: absent("ticket"), key_file: None, lifetime: None };
    };
    let raw = RawTicket {
        at: reader.at().clone(),
        key_file: reader.text("key_file", PATH),
        lifetime: reader.text("lifetime", "\"session\" or a duration such as \"30d\""),
    };
    reader.finish();
    raw
}

fn log(reader: Option<TableReader<'_>>) -> RawLog {
    let Some(mut reader) = reader else {
        return RawLog { format: None, level: None, access: None, sample: None };
    };
    let raw = RawLog {
        format: reader.text("format", "\"json\" or \"text\""),
        level: reader.text("level", "a level such as \"info\""),
        access: reader.flag_or_text("access", "true, false or the path of a file"),
        sample: reader.quantity("sample", "a number from 0 to 1"),
    };
    reader.finish();
    raw
}

fn app(name: Written<String>, mut reader: TableReader<'_>) -> RawApp {
    reader.require("classic", "add its endpoints: classic = { endpoints = [\"http://10.0.0.11:8080\"] }");
    reader.require("identity", "add its endpoints: identity = { endpoints = [\"http://10.0.1.11:8080\"] }");
    let at = reader.at().clone();
    let raw = RawApp {
        at: at.clone(),
        name,
        hosts: reader.texts("hosts", "an array of hosts such as [\"portal.example.com\"]"),
        salt: reader.text("salt", "a string"),
        epoch: reader.integer("epoch"),
        keys: reader.texts("keys", "an array of keys such as [\"cookie:uid\", \"device\"]"),
        percent: reader.quantity("percent", "a percentage such as 12.5 or \"12.5%\""),
        stages: raw_flow::stages(&mut reader),
        annotate: reader.flag("annotate"),
        on_unavailable: reader.text("on_unavailable", "\"restart\", \"failover\" or \"error\""),
        preset: reader.text("preset", "\"okta\""),
        assets: reader.texts("assets", "an array of paths such as [\"/assets/**\"]"),
        form_post: reader.flag("form_post"),
        session: raw_flow::session(reader.table("session"), &at),
        workflows: reader
            .named_tables("workflows", "a workflow is a table: [apps.NAME.workflows.sign-in]")
            .map(|list| list.map(|(name, reader)| raw_flow::workflow(name, reader))),
        evacuate: reader
            .tables("evacuate", "write [{ engine = \"identity\", at = 2026-12-03T10:00:00Z }]")
            .map(|list| list.map(raw_flow::order)),
        classic: reader.table("classic").map(raw_pool::pool),
        identity: reader.table("identity").map(raw_pool::pool),
        targets: reader
            .tables("targets", "write [[apps.NAME.targets]], in double brackets")
            .map(|targets| targets.map(target)),
    };
    reader.finish();
    raw
}

fn target(mut reader: TableReader<'_>) -> RawTarget {
    reader.require("name", "give it a name: `explain` and the logs use it");
    reader.require("engine", "add engine = \"classic\" or engine = \"identity\"");
    let raw = RawTarget {
        at: reader.at().clone(),
        name: reader.text("name", "a string"),
        engine: reader.text("engine", "\"classic\" or \"identity\""),
        subjects: reader.texts("subjects", "an array of subjects such as [\"ada@example.com\"]"),
        subjects_file: reader.text("subjects_file", PATH),
        networks: reader.texts("networks", "an array of networks such as [\"10.0.0.0/8\"]"),
        header: reader.table("header").map(header),
        claimed: reader.flag("claimed"),
    };
    reader.finish();
    raw
}

fn header(mut reader: TableReader<'_>) -> RawHeader {
    reader.require("name", "write { name = \"x-tester\", value = \"yes\" }");
    reader.require("value", "write { name = \"x-tester\", value = \"yes\" }");
    let raw = RawHeader { name: reader.text("name", "a string"), value: reader.text("value", "a string") };
    reader.finish();
    raw
}

/// The place of a table that is not there.
fn absent(key: &str) -> At {
    At { key: key.to_owned(), span: 0..0 }
}
