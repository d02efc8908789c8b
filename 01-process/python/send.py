"""What goes to another process is pickled: whether it can be, the program says when it runs.

Output: exact.
"""

from multiprocessing import Pool, set_start_method

if __name__ == "__main__":
    set_start_method("fork")
    text = "one two three"
    with Pool(1) as pool:
        words = pool.apply(str.split, (text,))  # with an open file in its place: TypeError
    print(f"{len(words)} words, counted elsewhere")
