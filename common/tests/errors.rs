//! Provokes the errors that a user of `common` can meet, for the book's index of them.

#![allow(clippy::unwrap_used, missing_docs)]

#[macro_use]
mod harness;

use std::any::type_name;
use std::cell::OnceCell;
use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::io::{Write, stdout};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio, exit};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use common::{
    Lock, LockError, LockProxy, Manager, Onlooker, Outcome, Pool, PoolError, Process, Queue,
    ScopeError, TaskError, Value, ValueProxy, pipe,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill as signal_to, raise};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, dup2_stdout, getppid};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use testing::{Claim, Program, assert_output, chain, exact, masked};

use harness::{child, eventually, finish, kill, output_of, sleep_for_ever, until_gone};

trials![
    starting,
    on_standard_error,
    waiting,
    locking,
    queues,
    pipes,
    managers,
    pools,
    tasks,
    deadlocks,
    looking
];

fn main() {
    if let Some(deadlock) = env::args().nth(1).and_then(|name| deadlock(&name)) {
        return print!("{}", deadlock());
    }
    AT_THE_END.with(|_| ()); // used first, so dropped last
    harness::main(trials());
}

/// An error as people read it: which one, and the message with its causes.
fn line<T, E: Error + Send + Sync + 'static>(refused: Result<T, E>) -> String {
    let error = refused.err().unwrap();
    let kind = type_name::<E>().rsplit("::").next().unwrap();
    let debug = format!("{error:?}");
    let variant = debug
        .split(|c: char| !c.is_alphanumeric())
        .next()
        .unwrap()
        .to_owned();
    format!("{kind}::{variant}: {:#}\n", anyhow::Error::new(error))
}

fn in_a_child(refused: impl FnOnce() -> String + Send) -> String {
    let line = Queue::new().unwrap();
    finish(child("child", || line.put(&refused())));
    line.get().unwrap()
}

fn beside_a_thread(refused: impl FnOnce() -> String) -> String {
    let (stop, stopped) = mpsc::channel::<()>();
    let thread = thread::spawn(move || stopped.recv());
    let line = refused();
    drop(stop);
    thread.join().unwrap().unwrap_err();
    line
}

fn without_descriptors(refused: impl FnOnce() -> String + Send) -> String {
    in_a_child(|| {
        let lowest_free = File::open("/dev/null").unwrap().as_raw_fd();
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, lowest_free as u64, hard).unwrap();
        refused()
    })
}

/// Keeps a child for ever in what `body` returns.
fn held<R>(body: impl FnOnce() -> R + Send) -> Process {
    let is_held = Value::new(0_u8).unwrap();
    let holder = child("holder", || {
        let _held = body();
        *is_held.lock().unwrap() = 1;
        sleep_for_ever();
    });
    eventually("it is held", || *is_held.lock().unwrap() == 1);
    holder
}

/// Compares all lines with a snapshot.
fn compare(name: &str, lines: impl IntoIterator<Item = String>, mask: impl FnOnce(Claim) -> Claim) {
    let lines: String = lines.into_iter().collect();
    assert_output!(name, mask(exact(lines)));
}

struct AtTheEnd(Box<dyn Fn()>);

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        self.0();
    }
}

thread_local! {
    static AT_THE_END: OnceCell<AtTheEnd> = const { OnceCell::new() };
}

fn starting() {
    let refused = || line(Process::spawn("refused", || ()));
    let threads = beside_a_thread(refused);
    let lock = Lock::new().unwrap();
    let guard = lock.lock().unwrap();
    let holding = refused();
    drop(guard);
    let ending: &'static Queue<String> = Box::leak(Box::new(Queue::new().unwrap()));
    finish(child("ends", || -> () {
        let at_the_end = AtTheEnd(Box::new(move || ending.put(&refused()).unwrap()));
        AT_THE_END.with(|end| end.set(at_the_end).ok().unwrap());
        exit(0)
    }));
    let full = in_a_child(|| {
        let open = |path| File::options().write(true).open(path).unwrap();
        dup2_stdout(open("/dev/full")).unwrap();
        print!("too much");
        let line = refused();
        dup2_stdout(open("/dev/null")).unwrap();
        stdout().flush().unwrap();
        line
    });
    let ending = ending.get().unwrap();
    let system = without_descriptors(refused);
    compare("starting", [threads, holding, ending, full, system], exact);
}

