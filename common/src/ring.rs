//! Byte records from many processes to many processes, through a ring in shared memory.
//!
//! A record is written in two steps: its bytes go into the free part of the ring, then one store
//! to `tail` publishes them. It is taken in two steps as well: its bytes are copied out, then one
//! store to `head` frees their place. A process killed at any moment has done either the store or
//! not, so a record is there whole or not at all, and is taken once or not at all.
//!
//! Each side has a lock, held for the two steps and never while waiting. Whoever gets it after its
//! owner died finds a ring in order and goes on.

use std::io;
use std::ops::Deref;
use std::ptr::NonNull;
use std::time::Duration;

use crate::asleep::{self, Deadlock};
use crate::atomic::{AtomicU32, Ordering::Relaxed};
use crate::cursor::{Cursor, Position};
use crate::deadline::{Deadline, LONGEST_SLEEP};
use crate::memory::SharedMemory;
use crate::mutex::{Acquired, MutexError, RawMutex};
use crate::object::Object;
use crate::patience::{LOOKS_AT_A_MUTEX, soon};

/// A record's length, in front of it.
const HEADER: usize = size_of::<u32>();
/// Positions are multiples of this, so a header never straddles the end of the ring.
const ALIGN: usize = 4;
/// Offsets count modulo 2^32, which the capacity must divide, twice over.
const LARGEST: usize = 1 << 30;

/// How long a call that must not wait for a record may wait for the lock of its side. The lock is
/// held for a copy only, so this is reached when its owner was stopped (`SIGSTOP`, a debugger).
const LOCK_PATIENCE: Duration = Duration::from_millis(100);

/// In cache lines of its own, two of them because processors fetch lines in pairs: the two sides
/// run on different cores.
#[derive(Default)]
#[repr(align(128))]
struct Padded<T>(T);

impl<T> Deref for Padded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

#[derive(Default)]
struct Side {
    mutex: RawMutex,
    /// Where the other side was when this one last looked: a line that need not be fetched from
    /// the other core. Always behind the truth, which is safe.
    other: AtomicU32,
}

/// What lies in front of the ring's bytes.
#[derive(Default)]
struct Ends {
    putting: Padded<Side>,
    getting: Padded<Side>,
    /// How much was ever published, moved by the owner of the putting side.
    tail: Padded<Cursor>,
    /// How much was ever taken, moved by the owner of the getting side.
    head: Padded<Cursor>,
}

/// See the module's description.
pub(crate) struct Ring {
    memory: SharedMemory<Ends, u8>,
    nap: Duration,
    /// What its user knows it as.
    object: Object,
}

