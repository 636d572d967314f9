//! Steering the queue of a pool: what goes first, where it goes, what holds it back.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mpm::{Pool, worker};

// ANCHOR: targets
#[worker]
fn page(number: u32) -> u32 {
    number
}

/// The text of a document, read once and kept. Each worker has such a table.
static TEXTS: Mutex<Option<HashMap<String, String>>> = Mutex::new(None);

#[worker]
fn word(document: &str, number: usize) -> Option<String> {
    let mut texts = TEXTS.lock().ok()?;
    let text = texts.get_or_insert_default().entry(document.to_owned()).or_insert_with(|| {
        println!("reading {document}");
        "all happy families are alike".to_owned()
    });
    text.split(' ').nth(number).map(str::to_owned)
}

#[worker]
fn forget() {
    TEXTS.lock().unwrap_or_else(PoisonError::into_inner).take();
}

/// Asks a service that allows five questions in a tenth of a second.
#[worker]
fn ask(question: u32) -> u32 {
    question * 2
}
// ANCHOR_END: targets

#[mpm::main]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    // ANCHOR: builder
    let pool = Pool::builder().workers(2).limit_concurrency::<page>(1).limit_rate::<ask>(5, Duration::from_millis(100)).build()?;
    // ANCHOR_END: builder

    // ANCHOR: priority
    pool.pause(); // so that all of them wait
    let print = pool.submit(page::job(1).priority(-1).tag("print"))?;
    let show = pool.submit(page::job(2))?;
    let shown_now = pool.submit(page::job(3).priority(10))?;
    pool.resume();
    for (index, outcome) in mpm::as_completed([print, show, shown_now]) {
        println!("job {index} is page {}", outcome?);
    }
    // ANCHOR_END: priority

    // ANCHOR: tags
    pool.pause();
    let mut pages = Vec::new();
    for number in 0..100 {
        pages.push(pool.submit(page::job(number).tag("report 7"))?);
    }
    println!("{} pages taken back", pool.cancel_tagged("report 7"));
    pool.resume();
    println!("the first one: {}", pages.swap_remove(0).wait().unwrap_err());
    // ANCHOR_END: tags

    // ANCHOR: keys
    for number in 0..3 {
        let word = pool.run(word::job("anna.txt", number).key("anna.txt"))?;
        println!("word {number}: {}", word.unwrap_or_default());
    }
    // ANCHOR_END: keys

    // ANCHOR: broadcast
    for (worker, outcome) in pool.broadcast(forget::job())?.wait() {
        outcome?;
        println!("{worker} has forgotten its documents");
    }
    // ANCHOR_END: broadcast

    // ANCHOR: rate
    let began = Instant::now();
    let answers: Result<Vec<u32>, _> = pool.map::<ask>(0..12).collect();
    println!("{} answers, in more than 200 ms: {}", answers?.len(), began.elapsed() > Duration::from_millis(200));
    // ANCHOR_END: rate
    Ok(())
}
