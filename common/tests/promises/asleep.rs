//! Nobody waits for what cannot come; and nobody is told so who waits for what can.

use std::os::unix::process::{CommandExt, parent_id};
use std::process::{Command, exit};
use std::thread;
use std::time::{Duration, Instant};

use common::{
    Deadlock, GetError, Lock, LockError, LockProxy, Manager, ManagerError, PipeError, Pool,
    Process, ProcessError, PutError, Queue, TaskError, pipe,
};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{SigHandler, Signal, raise, signal};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};

use crate::harness::{
    child, eventually, finish, kill, output_of, sleep_for_ever, until_asleep, until_gone,
    until_noted,
};

trials![
    a_consumer_whose_producer_died,
    a_producer_whose_consumer_died,
    three_stages_of_which_one_died,
    a_child_that_waits_is_joined,
    two_locks_in_opposite_order,
    two_locks_while_others_go_on,
    locks_of_a_manager,
    who_gave_up_a_lock_of_a_manager_does_not_get_it,
    two_ends_of_a_pipe,
    a_pool_that_waits_for_itself,
    items_that_nobody_puts_end_an_iterator,
    the_way_out_has_one_message,
    a_sleeper_that_was_killed_counts_no_more,
    who_was_killed_beside_a_sleeper_that_wonders_counts_no_more,
    whose_parent_was_killed_counts_no_more,
    who_was_killed_in_a_fork_counts_no_more,
    another_program_counts_no_more,
    who_sleeps_elsewhere_counts_as_awake,
    who_is_stopped_counts_as_awake,
    who_has_a_limit_counts_as_awake,
    another_thread_counts_as_awake,
    who_handles_a_signal_counts_as_awake,
    who_was_forked_unseen_counts_as_awake,
    who_was_forked_unseen_and_has_ended_counts_no_more,
    who_was_forked_by_other_means_counts_as_awake,
    a_task_that_computes_counts_as_awake,
    the_end_of_another_program_can_be_waited_for,
];

/// Twice as long as an idle machine takes to tell, and some.
const A_WHILE: Duration = Duration::from_millis(800);

/// The story of an error, which must have come in time.
#[track_caller]
fn story<T>(start: Instant, told: Result<T, Deadlock>) -> String {
    let Err(deadlock) = told else {
        panic!("nobody was told")
    };
    let took = start.elapsed();
    assert!(took < Duration::from_secs(30), "after {took:?}");
    deadlock.to_string()
}

#[track_caller]
fn says(story: &str, all: &[&str]) {
    for what in all {
        assert!(story.contains(what), "no {what:?} in: {story}");
    }
}

fn of_get<T>(got: Result<T, GetError>) -> Result<T, Deadlock> {
    got.map_err(|error| match error {
        GetError::Deadlock(all) => all,
        other => panic!("{other}"),
    })
}

fn of_join<T>(joined: Result<T, ProcessError>) -> Result<T, Deadlock> {
    joined.map_err(|error| match error {
        ProcessError::Deadlock(all) => all,
        other => panic!("{other}"),
    })
}

fn a_consumer_whose_producer_died() {
    let start = Instant::now();
    let queue = Queue::<u32>::new().unwrap();
    let made = line!() - 1;
    let producer = child("a producer", || -> () { std::process::abort() });
    let story = story(start, of_get(queue.get()));
    let got = line!() - 1;
    let pid = producer.pid();
    says(
        &story,
        &[
            "nobody can go on: the only living process waits\n",
            &format!("queue made at {}:{made} ", file!()),
            &format!("{}:{got}\n", file!()),
            &format!("\n  \"a producer\" (pid {pid}) ended: signal: 6 (SIGABRT)"),
        ],
    );
    kill(producer);
}

fn a_producer_whose_consumer_died() {
    let start = Instant::now();
    let queue = Queue::with_capacity(8).unwrap();
    let consumer = child("a consumer", || -> () { std::process::abort() });
    let full = (0..1000).map(|item| queue.put(&item)).find(Result::is_err);
    let Some(Err(PutError::Deadlock(story))) = full else {
        panic!("{full:?}")
    };
    assert!(start.elapsed() < Duration::from_secs(30));
    says(
        &story.to_string(),
        &["main (pid", "waits for room in the queue"],
    );
    kill(consumer);
}

