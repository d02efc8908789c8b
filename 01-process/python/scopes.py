"""What is held in a `with` is given back at its end.

Output: exact.
"""

from contextlib import contextmanager


@contextmanager
def door(name):
    print(f"{name} door: open")
    try:
        yield
    finally:
        print(f"{name} door: closed")


with door("front"):
    with door("back"):
        print("in the garden")
    print("in the house")
