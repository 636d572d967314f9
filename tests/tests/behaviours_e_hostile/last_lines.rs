//! Behaviour 74: what is left of what a worker printed.

use std::io::Write;
use std::process;
use std::time::Duration;

use mpm::{JobError, Pool, StartMethod, worker};

use crate::jobs::{Way, worker_counts};
use crate::{nobody_is_left, pool_of};

conform!(
    e74_the_last_lines_of_a_worker,
    e74_lines_of_one_worker_are_not_told_of_another,
    e74_a_flood_on_standard_error,
    e74_a_pool_ends_in_the_middle_of_a_flood,
);

#[worker]
fn prints_then_dies(lines: u32, partial: &str) {
    for n in 0..lines {
        eprintln!("line {n}");
    }
    eprint!("{partial}");
    process::exit(5);
}

fn last_lines(pool: &Pool, lines: u32, partial: &str) -> Vec<String> {
    match pool.run(prints_then_dies::job(lines, partial)) {
        Err(JobError::Died(death)) => death.stderr,
        other => panic!("{other:?}"),
    }
}

fn e74_the_last_lines_of_a_worker(method: StartMethod) {
    let pool = pool_of(method, 1);
    assert_eq!(last_lines(&pool, 0, ""), Vec::<String>::new());
    assert_eq!(last_lines(&pool, 1, ""), ["line 0"]);
    assert_eq!(last_lines(&pool, 1, "not ended"), ["line 0", "not ended"]);
    assert_eq!(last_lines(&pool, 0, "one\rtwo\r\nthree"), ["one", "two", "three"], "a progress bar");
    let many = last_lines(&pool, 1000, "the end");
    assert_eq!(many.len(), 20);
    assert_eq!((many[0].as_str(), many[18].as_str(), many[19].as_str()), ("line 981", "line 999", "the end"));
    let long = last_lines(&pool, 0, &"ž".repeat(3000));
    assert!(long.iter().all(|line| !line.is_empty() && line.chars().count() <= 1024), "{long:?}");
}

fn e74_lines_of_one_worker_are_not_told_of_another(method: StartMethod) {
    let pool = pool_of(method, 1);
    assert_eq!(last_lines(&pool, 2, ""), ["line 0", "line 1"]);
    assert_eq!(last_lines(&pool, 1, ""), ["line 0"], "the worker that came after it begins anew");
}

#[worker]
fn floods(bytes: usize, then: Option<Way>) -> usize {
    let line = [b"y".repeat(99), b"\n".to_vec()].concat();
    let mut stderr = std::io::stderr();
    for _ in 0..bytes / line.len() {
        stderr.write_all(&line).unwrap();
    }
    if let Some(way) = then {
        way.go();
    }
    bytes
}

fn e74_a_flood_on_standard_error(method: StartMethod) {
    for workers in worker_counts() {
        let pool = pool_of(method, workers);
        let inputs = (0..2 * workers).map(|n| (3_000_000, (n % 2 == 1).then_some(Way::Exit(2))));
        for (n, outcome) in pool.map::<floods>(inputs).enumerate() {
            match outcome {
                Ok(bytes) => assert!(bytes == 3_000_000 && n % 2 == 0),
                Err(JobError::Died(death)) => {
                    assert_eq!(death.stderr.len(), 20);
                    assert_eq!(death.stderr[19], "about to die: Exit(2)");
                    assert_eq!(death.stderr[0], "y".repeat(99));
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
}

#[worker]
fn endless_flood() {
    loop {
        eprintln!("{}", "z".repeat(1000));
    }
}

fn e74_a_pool_ends_in_the_middle_of_a_flood(method: StartMethod) {
    let pool = Pool::builder().start(method).workers(2).grace(Duration::from_millis(50)).build().unwrap();
    let jobs = [pool.submit(endless_flood::job()).unwrap(), pool.submit(endless_flood::job()).unwrap()];
    mpm_tests::wait_until("both jobs run", || jobs.iter().all(|job| job.report().pid.is_some()));
    drop(pool);
    assert!(jobs.into_iter().all(|job| matches!(job.wait(), Err(JobError::Cancelled(_)))));
    nobody_is_left(method);
}
