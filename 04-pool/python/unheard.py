"""An error that nobody asks for is not heard, also not by join().

Only get() and an error_callback tell of a task that has failed.

Output: exact.
"""

import multiprocessing

mp = multiprocessing.get_context("fork")
NUMBERS = [3, 0, 4, 0]


def divide(number):
    return 12 // number


def hand_in(pool):
    return [pool.apply_async(divide, (number,)) for number in NUMBERS]


if __name__ == "__main__":
    with mp.Pool(2) as dropped:
        hand_in(dropped)
    print("Dropped: not a word.")

    with mp.Pool(2) as joined:
        hand_in(joined)
        joined.close()
        joined.join()
    print("Joined: not a word.")

    with mp.Pool(2) as asked:
        for number, result in zip(NUMBERS, hand_in(asked)):
            try:
                print(f"Asked: 12 / {number} = {result.get()}")
            except ZeroDivisionError as error:
                print(f"Asked: 12 / {number}: {error}")
