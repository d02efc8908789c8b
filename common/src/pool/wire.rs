//! What the processes of a pool say to each other.

use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use serde::{Deserialize, Serialize};

use crate::codec::{decode, encode};
use crate::deadline::Deadline;
use crate::memory::SharedMemory;
use crate::object::Object;
use crate::points::{Act, Outcome, Points, around_item};
use crate::ring::{Ring, RingError, Taker};
use crate::trace::ObjectId;

/// What a worker has in hand: the id of a submission, or one of these.
pub(super) const STARTING: u64 = u64::MAX;
pub(super) const IDLE: u64 = 0;
/// In place of an id: the message is a [`Notice`].
const NOTICE: u64 = 0;

/// The memory that all processes of a pool share.
pub(super) struct Shared {
    pub tasks: Ring,
    pub results: Ring,
    in_hand: SharedMemory<(), AtomicU64>,
}

impl Shared {
    #[track_caller]
    pub fn new(capacity: usize, workers: usize) -> io::Result<Self> {
        let (tasks, results) = (
            Object::new("task queue of the pool"),
            Object::new("result queue of the pool"),
        );
        Ok(Shared {
            // A worker that dies may take a wake-up along, but its replacement looks for tasks.
            tasks: Ring::new(capacity, tasks)?.with_long_sleeps(),
            results: Ring::new(capacity, results)?,
            in_hand: SharedMemory::new(workers)?,
        })
    }

    /// Takes a task, waiting for one.
    pub fn get_task(&self, task: &mut Vec<u8>, claim: &Claim<'_>) -> Result<(), RingError> {
        let (object, never) = (self.tasks.object().id(), Deadline::NEVER);
        around_item(Act::Get, object, never, || {
            self.tasks.get(task, never, claim)?;
            Ok(item(task))
        })
    }

    /// Sends outcomes, waiting for room.
    pub fn put_outcomes(&self, outcomes: &[u8]) -> Result<(), RingError> {
        let (object, never) = (self.results.object().id(), Deadline::NEVER);
        around_item(Act::Put, object, never, || {
            self.results.put(outcomes, never)?;
            Ok(item(outcomes))
        })
    }

    /// What each worker has in hand.
    pub fn in_hand(&self) -> &[AtomicU64] {
        // SAFETY: atomics that start as zeroes, mapped as long as `self`.
        unsafe { self.in_hand.items().as_ref() }
    }
}

/// Writes down that a worker takes a task, before the task is gone from the ring.
pub(super) struct Claim<'a> {
    pub in_hand: &'a [AtomicU64],
    pub worker: usize,
}

// ANCHOR: claim
impl Taker for Claim<'_> {
    fn claim(&self, record: &[u8]) {
        let points = Points::of(Act::Claim, ObjectId::NONE, Deadline::NEVER);
        points.before();
        self.in_hand[self.worker].store(parse(record).0, SeqCst);
        points.after_item(Outcome::Done, item(record));
    }

    fn disclaim(&self, record: &[u8]) {
        let (task, _) = parse(record);
        for hand in self.in_hand {
            let _ = hand.compare_exchange(task, IDLE, SeqCst, SeqCst);
        }
    }
}
// ANCHOR_END: claim

/// A message with several values: the submission's id, then each value with its length in front.
/// One that cannot be decoded so spoils no other.
pub(super) struct Batch {
    bytes: Vec<u8>,
    count: usize,
}

const ID: usize = size_of::<u64>();
const LENGTH: usize = size_of::<u32>();

impl Batch {
    pub fn new() -> Self {
        let mut bytes = Vec::with_capacity(64); // a small argument grows it no further
        bytes.extend([0; ID]);
        Batch { bytes, count: 0 }
    }

    /// The length of a message with one value of `size` bytes.
    pub fn len_with(size: usize) -> usize {
        ID + LENGTH + size
    }

    /// Adds the value that `write` appends, and says how long it is.
    pub fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        let start = self.bytes.len();
        self.bytes.extend([0; LENGTH]);
        write(&mut self.bytes);
        let size = self.bytes.len() - start - LENGTH;
        // What takes more than 32 bits fits into no ring.
        self.bytes[start..][..LENGTH].copy_from_slice(&(size as u32).to_le_bytes());
        self.count += 1;
        size
    }

    /// Takes back the last push, before which the batch had this length, and its memory.
    pub fn undo(&mut self, len: usize) {
        self.bytes.truncate(len);
        self.bytes.shrink_to(len);
        self.count -= 1;
    }

    /// Leaves only the last push, before which the batch had this length.
    pub fn keep_last(&mut self, len: usize) {
        self.bytes.drain(ID..len);
        self.count = 1;
    }

    pub fn clear(&mut self) {
        self.bytes.truncate(ID);
        self.count = 0;
    }

    pub fn count(&self) -> usize {
        self.count
    }

    /// In bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn set_id(&mut self, id: u64) {
        self.bytes[..ID].copy_from_slice(&id.to_le_bytes());
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// What a message is in a trace: its submission.
pub(super) fn item(message: &[u8]) -> u32 {
    parse(message).0 as u32
}

