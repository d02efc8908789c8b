//! The limit of a lock: a counter under a bare robust mutex, in shared memory.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;

use anyhow::{Result, ensure};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};

/// A count that several processes share.
pub struct Counter {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    count: UnsafeCell<u64>,
}

// SAFETY: the count is only touched by who holds the mutex.
unsafe impl Sync for Counter {}

/// Memory for a `T`, shared with later children and never given back; zero at first.
///
/// # Errors
/// The system has none.
pub fn shared<T>(bytes: usize) -> Result<*mut T> {
    let bytes = bytes.max(size_of::<T>()).try_into()?;
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping touches no existing memory.
    let memory = unsafe { mmap_anonymous(None, bytes, protection, MapFlags::MAP_SHARED) }?;
    Ok(memory.as_ptr().cast())
}

impl Counter {
    /// A new one, at 0.
    ///
    /// # Errors
    /// The system has no memory for it.
    pub fn new() -> Result<&'static Counter> {
        // SAFETY: room for a counter, for which zeroes will do until its mutex is initialised
        // below.
        let counter: &Counter = unsafe { &*shared(0)? };
        let mut attributes = MaybeUninit::uninit();
        let at = attributes.as_mut_ptr();
        // SAFETY: the attributes are initialised first, and nobody uses the mutex yet.
        unsafe {
            libc::pthread_mutexattr_init(at);
            libc::pthread_mutexattr_setpshared(at, libc::PTHREAD_PROCESS_SHARED);
            libc::pthread_mutexattr_setrobust(at, libc::PTHREAD_MUTEX_ROBUST);
            libc::pthread_mutex_init(counter.mutex.get(), at);
        }
        Ok(counter)
    }

    /// Adds 1, as often as `n` says, with the lock taken and released each time.
    ///
    /// # Errors
    /// The mutex cannot be locked.
    pub fn add(&self, n: u64) -> Result<()> {
        for _ in 0..n {
            // SAFETY: an initialised mutex, and what it protects.
            unsafe {
                ensure!(libc::pthread_mutex_lock(self.mutex.get()) == 0);
                *self.count.get() += 1;
                libc::pthread_mutex_unlock(self.mutex.get());
            }
        }
        Ok(())
    }
}
