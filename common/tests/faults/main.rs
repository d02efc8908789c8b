//! Injected faults: a process killed in any role, at any moment, and a system that refuses.
//!
//! "Measured" is our own measurement on CPython 3.11 and 3.13; "gh" is an issue of CPython's. The
//! tests named `promises::` stand in the folder beside this one.
//!
//! | Fault | CPython's `multiprocessing` | Promise here | Test |
//! |---|---|---|---|
//! | a pool worker kills itself, amid 20 others | the result never comes (gh-66587, gh-82265) | that task's error names the signal, the others finish | `pool::a_worker_kills_itself_amid_others` |
//! | a worker overflows its stack, aborts, exits, ... | as above | as above | `pool::every_way_to_die` |
//! | idle and busy workers killed from outside | the next task hangs (gh-96062) | each task one outcome, the pool is whole again | `pool::workers_are_killed_from_outside` |
//! | a result that cannot be encoded, or decoded | encoded: an error; decoded: a hang (gh-79492) | that task's error | `pool::bad_values_amid_others` |
//! | a callback panics | the thread that handles results dies, and the pool hangs (measured) | the others get their outcomes | `pool::a_callback_panics_amid_others` |
//! | `terminate` with 10,000 tasks queued | may hang (gh-78178) | ends at once | `promises::pool::ends::terminate_ends_at_once` |
//! | a pool is dropped without `close` | workers stay until the collector runs | ends at once | `promises::pool::ends::a_dropped_pool_leaves_nothing` |
//! | the parent has started threads | workers are forked beside them, which may hang (gh-84559) | the supervisor replaces workers | `promises::pool::workers::a_worker_is_replaced_after_the_parent_has_started_threads` |
//! | workers cannot be started | tried again for ever (measured) | one clear error | `limits::a_pool_without_processes`, and `common/src/pool/supervisor.rs` |
//! | one of 4 producers of 1 MiB items is killed | a torn item, and the rest is lost (documented as "likely to become corrupted") | the others' items arrive once and whole | `queue::a_producer_of_large_items_is_killed` |
//! | producers and consumers of small items are killed | as above, or a hang | at most the item in hand is lost | `queue::producers_and_consumers_are_killed` |
//! | a join before the queue is drained | a deadlock (documented) | a timeout says so, then all arrives | `queue::a_join_before_the_queue_is_drained` |
//! | a lock's owner is killed | the lock is lost for ever (gh-88304) | an error that can be recovered | `lock::an_owner_is_killed` |
//! | the owner of a `Value`'s, an `Array`'s lock is killed | as above | as above | `lock::an_owner_of_data_is_killed` |
//! | owners and waiters are killed amid increments | as above | no increment lost or doubled but the one in hand | `lock::owners_and_waiters_are_killed` |
//! | a lock's waiter is killed when its turn comes, and the lock is taken by another meanwhile | - (a plain glibc robust mutex: the other waiters sleep on, measured) | the other waiters get it | `lock::a_waiter_is_killed_when_its_turn_comes` |
//! | the owner of a manager's lock is killed | as above (measured) | the lock comes free | `manager::an_owner_is_killed` |
//! | a manager's client, or the manager, is killed at any moment | the others go on; an error after the manager's death | the same, at once | `manager::clients_are_killed`, `manager::the_server_is_killed` |
//! | 4 x 100,000 increments | exact under the lock | exact | `promises::shared::increments_under_the_guard_are_exact` |
//! | a pipe's peer is killed | a hang, if a sibling has a copy of its end (measured) | `Died`, whole items before it | `pipe::a_peer_is_killed` |
//! | a queue's only producer is killed, and its consumer waits | a hang (measured) | an error: who waits for what, and who is dead | `promises::asleep::a_consumer_whose_producer_died` |
//! | of three stages with queues between them the middle one is killed | all hang (measured) | one error with the whole chain | `promises::asleep::three_stages_of_which_one_died` |
//! | a join of a child that waits for its parent | a hang (measured) | an error, and the child can be joined later | `promises::asleep::a_child_that_waits_is_joined` |
//! | two locks are taken in opposite order | a hang (measured) | one of the two gets an error | `promises::asleep::two_locks_in_opposite_order`, `promises::asleep::two_locks_while_others_go_on` |
//! | the same with a manager's locks | a hang (measured) | as above | `promises::asleep::locks_of_a_manager` |
//! | both ends of a pipe wait | a hang (measured) | one of the two gets an error | `promises::asleep::two_ends_of_a_pipe` |
//! | a pool's tasks wait for what nobody gives | a hang (measured) | an error, and the pool goes on | `promises::asleep::a_pool_that_waits_for_itself` |
//! | all wait, but one sleeps elsewhere, is stopped, or has a limit, another thread, a handler | - | no false alarm | `promises::asleep::*_counts_as_awake` |
//! | processes that start others are killed at any moment, and all that are left wait | - | they are told all the same | `asleep::spawners_are_killed` |
//! | the parent is killed while its children do anything at all | they live on (measured) | all gone within 3 s | `parent::*` |
//! | Ctrl-C | a stack trace from each process (measured) | all gone, without a word; the status of `SIGINT` | `interrupt::*`, and each chapter's `ctrl_c_ends_them` |
//! | Ctrl-C in a program that handles it | the manager's server ignores it | manager and pool go on; a busy worker's task has an error | `interrupt::a_program_that_handles_ctrl_c_keeps_its_manager_and_its_pool` |
//! | a parent that has become another user ends, or drops its pool and its manager | - | all of theirs gone | `promises::inherited::*` |
//! | a manager's client breaks the rules: sends nothing, never reads, sends descriptors or parts without end | - | it loses its connection, the others are served | `common/src/manager/server.rs` |
//! | a signal every millisecond while everything waits | retried (PEP 475) | never an error, and timeouts hold | `signals::*` |
//! | whoever a call with a timeout waits for is stopped, or dies again and again | - | no more than 200 ms late | `timeouts::*` |
//! | a fork while other threads print, allocate, run rayon | may hang (gh-84559) | refused | `limits::a_fork_beside_threads` |
//! | out of descriptors, processes, memory | an exception | a clear error, and it works again | `limits::*` |
//! | ten thousand uses | - | no descriptor, child or name is left | `leftovers::*` |
//!
//! Where chance decides, it comes from a seed that is printed; `FAULTS_SEED=N` repeats it, as far
//! as the scheduler does.

#![allow(clippy::unwrap_used, missing_docs)]

#[macro_use]
#[path = "../harness/mod.rs"]
mod harness;

mod asleep;
mod chance;
mod interrupt;
mod leftovers;
mod limits;
mod lock;
mod manager;
mod parent;
mod pipe;
mod pool;
mod queue;
mod signals;
mod timeouts;

fn main() {
    eprintln!("FAULTS_SEED={}", chance::seed());
    let modules = [
        lock::trials(),
        queue::trials(),
        pipe::trials(),
        manager::trials(),
        pool::trials(),
        parent::trials(),
        interrupt::trials(),
        signals::trials(),
        timeouts::trials(),
        limits::trials(),
        leftovers::trials(),
        asleep::trials(),
    ];
    harness::main(modules.into_iter().flatten().collect());
}
