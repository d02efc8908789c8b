//! The server's part.

use std::collections::{HashMap, VecDeque};
use std::io;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::wire::{PART, Reply, Request, Socket, retry};
use crate::patience::{LOOKS_BY_SYSTEM_CALL, soon};
use crate::trace;

/// In place of a client's number: where new ones introduce themselves.
const ENTRANCE: u64 = 0;

/// The server's whole life, until nobody can come any more: it has no other state than this, and
/// waits for nobody but `epoll`. Every request gets one reply, and nobody sends a second request
/// before that, so a reply always finds room, also when its receiver was stopped. Whoever does not
/// keep to this loses its own connection. A value may have `limit` bytes.
pub(super) fn serve(entrance: Socket, limit: usize) -> io::Result<()> {
    // A descriptor for each client; the usual soft limit is 1024.
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    let mut server = Server {
        clients: HashMap::new(),
        objects: Vec::new(),
        limit,
    };
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let readable = |id| EpollEvent::new(EpollFlags::EPOLLIN, id);
    let end = EpollFlags::EPOLLHUP | EpollFlags::EPOLLRDHUP;
    epoll.add(
        &entrance,
        EpollEvent::new(EpollFlags::EPOLLIN | end, ENTRANCE),
    )?;
    let mut last_client = ENTRANCE;
    loop {
        for event in wait(&epoll, &mut [EpollEvent::empty(); 16])? {
            let from = event.data();
            if from == ENTRANCE {
                // Not to be told from an empty packet by reading.
                if event.events().intersects(end) {
                    return Ok(());
                }
                last_client += 1;
                // Whoever it was may be dead already, or there was no descriptor for it.
                if let Ok(Some(socket)) = entrance.receive_socket()
                    && epoll.add(&socket, readable(last_client)).is_ok()
                {
                    server.clients.insert(last_client, Client::new(socket));
                }
            } else if let Some(client) = server.clients.get(&from) {
                match client.socket.receive_now() {
                    Ok(request) => server.answer(from, request),
                    // Its socket withholds what it has, or is read by somebody else, too.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
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
    limit: usize,
}

struct Client {
    socket: Socket,
    pid: u32,
    /// The parts so far of a value that is being sent, and how long it is to be.
    inbox: Vec<u8>,
    announced: usize,
    /// A value that is being fetched, and how much of it was sent.
    outbox: Vec<u8>,
    sent: usize,
}

impl Client {
    fn new(socket: Socket) -> Self {
        Client {
            pid: socket.peer(),
            socket,
            inbox: Vec::new(),
            announced: 0,
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
            | Request::Release(id)
            | Request::Holder(id)
            | Request::Withdraw(id) => id,
            _ => u32::MAX,
        };
        let limit = self.limit;
        let next = self.objects.len() as u32;
        let object = self.objects.get_mut(id as usize);
        // Who waits for a lock only asks again and again who has it.
        let is_question = matches!(request, Request::Holder(_));
        if object.is_some() && !is_question {
            trace::serves(id, client.pid);
        }
        let reply = match (request, object) {
            (Request::Announce(size), _) => {
                client.inbox = Vec::new();
                client.announced = if size > limit { 0 } else { size };
                match size > limit {
                    true => Reply::TooLarge { size, limit },
                    false => Reply::Done,
                }
            }
            (Request::Part(part), _) if client.inbox.len() + part.len() <= client.announced => {
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
            (request @ (Request::Holder(_) | Request::Withdraw(_)), Some(Owned::Lock(line))) => {
                let holder = line.front().copied();
                if matches!(request, Request::Withdraw(_)) && holder != Some(from) {
                    line.retain(|&client| client != from);
                }
                let holder = holder.and_then(|holder| self.clients.get(&holder));
                Reply::HeldBy(holder.map_or(0, |holder| holder.pid))
            }
            (Request::Release(_), Some(Owned::Lock(line))) if line.front() == Some(&from) => {
                line.pop_front();
                let next = line.front().copied();
                self.reply(from, Reply::Done);
                next.inspect(|&next| self.reply(next, Reply::Done));
                return;
            }
            _ => {
                client.inbox = Vec::new();
                Reply::Misunderstood
            }
        };
        self.reply(from, reply);
    }

    /// A client that is gone is noticed when its socket closes, not here. One that there is no room
    /// to reply to would wait for ever, or does not read: its socket is closed.
    fn reply(&self, to: u64, reply: Reply) {
        if let Some(client) = self.clients.get(&to)
            && client.socket.send_now(&reply).is_err()
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
    use std::io::ErrorKind::BrokenPipe;
    use std::io::IoSlice;
    use std::os::fd::{AsFd, AsRawFd, RawFd};
    use std::thread::{self, JoinHandle};
    use std::time::Duration;

    use nix::poll::{PollFd, PollFlags, poll};
    use nix::sys::socket::sockopt::{ReceiveTimeout, SndBuf};
    use nix::sys::socket::{ControlMessage, MsgFlags, send, sendmsg, setsockopt};
    use nix::sys::time::{TimeVal, TimeValLike};
    use nix::unistd::pipe;

    use super::super::door::Door;
    use super::super::error::ManagerError;
    use super::*;
    use crate::deadline::Deadline;
    use crate::identity::Identity;

    const LIMIT: usize = 3 * PART;

    fn start() -> (Socket, JoinHandle<io::Result<()>>) {
        let (entrance, theirs) = Socket::pair().unwrap();
        (entrance, thread::spawn(|| serve(theirs, LIMIT)))
    }

    fn ends(server: JoinHandle<io::Result<()>>) {
        let patience = Deadline::after(Duration::from_secs(10));
        while !server.is_finished() {
            assert!(!patience.has_passed(), "the server goes on");
            thread::yield_now();
        }
        server.join().unwrap().unwrap();
    }

    /// Whoever has only its own end ends the server with that.
    fn end((entrance, server): (Socket, JoinHandle<io::Result<()>>)) {
        drop(entrance);
        ends(server);
    }

    /// For a client, which does not wait for ever, and the server.
    fn pair() -> (Socket, Socket) {
        let (client, theirs) = Socket::pair().unwrap();
        setsockopt(&client, ReceiveTimeout, &TimeVal::seconds(10)).unwrap();
        (client, theirs)
    }

    fn introduce(entrance: &Socket) -> Socket {
        let (client, theirs) = pair();
        entrance.send_socket(theirs).unwrap();
        client
    }

    fn ask(client: &Socket, request: Request) -> Reply {
        client.send(&request).unwrap();
        client.receive().unwrap()
    }

    fn is_served(client: &Socket) {
        assert!(matches!(ask(client, Request::NewLock), Reply::Created(_)));
    }

    #[test]
    fn a_client_that_no_reply_can_be_sent_to_is_told() {
        let server = start();
        let (client, theirs) = pair();
        setsockopt(&theirs, SndBuf, &1).unwrap(); // the least that the system allows
        server.0.send_socket(theirs).unwrap();

        let new = ask(&client, Request::NewValue(vec![1; PART]));
        assert!(matches!(new, Reply::Created(0)));
        client.send(&Request::Get(0)).unwrap();
        let told = client.receive::<Reply>().unwrap_err();
        assert_eq!(told.kind(), io::ErrorKind::UnexpectedEof);
        end(server);
    }

    #[test]
    fn an_empty_packet_is_not_the_end() {
        let server = start();
        let client = introduce(&server.0);
        for to in [&server.0, &introduce(&server.0)] {
            send(to.as_fd().as_raw_fd(), &[], MsgFlags::empty()).unwrap();
        }
        is_served(&client);
        is_served(&introduce(&server.0));
        end(server);
    }

    #[test]
    fn an_entrance_that_is_shut_down_is_the_end() {
        let (entrance, server) = start();
        is_served(&introduce(&entrance));
        entrance.shut_down();
        ends(server);
    }

    #[test]
    fn a_client_that_never_reads_loses_its_connection() {
        let server = start();
        let (client, idle) = (introduce(&server.0), introduce(&server.0));
        let value = ask(&client, Request::NewValue(vec![1; PART]));
        assert!(matches!(value, Reply::Created(0)));
        // Until there is no room for the replies.
        let patience = Deadline::after(Duration::from_secs(10));
        while !matches!(idle.send_now(&Request::Get(0)), Err(error) if error.kind() == BrokenPipe) {
            assert!(!patience.has_passed());
            thread::yield_now();
        }
        is_served(&client);
        is_served(&introduce(&server.0));
        end(server);
    }

    /// What the server says to the one end, it hears from the other, and some of it is a request.
    #[test]
    fn a_client_that_introduces_both_ends_of_a_pair_loses_both() {
        let server = start();
        let client = introduce(&server.0);
        let (one, other) = Socket::pair().unwrap();
        let kept = one.as_fd().try_clone_to_owned().unwrap();
        one.send(&Request::NewLock).unwrap();
        server.0.send_socket(one).unwrap();
        server.0.send_socket(other).unwrap();
        let mut other_is_closed = [PollFd::new(kept.as_fd(), PollFlags::empty())];
        assert_eq!(poll(&mut other_is_closed, 10_000_u16), Ok(1));
        is_served(&client);
        end(server);
    }

    fn send_descriptors(entrance: &Socket, all: &[RawFd]) {
        let (to, byte) = (entrance.as_fd().as_raw_fd(), [IoSlice::new(&[0])]);
        let rights = [ControlMessage::ScmRights(all)];
        sendmsg::<()>(to, &byte, &rights, MsgFlags::empty(), None).unwrap();
    }

    #[test]
    fn descriptors_that_nobody_asked_for_are_closed() {
        let server = start();
        // Fewer than the server has room for in a message, as many, and more.
        for extra in 0..4 {
            let (client, theirs) = pair();
            let (read, write) = pipe().unwrap();
            let mut all = vec![theirs.as_fd().as_raw_fd()];
            all.extend(vec![write.as_raw_fd(); extra]);
            send_descriptors(&server.0, &all);
            drop((theirs, write));
            is_served(&client);
            let mut nobody_writes = [PollFd::new(read.as_fd(), PollFlags::POLLIN)];
            assert_eq!(poll(&mut nobody_writes, 10_000_u16), Ok(1), "{extra} more");
        }
        end(server);
    }

    #[test]
    fn a_lock_is_released_by_its_holder_alone() {
        let server = start();
        let (holder, other) = (introduce(&server.0), introduce(&server.0));
        is_served(&holder); // which makes the lock 0
        assert!(matches!(ask(&holder, Request::Acquire(0)), Reply::Done));
        let refused = ask(&other, Request::Release(0));
        assert!(matches!(refused, Reply::Misunderstood));
        let held = ask(&holder, Request::Acquire(0));
        assert!(matches!(held, Reply::AlreadyHeld));
        end(server);
    }

    #[test]
    fn a_value_has_a_limit() {
        let (entrance, server) = start();
        let door = Door::open(Identity::mine(), entrance);
        let (fits, large) = (vec![0_u8; LIMIT - 3], vec![0_u8; LIMIT - 2]); // with its length
        let last = door.upload(&fits).unwrap();
        let Reply::Created(id) = door.call(Request::NewValue(last)).unwrap() else {
            panic!("not created")
        };
        let error = door.upload(&large).unwrap_err();
        let size = LIMIT + 1;
        assert!(
            matches!(error, ManagerError::TooLarge { size: s, limit: LIMIT } if s == size),
            "{error}"
        );
        let last = door.upload(&fits).unwrap();
        door.command(Request::Set(id, last)).unwrap();
        door.close();
        ends(server);
    }

    #[test]
    fn parts_that_were_not_announced_are_not_kept() {
        let mut server = Server {
            clients: HashMap::new(),
            objects: Vec::new(),
            limit: LIMIT,
        };
        let (client, theirs) = Socket::pair().unwrap();
        server.clients.insert(1, Client::new(theirs));
        let mut answer = |request| {
            server.answer(1, request);
            let kept = server.clients[&1].inbox.capacity();
            (client.receive_now().unwrap(), kept)
        };
        let part = || Request::Part(vec![0; PART]);
        assert!(matches!(answer(part()), (Reply::Misunderstood, 0)));
        for _ in 0..2 {
            assert!(matches!(answer(Request::Announce(LIMIT)), (Reply::Done, 0)));
            for _ in 0..3 {
                assert!(matches!(answer(part()), (Reply::Done, PART..)));
            }
        }
        assert!(matches!(answer(part()), (Reply::Misunderstood, 0)));
        let too_large = answer(Request::Announce(LIMIT + 1));
        assert!(matches!(too_large, (Reply::TooLarge { .. }, 0)));
        assert!(matches!(answer(part()), (Reply::Misunderstood, 0)));
    }
}
