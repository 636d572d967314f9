"""Start costs of Python's multiprocessing: `start.py METHOD cold|rest` prints a measure and a number a line."""

import multiprocessing
import os
import sys
import time

JOBS = 40


def add(a, b):
    return a + b


def pid(_):
    time.sleep(0.05)
    return os.getpid()


def private_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as lines:
        return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean:", "Private_Dirty:")))


def pool_of_two(context):
    start = time.perf_counter()
    pool = context.Pool(2)
    assert pool.apply(add, (20, 22)) == 42
    took = time.perf_counter() - start
    pool.terminate()
    pool.join()
    return took * 1e3


def jobs(measure, run):
    start = time.perf_counter()
    run()
    print(f"{measure}\t{(time.perf_counter() - start) * 1e6 / JOBS}")


def one_after_the_other(context):
    for _ in range(JOBS):
        process = context.Process(target=add, args=(20, 22))
        process.start()
        process.join()


def main():
    context = multiprocessing.get_context(sys.argv[1])
    if sys.argv[2] == "cold":
        print(f"cold\t{pool_of_two(context)}")
        return
    pool_of_two(context)
    print(f"warm\t{pool_of_two(context)}")
    jobs("one", lambda: one_after_the_other(context))
    with context.Pool(2, maxtasksperchild=1) as pool:
        jobs("per job", lambda: pool.starmap(add, [(20, 22)] * JOBS, chunksize=1))
    with context.Pool(2) as pool:
        pids = set(pool.map(pid, range(8), chunksize=1))
        time.sleep(0.2)
        print(f"memory\t{sum(map(private_kib, pids)) / len(pids)}")


if __name__ == "__main__":
    main()
