//! One record per request, formatted by its worker and written by a thread of its own.
//!
//! A worker never waits for a disk or a pipe: it fills a buffer of its own and hands it over when it is full, or
//! ten times a second. When the writer does not keep up the batch is dropped and its records are counted.
//! A reload replaces one pointer, and each worker notices with its next record or tick.

mod record;
mod sink;
mod text;

use std::cell::RefCell;
use std::io;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::{ArcSwap, Cache};

use crate::config::model::{AccessLog as Destination, Log, LogFormat};
pub use crate::telemetry::access_log::record::AccessRecord;
pub use crate::telemetry::access_log::sink::AccessLogError;
use crate::telemetry::access_log::sink::{Batch, Ended, Sink};
use crate::telemetry::events::AccessLogDropped;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::metrics::cells::lock;

/// How much a worker collects before it hands over: some 70 JSON records of 450 bytes share the cost of a write
/// and of waking the writer.
const BATCH: usize = 32 * 1024;

/// The access log of the process. Off until something is committed.
#[derive(Debug)]
pub struct AccessLog {
    switch: Arc<ArcSwap<Settings>>,
    metrics: Arc<Metrics>,
    /// The thread that writes now, and those that were replaced and may still be writing.
    writers: Mutex<Vec<Ended>>,
}

/// What a reload replaces.
#[derive(Clone, Debug)]
struct Settings {
    destination: Destination,
    format: LogFormat,
    /// Rolls below this are written; `None`: all.
    sample_below: Option<u64>,
    /// `None`: off.
    sender: Option<SyncSender<Batch>>,
}

/// Settings that can be committed: what may fail has been done.
#[derive(Debug)]
pub struct Prepared {
    settings: Settings,
    writer: Option<Ended>,
}

impl AccessLog {
    /// Off.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        let off = Settings {
            destination: Destination::Off,
            format: LogFormat::Json,
            sample_below: None,
            sender: None,
        };
        Self { switch: Arc::new(ArcSwap::from_pointee(off)), metrics, writers: Mutex::default() }
    }

    /// Opens what a configuration names, without using it yet. A destination that is in use is kept.
    pub fn prepare(&self, log: &Log) -> Result<Prepared, AccessLogError> {
        let current = self.switch.load();
        let is_same = current.destination == log.access;
        self.open(log, if is_same { current.sender.clone() } else { None })
    }

    /// Uses it from now on. What workers have collected still goes where it went before, by a thread of its own:
    /// in a file that is switched off and on again, lines of that moment may stand out of order.
    pub fn commit(&self, prepared: Prepared) {
        self.switch.store(Arc::new(prepared.settings));
        let mut writers = lock(&self.writers);
        writers.retain(|writer| !writer.wait(Duration::ZERO));
        writers.extend(prepared.writer);
    }

    /// Opens the file anew: after a log rotation the old one has another name. On failure the old one is kept.
    pub fn reopen(&self) -> Result<(), AccessLogError> {
        let current = self.switch.load_full();
        let (sender, writer) = self.start(&current.destination)?;
        self.commit(Prepared { settings: Settings { sender, ..(*current).clone() }, writer });
        Ok(())
    }

    /// A worker's end of it.
    pub fn worker(&self) -> WorkerLog {
        let mut switch = Cache::new(Arc::clone(&self.switch));
        let settings = Arc::clone(switch.load());
        WorkerLog(RefCell::new(Worker {
            switch,
            settings,
            metrics: Arc::clone(&self.metrics),
            batch: Vec::new(),
            records: 0,
            wall: 0,
            scratch: String::new(),
        }))
    }

    /// Switches it off and waits until what was handed over is written, for as long as this. To be called when the
    /// workers have flushed for the last time; `false` when something was left.
    pub fn close(&self, patience: Duration) -> bool {
        self.switch.store(Arc::new(Settings {
            destination: Destination::Off,
            sender: None,
            ..(**self.switch.load()).clone()
        }));
        let writers = std::mem::take(&mut *lock(&self.writers));
        // One patience for each: there is more than one only for a moment after a reload.
        writers.iter().all(|writer| writer.wait(patience))
    }

    fn open(&self, log: &Log, in_use: Option<SyncSender<Batch>>) -> Result<Prepared, AccessLogError> {
        let (sender, writer) = match in_use {
            Some(sender) => (Some(sender), None),
            None => self.start(&log.access)?,
        };
        let settings = Settings {
            destination: log.access.clone(),
            format: log.format,
            sample_below: sample_below(log.sample),
            sender,
        };
        Ok(Prepared { settings, writer })
    }

    fn start(
        &self,
        destination: &Destination,
    ) -> Result<(Option<SyncSender<Batch>>, Option<Ended>), AccessLogError> {
        let metrics = Arc::clone(&self.metrics);
        let sink = match destination {
            Destination::Off => return Ok((None, None)),
            Destination::Stdout => Sink::start(io::stdout(), metrics)?,
            Destination::File(path) => Sink::start(sink::open(path)?, metrics)?,
        };
        Ok((Some(sink.sender), Some(sink.ended)))
    }
}

