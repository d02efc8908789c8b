//! Whether other programs were at work while something was measured.

use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// Work that has begun.
pub struct Watch {
    start: Instant,
    cpu: Duration,
}

/// How long it took, and which part it had of the processor time that it could use.
pub struct Took {
    pub time: Duration,
    pub share: f64,
}

impl Watch {
    pub fn start() -> Result<Watch> {
        Ok(Watch {
            start: Instant::now(),
            cpu: cpu()?,
        })
    }

    /// So many worked at a time.
    pub fn stop(&self, workers: usize) -> Result<Took> {
        let time = self.start.elapsed();
        let cores = available_parallelism()?.get().min(workers);
        let used = (cpu()? - self.cpu).as_secs_f64();
        let share = used / (time.as_secs_f64() * cores as f64);
        Ok(Took { time, share })
    }
}

/// The CPU time of this process, and of all below it that were waited for.
fn cpu() -> Result<Duration> {
    let mut micros = 0;
    for who in [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN] {
        let usage = getrusage(who)?;
        micros += (usage.user_time() + usage.system_time()).num_microseconds();
    }
    Ok(Duration::from_micros(micros.try_into()?))
}

/// What to say when the load spoils the ratios: a work had less than nine tenths of its cores.
///
/// Nothing is said of less than a tenth of a second, in which the start of the processes counts.
pub fn warning(works: &[Took]) -> Option<String> {
    let long = |took: &&Took| took.time >= Duration::from_millis(100);
    let least = works.iter().filter(long).map(|took| took.share);
    let least = least.min_by(f64::total_cmp)?;
    (least < 0.9).then(|| {
        let percent = 100.0 * least;
        format!("The machine was busy and left {percent:.0} % of its time: the ratios mean little.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warning_of(millis: u64, share: f64) -> Option<String> {
        let time = Duration::from_millis(millis);
        let idle = Took { time, share: 0.98 };
        warning(&[idle, Took { time, share }])
    }

    #[test]
    fn the_least_share_decides() {
        assert_eq!(warning_of(500, 0.93), None);
        let text = warning_of(500, 0.61).expect("a warning");
        assert!(text.contains(" 61 % of"), "{text}");
    }

    #[test]
    fn what_is_over_at_once_says_nothing() {
        assert_eq!(warning_of(20, 0.61), None);
    }
}
