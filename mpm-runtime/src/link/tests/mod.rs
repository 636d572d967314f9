//! Tests of the link: models that loom runs, and a parent's end fed with garbage.

#[cfg(not(loom))]
mod garbage;
#[cfg(loom)]
mod item_models;
#[cfg(loom)]
mod models;
#[cfg(not(loom))]
mod order;
#[cfg(not(loom))]
mod parent;
#[cfg(not(loom))]
mod segments;
#[cfg(loom)]
mod talk_models;
