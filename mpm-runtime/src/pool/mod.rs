//! The parent's side: the pool with its members and queue, the handles of jobs, the iterators over them.
//!
//! In come jobs, out come handles that give each job's one outcome. `core.rs` holds the state behind one lock;
//! `supervisor.rs` is the one thread that starts, buries and ends members; `policy.rs` decides and does nothing.

mod again;
mod attend;
mod builder;
mod builder_limits;
mod builder_time;
mod cell;
mod chunk;
mod completed;
mod control;
mod core;
mod current;
mod deadlines;
mod death;
mod dispatch;
mod ended;
mod ending;
mod face;
mod face_limits;
mod handle;
mod items;
mod later;
mod limits;
mod map;
mod member;
mod overdue;
mod policy;
mod policy_recycle;
mod policy_size;
mod policy_time;
mod policy_watch;
mod preload;
mod queue;
mod recycle;
mod resize;
mod roster;
mod rules;
mod settings;
mod shared;
mod size;
mod spare;
mod starts;
mod stuck;
mod supervisor;
mod taking;
#[cfg(test)]
mod tests;
mod unordered;
mod waiting;
mod watch;
mod watcher;

pub use builder::Builder;
pub use completed::{AsCompleted, as_completed, wait_all, wait_all_timeout, wait_any, wait_any_timeout};
pub use face::Pool;
pub use handle::{JobHandle, Report};
pub use limits::Limits;
pub use map::Map;
pub use preload::{Preload, PreloadEntry, Preloaded, PreloadedObject};
pub use size::WorkerCount;
pub use unordered::MapUnordered;
