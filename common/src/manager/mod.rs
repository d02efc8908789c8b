//! A server process that owns values and locks, for processes that share no memory with it.

mod descriptors;
mod door;
mod error;
mod server;
mod wire;

use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::codec::decode;
use crate::deadline::Deadline;
use crate::identity::Identity;
use crate::points::{Act, Ending, around};
use crate::process::{Process, ProcessError};
use crate::trace::{self, ObjectId};
use descriptors::close_all_but;
use door::Door;
pub use error::ManagerError;
use server::serve;
use wire::{Reply, Request, Socket};

/// The largest value, in bytes when encoded.
const LARGEST: usize = 1 << 30;
/// How long a manager that cannot kill its server waits for its end.
const PATIENCE: Duration = Duration::from_secs(1);

/// A server process that owns values and locks.
///
/// Python: `multiprocessing.Manager`. System: a forked process; Unix sockets
/// (`socketpair` with `SOCK_SEQPACKET`), `epoll`.
///
/// Everybody else holds proxies, and each operation on one is a message to the server and back:
/// some microseconds, where a [`Value`](crate::Value) takes nanoseconds. In return a value can
/// be of any serde type and any size up to a gibibyte, and a proxy can be sent to another process.
///
/// The server ends with the process that started it, and when the `Manager` is dropped. Whoever
/// calls it after that gets [`ManagerError::Gone`] at once. Values and locks live as long as the
/// server. It has standard input, output and error of the program, and no other file; and Ctrl-C
/// does not end it, as the program may go on.
///
/// ```
/// use common::{Manager, Process};
///
/// let manager = Manager::start()?;
/// let names = manager.value(vec![String::from("Ada")])?;
/// let lock = manager.lock()?;
/// let mut child = Process::spawn("appender", || -> anyhow::Result<()> {
///     let _guard = lock.lock()?; // or another process could set between our get and set
///     let mut all = names.get()?;
///     all.push(String::from("Grace"));
///     names.set(&all)?;
///     Ok(())
/// })?;
/// assert!(child.join()?.success());
/// assert_eq!(names.get()?, ["Ada", "Grace"]);
/// # Ok::<(), anyhow::Error>(())
/// ```
#[derive(Debug)]
pub struct Manager {
    door: Arc<Door>,
    server: Process,
}

impl Manager {
    /// Starts the server process.
    ///
    /// # Errors
    /// [`ManagerError::Start`], [`ManagerError::System`].
    pub fn start() -> Result<Self, ManagerError> {
        let (entrance, theirs) = Socket::pair().map_err(ManagerError::System)?;
        // Ctrl-C is the program's: as long as it goes on, its manager does. Blocked from the
        // server's first moment on.
        let mut ctrl_c = SigSet::empty();
        ctrl_c.add(Signal::SIGINT);
        let mask = ctrl_c
            .thread_swap_mask(SigmaskHow::SIG_BLOCK)
            .map_err(|error| ManagerError::System(error.into()))?;
        let server = Process::spawn("manager", move || {
            // SAFETY: the server uses nothing of what it has inherited, and ends without a drop.
            unsafe { close_all_but(&theirs) };
            serve(theirs, LARGEST)
        });
        let _ = mask.thread_set_mask();
        let mut server = server?;
        server.only_answers();
        let door = Door::open(Identity::of(server.pid()), entrance);
        Ok(Manager { door, server })
    }

    /// A new value in the server. Python: `manager.Value`.
    ///
    /// # Errors
    /// [`ManagerError`].
    #[track_caller]
    pub fn value<T: Serialize>(&self, value: T) -> Result<ValueProxy<T>, ManagerError> {
        let last = self.door.upload(&value)?;
        let object = self.create(Request::NewValue(last), "value of the manager")?;
        Ok(ValueProxy {
            object,
            value: PhantomData,
        })
    }

    /// A new lock in the server, free. Python: `manager.Lock`.
    ///
    /// # Errors
    /// [`ManagerError`].
    #[track_caller]
    pub fn lock(&self) -> Result<LockProxy, ManagerError> {
        Ok(LockProxy(
            self.create(Request::NewLock, "lock of the manager")?,
        ))
    }

    #[track_caller]
    fn create(&self, request: Request, kind: &str) -> Result<Object, ManagerError> {
        let Reply::Created(id) = self.door.call(request)? else {
            return Err(ManagerError::NoSuchObject);
        };
        let door = Arc::clone(&self.door);
        let object = Object { door, id };
        trace::made_by_a_server(object.traced(), kind, Location::caller());
        Ok(object)
    }

    /// The server's pid.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        // This process has become another user, who may not signal the server.
        if let Err(ProcessError::System(_)) = self.server.kill() {
            self.door.close();
            let _ = self.server.join_timeout(PATIENCE);
        }
    }
}