fn on_standard_error() {
    fn end<R: Outcome>(name: &str, body: impl FnOnce() -> R + Send) {
        child(name, body).join().unwrap();
    }
    let (_, printed, _) = output_of(|| {
        end("reader", || {
            anyhow::Context::context(File::open("/no/such/file"), "cannot read the list").map(drop)
        });
        end("printer", || {
            dup2_stdout(File::options().write(true).open("/dev/full").unwrap()).unwrap();
            print!("too much");
        });
        end("divider", || -> () { panic!("why") });
        end("forgetful", || {
            let lock: &'static Lock = Box::leak(Box::new(Lock::new().unwrap()));
            let forget = || std::mem::forget(lock.lock().unwrap());
            thread::spawn(forget).join().unwrap();
        });
    });
    let ours = |line: &&str| line.starts_with("process ") || line.starts_with("a thread ");
    let lines = printed.lines().filter(ours).map(|line| format!("{line}\n"));
    compare("on_standard_error", lines, exact);
}

fn waiting() {
    let mut process = child("counter", || ());
    process.join().unwrap();
    let ended = line(process.kill());
    let mut process = child("counter", || ());
    waitpid(Pid::from_raw(process.pid().cast_signed()), None).unwrap();
    let lost = line(process.join());
    let mut process = child("counter", sleep_for_ever);
    let another = in_a_child(|| line(process.join()));
    kill(process);
    let killed = line(common::scope(|scope| -> Result<(), ScopeError> {
        scope.spawn("counter", || raise(Signal::SIGKILL)).unwrap();
        Ok(())
    }));
    let lost_in_scope = line(common::scope(|scope| -> Result<(), ScopeError> {
        let process = scope.spawn("counter", || ()).unwrap();
        waitpid(Pid::from_raw(process.pid().cast_signed()), None).unwrap();
        Ok(())
    }));
    let lines = [ended, lost, another, killed, lost_in_scope];
    compare("waiting", lines, exact);
}

fn locking() {
    let lock: &'static Lock = Box::leak(Box::new(Lock::new().unwrap()));
    let guard = lock.lock().unwrap();
    let twice = line(lock.lock());
    drop(guard);
    let holder = held(|| lock.lock());
    let held_elsewhere = line(lock.try_lock());
    kill(holder);
    let died = line(lock.lock());
    drop(lock.recover().unwrap());
    let mut owner = child("owner", || -> () {
        let _guard = lock.lock().unwrap();
        panic!("{}", Command::new("sleep").arg("1000").exec());
    });
    eventually("the owner runs another program", || {
        matches!(lock.try_lock(), Err(LockError::OwnerRuns { .. }))
    });
    let runs = line(lock.try_lock());
    owner.kill().unwrap();
    owner.join().unwrap();
    drop(lock.recover().unwrap());
    let (sender, ending) = mpsc::channel();
    let thread = thread::spawn(move || {
        let at_the_end = AtTheEnd(Box::new(move || sender.send(line(lock.lock())).unwrap()));
        AT_THE_END.with(|end| end.set(at_the_end).ok().unwrap());
        drop(lock.lock().unwrap());
    });
    thread.join().unwrap();
    let locks: Vec<Lock> = (0..2_001).map(|_| Lock::new().unwrap()).collect();
    let guards: Vec<_> = locks[1..].iter().map(|lock| lock.lock().unwrap()).collect();
    let many = line(locks[0].lock());
    drop(guards);
    let lines = [
        twice,
        held_elsewhere,
        died,
        runs,
        ending.recv().unwrap(),
        many,
    ];
    compare("locking", lines, |lines| {
        masked("OwnerRuns: process ", "[pid]", lines)
    });
}

/// Its encoding fails, or its decoding.
#[derive(Debug)]
enum Picky {
    NotEncoded,
    NotDecoded,
}

impl Serialize for Picky {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Picky::NotEncoded => Err(serde::ser::Error::custom("no")),
            Picky::NotDecoded => 2_u8.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bool::deserialize(deserializer).map(|_| Picky::NotDecoded)
    }
}

fn queues() {
    let queue = Queue::with_capacity(100).unwrap();
    let full = (0..).find_map(|_| queue.try_put(&"item".to_owned()).err());
    let large = line(queue.put(&"x".repeat(500)));
    queue.close();
    let closed = line(queue.put(&"item".to_owned()));
    let picky = Queue::new().unwrap();
    let encoded = line(picky.put(&Picky::NotEncoded));
    let empty = line(picky.try_get());
    picky.put(&Picky::NotDecoded).unwrap();
    let decoded = line(picky.get());
    picky.close();
    let end = line(picky.get());
    let lines = [
        line(Err::<(), _>(full.unwrap())),
        closed,
        large,
        encoded,
        empty,
        end,
        decoded,
    ];
    compare("queues", lines, exact);
}

