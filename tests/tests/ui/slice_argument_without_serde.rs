//! A slice of a type that cannot travel.

use mpm::worker;

struct Request {
    page: u32,
}

#[worker]
fn render(requests: &[Request]) -> u32 {
    requests.iter().map(|request| request.page).sum()
}

fn main() {}