/// The part of all rolls, 0 … 1, as a bound that a roll is compared with.
fn sample_below(part: f64) -> Option<u64> {
    // 2^64 as a float is exact; the cast saturates, and below 1 it never needs to.
    (part < 1.0).then_some((part * 18_446_744_073_709_551_616.0) as u64)
}

/// The access log as one worker writes it.
#[derive(Debug)]
pub struct WorkerLog(RefCell<Worker>);

struct Worker {
    switch: Cache<Arc<ArcSwap<Settings>>, Arc<Settings>>,
    /// What the batch was written under: the newest settings when it began.
    settings: Arc<Settings>,
    metrics: Arc<Metrics>,
    batch: Vec<u8>,
    records: u64,
    wall: u64,
    scratch: String,
}

impl WorkerLog {
    /// Whether a record of this request is wanted. The roll must not be the one that placed the request's subject
    /// on the line, or the sample would show one engine only.
    pub fn is_wanted(&self, roll: u64) -> bool {
        let mut worker = self.0.borrow_mut();
        let settings = worker.switch.load();
        settings.sender.is_some() && settings.sample_below.is_none_or(|bound| roll < bound)
    }

    /// Writes a record down. Ask [`WorkerLog::is_wanted`] first.
    pub fn record(&self, record: &AccessRecord<'_>) {
        let mut worker = self.0.borrow_mut();
        worker.renew();
        let worker = &mut *worker;
        if worker.settings.sender.is_none() {
            return;
        }
        record.write(worker.settings.format, &mut worker.scratch, &mut worker.batch);
        worker.records += 1;
        worker.wall = record.unix_millis / 1000;
        if worker.batch.len() >= BATCH {
            worker.hand_over();
        }
    }

    /// Hands over what was collected. Every 100 ms, also while the log is off: this is how an idle worker lets
    /// go of a file that is no longer written to.
    pub fn flush(&self) {
        let mut worker = self.0.borrow_mut();
        worker.hand_over();
        worker.renew();
    }
}

impl Drop for WorkerLog {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Worker {
    /// Takes up newer settings, if there are any; what was collected goes where it belongs.
    fn renew(&mut self) {
        let newest = self.switch.load();
        if !Arc::ptr_eq(newest, &self.settings) {
            let newest = Arc::clone(newest);
            self.hand_over();
            self.settings = newest;
        }
    }

    fn hand_over(&mut self) {
        if self.records == 0 {
            return;
        }
        let lines = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH + BATCH / 8));
        let records = std::mem::take(&mut self.records);
        let batch = Batch { lines, records, wall: self.wall };
        if let Some(sender) = &self.settings.sender
            && let Err(error) = sender.try_send(batch)
        {
            AccessLogDropped { records, cause: &error, wall: self.wall }.tell(&self.metrics);
        }
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Worker").field("records", &self.records).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
