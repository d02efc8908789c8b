//! Programs that are looked at: this test, started with the name of one.

use std::env;
use std::fs;
use std::hint::black_box;
use std::os::unix::process::CommandExt;
use std::process::{Command, exit};
use std::thread::{self, sleep};
use std::time::Duration;

use common::{Lock, Manager, Pool, Process, Queue};
use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, raise};
use nix::unistd::alarm;

const ALL: [(&str, fn()); 19] = [
    ("fates", fates),
    ("circle", circle),
    ("holder", holder),
    ("threads", threads),
    ("many-threads", many_threads),
    ("execs", execs),
    ("open-circle", || {
        open_circle(|never, _| drop(never.get_timeout(LONG)));
    }),
    ("lock-of-a-third", || {
        open_circle(|_, of_a_third| drop(of_a_third.lock_timeout(LONG)));
    }),
    ("many", many),
    ("two-waits", two_waits),
    ("lock-of-two", lock_of_two),
    ("restless", restless),
    ("pool", pool),
    ("closes", closes),
    ("no-descriptor", no_descriptor),
    ("small-files", small_files),
    ("no-output", no_output),
    ("late-deadlock", late_deadlock),
    ("protected", protected),
];

/// In front of a program's name, which somebody might select trials by.
pub const PROGRAM: &str = "program:";

const LONG: Duration = Duration::from_secs(3600);
/// None of them lives longer, whatever happens to the test.
const LIFE: u32 = 180;

/// Runs the program that the command line names.
pub fn run() -> bool {
    let argument = env::args().nth(1).unwrap_or_default();
    let name = argument.strip_prefix(PROGRAM);
    let program = ALL.iter().find(|(known, _)| name == Some(*known));
    program
        .inspect(|(_, body)| {
            alarm::set(LIFE);
            body();
        })
        .is_some()
}

fn never() -> Queue<u32> {
    Queue::new().unwrap()
}

fn fates() {
    let never = never();
    let _manager = Manager::start().unwrap();
    let _dead = Process::spawn("fails", || -> () { exit(3) }).unwrap();
    let mut killed = Process::spawn("is killed", || sleep(LONG)).unwrap();
    killed.kill().unwrap();
    let _waits = Process::spawn("waits", || never.get().map(drop)).unwrap();
    let _sleeps = Process::spawn("sleeps", || sleep(LONG)).unwrap();
    let mut runs = Process::spawn("runs", || -> () {
        loop {
            black_box(0);
        }
    })
    .unwrap();
    runs.join_timeout(LONG).unwrap();
}

fn circle() {
    let locks = [Lock::new().unwrap(), Lock::new().unwrap()];
    let both = Queue::new().unwrap();
    let names = [("left", [0, 1]), ("right", [1, 0])];
    let mut two = names.map(|(name, [first, second])| {
        let (locks, both) = (&locks, &both);
        Process::spawn(name, move || {
            let _first = locks[first].lock().unwrap();
            both.put(&()).unwrap();
            while both.len().unwrap() < 2 {
                thread::yield_now();
            }
            drop(locks[second].lock_timeout(LONG));
        })
        .unwrap()
    });
    two[0].join().unwrap();
}

/// It holds three of five locks, and its child none.
fn holder() {
    let (never, locks) = (never(), [(); 5].map(|()| Lock::new().unwrap()));
    drop(Lock::new().unwrap());
    let _waits = Process::spawn("waits", || never.get_timeout(LONG).map(drop)).unwrap();
    let _held = [1, 2, 4].map(|lock: usize| locks[lock].lock().unwrap());
    never.get_timeout(LONG).unwrap_err();
}

/// One of them holds a lock and waits; the other one holds a lock, too.
fn threads() {
    let never = never();
    let (its, other) = (Lock::new().unwrap(), Lock::new().unwrap());
    let _other = other.lock().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let _its = its.lock().unwrap();
            never.get_timeout(LONG)
        });
        sleep(LONG);
    });
}

fn many_threads() {
    let never = never();
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| never.get_timeout(LONG));
        }
    });
}

/// Its child runs another program, and when that ends, so does it.
fn execs() {
    let another = || -> () { panic!("{}", Command::new("sleep").arg("60").exec()) };
    let never = never();
    let mut execs = Process::spawn("execs", another).unwrap();
    let _waits = Process::spawn("waits", || never.get_timeout(LONG).map(drop)).unwrap();
    execs.join_timeout(LONG).unwrap();
    another();
}