fn three_stages_of_which_one_died() {
    let start = Instant::now();
    let new = || Queue::<u32>::with_capacity(8).unwrap();
    let (numbers, squares) = (new(), new());
    let mut read = child("read", || (0..1000).try_for_each(|it| numbers.put(&it)));
    let change = child("change", || -> anyhow::Result<()> {
        for number in numbers.iter().take(3) {
            squares.put(&number?.pow(2))?;
        }
        std::process::abort()
    });
    let write = child("write", || squares.iter().try_for_each(|it| it.map(drop)));
    let story = story(start, of_join(read.join()));
    says(
        &story,
        &[
            "nobody can go on: all 3 living processes wait\n  main (pid",
            &format!("waits for the end of \"read\" (pid {})", read.pid()),
            &format!(
                "\n  \"read\" (pid {}) waits for room in the queue",
                read.pid()
            ),
            &format!(
                "\n  \"write\" (pid {}) waits for an item in the",
                write.pid()
            ),
            &format!("\n  \"change\" (pid {}) ended: signal: 6", change.pid()),
        ],
    );
    [read, change, write].into_iter().for_each(kill);
}

/// It still runs, and can be joined when it has what it waits for.
fn a_child_that_waits_is_joined() {
    let start = Instant::now();
    let queue = Queue::<u32>::new().unwrap();
    let mut waits = child("waits", || queue.get().map(drop));
    says(&story(start, of_join(waits.join())), &["all 2 living"]);
    assert!(waits.is_alive().unwrap());
    queue.put(&1).unwrap();
    finish(waits);
}

/// Two that will wait for each other's lock, as soon as both have their own and their parent sleeps.
fn in_opposite_order<'a>(locks: &'a [Lock; 2], both: &'a Queue<()>) -> [Process; 2] {
    [[0, 1], [1, 0]].map(|[first, second]| {
        child("a philosopher", move || -> anyhow::Result<()> {
            let _first = locks[first].lock()?;
            both.put(&())?;
            until_noted(parent_id());
            while both.len()? < 2 {
                thread::yield_now();
            }
            let second = locks[second].lock();
            if let Err(LockError::Deadlock(story)) = &second {
                says(&story.to_string(), &["2 processes wait for each other\n"]);
            }
            drop(second?);
            Ok(())
        })
    })
}

/// The parent is told so, in `join`, of two of the same name.
#[track_caller]
fn are_known_to_hold_what_the_other_waits_for(start: Instant, mut two: [Process; 2]) {
    let pids = two.each_ref().map(Process::pid);
    let story = story(start, of_join(two[0].join()));
    let holder = |pid| format!(", which {:?} (pid {pid}) holds", two[0].name());
    says(
        &story,
        &["all 3 living", &holder(pids[0]), &holder(pids[1])],
    );
    two.into_iter().for_each(kill);
}

fn new_locks() -> [Lock; 2] {
    [Lock::new().unwrap(), Lock::new().unwrap()]
}

fn two_locks_in_opposite_order() {
    let start = Instant::now();
    let (locks, both) = (new_locks(), Queue::new().unwrap());
    are_known_to_hold_what_the_other_waits_for(start, in_opposite_order(&locks, &both));
}

/// The first of them gets the error, and its end lets the other go on.
fn two_locks_while_others_go_on() {
    let (locks, both) = (new_locks(), Queue::new().unwrap());
    let (_, stderr, code) = output_of(|| -> anyhow::Result<()> {
        let mut two = in_opposite_order(&locks, &both);
        eventually("both end", || {
            !two.iter_mut().any(|it| it.is_alive().unwrap())
        });
        let ends = two.map(|mut it| it.join().unwrap().code());
        assert_eq!(ends, [Some(1), Some(0)]);
        Ok(())
    });
    assert_eq!(code, Some(0), "{stderr}");
    says(
        &stderr,
        &["2 processes wait for each other\n  \"a philosopher\""],
    );
}

fn both_locks(locks: [&LockProxy; 2], both: &Queue<()>) -> Result<(), ManagerError> {
    let _first = locks[0].lock()?;
    both.put(&()).unwrap();
    while both.len().unwrap() < 2 {
        thread::yield_now();
    }
    locks[1].lock().map(drop)
}

