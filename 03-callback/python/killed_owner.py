"""A process is killed while it holds a lock: the lock is lost for ever.

It is a semaphore, which does not know who has taken it. Nobody is told that the owner died.

Output: exact, since the parent waits for each step.
"""

import multiprocessing
import time

mp = multiprocessing.get_context("fork")


def hold(lock, is_held):
    with lock:
        is_held.set()
        time.sleep(10)  # it is killed meanwhile


if __name__ == "__main__":
    lock, is_held = mp.Lock(), mp.Event()
    child = mp.Process(target=hold, args=(lock, is_held))
    child.start()
    is_held.wait()
    child.kill()
    child.join()
    print("The child ended: signal", -child.exitcode)
    # Without a limit, this would wait for ever.
    print("Got its lock:", lock.acquire(timeout=0.2))
