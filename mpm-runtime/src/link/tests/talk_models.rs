//! What a worker says of its running job, under loom: as `models.rs`, which says how to run it.

use loom::sync::Arc;
use loom::thread;

use crate::link::talk::{MarkWords, Marks, Progress, ProgressWords};

/// Two jobs begin, one after the other; the parent looks meanwhile. What it finds of a job is that job's or a later one's.
#[test]
fn loom_no_mark_of_a_job_is_older_than_the_job() {
    loom::model(|| {
        let words = Arc::new(MarkWords::default());
        let worker = {
            let words = Arc::clone(&words);
            thread::spawn(move || {
                words.begin(0, Marks { started: 10, cpu: 1 });
                words.begin(1, Marks { started: 20, cpu: 2 });
            })
        };
        for (number, oldest) in [(1, Marks { started: 20, cpu: 2 }), (0, Marks { started: 10, cpu: 1 })] {
            if let Some(found) = words.of(number) {
                assert!(found.started >= oldest.started && found.cpu >= oldest.cpu, "{number}: {found:?}");
            }
        }
        worker.join().unwrap();
        assert_eq!((words.of(0), words.of(1)), (None, Some(Marks { started: 20, cpu: 2 })));
    });
}

/// The same of progress.
#[test]
fn loom_no_progress_of_a_job_is_another_one_s_from_before() {
    loom::model(|| {
        let words = Arc::new(ProgressWords::default());
        let worker = {
            let words = Arc::clone(&words);
            thread::spawn(move || {
                words.tell(0, Progress { at: 10, done: 1, total: 9 });
                words.tell(1, Progress { at: 20, done: 2, total: 9 });
            })
        };
        if let Some(found) = words.of(1) {
            assert_eq!(found, Progress { at: 20, done: 2, total: 9 });
        }
        worker.join().unwrap();
    });
}