fn locks_of_a_manager() {
    let start = Instant::now();
    let (manager, both) = (Manager::start().unwrap(), Queue::new().unwrap());
    let (one, other) = (manager.lock().unwrap(), manager.lock().unwrap());
    let two = [[&one, &other], [&other, &one]].map(|locks| {
        child("a client", || {
            until_noted(parent_id());
            both_locks(locks, &both)
        })
    });
    are_known_to_hold_what_the_other_waits_for(start, two);
}

/// Its turn would come for nobody to take, and everybody after it would wait for ever.
fn who_gave_up_a_lock_of_a_manager_does_not_get_it() {
    let (manager, both) = (Manager::start().unwrap(), Queue::new().unwrap());
    let locks = [manager.lock().unwrap(), manager.lock().unwrap()];
    let mut other = child("a client", || both_locks([&locks[1], &locks[0]], &both));
    let told = both_locks([&locks[0], &locks[1]], &both).unwrap_err();
    assert!(matches!(told, ManagerError::Deadlock(_)), "{told}");
    assert!(other.join().unwrap().success(), "it has the first lock now");
    let _both = [locks[0].lock().unwrap(), locks[1].lock().unwrap()];
}

fn two_ends_of_a_pipe() {
    let start = Instant::now();
    let (ours, theirs) = pipe::<u32, u32>().unwrap();
    let other = child("the other", move || theirs.recv().map(drop));
    let told = ours.recv().map_err(|error| match error {
        PipeError::Deadlock(all) => all,
        other => panic!("{other}"),
    });
    let story = story(start, told);
    says(
        &story,
        &[
            "all 2 living",
            "\"the other\"",
            "waits for an item in the pipe made at",
        ],
    );
    kill(other);
}

/// The tasks still wait. When they have what they wait for, the pool goes on.
fn a_pool_that_waits_for_itself() {
    let start = Instant::now();
    let gate = Queue::<u32>::new().unwrap();
    let pool = Pool::new(2, |task: u32| match task {
        3 => gate.get(),
        other => Ok(other),
    })
    .unwrap();
    let told = pool.map(0..5_u32).map_err(|error| match error {
        TaskError::Deadlock(all) => all,
        other => panic!("{other}"),
    });
    let story = story(start, told);
    says(
        &story,
        &[
            "all 4 living processes wait\n  main (pid",
            "waits for an item in the result queue of the pool made at",
            "waits for an item in the task queue of the pool made at",
            "waits for an item in the queue made at",
        ],
    );
    let mut outcomes = pool.imap_unordered(0..5_u32);
    let told = outcomes.find(Result::is_err);
    assert!(
        matches!(told, Some(Err(TaskError::Deadlock(_)))),
        "{told:?}"
    );
    assert!(outcomes.next().is_none(), "it is over");
    drop(outcomes);
    for _ in 0..2 {
        gate.put(&7).unwrap();
    }
    assert_eq!(pool.map([1, 2]), Ok(vec![1, 2]));
    pool.join().unwrap();
}

fn items_that_nobody_puts_end_an_iterator() {
    let queue = Queue::<u32>::new().unwrap();
    let mut items = queue.iter();
    assert!(matches!(items.next(), Some(Err(GetError::Deadlock(_)))));
    assert!(items.next().is_none());
}

/// Ended one by one, the others would complain of nothing but that.
fn the_way_out_has_one_message() {
    let (_, stderr, code) = output_of(|| -> anyhow::Result<()> {
        let (locks, both) = (new_locks(), Queue::new()?);
        let mut two = in_opposite_order(&locks, &both);
        two[0].join()?;
        Ok(())
    });
    assert_eq!(code, Some(1));
    assert_eq!(stderr.matches("failed").count(), 1, "{stderr}");
}

/// In the table it still sleeps.
fn a_sleeper_that_was_killed_counts_no_more() {
    let never = Queue::<u32>::new().unwrap();
    let mut nearer = child("nearer", || never.get().map(drop));
    thread::sleep(A_WHILE / 4); // it is noted by then, mostly
    until_asleep(nearer.pid());
    nearer.kill().unwrap();
    until_gone(nearer.pid());
    let start = Instant::now();
    let waits = child("waits", || never.get().map(drop));
    says(
        &story(start, of_get(never.get())),
        &["all 2 living", "\"waits\""],
    );
    kill(waits);
    nearer.join().unwrap();
}

