//! What a `Contestant` is: how one of them does a call or a batch. `measure` hands that to the loops of `work.rs`.

use mpm::StartMethod;

use super::{iceoryx, ipc, pool, procspawn, threads};
use crate::work::{self, MIB};

/// Workers that do the work of `work.rs`. One that lacks an ability is not asked for it: see `table.rs`.
pub(super) trait Contestant: Sized {
    /// How many jobs of a batch it manages in a second or some.
    const ONE_BY_ONE: u32 = work::ONE_BY_ONE;

    /// One `work::add`, awaited.
    fn add(&mut self, seed: u32) -> u32;

    /// Bytes there and back.
    fn echo(&mut self, _bytes: Vec<u8>) -> Vec<u8> {
        cannot()
    }

    /// One `work::look_at`, awaited.
    fn look_at(&mut self, _bytes: &[u8]) -> u64 {
        cannot()
    }

    /// The sum of `work::add` for the seeds below `jobs`, each submitted by itself.
    fn one_by_one(&mut self, _jobs: u32) -> u64 {
        cannot()
    }

    /// The same, given away as a whole.
    fn map(&mut self, _jobs: u32) -> u64 {
        cannot()
    }

    /// `work::burn` for the seeds below `jobs`, in order.
    fn burn(&mut self, _jobs: u32, _steps: u64) -> Vec<u64> {
        cannot()
    }

    /// As `burn`, with the pid of the worker for each job that did not fail.
    fn burn_here(&mut self, _jobs: u32, _steps: u64) -> impl Iterator<Item = Option<u32>> {
        std::iter::from_fn(cannot)
    }

    /// The workers' pids.
    fn pids(&mut self) -> Vec<u32> {
        cannot()
    }

    /// `work::add` in a process of its own for each of so many jobs, two at a time.
    fn process_per_job(&mut self, _jobs: u32) {
        cannot()
    }

    /// The same, one after the other.
    fn one_process(&mut self, _jobs: u32) {
        cannot()
    }
}

fn cannot<T>() -> T {
    panic!("this contestant has no way to do that")
}

/// Prints the figures of one measure. `new` makes so many workers.
fn run<C: Contestant>(measure: &str, new: impl Fn(usize) -> C) {
    let warm = |workers| {
        let mut made = new(workers);
        assert_eq!(made.add(1), work::add(1));
        made
    };
    let echo = |bytes| {
        let mut one = new(1);
        work::echoes(bytes, |holds| one.echo(holds));
    };
    let borrowed = |bytes| {
        let mut one = new(1);
        work::borrowed(bytes, |holds| one.look_at(holds));
    };
    match measure {
        "round-trip" => {
            let mut one = warm(1);
            work::round_trips(|seed| one.add(seed));
        }
        "asleep" => {
            let mut one = warm(1);
            work::round_trips_asleep(|seed| one.add(seed));
        }
        "one-by-one" => {
            let mut two = warm(2);
            work::batches(measure, C::ONE_BY_ONE, work::ONE_BY_ONE, |jobs| two.one_by_one(jobs));
        }
        "map" => {
            let mut two = warm(2);
            work::batches(measure, work::MAP, work::MAP, |jobs| two.map(jobs));
        }
        "echo-1" => echo(MIB),
        "echo-16" => echo(16 * MIB),
        "borrowed-1" => borrowed(MIB),
        "borrowed-16" => borrowed(16 * MIB),
        "first-pool" => work::first_results(measure, 1, || warm(2)),
        "later-pool" => {
            drop(warm(2));
            work::first_results(measure, 5, || warm(2));
        }
        "process-per-job" => {
            let mut two = new(2);
            work::processes(measure, |jobs| two.process_per_job(jobs));
        }
        "one-process" => {
            let mut one = new(1);
            work::processes(measure, |jobs| one.one_process(jobs));
        }
        "cpu" => {
            let mut two = warm(2);
            work::efficiency(|jobs, steps| two.burn(jobs, steps));
        }
        "idle" => {
            let mut two = warm(2);
            work::idle(two.pids());
        }
        "kill" => {
            let mut one = warm(1);
            let steps = work::millisecond() * work::KILLED_JOB;
            let pid = one.burn_here(1, 1).next().flatten().expect("a pid");
            work::kill_under_load(pid, one.burn_here(work::BEFORE_KILL, steps));
        }
        other => panic!("no measure {other}"),
    }
}

/// Prints the figures of a contestant that is part of this program.
pub(crate) fn measure(contestant: &str, measure: &str) {
    match contestant {
        "mpm" => run(measure, |workers| pool::Mpm::new(workers, measure, StartMethod::ForkServer)),
        "mpm-fork" => run(measure, |workers| pool::Mpm::new(workers, measure, StartMethod::Fork)),
        "mpm-spawn" => run(measure, |workers| pool::Mpm::new(workers, measure, StartMethod::Spawn)),
        "threads" => run(measure, threads::Threads::new),
        "procspawn" => run(measure, procspawn::Procspawn::new),
        "ipc-channel" => run(measure, |_| ipc::Channels::new(measure)),
        "iceoryx2" => run(measure, |_| iceoryx::Services::new(measure, "events")),
        "iceoryx2-polling" => run(measure, |_| iceoryx::Services::new(measure, "polling")),
        other => panic!("no contestant {other}"),
    }
}

/// The workers of contestants that have no pool: this program, started again.
pub(crate) fn serve(contestant: &str, arguments: &[String]) {
    match (contestant, arguments) {
        ("ipc-channel", [server, measure]) => ipc::serve(server, measure),
        ("iceoryx2", [names, measure, waits]) => iceoryx::serve(names, measure, waits),
        other => panic!("no workers for {other:?}"),
    }
}
