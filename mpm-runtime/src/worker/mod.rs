//! The worker's side: claims jobs, runs them, answers. In comes a link that has shaken hands, out goes an exit code.

mod panic;
mod preload;
mod serve;

pub(crate) use preload::preload;
pub(crate) use serve::serve;
