//! The validated configuration: what the program uses, once `validate` has found no problem.
//!
//! Types here cannot hold what would be wrong: ranges, uniqueness and references were checked before they were
//! built. `None` means "there is none", never "not set yet".

mod listener;

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::config::secret::Secret;
use crate::decide::answer::CookieName;
use crate::decide::balance::Balance;
use crate::decide::engine::Engine;
use crate::decide::evacuate::Order;
use crate::decide::health::{Ejection, Thresholds};
use crate::decide::host::HostPattern;
use crate::decide::pattern::Pattern;
use crate::decide::retry::Retries;
use crate::decide::stage::Schedule;
use crate::decide::status::Statuses;
use crate::decide::subject::KeySource;
use crate::decide::target::Target;
use crate::decide::ticket::SigningKey;
use crate::decide::workflow::Workflow;

pub use listener::{ClientCa, Listener, Tls, TlsVersion};

/// A whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder of the configuration file, at which its relative paths start. Paths below are joined to it.
    pub folder: PathBuf,
    /// Worker threads; `None`: one per core.
    pub workers: Option<NonZeroUsize>,
    /// Where we accept; at least one, no address twice.
    pub listeners: Vec<Listener>,
    /// The operators' door.
    pub admin: Admin,
    /// Peers whose forwarded headers and key headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// What a client may cost us.
    pub limits: Limits,
    /// How long in-flight requests may take to finish on shutdown.
    pub drain: Duration,
    /// How tickets are signed and how long they live.
    pub ticket: TicketSettings,
    /// What is logged, and how.
    pub log: Log,
    /// The apps, in file order; at least one, no name or host twice.
    pub apps: Vec<App>,
}

/// Whether anybody can prove who a user is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Proof {
    /// There are trusted proxies, whose headers are believed.
    pub proxies: bool,
    /// There is a listener that asks for certificates.
    pub certificates: bool,
}

impl Config {
    /// Who can prove who a user is.
    pub fn proof(&self) -> Proof {
        Proof {
            proxies: !self.trusted_proxies.is_empty(),
            certificates: self.listeners.iter().any(Listener::asks_for_certificates),
        }
    }
}

/// The admin listener.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Address and port.
    pub bind: SocketAddr,
    /// Where the token came from.
    pub token_file: Option<PathBuf>,
    /// Needed for every write, and for everything but probes when `bind` is not loopback.
    pub token: Option<Secret>,
}

/// What a client may cost us.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Connections of one client address that may be open at once; `None`: as many as it likes.
    pub connections_per_ip: Option<NonZeroUsize>,
    /// Streams of an HTTP/2 connection that may be open at once.
    pub streams: NonZeroUsize,
    /// Bytes of a request head; at least 8 KiB (hyper's smallest read buffer).
    pub header_bytes: usize,
    /// Header lines of a request head.
    pub headers: usize,
    /// Bytes of a request body; `None`: unlimited, streamed.
    pub body_bytes: Option<u64>,
    /// From the first byte of a head to its last.
    pub header_timeout: Duration,
    /// From the end of an exchange to the first byte of the next head; also between two bytes of a body.
    pub idle_timeout: Duration,
    /// Whole exchange; `None`: no limit.
    pub request_timeout: Option<Duration>,
    /// Downstream connections of the process; `None`: from the file-descriptor limit.
    pub connections: Option<NonZeroUsize>,
}

/// How tickets are signed and how long they live.
#[derive(Clone, Debug)]
pub struct TicketSettings {
    /// Where the keys came from; `None`: made at start, and lost with the process.
    pub key_file: Option<PathBuf>,
    /// The first signs, all verify. Empty exactly when `key_file` is `None`.
    pub keys: Vec<SigningKey>,
    /// How long a browser keeps its ticket.
    pub lifetime: TicketLifetime,
}

/// How long a browser keeps its ticket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TicketLifetime {
    /// Until the browser ends its session.
    Session,
    /// For this long after it was last renewed; whole seconds.
    For(Duration),
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// Shape of a line.
    pub format: LogFormat,
    /// The least severe event that is written.
    pub level: LogLevel,
    /// Where access records go.
    pub access: AccessLog,
    /// Which part of the access records is written, 0 … 1.
    pub sample: f64,
}

/// Shape of a log line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl LogFormat {
    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
        }
    }
}

/// Severity of log events, as `tracing` names it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogLevel {
    /// Only what is broken.
    Error,
    /// What may become a problem.
    Warn,
    /// What an operator wants to know.
    Info,
    /// What a developer wants to know.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// All levels, from grave to chatty.
    pub const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Where access records go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AccessLog {
    /// Nowhere.
    Off,
    /// To standard output.
    Stdout,
    /// Appended to a file.
    File(PathBuf),
}

