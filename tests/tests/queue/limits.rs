//! Limits of single targets: how many run at once, how many start in a span of time.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use mpm::{Pool, worker};
use mpm_tests::{Gate, kill, watchdog};

use crate::marks::{METHODS, folder, limited, mark, pid, pool, started};

/// How many of its kind run at the moment, itself included.
#[worker]
fn crowd(place: &Path, number: u32) -> usize {
    let own = place.join(number.to_string());
    fs::write(&own, "").unwrap();
    let count = fs::read_dir(place).unwrap().count();
    fs::remove_file(own).unwrap();
    count
}

/// Registered, and used for what a builder says about it.
#[worker]
fn scarce() {}

#[mpm::test]
fn jobs_over_the_limit_wait_and_others_go_before_them() {
    let _watchdog = watchdog();
    let (folder, marks) = folder();
    let gate = Gate::new(folder.path(), "gate");
    let pool = pool(4).limit_concurrency::<limited>(2).build().unwrap();
    let jobs: Vec<_> = (0..6).map(|n| pool.submit(limited::job(&marks, n, &gate.path())).unwrap()).collect();
    gate.wait_for(2);
    for n in -10..10 {
        pool.run(mark::job(&marks, 100, "").priority(n)).unwrap();
    }
    assert_eq!((gate.arrived(), started(&marks).len()), (2, 22));
    gate.open();
    assert!(jobs.into_iter().all(|job| job.wait().is_ok()));
}

#[mpm::test]
fn never_do_more_run_at_once_than_the_limit_allows() {
    let _watchdog = watchdog();
    for at_once in [1, 2, 3] {
        let folder = tempfile::TempDir::new().unwrap();
        let pool = pool(4).limit_concurrency::<crowd>(at_once).build().unwrap();
        let inputs = || (0..400_u32).map(|n| (folder.path(), n));
        let mut most = pool.map::<crowd>(inputs()).map(Result::unwrap).max();
        most = most.max(pool.map_unordered::<crowd>(inputs()).map(|(_, count)| count.unwrap()).max());
        let priority = |n| if n % 3 == 0 { 1 } else { 0 };
        let job = |(place, n)| crowd::job(place, n).key(n % 5).priority(priority(n));
        let jobs: Vec<_> = inputs().map(|input| pool.submit(job(input)).unwrap()).collect();
        most = most.max(jobs.into_iter().map(|job| job.wait().unwrap()).max());
        assert!(most <= Some(at_once), "{most:?} at once where {at_once} may");
    }
}

#[mpm::test]
fn a_death_makes_room_for_the_next_of_its_kind() {
    let _watchdog = watchdog();
    for method in METHODS {
        let (folder, marks) = folder();
        let gate = Gate::new(folder.path(), "gate");
        let pool = pool(2).start(method).limit_concurrency::<limited>(1).build().unwrap();
        let first = pool.submit(limited::job(&marks, 0, &gate.path())).unwrap();
        gate.wait_for(1);
        let second = pool.submit(limited::job(&marks, 1, "")).unwrap();
        pool.run(pid::job()).unwrap();
        assert!(!second.is_finished());
        kill(first.report().pid.unwrap(), libc::SIGKILL);
        assert!(first.wait().unwrap_err().death().is_some());
        second.wait().unwrap();
        assert_eq!(started(&marks), [0, 1]);
    }
}

#[mpm::test]
fn no_more_start_in_a_span_than_the_rate_allows() {
    let _watchdog = watchdog();
    const SPAN: Duration = Duration::from_millis(60);
    let (_folder, marks) = folder();
    let pool = pool(4).limit_rate::<limited>(5, SPAN).build().unwrap();
    let began = Instant::now();
    let jobs: Vec<_> = (0..23).map(|n| pool.submit(limited::job(&marks, n, "")).unwrap()).collect();
    for (n, job) in (0..).zip(jobs) {
        job.wait().unwrap();
        assert!(began.elapsed() >= SPAN * (n / 5), "job {n} started too soon");
    }
    let mut order = started(&marks);
    order.sort_unstable();
    assert_eq!(order, (0..23).collect::<Vec<_>>(), "each once");
}

#[mpm::test]
fn a_rate_holds_up_nobody_else_and_what_waits_for_it_can_be_taken_back() {
    let _watchdog = watchdog();
    let (_folder, marks) = folder();
    let hour = Duration::from_secs(3600);
    let pool = pool(2).limit_rate::<limited>(1, hour).build().unwrap();
    pool.run(limited::job(&marks, 0, "")).unwrap();
    let jobs: Vec<_> = (1..5).map(|n| pool.submit(limited::job(&marks, n, "").priority(1)).unwrap()).collect();
    let with_key = pool.submit(limited::job(&marks, 9, "").key("k")).unwrap();
    for n in 100..120 {
        pool.run(mark::job(&marks, n, "")).unwrap();
    }
    assert!(jobs.iter().all(|job| !job.is_finished()));
    assert!(jobs[1].cancel() && with_key.cancel());
    pool.shutdown(hour);
    assert!(jobs.into_iter().all(|job| job.wait().unwrap_err().is_cancelled()));
    assert_eq!(started(&marks), [0].into_iter().chain(100..120).collect::<Vec<_>>());
}

#[mpm::test]
fn limits_of_a_target_that_cannot_be_are_refused() {
    let _watchdog = watchdog();
    let message = |builder: mpm::Builder| builder.build().unwrap_err().to_string();
    let second = Duration::from_secs(1);
    assert!(message(pool(1).limit_concurrency::<scarce>(0)).contains(&format!("limit_concurrency::<{}>(0)", scarce::NAME)));
    assert!(message(pool(1).limit_rate::<scarce>(0, second)).contains(&format!("limit_rate::<{}>(0", scarce::NAME)));
    assert!(message(pool(1).limit_rate::<scarce>(65_537, second)).contains("at most 65536"));
    assert!(message(pool(1).limit_rate::<scarce>(1, Duration::ZERO)).contains("(…, 0)"));
    // The last word counts, and both can hold.
    let pool = pool(1).limit_concurrency::<scarce>(0).limit_concurrency::<scarce>(1).limit_rate::<scarce>(3, second);
    pool.build().unwrap().run(scarce::job()).unwrap();
}

#[mpm::test]
fn a_map_over_a_limited_target_goes_one_by_one_beside_one_that_does_not() {
    let _watchdog = watchdog();
    let (_folder, marks) = folder();
    let pool = Pool::builder().workers(2).limit_concurrency::<limited>(1).build().unwrap();
    let mut slow = pool.map::<limited>((0..300).map(|n| (marks.as_path(), n, "")));
    let mut fast = pool.map::<pid>((0..3000).map(|_| ()));
    assert_eq!((slow.by_ref().filter(Result::is_ok).count(), fast.by_ref().filter(Result::is_ok).count()), (300, 3000));
    drop((slow, fast));
    assert_eq!(started(&marks), (0..300).collect::<Vec<_>>());
}
