"""To join a producer before its items are taken is to wait for ever.

put() returns at once: it leaves the item to a thread of the producer, which writes to a pipe. The
pipe holds 64 KiB, and a process ends only when that thread has written everything.

Output: exact, since the items never fit into the pipe.
"""

import multiprocessing

mp = multiprocessing.get_context("fork")
ITEMS = 1000


def producer(queue, all_put):
    for _ in range(ITEMS):
        queue.put("x" * 1000)
    all_put.set()


if __name__ == "__main__":
    queue, all_put = mp.Queue(), mp.Event()
    process = mp.Process(target=producer, args=(queue, all_put))
    process.start()

    all_put.wait()
    process.join(timeout=0.2)
    state = "does not end" if process.is_alive() else "ends"
    print(f"Join first: the producer has put all its items, and {state}.")

    items = [queue.get() for _ in range(ITEMS)]
    print(f"Drain first: got {len(items)} items.")
    process.join()
    print("Then join: exit code", process.exitcode)
