"""A child that adds to a variable adds to its own copy.

Output: exact.
"""

from multiprocessing import Process, Value, set_start_method

total = 10


def add(shared):
    global total
    total += 5
    with shared.get_lock():
        shared.value += 5
    print(f"child: {total}, shared: {shared.value}")


if __name__ == "__main__":
    set_start_method("fork")
    shared = Value("i", 10)
    child = Process(target=add, args=(shared,))
    child.start()
    child.join()
    print(f"parent: {total}, shared: {shared.value}")
