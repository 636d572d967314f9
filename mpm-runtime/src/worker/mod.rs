//! The worker's side: claims jobs, runs them, answers. In comes a link that has shaken hands, out goes an exit code.

mod current;
mod items;
mod panic;
mod serve;
mod single;

pub use current::{Current, current};
pub(crate) use panic::note_panics;
pub(crate) use serve::serve;
pub(crate) use single::{guard, run_one};
