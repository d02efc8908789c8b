//! A server process that owns values and locks, for processes that share no memory with it.

use std::cell::RefCell;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use ipc_channel::IpcError;
use ipc_channel::ipc::{self, IpcReceiver, IpcReceiverSet, IpcSelectionResult, IpcSender};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::codec::{decode, encode};
use crate::identity::Identity;
use crate::process::{Process, SpawnError};

/// A message stays below this many bytes of payload, so that it fits one packet of the socket:
/// ipc-channel sends a larger one in pieces, and one that is cut short is an error for whoever
/// waits for the rest.
const PART: usize = 64 << 10;

/// A server process that owns values and locks.
///
/// Python: `multiprocessing.Manager`. System: a forked process; Unix sockets through ipc-channel.
///
/// Everybody else holds proxies, and each operation on one is a message to the server and back:
/// some microseconds, where a [`Value`](crate::Value) takes nanoseconds. In return a value can
/// be of any serde type and any size, and a proxy can be sent to another process.
///
/// The server ends with the process that started it, and when the `Manager` is dropped. Whoever
/// calls it after that gets [`ManagerError::Gone`] at once. Values and locks live as long as the
/// server.
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
pub struct Manager {
    door: Arc<Door>,
    server: Process,
}

/// Why a manager did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManagerError {
    /// The server process has ended.
    #[error("the manager's server process (pid {pid}) has ended")]
    Gone {
        /// Its pid.
        pid: u32,
    },
    /// This thread holds the lock already. Waiting for itself, it would wait for ever.
    #[error("this process holds the manager's lock already: drop its guard before taking it again")]
    AlreadyHeld,
    /// The value's `Serialize` failed; the manager's copy is unchanged.
    #[error("the value cannot be encoded")]
    Encode(#[source] postcard::Error),
    /// The value is not of the proxy's type.
    #[error("the value cannot be decoded: {0}")]
    Decode(String),
    /// The server could not be started.
    #[error("the manager's server process cannot be started")]
    Start(#[from] SpawnError),
    /// The system refused.
    #[error("the system cannot connect to the manager")]
    System(#[source] io::Error),
}

impl Manager {
    /// Starts the server process.
    ///
    /// # Errors
    /// [`ManagerError::Start`], [`ManagerError::System`].
    pub fn start() -> Result<Self, ManagerError> {
        warm_up().map_err(ManagerError::System)?;
        let (sender, visitors) = ipc::channel().map_err(ManagerError::System)?;
        let server = Process::spawn("manager", move || serve(visitors))?;
        let server_id = Identity::of(server.pid()).ok_or_else(|| {
            ManagerError::System(io::Error::other("cannot read /proc/PID/stat of the server"))
        })?;
        let door = Arc::new(Door {
            server: server_id,
            sender: Mutex::new(sender),
        });
        let mut known = DOORS.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|door| door.strong_count() > 0);
        known.push(Arc::downgrade(&door));
        Ok(Manager { door, server })
    }

    /// A new value in the server. Python: `manager.Value`.
    ///
    /// # Errors
    /// [`ManagerError`].
    pub fn value<T: Serialize>(&self, value: T) -> Result<ValueProxy<T>, ManagerError> {
        let last = self.door.upload(&value)?;
        let object = self.door.create(Request::NewValue(last))?;
        Ok(ValueProxy {
            object,
            value: PhantomData,
        })
    }

    /// A new lock in the server, free. Python: `manager.Lock`.
    ///
    /// # Errors
    /// [`ManagerError`].
    pub fn lock(&self) -> Result<LockProxy, ManagerError> {
        Ok(LockProxy(self.door.create(Request::NewLock)?))
    }

    /// The server's pid.
    pub fn pid(&self) -> u32 {
        self.server.pid()
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
        let Object { door, id } = &self.object;
        let mut request = Request::Get(*id);
        let mut bytes = Vec::new();
        loop {
            let Reply::Value { part, more } = door.call(request)? else {
                return Err(door.misunderstood());
            };
            bytes.extend(part);
            if !more {
                return decode(&bytes).map_err(ManagerError::Decode);
            }
            request = Request::More;
        }
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
        let last = self.object.door.upload(value)?;
        self.object.door.command(Request::Set(self.object.id, last))
    }
}

/// Stands for a lock in a [`Manager`]. It can be sent to other processes as [`ValueProxy`] can.
///
/// The lock comes free when its holder dies, without a message to the next one: what it protects
/// are values in the server, and each of those is set whole or not at all.
#[derive(Serialize, Deserialize)]
pub struct LockProxy(Object);

impl LockProxy {
    /// Takes the lock, waiting for as long as that takes; first come, first served.
    ///
    /// # Errors
    /// [`ManagerError::AlreadyHeld`], [`ManagerError::Gone`].
    pub fn lock(&self) -> Result<LockProxyGuard<'_>, ManagerError> {
        self.0.door.command(Request::Acquire(self.0.id))?;
        Ok(LockProxyGuard {
            lock: &self.0,
            not_send: PhantomData,
        })
    }
}

