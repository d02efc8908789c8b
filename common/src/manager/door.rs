//! The clients' part: the way to a server, and each thread's connection to it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;

use ipc_channel::IpcError;
use ipc_channel::ipc::{self, IpcReceiver, IpcSender};
use serde::Serialize;

use super::ManagerError;
use super::wire::{Hello, PART, Reply, Request};
use crate::codec::encode;
use crate::deadline::{Deadline, LONGEST_SLEEP};
use crate::identity::{Identity, own_pid};

/// The managers that this process can reach: those started by itself or, before the fork, by
/// its parent.
static DOORS: Mutex<Vec<Weak<Door>>> = Mutex::new(Vec::new());

/// The way to a server, the same for every process.
pub(super) struct Door {
    server: Identity,
    sender: Mutex<IpcSender<Hello>>,
}

impl Drop for Door {
    fn drop(&mut self) {
        // Nobody is left here who could use it. Unless this thread is ending, and its lines with it.
        let _ = LINES.try_with(|lines| lines.borrow_mut().remove(&self.server.0));
    }
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
    /// A way that children forked from now on have, too.
    pub fn open(server: Identity, sender: IpcSender<Hello>) -> Arc<Self> {
        let door = Arc::new(Door {
            server,
            sender: Mutex::new(sender),
        });
        let mut known = DOORS.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|door| door.strong_count() > 0);
        known.push(Arc::downgrade(&door));
        door
    }

    /// The way to the server with this number, if this process has one.
    pub fn find(number: u64) -> Option<Arc<Self>> {
        let known = DOORS.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .iter()
            .filter_map(Weak::upgrade)
            .find(|door| door.number() == number)
    }

    /// The server's number, the same in every process.
    pub fn number(&self) -> u64 {
        self.server.0
    }

    /// One request, one reply, on this thread's own connection.
    pub fn call(&self, request: Request) -> Result<Reply, ManagerError> {
        LINES.with_borrow_mut(|lines| {
            let pid = own_pid();
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
        // An end of ipc-channel's that was put on a `Queue` is still waiting to be sent along.
        if let Ok((scratch, _receiver)) = ipc::channel::<()>() {
            let _ = catch_unwind(AssertUnwindSafe(|| scratch.send(())));
        }
        let connect = || {
            let (requests, theirs) = ipc::channel()?;
            let (replies_to, replies) = ipc::channel()?;
            let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
            sender.send(Hello {
                requests: theirs,
                replies: replies_to,
            })?;
            Ok(Line {
                pid: own_pid(),
                requests,
                replies,
            })
        };
        retry(connect).map_err(|error| self.broken(error))
    }

    /// A request that is answered with `Done`.
    pub fn command(&self, request: Request) -> Result<(), ManagerError> {
        match self.call(request)? {
            Reply::Done => Ok(()),
            Reply::AlreadyHeld => Err(ManagerError::AlreadyHeld),
            _ => Err(ManagerError::NoSuchObject),
        }
    }

    /// Sends all parts of a value but the last, which is returned for the request that ends it.
    pub fn upload<T: Serialize>(&self, value: &T) -> Result<Vec<u8>, ManagerError> {
        let mut bytes = Vec::new();
        encode(value, &mut bytes).map_err(ManagerError::Encode)?;
        let last = bytes.split_off(bytes.len().saturating_sub(1) / PART * PART);
        for part in bytes.chunks(PART) {
            self.command(Request::Part(part.to_vec()))?;
        }
        Ok(last)
    }

    /// Whether the server ends, now that it has closed a connection: it may be about to.
    fn has_ended(&self) -> bool {
        let patience = Deadline::after(LONGEST_SLEEP);
        while self.server.is_alive() {
            if patience.has_passed() {
                return false;
            }
            thread::yield_now();
        }
        true
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
            IpcError::Io(_) | IpcError::Disconnected if self.has_ended() => ManagerError::Gone {
                pid: self.server.pid(),
            },
            IpcError::Io(_) | IpcError::Disconnected => ManagerError::TooManyClients,
        }
    }
}

/// At a program's first send, ipc-channel opens a channel to find out how large a message may be,
/// and panics if it has no descriptors for that. This is that first send, with two to spare.
pub(super) fn warm_up() -> io::Result<()> {
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
