"""A child whose parent is killed is an orphan: it runs on, and another process adopts it.

Output: exact, since the child answers one question at a time.
"""

import multiprocessing
import os

mp = multiprocessing.get_context("fork")


def child(connection):
    while connection.recv() == "who is your parent?":
        connection.send(os.getppid())


def parent(connection):
    process = mp.Process(target=child, args=(connection,))
    process.start()
    process.join()  # meanwhile, this process is killed


if __name__ == "__main__":
    ours, theirs = mp.Pipe()
    process = mp.Process(target=parent, args=(theirs,))
    process.start()
    theirs.close()

    ours.send("who is your parent?")
    before = ours.recv()
    process.kill()
    process.join()
    print("Its parent is killed:", before == process.pid and process.exitcode == -9)
    ours.send("who is your parent?")
    print("Another adopts it:", ours.recv() != before)

    ours.send("end")
    try:
        ours.recv()
    except EOFError:
        print("It ends when it is told to: True")
