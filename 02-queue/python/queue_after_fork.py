"""A queue that is made after the fork is another queue.

Child and parent each call open_the_mailbox(), and each has its own: what the one puts, the other
never gets. Nothing fails.

Output: exact.
"""

import multiprocessing
from queue import Empty

mp = multiprocessing.get_context("fork")
A_WHILE = 0.1  # seconds


def open_the_mailbox():
    return mp.Queue()


def write():
    open_the_mailbox().put("Dear parent")  # a mailbox that nobody else has


if __name__ == "__main__":
    process = mp.Process(target=write)
    process.start()
    process.join()
    try:
        print(f'Made after the fork: "{open_the_mailbox().get(timeout=A_WHILE)}".')
    except Empty:
        print("Made after the fork: no letter.")

    mailbox = open_the_mailbox()
    process = mp.Process(target=mailbox.put, args=("Dear parent",))
    process.start()
    print(f'Made before the fork: "{mailbox.get()}".')
    process.join()
