//! A lock between processes that survives the death of its owner.

use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::io;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytemuck::Pod;
use nix::unistd::{getpid, gettid};

use crate::deadline::{Deadline, LONGEST_SLEEP};
use crate::memory::SharedMemory;

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

/// Why a lock could not be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// This thread holds the lock already. Waiting for itself, it would wait for ever.
    #[error("this process holds the lock already: drop its guard before taking it again")]
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
        count_guards(-1);
    }
}

/// The kernel looks after at most 2048 robust mutexes of a thread that dies.
const MOST_GUARDS: usize = 2000;

/// How many guards a thread holds.
struct Guards(Cell<usize>);

thread_local! {
    static GUARDS: Guards = const { Guards(Cell::new(0)) };
}

impl Drop for Guards {
    fn drop(&mut self) {
        // With the main thread, the process ends.
        if self.0.get() > 0 && gettid() != getpid() {
            // The kernel now gives the locks to others, but a forgotten guard's reference may live
            // on in another thread.
            eprintln!(
                "a thread has ended that holds {} lock(s): aborting",
                self.0.get()
            );
            std::process::abort();
        }
    }
}

/// How many locks this thread holds: none of them may be carried across a fork.
#[inline]
pub(crate) fn guards_held() -> usize {
    GUARDS.try_with(|guards| guards.0.get()).unwrap_or(0)
}

#[inline]
fn count_guards(change: isize) {
    // A thread that is ending may drop guards it held in other thread-local variables.
    let _ = GUARDS.try_with(|guards| guards.0.set(guards.0.get().saturating_add_signed(change)));
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
        if guards_held() >= MOST_GUARDS {
            return Err(LockError::TooMany);
        }
        mutex.acquire(deadline)?;
        match death {
            Death::Forgiven => mutex.abandoned.store(false, Relaxed),
            Death::Reported if mutex.abandoned.load(Relaxed) => {
                mutex.release();
                return Err(LockError::OwnerDied);
            }
            Death::Reported => {}
        }
        count_guards(1);
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
            Ok(_) | Err(LockError::AlreadyHeld) => self.mutex().release(),
            // Held elsewhere, perhaps by another thread of this process: leave it mapped.
            Err(_) => return,
        }
        // SAFETY: dropped once, here; no guard borrows it any more.
        unsafe { ManuallyDrop::drop(&mut self.0) };
    }
}

/// How often to try for a lock that is held for a moment only, before asking the kernel to wait.
pub(crate) const SPINS: u32 = 40;

/// The mutex itself, in shared memory.
pub(crate) struct RawMutex {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    /// An owner died. Read and written while the mutex is held.
    abandoned: AtomicBool,
}

// SAFETY: being used by many threads and processes is what a process-shared mutex is for.
unsafe impl Sync for RawMutex {}

/// How a mutex came into the caller's hands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acquired {
    Clean,
    /// The owner before died while it held the mutex.
    FromTheDead,
}

impl Default for RawMutex {
    /// Still to be initialised, where it is to stay.
    fn default() -> Self {
        RawMutex {
            mutex: UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER),
            abandoned: AtomicBool::new(false),
        }
    }
}

// Since glibc 2.30. POSIX's `pthread_mutex_timedlock` follows the wall clock, which can be set.
unsafe extern "C" {
    fn pthread_mutex_clocklock(
        mutex: *mut libc::pthread_mutex_t,
        clock: libc::clockid_t,
        deadline: *const libc::timespec,
    ) -> libc::c_int;
}

impl RawMutex {
    /// # Safety
    /// `this` is valid for writing, zeroed or the default, never moved from now on, and used by nobody yet.
    pub unsafe fn init(this: NonNull<RawMutex>) -> io::Result<()> {
        let check = |code| match code {
            0 => Ok(()),
            code => Err(io::Error::from_raw_os_error(code)),
        };
        let mut attributes = MaybeUninit::uninit();
        let attributes = attributes.as_mut_ptr();
        // SAFETY: the attributes are initialised before they are used; the rest is ours to write
        // by this function's contract.
        unsafe {
            check(libc::pthread_mutexattr_init(attributes))?;
            // ANCHOR: attributes
            check(libc::pthread_mutexattr_setpshared(
                attributes,
                libc::PTHREAD_PROCESS_SHARED,
            ))?;
            check(libc::pthread_mutexattr_setrobust(
                attributes,
                libc::PTHREAD_MUTEX_ROBUST,
            ))?;
            check(libc::pthread_mutexattr_settype(
                attributes,
                libc::PTHREAD_MUTEX_ERRORCHECK,
            ))?;
            // ANCHOR_END: attributes
            check(libc::pthread_mutex_init(
                UnsafeCell::raw_get(&raw const (*this.as_ptr()).mutex),
                attributes,
            ))?;
            check(libc::pthread_mutexattr_destroy(attributes))
        }
    }

    /// Waits until the mutex is the caller's.
    #[inline]
    pub fn acquire(&self, deadline: Deadline) -> Result<Acquired, LockError> {
        match self.try_acquire() {
            Err(LockError::TimedOut) => self.wait(deadline),
            acquired => acquired,
        }
    }

    /// Takes the mutex if it is free; [`LockError::TimedOut`] if it is not.
    #[inline]
    pub fn try_acquire(&self) -> Result<Acquired, LockError> {
        // SAFETY: an initialised mutex in mapped memory.
        self.acquired(unsafe { libc::pthread_mutex_trylock(self.mutex.get()) })
    }

    // ANCHOR: wait
    /// In short sleeps, since a robust mutex of glibc's can lose a wake-up (measured): the mutex
    /// is released, which wakes the first waiter; another process takes it at once, so its word
    /// no longer says that there are waiters; the woken one is killed before it can say so. The
    /// other waiters would then sleep on, with the mutex free.
    #[cold]
    fn wait(&self, deadline: Deadline) -> Result<Acquired, LockError> {
        loop {
            let end = deadline.timespec_within(LONGEST_SLEEP);
            // SAFETY: an initialised mutex in mapped memory, and a time that is only read.
            let code = unsafe {
                pthread_mutex_clocklock(self.mutex.get(), libc::CLOCK_MONOTONIC, &raw const end)
            };
            if code != libc::ETIMEDOUT || deadline.has_passed() {
                return self.acquired(code);
            }
        }
    }
    // ANCHOR_END: wait

    #[inline]
    // ANCHOR: acquired
    fn acquired(&self, code: libc::c_int) -> Result<Acquired, LockError> {
        match code {
            0 => Ok(Acquired::Clean),
            libc::EOWNERDEAD => {
                // In this order: killed in between, the next owner is told again.
                self.abandoned.store(true, Relaxed);
                // SAFETY: this thread holds the mutex.
                unsafe { libc::pthread_mutex_consistent(self.mutex.get()) };
                Ok(Acquired::FromTheDead)
            }
            libc::EDEADLK => Err(LockError::AlreadyHeld),
            libc::ETIMEDOUT | libc::EBUSY => Err(LockError::TimedOut),
            code => Err(LockError::System(io::Error::from_raw_os_error(code))),
        }
    }
    // ANCHOR_END: acquired

    /// Gives the mutex back. Without effect for a thread that does not hold it.
    #[inline]
    pub fn release(&self) {
        // SAFETY: an initialised mutex; an error-checking one refuses whoever is not its owner.
        unsafe { libc::pthread_mutex_unlock(self.mutex.get()) };
    }
}
