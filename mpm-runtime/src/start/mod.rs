//! Making worker processes: the recipe by which this program re-executes itself, the token, the handshake, the start
//! methods with their templates, and what a child does first.
//!
//! In come a link's descriptors and the worker's name, out comes a running process that has shaken hands. What the
//! worker does then is handed in as a value; this room never names it.

mod child;
mod current;
mod duplicate;
mod forkserver;
mod handshake;
mod hooks;
mod launch;
mod level;
mod line;
mod method;
mod mind;
mod orders;
mod overdue;
mod parcel;
mod plan;
mod process;
mod recipe;
mod refusal;
mod served;
mod single;
mod starter;
mod stderr;
mod template;

pub(crate) use child::{Duties, Setup, begin};
pub(crate) use duplicate::{fork_process, fork_to_run};
pub(crate) use handshake::{Reply, let_go, read_reply};
pub(crate) use hooks::Hooks;
pub(crate) use launch::{Launch, Offer, SingleOffer, prepare, prepare_single};
pub(crate) use level::{check_depth, level};
pub(crate) use line::Run;
pub(crate) use method::{default_start_method, give_way_to_spawn, usual_start_method};
pub(crate) use mind::{kill_minded, mind};
pub(crate) use orders::Together;
pub(crate) use parcel::Parcel;
pub(crate) use plan::{CheckPreload, Plan, Preload, PreloadJob, check_environment, check_name};
pub(crate) use process::{ChildProcess, Ending, how};
pub(crate) use recipe::{Recipe, install_recipe, installed, token_in_arguments};
pub(crate) use single::{tell_end, tell_phase};
pub(crate) use starter::{Failure, FailureKind, Origin, Started, next_ticket};
#[cfg(test)]
pub(crate) use stderr::capture_stderr;
pub(crate) use stderr::{Capture, flush_stderr};
pub(crate) use template::{fork_template, put_aside, template_for};

pub use current::{CurrentProcess, ParentProcess, current_process, parent_process};
pub use method::{StartMethod, force_start_method, set_start_method, start_method};
