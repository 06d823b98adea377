//! The `cutover` binary: arguments in, exit code out. Everything else is the library.

use std::process::ExitCode;

// mimalloc keeps per-thread heaps, which suits one worker per core; the system allocator costs measurably
// more per request (benches/peers/README.md has the figure).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cutover::cli::run(std::env::args_os())
}
