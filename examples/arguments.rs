//! What travels between the processes: borrowed and owned arguments, types of one's own, errors.

use mpm::{Failure, Pool, worker};
use serde::{Deserialize, Serialize};

// ANCHOR: borrowed
/// Counts how often `byte` is in `data`.
#[worker]
fn count(data: &[u8], byte: u8) -> usize {
    data.iter().filter(|b| **b == byte).count()
}
// ANCHOR_END: borrowed

// ANCHOR: own
#[derive(Serialize, Deserialize)]
struct Order {
    article: String,
    pieces: u32,
    cents_each: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct Bill {
    text: String,
    cents: u32,
}

#[worker]
fn bill(order: Order, discount_percent: u32) -> Bill {
    let full = order.pieces * order.cents_each;
    Bill { text: format!("{} × {}", order.pieces, order.article), cents: full - full * discount_percent / 100 }
}
// ANCHOR_END: own

// ANCHOR: failure
#[worker]
fn parse(number: &str) -> Result<u32, Failure> {
    if number.is_empty() {
        return Err(Failure::new("there is no number"));
    }
    Ok(number.parse()?) // any std error becomes a Failure
}
// ANCHOR_END: failure

#[mpm::main]
fn main() -> mpm::Result<()> {
    let pool = Pool::builder().name("book").workers(2).build()?;

    // ANCHOR: lend
    let text = b"an owl and a newt".to_vec();
    let job = pool.submit(count::job(&text, b'a'))?;
    drop(text); // encoded by `submit`: the job borrows no longer
    println!("{} times", job.wait()?);
    // ANCHOR_END: lend

    let order = Order { article: "teapot".to_owned(), pieces: 3, cents_each: 1250 };
    println!("{:?}", pool.run(bill::job(order, 10))?);

    // ANCHOR: two_errors
    for text in ["42", "forty-two", ""] {
        let outcome = pool.run(parse::job(text));
        match outcome? {
            Ok(number) => println!("{number}"),
            Err(failure) => println!("{text:?} is no number: {failure}"),
        }
    }
    // ANCHOR_END: two_errors
    Ok(())
}
