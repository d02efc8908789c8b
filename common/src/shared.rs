//! Numbers and arrays of them in shared memory, each behind its own lock.

use std::fmt;
use std::io;
use std::time::Duration;

use bytemuck::Pod;

use crate::deadline::Deadline;
use crate::lock::{Guard, LockError, Locked};
use crate::object::Object;
use crate::owned::Death;

/// One value in shared memory, behind its own lock.
///
/// Python: `multiprocessing.Value`. System: `mmap` with `MAP_SHARED`, and a
/// [`Lock`](crate::Lock).
///
/// `T` is plain data ([`Pod`]): numbers, arrays of them, and structs of them that derive `Pod`.
/// Anything that owns memory or points to it does not compile, as another process would follow
/// the pointer into its own memory.
///
/// ```
/// use common::{Process, Value};
///
/// let counter = Value::new(0)?;
/// let mut child = Process::spawn("counter", || -> anyhow::Result<()> {
///     *counter.lock()? += 1;
///     Ok(())
/// })?;
/// assert!(child.join()?.success());
/// assert_eq!(*counter.lock()?, 1);
/// # Ok::<(), anyhow::Error>(())
/// ```
///
/// An array of numbers is one value, however long:
///
/// ```
/// # use common::Value;
/// let digits = Value::new([0_u8; 100])?;
/// digits.lock()?[99] = 1;
/// # Ok::<(), anyhow::Error>(())
/// ```
///
/// ```compile_fail
/// # use common::Value;
/// Value::new(String::from("owns memory of one process"));
/// ```
///
/// ```compile_fail
/// # use common::Value;
/// let local = 1;
/// Value::new(&local);
/// ```
///
/// Without the guard there is nothing to add to:
///
/// ```compile_fail
/// # use common::Value;
/// # let mut counter = Value::new(0).unwrap();
/// counter += 1;
/// ```
pub struct Value<T: Pod>(Locked<T>);

impl<T: Pod> Value<T> {
    /// A new shared value.
    ///
    /// # Errors
    /// The system has no memory to map.
    #[track_caller]
    pub fn new(value: T) -> io::Result<Self> {
        Locked::new(&[value], Object::of_value::<T>()).map(Value)
    }

    /// Takes the value's lock and leads to the value, waiting for as long as that takes.
    ///
    /// # Errors
    /// [`LockError`], but not [`LockError::TimedOut`].
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> Result<Guard<'_, T>, LockError> {
        self.0.first(Deadline::never(), Death::Reported)
    }

    /// Takes the lock if it is free.
    ///
    /// # Errors
    /// [`LockError::TimedOut`] when another holds it, and those of [`lock`](Value::lock).
    pub fn try_lock(&self) -> Result<Guard<'_, T>, LockError> {
        self.lock_timeout(Duration::ZERO)
    }

    /// Like [`lock`](Value::lock), waiting for at most `limit`.
    ///
    /// # Errors
    /// [`LockError::TimedOut`], and those of [`lock`](Value::lock).
    #[track_caller]
    pub fn lock_timeout(&self, limit: Duration) -> Result<Guard<'_, T>, LockError> {
        self.0.first(Deadline::within(limit), Death::Reported)
    }

    /// Takes the lock after its owner died: see [`Lock::recover`](crate::Lock::recover). The
    /// value may be half changed; set it right.
    ///
    /// # Errors
    /// [`LockError`], but neither [`LockError::TimedOut`] nor [`LockError::OwnerDied`]. With
    /// [`LockError::OwnerRuns`] the data may still change.
    #[track_caller]
    pub fn recover(&self) -> Result<Guard<'_, T>, LockError> {
        self.0.first(Deadline::never(), Death::Forgiven)
    }
}

// Without the value: to read it takes the lock.
impl<T: Pod> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value").finish_non_exhaustive()
    }
}

/// A fixed number of values in shared memory, behind one lock.
///
/// Python: `multiprocessing.Array`. System: `mmap` with `MAP_SHARED`, and a
/// [`Lock`](crate::Lock). The guard is a slice; an index beyond its end panics as it does for
/// every slice. For `T` see [`Value`].
///
/// ```
/// use common::Array;
///
/// let array = Array::new(&[0, 1, 2])?;
/// array.lock()?[0] += 10;
/// assert_eq!(*array.lock()?, [10, 1, 2]);
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct Array<T: Pod>(Locked<T>);

impl<T: Pod> Array<T> {
    /// A new shared array with a copy of `values`. Its length stays the same.
    ///
    /// # Errors
    /// The system has no memory to map.
    #[track_caller]
    pub fn new(values: &[T]) -> io::Result<Self> {
        Locked::new(values, Object::new("array")).map(Array)
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the array's lock and leads to its values, waiting for as long as that takes.
    ///
    /// # Errors
    /// [`LockError`], but not [`LockError::TimedOut`].
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> Result<Guard<'_, [T]>, LockError> {
        self.0.all(Deadline::never(), Death::Reported)
    }

    /// Takes the lock if it is free.
    ///
    /// # Errors
    /// [`LockError::TimedOut`] when another holds it, and those of [`lock`](Array::lock).
    pub fn try_lock(&self) -> Result<Guard<'_, [T]>, LockError> {
        self.lock_timeout(Duration::ZERO)
    }

    /// Like [`lock`](Array::lock), waiting for at most `limit`.
    ///
    /// # Errors
    /// [`LockError::TimedOut`], and those of [`lock`](Array::lock).
    #[track_caller]
    pub fn lock_timeout(&self, limit: Duration) -> Result<Guard<'_, [T]>, LockError> {
        self.0.all(Deadline::within(limit), Death::Reported)
    }

    /// Takes the lock after its owner died: see [`Lock::recover`](crate::Lock::recover). Some
    /// values may be changed and others not yet; set them right.
    ///
    /// # Errors
    /// [`LockError`], but neither [`LockError::TimedOut`] nor [`LockError::OwnerDied`]. With
    /// [`LockError::OwnerRuns`] the data may still change.
    #[track_caller]
    pub fn recover(&self) -> Result<Guard<'_, [T]>, LockError> {
        self.0.all(Deadline::never(), Death::Forgiven)
    }
}

impl<T: Pod> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Array")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
