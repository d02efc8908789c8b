//! Memory that a process shares with the children it forks.

use std::ffi::c_void;
use std::io;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

/// One `Head`, then `len` elements of `Item`, all zero at first, shared with every child forked
/// from now on (`mmap` with `MAP_SHARED | MAP_ANONYMOUS`). It has no name that could be left
/// behind: the kernel frees it when the last process that maps it has ended.
pub(crate) struct SharedMemory<Head, Item> {
    start: NonNull<c_void>,
    len: usize,
    types: PhantomData<(Head, Item)>,
}

// SAFETY: this owns a range of addresses, not the values in it. Whoever makes references into
// the range (`lock`, `ring`) answers for what they allow.
unsafe impl<Head, Item> Send for SharedMemory<Head, Item> {}
// SAFETY: as above.
unsafe impl<Head, Item> Sync for SharedMemory<Head, Item> {}

impl<Head, Item> SharedMemory<Head, Item> {
    /// Where the items begin: after the head, aligned.
    const OFFSET: usize = size_of::<Head>().next_multiple_of(align_of::<Item>());

    pub fn new(len: usize) -> io::Result<Self> {
        let bytes = Self::size_for(len)?;
        // ANCHOR: map
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
        let start = unsafe { mmap_anonymous(None, bytes, protection, MapFlags::MAP_SHARED) }?;
        // ANCHOR_END: map
        Ok(SharedMemory {
            start,
            len,
            types: PhantomData,
        })
    }

    /// A file's content, the same for all that map it.
    ///
    /// # Safety
    /// The file is long enough, and nobody makes it shorter.
    pub unsafe fn of(file: impl AsFd, len: usize, protection: ProtFlags) -> io::Result<Self> {
        let bytes = Self::size_for(len)?;
        // SAFETY: as above; the caller's promise.
        let start = unsafe { mmap(None, bytes, protection, MapFlags::MAP_SHARED, file, 0) }?;
        Ok(SharedMemory {
            start,
            len,
            types: PhantomData,
        })
    }

    /// How many bytes a head and so many items take.
    pub fn size_for(len: usize) -> io::Result<NonZeroUsize> {
        const { assert!(align_of::<Head>() <= 4096 && align_of::<Item>() <= 4096) };
        let bytes = len
            .checked_mul(size_of::<Item>())
            .and_then(|items| items.checked_add(Self::OFFSET))
            .filter(|&bytes| bytes <= isize::MAX as usize)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(NonZeroUsize::new(bytes).unwrap_or(NonZeroUsize::MIN))
    }

    /// How many items there is room for in so many bytes; `None` if the head finds none.
    pub fn len_in(bytes: u64) -> Option<usize> {
        let items = usize::try_from(bytes).ok()?.checked_sub(Self::OFFSET)?;
        Some(items / size_of::<Item>())
    }

    /// The mapping's length.
    pub fn bytes(&self) -> usize {
        (Self::OFFSET + self.len * size_of::<Item>()).max(1)
    }

    /// Points at zeroes until the owner has written there.
    pub fn head(&self) -> NonNull<Head> {
        self.start.cast()
    }

    /// Points at the first of `len` items, zeroes until the owner has written there.
    pub fn items(&self) -> NonNull<[Item]> {
        // SAFETY: `new` mapped `OFFSET` bytes and room for `len` items behind them.
        let first = unsafe { self.start.byte_add(Self::OFFSET) };
        NonNull::slice_from_raw_parts(first.cast(), self.len)
    }
}

/// Bytes in a ring: `at` counts on for ever, modulo 2^32, which the length must divide.
impl<Head> SharedMemory<Head, u8> {
    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Copies `bytes` to `at`.
    ///
    /// # Safety
    /// Nobody else reads or writes there meanwhile.
    #[inline]
    pub unsafe fn write(&self, at: u32, bytes: &[u8]) {
        let (mut first, mut second) = self.span(at, bytes.len());
        // SAFETY: the caller's promise; the two parts are as long as `bytes` together.
        unsafe {
            let (left, right) = bytes.split_at(first.len());
            first.as_mut().copy_from_slice(left);
            second.as_mut().copy_from_slice(right);
        }
    }

    /// Appends the `len` bytes from `at` to `bytes`.
    ///
    /// # Safety
    /// Nobody writes there meanwhile.
    #[inline]
    pub unsafe fn read(&self, at: u32, len: usize, bytes: &mut Vec<u8>) {
        let (first, second) = self.span(at, len);
        // SAFETY: the caller's promise.
        unsafe {
            bytes.extend_from_slice(first.as_ref());
            bytes.extend_from_slice(second.as_ref());
        }
    }

    /// The number at `at`, a multiple of its size, so that it never straddles the end.
    ///
    /// # Safety
    /// Nobody writes there meanwhile.
    #[inline]
    pub unsafe fn read_u32(&self, at: u32) -> u32 {
        let (bytes, _) = self.span(at, size_of::<u32>());
        // SAFETY: the caller's promise; a length that 2^32 is a multiple of keeps it aligned.
        unsafe { bytes.cast::<u32>().read() }
    }

    /// The `len` bytes from `at`, at most all: up to the end, and on from the start.
    fn span(&self, at: u32, len: usize) -> (NonNull<[u8]>, NonNull<[u8]>) {
        let ring: NonNull<u8> = self.items().cast();
        let start = at as usize % self.len;
        let first = len.min(self.len - start);
        debug_assert!(len <= self.len);
        // SAFETY: `start` is less than the length.
        let begin = unsafe { ring.add(start) };
        (
            NonNull::slice_from_raw_parts(begin, first),
            NonNull::slice_from_raw_parts(ring, len - first),
        )
    }
}

impl<Head, Item> Drop for SharedMemory<Head, Item> {
    fn drop(&mut self) {
        // SAFETY: the range that `new` mapped; the owner's borrows of it have ended. Other
        // processes keep their own mapping.
        let _ = unsafe { munmap(self.start, self.bytes()) };
    }
}

/// A text in shared memory, cut where it is too long.
pub(crate) struct Text<const N: usize>([AtomicU8; N]);

impl<const N: usize> Text<N> {
    pub fn write(&self, text: &str) {
        let bytes = text.bytes().take(N - 1).chain([0]);
        self.0
            .iter()
            .zip(bytes)
            .for_each(|(to, byte)| to.store(byte, Relaxed));
    }

    pub fn read(&self) -> String {
        let bytes: Vec<u8> = self.bytes().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub fn is(&self, text: &str) -> bool {
        self.bytes().eq(text.bytes())
    }

    fn bytes(&self) -> impl Iterator<Item = u8> {
        let bytes = self.0.iter().map(|byte| byte.load(Relaxed));
        bytes.take_while(|&byte| byte != 0)
    }
}
