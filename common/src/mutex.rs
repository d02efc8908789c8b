//! The mutex under every lock here: shared by processes, and freed when its owner dies.

use std::cell::UnsafeCell;
use std::io;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::deadline::{Deadline, LONGEST_SLEEP};

/// A process-shared, robust, error-checking `pthread_mutex`, in shared memory.
pub(crate) struct RawMutex {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    /// Not 0 when an owner died, and nobody has repaired what it left. Touched only while the mutex
    /// is held. No `bool`: it may be overwritten, like all that processes share.
    abandoned: AtomicU32,
}

// SAFETY: being used by many threads and processes is what a process-shared mutex is for.
unsafe impl Sync for RawMutex {}

/// Why a mutex is not the caller's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MutexError {
    #[error("this thread holds it already")]
    AlreadyHeld,
    #[error("another holds it")]
    TimedOut,
    #[error("the system cannot lock")]
    System(#[from] io::Error),
}

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
            abandoned: AtomicU32::new(0),
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
    /// `this` is valid for writing, zeroed or the default, never moved from now on, and used by
    /// nobody yet.
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
    pub fn acquire(&self, deadline: Deadline) -> Result<Acquired, MutexError> {
        match self.try_acquire() {
            Err(MutexError::TimedOut) => self.wait(deadline),
            acquired => acquired,
        }
    }

    /// Takes the mutex if it is free; [`MutexError::TimedOut`] if it is not.
    #[inline]
    pub fn try_acquire(&self) -> Result<Acquired, MutexError> {
        // SAFETY: an initialised mutex in mapped memory.
        self.acquired(unsafe { libc::pthread_mutex_trylock(self.mutex.get()) })
    }

    // ANCHOR: wait
    /// In short sleeps, since a robust mutex of glibc's can lose a wake-up (measured): the mutex
    /// is released, which wakes the first waiter; another process takes it at once, so its word
    /// no longer says that there are waiters; the woken one is killed before it can say so. The
    /// other waiters would then sleep on, with the mutex free.
    #[cold]
    fn wait(&self, deadline: Deadline) -> Result<Acquired, MutexError> {
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
    fn acquired(&self, code: libc::c_int) -> Result<Acquired, MutexError> {
        match code {
            0 => Ok(Acquired::Clean),
            libc::EOWNERDEAD => {
                // In this order: killed in between, the next owner is told again.
                self.abandon();
                // SAFETY: this thread holds the mutex.
                unsafe { libc::pthread_mutex_consistent(self.mutex.get()) };
                Ok(Acquired::FromTheDead)
            }
            libc::EDEADLK => Err(MutexError::AlreadyHeld),
            libc::ETIMEDOUT | libc::EBUSY => Err(MutexError::TimedOut),
            code => Err(io::Error::from_raw_os_error(code).into()),
        }
    }
    // ANCHOR_END: acquired

    /// Whether an owner died and nobody has repaired what it left. For the owner to ask.
    pub fn is_abandoned(&self) -> bool {
        self.abandoned.load(Relaxed) != 0
    }

    /// Makes it tell of a dead owner. For the owner to say.
    pub fn abandon(&self) {
        self.abandoned.store(1, Relaxed);
    }

    /// Declares that what the dead owner left is in order. For the owner to say.
    pub fn forgive(&self) {
        self.abandoned.store(0, Relaxed);
    }

    /// Gives the mutex back. Without effect for a thread that does not hold it.
    #[inline]
    pub fn release(&self) {
        // SAFETY: an initialised mutex; an error-checking one refuses whoever is not its owner.
        unsafe { libc::pthread_mutex_unlock(self.mutex.get()) };
    }
}
