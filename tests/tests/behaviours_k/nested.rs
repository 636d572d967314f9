//! Behaviours 155 and 157: outer workers end while they own pools, and while those still start.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use mpm::{Pool, StartMethod, worker};
use mpm_tests::{doomed, process_gone, report, wait_until};
use tempfile::TempDir;

use crate::jobs::{self, worker_counts};
use crate::pools::{double, pid, pool_of};

conform!(k155_outer_workers_still_own_pools_at_the_end, k157_inner_workers_whose_parent_is_gone_before_they_are_ready_end_quietly,);

/// Uses a pool that nobody ends, by the default method.
#[worker]
fn uses_a_static_pool(n: u64) -> (u64, u32) {
    static INNER: OnceLock<Pool> = OnceLock::new();
    let inner = INNER.get_or_init(|| jobs::pool_of(2));
    (inner.run(double::job(n)).unwrap(), inner.run(pid::job()).unwrap())
}

fn k155_outer_workers_still_own_pools_at_the_end(method: StartMethod) {
    for workers in worker_counts() {
        for end in [Pool::join, Pool::kill, |_: &Pool| {}] {
            let pool = pool_of(workers, method);
            let mut inner = BTreeSet::new();
            for (n, outcome) in pool.map::<uses_a_static_pool>(0..8).enumerate() {
                let (value, worker) = outcome.unwrap();
                assert_eq!(value, 2 * n as u64);
                inner.insert(worker);
            }
            end(&pool);
            drop(pool);
            wait_until("no inner worker is left", || inner.iter().all(|worker| process_gone(*worker)));
        }
    }
}

fn k157_inner_workers_whose_parent_is_gone_before_they_are_ready_end_quietly(method: StartMethod) {
    let folder = TempDir::new().unwrap();
    let name = format!("nested::k157_inner_workers_whose_parent_is_gone_before_they_are_ready_end_quietly::{method}");
    let mut process = doomed(&name, folder.path(), |folder| {
        // The workers of the inner pools are still starting when the outer ones end.
        for n in 0..20 {
            let pool = pool_of(2, method);
            assert_eq!(pool.run(uses_a_static_pool::job(n)).unwrap().0, 2 * n);
            pool.join();
        }
        report(folder, "");
    });
    assert!(process.wait().success(), "{}", process.output());
    assert!(!process.output().contains("FAILED"), "{}", process.output());
}
