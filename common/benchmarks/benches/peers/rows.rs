//! The rows, and how fast is fast enough.

use benchmarks::record::Unit;

/// `bars` say how many times as fast as CPython, the other crate and the limit we want to be.
pub struct Row {
    pub name: &'static str,
    pub title: &'static str,
    pub unit: Unit,
    /// What the other crate and the limit are, for the legend.
    pub against: [&'static str; 2],
    pub bars: [Option<f64>; 3],
}

/// The bar of the row that has no other: seconds of CPU per second of waiting.
pub const IDLE_BAR: f64 = 1e-3;

const PROCSPAWN: &str = "procspawn's pool";
const PIPE: &str = "a pipe(2) there, one back";
const NONE: &str = "";

#[rustfmt::skip]
pub const ROWS: [Row; 14] = [
    row("start", "start and join a process", ["procspawn, a fresh program", "fork, _exit, waitpid"],
        [Some(8.0), None, Some(1.0 / 1.25)]),
    row("lock", "lock, add 1, unlock: alone", [NONE, "a robust pthread mutex"],
        [Some(40.0), None, Some(1.0 / 1.2)]),
    row("lock-2", "lock, add 1, unlock: two", [NONE, "a robust pthread mutex"],
        [Some(20.0), None, Some(1.0 / 1.2)]),
    row("queue", "Queue, 8 B, 1 to 1", ["ipc-channel", "crossbeam-channel, two threads"],
        [Some(50.0), Some(15.0), Some(0.25)]),
    row("queue-2-2", "Queue, 8 B, 2 to 2", [NONE, "crossbeam-channel, four threads"],
        [Some(40.0), None, Some(0.25)]),
    row("structs", "Queue, 1 KiB structs", ["ipc-channel", NONE],
        [Some(15.0), None, None]),
    Row { unit: Unit::Throughput, ..row("bytes", "Queue, 1 MiB buffers",
        ["ipc-channel", "memcpy into shared memory"], [Some(2.0), None, Some(0.25)]) },
    row("echo", "Queue, there and back", ["ipc-channel", PIPE],
        [Some(5.0), None, Some(1.0)]),
    row("manager", "Manager: lock, get, set", [NONE, "four round trips on ipc-channel"],
        [Some(6.0), None, Some(1.0 / 1.3)]),
    row("apply", "Pool: apply", [PROCSPAWN, PIPE],
        [Some(10.0), None, Some(1.0 / 1.3)]),
    row("async", "Pool: apply_async", [PROCSPAWN, NONE],
        [Some(40.0), Some(40.0), None]),
    row("map", "Pool: map, Collatz lengths", [NONE, "rayon, as many threads"],
        [Some(20.0), None, Some(0.8)]),
    row("mandelbrot", "Mandelbrot, 1600x1200", [NONE, "rayon, as many threads"],
        [Some(15.0), None, Some(1.0 / 1.1)]),
    Row { unit: Unit::Cpu, ..row("idle", "4 idle workers, CPU in 1 s", [NONE, NONE],
        [None, None, None]) },
];

const fn row(
    name: &'static str,
    title: &'static str,
    against: [&'static str; 2],
    bars: [Option<f64>; 3],
) -> Row {
    Row {
        name,
        title,
        unit: Unit::Time,
        against,
        bars,
    }
}

impl Row {
    /// The least and the most operations of a measurement.
    pub fn counts(&self, quick: bool) -> (u64, u64) {
        match (self.name, quick) {
            ("map", false) => (1_000_000, 1_000_000),
            ("map", true) => (10_000, 10_000),
            // One picture takes long enough.
            ("mandelbrot", _) => (1, 1),
            ("idle", false) => (1000, 1000),
            ("idle", true) => (100, 100),
            (_, false) => (16, u64::MAX),
            (_, true) => (16, 64),
        }
    }
}
