//! The composition root: the first line of every program that has workers. It joins the child's side of `start` to the
//! worker's loop; no other file knows both.

use crate::start::{Duties, Recipe, begin, install_recipe, token_in_arguments};
use crate::worker::{drop_objects, guard, note_panics, run_one, serve};

/// Makes this program able to start itself as its workers. Call it first in `main`, or put
/// [`#[mpm::main]`](crate::main) on `main`, which does that.
///
/// In a process that was started as a worker it runs jobs and never returns. In every other process it only remembers
/// that it was called, so that pools can be built, and returns; further calls do nothing.
///
/// A worker comes to `init` by the same way through `main` as its parent, so what stands before the call runs in every
/// worker too.
///
/// ```
/// mpm::init();
/// println!("only the parent prints this");
/// ```
///
/// # Fork safety
/// A worker's side runs on the thread that called `init`; nothing is forked here.
pub fn init() {
    enter(Recipe::Main);
}

/// The first act of every `#[mpm::test]`, whose name is `path`.
#[doc(hidden)]
pub fn enter_test(path: &'static str) {
    // libtest names tests without the crate.
    let name = path.split_once("::").map_or(path, |(_, name)| name);
    enter(Recipe::Test(name));
}

fn enter(recipe: Recipe) {
    let first = install_recipe(recipe, Duties { prepare: note_panics, serve, run_one, guard, tidy: drop_objects });
    if first && let Some(token) = token_in_arguments() {
        begin(token);
    }
}
