"""A worker is killed in the middle of a task, as the system does when memory runs out.

A new worker comes, and the other tasks get their results. But nobody learns of the lost task: its
get() waits for ever, its callbacks are never called, and join() does not return either.

Output: exact.
"""

import multiprocessing
import os
import signal

mp = multiprocessing.get_context("fork")
both = mp.Barrier(2, timeout=10)


def task(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if number in (7, 8):
        both.wait()  # each waits for the other: this takes two workers
    return number * number


if __name__ == "__main__":
    with mp.Pool(2) as pool:
        results = {number: pool.apply_async(task, (number,)) for number in range(1, 9)}
        lost = results.pop(3)
        for number, result in results.items():
            print(f"task {number}: {result.get(timeout=20)}")
        try:
            print(f"task 3: {lost.get(timeout=0.2)}")
        except multiprocessing.TimeoutError:
            print("task 3: no result and no error, when all others are done")
    # Here the pool was terminated: join() would wait for task 3.
    print("Tasks 7 and 8 need two workers, since each waits for the other.")
