"""Two producers and two consumers share a counter, a lock and a queue.

A queue cannot be closed for its consumers, so each of them gets an item that means the end: None.

Output: pattern, the consumers' shares are masked; and above it lines of any order, whose numbers
the test checks.
"""

import multiprocessing

mp = multiprocessing.get_context("fork")
ITEMS_PER_PRODUCER = 1000


def producer(index, counter, printing, queue):
    for _ in range(ITEMS_PER_PRODUCER):
        with printing, counter.get_lock():
            counter.value += 1
            item = counter.value  # read inside the lock
            # Flushed inside the lock, or it would be printed when this process ends.
            print(f"producer {index} produced {item}", flush=True)
        queue.put(item)


def consumer(index, printing, queue, got):
    items = []
    for item in iter(queue.get, None):
        with printing:
            print(f"consumer {index} consumed {item}", flush=True)
        items.append(item)
    got.put(items)


if __name__ == "__main__":
    counter, printing = mp.Value("i", 0), mp.Lock()
    queue, got = mp.Queue(), mp.Queue()

    producers, consumers = [], []
    for index in (1, 2):
        arguments = (index, counter, printing, queue)
        producers.append(mp.Process(target=producer, args=arguments))
        arguments = (index, printing, queue, got)
        consumers.append(mp.Process(target=consumer, args=arguments))
    for process in producers + consumers:
        process.start()

    for process in producers:
        process.join()
    for _ in consumers:
        queue.put(None)
    some, others = got.get(), got.get()  # before the join: see join_before_drain.py
    for process in consumers:
        process.join()

    each_once = sorted(some + others) == list(range(1, counter.value + 1))
    print(
        f"The consumers got {len(some)} and {len(others)} items,"
        f" together 1..={counter.value} {'each once' if each_once else 'NOT each once'}."
    )
    print("All processes finished.")
