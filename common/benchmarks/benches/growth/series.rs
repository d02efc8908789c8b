//! The series, their points, and what is measured at each.

use anyhow::Result;
use benchmarks::work::Prepared;

use crate::memory::{exec, fork};
use crate::queue::{capacity, copy, ipc_channel, pairs, pipes, size, streams, trips};
use crate::together::{locks, mutexes};

/// Makes ready for the point at `x`.
type Ready = fn(x: u64) -> Result<Prepared>;

pub struct Series {
    pub name: &'static str,
    pub title: &'static str,
    pub xs: &'static [u64],
    pub columns: &'static [Column],
}

pub struct Column {
    pub name: &'static str,
    pub what: &'static str,
    /// What this program measures itself; Python does the others.
    pub timed: Option<Ready>,
    /// Where it means something.
    pub from: u64,
    pub to: u64,
}

const fn column(name: &'static str, what: &'static str, timed: Ready) -> Column {
    Column {
        name,
        what,
        timed: Some(timed),
        from: 0,
        to: u64::MAX,
    }
}

const fn ours(timed: Ready) -> Column {
    column("ours", "ours", timed)
}

const CPYTHON: Column = Column {
    name: "cpython",
    what: "CPython",
    timed: None,
    from: 0,
    to: u64::MAX,
};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const POWERS: [u64; 6] = [1, 2, 4, 8, 16, 32];

pub const SERIES: [Series; 7] = [
    Series {
        name: "size",
        title: "Queue, 1 to 1, byte buffers, by their size",
        xs: &[8, 64, 512, 4 * KIB, 32 * KIB, 256 * KIB, MIB, 4 * MIB],
        columns: &[
            ours(size),
            CPYTHON,
            column("crate", "ipc-channel", ipc_channel),
            Column {
                // Below, the call is what costs.
                from: 4 * KIB,
                ..column("limit", "memcpy", copy)
            },
        ],
    },
    Series {
        name: "pairs",
        title: "one Queue, 8 B, by the number of producers and of consumers",
        xs: &POWERS,
        columns: &[ours(pairs), CPYTHON],
    },
    Series {
        name: "capacity",
        title: "Queue, 1 to 1, by its capacity",
        xs: &[
            64,
            256,
            KIB,
            4 * KIB,
            16 * KIB,
            64 * KIB,
            256 * KIB,
            MIB,
            4 * MIB,
            16 * MIB,
        ],
        columns: &[
            column("8B", "8 B items", |x| capacity(x, 8)),
            Column {
                // It has room for one of them at least.
                from: 4 * KIB,
                ..column("1KiB", "1 KiB items", |x| capacity(x, 1024))
            },
        ],
    },
    Series {
        name: "locks",
        title: "lock, add 1, unlock, by the number of processes",
        xs: &POWERS,
        columns: &[ours(locks), CPYTHON, column("limit", "bare mutex", mutexes)],
    },
    Series {
        name: "memory",
        title: "start and join a process, by the parent's memory",
        xs: &[10 * MIB, 32 * MIB, 128 * MIB, 512 * MIB, 2048 * MIB],
        columns: &[
            column("fork", "fork", fork),
            column("exec", "exec", exec),
            Column {
                to: 10 * MIB,
                ..CPYTHON
            },
        ],
    },
    Series {
        name: "echoes",
        title: "Queue there and back, by the number of pairs at once",
        xs: &[1, 2, 4, 8, 16],
        columns: &[ours(trips), CPYTHON, column("limit", "two pipes", pipes)],
    },
    Series {
        name: "streams",
        title: "Queue, 8 B, 1 to 1, by the number of pairs at once",
        xs: &[1, 2, 4, 8, 16],
        columns: &[ours(streams), CPYTHON],
    },
];
