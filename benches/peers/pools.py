"""Python's process pools: `pools.py POOL MEASURE` prints figures as `src/work.rs` says them, and does the same work."""

import multiprocessing
import os
import signal
import statistics
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor

import jobs

MIB = 1 << 20
ENOUGH = 2.0
QUICK = "MPM_BENCHES_QUICK" in os.environ
clock = time.perf_counter


def amount(full):
    return full // 10 if QUICK else full


def say(figure, value, remark=""):
    print(figure, value, remark, sep="\t", flush=True)


class Pool:
    """multiprocessing.Pool, with the start method that stands behind its name."""

    def __init__(self, workers, method, jobs_per_process=None):
        self.pool = multiprocessing.get_context(method).Pool(workers, maxtasksperchild=jobs_per_process)

    def run(self, job, *arguments):
        return self.pool.apply(job, arguments)

    def all(self, job, arguments):
        handles = [self.pool.apply_async(job, these) for these in arguments]
        return [handle.get() for handle in handles]

    def map(self, job, inputs):
        return self.pool.map(job, inputs)

    def watch(self, job, arguments, done, failed):
        for these in arguments:
            self.pool.apply_async(job, these, callback=done, error_callback=failed)

    def close(self):
        self.pool.terminate()
        self.pool.join()


class Executor:
    """concurrent.futures.ProcessPoolExecutor."""

    map_remark = ", chunksize=1000"

    def __init__(self, workers, method):
        self.pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context(method))

    def run(self, job, *arguments):
        return self.pool.submit(job, *arguments).result()

    def all(self, job, arguments):
        futures = [self.pool.submit(job, *these) for these in arguments]
        return [future.result() for future in futures]

    def map(self, job, inputs):
        return self.pool.map(job, inputs, chunksize=1000)

    def watch(self, job, arguments, done, failed):
        def ended(future):
            error = future.exception()
            failed(error) if error else done(future.result())

        for these in arguments:
            self.pool.submit(job, *these).add_done_callback(ended)

    def close(self):
        self.pool.shutdown()


class Loky(Executor):
    """loky's executor."""

    def __init__(self, workers, _method):
        import loky

        self.pool = loky.ProcessPoolExecutor(workers)

    def close(self):
        self.pool.shutdown(kill_workers=True)


def calls(run, count, pause=0.0):
    """The sorted times of calls one after the other, in microseconds."""
    for seed in range(50):
        run(jobs.add, seed)
    times, begin = [], clock()
    for seed in range(amount(count)):
        if pause:
            time.sleep(pause)
        start = clock()
        result = run(jobs.add, seed)
        times.append((clock() - start) * 1e6)
        assert result == seed + 7
        if clock() - begin > ENOUGH:
            break
    return sorted(times)


def batch(figure, count, remark, run):
    count = amount(count)
    start = clock()
    total = sum(run(count))
    took = clock() - start
    assert total == sum(range(count)) + 7 * count
    say(figure, count / took, f"{count} jobs{remark}")