/// Why a record could not be put or taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RingError {
    #[error("closed")]
    Closed,
    #[error("timed out")]
    TimedOut,
    #[error("a record of {size} bytes for a ring of {capacity}")]
    TooLarge { size: usize, capacity: usize },
    #[error(transparent)]
    Deadlock(#[from] Deadlock),
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Told about a record by the process that takes it, before it is gone from the ring.
pub(crate) trait Taker {
    /// This process is about to take the record.
    fn claim(&self, _record: &[u8]) {}
    /// A process died while it took a record, which is still there: its claim is void.
    fn disclaim(&self, _record: &[u8]) {}
}

impl Taker for () {}

impl Ring {
    /// A ring with room for at least one record of `capacity` bytes.
    pub fn new(capacity: usize, object: Object) -> io::Result<Self> {
        asleep::found();
        if capacity > LARGEST - HEADER {
            let message = format!(
                "a capacity of {capacity} bytes; the largest is {}",
                LARGEST - HEADER
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let memory =
            SharedMemory::<Ends, u8>::new((capacity + HEADER).max(64).next_power_of_two())?;
        // SAFETY: nobody else knows this memory yet.
        unsafe {
            let ends = memory.head().as_ptr();
            ends.write(Ends::default());
            RawMutex::init(NonNull::new_unchecked(&raw mut (*ends).putting.0.mutex))?;
            RawMutex::init(NonNull::new_unchecked(&raw mut (*ends).getting.0.mutex))?;
        }
        Ok(Ring {
            memory,
            nap: LONGEST_SLEEP,
            object,
        })
    }

    /// With longer sleeps, ten times: for a ring where nobody depends on a wake-up that was lost.
    pub fn with_long_sleeps(self) -> Self {
        let nap = 10 * LONGEST_SLEEP;
        Ring { nap, ..self }
    }

    pub fn object(&self) -> Object {
        self.object
    }

    /// The longest record that fits.
    pub fn capacity(&self) -> usize {
        self.memory.len() - HEADER
    }

    /// Adds the record at the end, waiting for room. The answer is its number: the same where it is
    /// taken, and that of no other record that is in the ring with it.
    pub fn put(&self, record: &[u8], deadline: Deadline) -> Result<u32, RingError> {
        let capacity = self.capacity();
        if record.len() > capacity {
            return Err(RingError::TooLarge {
                size: record.len(),
                capacity,
            });
        }
        let size = size_in_ring(record.len());
        let ends = self.ends();
        loop {
            let locked = self.lock(&ends.putting, deadline)?;
            let tail = ends.tail.get();
            if tail.is_closed() {
                return Err(RingError::Closed);
            }
            // ANCHOR: put
            let fits = |taken| self.room(tail, taken) >= size;
            if fits(locked.other(&ends.head, fits)) {
                let length = (record.len() as u32).to_ne_bytes();
                // SAFETY: this is the only writer, as it holds the lock, and `size` bytes from
                // `tail` are free: no reader looks there before `tail` has moved.
                unsafe {
                    self.memory.write(tail.offset(), &length);
                    self.memory.write(tail.plus(HEADER as u32).offset(), record);
                }
                if !ends.tail.advance_if_open(tail, size) {
                    return Err(RingError::Closed);
                }
                drop(locked);
                ends.tail.wake(1);
                return Ok(number(tail));
            }
            // ANCHOR_END: put
            drop(locked);
            if deadline.has_passed() {
                return Err(RingError::TimedOut);
            }
            let what = format_args!("room in {}", self.object);
            ends.head.wait(deadline, self.nap, what, |taken| {
                // `tail` too: whoever closes may be killed before it has closed `head`.
                let tail = ends.tail.get();
                taken.is_closed() || tail.is_closed() || self.room(tail, taken) >= size
            })?;
        }
    }

    /// Takes the oldest record into `record`, waiting for one, and says its number. After `close`,
    /// what is left can still be taken.
    pub fn get(
        &self,
        record: &mut Vec<u8>,
        deadline: Deadline,
        taker: &impl Taker,
    ) -> Result<u32, RingError> {
        let ends = self.ends();
        loop {
            // As last seen by a consumer: `tail` is a line to fetch from the producer's core.
            let seen = Position::at(ends.getting.other.load(Relaxed));
            if seen.ahead_of(ends.head.get()) == 0 {
                self.wait(deadline)?;
            }
            // ANCHOR: take
            let locked = self.lock_to_take(deadline, record, taker)?;
            let from = ends.head.get();
            let tail = locked.other(&ends.tail, |tail| tail.ahead_of(from) != 0);
            let Some(size) = self.copy_out(from, tail, record)? else {
                continue;
            };
            taker.claim(record);
            ends.head.advance(size);
            drop(locked);
            // All of them: the one in front may need more room than there is, the next one less.
            ends.head.wake(i32::MAX);
            return Ok(number(from));
            // ANCHOR_END: take
        }
    }

    /// Waits for a record. Another process may be the first to take it.
    pub fn wait(&self, deadline: Deadline) -> Result<(), RingError> {
        let Ends { tail, head, .. } = self.ends();
        loop {
            let put = tail.get();
            if put.ahead_of(head.get()) != 0 {
                return Ok(());
            }
            if put.is_closed() {
                return Err(RingError::Closed);
            }
            if deadline.has_passed() {
                return Err(RingError::TimedOut);
            }
            let what = format_args!("an item in {}", self.object);
            tail.wait(deadline, self.nap, what, |put| {
                put.is_closed() || put.ahead_of(head.get()) != 0
            })?;
        }
    }

    /// Voids the claim of a process that died while it took a record.
    pub fn settle(&self, taker: &impl Taker) -> Result<(), RingError> {
        self.lock_to_take(Deadline::NEVER, &mut Vec::new(), taker)
            .map(drop)
    }

    /// From now on nothing can be put. What was put before can be taken.
    pub fn close(&self) {
        self.ends().tail.close();
        self.ends().head.close();
    }

    pub fn is_closed(&self) -> bool {
        self.ends().tail.get().is_closed()
    }

    pub fn is_empty(&self) -> bool {
        let Ends { tail, head, .. } = self.ends();
        tail.get().ahead_of(head.get()) == 0
    }

    /// The number of records, counted one by one.
    pub fn len(&self) -> Result<usize, RingError> {
        let ends = self.ends();
        let _locked = self.lock(&ends.getting, Deadline::NEVER)?;
        let (mut at, tail) = (ends.head.get(), ends.tail.get());
        let mut count = 0;
        while let Some(length) = self.length_at(at, tail)? {
            at = at.plus(size_in_ring(length));
            count += 1;
        }
        Ok(count)
    }

    fn ends(&self) -> &Ends {
        // SAFETY: `new` initialised it, and it stays mapped as long as `self`.
        unsafe { self.memory.head().as_ref() }
    }

    /// The free bytes, given how far both sides are. None, if `head` was read long before `tail`.
    fn room(&self, tail: Position, head: Position) -> u32 {
        (self.memory.len() as u32).saturating_sub(tail.ahead_of(head))
    }

    fn lock<'a>(&self, side: &'a Side, deadline: Deadline) -> Result<Locked<'a>, RingError> {
        // Its owner may have lost the processor to this very process.
        let acquired = soon(LOOKS_AT_A_MUTEX, || match side.mutex.try_acquire() {
            Err(MutexError::TimedOut) => None,
            done => Some(done),
        });
        let acquired =
            acquired.unwrap_or_else(|| side.mutex.acquire(deadline.at_least(LOCK_PATIENCE)))?;
        Ok(Locked { side, acquired })
    }

    fn lock_to_take(
        &self,
        deadline: Deadline,
        record: &mut Vec<u8>,
        taker: &impl Taker,
    ) -> Result<Locked<'_>, RingError> {
        let ends = self.ends();
        let locked = self.lock(&ends.getting, deadline)?;
        if locked.acquired == Acquired::FromTheDead
            && self
                .copy_out(ends.head.get(), ends.tail.get(), record)?
                .is_some()
        {
            taker.disclaim(record);
        }
        Ok(locked)
    }

    /// Copies the record at `from` and returns its size in the ring; `None` if there is none.
    fn copy_out(
        &self,
        from: Position,
        tail: Position,
        record: &mut Vec<u8>,
    ) -> Result<Option<u32>, RingError> {
        let Some(length) = self.length_at(from, tail)? else {
            return Ok(None);
        };
        record.clear();
        // SAFETY: the record was published whole, and no writer touches it before `head` has
        // moved, for which the caller holds the lock.
        unsafe {
            self.memory
                .read(from.plus(HEADER as u32).offset(), length, record)
        };
        Ok(Some(size_in_ring(length)))
    }

    /// The length of the record at `from`, if there is one.
    fn length_at(&self, from: Position, tail: Position) -> Result<Option<usize>, RingError> {
        let there = tail.ahead_of(from) as usize;
        if there == 0 {
            return Ok(None);
        }
        if there < HEADER
            || there > self.memory.len()
            || !from.offset().is_multiple_of(ALIGN as u32)
        {
            return Err(overwritten());
        }
        // SAFETY: a header was published here, aligned, and nobody writes to it.
        let length = unsafe { self.memory.read_u32(from.offset()) } as usize;
        if length > there - HEADER {
            return Err(overwritten());
        }
        Ok(Some(length))
    }
}