/// The id and the values of a message.
pub(super) fn parse(message: &[u8]) -> (u64, impl Iterator<Item = &[u8]>) {
    let (id, mut rest) = message.split_first_chunk().unwrap_or((&[0; 8], &[]));
    let values = std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk()?;
        let (value, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        rest = after;
        Some(value)
    });
    (u64::from_le_bytes(*id), values)
}

/// What the supervisor tells the parent.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Notice {
    /// All workers are there.
    Started,
    /// A worker ended while it had a task; its wait status.
    Died { task: u64, pid: u32, status: i32 },
    /// There are no workers and will be none.
    Broken(String),
}

impl Notice {
    pub fn to_message(&self) -> Vec<u8> {
        let mut message = NOTICE.to_le_bytes().to_vec();
        // Numbers and a string, which always can be encoded.
        let _ = encode(self, &mut message);
        message
    }

    pub fn parse(message: &[u8]) -> Option<Notice> {
        let (id, notice) = message.split_first_chunk()?;
        if u64::from_le_bytes(*id) != NOTICE {
            return None;
        }
        decode(notice).ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bytes as they come, and messages of values with lengths in front that may be wrong.
    fn message() -> impl Strategy<Value = Vec<u8>> {
        let length = prop_oneof![4 => 0..12_u32, 1 => any::<u32>()];
        let values =
            prop::collection::vec((length, prop::collection::vec(any::<u8>(), 0..12)), 0..6);
        let message = (0..4_u64, values).prop_map(|(id, values)| {
            let mut message = id.to_le_bytes().to_vec();
            for (length, bytes) in values {
                message.extend(length.to_le_bytes());
                message.extend(bytes);
            }
            message
        });
        prop_oneof![prop::collection::vec(any::<u8>(), 0..100), message]
    }

    fn notice() -> impl Strategy<Value = Notice> {
        prop_oneof![
            Just(()).prop_map(|()| Notice::Started),
            any::<(u64, u32, i32)>().prop_map(|(task, pid, status)| Notice::Died {
                task,
                pid,
                status
            }),
            ".{0,9}".prop_map(Notice::Broken),
        ]
    }

    proptest! {
        #[test]
        fn any_message_is_parsed_within_its_bounds(message in message()) {
            let (id, values) = parse(&message);
            prop_assert_eq!(id, message.first_chunk().map_or(0, |id| u64::from_le_bytes(*id)));
            // One after the other, each behind its length.
            let mut end = message.as_ptr() as usize + size_of::<u64>();
            for value in values {
                let start = value.as_ptr() as usize;
                prop_assert_eq!(start, end + size_of::<u32>());
                end = start + value.len();
            }
            let whole = message.as_ptr() as usize + message.len().max(size_of::<u64>());
            prop_assert!(end <= whole);
        }

        #[test]
        fn any_message_is_a_notice_or_none(message in message(), as_notice in any::<bool>()) {
            let mut message = message;
            if let (true, Some(id)) = (as_notice, message.first_chunk_mut()) {
                *id = NOTICE.to_le_bytes();
            }
            if let Some(notice) = Notice::parse(&message) {
                let again = Notice::parse(&notice.to_message());
                prop_assert_eq!(format!("{notice:?}"), format!("{:?}", again.unwrap()));
            }
        }

        #[test]
        fn a_notice_arrives(notice in notice()) {
            let arrived = Notice::parse(&notice.to_message()).unwrap();
            prop_assert_eq!(format!("{notice:?}"), format!("{arrived:?}"));
        }

        #[test]
        fn a_batch_arrives(id in any::<u64>(), values in prop::collection::vec(".{0,9}", 0..9)) {
            let mut batch = Batch::new();
            for value in &values {
                batch.push(|bytes| encode(value, bytes).unwrap());
            }
            prop_assert_eq!(batch.count(), values.len());
            batch.set_id(id);
            let (arrived, parts) = parse(batch.as_bytes());
            prop_assert_eq!(arrived, id);
            let parts: Result<Vec<String>, _> = parts.map(decode).collect();
            prop_assert_eq!(parts, Ok(values));
        }

        #[test]
        fn any_task_is_claimed_and_disclaimed(message in message()) {
            let in_hand = [const { AtomicU64::new(IDLE) }; 2];
            let claim = Claim { in_hand: &in_hand, worker: 1 };
            claim.claim(&message);
            prop_assert_eq!(in_hand[1].load(SeqCst), parse(&message).0);
            claim.disclaim(&message);
            prop_assert_eq!(in_hand.map(AtomicU64::into_inner), [IDLE; 2]);
        }
    }
}