/// Holds a manager's lock; dropping it releases the lock.
#[must_use = "the lock is released at once if its guard is not kept"]
pub struct LockProxyGuard<'a> {
    lock: &'a Object,
    /// The server knows each thread by its connection.
    not_send: PhantomData<*const ()>,
}

impl Drop for LockProxyGuard<'_> {
    fn drop(&mut self) {
        // A server that is gone has no lock to release.
        let _ = self.lock.door.command(Request::Release(self.lock.id));
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
#[derive(Clone)]
struct Object {
    door: Arc<Door>,
    id: u32,
}

// A proxy travels as two numbers; the receiver has the way to the server from its parent.
impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.door.server.0, self.id).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (server, id) = <(u64, u32)>::deserialize(deserializer)?;
        let known = DOORS.lock().unwrap_or_else(PoisonError::into_inner);
        let door = known
            .iter()
            .filter_map(Weak::upgrade)
            .find(|door| door.server.0 == server);
        let door = door.ok_or_else(|| {
            D::Error::custom("a proxy of a manager that this process was not forked after")
        })?;
        Ok(Object { door, id })
    }
}

/// The managers that this process can reach: those started by itself or, before the fork, by
/// its parent.
static DOORS: Mutex<Vec<Weak<Door>>> = Mutex::new(Vec::new());

/// The way to a server, the same for every process.
struct Door {
    server: Identity,
    sender: Mutex<IpcSender<Hello>>,
}

impl Drop for Door {
    fn drop(&mut self) {
        // Nobody is left here who could use it. Unless this thread is ending, and its lines with it.
        let _ = LINES.try_with(|lines| lines.borrow_mut().remove(&self.server.0));
    }
}

/// How a thread of some process introduces itself.
#[derive(Serialize, Deserialize)]
struct Hello {
    requests: IpcReceiver<Request>,
    replies: IpcSender<Reply>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Request {
    /// A part of the value that the next `NewValue` or `Set` completes.
    Part(Vec<u8>),
    NewValue(Vec<u8>),
    NewLock,
    Get(u32),
    /// The next part of the value of the last `Get`.
    More,
    Set(u32, Vec<u8>),
    Acquire(u32),
    Release(u32),
}

#[derive(Debug, Serialize, Deserialize)]
enum Reply {
    Done,
    Created(u32),
    Value { part: Vec<u8>, more: bool },
    AlreadyHeld,
    Misunderstood,
}

/// One thread's own connection. A forked copy of it must not be used, or the replies would cross.
struct Line {
    pid: u32,
    requests: IpcSender<Request>,
    replies: IpcReceiver<Reply>,
}

thread_local! {
    static LINES: RefCell<HashMap<u64, Line>> = RefCell::new(HashMap::new());
}

impl Door {
    /// One request, one reply, on this thread's own connection.
    fn call(&self, request: Request) -> Result<Reply, ManagerError> {
        LINES.with_borrow_mut(|lines| {
            let pid = std::process::id();
            // Copies of the parent's, here since the fork.
            lines.retain(|_, line| line.pid == pid);
            let line = match lines.entry(self.server.0) {
                Entry::Occupied(line) => line.into_mut(),
                Entry::Vacant(place) => place.insert(self.connect()?),
            };
            retry(|| line.requests.send(request.clone()))
                .and_then(|()| retry(|| line.replies.recv()))
                .map_err(|error| self.broken(error))
                .inspect_err(|_| {
                    lines.remove(&self.server.0);
                })
        })
    }

