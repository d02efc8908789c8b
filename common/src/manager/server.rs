//! The server's part.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::panic::{self, AssertUnwindSafe, catch_unwind};

use ipc_channel::ipc::{IpcMessage, IpcReceiver, IpcReceiverSet, IpcSelectionResult, IpcSender};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::wire::{Hello, PART, Reply, Request};

/// The server's whole life: it has no other state than this, and waits for nobody but `select`.
/// Every request gets one reply, and nobody sends a second request before that, so a reply always
/// finds room, also when its receiver was stopped.
pub(super) fn serve(visitors: IpcReceiver<Hello>) -> io::Result<()> {
    // What `open` catches is no news for the terminal.
    panic::set_hook(Box::new(|_| ()));
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
                    // Whoever it was may be dead already, or there was no descriptor for it.
                    if let Some(Hello { requests, replies }) = open(message)
                        && let Ok(client) = receivers.add(requests)
                    {
                        server.clients.insert(client, Client::new(replies));
                    }
                }
                IpcSelectionResult::MessageReceived(client, message) => match open(message) {
                    Some(request) => server.answer(client, request),
                    None => server.reply(client, Reply::Misunderstood),
                },
                IpcSelectionResult::ChannelClosed(client) => server.forget(client),
            }
        }
    }
}

/// What a message says. ipc-channel panics at one whose descriptors did not all arrive, as happens
/// when this process has no more of them.
fn open<T: DeserializeOwned + Serialize>(message: IpcMessage) -> Option<T> {
    catch_unwind(AssertUnwindSafe(|| message.to().ok()))
        .ok()
        .flatten()
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
            _ => {
                client.inbox.clear();
                Reply::Misunderstood
            }
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
