"""One point of the benchmark `growth` with CPython's multiprocessing: seconds per operation.

    python3 growth.py SERIES X COLUMN SECONDS

The number of operations grows until they take SECONDS.
"""

import multiprocessing as mp
import os
import sys
import time

# Nothing stays behind beside the sources.
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "peers"))
from peers import child, queue, start_and_join


def together(count, n, work):
    """The time from when `count` processes begin to when the last is done with its share."""
    ready, go, done = mp.Semaphore(0), mp.Event(), mp.Semaphore(0)
    share = -(-n // count)

    def body(number):
        ready.release()
        go.wait()
        work(number, share)
        done.release()

    processes = [child(body, number) for number in range(count)]
    for _ in processes:
        ready.acquire()
    start = time.perf_counter()
    go.set()
    for _ in processes:
        done.acquire()
    seconds = time.perf_counter() - start
    for process in processes:
        process.join()
    return seconds * n / (share * count)


def in_pairs(pairs, n, one, other):
    def work(number, share):
        side = other if number % 2 else one
        for _ in range(share):
            side(number // 2)

    return together(2 * pairs, 2 * n, work)


def size(x):
    item = bytes(x)
    return lambda n: queue(n, item)


def pairs(x):
    def timed(n):
        items = mp.Queue()
        return in_pairs(x, n, lambda _: items.put(7), lambda _: items.get())

    return timed


def locks(x):
    value = mp.Value("Q", 0)

    def work(_, share):
        for _ in range(share):
            with value.get_lock():
                value.value += 1

    return lambda n: together(x, n, work)


def memory(x):
    # A bytearray of zeroes alone would not be in memory yet.
    held = bytearray(b"\1") * x
    return lambda n: start_and_join(n) if held else None


def echoes(x):
    def timed(n):
        queues = [(mp.Queue(), mp.Queue()) for _ in range(x)]

        def one(pair):
            there, back = queues[pair]
            there.put(7)
            back.get()

        def other(pair):
            there, back = queues[pair]
            back.put(there.get())

        return in_pairs(x, n, one, other)

    return timed


def streams(x):
    def timed(n):
        queues = [mp.Queue() for _ in range(x)]
        return in_pairs(
            x, n, lambda pair: queues[pair].put(7), lambda pair: queues[pair].get()
        )

    return timed


SERIES = {
    "size": size,
    "pairs": pairs,
    "locks": locks,
    "memory": memory,
    "echoes": echoes,
    "streams": streams,
}


def main():
    series, x, budget = sys.argv[1], int(sys.argv[2]), float(sys.argv[4])
    timed = SERIES[series](x)
    n = 4
    while True:
        seconds = timed(n)
        if seconds >= budget:
            print(seconds / n)
            return
        n = int(n * min(max(1.2 * budget / max(seconds, 1e-9), 2), 50))


if __name__ == "__main__":
    mp.set_start_method("fork")
    main()
