//! The parent's side: the pool with its members and queue, the handles of jobs, the iterators over them.
//!
//! In come jobs, out come handles that give each job's one outcome. `core.rs` holds the state behind one lock;
//! `supervisor.rs` is the one thread that starts, buries and ends members; `policy.rs` decides and does nothing;
//! `callbacks.rs` is the one thread that calls what the user has to be called.

mod attend;
mod builder;
mod callbacks;
mod cell;
mod chunk;
mod completed;
mod core;
mod course;
mod current;
mod deadlines;
mod death;
mod dispatch;
mod done;
mod ended;
mod ending;
mod events;
mod face;
mod handle;
mod hooks;
mod items;
mod map;
mod member;
mod place;
mod policy;
mod preload;
mod queue;
mod roster;
mod rules;
mod settings;
mod shared;
mod spare;
mod starts;
mod stop_jobs;
mod supervisor;
mod taking;
#[cfg(test)]
mod tests;
mod unordered;
mod waiting;
mod watcher;

pub use builder::Builder;
pub use completed::{AsCompleted, as_completed, wait_all, wait_all_timeout, wait_any, wait_any_timeout};
pub(crate) use ending::Ender;
pub use events::{Event, EventKind};
pub use face::Pool;
pub use handle::JobHandle;
pub use map::Map;
pub use preload::Preloaded;
pub use unordered::MapUnordered;
