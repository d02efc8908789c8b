//! Two connected ends, for two processes that talk to each other.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::asleep::{self, Deadlock, Look, Upon};
use crate::deadline::{Deadline, LONGEST_SLEEP};
use crate::identity::Identity;
use crate::memory::SharedMemory;
use crate::object::Object;
use crate::points::{Act, Ending, Outcome, around};
use crate::process::handed_over;
use crate::queue::{DEFAULT_CAPACITY, GetError, PutError, Queue};
use crate::trace::ObjectId;

/// Two connected ends: what the one sends, the other receives. `A` travels from the first to the
/// second, `B` back.
///
/// Python: `multiprocessing.Pipe`. System: two rings in shared memory, as under
/// [`Queue`]; each holds a mebibyte. [`pipe_with_capacity`] makes larger ones.
///
/// ```
/// use common::{Process, pipe};
///
/// let (ours, theirs) = pipe::<u32, String>()?;
/// let mut child = Process::spawn("speller", move || -> anyhow::Result<()> {
///     let number = theirs.recv()?;
///     theirs.send(&format!("number {number}"))?;
///     Ok(())
/// })?;
/// ours.send(&7)?;
/// assert_eq!(ours.recv()?, "number 7");
/// assert!(child.join()?.success());
/// # Ok::<(), anyhow::Error>(())
/// ```
///
/// # Errors
/// The system has no memory to map.
#[track_caller]
pub fn pipe<A, B>() -> io::Result<(Connection<A, B>, Connection<B, A>)> {
    pipe_with_capacity(DEFAULT_CAPACITY)
}

/// Like [`pipe()`], with room each way for at least one item of `capacity` bytes when encoded.
///
/// # Errors
/// A capacity of a gibibyte or more; the system has no memory to map.
#[track_caller]
pub fn pipe_with_capacity<A, B>(
    capacity: usize,
) -> io::Result<(Connection<A, B>, Connection<B, A>)> {
    let there = Arc::new(Queue::of(capacity, Object::new("pipe"))?);
    let back = Arc::new(Queue::of(capacity, Object::new("pipe"))?);
    let users = Arc::new(SharedMemory::new(0)?);
    let first = Connection::new(Arc::clone(&there), Arc::clone(&back), 0, Arc::clone(&users));
    let second = Connection::new(back, there, 1, users);
    Ok((first, second))
}

/// One end of a [`pipe()`]: it sends `S` and receives `R`.
///
/// Python: `multiprocessing.connection.Connection`.
///
/// An end belongs to one process at a time. **Move it into the closure** of the process that uses
/// it; a borrowed end does not compile there. (What else the closure uses is moved along with it:
/// `let value = &value;` before it moves a reference only.) When it is dropped, or its process
/// ends in whatever way, the other end gets what was sent before and then [`PipeError::Closed`] or
/// [`PipeError::Died`], within a tenth of a second. This does not depend on descriptors, of which
/// every forked sibling would hold copies.
pub struct Connection<S, R> {
    outgoing: Arc<Queue<S>>,
    incoming: Arc<Queue<R>>,
    users: Users,
    next_look: NextLook,
    /// The compiler names it where an end is borrowed by a closure.
    marker: PhantomData<*const MoveThisEndIntoTheClosure>,
}

struct MoveThisEndIntoTheClosure;

// SAFETY: what it has can be sent; the pointer, of which there is none, is for the message.
unsafe impl<S, R> Send for Connection<S, R> {}

/// When to look again whether the other process is alive, while sending.
struct NextLook(Cell<Deadline>);

// SAFETY: only a `Connection` has one, and its marker keeps that to one thread at a time. Or the
// compiler would advise to take another kind of cell.
unsafe impl Sync for NextLook {}

impl<S, R> Connection<S, R> {
    fn new(
        outgoing: Arc<Queue<S>>,
        incoming: Arc<Queue<R>>,
        mine: usize,
        both: Arc<SharedMemory<[AtomicU64; 2], ()>>,
    ) -> Self {
        Connection {
            outgoing,
            incoming,
            users: Users { mine, both },
            next_look: NextLook(Cell::new(Deadline::after(LONGEST_SLEEP))),
            marker: PhantomData,
        }
    }
}