/// Two processes wait for each other's locks, but one's is held by a thread that may go on.
fn open_circle(waits: fn(&Queue<u32>, &Lock)) {
    let (never, ready, go) = (never(), never(), never());
    let [its, others, of_a_third] = [(); 3].map(|()| Lock::new().unwrap());
    let other = || {
        let _others = others.lock().unwrap();
        ready.put(&0).unwrap();
        go.get().unwrap();
        drop(its.lock_timeout(LONG));
    };
    let third = || {
        let _of_a_third = of_a_third.lock().unwrap();
        ready.put(&0).unwrap();
        sleep(LONG);
    };
    let _two = [
        Process::spawn("other", other).unwrap(),
        Process::spawn("third", third).unwrap(),
    ];
    ready.get().unwrap();
    ready.get().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let _its = its.lock().unwrap();
            go.put(&0).unwrap();
            waits(&never, &of_a_third);
        });
        drop(others.lock_timeout(LONG));
    });
}

/// With a lock, and without, and stops in between.
fn two_waits() {
    let (never, lock) = (never(), Lock::new().unwrap());
    let held = lock.lock().unwrap();
    never.get_timeout(Duration::from_secs(5)).unwrap_err();
    drop(held);
    raise(Signal::SIGSTOP).unwrap();
    never.get_timeout(LONG).unwrap_err();
}

/// Stops while a child waits for its lock, and gives it to another.
fn lock_of_two() {
    let (never, lock) = (never(), Lock::new().unwrap());
    let go = [(); 2].map(|()| Queue::new().unwrap());
    let waits = || {
        go[0].get().unwrap();
        drop(lock.lock_timeout(LONG));
    };
    let _waits = Process::spawn("waits", waits).unwrap();
    let second = || {
        go[1].get().unwrap();
        let _held = lock.lock().unwrap();
        never.get_timeout(LONG).map(drop)
    };
    let mut second = Process::spawn("second", second).unwrap();
    let held = lock.lock().unwrap();
    go[0].put(&()).unwrap();
    raise(Signal::SIGSTOP).unwrap();
    drop(held);
    go[1].put(&()).unwrap();
    second.join_timeout(LONG).unwrap();
}

fn many() {
    let never = never();
    for code in [0; 19].into_iter().chain([3]) {
        let mut ends = Process::spawn("ends", move || -> () { exit(code) }).unwrap();
        ends.join().unwrap();
    }
    let wait = || never.get_timeout(LONG).map(drop);
    let _all = [(); 12].map(|()| Process::spawn("waits", wait).unwrap());
    wait().unwrap();
}

/// Of each wait a third passes before it is noted.
fn restless() {
    let never = never();
    loop {
        never.get_timeout(Duration::from_millis(300)).unwrap_err();
    }
}

/// Its waits are made of shorter ones.
fn pool() {
    let task = |()| -> anyhow::Result<()> {
        sleep(LONG);
        Ok(())
    };
    let pool = Pool::new(1, task).unwrap();
    pool.apply(&()).unwrap();
}

fn closes() {
    let never = never();
    let mut closes = Process::spawn("closes", || {
        // SAFETY: a system call on numbers; nothing here uses what it closes.
        #[expect(unsafe_code, reason = "as a daemon does")]
        let closed = unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
        assert_eq!(closed, 0);
        never.get_timeout(LONG).map(drop)
    })
    .unwrap();
    closes.join_timeout(LONG).unwrap();
}

/// Shares under a limit, stops, and then waits without a table that others find.
fn limited(resource: Resource, limit: u64) {
    let (soft, hard) = getrlimit(resource).unwrap();
    setrlimit(resource, limit, hard).unwrap();
    let never = never();
    setrlimit(resource, soft, hard).unwrap();
    raise(Signal::SIGSTOP).unwrap();
    eprintln!("{}", never.get().unwrap_err());
}

fn no_descriptor() {
    limited(Resource::RLIMIT_NOFILE, 3);
}

fn small_files() {
    limited(Resource::RLIMIT_FSIZE, 4096);
}

fn no_output() {
    // SAFETY: a system call on numbers.
    #[expect(unsafe_code, reason = "as a daemon does")]
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 0, 2, 0) };
    let _never = never();
    let is_table = |number| {
        let path = fs::read_link(format!("/proc/self/fd/{number}"));
        path.is_ok_and(|path| path.to_string_lossy().contains("mp-who-waits"))
    };
    exit(i32::from(closed != 0 || (0..3).any(is_table)));
}

/// All wait, once its child goes on.
fn late_deadlock() {
    let never = never();
    let mut child = Process::spawn("waits later", || {
        raise(Signal::SIGSTOP).unwrap();
        never.get().map(drop)
    })
    .unwrap();
    if let Err(error) = child.join() {
        eprintln!("{error}");
    }
}

fn protected() {
    let never = never();
    set_dumpable(false).unwrap();
    println!("ready");
    never.get_timeout(LONG).unwrap_err();
}
