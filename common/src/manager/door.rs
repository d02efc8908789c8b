//! The clients' part: the way to a server, and each thread's connection to it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;

use serde::Serialize;

use super::error::ManagerError;
use super::wire::{PART, Reply, Request, Socket};
use crate::asleep::{self, Look, OWNER, Upon, readable, until_readable};
use crate::codec::encode;
use crate::deadline::{Deadline, LONGEST_SLEEP};
use crate::identity::{Identity, own_pid};

/// The managers that this process can reach: those started by itself or, before the fork, by
/// its parent.
static DOORS: Mutex<Vec<Weak<Door>>> = Mutex::new(Vec::new());

/// The way to a server, the same for every process.
#[derive(Debug)]
pub(super) struct Door {
    server: Identity,
    /// Where a client introduces itself.
    entrance: Socket,
}

impl Drop for Door {
    fn drop(&mut self) {
        // Nobody is left here who could use it. Unless this thread ends, and its lines with it.
        let _ = LINES.try_with(|lines| lines.borrow_mut().remove(&self.server.0));
    }
}

/// One thread's own connection. A forked copy of it must not be used, or the replies would cross.
struct Line {
    pid: u32,
    socket: Socket,
}

thread_local! {
    static LINES: RefCell<HashMap<u64, Line>> = RefCell::new(HashMap::new());
}

impl Door {
    /// A way that children forked from now on have, too.
    pub fn open(server: Identity, entrance: Socket) -> Arc<Self> {
        let door = Arc::new(Door { server, entrance });
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

    /// The server's pid.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// One request, one reply.
    pub fn call(&self, request: Request) -> Result<Reply, ManagerError> {
        self.talk(|line| ask(line, request))
    }

    /// Waits for a lock.
    pub fn acquire(&self, id: u32, deadline: Deadline) -> Result<(), ManagerError> {
        let what = format_args!(
            "lock {id} of the manager (pid {}), which {OWNER} holds",
            self.server.pid()
        );
        let acquired = self.talk(|line| {
            line.send(&Request::Acquire(id))?;
            if let Some(reply) = line.receive_soon()? {
                return Ok(Ok(reply));
            }
            let nap = |limit| {
                let arrived = until_readable(&mut [readable(line)], limit);
                arrived.map(|arrived| arrived.and_then(|()| line.receive()))
            };
            // The lock may come in between, before the answer.
            let look = || match ask(line, Request::Holder(id)) {
                // Somebody the server knows no pid of may do what it likes.
                Ok(Reply::HeldBy(0)) => Look::InVain(Upon::AnybodyAndTheEndOf(0)),
                Ok(Reply::HeldBy(pid)) => Look::InVain(Upon::Process(pid)),
                reply => Look::Found(reply.and_then(|reply| {
                    line.receive::<Reply>()?;
                    Ok(reply)
                })),
            };
            match asleep::wait(deadline, LONGEST_SLEEP, what, nap, look) {
                Ok(reply) => reply.unwrap_or(Ok(Reply::Misunderstood)).map(Ok),
                Err(deadlock) => match ask(line, Request::Withdraw(id))? {
                    Reply::HeldBy(_) => Ok(Err(deadlock)),
                    reply => line.receive::<Reply>().map(|_| Ok(reply)),
                },
            }
        })?;
        is_done(acquired?)
    }

    /// On this thread's own connection.
    fn talk<T>(&self, talk: impl FnOnce(&Socket) -> io::Result<T>) -> Result<T, ManagerError> {
        let talk = |lines: &RefCell<HashMap<u64, Line>>| {
            let mut lines = lines.borrow_mut();
            let pid = own_pid();
            // Copies of the parent's, here since the fork.
            lines.retain(|_, line| line.pid == pid);
            let line = match lines.entry(self.server.0) {
                Entry::Occupied(line) => line.into_mut(),
                Entry::Vacant(place) => place.insert(self.connect()?),
            };
            talk(&line.socket)
                .map_err(|error| self.broken(error))
                .inspect_err(|_| {
                    lines.remove(&self.server.0);
                })
        };
        // A guard in another thread-local variable may be dropped after the lines.
        let ending = || ManagerError::System(io::Error::other("the thread is ending"));
        LINES.try_with(talk).unwrap_or_else(|_| Err(ending()))
    }

    fn connect(&self) -> Result<Line, ManagerError> {
        let (socket, theirs) = Socket::pair().map_err(ManagerError::System)?;
        let sent = self.entrance.send_socket(theirs);
        sent.map_err(|error| self.broken(error))?;
        Ok(Line {
            pid: own_pid(),
            socket,
        })
    }

    /// A request that is answered with `Done`.
    pub fn command(&self, request: Request) -> Result<(), ManagerError> {
        is_done(self.call(request)?)
    }

    /// Sends all parts of a value but the last, which is returned for the request that ends it.
    pub fn upload<T: Serialize>(&self, value: &T) -> Result<Vec<u8>, ManagerError> {
        let mut bytes = Vec::new();
        encode(value, &mut bytes).map_err(ManagerError::Encode)?;
        if bytes.len() > PART {
            self.command(Request::Announce(bytes.len()))?;
        }
        let last = bytes.split_off(bytes.len().saturating_sub(1) / PART * PART);
        for part in bytes.chunks(PART) {
            self.command(Request::Part(part.to_vec()))?;
        }
        Ok(last)
    }

    /// Nobody can come to the server any more, which ends it.
    pub fn close(&self) {
        self.entrance.shut_down();
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

    fn broken(&self, error: io::Error) -> ManagerError {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, InvalidData, UnexpectedEof};
        match error.kind() {
            BrokenPipe | ConnectionReset | UnexpectedEof if self.has_ended() => {
                ManagerError::Gone {
                    pid: self.server.pid(),
                }
            }
            BrokenPipe | ConnectionReset | UnexpectedEof => ManagerError::TooManyClients,
            InvalidData => ManagerError::Decode(error.to_string()),
            _ => ManagerError::System(error),
        }
    }
}

fn ask(line: &Socket, request: Request) -> io::Result<Reply> {
    line.send(&request)?;
    line.receive()
}

fn is_done(reply: Reply) -> Result<(), ManagerError> {
    match reply {
        Reply::Done => Ok(()),
        Reply::AlreadyHeld => Err(ManagerError::AlreadyHeld),
        Reply::TooLarge { size, limit } => Err(ManagerError::TooLarge { size, limit }),
        _ => Err(ManagerError::NoSuchObject),
    }
}