    fn connect(&self) -> Result<Line, ManagerError> {
        let connect = || {
            let (requests, theirs) = ipc::channel()?;
            let (replies_to, replies) = ipc::channel()?;
            let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
            sender.send(Hello {
                requests: theirs,
                replies: replies_to,
            })?;
            Ok(Line {
                pid: std::process::id(),
                requests,
                replies,
            })
        };
        retry(connect).map_err(|error| self.broken(error))
    }

    /// A request that is answered with `Done`.
    fn command(&self, request: Request) -> Result<(), ManagerError> {
        match self.call(request)? {
            Reply::Done => Ok(()),
            Reply::AlreadyHeld => Err(ManagerError::AlreadyHeld),
            _ => Err(self.misunderstood()),
        }
    }

    fn create(self: &Arc<Self>, request: Request) -> Result<Object, ManagerError> {
        match self.call(request)? {
            Reply::Created(id) => Ok(Object {
                door: Arc::clone(self),
                id,
            }),
            _ => Err(self.misunderstood()),
        }
    }

    /// Sends all parts of a value but the last, which is returned for the request that ends it.
    fn upload<T: Serialize>(&self, value: &T) -> Result<Vec<u8>, ManagerError> {
        let mut bytes = Vec::new();
        encode(value, &mut bytes).map_err(ManagerError::Encode)?;
        let last = bytes.split_off(bytes.len().saturating_sub(1) / PART * PART);
        for part in bytes.chunks(PART) {
            self.command(Request::Part(part.to_vec()))?;
        }
        Ok(last)
    }

    fn broken(&self, error: IpcError) -> ManagerError {
        match error {
            IpcError::SerializationError(error) => ManagerError::Decode(error.to_string()),
            IpcError::Io(error)
                if !matches!(
                    error.kind(),
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
                ) =>
            {
                ManagerError::System(error)
            }
            IpcError::Io(_) | IpcError::Disconnected => ManagerError::Gone {
                pid: self.server.pid(),
            },
        }
    }

