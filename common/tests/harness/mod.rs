//! Runs trials one after the other on the main thread, so that they can fork, and checks after
//! each that it left nothing behind.

#![allow(dead_code, reason = "each suite uses some of it")]

use std::fs;
use std::io::{Read, Seek};
use std::os::fd::AsFd;
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Lock, Outcome, Process};
use libtest_mimic::{Arguments, Failed, Trial};
use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{alarm, dup2_stderr, dup2_stdout};

/// After this many seconds in one trial, `SIGALRM` ends the whole run: something hangs.
const TRIAL_LIMIT: u32 = 60;
/// How long to wait for what must happen soon, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(10);

/// Lists the trials of a module: `trials![first, second]`.
macro_rules! trials {
    ($($name:ident),* $(,)?) => {
        /// The trials of this module.
        pub fn trials() -> Vec<libtest_mimic::Trial> {
            vec![$(
                $crate::harness::trial(concat!(module_path!(), "::", stringify!($name)), $name)
            ),*]
        }
    };
}

/// A trial that must leave no child and no open descriptor.
pub fn trial(name: &str, body: fn()) -> Trial {
    let name = name.split_once("::").map_or(name, |(_, name)| name);
    Trial::test(name, move || {
        alarm::set(TRIAL_LIMIT);
        let before = descriptors();
        body();
        alarm::cancel();
        let children = waitpid(None, Some(WaitPidFlag::WNOHANG));
        if children != Err(Errno::ECHILD) {
            return Err(Failed::from(format!("a child was left: {children:?}")));
        }
        if descriptors() != before {
            return Err(Failed::from(format!(
                "{before} descriptors before, {} after",
                descriptors()
            )));
        }
        Ok(())
    })
}

/// Runs all trials that the command line selects.
pub fn main(trials: Vec<Trial>) {
    // A script's background job ignores it, and so would the children that a trial interrupts.
    // SAFETY: the default handler runs no code of this program.
    unsafe { signal(Signal::SIGINT, SigHandler::SigDfl) }.unwrap();
    // The first use opens the wait table, for as long as this process lives.
    drop(Lock::new().unwrap());
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials).exit();
}

/// How many descriptors this process has open.
pub fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Waits until the condition holds; `what` it is, for the message if it never does.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < PATIENCE,
            "not within {PATIENCE:?}: {what}"
        );
        sleep(Duration::from_millis(1));
    }
}

/// The state letter of a process in `/proc/PID/stat`; `None` if there is no such process.
pub fn state(pid: u32) -> Option<char> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    line.rsplit_once(") ")?.1.chars().next()
}

/// Waits until the process sleeps, in whatever it waits for.
#[track_caller]
pub fn until_asleep(pid: u32) {
    eventually("the process sleeps", || state(pid) == Some('S'));
}

/// Waits until the process, which waits in a call without a limit, is noted in the wait table: when
/// it has slept again and again.
#[track_caller]
pub fn until_noted(pid: u32) {
    let mut sleeps = None;
    eventually("the process naps", || {
        if state(pid) != Some('S') {
            return false;
        }
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let count = status.split("\nvoluntary_ctxt_switches:\t").nth(1);
        let count: u64 = count.unwrap().lines().next().unwrap().parse().unwrap();
        count > *sleeps.get_or_insert(count) + 2
    });
}

/// Waits until the process has ended, reaped or not.
#[track_caller]
pub fn until_gone(pid: u32) {
    eventually("the process is gone", || {
        matches!(state(pid), None | Some('Z' | 'X'))
    });
}

/// What a child wrote to standard output and standard error, and its exit code.
pub fn output_of<R: Outcome>(body: impl FnOnce() -> R + Send) -> (String, String, Option<i32>) {
    let files = ["stdout", "stderr"]
        .map(|name| std::fs::File::from(memfd_create(name, MFdFlags::MFD_CLOEXEC).unwrap()));
    let mut child = Process::spawn("captured", || {
        dup2_stdout(files[0].as_fd()).unwrap();
        dup2_stderr(files[1].as_fd()).unwrap();
        body()
    })
    .unwrap();
    // With a limit: whoever waits without one may be told of a deadlock.
    let ended = child.join_timeout(PATIENCE * 3).unwrap();
    let code = ended.expect("it ends").code();
    let [stdout, stderr] = files.map(|mut file| {
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    });
    (stdout, stderr, code)
}

/// A child that must end well.
pub fn child<R: Outcome>(name: &str, body: impl FnOnce() -> R + Send) -> Process {
    Process::spawn(name, body).unwrap()
}

/// Joins a child that must end well.
#[track_caller]
pub fn finish(mut child: Process) {
    let status = child.join().unwrap();
    assert!(status.success(), "{}: {status}", child.name());
}

/// Kills a child and waits for its end.
pub fn kill(mut child: Process) {
    child.kill().unwrap();
    child.join().unwrap();
}

/// Never ends, without using the processor.
pub fn sleep_for_ever() {
    loop {
        nix::unistd::pause();
    }
}