fn pipes() {
    let (left, right) = pipe::<String, Picky>().unwrap();
    let late = line(left.recv_timeout(Duration::from_millis(1)));
    let large = line(left.send(&"x".repeat(2 << 20)));
    let encoded = line(right.send(&Picky::NotEncoded));
    right.send(&Picky::NotDecoded).unwrap();
    let decoded = line(left.recv());
    drop(right);
    let closed = line(left.recv());
    let (ours, theirs) = pipe::<u8, u8>().unwrap();
    kill(held(move || theirs));
    let died = line(ours.recv());
    let (_ours, theirs) = pipe::<u8, u8>().unwrap();
    // What two processes can have: each a copy of the mutex.
    let theirs = Mutex::new(theirs);
    let first = held(|| theirs.lock().unwrap().send(&1));
    let used = line(theirs.lock().unwrap().send(&2));
    kill(first);
    let lines = [late, closed, died, used, large, encoded, decoded];
    compare("pipes", lines, |lines| {
        masked(
            "Died: process ",
            "[pid]",
            masked("InUse: process ", "[pid]", lines),
        )
    });
}

fn managers() {
    let start = beside_a_thread(|| line(Manager::start()));
    let manager = Manager::start().unwrap();
    let (value, lock) = (manager.value(300).unwrap(), manager.lock().unwrap());
    let system = without_descriptors(|| line(value.get()));
    let guard = lock.lock().unwrap();
    let twice = line(lock.lock());
    drop(guard);
    let encoded = line(manager.value(Picky::NotEncoded));
    let bytes = postcard::to_stdvec(&value).unwrap();
    let text: ValueProxy<String> = postcard::from_bytes(&bytes).unwrap();
    let decoded = line(text.get());
    let not_a_lock: LockProxy = postcard::from_bytes(&bytes).unwrap();
    let other = line(not_a_lock.lock());
    drop(manager);
    let gone = line(value.get());
    let lines = [start, system, gone, twice, encoded, decoded, other];
    compare("managers", lines, |lines| masked("(pid ", "[pid]", lines));
}

/// What a pool's task is told to do.
#[derive(Serialize, Deserialize)]
enum Order {
    Fail,
    Panic,
    Die,
    Give(Vec<u8>),
    TellTheSupervisor,
    Sleep,
}

fn obey(order: Order) -> anyhow::Result<(Vec<u8>, i32)> {
    match order {
        Order::Fail => Err(anyhow::anyhow!("a cause").context("cannot read the picture")),
        Order::Panic => panic!("why"),
        Order::Die => Ok((Vec::new(), raise(Signal::SIGKILL).map(|()| 0)?)),
        Order::Give(bytes) => Ok((bytes, 0)),
        Order::TellTheSupervisor => Ok((Vec::new(), getppid().as_raw())),
        Order::Sleep => {
            sleep_for_ever();
            Ok((Vec::new(), 0))
        }
    }
}

fn pools() {
    let none = line(Pool::new(0, obey));
    let start = beside_a_thread(|| line(Pool::new(2, obey)));
    let large = line(Pool::with_capacity(2, usize::MAX, obey));
    let (ended, _) = without_a_supervisor();
    let pool = Pool::new(2, obey).unwrap();
    drop(pool.apply_async(&Order::Fail));
    let unheard = line(pool.join());
    let lines = [none, start, large, line(Err::<(), _>(ended)), unheard];
    compare("pools", lines, exact);
}

/// What `join` and a task say when the supervisor was killed.
fn without_a_supervisor() -> (PoolError, TaskError) {
    let pool = Pool::new(2, obey).unwrap();
    let (_, supervisor) = pool.apply(&Order::TellTheSupervisor).unwrap();
    signal_to(Pid::from_raw(supervisor), Signal::SIGKILL).unwrap();
    until_gone(supervisor.cast_unsigned());
    let task = pool.apply(&Order::Sleep).unwrap_err();
    (pool.join().unwrap_err(), task)
}

fn tasks() {
    let pool = Pool::with_capacity(2, 10_000, obey).unwrap();
    let failed = line(pool.apply(&Order::Fail));
    let panicked = line(pool.apply(&Order::Panic));
    let died = line(pool.apply(&Order::Die));
    let large = line(pool.apply(&Order::Give(vec![0; 20_000])));
    let sleeps = pool.apply_async(&Order::Sleep);
    pool.close();
    let closed = line(pool.apply(&Order::Fail));
    pool.terminate();
    let terminated = line(sleeps.get());
    let picky = Pool::new(1, |_: Picky| anyhow::Ok(())).unwrap();
    let encoded = line(picky.apply(&Picky::NotEncoded));
    let decoded = line(picky.apply(&Picky::NotDecoded));
    let (_, lost) = without_a_supervisor();
    let lines = [
        failed, panicked, died, large, encoded, decoded, closed, terminated,
    ];
    compare(
        "tasks",
        lines.into_iter().chain([line(Err::<(), _>(lost))]),
        |lines| {
            let lines = masked("errors.rs:", "[line]", lines);
            let lines = masked("[line]:", "[column]", lines);
            masked("WorkerDied: worker process ", "[pid]", lines)
        },
    );
}

