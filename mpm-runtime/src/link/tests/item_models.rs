//! The item word under loom, with the claim word of its request: as `models.rs`, which says how to run it.

use loom::sync::Arc;
use loom::thread;

use crate::link::sync::{AtomicU64, Ordering};
use crate::link::{claim, items};

/// The two words, and arguments that only the parent writes.
struct Words {
    claim: AtomicU64,
    item: AtomicU64,
    arguments: AtomicU64,
}

/// Two items of a request are published; the parent takes back what the worker has not claimed.
#[test]
fn loom_an_item_is_claimed_or_taken_back() {
    loom::model(|| {
        let words = Arc::new(Words { claim: AtomicU64::new(0), item: AtomicU64::new(u64::MAX), arguments: AtomicU64::new(0) });
        words.arguments.store(7, Ordering::Relaxed);
        items::open(&words.item, 0, 2);
        claim::publish(&words.claim, 0, 1).unwrap();
        let worker = {
            let words = Arc::clone(&words);
            thread::spawn(move || {
                if !claim::take(&words.claim, 0).unwrap() {
                    return 0;
                }
                (0..)
                    .find(|next| !items::take(&words.item, 0, *next).unwrap() || words.arguments.load(Ordering::Relaxed) != 7)
                    .unwrap()
            })
        };
        let after = items::take_back(&words.item, 0, 2, 1).unwrap();
        let ran = worker.join().unwrap();
        assert_eq!(ran, after.limit, "the parent has the others, and only those");
    });
}