def payload(figure, size, call, expected):
    """The median over some calls with so many bytes, in MB/s."""
    data = bytes(i * 31 % 251 for i in range(4096)) * (size // 4096)
    call(data)
    rates, begin = [], clock()
    while len(rates) < 20 and (not rates or clock() - begin < ENOUGH):
        start = clock()
        result = call(data)
        rates.append(size / (clock() - start) / 1e6)
        assert result == expected(data)
    say(f"{figure}-{size // MIB}", statistics.median(rates))


def first_result(new):
    start = clock()
    pool = new(2)
    assert pool.run(jobs.add, 1) == 8
    took = clock() - start
    pool.close()
    return took * 1e3


def millisecond():
    """Steps of `burn` that take a millisecond where nobody disturbs."""
    fastest = 1.0
    for seed in range(10):
        start = clock()
        jobs.burn(seed, 10_000)
        fastest = min(fastest, clock() - start)
    return int(10_000 * 1e-3 / fastest)


def efficiency(pool):
    count, steps = amount(2000), millisecond()

    def serial():
        start = clock()
        for seed in range(count // 8):
            jobs.burn(seed, steps)
        return (clock() - start) / (count // 8)

    before = serial()
    start = clock()
    results = pool.all(jobs.burn, [(seed, steps) for seed in range(count)])
    took = clock() - start
    say("cpu", count * (before + serial()) / 2 / 2 / took)
    assert all(results[seed] == jobs.burn(seed, steps) for seed in range(0, count, 50))


def processes(figure, run):
    count = 40
    start = clock()
    run(count)
    say(figure, (clock() - start) * 1e6 / count)


def one_after_the_other(method, count):
    context = multiprocessing.get_context(method)
    for seed in range(count):
        process = context.Process(target=jobs.add, args=(seed,))
        process.start()
        process.join()


def idle(pool):
    pids = set(pool.all(jobs.pid, [(i,) for i in range(8)]))
    time.sleep(0.2)
    private = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as lines:
            private += sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean:", "Private_Dirty:")))
    say("idle", private / len(pids))


def kill_under_load(pool):
    """`kill -9` of the busy worker: what becomes of its jobs, and when the next result comes from another."""
    count, steps = 200, 3 * millisecond()
    worker = pool.run(jobs.burn_here, 0, 1)
    ended, failed, after = [], [], []

    def done(pid):
        ended.append(pid)
        if pid != worker:
            after.append(clock())

    pool.watch(jobs.burn_here, [(seed, steps) for seed in range(count)], done, failed.append)
    while len(ended) < 20:
        time.sleep(0.001)
    time.sleep(0.001)
    killed = clock()
    os.kill(worker, signal.SIGKILL)
    seen, since = 0, clock()
    while seen < count and clock() - since < 2:
        time.sleep(0.01)
        if len(ended) + len(failed) > seen:
            seen, since = len(ended) + len(failed), clock()
    say("kill-next", (after[0] - killed) * 1e3 if after else "nan", "" if after else "no further result")
    say("kill-failed", len(failed))
    say("kill-lost", count - len(ended) - len(failed))
    # A broken pool may not end in order.
    os._exit(0)


def main():
    warnings.filterwarnings("ignore")
    name, _, method = sys.argv[1].partition("-")
    kind = {"Pool": Pool, "ProcessPoolExecutor": Executor, "loky": Loky}[name]
    measure = sys.argv[2]

    def new(workers):
        return kind(workers, method or "fork")

    if measure in ("first-pool", "later-pool"):
        if measure == "first-pool":
            return say(measure, first_result(new))
        first_result(new)
        return say(measure, statistics.median(first_result(new) for _ in range(3)))
    if measure == "one-process":
        return processes(measure, lambda count: one_after_the_other(method or "fork", count))
    if measure == "process-per-job":
        pool = Pool(2, method or "fork", 1)
        processes(measure, lambda count: pool.all(jobs.add, [(seed,) for seed in range(count)]))
        return pool.close()
    pool = new(2 if measure in ("one-by-one", "map", "cpu", "idle") else 1)
    for _ in range(4):
        assert pool.run(jobs.add, 1) == 8
    if measure == "round-trip":
        times = calls(pool.run, 20_000)
        say("round-trip-p50", times[len(times) // 2])
        say("round-trip-p99", times[len(times) * 99 // 100])
    elif measure == "asleep":
        times = calls(pool.run, 500, 0.001)
        say("asleep-p50", times[len(times) // 2])
    elif measure == "one-by-one":
        batch(measure, 20_000, "", lambda count: pool.all(jobs.add, [(seed,) for seed in range(count)]))
    elif measure == "map":
        batch(measure, 1_000_000, getattr(kind, "map_remark", ""), lambda count: pool.map(jobs.add, range(count)))
    elif measure.startswith("echo-"):
        payload("echo", int(measure[5:]) * MIB, lambda data: pool.run(jobs.echo, data), lambda data: data)
    elif measure.startswith("borrowed-"):
        payload("borrowed", int(measure[9:]) * MIB, lambda data: pool.run(jobs.look_at, data), jobs.look_at)
    elif measure == "cpu":
        efficiency(pool)
    elif measure == "idle":
        idle(pool)
    elif measure == "kill":
        kill_under_load(pool)
    else:
        raise SystemExit(f"no measure {measure}")
    pool.close()


if __name__ == "__main__":
    main()
