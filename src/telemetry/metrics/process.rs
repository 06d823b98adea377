//! What the kernel says about this process, for the standard `process_*` families.
//!
//! Read directly, and only at a scrape: three lines of `/proc` do not need a crate. Where there is no `/proc` there
//! are no such series.

#![expect(clippy::disallowed_methods, reason = "the kernel's files are no configuration and need no digest")]

use std::fs;
use std::sync::OnceLock;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

/// One look at the process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process {
    pub(super) cpu_seconds: f64,
    pub(super) resident_bytes: u64,
    pub(super) virtual_bytes: u64,
    pub(super) threads: u64,
    pub(super) start_seconds: Option<f64>,
    pub(super) open_fds: Option<u64>,
    /// `None`: no limit.
    pub(super) max_fds: Option<u64>,
}

impl Process {
    /// `None` where the kernel does not say.
    pub(super) fn look() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // The second field is the program's name in parentheses, which may hold anything; fields are counted
        // from 1 as in proc_pid_stat(5), so the first after it is 3.
        let (_, after_name) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).and_then(|field| field.parse::<u64>().ok());
        let ticks = clock_ticks_per_second().max(1) as f64;
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) as f64 / ticks,
            threads: field(20)?,
            start_seconds: boot_seconds().zip(field(22)).map(|(boot, start)| boot + start as f64 / ticks),
            virtual_bytes: field(23)?,
            resident_bytes: field(24)?.saturating_mul(page_size() as u64),
            open_fds: open_fds(),
            max_fds: getrlimit(Resource::Nofile).current,
        })
    }
}

/// When the machine started, asked once: the file also lists every interrupt, which takes the kernel a while.
fn boot_seconds() -> Option<f64> {
    static BOOT: OnceLock<Option<f64>> = OnceLock::new();
    *BOOT.get_or_init(|| {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        stat.lines()
            .find_map(|line| line.strip_prefix("btime "))
            .and_then(|seconds| seconds.trim().parse().ok())
    })
}

/// Linux 6.2 and later say how many there are as the folder's size; older ones have to be counted.
fn open_fds() -> Option<u64> {
    let said = fs::metadata("/proc/self/fd").ok()?.len();
    if said > 0 {
        return Some(said);
    }
    // The descriptor that reads the folder is one of them.
    Some((fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_knows_this_process() {
        let process = Process::look().expect("there is a /proc");
        assert!(process.resident_bytes > 100_000 && process.virtual_bytes >= process.resident_bytes);
        assert!(process.threads >= 1);
        assert!(process.open_fds.is_some_and(|open| open >= 3));
        assert!(process.start_seconds.is_some_and(|start| start > 1.6e9));
    }
}
