//! What a process of the family writes down, and where it stops on the way.

use std::env;
use std::os::unix::process::parent_id;
use std::panic::Location;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use std::os::unix::process::ExitStatusExt;

use nix::sys::signal::{Signal, kill};
use nix::unistd::getpid;

use super::event::{Act, ObjectId, Outcome, Side};
use super::file;
use super::record::{HoldPlace, Kind, REACHED, Record, SET};
use crate::atomic::{AtomicU32, Ordering::*};
use crate::identity::{Identity, own_pid};
use crate::words::complain;

/// How long a process that is held sleeps between two looks.
const NAP: Duration = Duration::from_millis(1);
/// After so many naps it asks whether the onlooker lives.
const PATIENCE: u32 = 100;

/// This process's part in a record.
struct Recorder {
    record: Record,
    /// How often this process was at each point.
    visits: [AtomicU32; 2 * Act::ALL.len()],
    /// Which holds are meant for this process, by its name: a bit each.
    holds: AtomicU32,
}

/// A child has a copy.
static RECORDER: OnceLock<Option<Recorder>> = OnceLock::new();

fn recorder() -> Option<&'static Recorder> {
    let recorder = RECORDER.get_or_init(|| {
        let path = env::var_os("MP_TRACE")?;
        match file::join(Path::new(&path), places()) {
            Ok(record) => Some(Recorder::new(record)),
            Err(error) => {
                complain(&format!(
                    "MP_TRACE is {path:?}, but {error}: name a new file where this program may \
                     write one; nothing is recorded now"
                ));
                None
            }
        }
    });
    recorder.as_ref()
}

/// How many there are to be in a new record.
fn places() -> usize {
    let Some(text) = env::var_os("MP_TRACE_EVENTS") else {
        return file::PLACES;
    };
    let number = text.to_str().and_then(|text| text.parse().ok());
    number
        .filter(|number| (1..=file::MOST_PLACES).contains(number))
        .unwrap_or_else(|| {
            complain(&format!(
                "MP_TRACE_EVENTS is {text:?}: set it to how many events there is to be room for, \
                 from 1 to {}; there is room for {} now",
                file::MOST_PLACES,
                file::PLACES
            ));
            file::PLACES
        })
}

/// This process is at a point; says whether anybody asked for that.
pub(crate) fn at(
    act: Act,
    object: ObjectId,
    limited: bool,
    outcome: Option<Outcome>,
    number: u32,
) -> bool {
    let Some(recorder) = recorder() else {
        return false;
    };
    let (side, kind) = match outcome {
        None => (Side::Before, Kind::Before { act, limited }),
        Some(outcome) => {
            let after = Kind::After {
                act,
                limited,
                outcome,
            };
            (Side::After, after)
        }
    };
    recorder.record.write(kind, object, number, "");
    if outcome.is_none_or(|it| it == Outcome::Done) {
        recorder.visit(act, side);
    }
    true
}

/// This process was spawned just now.
pub(crate) fn born(name: &str) {
    if let Some(recorder) = recorder() {
        recorder.visits.iter().for_each(|it| it.store(0, Relaxed));
        recorder.begins(name);
        recorder.visit(Act::Spawn, Side::After);
    }
}

/// A child of this process has ended.
pub(crate) fn ended(pid: u32, status: ExitStatus) {
    if let Some(recorder) = recorder() {
        let (child, status) = (ObjectId(pid.into()), status.into_raw().cast_unsigned());
        recorder.record.write(Kind::Ended, child, status, "");
    }
}

/// This process, a child, is about to end.
pub(crate) fn exits(code: i32) {
    if let Some(recorder) = recorder() {
        let code = code.cast_unsigned();
        recorder.record.write(Kind::Exits, ObjectId::NONE, code, "");
    }
}

/// This process, a server, does what a client has asked for.
pub(crate) fn serves(object: u32, client: u32) {
    if let Some(recorder) = recorder() {
        let object = ObjectId::of_a_server(own_pid(), object);
        recorder.record.write(Kind::Serves, object, client, "");
    }
}

