"""A process with threads forks: the child has one of them, and the locks of all.

Python forks all the same (from 3.12 on with a warning, which a program sees only if it asks for
warnings). This lock is there to see, and the wait for it has a limit. A lock inside a library is
not, and has none.

Output: exact, since the parent waits for the child.
"""

import multiprocessing
import threading

mp = multiprocessing.get_context("fork")
lock = threading.Lock()
is_held, may_end = threading.Event(), threading.Event()


def hold_the_lock():
    with lock:
        is_held.set()
        may_end.wait()


def try_the_lock(who):
    is_free = lock.acquire(timeout=0.2)
    print(f"{who}: the lock is", "free" if is_free else "held, by a thread that is not here")


if __name__ == "__main__":
    thread = threading.Thread(target=hold_the_lock)
    thread.start()
    is_held.wait()
    process = mp.Process(target=try_the_lock, args=("child",))
    process.start()
    may_end.set()
    thread.join()
    process.join()
    try_the_lock("parent")
