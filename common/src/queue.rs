//! A queue of values from many processes to many processes.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::asleep::Deadlock;
use crate::codec::{decode, encode, with_buffer};
use crate::deadline::Deadline;
use crate::object::Object;
use crate::points::{Act, Ending, Outcome, around_item};
use crate::ring::{Ring, RingError};
use crate::trace;

/// Bytes in a [`Queue::new`]: some 80,000 small numbers. With the records' headers it fills a
/// mebibyte, which stays in a core's second-level cache.
pub(crate) const DEFAULT_CAPACITY: usize = (1 << 20) - 4;

/// A bounded queue, first in, first out, shared with every child forked after it was made.
///
/// Python: `multiprocessing.Queue`, but bounded in bytes rather than items, without a hidden
/// feeder thread, and with an end. System: a ring in shared memory, two robust mutexes, futexes.
///
/// Any number of processes may put and get. Items of one producer arrive in its order. Waiting
/// costs no CPU. A process killed at any moment costs at most the item that it had just taken:
/// no item is torn or doubled, and the others go on.
///
/// **The end is said, not guessed**: after [`close`](Queue::close), a put fails, and gets empty
/// the queue and then fail with [`GetError::Closed`]; a `for` loop over the queue ends there.
///
/// ```
/// use common::{Process, Queue};
///
/// let queue = Queue::new()?;
/// let mut producer = Process::spawn("producer", || {
///     (1..=3).try_for_each(|number| queue.put(&number))
/// })?;
/// assert!(producer.join()?.success());
/// queue.close();
/// let items = queue.iter().collect::<Result<Vec<i32>, _>>()?;
/// assert_eq!(items, [1, 2, 3]);
/// # Ok::<(), anyhow::Error>(())
/// ```
///
/// An item is encoded with serde at the one end and decoded at the other, so it can be any
/// [`Serialize`] and [`DeserializeOwned`] type that means the same in every process. A channel
/// end of ipc-channel's does not: it can only travel over that crate's own channels, and getting
/// one here is a [`GetError::Decode`]. Decoding has no limit of depth: an item that nests very
/// deep, such as a list of 200,000 boxes in each other, overflows the stack of whoever gets it.
pub struct Queue<T> {
    ring: Ring,
    items: PhantomData<fn(T) -> T>,
}

