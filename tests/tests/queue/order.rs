//! Priorities and tags.

use mpm::{JobError, worker};
use mpm_tests::{Gate, watchdog};

use crate::marks::{end_well, folder, mark, pid, pool, started, warm};

#[worker]
fn die() {
    std::process::abort()
}

#[worker]
fn panics() {
    panic!("as it was told")
}

#[mpm::test]
fn the_higher_priority_goes_first_and_the_same_one_in_order_of_submission() {
    let _watchdog = watchdog();
    let (folder, marks) = folder();
    let gate = Gate::new(folder.path(), "gate");
    let pool = pool(1).build().unwrap();
    let first = pool.submit(mark::job(&marks, 0, &gate.path())).unwrap();
    gate.wait_for(1);
    let priorities = [0, -1, 7, 0, i32::MIN, 7, i32::MAX, -1];
    let jobs: Vec<_> = (1..).zip(priorities).map(|(n, p)| pool.submit(mark::job(&marks, n, "").priority(p)).unwrap()).collect();
    gate.open();
    first.wait().unwrap();
    end_well(jobs);
    assert_eq!(started(&marks), [0, 7, 3, 6, 1, 4, 2, 8, 5]);
}

#[mpm::test]
fn an_urgent_job_goes_before_short_ones_that_were_handed_out_ahead_of_time() {
    let _watchdog = watchdog();
    let (folder, marks) = folder();
    let gate = Gate::new(folder.path(), "gate");
    let pool = pool(1).build().unwrap();
    warm(&pool);
    let first = pool.submit(mark::job(&marks, 0, &gate.path())).unwrap();
    gate.wait_for(1);
    let low: Vec<_> = (1..20).map(|n| pool.submit(mark::job(&marks, n, "")).unwrap()).collect();
    let urgent: Vec<_> = (100..103).map(|n| pool.submit(mark::job(&marks, n, "").priority(1)).unwrap()).collect();
    gate.open();
    first.wait().unwrap();
    end_well(low.into_iter().chain(urgent));
    let expected: Vec<u32> = [0, 100, 101, 102].into_iter().chain(1..20).collect();
    assert_eq!(started(&marks), expected);
}

/// It was handed out behind the long job of one worker, and all that was less urgent went before it in the other one.
#[mpm::test]
fn an_urgent_job_goes_to_whichever_worker_is_first_done() {
    let _watchdog = watchdog();
    for first_done in [0, 1] {
        let (folder, marks) = folder();
        let gates = ["a", "b"].map(|name| Gate::new(folder.path(), name));
        let pool = pool(2).build().unwrap();
        warm(&pool);
        let long: Vec<_> = (0..2).map(|n| pool.submit(mark::job(&marks, n, &gates[n as usize].path())).unwrap()).collect();
        gates.iter().for_each(|gate| gate.wait_for(1));
        let low: Vec<_> = (10..60).map(|n| pool.submit(mark::job(&marks, n, "")).unwrap()).collect();
        let urgent: Vec<_> = (100..103).map(|n| pool.submit(mark::job(&marks, n, "").priority(1)).unwrap()).collect();
        gates[first_done].open();
        end_well(urgent);
        let order = started(&marks);
        assert_eq!(order[2..5], [100, 101, 102], "{order:?}");
        // More of them come while less urgent ones run all the time.
        for n in 200..220 {
            pool.run(mark::job(&marks, n, "").priority(1)).unwrap();
        }
        end_well(low);
        gates[1 - first_done].open();
        end_well(long);
    }
}

#[mpm::test]
fn what_was_submitted_before_a_cancelled_job_and_after_it_keeps_its_order() {
    let _watchdog = watchdog();
    let (folder, marks) = folder();
    let gate = Gate::new(folder.path(), "gate");
    let pool = pool(1).build().unwrap();
    let first = pool.submit(mark::job(&marks, 0, &gate.path())).unwrap();
    gate.wait_for(1);
    let jobs: Vec<_> = (1..=9).map(|n| pool.submit(mark::job(&marks, n, "").priority(1)).unwrap()).collect();
    assert!(jobs.iter().step_by(2).all(|job| job.cancel()));
    assert!(!jobs[0].cancel(), "once");
    gate.open();
    first.wait().unwrap();
    for (n, job) in jobs.into_iter().enumerate() {
        match job.wait() {
            Ok(_) => assert_eq!(n % 2, 1),
            Err(error) => assert!(n % 2 == 0 && error.is_cancelled(), "{error}"),
        }
    }
    assert_eq!(started(&marks), [0, 2, 4, 6, 8]);
}

