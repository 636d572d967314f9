//! An argument whose type lacks both.

use mpm::worker;

struct Request {
    page: u32,
}

#[worker]
fn render(request: Vec<Request>) -> u32 {
    request.iter().map(|request| request.page).sum()
}

fn main() {
    let _job = render::job(vec![Request { page: 1 }]);
}
