//! What is measured and who takes part, as data.

/// One thing that a contestant is asked to do, in a process of its own.
pub(crate) struct Measure {
    pub(crate) key: &'static str,
    /// Processes in a round, whose median counts.
    pub(crate) processes: usize,
    pub(crate) figures: &'static [Figure],
}

/// A number that comes out.
pub(crate) struct Figure {
    pub(crate) key: &'static str,
    pub(crate) title: &'static str,
    pub(crate) better: Better,
    /// The contestant that cannot be beaten.
    pub(crate) limit: &'static str,
    pub(crate) aims: &'static [Aim],
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Better {
    Lower,
    Higher,
}

/// What mpm aims at: at most so much where lower is better, at least so much where higher is better.
#[derive(Clone, Copy)]
pub(crate) enum Aim {
    TimesTheLimit(f64),
    TimesTheThreads(f64),
    Value(f64),
}

/// Somebody who is measured: a program, how it is asked, and for what.
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) program: Program,
    /// Its name among those of that program.
    pub(crate) key: &'static str,
    does: Does,
}

/// Which measures somebody takes part in.
enum Does {
    AllBut(&'static [&'static str]),
    Only(&'static [&'static str]),
}

impl Contestant {
    /// Whether it takes part in this measure.
    pub(crate) fn does(&self, measure: &Measure) -> bool {
        match self.does {
            Does::AllBut(others) => !others.contains(&measure.key),
            Does::Only(these) => these.contains(&measure.key),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Program {
    /// This one, started again; or another build of it.
    Here,
    Other,
    /// `limits`, linked dynamically or statically.
    Limits,
    StaticLimits,
    /// `peers/pools.py` and `peers/workerpool.cjs`, where `peers.sh` has installed what they need.
    Python,
    Node,
}

/// Whose values are 1 in the ratios to threads, and whom the aims are for.
pub(crate) const THREADS: &str = "threads: rayon, crossbeam-channel";
pub(crate) const MPM: &str = "mpm";

const FUTEX: &str = "limit: futex";
const SPIN: &str = "limit: futex, 20 µs spin";
const RING: &str = "limit: rings, batch 1";
const RINGS: &str = "limit: rings, batch 64";
const COPIES: &str = "limit: shared memory";
const FORK: &str = "limit: fork on request";
const EXEC: &str = "limit: exec";
const SPLIT: &str = "limit: static split";

use Aim::{TimesTheLimit, TimesTheThreads, Value};
use Better::{Higher, Lower};
use Does::{AllBut, Only};
use Program::{Here, Limits, Node, Other, Python, StaticLimits};

const fn figure(key: &'static str, title: &'static str, better: Better, limit: &'static str, aims: &'static [Aim]) -> Figure {
    Figure { key, title, better, limit, aims }
}

const fn measure(key: &'static str, figures: &'static [Figure]) -> Measure {
    Measure { key, processes: 1, figures }
}

pub(crate) const MEASURES: &[Measure] = &[
    measure(
        "round-trip",
        &[
            figure(
                "round-trip-p50",
                "round trip of `add`, warm, p50, µs",
                Lower,
                SPIN,
                &[TimesTheThreads(1.0), TimesTheLimit(2.0)],
            ),
            figure("round-trip-p99", "round trip of `add`, warm, p99, µs", Lower, SPIN, &[TimesTheThreads(1.0)]),
        ],
    ),
    measure(
        "asleep",
        &[figure("asleep-p50", "round trip of `add` after a pause of 1 ms, p50, µs", Lower, FUTEX, &[TimesTheLimit(1.3)])],
    ),
    measure(
        "one-by-one",
        &[figure("one-by-one", "200,000 jobs one by one, 2 workers, jobs/s", Higher, RING, &[TimesTheThreads(1.0)])],
    ),
    measure("map", &[figure("map", "`map` of 10 million tiny jobs, 2 workers, jobs/s", Higher, RINGS, &[Value(10e6)])]),
    measure("echo-1", &[figure("echo-1", "echo of a `Vec<u8>` of 1 MiB, MB/s", Higher, COPIES, &[TimesTheLimit(0.8)])]),
    measure("echo-16", &[figure("echo-16", "echo of a `Vec<u8>` of 16 MiB, MB/s", Higher, COPIES, &[TimesTheLimit(0.8)])]),
    measure("borrowed-1", &[figure("borrowed-1", "`&[u8]` of 1 MiB in, `u64` out, MB/s", Higher, COPIES, &[TimesTheLimit(0.8)])]),
    measure(
        "borrowed-16",
        &[figure("borrowed-16", "`&[u8]` of 16 MiB in, `u64` out, MB/s", Higher, COPIES, &[TimesTheLimit(0.8)])],
    ),
    Measure {
        key: "first-pool",
        processes: 5,
        figures: &[figure(
            "first-pool",
            "the program's first pool of 2 until its first result, ms",
            Lower,
            EXEC,
            &[TimesTheLimit(2.0)],
        )],
    },
    measure(
        "later-pool",
        &[figure("later-pool", "a later pool of 2 until its first result, ms", Lower, FORK, &[TimesTheLimit(2.0)])],
    ),
    measure(
        "process-per-job",
        &[figure("process-per-job", "a process for each job, 2 at a time, µs a job", Lower, FORK, &[TimesTheLimit(2.0)])],
    ),
    measure(
        "one-process",
        &[figure("one-process", "a process for each job, one after the other, µs a job", Lower, FORK, &[TimesTheLimit(2.0)])],
    ),
    measure("cpu", &[figure("cpu", "2,000 jobs of 1 ms on 2 workers: serial ÷ 2 ÷ wall", Higher, SPLIT, &[Value(0.98)])]),
    measure("idle", &[figure("idle", "idle worker, private KiB", Lower, FORK, &[Value(64.0)])]),
    measure(
        "kill",
        &[
            figure("kill-next", "`kill -9` under load until the next result, ms", Lower, FORK, &[TimesTheLimit(2.0)]),
            figure("kill-failed", "`kill -9` under load: jobs failed", Lower, FORK, &[Value(1.0)]),
            figure("kill-lost", "`kill -9` under load: jobs lost", Lower, FORK, &[Value(0.0)]),
        ],
    ),
];

const STARTS: Does = Only(&["first-pool", "later-pool", "process-per-job", "one-process", "idle"]);
const STARTS_AND_ENDS: Does = Only(&["first-pool", "later-pool", "process-per-job", "one-process", "idle", "kill"]);
/// Those that are no pools, but a way to call another process.
const RPC: Does = Only(&["round-trip", "asleep", "echo-1", "echo-16", "borrowed-1", "borrowed-16", "idle"]);

const fn contestant(name: &'static str, program: Program, key: &'static str, does: Does) -> Contestant {
    Contestant { name, program, key, does }
}

pub(crate) const CONTESTANTS: &[Contestant] = &[
    contestant(MPM, Here, "mpm", AllBut(&[])),
    contestant("mpm, other build", Other, "mpm", AllBut(&[])),
    contestant("mpm, fork", Here, "mpm-fork", STARTS),
    contestant("mpm, spawn", Here, "mpm-spawn", STARTS),
    contestant(FUTEX, Limits, "sleep", Only(&["round-trip", "asleep"])),
    contestant(SPIN, Limits, "spin", Only(&["round-trip"])),
    contestant(RING, Limits, "batch-1", Only(&["one-by-one", "map"])),
    contestant(RINGS, Limits, "batch-64", Only(&["one-by-one", "map"])),
    contestant(COPIES, Limits, "copies", Only(&["echo-1", "echo-16", "borrowed-1", "borrowed-16"])),
    contestant(FORK, Limits, "fork", STARTS_AND_ENDS),
    contestant(EXEC, Limits, "exec", STARTS_AND_ENDS),
    contestant("limit: exec, static", StaticLimits, "exec", STARTS_AND_ENDS),
    contestant(SPLIT, Limits, "split", Only(&["cpu"])),
    contestant(THREADS, Here, "threads", AllBut(&["idle", "kill"])),
    contestant("procspawn 1.0", Here, "procspawn", AllBut(&["map"])),
    contestant("ipc-channel 0.23", Here, "ipc-channel", RPC),
    contestant("iceoryx2 0.10, events", Here, "iceoryx2", RPC),
    contestant("iceoryx2 0.10, polling", Here, "iceoryx2-polling", RPC),
    contestant("Python multiprocessing.Pool", Python, "Pool", AllBut(&[])),
    contestant("Python Pool, forkserver", Python, "Pool-forkserver", STARTS),
    contestant("Python Pool, spawn", Python, "Pool-spawn", STARTS),
    contestant("Python ProcessPoolExecutor", Python, "ProcessPoolExecutor", AllBut(&["process-per-job", "one-process"])),
    contestant("Python loky", Python, "loky", AllBut(&["process-per-job", "one-process"])),
    contestant("Node workerpool", Node, "workerpool", AllBut(&["map", "process-per-job", "one-process"])),
];