#[mpm::test]
fn a_tag_is_in_the_report_and_in_the_reports_of_what_went_wrong() {
    let _watchdog = watchdog();
    let pool = pool(1).build().unwrap();
    let job = pool.submit(pid::job().tag("blue")).unwrap();
    assert_eq!(job.report().tag.as_deref(), Some("blue"));
    job.wait().unwrap();
    assert_eq!(pool.submit(pid::job()).unwrap().report().tag, None);
    let JobError::Panicked(panic) = pool.run(panics::job().tag("red")).unwrap_err() else { panic!("it panics") };
    assert_eq!(panic.tag.as_deref(), Some("red"));
    assert!(panic.to_string().contains(", tag \"red\") panicked"), "{panic}");
    let JobError::Died(death) = pool.run(die::job().tag("black")).unwrap_err() else { panic!("it dies") };
    assert_eq!(death.tag.as_deref(), Some("black"));
    assert!(death.to_string().contains(", tag \"black\")"), "{death}");
}

#[mpm::test]
fn all_waiting_jobs_of_a_tag_are_taken_back_wherever_they_are() {
    let _watchdog = watchdog();
    let (folder, marks) = folder();
    let gate = Gate::new(folder.path(), "gate");
    let pool = pool(1).build().unwrap();
    warm(&pool);
    let running = pool.submit(mark::job(&marks, 0, &gate.path()).tag("x")).unwrap();
    gate.wait_for(1);
    // Some of these are with the worker already.
    let plain: Vec<_> = (1..30).map(|n| pool.submit(mark::job(&marks, n, "").tag("x")).unwrap()).collect();
    let others: Vec<_> = (100..110).map(|n| pool.submit(mark::job(&marks, n, "").tag("y")).unwrap()).collect();
    let steered: Vec<_> =
        (30..40).map(|n| pool.submit(mark::job(&marks, n, "").priority(3).key(n % 3).tag("x")).unwrap()).collect();
    assert_eq!(pool.cancel_tagged("z"), 0);
    assert_eq!(pool.cancel_tagged("x"), 39);
    assert_eq!(pool.cancel_tagged("x"), 0);
    gate.open();
    running.wait().unwrap();
    for job in plain.into_iter().chain(steered) {
        let error = job.wait().unwrap_err();
        assert!(error.to_string().contains("Pool::cancel_tagged"), "{error}");
    }
    end_well(others);
    pool.join();
    assert_eq!(started(&marks), [0].into_iter().chain(100..110).collect::<Vec<_>>());
}

#[mpm::test]
fn the_queue_counts_all_that_waits_in_it() {
    let _watchdog = watchdog();
    let pool = pool(1).queue(4).limit_concurrency::<mark>(1).build().unwrap();
    let (_folder, marks) = folder();
    pool.pause();
    let jobs = [
        pool.submit(pid::job()).unwrap(),
        pool.submit(pid::job().priority(-2)).unwrap(),
        pool.submit(pid::job().key("k")).unwrap(),
        pool.submit(mark::job(&marks, 1, "")).unwrap(),
    ];
    assert!(pool.try_submit(pid::job()).unwrap_err().is_full());
    assert!(pool.try_submit(pid::job().priority(9)).unwrap_err().is_full());
    assert!(jobs[1].cancel() && jobs[3].cancel());
    let more = [pool.try_submit(pid::job().key("k")).unwrap(), pool.try_submit(pid::job()).unwrap()];
    assert!(pool.try_submit(pid::job()).unwrap_err().is_full());
    pool.join();
    let ended = jobs.into_iter().chain(more).map(|job| job.wait().is_ok());
    assert!(ended.eq([true, false, true, false, true, true]));
}
