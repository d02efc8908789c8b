//! In place of `common`'s `memory`: bytes of which loom knows who reads and who writes them.

use std::io;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::Arc;

use loom::cell::UnsafeCell;

use crate::stage::{self, Mutation, mutated};

/// Records begin at multiples of this.
const WORD: usize = 4;

pub struct SharedMemory<Head, Item> {
    head: Box<std::cell::UnsafeCell<MaybeUninit<Head>>>,
    words: Arc<Words>,
    item: PhantomData<Item>,
}

struct Words(Vec<UnsafeCell<[u8; WORD]>>);

// SAFETY: loom finds every access that is not safe.
unsafe impl Send for Words {}
// SAFETY: as above.
unsafe impl Sync for Words {}
// SAFETY: as for the real one.
unsafe impl<Head, Item> Send for SharedMemory<Head, Item> {}
// SAFETY: as for the real one.
unsafe impl<Head, Item> Sync for SharedMemory<Head, Item> {}

impl<Head> SharedMemory<Head, u8> {
    pub fn new(len: usize) -> io::Result<Self> {
        let words = (0..len / WORD).map(|_| UnsafeCell::new([0; WORD]));
        Ok(SharedMemory {
            head: Box::new(std::cell::UnsafeCell::new(MaybeUninit::uninit())),
            words: Arc::new(Words(words.collect())),
            item: PhantomData,
        })
    }

    pub fn head(&self) -> NonNull<Head> {
        NonNull::from(&*self.head).cast()
    }

    pub fn len(&self) -> usize {
        self.words.0.len() * WORD
    }

    /// # Safety
    /// Checked by loom.
    pub unsafe fn write(&self, at: u32, bytes: &[u8]) {
        if mutated(Mutation::LateBytes) {
            stage::delay(Late(Arc::clone(&self.words), at, bytes.to_vec()));
        } else {
            self.words.write(at, bytes);
        }
    }

    /// # Safety
    /// Checked by loom.
    pub unsafe fn read(&self, at: u32, len: usize, bytes: &mut Vec<u8>) {
        let end = bytes.len() + len;
        for word in 0..len.div_ceil(WORD) {
            bytes.extend(self.words.read(at as usize / WORD + word));
        }
        bytes.truncate(end);
    }

    /// # Safety
    /// Checked by loom.
    pub unsafe fn read_u32(&self, at: u32) -> u32 {
        u32::from_ne_bytes(self.words.read(at as usize / WORD))
    }
}

impl Words {
    fn write(&self, at: u32, bytes: &[u8]) {
        for (word, part) in bytes.chunks(WORD).enumerate() {
            self.cell(at as usize / WORD + word).with_mut(|bytes| {
                // SAFETY: loom has just checked that nobody else may be here.
                unsafe { (&mut *bytes)[..part.len()].copy_from_slice(part) }
            });
        }
    }

    fn read(&self, index: usize) -> [u8; WORD] {
        // SAFETY: as above.
        self.cell(index).with(|bytes| unsafe { *bytes })
    }

    fn cell(&self, index: usize) -> &UnsafeCell<[u8; WORD]> {
        &self.0[index % self.0.len()]
    }
}

/// Bytes that are written too late.
#[derive(Clone)]
pub struct Late(Arc<Words>, u32, Vec<u8>);

pub fn write_delayed() {
    for Late(words, at, bytes) in stage::delayed() {
        words.write(at, &bytes);
    }
}