    fn misunderstood(&self) -> ManagerError {
        ManagerError::System(io::Error::other("the manager has no such object"))
    }
}

/// At a program's first send, ipc-channel opens a channel to find out how large a message may be,
/// and panics if it has no descriptors for that. This is that first send, with two to spare.
fn warm_up() -> io::Result<()> {
    let spare = ipc::channel::<()>()?;
    let (sender, _receiver) = ipc::channel()?;
    drop(spare);
    sender.send(()).map_err(io::Error::other)
}

/// Again while a signal interrupts it. A message of one packet is sent whole or not at all.
fn retry<T>(mut call: impl FnMut() -> Result<T, IpcError>) -> Result<T, IpcError> {
    loop {
        match call() {
            Err(IpcError::Io(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// The server's whole life: it has no other state than this, and waits for nobody but `select`.
/// Every request gets one reply, and nobody sends a second request before that, so a reply always
/// finds room, also when its receiver was stopped.
fn serve(visitors: IpcReceiver<Hello>) -> io::Result<()> {
    // Two descriptors a client; the usual soft limit is 1024.
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    let mut server = Server {
        clients: HashMap::new(),
        objects: Vec::new(),
    };
    let mut receivers = IpcReceiverSet::new()?;
    let door = receivers.add(visitors)?;
    loop {
        for event in receivers.select()? {
            match event {
                IpcSelectionResult::MessageReceived(from, message) if from == door => {
                    // Whoever it was may be dead already.
                    if let Ok(Hello { requests, replies }) = message.to() {
                        let client = receivers.add(requests)?;
                        server.clients.insert(client, Client::new(replies));
                    }
                }
                IpcSelectionResult::MessageReceived(client, message) => match message.to() {
                    Ok(request) => server.answer(client, request),
                    Err(_) => server.reply(client, Reply::Misunderstood),
                },
                IpcSelectionResult::ChannelClosed(client) => server.forget(client),
            }
        }
    }
}

struct Server {
    clients: HashMap<u64, Client>,
    objects: Vec<Owned>,
}

struct Client {
    replies: IpcSender<Reply>,
    /// The parts so far of a value that is being sent.
    inbox: Vec<u8>,
    /// A value that is being fetched, and how much of it was sent.
    outbox: Vec<u8>,
    sent: usize,
}

impl Client {
    fn new(replies: IpcSender<Reply>) -> Self {
        Client {
            replies,
            inbox: Vec::new(),
            outbox: Vec::new(),
            sent: 0,
        }
    }

    fn next_part(&mut self) -> Reply {
        let end = self.outbox.len().min(self.sent + PART);
        let part = self.outbox[self.sent..end].to_vec();
        self.sent = end;
        let more = end < self.outbox.len();
        if !more {
            self.outbox = Vec::new();
        }
        Reply::Value { part, more }
    }

    fn whole_value(&mut self, last: Vec<u8>) -> Vec<u8> {
        let mut value = std::mem::take(&mut self.inbox);
        value.extend(last);
        value
    }
}

enum Owned {
    Value(Vec<u8>),
    /// The clients that hold it, the first, and wait for it, the others.
    Lock(VecDeque<u64>),
}

impl Server {
    fn answer(&mut self, from: u64, request: Request) {
        let Some(client) = self.clients.get_mut(&from) else {
            return;
        };
        let id = match request {
            Request::Get(id)
            | Request::Set(id, _)
            | Request::Acquire(id)
            | Request::Release(id) => id,
            _ => u32::MAX,
        };
        let next = self.objects.len() as u32;
        let object = self.objects.get_mut(id as usize);
        let reply = match (request, object) {
            (Request::Part(part), _) => {
                client.inbox.extend(part);
                Reply::Done
            }
            (Request::NewValue(last), _) => {
                let value = client.whole_value(last);
                self.objects.push(Owned::Value(value));
                Reply::Created(next)
            }
            (Request::NewLock, _) => {
                self.objects.push(Owned::Lock(VecDeque::new()));
                Reply::Created(next)
            }
            (Request::Get(_), Some(Owned::Value(value))) => {
                client.outbox.clone_from(value);
                client.sent = 0;
                client.next_part()
            }
            (Request::More, _) => client.next_part(),
            (Request::Set(_, last), Some(Owned::Value(value))) => {
                *value = client.whole_value(last);
                Reply::Done
            }
            (Request::Acquire(_), Some(Owned::Lock(line))) => {
                if line.contains(&from) {
                    Reply::AlreadyHeld
                } else {
                    line.push_back(from);
                    if line.len() > 1 {
                        return; // answered when its turn comes
                    }
                    Reply::Done
                }
            }
            (Request::Release(_), Some(Owned::Lock(line))) if line.front() == Some(&from) => {
                line.pop_front();
                let next = line.front().copied();
                self.reply(from, Reply::Done);
                next.inspect(|&next| self.reply(next, Reply::Done));
                return;
            }
            _ => Reply::Misunderstood,
        };
        self.reply(from, reply);
    }

    /// A client that is gone is noticed when its channel closes, not here.
    fn reply(&self, to: u64, reply: Reply) {
        if let Some(client) = self.clients.get(&to) {
            let _ = client.replies.send(reply);
        }
    }

    fn forget(&mut self, gone: u64) {
        self.clients.remove(&gone);
        let mut turns = Vec::new();
        for object in &mut self.objects {
            if let Owned::Lock(line) = object {
                let held = line.front() == Some(&gone);
                line.retain(|&client| client != gone);
                turns.extend(line.front().filter(|_| held).copied());
            }
        }
        for next in turns {
            self.reply(next, Reply::Done);
        }
    }
}
