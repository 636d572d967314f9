//! The parent's side: the pool with its members and queue, the handles of jobs, the iterators over them.
//!
//! In come jobs, out come handles that give each job's one outcome. `core.rs` holds the state behind one lock;
//! `supervisor.rs` is the one thread that starts, buries and ends members; `policy.rs` decides and does nothing.

mod attend;
mod broadcast;
mod builder;
mod builder_queue;
mod cell;
mod chunk;
mod completed;
mod core;
mod current;
mod deadlines;
mod death;
mod dispatch;
mod ended;
mod ending;
mod face;
mod face_queue;
mod handle;
mod items;
mod keys;
mod lanes;
mod limit;
mod map;
mod member;
mod pin;
mod placing;
mod policy;
mod policy_limits;
mod preload;
mod queue;
mod roster;
mod rules;
mod settings;
mod shared;
mod spare;
mod starts;
mod steer;
#[cfg(test)]
mod steer_tests;
mod supervisor;
mod taking;
#[cfg(test)]
mod tests;
mod unordered;
mod waiting;
mod watcher;

pub use broadcast::Broadcast;
pub use builder::Builder;
pub use completed::{AsCompleted, as_completed, wait_all, wait_all_timeout, wait_any, wait_any_timeout};
pub use face::Pool;
pub use handle::{JobHandle, Report};
pub use map::Map;
pub use preload::Preloaded;
pub use unordered::MapUnordered;
