"""Of three stages the middle one crashes, and all others wait for what cannot come.

read waits for room, write for an item, and the parent would wait for read: all of them for ever.

Output: exact, since none of them can go on.
"""

import multiprocessing
import os

mp = multiprocessing.get_context("fork")


def read(numbers):
    for number in range(1, 1001):
        numbers.put(number)


def change(numbers, squares):
    for _ in range(3):
        squares.put(numbers.get() ** 2)
    os.abort()  # a crash


def write(squares):
    while (square := squares.get()) is not None:
        print(square, flush=True)
    print("That was the end.", flush=True)


if __name__ == "__main__":
    # A SimpleQueue has no thread, which would lose what it has not written when `change` crashes.
    numbers, squares = mp.Queue(maxsize=10), mp.SimpleQueue()
    stages = [
        mp.Process(target=read, args=(numbers,), daemon=True),
        mp.Process(target=change, args=(numbers, squares), daemon=True),
        mp.Process(target=write, args=(squares,), daemon=True),
    ]
    for stage in stages:
        stage.start()

    # Without a limit, this would wait for ever.
    stages[0].join(timeout=0.5)
    stages[1].join()
    for name, stage in zip(["read", "change", "write"], stages):
        state = "waits" if stage.is_alive() else f"exit code {stage.exitcode}"
        print(f"{name}: {state}")
