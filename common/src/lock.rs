//! A lock between processes that survives the death of its owner.

use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::time::Duration;

use bytemuck::Pod;

use crate::deadline::Deadline;
use crate::guards;
use crate::memory::SharedMemory;
use crate::mutex::{MutexError, RawMutex};

/// A lock shared with every child forked after it was made.
///
/// Python: `multiprocessing.Lock`. System: a process-shared, robust, error-checking
/// `pthread_mutex` in shared memory; nobody waits in the kernel unless another holds it.
///
/// A lock belongs to the thread that took it. A process that ends or is killed while it holds the
/// lock does not take it along: the next caller, and every one after it, gets
/// [`LockError::OwnerDied`] until one of them calls [`recover`](Lock::recover), since what the
/// lock protects may be half changed.
///
/// ```
/// use common::{Lock, Process};
///
/// let lock = Lock::new()?;
/// let mut child = Process::spawn("printer", || -> anyhow::Result<()> {
///     let _guard = lock.lock()?; // held to the end of the block
///     println!("one whole line");
///     Ok(())
/// })?;
/// assert!(child.join()?.success());
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct Lock(Locked<()>);

impl Lock {
    /// A new lock, free.
    ///
    /// # Errors
    /// The system has no memory to map.
    pub fn new() -> io::Result<Self> {
        Locked::new(&[()]).map(Lock)
    }

    /// Takes the lock, waiting for as long as that takes.
    ///
    /// # Errors
    /// [`LockError::AlreadyHeld`], [`LockError::OwnerDied`].
    #[inline]
    pub fn lock(&self) -> Result<Guard<'_>, LockError> {
        self.0.first(Deadline::NEVER, Death::Reported)
    }

    /// Takes the lock if it is free.
    ///
    /// # Errors
    /// [`LockError::TimedOut`] when another holds it, and those of [`lock`](Lock::lock).
    pub fn try_lock(&self) -> Result<Guard<'_>, LockError> {
        self.lock_timeout(Duration::ZERO)
    }

    /// Takes the lock, waiting for at most `limit`.
    ///
    /// # Errors
    /// [`LockError::TimedOut`], and those of [`lock`](Lock::lock).
    pub fn lock_timeout(&self, limit: Duration) -> Result<Guard<'_>, LockError> {
        self.0.first(Deadline::after(limit), Death::Reported)
    }

    /// Takes the lock like [`lock`](Lock::lock), and declares that what it protects is in order
    /// again after its owner died. Without such a death it is the same as `lock`.
    ///
    /// # Errors
    /// [`LockError::AlreadyHeld`].
    pub fn recover(&self) -> Result<Guard<'_>, LockError> {
        self.0.first(Deadline::NEVER, Death::Forgiven)
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").finish_non_exhaustive()
    }
}

/// Why a lock could not be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// This thread holds the lock already. Waiting for itself, it would wait for ever.
    #[error("this thread holds the lock already: drop its guard before taking it again")]
    AlreadyHeld,
    /// Another process held the lock for the whole time allowed.
    #[error("another process holds the lock")]
    TimedOut,
    /// A process ended while it held the lock, and nobody has called `recover` since.
    #[error(
        "a process died while it held the lock: check what the lock protects, then call recover()"
    )]
    OwnerDied,
    /// This thread holds 2000 locks; were it to die, the kernel would forget those beyond 2048.
    #[error("this thread holds too many locks: drop some guards first")]
    TooMany,
    /// The system refused.
    #[error("the system cannot lock")]
    System(#[source] io::Error),
}

impl From<MutexError> for LockError {
    fn from(error: MutexError) -> Self {
        match error {
            MutexError::AlreadyHeld => LockError::AlreadyHeld,
            MutexError::TimedOut => LockError::TimedOut,
            MutexError::System(error) => LockError::System(error),
        }
    }
}

/// Holds a lock; dropping it, also while a panic unwinds, releases the lock.
///
/// It leads to the value that the lock protects. It cannot be sent to another thread, and
/// [`Process::spawn`](crate::Process::spawn) refuses to fork while one exists: the child would
/// hold a guard for a lock that its parent owns. A thread other than the first that ends with a
/// guard forgotten (`mem::forget`), or calls `exit` while it holds one, aborts its process.
#[must_use = "the lock is released at once if its guard is not kept"]
pub struct Guard<'a, T: ?Sized = ()> {
    mutex: &'a RawMutex,
    data: NonNull<T>,
}

impl<T: ?Sized> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the mutex is held, so nobody writes; `Locked` keeps the memory mapped.
        unsafe { self.data.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the mutex is held, so nobody else reads or writes.
        unsafe { self.data.as_mut() }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Guard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for Guard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.release();
        guards::count(-1);
    }
}

/// What to do about an owner that died.
#[derive(Clone, Copy)]
pub(crate) enum Death {
    Reported,
    Forgiven,
}

/// Plain data in shared memory behind one lock: what `Lock`, `Value` and `Array` are made of.
pub(crate) struct Locked<T: Pod>(ManuallyDrop<SharedMemory<RawMutex, T>>);

impl<T: Pod> Locked<T> {
    pub fn new(values: &[T]) -> io::Result<Self> {
        let memory = SharedMemory::<RawMutex, T>::new(values.len())?;
        // SAFETY: nobody else knows this memory yet, and it has room for `values.len()` items.
        unsafe {
            RawMutex::init(memory.head())?;
            memory.items().as_mut().copy_from_slice(values);
        }
        Ok(Locked(ManuallyDrop::new(memory)))
    }

    pub fn len(&self) -> usize {
        self.0.items().len()
    }

    /// A guard for all items.
    pub fn all(&self, deadline: Deadline, death: Death) -> Result<Guard<'_, [T]>, LockError> {
        self.guard(self.0.items(), deadline, death)
    }

    /// A guard for the first item alone, of at least one.
    #[inline]
    pub fn first(&self, deadline: Deadline, death: Death) -> Result<Guard<'_, T>, LockError> {
        self.guard(self.0.items().cast(), deadline, death)
    }

    #[inline]
    fn guard<D: ?Sized>(
        &self,
        data: NonNull<D>,
        deadline: Deadline,
        death: Death,
    ) -> Result<Guard<'_, D>, LockError> {
        let mutex = self.mutex();
        if guards::held() >= guards::MOST {
            return Err(LockError::TooMany);
        }
        mutex.acquire(deadline)?;
        match death {
            Death::Forgiven => mutex.forgive(),
            Death::Reported if mutex.is_abandoned() => {
                mutex.release();
                return Err(LockError::OwnerDied);
            }
            Death::Reported => {}
        }
        guards::count(1);
        Ok(Guard { mutex, data })
    }

    fn mutex(&self) -> &RawMutex {
        // SAFETY: `new` initialised it, and it stays mapped as long as `self`.
        unsafe { self.0.head().as_ref() }
    }
}

impl<T: Pod> Drop for Locked<T> {
    fn drop(&mut self) {
        // A guard may have been forgotten. The C library keeps a list of the robust mutexes that
        // a thread holds, so a held one must not be unmapped.
        match self.mutex().acquire(Deadline::NOW) {
            Ok(_) | Err(MutexError::AlreadyHeld) => self.mutex().release(),
            // Held elsewhere, perhaps by another thread of this process: leave it mapped.
            Err(_) => return,
        }
        // SAFETY: dropped once, here; no guard borrows it any more.
        unsafe { ManuallyDrop::drop(&mut self.0) };
    }
}
