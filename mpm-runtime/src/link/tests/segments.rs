//! Large payloads over a link without processes: where they lie, who keeps what, and what comes back.

use std::fs;

use super::parent::{Parent, alone, link, link_on};
use crate::link::{Kind, NoRoom, Payload, Received, Shelf, WorkerEnd};

const MIB: usize = 1 << 20;

/// How many mappings of segments this process has: those of both ends.
fn mapped() -> usize {
    fs::read_to_string("/proc/thread-self/maps").unwrap().lines().filter(|line| line.contains("mpm-payload")).count()
}

/// Claims and answers one request: with its own first bytes, so many.
fn answer(worker: &mut WorkerEnd, len: usize) -> Vec<u8> {
    let request = worker.claim().unwrap().unwrap();
    let (payload, mut answer) = worker.open_request(&request).unwrap();
    let payload = payload.to_vec();
    answer.send(Kind::Value, request.job, &vec![payload[0]; len]).unwrap();
    worker.close_request(&request);
    payload
}

/// As [`answer`], with `payload` as what must have been asked; the response as it is.
fn asked(parent: &mut Parent, worker: &mut WorkerEnd, payload: &[u8], len: usize) -> Received {
    assert!(answer(worker, len) == payload, "{} bytes that are others", payload.len());
    parent.next_response().unwrap().unwrap().1.unwrap()
}

fn is_lent(received: &Received) -> bool {
    matches!(received, Received::Lent(_))
}

#[test]
fn arguments_that_are_packed_go_to_the_worker_without_another_copy() {
    let _alone = alone();
    let (mut parent, mut worker, _doorbell) = link();
    for round in 1..20u8 {
        let bytes = vec![round; 3 * MIB];
        let mut payload = parent.pack(&bytes);
        let filled = address(&payload);
        parent.push_packed(round.into(), &mut payload).unwrap();
        assert_eq!(payload.len(), 0, "it is the link's now");
        let (_, mut back) = parent.take_back(0).unwrap().remove(0);
        assert_eq!(address(&back), filled, "it came back as it went");
        parent.push_packed(round.into(), &mut back).unwrap();
        asked(&mut parent, &mut worker, &bytes, 8);
        assert_eq!(mapped(), 2, "the one segment is used again");
    }
}

fn address(payload: &Payload) -> *const u8 {
    match payload {
        Payload::Large(large) => large.bytes().as_ptr(),
        Payload::Bytes(_) => panic!("it lies on the heap"),
    }
}

#[test]
fn several_large_requests_are_in_flight_at_once() {
    let _alone = alone();
    let (mut parent, mut worker, _doorbell) = link();
    for _ in 0..3 {
        for job in 1..=4u8 {
            parent.push(0, job.into(), 1, &vec![job; MIB]).unwrap();
        }
        assert!(matches!(parent.push(0, 5, 1, &vec![5; MIB]), Err(NoRoom::Full)), "a worker keeps four");
        for job in 1..=4u8 {
            asked(&mut parent, &mut worker, &vec![job; MIB], 8);
        }
    }
    assert_eq!(mapped(), 8);
    // Together these are more than is kept.
    parent.push(0, 6, 1, &vec![6; 40 * MIB]).unwrap();
    assert!(matches!(parent.push(0, 7, 1, &vec![7; 41 * MIB]), Err(NoRoom::Full)));
    asked(&mut parent, &mut worker, &vec![6; 40 * MIB], 8);
    parent.push(0, 7, 1, &vec![7; 41 * MIB]).unwrap();
    asked(&mut parent, &mut worker, &vec![7; 41 * MIB], 8);
}

#[test]
fn a_segment_never_goes_to_a_second_worker() {
    let _alone = alone();
    let shelf = Shelf::new(2);
    let (mut one, mut first, _doorbell) = link_on(&shelf);
    let (mut two, mut second, _other) = link_on(&shelf);
    one.push(0, 1, 1, &vec![1; MIB]).unwrap();
    asked(&mut one, &mut first, &vec![1; MIB], 8);
    // Meant for the first, which has it mapped, and given to the second.
    let mut payload = one.pack(&vec![2; MIB]);
    let filled = address(&payload);
    two.push_packed(2, &mut payload).unwrap();
    // The first one's segment is free for something else, and the second does not see it.
    let other = one.pack(&vec![3; MIB]);
    assert_eq!(address(&other), filled);
    asked(&mut two, &mut second, &vec![2; MIB], 8);
    drop(other);
    // Of a worker that is gone nothing is used any more.
    drop((one, first));
    shelf.forget_lost();
    assert_eq!(mapped(), 2);
}

#[test]
fn arguments_survive_the_worker_that_had_them() {
    let _alone = alone();
    let shelf = Shelf::new(1);
    let (mut one, first, _doorbell) = link_on(&shelf);
    one.push(0, 1, 1, &vec![1; MIB]).unwrap();
    let (_, mut payload) = one.take_back(0).unwrap().remove(0);
    drop((one, first));
    shelf.forget_lost();
    let (mut two, mut second, _other) = link_on(&shelf);
    two.push_packed(1, &mut payload).unwrap();
    asked(&mut two, &mut second, &vec![1; MIB], 8);
    assert_eq!(mapped(), 2);
}