/// One public site.
#[derive(Clone, Debug)]
pub struct App {
    /// The name in the configuration, metrics and logs.
    pub name: String,
    /// The hosts this app claims; empty: every host that no other app claims.
    pub hosts: Vec<HostPattern>,
    /// Separates this app's buckets from those of other apps.
    pub salt: String,
    /// Raising it forgets every ticket.
    pub epoch: u32,
    /// Where to look for a subject's key, in this order; `device` only as the last.
    pub keys: Vec<KeySource>,
    /// How much of the line belongs to the Identity engine, and from when on.
    pub share: Schedule,
    /// Whether the engines are told the decision.
    pub annotate: bool,
    /// What happens to requests whose engine cannot serve.
    pub on_unavailable: OnUnavailable,
    /// The app's workflows, those of the preset included; at most [`MOST_WORKFLOWS`], no name twice.
    ///
    /// [`MOST_WORKFLOWS`]: crate::decide::workflow::MOST_WORKFLOWS
    pub workflows: Vec<Workflow>,
    /// Static files, of which a page of one engine may name some that the other does not have.
    pub assets: Vec<Pattern>,
    /// Whether the identity provider's answers arrive as POSTs from another site.
    pub form_post: bool,
    /// How a signed-in session is known.
    pub session: Session,
    /// Orders to evacuate an engine, in file order; none twice for an engine and a date.
    pub evacuate: Vec<Order>,
    /// Targeting rules in file order; the first that names a request wins.
    pub targets: Vec<Target>,
    /// Where the subjects of each target came from, in the order of `targets`.
    pub subject_lists: Vec<SubjectList>,
    /// The Classic engine's pool.
    pub classic: Pool,
    /// The Identity engine's pool.
    pub identity: Pool,
}

impl App {
    /// The pool of one engine.
    pub fn pool(&self, engine: Engine) -> &Pool {
        match engine {
            Engine::Classic => &self.classic,
            Engine::Identity => &self.identity,
        }
    }

    /// Every schedule of the app: its own, then those of workflows that have one, with their names.
    pub fn schedules(&self) -> impl Iterator<Item = (Option<&str>, &Schedule)> {
        let own = self.workflows.iter().filter_map(|workflow| {
            let share = workflow.share.as_ref()?;
            Some((Some(workflow.name.as_str()), share))
        });
        std::iter::once((None, &self.share)).chain(own)
    }

    /// What decides where a workflow starts, and elsewhere: its own schedule, or that of the app.
    pub fn schedule_at(&self, workflow: Option<&str>) -> &Schedule {
        let found = self.workflows.iter().find(|known| Some(known.name.as_str()) == workflow);
        found.and_then(|workflow| workflow.share.as_ref()).unwrap_or(&self.share)
    }

    /// Whether browsers get tickets that hold a bucket.
    pub fn mints_tickets(&self) -> bool {
        self.keys.last() == Some(&KeySource::Device)
    }
}

/// How a signed-in session is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    /// The cookies that hold it.
    pub cookies: Vec<CookieName>,
    /// Whether both engines read one session store.
    pub shared: bool,
    /// Whether each engine's session cookies have a name of their own in the browser. Never with `shared`.
    pub isolate: bool,
    /// How long a browser is kept on the engine that holds its session; whole seconds.
    pub lifetime: Duration,
}

/// Where a target's subjects came from: the rule itself holds them all in one set.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SubjectList {
    /// Those that the configuration lists, as written.
    pub inline: Vec<String>,
    /// The file that lists the others.
    pub file: Option<PathBuf>,
}

/// What happens to requests whose engine cannot serve.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnUnavailable {
    /// Flows begin anew, and sessions are given up after a while; whom nothing holds gets an answer of ours.
    Restart,
    /// An answer of ours: 502, 503 or 504.
    Error,
    /// The other engine serves the request.
    Failover,
}

impl OnUnavailable {
    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Error => "error",
            Self::Failover => "failover",
        }
    }
}

/// The endpoints of one engine, and how to treat them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pool {
    /// No address twice. May be empty only where no request can be decided for this engine.
    pub endpoints: Vec<EndpointSpec>,
    /// How requests are spread.
    pub balance: Balance,
    /// How long we wait for an endpoint.
    pub timeouts: Timeouts,
    /// How many connections an endpoint may cost.
    pub connections: Connections,
    /// How endpoints are probed; `None`: they are not.
    pub health: Option<Probing>,
    /// When requests that fail keep an endpoint away.
    pub ejection: Ejection,
    /// How often requests may be sent once more.
    pub retries: Retries,
    /// Whether the endpoints are spoken to in HTTP/2, by prior knowledge (RFC 9113 3.3).
    pub http2: bool,
}

/// How endpoints are probed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Probing {
    /// What is asked for, with its query: origin-form (RFC 9112 3.2.1).
    pub path: String,
    /// From the end of a probe to the next, a tenth more or less.
    pub interval: Duration,
    /// How long a whole probe may take.
    pub timeout: Duration,
    /// How many in a row make a verdict.
    pub thresholds: Thresholds,
    /// Statuses of which an answer must have one.
    pub status: Statuses,
    /// What the body must hold; `None`: anything.
    pub body: Option<String>,
}

/// One upstream address as the operator wrote it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndpointSpec {
    /// Where it is.
    pub url: EndpointUrl,
    /// Its part of the requests relative to the others of its pool; above 0.
    pub weight: u32,
}

/// `http://host:port`, in canonical spelling: the identity of an endpoint across reloads and in metrics.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EndpointUrl {
    /// A DNS name in lower case, or an IP address without brackets.
    pub host: String,
    /// The port of the URL, or 80.
    pub port: u16,
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "http://[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "http://{}:{}", self.host, self.port)
        }
    }
}

/// How long we wait for an endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// Until the connection stands.
    pub connect: Duration,
    /// From the request's last byte to the response's first.
    pub response: Duration,
    /// Between two bytes of a response body, and for an unused connection in the pool.
    pub idle: Duration,
}

/// How many connections an endpoint may cost, per process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Connections {
    /// Unused ones that are kept.
    pub idle: usize,
    /// Open ones.
    pub max: NonZeroUsize,
    /// Requests that wait for one when `max` are open.
    pub queue: usize,
    /// How long they wait before they get a 503.
    pub queue_timeout: Duration,
}
