"""A child changes shared variables and calls a callback. Output: exact."""

import multiprocessing

mp = multiprocessing.get_context("fork")


def task(value, array, callback):
    with value.get_lock(), array.get_lock():
        value.value += 1
        array[0] += 10
        callback(value.value + array[0])  # here, in the child: a function argument, no message


def print_result(result):
    print("Result:", result)


if __name__ == "__main__":
    value = mp.Value("i", 0)
    array = mp.Array("i", [0, 1, 2])

    child = mp.Process(target=task, args=(value, array, print_result))
    child.start()
    child.join()

    print("Var:", value.value)
    print("Array:", list(array))
