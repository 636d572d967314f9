//! A job that outlives what it borrows.

use mpm::worker;

#[worker]
fn length(text: &str) -> usize {
    text.len()
}

fn main() {
    let job = {
        let text = String::from("seven");
        length::job(&text)
    };
    drop(job);
}
