//! Cells that are used again: a thread that submits jobs and waits for them takes no memory for the next ones.

use std::cell::RefCell;
use std::ops::Deref;
use std::sync::Arc;

use super::cell::Cell;
use super::rules::Rules;

/// Cells that a thread keeps.
const KEPT: usize = 256;

thread_local! {
    static SPARES: RefCell<Vec<Arc<Cell>>> = const { RefCell::new(Vec::new()) };
}

/// A job's cell in the hand of who waits for it. Dropped as the last one, it is kept for another job.
#[derive(Debug)]
pub(super) struct Held(Option<Arc<Cell>>);

impl Held {
    /// A cell for a new job.
    pub(super) fn new(target: &'static str, rules: Option<Box<Rules>>) -> Self {
        // A thread that ends has none any more.
        let spare = SPARES.try_with(|spares| spares.try_borrow_mut().ok()?.pop());
        let mut spare = spare.ok().flatten();
        match spare.as_mut().and_then(Arc::get_mut) {
            Some(old) => old.renew(target, rules),
            None => spare = Some(Arc::new(Cell::new(target, rules))),
        }
        Self(spare)
    }
}

impl Deref for Held {
    type Target = Arc<Cell>;

    #[inline]
    fn deref(&self) -> &Arc<Cell> {
        // Cannot fail: only `drop` takes the cell out.
        self.0.as_ref().expect("it is taken in drop alone")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(mut cell) = self.0.take() else { return };
        if Arc::get_mut(&mut cell).is_some_and(Cell::let_go) {
            // A thread that ends has no place for it any more.
            let _ = SPARES.try_with(|spares| {
                if let Ok(mut spares) = spares.try_borrow_mut()
                    && spares.len() < KEPT
                {
                    spares.push(cell);
                }
            });
        }
    }
}
