//! The access log end to end: workers, reloads, and a writer that does not keep up.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::record::tests::record;
use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

fn log(access: Destination) -> Log {
    Log { format: LogFormat::Json, level: crate::config::model::LogLevel::Info, access, sample: 1.0 }
}

fn to(path: &Path) -> Log {
    log(Destination::File(path.to_owned()))
}

fn file(folder: &tempfile::TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}

#[expect(clippy::disallowed_methods, reason = "a test reads what it wrote")]
fn lines(path: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).expect("the log is there");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn started(log: &Log) -> (AccessLog, Arc<Metrics>) {
    let metrics = Metrics::new(1);
    let access_log = AccessLog::new(Arc::clone(&metrics));
    access_log.commit(access_log.prepare(log).expect("it opens"));
    (access_log, metrics)
}

fn dropped(metrics: &Metrics) -> u64 {
    metrics.shared().access_log_dropped.get()
}

#[test]
fn every_record_of_every_worker_is_written_in_the_order_of_its_worker() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(&folder, "access.log");
    let (access_log, metrics) = started(&to(&path));
    std::thread::scope(|scope| {
        for worker in 0..3 {
            let access_log = &access_log;
            scope.spawn(move || {
                let log = access_log.worker();
                for number in 0..1_000 {
                    let mut record = record();
                    (record.retries, record.bytes_in) = (worker, number);
                    assert!(log.is_wanted(u64::MAX));
                    log.record(&record);
                }
            });
        }
    });
    assert!(access_log.close(PATIENCE));
    let lines = lines(&path);
    for worker in 0..3u64 {
        let own = lines.iter().filter(|line| line["retries"] == worker);
        let numbers: Vec<_> = own.map(|line| line["bytes_in"].as_u64().expect("a number")).collect();
        assert_eq!(numbers, (0..1_000).collect::<Vec<_>>());
    }
    assert_eq!(dropped(&metrics), 0);
}

#[test]
fn a_new_file_is_readable_by_owner_and_group_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(&folder, "access.log");
    let (_access_log, _) = started(&to(&path));
    let mode = path.metadata().expect("the log is there").permissions().mode();
    assert_eq!(mode & 0o777 & !0o640, 0, "mode {mode:o}");
}

#[test]
fn a_reload_changes_file_format_sample_and_switch() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, second) = (file(&folder, "first.log"), file(&folder, "second.log"));
    let (access_log, _) = started(&to(&first));
    let change = |log: &Log| access_log.commit(access_log.prepare(log).expect("it opens"));
    let worker = access_log.worker();
    let mut record = record();

    record.retries = 1;
    worker.record(&record);
    change(&to(&second));
    record.retries = 2;
    worker.record(&record);
    change(&log(Destination::Off));
    assert!(!worker.is_wanted(0));
    record.retries = 3;
    worker.record(&record);
    change(&to(&second));
    record.retries = 4;
    worker.record(&record);
    change(&Log { sample: 0.5, ..to(&second) });
    assert!(worker.is_wanted(u64::MAX / 2) && !worker.is_wanted(u64::MAX / 2 + 1));
    change(&Log { sample: 0.0, ..to(&second) });
    assert!(!worker.is_wanted(0));
    drop(worker);
    assert!(access_log.close(PATIENCE));

    let retries = |path| {
        let retries = lines(path).into_iter().map(|line| line["retries"].as_u64().expect("a number"));
        retries.collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(retries(&first), [1].into(), "what was collected goes to the file it was meant for");
    assert_eq!(retries(&second), [2, 4].into());
}

#[test]
fn a_file_that_does_not_open_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(&folder, "access.log");
    let (access_log, _) = started(&to(&path));
    let error = access_log.prepare(&to(&folder.path().join("no/such/folder"))).expect_err("no folder");
    assert!(error.to_string().ends_with("no/such/folder"), "{error}");
    let worker = access_log.worker();
    worker.record(&record());
    drop(worker);
    assert!(access_log.close(PATIENCE));
    assert_eq!(lines(&path).len(), 1);
}

#[test]
fn after_a_rotation_the_log_goes_on_in_a_new_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, rotated) = (file(&folder, "access.log"), file(&folder, "access.log.1"));
    let (access_log, _) = started(&to(&path));
    let worker = access_log.worker();
    worker.record(&record());
    worker.flush();
    std::fs::rename(&path, &rotated).expect("renamed");
    access_log.reopen().expect("it opens");
    worker.record(&record());
    drop(worker);
    assert!(access_log.close(PATIENCE));
    assert_eq!((lines(&rotated).len(), lines(&path).len()), (1, 1));
}

/// A disk that takes each write only when it is allowed to.
struct Gate(Receiver<()>, SyncSender<usize>);

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.recv().is_err() {
            return Err(io::Error::other("no space left"));
        }
        let _ = self.1.send(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_writer_that_does_not_keep_up_costs_records_and_never_time() {
    let metrics = Metrics::new(1);
    let access_log = AccessLog::new(Arc::clone(&metrics));
    let (allow, allowed) = sync_channel(1_000);
    let (wrote, written) = sync_channel(1_000);
    let sink = Sink::start(Gate(allowed, wrote), Arc::clone(&metrics)).expect("a thread");
    let settings = Settings {
        destination: Destination::Stdout,
        format: LogFormat::Json,
        sample_below: None,
        sender: Some(sink.sender),
    };
    access_log.commit(Prepared { settings, writer: Some(sink.ended) });

    let worker = access_log.worker();
    for _ in 0..100 {
        worker.record(&record());
        worker.record(&record());
        worker.flush();
    }
    // The writer may hold one batch, and as many wait as fit.
    let lost = dropped(&metrics);
    assert!((70..=72).contains(&lost), "{lost} records lost");
    for _ in 0..10 {
        allow.send(()).expect("the writer is there");
        written.recv().expect("a write");
    }
    drop(allow);
    drop(worker);
    assert!(access_log.close(PATIENCE));
    assert_eq!(dropped(&metrics), 200 - 20, "what the disk refuses is counted too");
}
