"""Four workers count down a number that a manager process owns, under its lock.

Output: any order, values masked, the last line exact.
"""

import multiprocessing

mp = multiprocessing.get_context("fork")
WORKERS = 4
TASKS = 4


def task(lock, value):
    """Subtracts 1 ten times, and returns what it reads after that."""
    for _ in range(10):
        with lock:  # the next line is two messages, a get and a set
            value.value -= 1
    return value.value  # without the lock: other tasks are counting down meanwhile


def print_result(result):
    print("result:", result)


def print_error(error):
    print("error:", error)


if __name__ == "__main__":
    with mp.Manager() as manager, mp.Pool(WORKERS) as pool:
        lock = manager.Lock()
        value = manager.Value("i", 10)
        for _ in range(TASKS):
            pool.apply_async(
                task, (lock, value), callback=print_result, error_callback=print_error
            )
        pool.close()
        pool.join()  # waits for all tasks; the callbacks run in a thread of the parent
        print("Shared variable value:", value.value)
