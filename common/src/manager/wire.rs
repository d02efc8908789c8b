//! What a manager's server and its clients say to each other, and over what.

use std::io::{self, IoSlice};
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, Shutdown, SockFlag, SockType, getsockopt, send,
    sendmsg, shutdown, socketpair,
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
    /// A value of so many bytes comes in parts.
    Announce(usize),
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
    /// Who holds a lock that the client has asked for and not got yet.
    Holder(u32),
    /// It does not wait for that lock any more. Answered as `Holder`: it may have got it.
    Withdraw(u32),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    Done,
    Created(u32),
    Value {
        part: Vec<u8>,
        more: bool,
    },
    AlreadyHeld,
    /// Its pid; 0 if nobody does.
    HeldBy(u32),
    TooLarge {
        size: usize,
        limit: usize,
    },
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

    /// Waits for room.
    pub fn send(&self, message: &impl Serialize) -> io::Result<()> {
        self.put(message, MsgFlags::empty())
    }

    /// Fails if there is no room.
    pub fn send_now(&self, message: &impl Serialize) -> io::Result<()> {
        self.put(message, MsgFlags::MSG_DONTWAIT)
    }

    fn put(&self, message: &impl Serialize, flags: MsgFlags) -> io::Result<()> {
        with_buffer(|bytes| {
            encode(message, bytes).map_err(io::Error::other)?;
            let flags = flags | MsgFlags::MSG_NOSIGNAL;
            Ok(retry(|| send(self.0.as_raw_fd(), bytes, flags)).map(drop)?)
        })
    }

    /// Waits for a message. The other side's end is an `UnexpectedEof`, and a message that is not
    /// of this type is `InvalidData`.
    pub fn receive<T: DeserializeOwned>(&self) -> io::Result<T> {
        with_buffer(|bytes| {
            let arrived = self.take_soon(bytes);
            arrived.unwrap_or_else(|| self.take(bytes, MsgFlags::empty()))?;
            understand(bytes)
        })
    }

    /// Like [`receive`](Socket::receive), but `None` if it would have to sleep.
    pub fn receive_soon<T: DeserializeOwned>(&self) -> io::Result<Option<T>> {
        with_buffer(|bytes| match self.take_soon(bytes) {
            Some(taken) => taken
                .map_err(Into::into)
                .and_then(|()| understand(bytes))
                .map(Some),
            None => Ok(None),
        })
    }

    fn take_soon(&self, bytes: &mut Vec<u8>) -> Option<nix::Result<()>> {
        soon(LOOKS_BY_SYSTEM_CALL, || {
            match self.take(bytes, MsgFlags::MSG_DONTWAIT) {
                Err(Errno::EAGAIN) => None,
                taken => Some(taken),
            }
        })
    }

    /// Who made the pair of sockets: the pid (`SO_PEERCRED`).
    pub fn peer(&self) -> u32 {
        getsockopt(self, PeerCredentials).map_or(0, |peer| peer.pid().cast_unsigned())
    }

    /// Like [`receive`](Socket::receive), but `WouldBlock` if there is no message.
    pub fn receive_now<T: DeserializeOwned>(&self) -> io::Result<T> {
        with_buffer(|bytes| {
            self.take(bytes, MsgFlags::MSG_DONTWAIT)?;
            understand(bytes)
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

    /// What `send_socket` sent, if anything did; `None` if the system had no descriptor left for
    /// it. Never waits.
    pub fn receive_socket(&self) -> io::Result<Option<Socket>> {
        let mut byte = 0_u8;
        let mut to = libc::iovec {
            iov_base: (&raw mut byte).cast(),
            iov_len: 1,
        };
        // For one descriptor: the header and, as it is rounded up, two numbers.
        let mut space = [0_u64; 3];
        // SAFETY: all zeroes is a message with nothing in it.
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        (message.msg_iov, message.msg_iovlen) = (&raw mut to, 1);
        (message.msg_control, message.msg_controllen) =
            (space.as_mut_ptr().cast(), size_of_val(&space));
        let (fd, flags) = (
            self.0.as_raw_fd(),
            libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT,
        );
        // nix's `recvmsg` loses the descriptors of a message that was cut short.
        // SAFETY: the message points to places that live until the end of this function.
        retry(|| Errno::result(unsafe { libc::recvmsg(fd, &raw mut message, flags) }))?;
        let mut arrived = Vec::new();
        // SAFETY: the kernel has written whole headers, with as many descriptors behind each as
        // its length says, made for this process just now; nobody else knows them.
        unsafe {
            let mut header = libc::CMSG_FIRSTHDR(&raw const message);
            while let Some(control) = header.as_ref() {
                if (control.cmsg_level, control.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
                    let bytes = control.cmsg_len - libc::CMSG_LEN(0) as usize;
                    let first = libc::CMSG_DATA(header).cast::<RawFd>();
                    let own = |at| OwnedFd::from_raw_fd(first.add(at).read_unaligned());
                    arrived.extend((0..bytes / size_of::<RawFd>()).map(own));
                }
                header = libc::CMSG_NXTHDR(&raw const message, header);
            }
        }
        // A second one is closed.
        Ok(arrived.into_iter().next().map(Socket))
    }
}

/// The message in a packet; a packet of nothing is what the other side's end looks like.
fn understand<T: DeserializeOwned>(packet: &[u8]) -> io::Result<T> {
    if packet.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    decode(packet).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
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
