"""Text in a buffer at the moment of a fork is written twice.

multiprocessing flushes standard output and standard error before it forks, and no other file;
os.fork flushes nothing.

Output: exact, since the child has ended before its parent writes.
"""

import multiprocessing
import os

mp = multiprocessing.get_context("fork")


def write_a_line(writer):
    writer.write("  child: written once\n")
    writer.flush()


def log(flush_before_the_fork):
    """What arrives when a parent writes a line and forks, and its child writes another line."""
    reader, writer = os.pipe()
    with open(reader) as reader, open(writer, "w") as writer:
        writer.write("  parent: written once\n")
        if flush_before_the_fork:
            writer.flush()
        child = mp.Process(target=write_a_line, args=(writer,))
        child.start()
        child.join()
        writer.close()  # writes what is in the parent's buffer
        return reader.read()


if __name__ == "__main__":
    print("Not flushed before the fork:", log(False), sep="\n", end="")
    print("Flushed before the fork:", log(True), sep="\n", end="")
