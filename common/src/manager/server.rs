//! The server's part.

use std::collections::{HashMap, VecDeque};
use std::io;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::wire::{PART, Reply, Request, Socket, retry};
use crate::patience::{LOOKS_BY_SYSTEM_CALL, soon};

/// In place of a client's number: where new ones introduce themselves.
const ENTRANCE: u64 = 0;

/// The server's whole life: it has no other state than this, and waits for nobody but `epoll`.
/// Every request gets one reply, and nobody sends a second request before that, so a reply always
/// finds room, also when its receiver was stopped.
pub(super) fn serve(entrance: Socket) -> io::Result<()> {
    // A descriptor for each client; the usual soft limit is 1024.
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    let mut server = Server {
        clients: HashMap::new(),
        objects: Vec::new(),
    };
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let readable = |id| EpollEvent::new(EpollFlags::EPOLLIN, id);
    epoll.add(&entrance, readable(ENTRANCE))?;
    let mut last_client = ENTRANCE;
    loop {
        for event in wait(&epoll, &mut [EpollEvent::empty(); 16])? {
            let from = event.data();
            if from == ENTRANCE {
                last_client += 1;
                // Whoever it was may be dead already, or there was no descriptor for it.
                if let Some(socket) = entrance.receive_socket()?
                    && epoll.add(&socket, readable(last_client)).is_ok()
                {
                    server.clients.insert(last_client, Client::new(socket));
                }
            } else if let Some(client) = server.clients.get(&from) {
                match client.socket.receive() {
                    Ok(request) => server.answer(from, request),
                    Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                        server.reply(from, Reply::Misunderstood);
                    }
                    Err(_) => server.forget(from),
                }
            }
        }
    }
}

/// Who has something to say. Looks for some microseconds before it sleeps.
fn wait<'a>(epoll: &Epoll, events: &'a mut [EpollEvent]) -> io::Result<&'a [EpollEvent]> {
    let count = soon(LOOKS_BY_SYSTEM_CALL, || {
        match epoll.wait(events, EpollTimeout::ZERO) {
            Ok(0) => None,
            count => Some(count),
        }
    });
    let count = match count {
        Some(Ok(count)) => count,
        _ => retry(|| epoll.wait(events, EpollTimeout::NONE))?,
    };
    Ok(&events[..count])
}

struct Server {
    clients: HashMap<u64, Client>,
    objects: Vec<Owned>,
}

struct Client {
    socket: Socket,
    /// The parts so far of a value that is being sent.
    inbox: Vec<u8>,
    /// A value that is being fetched, and how much of it was sent.
    outbox: Vec<u8>,
    sent: usize,
}

impl Client {
    fn new(socket: Socket) -> Self {
        Client {
            socket,
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
            _ => {
                client.inbox.clear();
                Reply::Misunderstood
            }
        };
        self.reply(from, reply);
    }

    /// A client that is gone is noticed when its socket closes, not here. One that the system has
    /// no room to reply to would wait for ever, so its socket is closed.
    fn reply(&self, to: u64, reply: Reply) {
        if let Some(client) = self.clients.get(&to)
            && client.socket.send(&reply).is_err()
        {
            client.socket.shut_down();
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::thread;

    use nix::sys::socket::{setsockopt, sockopt::SndBuf};

    use super::*;

    #[test]
    fn a_client_that_no_reply_can_be_sent_to_is_told() {
        let (entrance, theirs) = Socket::pair().unwrap();
        let server = thread::spawn(|| serve(theirs));
        let (client, theirs) = Socket::pair().unwrap();
        setsockopt(&theirs, SndBuf, &1).unwrap(); // the least that the system allows
        entrance.send_socket(theirs).unwrap();

        client.send(&Request::NewValue(vec![1; PART])).unwrap();
        assert!(matches!(client.receive().unwrap(), Reply::Created(0)));
        client.send(&Request::Get(0)).unwrap();
        let end = client.receive::<Reply>().unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);

        drop(entrance);
        assert!(server.join().unwrap().is_err(), "nobody can come any more");
    }
}