/// It is stopped first, so that it can never confirm that it sleeps, and killed much later.
fn who_was_killed_beside_a_sleeper_that_wonders_counts_no_more() {
    let never = Queue::<u32>::new().unwrap();
    let mut stopped = child("is stopped", || never.get().map(drop));
    until_noted(stopped.pid());
    let pid = Pid::from_raw(stopped.pid().cast_signed());
    nix::sys::signal::kill(pid, Signal::SIGSTOP).unwrap();
    let script = format!("sleep {}; kill -KILL {pid}", A_WHILE.as_secs_f32());
    let mut kills = Command::new("sh").args(["-c", &script]).spawn().unwrap();
    says(
        &story(Instant::now(), of_get(never.get())),
        &["the only living process waits"],
    );
    kills.wait().unwrap();
    stopped.join().unwrap();
}

/// It ended with its parent, and there is nobody who knew it in the table.
fn whose_parent_was_killed_counts_no_more() {
    let (never, pids) = (Queue::<u32>::new().unwrap(), Queue::new().unwrap());
    let parent = child("its parent", || {
        let sleeps = child("sleeps", sleep_for_ever);
        pids.put(&sleeps.pid().cast_signed()).unwrap();
        sleep_for_ever();
    });
    let orphan: i32 = pids.get().unwrap();
    // As an init does that waits for orphans, which not every container's does.
    set_child_subreaper(true).unwrap();
    kill(parent);
    waitpid(Pid::from_raw(orphan), None).unwrap();
    set_child_subreaper(false).unwrap();
    says(
        &story(Instant::now(), of_get(never.get())),
        &["the only living process waits"],
    );
}

/// It has taken a place in the table for a child that nobody will ever name there.
fn who_was_killed_in_a_fork_counts_no_more() {
    extern "C" fn die() {
        raise(Signal::SIGKILL).unwrap();
    }
    let never = Queue::<u32>::new().unwrap();
    let mut forks = child("forks", || {
        // SAFETY: the handler makes one system call.
        unsafe { libc::pthread_atfork(None, Some(die), None) };
        let _never = child("a child", sleep_for_ever);
    });
    until_gone(forks.pid());
    says(
        &story(Instant::now(), of_get(never.get())),
        &["the only living process waits"],
    );
    forks.join().unwrap();
}

fn another_program_counts_no_more() {
    let start = Instant::now();
    let queue = Queue::<u32>::new().unwrap();
    let mut sleep = Command::new("sleep");
    // SAFETY: does nothing in the child, but makes it a fork that the table notices.
    let mut sleep = unsafe { sleep.arg("600").pre_exec(|| Ok(())) }
        .spawn()
        .unwrap();
    says(
        &story(start, of_get(queue.get())),
        &["the only living process waits"],
    );
    sleep.kill().unwrap();
    sleep.wait().unwrap();
}

/// Whoever puts, an item comes in the end.
#[track_caller]
fn comes_after_a_while(puts: impl FnOnce(&Queue<u32>) -> Process) {
    let queue = Queue::<u32>::new().unwrap();
    let child = puts(&queue);
    let got = queue.get();
    assert!(matches!(got, Ok(1)), "{got:?}");
    kill(child);
}

fn who_sleeps_elsewhere_counts_as_awake() {
    comes_after_a_while(|queue| {
        child("sleeps", || {
            thread::sleep(A_WHILE);
            queue.put(&1)
        })
    });
}

fn who_is_stopped_counts_as_awake() {
    comes_after_a_while(|queue| {
        child("is stopped", || -> anyhow::Result<()> {
            let script = format!("sleep {}; kill -CONT $PPID", A_WHILE.as_secs_f32());
            let mut goes_on = Command::new("sh").args(["-c", &script]).spawn()?;
            raise(Signal::SIGSTOP)?;
            goes_on.wait()?;
            queue.put(&1)?;
            Ok(())
        })
    });
}

fn who_has_a_limit_counts_as_awake() {
    comes_after_a_while(|queue| {
        let never = Queue::<u32>::new().unwrap();
        child("has a limit", move || {
            assert!(matches!(never.get_timeout(A_WHILE), Err(GetError::Empty)));
            queue.put(&1)
        })
    });
}