/// Why nothing could be sent or received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipeError {
    /// Nothing arrived, or there was no room, for the whole time allowed.
    #[error("the pipe's other end was not ready in time")]
    TimedOut,
    /// The other end was dropped.
    #[error("the pipe's other end was closed")]
    Closed,
    /// The process with the other end has ended without closing it.
    #[error("process {pid} died, which had the pipe's other end")]
    Died {
        /// Its pid.
        pid: u32,
    },
    /// Another process uses this end, so this one must not.
    #[error("process {pid} uses this end of the pipe: move each end into one process")]
    InUse {
        /// Its pid.
        pid: u32,
    },
    /// The item would not fit even into the empty pipe.
    #[error(
        "an item of {size} bytes is too large for this pipe of {capacity} bytes: make the pipe \
         with pipe_with_capacity"
    )]
    TooLarge {
        /// The item's size when encoded, in bytes.
        size: usize,
        /// The pipe's capacity, in bytes.
        capacity: usize,
    },
    /// Nobody can go on: the process with the other end waits, too.
    #[error(transparent)]
    Deadlock(#[from] Deadlock),
    /// The item could not be sent.
    #[error(transparent)]
    Send(PutError),
    /// The item could not be received. Those after it are not affected.
    #[error(transparent)]
    Receive(GetError),
}

impl Ending for PipeError {
    fn outcome(&self) -> Outcome {
        match self {
            PipeError::TimedOut => Outcome::TimedOut,
            PipeError::Closed => Outcome::Closed,
            PipeError::Receive(GetError::Decode(_)) => Outcome::Done, // it has come
            _ => Outcome::Failed,
        }
    }
}

impl<S: Serialize, R> Connection<S, R> {
    /// Sends a copy of `item`, waiting for room (as much as the capacity may be under way).
    ///
    /// # Errors
    /// [`PipeError`], but not [`PipeError::TimedOut`].
    #[track_caller]
    pub fn send(&self, item: &S) -> Result<(), PipeError> {
        self.send_until(item, Deadline::never())
    }

    /// Sends the item, waiting for room for at most `limit`.
    ///
    /// # Errors
    /// [`PipeError`].
    #[track_caller]
    pub fn send_timeout(&self, item: &S, limit: Duration) -> Result<(), PipeError> {
        self.send_until(item, Deadline::within(limit))
    }

    fn send_until(&self, item: &S, deadline: Deadline) -> Result<(), PipeError> {
        self.users.claim()?;
        let object = self.outgoing.object().id();
        around(Act::Put, object, deadline, || self.put(item, deadline))
    }

    fn put(&self, item: &S, deadline: Deadline) -> Result<(), PipeError> {
        if self.next_look.0.get().has_passed() {
            self.next_look.0.set(Deadline::after(LONGEST_SLEEP));
            self.users.check_other()?;
        }
        let put = |deadline| match self.outgoing.put_until(item, deadline) {
            Ok(()) => Some(Ok(())),
            Err(PutError::Full) => None,
            Err(PutError::Closed) => Some(Err(PipeError::Closed)),
            Err(PutError::TooLarge { size, capacity }) => {
                Some(Err(PipeError::TooLarge { size, capacity }))
            }
            Err(error) => Some(Err(PipeError::Send(error))),
        };
        let what = format_args!("room in {}", self.outgoing.object());
        let nap = |limit| put(Deadline::after(limit));
        let look = || match put(Deadline::NOW).or_else(|| self.users.check_other().err().map(Err)) {
            Some(done) => Look::Found(done),
            None => Look::InVain(self.users.other()),
        };
        asleep::wait(deadline, LONGEST_SLEEP, what, nap, look)?.unwrap_or(Err(PipeError::TimedOut))
    }
}

impl<S, R: DeserializeOwned> Connection<S, R> {
    /// Receives an item, waiting for one.
    ///
    /// # Errors
    /// [`PipeError`], but not [`PipeError::TimedOut`].
    #[track_caller]
    pub fn recv(&self) -> Result<R, PipeError> {
        self.recv_until(Deadline::never())
    }

    /// Receives an item, waiting for one for at most `limit`.
    ///
    /// # Errors
    /// [`PipeError`].
    #[track_caller]
    pub fn recv_timeout(&self, limit: Duration) -> Result<R, PipeError> {
        self.recv_until(Deadline::within(limit))
    }

    fn recv_until(&self, deadline: Deadline) -> Result<R, PipeError> {
        self.users.claim()?;
        let object = self.incoming.object().id();
        around(Act::Get, object, deadline, || {
            self.wait(deadline)?;
            match self.incoming.get_until(Deadline::NOW) {
                Err(GetError::Closed) => Err(PipeError::Closed),
                item => item.map_err(PipeError::Receive),
            }
        })
    }
}

