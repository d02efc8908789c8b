//! The record's memory: a head, and places of 32 bytes that are taken one after the other.
//!
//! An event is written in two steps, as a record of the ring is. One addition takes its places;
//! when all else is written, one store to the first word of the first says what it is. A process
//! that is killed in between leaves places that say nothing. A text lies in the places behind its
//! event's, each of which says that it is one.
//!
//! Any process of the family can write anything there. So all is atomic, and a reader believes
//! nothing.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use super::event::{Act, Event, ObjectId, Outcome, What};
use nix::unistd::gettid;

use crate::atomic::{AtomicU32, AtomicU64, Ordering::*};
use crate::deadline::now;
use crate::identity::own_pid;
use crate::memory::{SharedMemory, Text};

pub(super) type Memory = SharedMemory<Head, Place>;

/// How many holds there can be.
pub(super) const HOLDS: usize = 8;
/// No text is longer, in bytes: ten bits have room for that.
const LONGEST_TEXT: usize = 1000;
/// A thread's id has no more.
const THREAD_BITS: u32 = 22;
/// What a record begins with: its version, too.
const MAGIC: u64 = u64::from_ne_bytes(*b"mptrace2");

/// All zeroes at first.
pub(super) struct Head {
    magic: AtomicU64,
    /// The beginning, in nanoseconds on the clock that never jumps.
    start: AtomicU64,
    /// The first process of the program, and who looks on, as
    /// [`Identity`](crate::identity::Identity) has them; 0 for nobody.
    pub root: AtomicU64,
    pub onlooker: AtomicU64,
    /// How many objects have a number.
    objects: AtomicU64,
    /// How many places are taken. It goes on when there are no more.
    taken: AtomicU64,
    dropped: AtomicU64,
    pub holds: [HoldPlace; HOLDS],
    pub deadlock: DeadlockPlace,
}

/// See [`Hold`](super::event::Hold).
pub(super) struct HoldPlace {
    /// [`FREE`], and so on.
    pub state: AtomicU32,
    /// Who is there, or was.
    pub pid: AtomicU32,
    pub point: AtomicU32,
    pub nth: AtomicU32,
    pub kills: AtomicU32,
    pub process: Text<48>,
}

pub(super) const FREE: u32 = 0;
pub(super) const SET: u32 = 1;
pub(super) const REACHED: u32 = 2;
pub(super) const RELEASED: u32 = 3;

/// The story of a deadlock, told once.
pub(super) struct DeadlockPlace {
    state: AtomicU32,
    story: Text<8192>,
}

const UNWANTED: u32 = 0;
const WANTED: u32 = 1;
const IN_WRITING: u32 = 2;
const TOLD: u32 = 3;

impl DeadlockPlace {
    pub fn ask(&self) {
        let _ = self
            .state
            .compare_exchange(UNWANTED, WANTED, Relaxed, Relaxed);
    }

    /// Whether somebody wants to know, which the first to tell does.
    pub fn tell(&self, story: &str) -> bool {
        let first = self
            .state
            .compare_exchange(WANTED, IN_WRITING, Relaxed, Relaxed);
        if first.is_ok() {
            self.story.write(story);
            self.state.store(TOLD, Release);
        }
        first != Err(UNWANTED)
    }

    pub fn read(&self) -> Option<String> {
        (self.state.load(Acquire) == TOLD).then(|| self.story.read())
    }
}

/// What kind of event it is, as its first word says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Text,
    Born,
    Ended,
    Made,
    Close,
    Asleep,
    Awake,
    Exits,
    Serves,
    Before {
        act: Act,
        limited: bool,
    },
    After {
        act: Act,
        limited: bool,
        outcome: Outcome,
    },
}

const OUTCOMES: [Outcome; 4] = [
    Outcome::Done,
    Outcome::TimedOut,
    Outcome::Closed,
    Outcome::Failed,
];

impl Kind {
    /// Not 0, which is a place where nothing is written yet.
    fn word(self) -> u32 {
        match self {
            Kind::Text => 1,
            Kind::Born => 2,
            Kind::Ended => 3,
            Kind::Made => 4,
            Kind::Close => 5,
            Kind::Asleep => 6,
            Kind::Awake => 7,
            Kind::Exits => 8,
            Kind::Serves => 9,
            Kind::Before { act, limited } => word(10, act, limited, 0),
            Kind::After {
                act,
                limited,
                outcome,
            } => word(11, act, limited, outcome as u8),
        }
    }