fn another_thread_counts_as_awake() {
    comes_after_a_while(|queue| {
        child("two threads", || {
            thread::scope(|scope| {
                scope.spawn(|| {
                    thread::sleep(A_WHILE);
                    queue.put(&1).unwrap();
                });
                Queue::<u32>::new().unwrap().get().map(drop)
            })
        })
    });
}

fn who_handles_a_signal_counts_as_awake() {
    extern "C" fn end(_: i32) {
        exit(0);
    }
    let never = Queue::<u32>::new().unwrap();
    let mut handles = child("handles a signal", || {
        // SAFETY: it runs while the only thread waits.
        unsafe { signal(Signal::SIGUSR1, SigHandler::Handler(end)) }.unwrap();
        never.get().map(drop)
    });
    let script = format!(
        "sleep {}; kill -USR1 {}",
        A_WHILE.as_secs_f32(),
        handles.pid()
    );
    let mut kills = Command::new("sh").args(["-c", &script]).spawn().unwrap();
    let joined = handles.join();
    assert!(joined.as_ref().is_ok_and(|it| it.success()), "{joined:?}");
    kills.wait().unwrap();
}

/// Puts later, and ends.
fn puts_later(queue: &Queue<u32>) -> ! {
    thread::sleep(A_WHILE);
    let _ = queue.put(&1);
    // SAFETY: a fork's copy of a test has nothing to clean up.
    unsafe { libc::_exit(0) }
}

fn who_was_forked_unseen_counts_as_awake() {
    comes_after_a_while(|queue| {
        child("forks unseen", || match fork_unseen() {
            0 => puts_later(queue),
            _ => Queue::<u32>::new().unwrap().get().map(drop),
        })
    });
}

/// The child's pid, or 0 in the child.
fn fork_unseen() -> libc::c_long {
    let flags = libc::SIGCHLD as libc::c_long;
    // SAFETY: a fork of the only thread, without the C library's handlers.
    unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) }
}

fn who_was_forked_unseen_and_has_ended_counts_no_more() {
    let (start, main) = (Instant::now(), std::process::id());
    let never = Queue::<u32>::new().unwrap();
    let mut forks = child("forks unseen", || match fork_unseen() {
        0 => {
            // More often than it takes to wonder, and to see who has the memory.
            (0..4).for_each(|_| until_noted(main));
            // SAFETY: a fork's copy of a test has nothing to clean up.
            unsafe { libc::_exit(0) }
        }
        _ => never.get().map(drop),
    });
    says(&story(start, of_join(forks.join())), &["all 2 living"]);
    kill(forks);
}

fn who_was_forked_by_other_means_counts_as_awake() {
    comes_after_a_while(|queue| {
        // SAFETY: a fork of the only thread.
        child("forks", || match unsafe { fork() }.unwrap() {
            ForkResult::Child => puts_later(queue),
            ForkResult::Parent { .. } => Queue::<u32>::new().unwrap().get().map(drop),
        })
    });
}

fn a_task_that_computes_counts_as_awake() {
    let pool = Pool::new(2, |_: u32| {
        let start = Instant::now();
        while start.elapsed() < 3 * A_WHILE {}
        anyhow::Ok(())
    });
    assert_eq!(pool.unwrap().apply(&1), Ok(()));
}

/// A child in whose place another program runs is in no table, but it ends.
fn the_end_of_another_program_can_be_waited_for() {
    let seconds = A_WHILE.as_secs_f32().to_string();
    let sleep = || Command::new("sleep").arg(&seconds).exec();
    let mut one = child("runs sleep", || Err::<(), _>(sleep()));
    let joined = one.join();
    assert!(joined.as_ref().is_ok_and(|it| it.success()), "{joined:?}");

    let (ours, theirs) = pipe::<u32, u32>().unwrap();
    let other = child("runs sleep", move || -> std::io::Result<()> {
        theirs.send(&1).unwrap();
        Err(sleep())
    });
    assert_eq!(ours.recv().unwrap(), 1);
    let died = ours.recv().unwrap_err();
    assert!(matches!(died, PipeError::Died { .. }), "{died}");
    finish(other);

    // The supervisor looks once a second.
    let sleep = || Command::new("sleep").arg("2.5").exec();
    let pool = Pool::new(1, |_: u32| Err::<(), _>(sleep())).unwrap();
    let died = pool.apply(&1).unwrap_err();
    assert!(matches!(died, TaskError::WorkerDied { .. }), "{died}");
}