#[test]
fn what_waits_beyond_measure_lies_on_the_heap_and_can_go_on_all_the_same() {
    let _alone = alone();
    let (mut parent, mut worker, _doorbell) = link();
    parent.push(0, 0, 1, &vec![9; MIB]).unwrap();
    asked(&mut parent, &mut worker, &vec![9; MIB], 8);
    let bytes = vec![1; MIB];
    let pack = |parent: &Parent| parent.shelf.pack(Some(&parent.worker()), MIB, [&bytes[..]].into_iter());
    // All that there may be, and nothing in flight: a job from the heap still gets through.
    let mut waiting: Vec<_> = std::iter::from_fn(|| pack(&parent)).collect();
    assert_eq!(waiting.len(), 4);
    for job in waiting.iter_mut().skip(1) {
        parent.push_packed(1, job).unwrap();
        asked(&mut parent, &mut worker, &bytes, 8);
        *job = pack(&parent).unwrap();
    }
    parent.push(0, 2, 1, &vec![2; 2 * MIB]).unwrap();
    asked(&mut parent, &mut worker, &vec![2; 2 * MIB], 8);
    for mut job in waiting {
        parent.push_packed(3, &mut job).unwrap();
        asked(&mut parent, &mut worker, &bytes, 8);
    }
}

#[test]
fn huge_segments_are_given_up_by_both_sides() {
    let _alone = alone();
    let (mut parent, mut worker, _doorbell) = link();
    let huge = vec![1; 65 * MIB];
    for _ in 0..2 {
        // Taken back before it was looked at: the same one again.
        let mut payload = parent.pack(&huge);
        let filled = address(&payload);
        for _ in 0..3 {
            parent.push_packed(1, &mut payload).unwrap();
            assert_eq!(parent.take_back(0).unwrap().len(), 1);
            payload = parent.pack(&huge);
            assert_eq!(address(&payload), filled);
        }
        parent.push_packed(1, &mut payload).unwrap();
        let received = asked(&mut parent, &mut worker, &huge, 66 * MIB);
        assert_eq!((is_lent(&received), mapped()), (true, 1));
        assert!(received.into_bytes().unwrap().to_vec() == vec![1; 66 * MIB]);
        assert_eq!(mapped(), 0);
    }
}

#[test]
fn results_that_nobody_fetches_keep_a_few_segments_and_then_the_heap() {
    let _alone = alone();
    let (mut parent, mut worker, _doorbell) = link();
    let mut ask = |byte: u8| {
        parent.push(0, 1, 1, &[byte]).unwrap();
        asked(&mut parent, &mut worker, &[byte], MIB)
    };
    let mut results: Vec<_> = (0..6).map(&mut ask).collect();
    assert_eq!(results.iter().map(is_lent).collect::<Vec<_>>(), [true, true, true, false, false, false]);
    assert_eq!(mapped(), 8);
    // One is dropped unread, and its segment serves the next.
    drop(results.remove(1));
    assert_eq!(mapped(), 8);
    results.push(ask(6));
    assert!(is_lent(&results[5]) && mapped() == 8);
    for (received, byte) in results.into_iter().zip([0, 2, 3, 4, 5, 6]) {
        assert!(received.into_bytes().unwrap().iter().all(|b| *b == byte));
    }
    let large = (0..3).map(|byte| {
        parent.push(0, 1, 1, &[byte]).unwrap();
        asked(&mut parent, &mut worker, &[byte], 30 * MIB)
    });
    assert_eq!(large.collect::<Vec<_>>().iter().map(is_lent).collect::<Vec<_>>(), [true, true, false], "64 MiB of them at most");
}

#[test]
fn results_outlive_their_link() {
    let _alone = alone();
    let (mut parent, mut worker, doorbell) = link();
    parent.push(0, 1, 1, &[5]).unwrap();
    let received = asked(&mut parent, &mut worker, &[5], MIB);
    drop((parent, worker, doorbell));
    assert_eq!(mapped(), 1);
    assert!(received.into_bytes().unwrap().to_vec() == vec![5; MIB]);
    assert_eq!(mapped(), 0);
}

#[test]
fn arguments_that_are_given_up_leave_at_most_what_is_kept() {
    let _alone = alone();
    let shelf = Shelf::new(1);
    let pack = |len: usize| shelf.pack(None, len, [&*vec![1; len]].into_iter()).unwrap();
    drop(pack(65 * MIB));
    assert_eq!(mapped(), 0, "nobody knows of it");
    let several: Vec<_> = (0..4).map(|_| pack(20 * MIB)).collect();
    assert!(shelf.pack(None, MIB, [&*vec![1; MIB]].into_iter()).is_none(), "one worker's share");
    assert_eq!(mapped(), 4);
    drop(several);
    assert_eq!(mapped(), 3, "64 MiB are kept");
    drop(shelf);
    assert_eq!(mapped(), 0);
}
