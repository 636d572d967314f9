//! A lent argument whose type cannot travel.

use mpm::worker;

struct Request {
    page: u32,
}

#[worker]
fn render(request: &Request) -> u32 {
    request.page
}

fn main() {
    let _job = render::job(&Request { page: 1 });
}