/// Stands for a value in a [`Manager`].
///
/// It works in every process that the manager's owner has forked, wherever it came from: captured
/// by the closure, or received over a [`Queue`](crate::Queue), a [`pipe`](crate::pipe()) or as a
/// pool's task. A process that was not forked from the owner after the manager's start cannot
/// reach the server, and receiving a proxy is a decoding error there.
pub struct ValueProxy<T> {
    object: Object,
    value: PhantomData<fn(T) -> T>,
}

impl<T> ValueProxy<T> {
    /// A copy of the value as it is now.
    ///
    /// # Errors
    /// [`ManagerError`].
    pub fn get(&self) -> Result<T, ManagerError>
    where
        T: DeserializeOwned,
    {
        self.object.around(Act::Get, || {
            let Object { door, id } = &self.object;
            let mut request = Request::Get(*id);
            let mut bytes = Vec::new();
            loop {
                let Reply::Value { part, more } = door.call(request)? else {
                    return Err(ManagerError::NoSuchObject);
                };
                bytes.extend(part);
                if !more {
                    return decode(&bytes).map_err(ManagerError::Decode);
                }
                request = Request::More;
            }
        })
    }

    /// Puts a copy of `value` in its place. Another process may have done so since this one's
    /// [`get`](ValueProxy::get): to change a value, hold a [`LockProxy`] around both.
    ///
    /// # Errors
    /// [`ManagerError`].
    pub fn set(&self, value: &T) -> Result<(), ManagerError>
    where
        T: Serialize,
    {
        self.object.around(Act::Put, || {
            let last = self.object.door.upload(value)?;
            self.object.door.command(Request::Set(self.object.id, last))
        })
    }
}

/// Stands for a lock in a [`Manager`]. It can be sent to other processes as [`ValueProxy`] can.
///
/// The lock comes free when its holder dies, without a message to the next one: what it protects
/// are values in the server, and each of those is set whole or not at all.
#[derive(Debug, Serialize, Deserialize)]
pub struct LockProxy(Object);

impl LockProxy {
    /// Takes the lock, waiting for as long as that takes; first come, first served.
    ///
    /// # Errors
    /// [`ManagerError::AlreadyHeld`], [`ManagerError::Gone`], [`ManagerError::Deadlock`].
    #[track_caller]
    pub fn lock(&self) -> Result<LockProxyGuard<'_>, ManagerError> {
        let deadline = Deadline::never();
        self.0
            .around(Act::Lock, || self.0.door.acquire(self.0.id, deadline))?;
        Ok(LockProxyGuard {
            lock: &self.0,
            not_send: PhantomData,
        })
    }
}

/// Holds a manager's lock; dropping it releases the lock.
///
/// An error of kind [`ManagerError::System`] in between closes this thread's connection, and with
/// it the server passes the lock on.
#[must_use = "the lock is released at once if its guard is not kept"]
#[derive(Debug)]
pub struct LockProxyGuard<'a> {
    lock: &'a Object,
    /// The server knows each thread by its connection.
    not_send: PhantomData<*const ()>,
}

impl Drop for LockProxyGuard<'_> {
    fn drop(&mut self) {
        let release = || self.lock.door.command(Request::Release(self.lock.id));
        // A server that is gone has no lock to release.
        let _ = self.lock.around(Act::Unlock, release);
    }
}

impl<T> Clone for ValueProxy<T> {
    fn clone(&self) -> Self {
        ValueProxy {
            object: self.object.clone(),
            value: PhantomData,
        }
    }
}

impl Clone for LockProxy {
    fn clone(&self) -> Self {
        LockProxy(self.0.clone())
    }
}

impl<T> fmt::Debug for ValueProxy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ValueProxy").field(&self.object).finish()
    }
}

impl<T> Serialize for ValueProxy<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.object.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for ValueProxy<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Object::deserialize(deserializer)?;
        Ok(ValueProxy {
            object,
            value: PhantomData,
        })
    }
}

/// What a proxy points to.
#[derive(Clone, Debug)]
struct Object {
    door: Arc<Door>,
    id: u32,
}

impl Object {
    fn traced(&self) -> ObjectId {
        ObjectId::of_a_server(self.door.pid(), self.id)
    }

    fn around<T>(
        &self,
        act: Act,
        body: impl FnOnce() -> Result<T, ManagerError>,
    ) -> Result<T, ManagerError> {
        around(act, self.traced(), Deadline::NEVER, body)
    }
}

impl Ending for ManagerError {}

// A proxy travels as two numbers; the receiver has the way to the server from its parent.
impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.door.number(), self.id).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (server, id) = <(u64, u32)>::deserialize(deserializer)?;
        let door = Door::find(server).ok_or_else(|| {
            D::Error::custom("a proxy of a manager that this process was not forked after")
        })?;
        Ok(Object { door, id })
    }
}
