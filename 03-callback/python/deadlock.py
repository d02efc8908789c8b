"""Two processes take two locks in opposite order: each waits for the other, for ever.

Output: exact, since neither can go on.
"""

import multiprocessing

mp = multiprocessing.get_context("fork")


def transfer(to, source, both_hold_one):
    with to:
        both_hold_one.wait()  # in real life, this is chance
        with source:
            pass


if __name__ == "__main__":
    left, right, both_hold_one = mp.Lock(), mp.Lock(), mp.Barrier(3)
    one = mp.Process(target=transfer, args=(left, right, both_hold_one), daemon=True)
    two = mp.Process(target=transfer, args=(right, left, both_hold_one), daemon=True)
    one.start()
    two.start()
    both_hold_one.wait()
    # Without a limit, this would wait for ever.
    one.join(timeout=0.5)
    print("Both still wait:", one.is_alive() and two.is_alive())
