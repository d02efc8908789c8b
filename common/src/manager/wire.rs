//! What a manager's server and its clients say to each other.

use ipc_channel::ipc::{IpcReceiver, IpcSender};
use serde::{Deserialize, Serialize};

/// A message stays below this many bytes of payload, so that it fits one packet of the socket:
/// ipc-channel sends a larger one in pieces, and one that is cut short is an error for whoever
/// waits for the rest.
pub(super) const PART: usize = 64 << 10;

/// How a thread of some process introduces itself.
#[derive(Serialize, Deserialize)]
pub(super) struct Hello {
    pub requests: IpcReceiver<Request>,
    pub replies: IpcSender<Reply>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Request {
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
pub(super) enum Reply {
    Done,
    Created(u32),
    Value { part: Vec<u8>, more: bool },
    AlreadyHeld,
    Misunderstood,
}
