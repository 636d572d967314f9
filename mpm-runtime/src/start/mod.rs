//! Starting worker processes: the recipe by which this program re-executes itself, the token, the handshake, the start
//! methods, and what the child does first.
//!
//! In come a link's descriptors and the worker's name, out comes a running process that has shaken hands. What the
//! worker does then is handed in as a value; this room never names it.

mod child;
mod handshake;
mod launch;
mod recipe;
mod starter;
mod stderr;

pub(crate) use child::{Setup, become_worker};
pub(crate) use handshake::{Reply, read_reply};
pub(crate) use launch::{Offer, Spawn, StartMethod, prepare};
pub(crate) use recipe::{Recipe, install_recipe, recipe, token_in_arguments};
pub(crate) use starter::start_in_background;
pub(crate) use stderr::{Capture, flush_stderr};