impl<S, R> Connection<S, R> {
    /// Whether [`recv`](Connection::recv) would return at once, with an item or with the end,
    /// waiting for that for at most `limit`. Python: `poll`.
    ///
    /// # Errors
    /// [`PipeError::InUse`].
    #[track_caller]
    pub fn poll(&self, limit: Duration) -> Result<bool, PipeError> {
        self.users.claim()?;
        match self.wait(Deadline::within(limit)) {
            Ok(()) | Err(PipeError::Died { .. }) => Ok(true),
            Err(PipeError::TimedOut) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Waits for an item or the end, which only this process can take away.
    fn wait(&self, deadline: Deadline) -> Result<(), PipeError> {
        let arrived = |deadline| match self.incoming.wait_until(deadline) {
            Ok(()) | Err(GetError::Closed) => Some(Ok(())),
            Err(GetError::Empty) => None,
            Err(error) => Some(Err(PipeError::Receive(error))),
        };
        let what = format_args!("an item in {}", self.incoming.object());
        let nap = |limit| arrived(Deadline::after(limit));
        let look = || {
            let died = self.users.check_other().err().map(Err);
            // Its last words may have come before it died.
            match arrived(Deadline::NOW).or(died) {
                Some(done) => Look::Found(done),
                None => Look::InVain(self.users.other()),
            }
        };
        asleep::wait(deadline, LONGEST_SLEEP, what, nap, look)?.unwrap_or(Err(PipeError::TimedOut))
    }
}

impl<S, R> fmt::Debug for Connection<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("outgoing", &self.outgoing)
            .field("incoming", &self.incoming)
            .finish_non_exhaustive()
    }
}

impl<S, R> Drop for Connection<S, R> {
    fn drop(&mut self) {
        if let Some(child) = handed_over() {
            self.users.hand_over(child);
        } else if self.users.claim().is_ok() {
            self.outgoing.close();
            self.incoming.close();
        }
    }
}

/// Which process uses which end: an [`Identity`] each, zero for none yet.
struct Users {
    mine: usize,
    both: Arc<SharedMemory<[AtomicU64; 2], ()>>,
}

impl Users {
    fn end(&self, index: usize) -> &AtomicU64 {
        // SAFETY: two atomics that start as zeroes, mapped as long as `both`.
        unsafe { &self.both.head().as_ref()[index] }
    }

    /// Makes this process the user of its end, if nobody else is.
    fn claim(&self) -> Result<(), PipeError> {
        around(Act::Claim, ObjectId::NONE, Deadline::NEVER, || {
            self.claimed()
        })
    }

    fn claimed(&self) -> Result<(), PipeError> {
        let me = Identity::mine();
        // Nobody at first, or an ancestor of this process, which hands this end over, or would
        // have, had it been faster.
        let mut before = 0;
        let patience = Deadline::after(LONGEST_SLEEP);
        loop {
            let user = match self
                .end(self.mine)
                .compare_exchange(before, me.0, SeqCst, SeqCst)
            {
                Ok(_) => return Ok(()),
                Err(user) => Identity(user),
            };
            if user.is(me) {
                return Ok(());
            }
            if user.is_ancestor() {
                before = user.0;
            } else if patience.has_passed() {
                return Err(PipeError::InUse { pid: user.pid() });
            } else {
                thread::yield_now();
            }
        }
    }

    /// Makes the child the user of this end, unless it has already made itself that.
    fn hand_over(&self, child: u32) {
        let (me, child) = (Identity::mine(), Identity::of(child));
        for from in [0, me.0] {
            let _ = self
                .end(self.mine)
                .compare_exchange(from, child.0, SeqCst, SeqCst);
        }
    }

    /// Upon whom this end's waits depend: the other end may be handed on.
    fn other(&self) -> Upon {
        match Identity(self.end(1 - self.mine).load(SeqCst)).pid() {
            0 => Upon::Anybody,
            pid => Upon::AnybodyAndTheEndOf(pid),
        }
    }

    /// An error if the other end's user has died.
    fn check_other(&self) -> Result<(), PipeError> {
        let user = Identity(self.end(1 - self.mine).load(SeqCst));
        if user.0 == 0 || user.is_alive() {
            return Ok(());
        }
        Err(PipeError::Died { pid: user.pid() })
    }
}
