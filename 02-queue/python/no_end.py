"""A consumer that is not told the end waits for an item that will never come.

empty() is no end, and not even empty: an item that was put is still on its way through a thread
and a pipe. So the end is an item, here None; each consumer needs one of its own.

Output: pattern, the number of tries is masked.
"""

import multiprocessing
import queue

mp = multiprocessing.get_context("fork")
TRIES = 300


def producer(items, says_the_end):
    items.put(1)
    items.put(2)
    if says_the_end:
        items.put(None)


def consume(says_the_end):
    items = mp.Queue()
    process = mp.Process(target=producer, args=(items, says_the_end))
    process.start()
    process.join()  # before the drain: these few items fit into the pipe
    try:
        # Without a limit, this would wait for ever.
        while (item := items.get(timeout=0.2)) is not None:
            print("Got item", item)
        print("Got None: the end.")
    except queue.Empty:
        print("The producer has ended, but nobody says so: the queue is empty.")


if __name__ == "__main__":
    consume(says_the_end=False)
    consume(says_the_end=True)

    items, wrong = mp.Queue(), 0
    for number in range(TRIES):
        items.put(number)
        wrong += items.empty()
        items.get()
    print(f"Right after a put, the queue said that it was empty in {wrong} of {TRIES} tries.")
