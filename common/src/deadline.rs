//! A point in time that every kind of wait here understands.

use std::panic::Location;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// No sleep is longer than this. A wake-up can be lost with a process that was killed right
/// after it was woken, or right before it would have woken somebody; the others then find out
/// for themselves this much later. Ten looks a second cost some 0.3 ms of CPU.
pub(crate) const LONGEST_SLEEP: Duration = Duration::from_millis(100);

/// When to give up waiting, on the clock that never jumps (`CLOCK_MONOTONIC`). The standard
/// library's `Instant` is the same clock but does not show its number, which `pthread` wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    /// In nanoseconds; [`FOR_EVER`] is never.
    end: u64,
    /// The line that waits so long, if it is the user's.
    pub caller: Option<&'static Location<'static>>,
}

/// Five hundred years after the clock's start.
const FOR_EVER: u64 = u64::MAX;

impl Deadline {
    pub const NEVER: Deadline = Deadline {
        end: FOR_EVER,
        caller: None,
    };
    /// Has passed, for which nobody needs to look at the clock.
    pub const NOW: Deadline = Deadline {
        end: 0,
        caller: None,
    };

    /// No limit, in a call of the user's.
    #[track_caller]
    pub fn never() -> Self {
        Deadline {
            caller: Some(Location::caller()),
            ..Self::NEVER
        }
    }

    /// So long from now, in a call of the user's.
    #[track_caller]
    pub fn within(limit: Duration) -> Self {
        Deadline {
            caller: Some(Location::caller()),
            ..Self::after(limit)
        }
    }

    /// A limit too far away to be represented is no limit.
    pub fn after(limit: Duration) -> Self {
        if limit.is_zero() {
            return Self::NOW;
        }
        let end = now().checked_add(limit);
        let end = end.and_then(|end| u64::try_from(end.as_nanos()).ok());
        Deadline {
            end: end.unwrap_or(FOR_EVER),
            caller: None,
        }
    }

    /// The later of this deadline and `grace` from now.
    pub fn at_least(self, grace: Duration) -> Self {
        match self.remaining() {
            Some(left) if left < grace => Self {
                caller: self.caller,
                ..Self::after(grace)
            },
            _ => self,
        }
    }

    /// The time left, zero once it has passed; `None` for a wait without a limit.
    pub fn remaining(self) -> Option<Duration> {
        match self.end {
            FOR_EVER => None,
            0 => Some(Duration::ZERO),
            end => Some(Duration::from_nanos(end).saturating_sub(now())),
        }
    }

    #[inline]
    pub fn is_limited(self) -> bool {
        self.end != FOR_EVER
    }

    pub fn has_passed(self) -> bool {
        self.remaining() == Some(Duration::ZERO)
    }

    /// The absolute time for `pthread_mutex_clocklock`, at most `limit` from now.
    pub fn timespec_within(self, limit: Duration) -> libc::timespec {
        let end = now().saturating_add(self.remaining().map_or(limit, |left| left.min(limit)));
        libc::timespec {
            tv_sec: libc::time_t::try_from(end.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: end.subsec_nanos().into(),
        }
    }
}

/// The time on that clock.
pub(crate) fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map(Duration::from)
        .unwrap_or_default()
}
