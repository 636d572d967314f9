//! The worker's side: claims jobs, runs them, answers. In comes a link that has shaken hands, out goes an exit code. Beside it
//! the objects that live as long as the worker.

mod current;
mod items;
mod objects;
mod panic;
mod serve;
mod single;

pub use current::{Current, current};
pub(crate) use objects::drop_objects;
pub use objects::{Held, PreloadNever, PreloadSend, hold};
pub(crate) use panic::note_panics;
pub(crate) use serve::serve;
pub(crate) use single::{guard, run_one};
