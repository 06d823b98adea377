//! The log of events: to standard error, in the shape and from the level that the configuration says.
//!
//! Both can be changed while the process runs. There is one log per process, since `tracing` has one.

use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::OnceLock;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::{Layered, SubscriberExt};
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::config::model::{Log, LogFormat, LogLevel};

/// The registry below the filter: what the shape of a line is put on.
type Filtered = Layered<reload::Layer<LevelFilter, Registry>, Registry>;
type Shape = Box<dyn Layer<Filtered> + Send + Sync>;

/// The log of events, for those who may change it.
#[derive(Clone)]
pub struct Logging {
    level: Handle<LevelFilter, Registry>,
    shape: Handle<Shape, Filtered>,
}

/// Starts the log of events; where it runs already it takes up these settings. When somebody else's subscriber
/// came first, as in a test, that one stays and nothing is changed.
pub fn start(log: &Log) -> Logging {
    static LOGGING: OnceLock<Logging> = OnceLock::new();
    let logging = LOGGING.get_or_init(|| {
        let (level, level_handle) = reload::Layer::new(level_filter(log.level));
        let (shape, shape_handle) = reload::Layer::new(shape(log.format));
        // An error means that there is a subscriber already.
        let _ = tracing_subscriber::registry().with(level).with(shape).try_init();
        Logging { level: level_handle, shape: shape_handle }
    });
    logging.apply(log);
    logging.clone()
}

impl Logging {
    /// Takes up another level and shape.
    pub fn apply(&self, log: &Log) {
        // Fails only when the subscriber is gone, and then there is nobody to change.
        let _ = self.shape.reload(shape(log.format));
        let _ = self.level.reload(level_filter(log.level));
    }
}

impl fmt::Debug for Logging {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Logging").finish_non_exhaustive()
    }
}

fn level_filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

fn shape(format: LogFormat) -> Shape {
    match format {
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_writer(io::stderr)
            .boxed(),
        LogFormat::Text => tracing_subscriber::fmt::layer()
            .with_ansi(io::stderr().is_terminal())
            .with_writer(io::stderr)
            .boxed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::AccessLog;

    #[test]
    fn the_log_can_be_started_twice_and_changed() {
        let mut log =
            Log { format: LogFormat::Json, level: LogLevel::Warn, access: AccessLog::Off, sample: 1.0 };
        start(&log);
        log.level = LogLevel::Debug;
        let logging = start(&log);
        assert!(tracing::enabled!(tracing::Level::DEBUG));
        log.format = LogFormat::Text;
        log.level = LogLevel::Error;
        logging.apply(&log);
        assert!(!tracing::enabled!(tracing::Level::WARN) && tracing::enabled!(tracing::Level::ERROR));
    }
}
