"""A worker is killed in the middle of a task, as the system does when memory runs out.

A new worker comes, and the other tasks get their results. But nobody learns of the lost task: its
get() waits for ever, and so does join().

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
        results = [pool.apply_async(task, (number,)) for number in range(1, 9)]
        squares = {number: results[number - 1].get(timeout=20) for number in (1, 2, 4, 5, 6, 7, 8)}
        try:
            squares[3] = results[2].get(timeout=0.2)
        except multiprocessing.TimeoutError:
            squares[3] = "no result and no error, when all others are done"
    # The block has ended with terminate(): join() would wait for task 3. Printed only now, since a
    # new worker inherits what is in this process's buffers when a thread of the pool forks it.
    for number, square in sorted(squares.items()):
        print(f"task {number}: {square}")
    print("Tasks 7 and 8 need two workers, since each waits for the other.")
