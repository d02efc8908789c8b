"""One row of the benchmark `peers` with CPython's multiprocessing: seconds per operation.

    python3 peers.py ROW LEAST MOST SECONDS

The number of operations grows from LEAST to at most MOST until they take SECONDS.
"""

import ctypes
import multiprocessing as mp
import os
import sys
import time

CORES = len(os.sched_getaffinity(0))
MIB = 1 << 20
PR_SET_PDEATHSIG, SIGKILL = 1, 9
LIBC = ctypes.CDLL(None)
# Or a killed benchmark would leave its workers behind.
os.register_at_fork(after_in_child=lambda: LIBC.prctl(PR_SET_PDEATHSIG, SIGKILL))


def child(target, *args):
    process = mp.Process(target=target, args=args, daemon=True)
    process.start()
    return process


def repeat(n, operation):
    start = time.perf_counter()
    for _ in range(n):
        operation()
    return time.perf_counter() - start


def nothing():
    pass


def start_and_join(n):
    return repeat(n, lambda: child(nothing).join())


def lock(n, contended=False):
    value = mp.Value("Q", 0)

    def add():
        with value.get_lock():
            value.value += 1

    return with_another(n, add) if contended else repeat(n, add)


def with_another(n, operation):
    """Half of the operations here, half in another process at the same time."""
    ready, go = mp.Event(), mp.Event()

    def half():
        ready.set()
        go.wait()
        repeat(n // 2, operation)

    other = child(half)
    ready.wait()
    start = time.perf_counter()
    go.set()
    repeat(n // 2, operation)
    other.join()
    return time.perf_counter() - start


def put(queue, n, item):
    for _ in range(n):
        queue.put(item)


def queue(n, item):
    items = mp.Queue()
    producer = child(put, items, n + 1, item)
    items.get()
    seconds = repeat(n, items.get)
    producer.join()
    return seconds


def two_to_two(n):
    items = mp.Queue()
    producers = [child(put, items, n // 2, 7) for _ in range(2)]
    seconds = with_another(n // 2 * 2, items.get)
    for producer in producers:
        producer.join()
    return seconds


def echo(n):
    there, back = mp.Queue(), mp.Queue()

    def answer():
        while True:
            back.put(there.get())

    def once():
        there.put(7)
        back.get()

    child(answer)
    once()
    return repeat(n, once)


def manager(n):
    with mp.Manager() as server:
        value, lock = server.Value("Q", 0), server.Lock()

        def cycle():
            with lock:
                value.value += 1

        cycle()
        return repeat(n, cycle)


def add_one(number):
    return number + 1


def apply(n):
    with mp.Pool(CORES) as pool:
        pool.apply(add_one, (7,))
        return repeat(n, lambda: pool.apply(add_one, (7,)))


def apply_async(n):
    with mp.Pool(CORES) as pool:
        pool.apply(add_one, (7,))
        start = time.perf_counter()
        results = [pool.apply_async(add_one, (number,)) for number in range(n)]
        for result in results:
            result.get()
        return time.perf_counter() - start


def collatz(number):
    length = 1
    while number > 1:
        number = 3 * number + 1 if number % 2 else number // 2
        length += 1
    return length


def map_collatz(n):
    # All of them take ten seconds and more: every twentieth, of both parities.
    numbers = [number for number in range(1, n + 1) if number * 7 % 20 == number // 20 % 20]
    with mp.Pool(CORES) as pool:
        pool.apply(add_one, (7,))
        start = time.perf_counter()
        pool.map(collatz, numbers)
        return (time.perf_counter() - start) * n / len(numbers)


WIDTH, HEIGHT = 1600, 1200
PICTURE = None


def mandelbrot_row(y):
    # Complex numbers need two thirds of the time that pairs of floats would, for the same steps.
    imaginary = 1.3125 - (y + 0.5) * 2.625 / HEIGHT
    row = []
    for x in range(WIDTH):
        c = complex((x + 0.5) * 3.5 / WIDTH - 2.4, imaginary)
        z = 0j
        for steps in range(500):
            if abs(z) > 2.0:
                break
            z = z * z + c
        else:
            steps = 500
        row.append(steps)
    with PICTURE:
        PICTURE[y * WIDTH : (y + 1) * WIDTH] = row


def mandelbrot(n):
    global PICTURE
    PICTURE = mp.Array("H", WIDTH * HEIGHT)
    # All of them take some ten seconds: every twentieth.
    rows = range(10, HEIGHT, 20)
    with mp.Pool(CORES) as pool:
        pool.apply(add_one, (7,))
        start = time.perf_counter()
        for _ in range(n):
            for _ in pool.imap_unordered(mandelbrot_row, rows):
                pass
        return (time.perf_counter() - start) * HEIGHT / len(rows)


def cpu_clock(pid):
    """The clock of a process's CPU time, as clock_getcpuclockid(3) makes it."""
    return time.clock_gettime((~pid << 3) | 2)


def idle(n):
    """CPU time of four workers and their parent, in n milliseconds."""
    with mp.Pool(4):
        time.sleep(0.02)
        pids = [os.getpid()] + [worker.pid for worker in mp.active_children()]
        before = sum(map(cpu_clock, pids))
        time.sleep(n / 1000)
        return sum(map(cpu_clock, pids)) - before


ROWS = {
    "start": start_and_join,
    "lock": lock,
    "lock-2": lambda n: lock(n, contended=True),
    "queue": lambda n: queue(n, 7),
    "queue-2-2": two_to_two,
    "structs": lambda n: queue(n, {"to": "a" * 512, "numbers": [7.5] * 64}),
    "bytes": lambda n: queue(n, bytes(MIB)),
    "echo": echo,
    "manager": manager,
    "apply": apply,
    "async": apply_async,
    "map": map_collatz,
    "mandelbrot": mandelbrot,
    "idle": idle,
}


def main():
    row, least, most, budget = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    n = least
    while True:
        seconds = ROWS[row](n)
        if seconds >= budget or n >= most:
            print(seconds / n)
            return
        n = min(most, int(n * min(max(1.2 * budget / max(seconds, 1e-9), 2), 50)))


if __name__ == "__main__":
    mp.set_start_method("fork")
    main()