/// Why an item could not be put; the queue is as it was before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PutError {
    /// There was no room for the whole time allowed.
    #[error("the queue is full")]
    Full,
    /// The queue was closed: nobody may put any more.
    #[error("the queue is closed")]
    Closed,
    /// The item would not fit even into the empty queue.
    #[error(
        "an item of {size} bytes is too large for this queue of {capacity} bytes: make the queue \
         with Queue::with_capacity"
    )]
    TooLarge {
        /// The item's size when encoded, in bytes.
        size: usize,
        /// The queue's capacity, in bytes.
        capacity: usize,
    },
    /// The item's `Serialize` failed.
    #[error("the item cannot be encoded")]
    Encode(#[source] postcard::Error),
    /// Nobody can go on: who could make room waits, too, or is dead.
    #[error(transparent)]
    Deadlock(Deadlock),
    /// The system refused.
    #[error("the system cannot put the item on the queue")]
    System(#[source] io::Error),
}

/// Why no item could be got.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GetError {
    /// There was no item for the whole time allowed.
    #[error("the queue is empty")]
    Empty,
    /// The queue was closed and nothing is left in it: the end.
    #[error("the queue is closed and empty")]
    Closed,
    /// This item cannot be decoded. It is gone; the items after it are not affected.
    #[error("the item cannot be decoded: {0}")]
    Decode(String),
    /// Nobody can go on: who could put an item waits, too, or is dead.
    #[error(transparent)]
    Deadlock(Deadlock),
    /// The system refused.
    #[error("the system cannot get an item from the queue")]
    System(#[source] io::Error),
}

impl<T> Queue<T> {
    /// An empty queue of one mebibyte.
    ///
    /// # Errors
    /// The system has no memory to map.
    #[track_caller]
    pub fn new() -> io::Result<Self> {
        Self::with_capacity(DEFAULT_CAPACITY)
    }

    /// An empty queue that has room for at least one item of `capacity` bytes when encoded. Each
    /// item takes four bytes beside its own.
    ///
    /// # Errors
    /// A capacity of a gibibyte or more; the system has no memory to map.
    #[track_caller]
    pub fn with_capacity(capacity: usize) -> io::Result<Self> {
        Self::of(capacity, Object::new("queue"))
    }

    pub(crate) fn of(capacity: usize, object: Object) -> io::Result<Self> {
        Ok(Queue {
            ring: Ring::new(capacity, object)?,
            items: PhantomData,
        })
    }

    pub(crate) fn object(&self) -> Object {
        self.ring.object()
    }

    /// The number of items. Others put and get meanwhile, so it may be out of date already.
    ///
    /// Python: `qsize`. It counts them one by one, and nobody gets an item meanwhile.
    ///
    /// # Errors
    /// [`GetError::System`].
    pub fn len(&self) -> Result<usize, GetError> {
        self.ring.len().map_err(Into::into)
    }

    /// Whether there are no items, as of now. Python: `empty`. To decide on [`get`](Queue::get)
    /// by it is a race between consumers; [`try_get`](Queue::try_get) is not.
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    pub(crate) fn wait_until(&self, deadline: Deadline) -> Result<(), GetError> {
        self.ring.wait(deadline).map_err(Into::into)
    }

    /// Ends the queue, for all processes. Python 3.13 calls it `Queue.shutdown` in threads;
    /// `multiprocessing` has no such thing. Closing twice is the same as once.
    pub fn close(&self) {
        trace::close(self.object().id());
        self.ring.close();
    }
}

impl<T: Serialize> Queue<T> {
    /// Puts a copy of `item` at the end, waiting for room. The item stays the caller's, so
    /// nothing is lost when this fails.
    ///
    /// # Errors
    /// [`PutError`], but not [`PutError::Full`].
    #[track_caller]
    pub fn put(&self, item: &T) -> Result<(), PutError> {
        self.put_at_a_point(item, Deadline::never())
    }

    /// Puts the item if there is room now. Python: `put_nowait`.
    ///
    /// # Errors
    /// [`PutError`].
    pub fn try_put(&self, item: &T) -> Result<(), PutError> {
        self.put_timeout(item, Duration::ZERO)
    }

    /// Puts the item, waiting for room for at most `limit`.
    ///
    /// # Errors
    /// [`PutError`].
    #[track_caller]
    pub fn put_timeout(&self, item: &T, limit: Duration) -> Result<(), PutError> {
        self.put_at_a_point(item, Deadline::within(limit))
    }

    #[inline]
    fn put_at_a_point(&self, item: &T, deadline: Deadline) -> Result<(), PutError> {
        Self::encoded(item, |record| {
            let object = self.object().id();
            around_item(Act::Put, object, deadline, || {
                self.ring.put(record, deadline)
            })
        })
    }

    /// For who waits in a way of its own.
    pub(crate) fn put_until(&self, item: &T, deadline: Deadline) -> Result<(), PutError> {
        Self::encoded(item, |record| self.ring.put(record, deadline).map(drop))
    }

    /// Encodes it before the lock is taken: no code of the user's runs under it.
    #[inline]
    fn encoded(item: &T, put: impl FnOnce(&[u8]) -> Result<(), RingError>) -> Result<(), PutError> {
        with_buffer(|record| {
            encode(item, record).map_err(PutError::Encode)?;
            Ok(put(record)?)
        })
    }
}

impl<T: DeserializeOwned> Queue<T> {
    /// Takes the oldest item, waiting for one.
    ///
    /// # Errors
    /// [`GetError`], but not [`GetError::Empty`].
    #[track_caller]
    pub fn get(&self) -> Result<T, GetError> {
        self.get_at_a_point(Deadline::never())
    }

    /// Takes the oldest item if there is one now. Python: `get_nowait`.
    ///
    /// # Errors
    /// [`GetError`].
    pub fn try_get(&self) -> Result<T, GetError> {
        self.get_timeout(Duration::ZERO)
    }

    /// Takes the oldest item, waiting for one for at most `limit`.
    ///
    /// # Errors
    /// [`GetError`].
    #[track_caller]
    pub fn get_timeout(&self, limit: Duration) -> Result<T, GetError> {
        self.get_at_a_point(Deadline::within(limit))
    }

    #[inline]
    fn get_at_a_point(&self, deadline: Deadline) -> Result<T, GetError> {
        with_buffer(|record| {
            let object = self.object().id();
            around_item(Act::Get, object, deadline, || {
                self.ring.get(record, deadline, &())
            })?;
            decode(record).map_err(GetError::Decode)
        })
    }

    /// Takes items until the queue is closed and empty. An item that cannot be decoded is an
    /// error in its place; [`GetError::Deadlock`] is the last.
    #[track_caller]
    pub fn iter(&self) -> impl Iterator<Item = Result<T, GetError>> {
        let deadline = Deadline::never();
        let mut over = false;
        std::iter::from_fn(move || {
            let item = (!over).then(|| self.get_at_a_point(deadline))?;
            over = matches!(item, Err(GetError::Closed | GetError::Deadlock(_)));
            (!matches!(item, Err(GetError::Closed))).then_some(item)
        })
    }

    /// For who waits in a way of its own.
    pub(crate) fn get_until(&self, deadline: Deadline) -> Result<T, GetError> {
        with_buffer(|record| {
            self.ring.get(record, deadline, &())?;
            decode(record).map_err(GetError::Decode)
        })
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("capacity", &self.ring.capacity())
            .field("is_empty", &self.ring.is_empty())
            .field("is_closed", &self.ring.is_closed())
            .finish()
    }
}

impl Ending for RingError {
    fn outcome(&self) -> Outcome {
        match self {
            RingError::TimedOut => Outcome::TimedOut,
            RingError::Closed => Outcome::Closed,
            _ => Outcome::Failed,
        }
    }
}

impl From<RingError> for PutError {
    fn from(error: RingError) -> Self {
        match error {
            RingError::Closed => PutError::Closed,
            RingError::TimedOut => PutError::Full,
            RingError::TooLarge { size, capacity } => PutError::TooLarge { size, capacity },
            RingError::Deadlock(all) => PutError::Deadlock(all),
            RingError::System(error) => PutError::System(error),
        }
    }
}

impl From<RingError> for GetError {
    fn from(error: RingError) -> Self {
        match error {
            RingError::Closed => GetError::Closed,
            RingError::TimedOut => GetError::Empty,
            RingError::Deadlock(all) => GetError::Deadlock(all),
            RingError::System(error) => GetError::System(error),
            error @ RingError::TooLarge { .. } => GetError::System(io::Error::other(error)),
        }
    }
}
