//! Jobs that fail now and then: which are tried again, how often, and what is told of those that go on failing.

use std::time::Duration;

use mpm::{Pool, Retry, worker};

// ANCHOR: targets
/// Stands for a library that crashes at times: here at the first try.
#[worker(retries = 2)]
fn convert(page: u32) -> String {
    let attempt = mpm::current().attempt();
    if page == 2 && attempt == 1 {
        std::process::abort();
    }
    format!("page {page} at try {attempt}")
}

/// Stands for a server that is busy at times: here until the third try.
#[worker]
fn fetch(name: &str) -> Result<String, String> {
    match mpm::current().attempt() {
        1 | 2 => Err("busy".to_owned()),
        attempt => Ok(format!("{name} at try {attempt}")),
    }
}

/// Kills every worker that touches it.
#[worker]
fn poison() {
    std::process::abort();
}
// ANCHOR_END: targets

#[mpm::main]
fn main() -> mpm::Result<()> {
    // ANCHOR: main
    let pool = Pool::builder().name("tries").workers(2).build()?;
    for text in pool.map::<convert>(1..=3) {
        println!("{}", text?);
    }

    let patient = Retry::times(5).backoff(Duration::from_millis(10), Duration::from_secs(1));
    let job = fetch::job("index").retries(patient.clone()).retry_if(|result| result.is_err());
    println!("{}", pool.run(job)?.unwrap());

    println!("{}", pool.run(poison::job().retries(patient)).unwrap_err());
    // ANCHOR_END: main
    Ok(())
}
