//! A target that is more visible than the type of its argument or result.

use mpm::worker;

use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Private;

#[worker]
pub fn takes(private: Private) {
    let _ = private;
}

#[worker]
pub fn gives() -> Option<Private> {
    None
}

fn main() {}
