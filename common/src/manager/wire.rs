//! What a manager's server and its clients say to each other, and over what.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, Shutdown, SockFlag, SockType,
    recvmsg, send, sendmsg, shutdown, socketpair,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::codec::{decode, encode, with_buffer};
use crate::patience::{LOOKS_BY_SYSTEM_CALL, soon};

/// A message stays below this many bytes of payload, so that it is one packet of the socket.
pub(super) const PART: usize = 64 << 10;
/// The longest message.
const PACKET: usize = PART + 64;

#[derive(Debug, Serialize, Deserialize)]
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

/// One end of a pair of Unix sockets for packets (`SOCK_SEQPACKET`): a message arrives whole or
/// not at all, and the other side's end is seen, however it comes about.
///
/// Not a channel of ipc-channel's, with which a message takes several times as long (measured):
/// its `IpcReceiverSet` takes seven system calls where this takes two, and cannot poll.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Socket {
    pub fn pair() -> io::Result<(Socket, Socket)> {
        let (kind, flags) = (SockType::SeqPacket, SockFlag::SOCK_CLOEXEC);
        let (one, other) = socketpair(AddressFamily::Unix, kind, None, flags)?;
        Ok((Socket(one), Socket(other)))
    }

    pub fn send(&self, message: &impl Serialize) -> io::Result<()> {
        with_buffer(|bytes| {
            encode(message, bytes).map_err(io::Error::other)?;
            let sent = retry(|| send(self.0.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL));
            Ok(sent.map(drop)?)
        })
    }

    /// Waits for a message. The other side's end is an `UnexpectedEof`, and a message that is not
    /// of this type is `InvalidData`.
    pub fn receive<T: DeserializeOwned>(&self) -> io::Result<T> {
        with_buffer(|bytes| {
            let arrived = soon(LOOKS_BY_SYSTEM_CALL, || {
                match self.take(bytes, MsgFlags::MSG_DONTWAIT) {
                    Err(Errno::EAGAIN) => None,
                    taken => Some(taken),
                }
            });
            arrived.unwrap_or_else(|| self.take(bytes, MsgFlags::empty()))?;
            if bytes.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            decode(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
        })
    }

    /// Fills the buffer with the next packet.
    fn take(&self, bytes: &mut Vec<u8>, flags: MsgFlags) -> nix::Result<()> {
        bytes.clear();
        bytes.reserve(PACKET);
        let (fd, to) = (self.0.as_raw_fd(), bytes.as_mut_ptr().cast());
        // nix's `recv` would have the whole buffer initialised before.
        // SAFETY: there is room for `PACKET` bytes.
        let received =
            retry(|| Errno::result(unsafe { libc::recv(fd, to, PACKET, flags.bits()) }))?;
        // SAFETY: the kernel has written that many bytes.
        unsafe { bytes.set_len(received.unsigned_abs()) };
        Ok(())
    }

    /// Both sides then find that the other has ended.
    pub fn shut_down(&self) {
        let _ = shutdown(self.0.as_raw_fd(), Shutdown::Both);
    }

    /// Sends an end of another pair, which is then the receiver's.
    pub fn send_socket(&self, socket: Socket) -> io::Result<()> {
        let descriptors = [socket.0.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&descriptors)];
        let (fd, byte) = (self.0.as_raw_fd(), [IoSlice::new(&[0])]);
        let sent = retry(|| sendmsg::<()>(fd, &byte, &rights, MsgFlags::MSG_NOSIGNAL, None));
        Ok(sent.map(drop)?)
    }

    /// Waits for what `send_socket` sent; `None` if the system had no descriptor left for it. The
    /// other side's end is an `UnexpectedEof`.
    pub fn receive_socket(&self) -> io::Result<Option<Socket>> {
        let mut byte = [0];
        let mut space = nix::cmsg_space!([i32; 1]);
        let (fd, flags) = (self.0.as_raw_fd(), MsgFlags::MSG_CMSG_CLOEXEC);
        let message = loop {
            let mut to = [IoSliceMut::new(&mut byte)];
            match recvmsg::<()>(fd, &mut to, Some(&mut space), flags) {
                Err(Errno::EINTR) => {}
                Ok(message) if message.bytes == 0 => {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                // Cut short, it is an error of nix's.
                message => break message?.cmsgs().ok().and_then(|mut all| all.next()),
            }
        };
        let Some(ControlMessageOwned::ScmRights(descriptors)) = message else {
            return Ok(None);
        };
        // SAFETY: the kernel made it for this process just now, and nobody else knows it.
        let own = |&fd| Socket(unsafe { OwnedFd::from_raw_fd(fd) });
        Ok(descriptors.first().map(own))
    }
}

/// Again if a signal arrived: nothing was sent or received then.
pub(super) fn retry<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}
