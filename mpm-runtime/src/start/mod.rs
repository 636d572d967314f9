//! Making worker processes: the recipe by which this program re-executes itself, the token, the handshake, the start
//! methods with their templates, and what a child does first.
//!
//! In come a link's descriptors and the worker's name, out comes a running process that has shaken hands. What the
//! worker does then is handed in as a value; this room never names it.

mod child;
mod current;
mod forkserver;
mod handshake;
mod launch;
mod line;
mod method;
mod parcel;
mod plan;
mod process;
mod recipe;
mod served;
mod starter;
mod stderr;
mod template;

pub(crate) use child::{Duties, Setup, begin};
pub(crate) use handshake::{Reply, read_reply};
pub(crate) use launch::{Offer, prepare};
pub(crate) use method::default_start_method;
pub(crate) use plan::{CheckPreload, Plan, Preload, PreloadJob};
pub(crate) use process::{ChildProcess, how};
pub(crate) use recipe::{Recipe, install_recipe, installed, token_in_arguments};
pub(crate) use starter::{Failure, FailureKind, Origin, Started, next_ticket};
pub(crate) use stderr::{Capture, flush_stderr};
pub(crate) use template::{fork_template, put_aside, template_for};

pub use current::{CurrentProcess, ParentProcess, current_process, parent_process};
pub use method::{StartMethod, force_start_method, set_start_method, start_method};
