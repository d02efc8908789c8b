"""To lock for a read, and again for the write, loses additions.

`value.value` takes the lock to read, and again to write; so does `value.value += 1`. In real life
a loss is chance. Here the processes wait for each other at the worst moment.

Output: exact, for this reason.
"""

import multiprocessing

mp = multiprocessing.get_context("fork")
ADDITIONS = 100


def add_locked_twice(value, both):
    read = value.value
    both.wait()
    value.value = read + 1
    both.wait()


def add_locked_once(value, both):
    both.wait()
    with value.get_lock():
        value.value += 1


def add_all(add, value, both):
    for _ in range(ADDITIONS):
        add(value, both)


def sum_of_two(add):
    """Two processes add 1 a hundred times each. How much is it in the end?"""
    value, both = mp.Value("i", 0), mp.Barrier(2, timeout=10)
    processes = [mp.Process(target=add_all, args=(add, value, both)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return value.value


if __name__ == "__main__":
    lost, kept = sum_of_two(add_locked_twice), sum_of_two(add_locked_once)
    print(f"Locked to read, and again to write: {lost} of 200 additions are left.")
    print(f"Locked once, around both: {kept} of 200 additions are left.")