/// Each in a program of its own: its text has all living processes, and the dead.
fn deadlocks() {
    let run = |(name, _): &(&str, _)| {
        let mut program = Command::new(env::current_exe().unwrap());
        program.arg(name);
        let printed = Program::start(program).wait().success();
        let printed = chain(masked("errors.rs:", "[line]", printed));
        printed.text().to_owned()
    };
    let lines: Vec<String> = DEADLOCKS.iter().map(run).collect();
    let mut mistaken = Command::new(env::current_exe().unwrap());
    mistaken.arg("of-a-get").env("MP_ASLEEP", "no");
    let complaint = Program::start(mistaken).wait().stderr;
    compare("deadlocks", lines.into_iter().chain([complaint]), |lines| {
        masked("(pid ", "[pid]", lines)
    });
}

fn looking() {
    let look = |pid| line(Onlooker::of(pid));
    let nobody = look(0);
    let program = |name: &str, asleep: &str| {
        let mut program = Command::new(name);
        program.arg("600").env("MP_ASLEEP", asleep);
        let mut program = program
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        match name {
            "true" => until_gone(program.id()),
            // Begun, a program has none for a moment.
            _ => eventually("it has its environment", || {
                let file = format!("/proc/{}/environ", program.id());
                !fs::read(file).unwrap().is_empty()
            }),
        }
        let refused = look(program.id());
        program.kill().unwrap();
        program.wait().unwrap();
        refused
    };
    let lines = [
        nobody,
        program("true", ""),
        program("sleep", ""),
        program("sleep", "off"),
    ];
    compare("looking", lines, |lines| masked("process ", "[pid]", lines));
}

type Provoke = fn() -> String;

/// No words that somebody would select trials by.
const DEADLOCKS: [(&str, Provoke); 8] = [
    ("of-a-get", of_a_get),
    ("of-a-put", of_a_put),
    ("of-a-lock", of_a_lock),
    ("of-a-pipe", of_a_pipe),
    ("of-a-join", of_a_join),
    ("of-a-manager", of_a_manager),
    ("of-a-task", of_a_task),
    ("of-a-pool", of_a_pool),
];

fn deadlock(name: &str) -> Option<Provoke> {
    let mut all = DEADLOCKS.into_iter();
    Some(all.find(|(known, _)| *known == name)?.1)
}

fn of_a_get() -> String {
    let queue = Queue::<u8>::new().unwrap();
    child("producer", || -> () { std::process::abort() })
        .join()
        .unwrap();
    line(queue.get())
}

fn of_a_put() -> String {
    let queue = Queue::with_capacity(100).unwrap();
    let full = (0..).find_map(|_| queue.put(&"item".to_owned()).err());
    line(Err::<(), _>(full.unwrap()))
}

/// Two locks in opposite order.
fn of_a_lock() -> String {
    let (left, right) = (Lock::new().unwrap(), Lock::new().unwrap());
    let (left_is_held, right_is_held) = (Queue::new().unwrap(), Queue::new().unwrap());
    let other = child("other", || -> anyhow::Result<()> {
        let _right = right.lock()?;
        right_is_held.put(&())?;
        left_is_held.get()?;
        let _left = left.lock()?;
        Ok(())
    });
    right_is_held.get().unwrap();
    let guard = left.lock().unwrap();
    left_is_held.put(&()).unwrap();
    let line = line(right.lock());
    drop(guard);
    finish(other);
    line
}

fn of_a_pipe() -> String {
    let (ours, theirs) = pipe::<u8, u8>().unwrap();
    let _other = child("other", move || theirs.recv().map(drop));
    line(ours.recv())
}

fn of_a_join() -> String {
    let queue = Queue::<u8>::new().unwrap();
    line(child("consumer", || queue.get().map(drop)).join())
}

/// Its lock's holder waits for something else.
fn of_a_manager() -> String {
    let manager = Manager::start().unwrap();
    let lock = manager.lock().unwrap();
    let (is_held, never) = (Queue::new().unwrap(), Queue::<()>::new().unwrap());
    let _holder = child("holder", || -> anyhow::Result<()> {
        let _guard = lock.lock()?;
        is_held.put(&())?;
        never.get()?;
        Ok(())
    });
    is_held.get().unwrap();
    line(lock.lock())
}

fn of_a_task() -> String {
    let never = Queue::<()>::new().unwrap();
    let pool = Pool::new(1, |_: u8| never.get()).unwrap();
    line(pool.apply(&1))
}

fn of_a_pool() -> String {
    let never = Queue::<()>::new().unwrap();
    let pool = Pool::new(1, |_: u8| never.get()).unwrap();
    let _task = pool.apply_async(&1);
    line(pool.join())
}
