//! Behaviours 129 to 131: pools that grow with what waits, shrink when they have nothing to do, and are resized under load.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use mpm::{JobError, Pool, StartMethod, worker};
use mpm_tests::{Gate, process_gone, try_kill, wait_at, wait_until};
use tempfile::TempDir;

use crate::pools::{build, double, pass, pid};
use crate::{wait_for_workers, workers};

conform!(
    i129_idle_exit,
    i130_resize,
    i130_resize_under_load,
    i130_resize_under_load_and_fire,
    i130_resize_after_idle_exit,
    i131_shrink_when_all_are_busy,
    i131_grown_again_before_anybody_has_left,
    a_pool_grows_with_what_waits_and_shrinks,
    a_pool_grows_while_a_worker_starts,
    a_pool_ends_whatever_its_size_is_just_becoming,
);

const SHORT: Duration = Duration::from_millis(100);

fn i129_idle_exit(method: StartMethod) {
    let pool = build(Pool::builder().workers(0..=2).max_idle(SHORT), method);
    wait_for_workers(0);
    let mut pids = BTreeSet::new();
    for round in 0..5 {
        assert!(pids.insert(pool.run(pid::job()).unwrap()), "round {round}: it is back");
        wait_for_workers(0);
    }
    // Whoever waits in another way starts one too.
    assert!(pool.map::<double>(0..10).zip(0..).all(|(outcome, n)| outcome.unwrap() == 2 * n));
    wait_for_workers(0);
    assert_eq!(mpm_tests::block_on(pool.submit(double::job(3)).unwrap()).unwrap(), 6);
    wait_for_workers(0);
    let jobs: Vec<_> = (0..10).map(|n| pool.submit(double::job(n)).unwrap()).collect();
    pool.join();
    assert!((0..).zip(jobs).all(|(n, job)| job.wait().unwrap() == 2 * n));
}

const SIZES: [usize; 8] = [12, 2, 1, 12, 6, 1, 8, 5];

/// Shrinking keeps some of those that were there, and growing all of them.
fn i130_resize(method: StartMethod) {
    let pool = build(Pool::builder().workers(3), method);
    let mut before = wait_for_workers(3);
    for size in SIZES {
        pool.resize(size).unwrap();
        let now = wait_for_workers(size);
        assert!(if now.len() < before.len() { now.is_subset(&before) } else { now.is_superset(&before) }, "{before:?} {now:?}");
        assert_eq!(pool.size(), size..=size);
        assert_eq!(pool.map::<double>(0..100).filter(Result::is_ok).count(), 100);
        before = now;
    }
    assert_eq!(workers(), before);
}

fn i130_resize_under_load(method: StartMethod) {
    under_load(method, false);
}

fn i130_resize_under_load_and_fire(method: StartMethod) {
    under_load(method, true);
}

/// Some take long, most do not.
#[worker]
fn works(n: u64) -> u64 {
    if n.is_multiple_of(64) {
        let time = Duration::from_millis(n / 64 % 7);
        thread::sleep(time); // the job's own work
    }
    n
}

fn under_load(method: StartMethod, kills: bool) {
    let pool = build(Pool::builder().workers(4).queue(256), method);
    assert_eq!(pool.run(double::job(1)).unwrap(), 2);
    let count = |(n, outcome): (u64, Result<u64, JobError>)| match outcome {
        Ok(value) => {
            assert_eq!(value, n);
            0
        }
        Err(JobError::Died(_)) => 1,
        Err(error) => panic!("{error}"),
    };
    let (mut died, mut killed) = (0, 0);
    thread::scope(|scope| {
        let mapped = scope.spawn(|| (0..).zip(pool.map::<works>(0..4_000)).map(count).sum::<u32>());
        let one_by_one = scope.spawn(|| (0..1_500).map(|n| count((n, pool.run(works::job(n))))).sum::<u32>());
        let submitted = scope.spawn(|| {
            let jobs: Vec<_> = (0..1_500).map(|n| (n, pool.submit(works::job(n)).unwrap())).collect();
            jobs.into_iter().map(|(n, job)| count((n, job.wait()))).sum::<u32>()
        });
        for size in SIZES.into_iter().cycle().take(32) {
            pool.resize(size).unwrap();
            if kills {
                killed += workers().iter().take(1).filter(|pid| try_kill(**pid, libc::SIGKILL)).count();
            }
            died += count((size as u64, pool.run(works::job(size as u64))));
        }
        died += [mapped, one_by_one, submitted].map(|thread| thread.join().unwrap()).into_iter().sum::<u32>();
    });
    assert!(died as usize <= killed, "{died} jobs died of {killed} kills");
    wait_for_workers(5);
    assert_eq!(pool.run(double::job(3)).unwrap(), 6);
}

