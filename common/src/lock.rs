//! A lock between processes that survives the death of its owner.

use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::time::Duration;

use bytemuck::Pod;

use crate::deadline::Deadline;
use crate::memory::SharedMemory;
use crate::object::Object;
pub use crate::owned::LockError;
use crate::owned::{Death, OwnedMutex};

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
    #[track_caller]
    pub fn new() -> io::Result<Self> {
        Locked::new(&[()], Object::new("lock")).map(Lock)
    }

    /// Takes the lock, waiting for as long as that takes.
    ///
    /// # Errors
    /// [`LockError`], but not [`LockError::TimedOut`].
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> Result<Guard<'_>, LockError> {
        self.0.first(Deadline::never(), Death::Reported)
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
    #[track_caller]
    pub fn lock_timeout(&self, limit: Duration) -> Result<Guard<'_>, LockError> {
        self.0.first(Deadline::within(limit), Death::Reported)
    }

    /// Takes the lock like [`lock`](Lock::lock), and declares that what it protects is in order
    /// again after its owner died. Without such a death it is the same as `lock`.
    ///
    /// # Errors
    /// [`LockError`], but neither [`LockError::TimedOut`] nor [`LockError::OwnerDied`]. With
    /// [`LockError::OwnerRuns`] what the lock protects may still change.
    #[track_caller]
    pub fn recover(&self) -> Result<Guard<'_>, LockError> {
        self.0.first(Deadline::never(), Death::Forgiven)
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").finish_non_exhaustive()
    }
}

/// Holds a lock; dropping it, also while a panic unwinds, releases the lock.
///
/// It leads to the value that the lock protects. It cannot be sent to another thread, and
/// [`Process::spawn`](crate::Process::spawn) refuses to fork while one exists: the child would
/// hold a guard for a lock that its parent owns. Where other code forks then (`daemon`), the child
/// has a copy of its own of what is locked, and shares it with nobody. A thread other than the
/// first that ends with a guard forgotten (`mem::forget`), or calls `exit` while it holds one,
/// aborts its process.
#[must_use = "the lock is released at once if its guard is not kept"]
pub struct Guard<'a, T: ?Sized = ()> {
    mutex: &'a OwnedMutex,
    object: &'a Object,
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
        let (object, data) = (self.object, self.data.cast());
        // SAFETY: the mutex is held, and the object is that of the data.
        let value = move || unsafe { object.value(data) };
        self.mutex.release(object, value);
    }
}

/// Plain data in shared memory behind one lock: what `Lock`, `Value` and `Array` are made of.
pub(crate) struct Locked<T: Pod> {
    memory: ManuallyDrop<SharedMemory<OwnedMutex, T>>,
    object: Object,
}

impl<T: Pod> Locked<T> {
    pub fn new(values: &[T], object: Object) -> io::Result<Self> {
        let memory = SharedMemory::<OwnedMutex, T>::new(values.len())?;
        // SAFETY: nobody else knows this memory yet, and it has room for `values.len()` items.
        unsafe {
            memory.items().as_mut().copy_from_slice(values);
            OwnedMutex::init(memory.head(), memory.bytes(), object)?;
        }
        let memory = ManuallyDrop::new(memory);
        Ok(Locked { memory, object })
    }

    pub fn len(&self) -> usize {
        self.memory.items().len()
    }

    /// A guard for all items.
    pub fn all(&self, deadline: Deadline, death: Death) -> Result<Guard<'_, [T]>, LockError> {
        self.guard(self.memory.items(), deadline, death)
    }

    /// A guard for the first item alone, of at least one.
    #[inline]
    pub fn first(&self, deadline: Deadline, death: Death) -> Result<Guard<'_, T>, LockError> {
        self.guard(self.memory.items().cast(), deadline, death)
    }

    #[inline]
    fn guard<D: ?Sized>(
        &self,
        data: NonNull<D>,
        deadline: Deadline,
        death: Death,
    ) -> Result<Guard<'_, D>, LockError> {
        let (mutex, object) = (self.mutex(), &self.object);
        // SAFETY: called when the mutex is held; the object is that of the data.
        let value = move || unsafe { object.value(data.cast()) };
        mutex.acquire(object, deadline, death, value)?;
        Ok(Guard {
            mutex,
            object,
            data,
        })
    }

    fn mutex(&self) -> &OwnedMutex {
        // SAFETY: `new` initialised it, and it stays mapped as long as `self`.
        unsafe { self.memory.head().as_ref() }
    }
}

impl<T: Pod> Drop for Locked<T> {
    fn drop(&mut self) {
        if self.mutex().retire(&self.object) {
            // SAFETY: dropped once, here; no guard borrows it any more.
            unsafe { ManuallyDrop::drop(&mut self.memory) };
        }
    }
}