/// Only a stray write of some process can have broken a position or a length. Who followed it
/// would read beyond the ring's end.
#[cold]
fn overwritten() -> RingError {
    io::Error::new(io::ErrorKind::InvalidData, "the ring was overwritten").into()
}

/// Not 0.
fn number(at: Position) -> u32 {
    at.offset() / ALIGN as u32 + 1
}

/// A record of `length` bytes with its header, rounded up.
fn size_in_ring(length: usize) -> u32 {
    (HEADER + length).next_multiple_of(ALIGN) as u32
}

/// One side of a ring, held.
struct Locked<'a> {
    side: &'a Side,
    acquired: Acquired,
}

impl Locked<'_> {
    /// Where the other side is: as last seen if that is `enough`, else as it is now.
    fn other(&self, cursor: &Cursor, enough: impl Fn(Position) -> bool) -> Position {
        let known = Position::at(self.side.other.load(Relaxed));
        if enough(known) {
            return known;
        }
        let now = cursor.get();
        self.side.other.store(now.offset(), Relaxed);
        now
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.side.mutex.release();
    }
}

impl From<MutexError> for RingError {
    fn from(error: MutexError) -> Self {
        match error {
            MutexError::TimedOut => RingError::TimedOut,
            MutexError::System(error) => RingError::System(error),
            error => RingError::System(io::Error::other(error)),
        }
    }
}
