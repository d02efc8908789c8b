//! What a trace tells.

use std::process::ExitStatus;
use std::time::Duration;

/// Something that a process has done, or that happened to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Which process.
    pub pid: u32,
    /// Which of its threads. The first has the process's number.
    pub thread: u32,
    /// How long after the beginning of the record. It never goes back in one thread, but may
    /// between two: the order of the events is the one that they are told in.
    pub time: Duration,
    /// What it was.
    pub what: What,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum What {
    /// The process has begun.
    Born {
        /// The name that it was spawned with; `main`, of a program.
        name: String,
        /// Its parent's pid.
        parent: u32,
    },
    /// The process, which has a parent here, ends itself.
    Exits {
        /// Its exit code, of which the parent gets the lowest eight bits.
        code: i32,
    },
    /// The process has found that a child of its own has ended.
    Ended {
        /// The child's pid.
        pid: u32,
        /// How it ended.
        status: ExitStatus,
    },
    /// The process has made something that processes share.
    Made {
        /// What it is called from now on.
        object: ObjectId,
        /// `lock`, `value`, `array`, `queue`, `pipe` (one for each direction), `task queue of the
        /// pool`, `result queue of the pool`, `value of the manager`, `lock of the manager`.
        kind: String,
        /// Where in the program: `src/main.rs:9`.
        place: String,
    },
    /// The process is about to do something.
    Before {
        /// What.
        act: Act,
        /// With what; `None` for a spawn, a claim and a join.
        object: Option<ObjectId>,
        /// Of an unlock, the number that the lock of a [`Value`](crate::Value) protects, as it is
        /// now, if it is a whole one that is not large.
        value: Option<i32>,
        /// Whether it will wait no longer than a limit, or not at all.
        limited: bool,
    },
    /// The process has done it. What a lock protects is its own from this event of a
    /// [`Lock`](Act::Lock) to the one before its [`Unlock`](Act::Unlock).
    After {
        /// What.
        act: Act,
        /// With what.
        object: Option<ObjectId>,
        /// Of what goes through a queue, its number: it is put and got under the same, which no
        /// other item has that is in the queue at that time. Of what goes through a pool's queues,
        /// and of a claim and a call, the number of the task, or of the tasks that were handed in
        /// together; a worker may send their outcomes in several parts. Of a spawn, the child's pid.
        item: Option<u32>,
        /// Of a lock, the same as of an unlock: as it is found.
        value: Option<i32>,
        /// Whether it would wait no longer than a limit, or not at all.
        limited: bool,
        /// What came of it.
        outcome: Outcome,
    },
    /// The process, a manager's, does what a client has asked for.
    Serves {
        /// With what.
        object: ObjectId,
        /// The client's pid.
        client: u32,
    },
    /// The process ends a queue.
    Close {
        /// Which queue.
        object: ObjectId,
    },
    /// The process, or one of its threads, sleeps in a call without a limit, and has looked in vain
    /// for what it waits for. Its next event is [`What::Awake`].
    Asleep {
        /// What it waits for: `an item in the queue made at src/main.rs:9`.
        reason: String,
        /// Where it was called, if that is known: `src/main.rs:12`.
        place: String,
        /// The process without which it cannot go on, if there is one: a lock's owner, or the one
        /// whose end it waits for.
        upon: Option<u32>,
    },
    /// The sleeper goes on.
    Awake,
}

/// What a process does to others. Before and after each is a point where it can be held.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Act {
    /// It takes a lock, of a [`Lock`](crate::Lock), a [`Value`](crate::Value), an
    /// [`Array`](crate::Array) or a manager's.
    Lock,
    /// It gives one back.
    Unlock,
    /// It puts an item on a queue, into a pipe, or into a manager's value.
    Put,
    /// It gets one.
    Get,
    /// It takes a pool's task, or the end of a pipe, for its own.
    Claim,
    /// It spawns a process.
    Spawn,
    /// It waits for the end of a child, or for the first of several to end.
    Join,
    /// It hands a task's outcome to who submitted it, and calls back.
    Call,
}

impl Act {
    /// All of them.
    pub const ALL: [Act; 8] = [
        Act::Lock,
        Act::Unlock,
        Act::Put,
        Act::Get,
        Act::Claim,
        Act::Spawn,
        Act::Join,
        Act::Call,
    ];

    /// As a word: `lock`.
    pub fn name(self) -> &'static str {
        match self {
            Act::Lock => "lock",
            Act::Unlock => "unlock",
            Act::Put => "put",
            Act::Get => "get",
            Act::Claim => "claim",
            Act::Spawn => "spawn",
            Act::Join => "join",
            Act::Call => "callback",
        }
    }
}

/// What came of an act.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// What was to be done is done: it has the lock, or the item; the item is on the queue.
    Done,
    /// The time was up, which for a `try_` call it is at once.
    TimedOut,
    /// The queue is closed, and for a get, empty, too.
    Closed,
    /// Another error.
    Failed,
}

/// Something that processes share, the same number in all of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ObjectId(pub(super) u64);

impl ObjectId {
    /// Of what is no object, and of all while nobody looks on.
    pub(crate) const NONE: ObjectId = ObjectId(0);

    /// What a server has made, by its own number; that of no other is so large.
    pub(crate) fn of_a_server(pid: u32, number: u32) -> Self {
        ObjectId(u64::from(pid) << 32 | u64::from(number))
    }
}

/// Stops or kills a process at a point.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hold {
    /// The process's name; of several with this name, the first to be there.
    pub process: String,
    /// At what it does ...
    pub act: Act,
    /// ... before, or after that is done ([`Outcome::Done`]) ...
    pub side: Side,
    /// ... the how manieth time in that process, from 1 on. A child comes out of its own spawn, as
    /// its parent does.
    pub nth: u32,
    /// What becomes of it.
    pub then: Then,
}

/// On which side of an act.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    /// Before it.
    Before,
    /// After it.
    After,
}

/// What becomes of a process at a point.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Then {
    /// It stays there until it is released.
    Stop,
    /// It kills itself (`SIGKILL`).
    Kill,
}
