//! An argument whose type lacks `Serialize`.

use mpm::worker;
use serde::Deserialize;

#[derive(Deserialize)]
struct Request {
    page: u32,
}

#[worker]
fn render(request: Request) -> u32 {
    request.page
}

fn main() {
    let _job = render::job(Request { page: 1 });
}