    fn of(word: u32) -> Option<Self> {
        let [kind, act, limited, outcome] = word.to_le_bytes();
        let act = Act::ALL.get(usize::from(act)).copied();
        let outcome = OUTCOMES.get(usize::from(outcome)).copied();
        let limited = limited != 0;
        Some(match kind {
            1 => Kind::Text,
            2 => Kind::Born,
            3 => Kind::Ended,
            4 => Kind::Made,
            5 => Kind::Close,
            6 => Kind::Asleep,
            7 => Kind::Awake,
            8 => Kind::Exits,
            9 => Kind::Serves,
            10 => Kind::Before { act: act?, limited },
            11 => Kind::After {
                act: act?,
                limited,
                outcome: outcome?,
            },
            _ => return None,
        })
    }
}

fn word(kind: u8, act: Act, limited: bool, outcome: u8) -> u32 {
    u32::from_le_bytes([kind, act as u8, limited.into(), outcome])
}

/// Words behind a place's first.
const WORDS: usize = 7;
/// How much of a text goes into one place.
const PART: usize = WORDS * size_of::<u32>();

/// Its first word is a [`Kind`]'s. Then an event's has the pid, the time, the object and another
/// number, of which the second and the third are of two words; and in the last the thread's id,
/// which has 22 bits, and the length of the text.
pub(super) struct Place {
    kind: AtomicU32,
    words: [AtomicU32; WORDS],
}

impl Place {
    fn write(&self, kind: Kind, words: [u32; WORDS]) {
        let places = self.words.iter().zip(words);
        places.for_each(|(place, word)| place.store(word, Relaxed));
        self.kind.store(kind.word(), Release);
    }

    fn read(&self) -> Option<(Kind, [u32; WORDS])> {
        let kind = Kind::of(self.kind.load(Acquire))?;
        Some((kind, self.words.each_ref().map(|word| word.load(Relaxed))))
    }
}

/// A record, to write it and to read it.
pub(super) struct Record(pub Memory);

impl Record {
    pub fn head(&self) -> &Head {
        // SAFETY: atomics, for which anything is a value, mapped as long as `self`.
        unsafe { self.0.head().as_ref() }
    }

    fn places(&self) -> &[Place] {
        // SAFETY: as above.
        unsafe { self.0.items().as_ref() }
    }

    /// Makes zeroes a record. Whoever finds it to be one finds it whole.
    pub fn begin(&self, root: u64, onlooker: u64) {
        let head = self.head();
        head.start.store(nanoseconds(), Relaxed);
        head.root.store(root, Relaxed);
        head.onlooker.store(onlooker, Relaxed);
        head.magic.store(MAGIC, Release);
    }

    pub fn is_one(&self) -> bool {
        self.head().magic.load(Acquire) == MAGIC
    }

    /// Another object's number, from 1 on.
    pub fn number(&self) -> u64 {
        self.head().objects.fetch_add(1, Relaxed) + 1
    }

    /// Writes an event of this process.
    pub fn write(&self, kind: Kind, object: ObjectId, number: u32, text: &str) {
        let text = text.as_bytes();
        let text = &text[..text.len().min(LONGEST_TEXT)];
        let count = 1 + text.len().div_ceil(PART);
        let head = self.head();
        // One order for all: what was to happen before this has its place before this.
        let at = head.taken.fetch_add(count as u64, SeqCst);
        let places = usize::try_from(at).ok().and_then(|at| {
            let end = at.checked_add(count)?;
            self.places().get(at..end)
        });
        let Some([place, parts @ ..]) = places else {
            head.dropped.fetch_add(1, Relaxed);
            return;
        };
        for (place, part) in parts.iter().zip(text.chunks(PART)) {
            let mut bytes = [0; PART];
            bytes[..part.len()].copy_from_slice(part);
            place.write(Kind::Text, bytemuck::cast(bytes));
        }
        let [time, time_high] = halves(nanoseconds());
        let [object, object_high] = halves(object.0);
        let words = [
            own_pid(),
            time,
            time_high,
            object,
            object_high,
            number,
            (text.len() as u32) << THREAD_BITS | gettid().as_raw().cast_unsigned(),
        ];
        place.write(kind, words);
    }

