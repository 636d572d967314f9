//! The link without processes: both ends in one, in order.

use super::parent::{alone, link, whole};
use crate::link::requests::DataSpace;
use crate::link::{Kind, NoRoom, WorkerEnd};

/// Claims and answers one request with its own payload, reversed.
fn echo(worker: &mut WorkerEnd) {
    let request = worker.claim().unwrap().unwrap();
    let (payload, mut answer) = worker.open_request(&request).unwrap();
    let reversed: Vec<u8> = payload.iter().rev().copied().collect();
    answer.send(Kind::Value, request.job, &reversed).unwrap();
    worker.close_request(&request);
}

#[test]
fn payloads_of_all_sizes_arrive_whole_and_in_order() {
    let _alone = alone();
    let (mut parent, mut worker, _doorbell) = link();
    let sizes = [0, 1, 7, 8, 15, 16, 17, 4096, 32_767, 32_768, 32_769, 100_000, 1 << 20, 3 << 20, 100, 2 << 20, 0];
    for (job, size) in sizes.into_iter().cycle().take(200).enumerate() {
        let payload: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        parent.push(3, job as u64, 1, &payload).unwrap();
        echo(&mut worker);
        let (frame, answer) = parent.next().unwrap();
        assert_eq!((frame.ran, frame.kind), (job as u64, Kind::Value));
        assert!(answer.iter().rev().eq(payload.iter()), "{size} bytes");
        assert!(parent.next().is_none());
    }
}

#[test]
fn many_requests_fill_the_link_and_wrap_around_it() {
    let (mut parent, mut worker, _doorbell) = link();
    let (mut pushed, mut answered) = (0u64, 0u64);
    while answered < 5000 {
        let payload = vec![pushed as u8; (pushed * 977 % 30_000) as usize];
        match parent.push(0, pushed, 1, &payload) {
            Ok(_) => pushed += 1,
            Err(NoRoom::Full) => {
                for _ in 0..=pushed % 3 {
                    if parent.in_flight() == 0 {
                        break;
                    }
                    echo(&mut worker);
                    let (frame, answer) = parent.next().unwrap();
                    assert_eq!(frame.ran, answered);
                    assert_eq!(answer.len() as u64, answered * 977 % 30_000);
                    assert!(answer.iter().all(|b| *b == answered as u8));
                    answered += 1;
                }
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_is_not_claimed_comes_back_with_its_bytes() {
    let _alone = alone();
    let (mut parent, mut worker, _doorbell) = link();
    let large = vec![9; 200_000];
    for (job, payload) in [&b"one"[..], b"two", &large, b"four"].into_iter().enumerate() {
        parent.push(0, job as u64, 1, payload).unwrap();
    }
    let first = worker.claim().unwrap().unwrap();
    assert_eq!(first.job, 0);
    assert_eq!(parent.unclaimed(), 3);
    assert_eq!(whole(parent.take_back(3).unwrap()), [(3, b"four".to_vec())]);
    assert_eq!(whole(parent.take_back(0).unwrap()), [(1, b"two".to_vec()), (2, large.clone())]);
    assert!(parent.was_running().unwrap());
    // The room is free again, another large payload takes the same segment, and the claimed one still runs.
    parent.push(0, 4, 1, &large).unwrap();
    parent.push(0, 5, 1, b"six").unwrap();
    let (payload, mut answer) = worker.open_request(&first).unwrap();
    assert_eq!(payload, b"one");
    answer.send(Kind::Value, 0, b"").unwrap();
    worker.close_request(&first);
    echo(&mut worker);
    echo(&mut worker);
    let jobs: Vec<_> = std::iter::from_fn(|| parent.next()).map(|(frame, bytes)| (frame.ran, bytes.len())).collect();
    assert_eq!(jobs, [(0, 0), (4, 200_000), (5, 3)]);
    assert!(!parent.was_running().unwrap());
}

#[test]
fn a_larger_segment_after_one_that_was_taken_back_is_found() {
    let _alone = alone();
    let (mut parent, mut worker, _doorbell) = link();
    parent.push(0, 0, 1, &vec![1; 100_000]).unwrap();
    assert_eq!(parent.take_back(0).unwrap().len(), 1);
    parent.push(0, 1, 1, &vec![2; 10_000_000]).unwrap();
    echo(&mut worker);
    assert_eq!(parent.next().unwrap().1.to_vec(), vec![2; 10_000_000]);
}

#[test]
fn the_worker_sees_stop_and_ends() {
    let (mut parent, mut worker, _doorbell) = link();
    parent.push(0, 0, 1, b"x").unwrap();
    parent.stop();
    assert!(worker.claim().unwrap().is_some(), "what was published before is still done");
    assert!(worker.claim().unwrap().is_none());
}

#[test]
fn data_space_gives_out_no_byte_twice() {
    let mut space = DataSpace::new(1024);
    let mut held: std::collections::VecDeque<(usize, usize)> = std::collections::VecDeque::new();
    let mut random = 12345u64;
    for _ in 0..200_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let len = (random >> 33) as usize % 300;
        match (random >> 60) % 4 {
            0 => {
                space.free_oldest();
                held.pop_front();
            }
            1 if random >> 50 & 1 == 0 => {
                space.free_newest();
                held.pop_back();
            }
            _ => {
                if let Some(at) = space.take(len) {
                    assert!(at + len <= 1024 && at % 16 == 0);
                    assert!(held.iter().all(|(a, l)| at + len <= *a || a + l <= at || *l == 0), "{at}+{len} in {held:?}");
                    held.push_back((at, len));
                } else {
                    assert!(!held.is_empty(), "an empty space holds {len} bytes");
                }
            }
        }
    }
}
