"""Two processes, started and joined. Output: any order, but for the last line."""

import multiprocessing
import sys

mp = multiprocessing.get_context("fork")  # a child starts as a copy of its parent


def worker(number):
    print(f"Worker {number} starting...")


if __name__ == "__main__":
    first = mp.Process(target=worker, args=(1,))
    second = mp.Process(target=worker, args=(2,))
    first.start()
    second.start()
    first.join()
    second.join()
    if first.exitcode != 0 or second.exitcode != 0:
        sys.exit("a worker failed")
    print("All processes finished.")
