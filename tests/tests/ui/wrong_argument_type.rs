//! Arguments of the wrong type for a job.

use mpm::worker;

#[worker]
fn repeat(text: &str, times: usize) -> String {
    text.repeat(times)
}

fn main() {
    let _text = repeat::job(7, 2);
    let _times = repeat::job("seven", "2");
    let _owned = repeat::job(String::from("seven"), 2);
}