    /// How many places are taken.
    pub fn len(&self) -> usize {
        let taken = self.head().taken.load(SeqCst);
        usize::try_from(taken).map_or(self.places().len(), |taken| taken.min(self.places().len()))
    }

    pub fn dropped(&self) -> u64 {
        self.head().dropped.load(Relaxed)
    }

    pub fn events(&self) -> impl Iterator<Item = Event> {
        let places = &self.places()[..self.len()];
        (0..places.len()).filter_map(|at| self.event(&places[at..]))
    }

    /// The event that begins here, if one does.
    fn event(&self, places: &[Place]) -> Option<Event> {
        let [place, behind @ ..] = places else {
            return None;
        };
        let (kind, words) = place.read()?;
        let [pid, time, time_high, object, object_high, number, last] = words;
        let (thread, length) = (last & !(!0 << THREAD_BITS), last >> THREAD_BITS);
        let time = whole(time, time_high).saturating_sub(self.head().start.load(Relaxed));
        let number_of = whole(object, object_high);
        let object = ObjectId(number_of);
        let named = (object != ObjectId::NONE).then_some(object);
        let text = || text(behind, length);
        let two_texts = || {
            let text = text();
            let (first, second) = text.split_once('\n').unwrap_or((&text, ""));
            (first.to_owned(), second.to_owned())
        };
        let what = match kind {
            Kind::Text => return None,
            Kind::Born => What::Born {
                name: text(),
                parent: number,
            },
            Kind::Ended => What::Ended {
                pid: number_of as u32,
                status: ExitStatus::from_raw(number.cast_signed()),
            },
            Kind::Made => {
                let (kind, place) = two_texts();
                What::Made {
                    object,
                    kind,
                    place,
                }
            }
            Kind::Close => What::Close { object },
            Kind::Asleep => {
                let (reason, place) = two_texts();
                What::Asleep {
                    reason,
                    place,
                    upon: (number != 0).then_some(number),
                }
            }
            Kind::Awake => What::Awake,
            Kind::Exits => What::Exits {
                code: number.cast_signed(),
            },
            Kind::Serves => What::Serves {
                object,
                client: number,
            },
            Kind::Before { act, limited } => What::Before {
                act,
                object: named,
                value: value(number).filter(|_| act == Act::Unlock),
                limited,
            },
            Kind::After {
                act,
                limited,
                outcome,
            } => What::After {
                act,
                object: named,
                item: (number != 0 && act != Act::Lock).then_some(number),
                value: value(number).filter(|_| act == Act::Lock),
                limited,
                outcome,
            },
        };
        let time = Duration::from_nanos(time);
        Some(Event {
            pid,
            thread,
            time,
            what,
        })
    }
}

/// A text of so many bytes, or as much of it as is there.
fn text(places: &[Place], length: u32) -> String {
    let length = LONGEST_TEXT.min(length as usize);
    let parts = places.iter().take(length.div_ceil(PART));
    let parts = parts.map_while(|place| match place.read()? {
        (Kind::Text, words) => Some(bytemuck::cast::<_, [u8; PART]>(words)),
        _ => None,
    });
    let mut bytes: Vec<u8> = parts.flatten().collect();
    bytes.truncate(length);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A value as the number of an event, in which 0 is none.
pub(crate) fn encode(value: Option<i32>) -> u32 {
    value.map_or(0, |value| value.cast_unsigned() ^ NO_VALUE)
}

fn value(number: u32) -> Option<i32> {
    (number != 0).then_some((number ^ NO_VALUE).cast_signed())
}

/// That of a value which is taken for none: the smallest one.
const NO_VALUE: u32 = i32::MIN.cast_unsigned();

fn nanoseconds() -> u64 {
    now().as_nanos() as u64
}

fn halves(word: u64) -> [u32; 2] {
    [word as u32, (word >> 32) as u32]
}

fn whole(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}