/// Something was made, there; what its number is.
pub(crate) fn made(kind: &str, place: &Location<'_>) -> ObjectId {
    let id = recorder().map_or(ObjectId::NONE, |it| ObjectId(it.record.number()));
    made_by_a_server(id, kind, place);
    id
}

/// The same, with a number of its own.
pub(crate) fn made_by_a_server(id: ObjectId, kind: &str, place: &Location<'_>) {
    if let Some(recorder) = recorder() {
        let text = format!("{kind}\n{}:{}", place.file(), place.line());
        recorder.record.write(Kind::Made, id, 0, &text);
    }
}

/// This process closes a queue.
pub(crate) fn close(object: ObjectId) {
    if let Some(recorder) = recorder() {
        recorder.record.write(Kind::Close, object, 0, "");
    }
}

/// A thread of this process sleeps, for this reason, in a call there.
pub(crate) fn asleep(
    caller: Option<&Location<'_>>,
    upon: Option<u32>,
    reason: impl FnOnce() -> String,
) {
    if let Some(recorder) = recorder() {
        let caller = caller.map(|at| format!("\n{}:{}", at.file(), at.line()));
        let text = reason() + &caller.unwrap_or_default();
        let upon = upon.unwrap_or(0);
        recorder
            .record
            .write(Kind::Asleep, ObjectId::NONE, upon, &text);
    }
}

/// It does no more.
pub(crate) fn awake() {
    if let Some(recorder) = recorder() {
        recorder.record.write(Kind::Awake, ObjectId::NONE, 0, "");
    }
}

/// Nobody can go on; says whether an onlooker wants to know, who knows it now.
pub(crate) fn tell_deadlock(story: &str) -> bool {
    recorder().is_some_and(|recorder| recorder.record.head().deadlock.tell(story))
}

impl Recorder {
    fn new(record: Record) -> Self {
        let recorder = Recorder {
            record,
            visits: [const { AtomicU32::new(0) }; 2 * Act::ALL.len()],
            holds: AtomicU32::new(0),
        };
        recorder.begins("main");
        recorder
    }

    fn begins(&self, name: &str) {
        let holds = self.record.head().holds.iter().enumerate();
        let is_meant = |hold: &HoldPlace| hold.state.load(Acquire) == SET && hold.process.is(name);
        let mine = holds.filter(|(_, hold)| is_meant(hold));
        let mine = mine.fold(0, |mine, (bit, _)| mine | 1 << bit);
        self.holds.store(mine, Relaxed);
        self.record
            .write(Kind::Born, ObjectId::NONE, parent_id(), name);
    }

    /// Counts, and stops or ends here if an onlooker wants that.
    fn visit(&self, act: Act, side: Side) {
        let point = point(act, side);
        let nth = self.visits[point as usize].fetch_add(1, Relaxed) + 1;
        let mine = self.holds.load(Relaxed);
        if mine == 0 {
            return;
        }
        let holds = self.record.head().holds.iter().enumerate();
        for (_, hold) in holds.filter(|(bit, _)| mine >> bit & 1 != 0) {
            let is_here = hold.point.load(Relaxed) == point && hold.nth.load(Relaxed) == nth;
            if is_here
                && hold
                    .state
                    .compare_exchange(SET, REACHED, Relaxed, Relaxed)
                    .is_ok()
            {
                self.stay(hold);
            }
        }
    }

    fn stay(&self, hold: &HoldPlace) {
        hold.pid.store(own_pid(), Release);
        if hold.kills.load(Relaxed) != 0 {
            let _ = kill(getpid(), Signal::SIGKILL);
        }
        let onlooker = Identity(self.record.head().onlooker.load(Relaxed));
        let mut naps = 0_u32;
        while hold.state.load(Relaxed) == REACHED {
            naps += 1;
            if naps.is_multiple_of(PATIENCE) && !onlooker.is_alive() {
                return;
            }
            thread::sleep(NAP);
        }
    }
}

/// A point's number, from 0 on.
pub(super) fn point(act: Act, side: Side) -> u32 {
    2 * act as u32 + side as u32
}