fn i130_resize_after_idle_exit(method: StartMethod) {
    let pool = build(Pool::builder().workers(0..=4).max_idle(SHORT), method);
    assert!(pool.run(pid::job()).is_ok());
    wait_for_workers(0);
    pool.resize(3).unwrap();
    let three = wait_for_workers(3);
    // A range that leaves them as they are, and one that does not.
    pool.resize(3..=5).unwrap();
    assert_eq!(pool.map::<double>(0..10).filter(Result::is_ok).count(), 10);
    assert!(workers().is_superset(&three));
    pool.resize(0..=1).unwrap();
    wait_for_workers(0);
    assert!(pool.resize(0).unwrap_err().is_setting() && pool.resize(4097).unwrap_err().is_setting());
    assert_eq!(pool.size(), 0..=1, "as it was");
    assert!(pool.run(pid::job()).is_ok());
}

fn gates(folder: &TempDir, name: &str, count: usize) -> Vec<Gate> {
    (0..count).map(|n| Gate::new(folder.path(), &format!("{name} {n}"))).collect()
}

fn i131_shrink_when_all_are_busy(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let pool = build(Pool::builder().workers(4), method);
    let gates = gates(&folder, "gate", 4);
    let jobs: Vec<_> = gates.iter().map(|gate| pool.submit(pass::job(&gate.path())).unwrap()).collect();
    gates.iter().for_each(|gate| gate.wait_for(1));
    let pids: Vec<_> = jobs.iter().map(|job| job.report().pid.unwrap()).collect();
    pool.resize(1).unwrap();
    // Behind them: they run on the one that stays.
    let behind: Vec<_> = (0..5).map(|_| pool.submit(pid::job()).unwrap()).collect();
    for (n, (job, gate)) in jobs.into_iter().zip(&gates).enumerate() {
        let still = workers();
        assert!(pids[n..].iter().all(|pid| still.contains(pid)), "nobody is ended in a job");
        gate.open();
        assert_eq!(job.wait().unwrap(), pids[n]);
    }
    let stayed = wait_for_workers(1);
    assert!(stayed.iter().all(|pid| pids.contains(pid)));
    assert!(behind.into_iter().all(|job| stayed.contains(&job.wait().unwrap())));
}

fn i131_grown_again_before_anybody_has_left(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let pool = build(Pool::builder().workers(4), method);
    for round in 0..3 {
        let gates = gates(&folder, &format!("round {round}"), 4);
        let jobs: Vec<_> = gates.iter().map(|gate| pool.submit(pass::job(&gate.path())).unwrap()).collect();
        gates.iter().for_each(|gate| gate.wait_for(1));
        let before = wait_for_workers(4);
        pool.resize(1).unwrap();
        pool.resize(2).unwrap();
        pool.resize(4).unwrap();
        gates.iter().for_each(Gate::open);
        assert!(jobs.into_iter().all(|job| before.contains(&job.wait().unwrap())));
        assert_eq!(wait_for_workers(4), before);
    }
}

fn a_pool_grows_with_what_waits_and_shrinks(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let pool = build(Pool::builder().workers(1..=4).max_idle(SHORT), method);
    // Short jobs, one after the other, are work for one.
    (0..1_000).for_each(|n| assert_eq!(pool.run(double::job(n)).unwrap(), 2 * n));
    assert_eq!(workers().len(), 1);
    for round in 0..3 {
        let gates = gates(&folder, &format!("round {round}"), 6);
        let jobs: Vec<_> = gates.iter().map(|gate| pool.submit(pass::job(&gate.path())).unwrap()).collect();
        // They were taken for short ones: that they wait is reason enough.
        wait_until("four run at once", || gates.iter().map(Gate::arrived).sum::<u64>() == 4);
        assert_eq!(workers().len(), 4, "no more than allowed");
        gates.iter().for_each(Gate::open);
        assert!(jobs.into_iter().all(|job| job.wait().is_ok()));
        let left = wait_for_workers(1);
        let last = pool.run(pid::job()).unwrap();
        assert!(left.contains(&last));
    }
    // Who has died is missed only if somebody waits, or it was one of the least.
    let last = pool.run(pid::job()).unwrap();
    assert!(try_kill(last, libc::SIGKILL));
    wait_until("it is gone", || process_gone(last));
    wait_for_workers(1);
}

