//! A mutex that knows which process holds it: what it protects is that process's alone.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::mem::ManuallyDrop;
use std::num::NonZeroUsize;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;

use nix::sys::mman::{MRemapFlags, MapFlags, ProtFlags, mmap_anonymous, mremap};

use crate::asleep::{self, Deadlock, Look, OWNER, Upon};
use crate::deadline::{Deadline, LONGEST_SLEEP};
use crate::guards;
use crate::identity::{Identity, own_pid};
use crate::mutex::{Acquired, MutexError, RawMutex};
use crate::object::Object;
use crate::points::{Act, Ending, Outcome, Points};
use crate::trace;

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
    /// The lock's owner lost it without releasing it, and its process still runs: its other threads
    /// have not ended yet, or it runs another program (exec). What the lock protects may still be
    /// written to.
    #[error(
        "process {pid} still runs and has lost the lock without releasing it: wait for its end, \
         then call recover()"
    )]
    OwnerRuns {
        /// Its pid.
        pid: u32,
    },
    /// Nobody can go on: the lock's owner waits, too.
    #[error(transparent)]
    Deadlock(#[from] Deadlock),
    /// This thread is ending: what a destructor of a thread-local variable locks cannot be counted.
    #[error("this thread is ending: take no lock in a destructor of a thread-local variable")]
    ThreadEnds,
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

impl Ending for LockError {
    fn outcome(&self) -> Outcome {
        match self {
            LockError::TimedOut => Outcome::TimedOut,
            _ => Outcome::Failed,
        }
    }
}

/// What to do about an owner that died.
#[derive(Clone, Copy)]
pub(crate) enum Death {
    Reported,
    Forgiven,
}

/// At the start of a shared mapping, in front of what it protects.
pub(crate) struct OwnedMutex {
    mutex: RawMutex,
    /// The [`Identity`] of the process that holds it, or that died while it did; else 0.
    owner: AtomicU64,
}

impl OwnedMutex {
    /// # Safety
    /// `this` is the start of a shared mapping of `bytes` bytes, zeroed, used by nobody yet, and
    /// stays there until [`retire`](OwnedMutex::retire).
    pub unsafe fn init(this: NonNull<OwnedMutex>, bytes: usize, object: Object) -> io::Result<()> {
        // SAFETY: as the caller promises.
        unsafe { RawMutex::init(NonNull::new_unchecked(&raw mut (*this.as_ptr()).mutex))? };
        asleep::found();
        asleep::HOLDS.get_or_init(|| held_by_this_thread);
        watch_forks();
        locks().insert(this.as_ptr().expose_provenance(), (bytes, object));
        Ok(())
    }

    /// Waits until the mutex of this object is the caller's. `value` reads what it protects, for
    /// who watches.
    #[inline]
    pub fn acquire(
        &self,
        object: &Object,
        deadline: Deadline,
        death: Death,
        value: impl FnOnce() -> Option<i32>,
    ) -> Result<(), LockError> {
        // The point after an error is here, or a lock that is free would take a nanosecond longer.
        let acquired = self.acquired(object, deadline, death, value);
        acquired.inspect_err(|error| {
            Points::of(Act::Lock, object.id(), deadline).after(error.outcome());
        })
    }

    #[inline]
    fn acquired(
        &self,
        object: &Object,
        deadline: Deadline,
        death: Death,
        value: impl FnOnce() -> Option<i32>,
    ) -> Result<(), LockError> {
        let points = Points::of(Act::Lock, object.id(), deadline);
        points.before();
        match guards::held() {
            Some(held) if held < guards::MOST => {}
            Some(_) => return Err(LockError::TooMany),
            None => return Err(LockError::ThreadEnds),
        }
        match self.mutex.try_acquire() {
            Err(MutexError::TimedOut) => self.wait(object, deadline)?,
            acquired => acquired?,
        };
        if self.mutex.is_abandoned() {
            self.inherit(death).inspect_err(|_| self.mutex.release())?;
        }
        self.owner.store(Identity::mine().0, Relaxed);
        guards::count(1);
        points.at(Some(Outcome::Done), move || trace::encode(value()));
        Ok(())
    }

    /// Gives back what [`acquire`](OwnedMutex::acquire) gave.
    #[inline]
    pub fn release(&self, object: &Object, value: impl FnOnce() -> Option<i32>) {
        let points = Points::of(Act::Unlock, object.id(), Deadline::NEVER);
        points.at(None, move || trace::encode(value()));
        self.owner.store(0, Relaxed);
        self.mutex.release();
        guards::count(-1);
        points.after(Outcome::Done);
    }

    #[cold]
    fn wait(&self, object: &Object, deadline: Deadline) -> Result<Acquired, LockError> {
        let done = |acquired| match acquired {
            Err(MutexError::TimedOut) => None,
            acquired => Some(acquired),
        };
        let nap = |limit| done(self.mutex.acquire(Deadline::after(limit)));
        // That the time was up does not prove that the mutex is held.
        let look = || match done(self.mutex.try_acquire()) {
            Some(acquired) => Look::Found(acquired),
            None => Look::InVain(match Identity(self.owner.load(Relaxed)).pid() {
                0 => Upon::Anybody, // it has not said so yet
                pid => Upon::Process(pid),
            }),
        };
        let what = format_args!("{object}, which {OWNER} holds");
        let acquired = asleep::wait(deadline, LONGEST_SLEEP, what, nap, look)?;
        Ok(acquired.unwrap_or(Err(MutexError::TimedOut))?)
    }

    /// Whether the mutex, whose owner died, may be this thread's.
    #[cold]
    fn inherit(&self, death: Death) -> Result<(), LockError> {
        let owner = Identity(self.owner.load(Relaxed));
        // ANCHOR: inherit
        // The mutex comes free with the thread that held it. Killed, the others of its process take
        // a moment to end, as a system call of theirs may still write.
        let patience = Deadline::after(LONGEST_SLEEP);
        while owner.0 != 0 && owner.is_alive() {
            if patience.has_passed() {
                return Err(LockError::OwnerRuns { pid: owner.pid() });
            }
            thread::yield_now();
        }
        // ANCHOR_END: inherit
        match death {
            Death::Reported => return Err(LockError::OwnerDied),
            Death::Forgiven => self.mutex.forgive(),
        }
        Ok(())
    }

    /// Ends its use by this process; says whether its memory may be unmapped. The C library keeps
    /// a list of the robust mutexes that a thread holds, so one that is held must stay.
    pub fn retire(&self, object: &Object) -> bool {
        match self.mutex.acquire(Deadline::NOW) {
            Ok(_) => self.mutex.release(),
            // A guard was forgotten; if not of this thread, the owner is a thread with the same
            // number in another pid namespace.
            Err(MutexError::AlreadyHeld)
                if guards::held() > Some(0) && self.owner.load(Relaxed) == Identity::mine().0 =>
            {
                self.release(object, || None);
            }
            // Held elsewhere, perhaps by another thread of this process.
            Err(_) => return false,
        }
        locks().remove(&ptr::from_ref(self).addr());
        true
    }
}

/// The mutexes that this process has mapped, by their addresses, with the lengths of the mappings
/// and what they are to people.
static LOCKS: Mutex<BTreeMap<usize, (usize, Object)>> = Mutex::new(BTreeMap::new());

type Locks = MutexGuard<'static, BTreeMap<usize, (usize, Object)>>;

fn locks() -> Locks {
    LOCKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many locks [`held_by_this_thread`] names.
const NAMED: usize = 2;

/// For a thread that sleeps anyway: each lock of this process is looked at.
fn held_by_this_thread() -> String {
    let locks = locks();
    let is_held = |start: usize| {
        let mutex = ptr::with_exposed_provenance::<OwnedMutex>(start);
        // SAFETY: mapped, as it is listed.
        let mutex = unsafe { &*mutex };
        // Taken, it was just released by another thread of this process.
        Identity(mutex.owner.load(Relaxed)) == Identity::mine()
            && match mutex.mutex.try_acquire() {
                Ok(_) => {
                    mutex.mutex.release();
                    false
                }
                Err(error) => matches!(error, MutexError::AlreadyHeld),
            }
    };
    let held = locks.iter().filter(|(start, _)| is_held(**start));
    let mut held = held.map(|(_, (_, object))| object.to_string());
    let named: Vec<_> = held.by_ref().take(NAMED).collect();
    match held.count() {
        0 => named.join(" and "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

thread_local! {
    /// From before a fork until after it.
    static FORKING: Cell<Option<ManuallyDrop<(Locks, Identity)>>> = const { Cell::new(None) };
}

/// A guard belongs to the process that took it. [`Process::spawn`](crate::Process::spawn) forks
/// only without one; other code may fork at any moment (`daemon`, a `Command` with `pre_exec`).
/// What is locked then, by whichever thread, is the child's own copy from there on.
fn watch_forks() {
    extern "C" fn before() {
        if !guards::none_is_held() {
            FORKING.set(Some(ManuallyDrop::new((locks(), Identity::mine()))));
        }
    }
    extern "C" fn in_parent() {
        FORKING.take().map(ManuallyDrop::into_inner);
    }
    extern "C" fn in_child() {
        let Some((locks, parent)) = FORKING.take().map(ManuallyDrop::into_inner) else {
            return;
        };
        for (&start, &(bytes, _)) in &*locks {
            let mutex = ptr::with_exposed_provenance_mut::<OwnedMutex>(start);
            // SAFETY: mapped, as it is listed.
            let held = unsafe { Identity((*mutex).owner.load(Relaxed)).is(parent) };
            // SAFETY: this is the only thread. Whoever has a reference into the mapping finds the
            // same bytes there, or those that other threads of the parent were just writing.
            if held && unsafe { make_private(mutex, bytes) }.is_err() {
                // Without the lock of standard error, which may be held for ever here.
                let text = "a fork while a lock was held, and no memory for its copy: aborting\n";
                // SAFETY: reads the text.
                unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
                std::process::abort();
            }
        }
    }
    // It sets a handler of its own, which it could not while a fork is being prepared.
    own_pid();
    static ONCE: Once = Once::new();
    // SAFETY: the handlers only use what is theirs at a fork: `before` has locked it.
    ONCE.call_once(|| unsafe {
        libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child));
    });
}

/// Puts a copy in the mapping's place, with a mutex that is nobody's while this process, the child,
/// has guards from its parent; and when they are gone, tells that its owner has died.
///
/// # Safety
/// The mapping is one of [`LOCKS`], and no other thread uses it.
unsafe fn make_private(mutex: *mut OwnedMutex, bytes: usize) -> io::Result<()> {
    let length = NonZeroUsize::new(bytes).ok_or(io::ErrorKind::InvalidInput)?;
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let flags = MRemapFlags::MREMAP_MAYMOVE | MRemapFlags::MREMAP_FIXED;
    // SAFETY: both mappings are that long; the second takes the first one's place.
    unsafe {
        let copy = mmap_anonymous(None, length, protection, MapFlags::MAP_PRIVATE)?;
        ptr::copy_nonoverlapping(mutex.cast::<u8>(), copy.cast().as_ptr(), bytes);
        mremap(copy, bytes, bytes, flags, NonNull::new(mutex.cast()))?;
        (*mutex).mutex = RawMutex::default();
        RawMutex::init(NonNull::new_unchecked(&raw mut (*mutex).mutex))?;
        (*mutex).mutex.abandon();
        // Whatever this process knew of itself was its parent's.
        let child = Identity::new(std::process::id(), 0);
        (*mutex).owner.store(child.0, Relaxed);
    }
    Ok(())
}