/// Jobs that come while the first worker takes long to start are worth workers as much as those that came before.
fn a_pool_grows_while_a_worker_starts(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let [starts, gate] = ["starts", "gate"].map(|name| Gate::new(folder.path(), name));
    let pool = build(Pool::builder().workers(0..=4).on_start(waits::job(&starts.path())), method);
    let submit = || pool.submit(pass::job(&gate.path())).unwrap();
    let first = submit();
    starts.wait_for(1);
    let others = [(); 3].map(|()| submit());
    starts.wait_for(4);
    starts.open();
    gate.wait_for(4);
    gate.open();
    assert!(others.into_iter().chain([first]).all(|job| job.wait().is_ok()));
}

#[worker]
fn waits(gate: &str) {
    wait_at(gate);
}

fn a_pool_ends_whatever_its_size_is_just_becoming(method: StartMethod) {
    for round in 0..24 {
        let pool = build(Pool::builder().workers(0..=3).max_idle(Duration::from_millis(1)), method);
        let jobs: Vec<_> = (0..round % 6).map(|n| pool.submit(double::job(n)).unwrap()).collect();
        if round % 2 == 0 {
            pool.resize(4).unwrap();
        }
        if round % 3 == 0 {
            pool.resize(1).unwrap();
        }
        match round % 4 {
            0 => pool.join(),
            1 => pool.kill(),
            2 => pool.shutdown(Duration::from_secs(60)),
            _ => drop(pool),
        }
        for (n, job) in (0..).zip(jobs) {
            match job.wait() {
                Ok(value) => assert_eq!(value, 2 * n),
                Err(JobError::Cancelled(_)) if round % 4 != 0 => {}
                Err(error) => panic!("{error}"),
            }
        }
        wait_for_workers(0);
    }
}

/// In a pool that has no worker and may have some, nobody waits in vain, in whatever way he waits.
#[mpm::test]
fn nobody_waits_in_vain_where_there_is_no_worker() {
    mpm_tests::alone("sizes::nobody_waits_in_vain_where_there_is_no_worker", || {
        let pool = Pool::builder().workers(0..=1).queue(1).max_idle(Duration::from_millis(1)).build().unwrap();
        for n in 0..50 {
            assert_eq!(pool.run(double::job(n)).unwrap(), 2 * n);
            let job = pool.submit(double::job(n)).unwrap();
            // Blocks until there is room.
            let behind = [(); 3].map(|()| pool.submit(double::job(n)).unwrap());
            mpm::wait_all(&behind);
            assert_eq!(job.wait().unwrap(), 2 * n);
        }
    });
}

/// Whose turn it is depends on how many there are; who has nothing to do cannot take what is another one's.
#[mpm::test]
fn a_pool_that_hands_out_in_turn_has_a_fixed_number_of_workers() {
    mpm_tests::alone("sizes::a_pool_that_hands_out_in_turn_has_a_fixed_number_of_workers", || {
        let in_turn = || Pool::builder().round_robin(true);
        let error = in_turn().workers(1..=4).build().unwrap_err();
        assert!(error.is_setting() && error.to_string().starts_with("Builder::workers(1..=4): "), "{error}");
        let pool = in_turn().workers(2..=2).build().unwrap();
        let error = pool.resize(0..=2).unwrap_err();
        assert!(error.is_setting() && error.to_string().starts_with("Pool::resize(0..=2): "), "{error}");
        assert_eq!(pool.size(), 2..=2, "as it was");
        pool.resize(3).unwrap();
        assert_eq!(pool.map::<double>(0..30).filter(Result::is_ok).count(), 30);
    });
}
