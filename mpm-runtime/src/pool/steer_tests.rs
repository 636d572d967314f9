//! Tests of the lanes with links and without processes: what goes to whom, and in which order. No worker claims anything here, so
//! that all that was handed out can be taken back.
//!
//! Longer than 300 lines, because each of them needs the same pool without workers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::callbacks::Callbacks;
use super::cell::{Cell, Facts, Place, Raw};
use super::core::Core;
use super::course::Course;
use super::limit::TargetLimits;
use super::member::{Process, State};
use super::pin::Pin;
use super::policy_watch::Seen;
use super::rules::Rules;
use super::settings::Settings;
use super::size::Size;
use super::stop_jobs::StopTakers;
use crate::error::{Cancelled, EndReason, JobError};
use crate::link::{ParentEnd, Payload, Shelf};
use crate::start::{Origin, capture_stderr};

/// The target of all jobs but the limited ones.
const PLAIN: u32 = 0;
const LIMITED: u32 = 1;
/// As its name is in the registry.
const LIMITED_NAME: &str = "limited";

/// A core whose workers, of incarnation 1 and so on, take jobs.
fn core(workers: usize, settings: Settings) -> Core {
    let callbacks = Callbacks::new("test", None, StopTakers::default());
    // More CPUs than workers: an idle one is always woken.
    let mut core =
        Core::new(&Settings { size: Size::fixed(workers), cpus: workers + 1, ..settings }, Shelf::new(workers), callbacks);
    (0..workers).for_each(|slot| core.members[slot].process = Some(process(slot, slot as u64 + 1)));
    core.survey();
    core
}

fn plain_core(workers: usize) -> Core {
    core(workers, Settings::default())
}

fn limited_core(workers: usize, at_once: Option<usize>, rate: Option<(u32, Duration)>) -> Core {
    core(
        workers,
        Settings { target_limits: vec![TargetLimits::for_tests(LIMITED_NAME, LIMITED, at_once, rate)], ..Settings::default() },
    )
}

fn process(slot: usize, incarnation: u64) -> Process {
    let (link, ..) = ParentEnd::create().expect("a link");
    let (capture, _) = capture_stderr().expect("a pipe");
    Process {
        incarnation,
        slot: u32::try_from(slot).expect("a small number"),
        worker: format!("test-{slot}").into(),
        state: State::Ready { since: Instant::now() },
        link,
        capture,
        child: None,
        origin: Origin::Spawn,
        in_flight: std::collections::VecDeque::new(),
        more: 0,
        jobs_done: 0,
        quota: None,
        oom_kills_before: None,
        fate: None,
        is_killed: false,
        reason: None,
        weight: 0,
        replace: None,
        course: Course::default(),
        is_gone: false,
        preloading: None,
        refused: None,
        last_used: 0,
        idle_since: None,
        seen: Seen::default(),
        spent: false,
        is_listed: false,
        is_link_full: false,
        seen_done: None,
        is_stuck: false,
        attended_for: None,
        watched_until: 0,
        look_at: None,
        overdue: None,
    }
}

/// Puts a job with these rules into the queue.
fn add(core: &mut Core, target: u32, rules: Rules) -> Arc<Cell> {
    let name = if target == LIMITED { LIMITED_NAME } else { "plain" };
    let cell = Arc::new(Cell::new(name, Some(Box::new(rules))));
    core.enqueue(Arc::clone(&cell), target, Payload::default());
    cell
}

fn add_plain(core: &mut Core) -> Arc<Cell> {
    let cell = Arc::new(Cell::new("plain", None));
    core.enqueue(Arc::clone(&cell), PLAIN, Payload::default());
    cell
}

fn urgent(priority: i32) -> Rules {
    Rules { priority, ..Rules::default() }
}

fn of_key(key: u64) -> Rules {
    Rules { key: Some(key), ..Rules::default() }
}

fn for_worker(slot: u32) -> Rules {
    Rules { pin: Some(Pin::to_worker(slot)), ..Rules::default() }
}

/// The jobs that a worker has, by their ids.
fn at(core: &Core, slot: usize) -> Vec<u64> {
    core.members[slot].process.iter().flat_map(|process| &process.in_flight).map(|job| job.cell.id()).collect()
}

/// The jobs of a worker end.
fn answer(core: &mut Core, slot: usize) {
    let process = core.members[slot].process.as_mut().expect("a process");
    let before = process.load();
    process.link = ParentEnd::create().expect("a link").0;
    process.jobs_done += process.in_flight.len() as u64;
    for job in process.in_flight.drain(..) {
        drop(job.cell.finish(Raw::Failed(JobError::Taken), Facts::default()));
    }
    core.note_change(slot, before);
    core.dispatch();
}

/// The reason for which a job was cancelled.
fn cancelled(cell: &Cell) -> &'static str {
    match cell.take() {
        Some(Ok(Raw::Failed(JobError::Cancelled(Cancelled { reason, .. })))) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_higher_priority_goes_first_and_the_same_one_in_order() {
    let mut core = plain_core(1);
    add_plain(&mut core);
    for priority in [-1, 5, 0, 5] {
        add(&mut core, PLAIN, urgent(priority));
    }
    let mut order = Vec::new();
    core.dispatch();
    while core.waiting > 0 {
        order.extend(at(&core, 0));
        answer(&mut core, 0);
    }
    order.extend(at(&core, 0));
    assert_eq!(order, [3, 5, 1, 4, 2]);
}

#[test]
fn an_urgent_job_goes_before_what_was_handed_out_ahead_of_time() {
    let mut core = plain_core(2);
    core.mean = Some(100);
    (0..8).for_each(|_| drop(add_plain(&mut core)));
    core.dispatch();
    assert_eq!(core.waiting, 0, "all of them are with workers");
    add(&mut core, PLAIN, urgent(1));
    core.dispatch();
    let first = [at(&core, 0)[0], at(&core, 1)[0]];
    assert!(first.contains(&9), "{first:?}");
    assert_eq!((core.waiting, at(&core, 0).len() + at(&core, 1).len()), (0, 9), "and none is lost");
}

#[test]
fn jobs_of_a_key_wait_for_their_worker_and_nobody_waits_for_them() {
    let mut core = plain_core(2);
    add(&mut core, PLAIN, of_key(7));
    // Not known yet where it will be at home, it comes to the lane of all.
    add(&mut core, PLAIN, of_key(7));
    core.dispatch();
    let home = usize::from(at(&core, 0).is_empty());
    assert_eq!((at(&core, home), at(&core, 1 - home)), (vec![1], vec![]));
    add(&mut core, PLAIN, of_key(7));
    add_plain(&mut core);
    core.dispatch();
    assert_eq!((at(&core, home), at(&core, 1 - home)), (vec![1], vec![4]));
    answer(&mut core, 1 - home);
    assert_eq!(at(&core, 1 - home), [], "an idle worker leaves them alone");
    answer(&mut core, home);
    assert_eq!(at(&core, home), [2]);
    answer(&mut core, home);
    assert_eq!((at(&core, home), core.waiting), (vec![3], 0));
}

#[test]
fn a_key_whose_worker_is_gone_finds_another_one() {
    let mut core = plain_core(2);
    (0..3).for_each(|_| drop(add(&mut core, PLAIN, of_key(7))));
    core.dispatch();
    let home = usize::from(at(&core, 0).is_empty());
    core.members[home].process = None;
    core.survey();
    core.dispatch();
    assert_eq!(at(&core, 1 - home), [2]);
    answer(&mut core, 1 - home);
    assert_eq!(at(&core, 1 - home), [3]);
}

#[test]
fn a_worker_that_has_had_its_last_job_is_no_home() {
    let mut core = core(2, Settings::default());
    core.processes_mut().for_each(|process| process.quota = Some(1));
    core.survey();
    let jobs: Vec<_> = (0..3).map(|_| add(&mut core, PLAIN, of_key(7))).collect();
    core.dispatch();
    // It has one of the key still: the next ones do not overtake that.
    let Place::Member(slot, _) = jobs[0].place() else { panic!("{:?}", jobs[0]) };
    assert_eq!((at(&core, 0).len() + at(&core, 1).len(), core.waiting), (1, 2));
    answer(&mut core, slot as usize);
    core.survey();
    core.dispatch();
    assert!(matches!(jobs[1].place(), Place::Member(other, _) if other != slot), "{:?}", jobs[1]);
    assert_eq!(core.waiting, 1);
}

#[test]
fn an_idle_worker_takes_from_a_busy_one_what_is_free_and_no_job_of_a_key() {
    let mut core = plain_core(2);
    core.mean = Some(100);
    core.members[1].process.as_mut().expect("a process").state = State::Starting { deadline: None };
    core.survey();
    for _ in 0..3 {
        add(&mut core, PLAIN, of_key(7));
        add_plain(&mut core);
    }
    core.dispatch();
    assert_eq!(at(&core, 0), [1, 2, 3, 4, 5, 6]);
    core.members[1].process.as_mut().expect("a process").state = State::Ready { since: Instant::now() };
    core.survey();
    core.dispatch();
    let (stay, gone) = (at(&core, 0), at(&core, 1));
    assert!([1, 3, 5].iter().all(|id| stay.contains(id)), "{stay:?}");
    assert!(!gone.is_empty() && gone.iter().all(|id| id % 2 == 0), "{gone:?}");
    assert_eq!((stay.len() + gone.len(), core.waiting), (6, 0));
}

#[test]
fn jobs_over_a_limit_wait_and_others_go_before_them() {
    let mut core = limited_core(3, Some(1), None);
    let limited: Vec<_> = (0..3).map(|_| add(&mut core, LIMITED, Rules::default())).collect();
    let plain = add_plain(&mut core);
    core.dispatch();
    let is_out = |cell: &Cell| matches!(cell.place(), Place::Member(..));
    assert!(is_out(&limited[0]) && !is_out(&limited[1]) && !is_out(&limited[2]) && is_out(&plain));
    let Place::Member(slot, _) = limited[0].place() else { panic!("{:?}", limited[0]) };
    answer(&mut core, slot as usize);
    assert!(is_out(&limited[1]) && !is_out(&limited[2]));
    // One that comes back unstarted makes room.
    assert!(core.cancel(&limited[1]));
    core.dispatch();
    assert!(is_out(&limited[2]));
}

#[test]
fn a_limit_holds_for_jobs_of_a_key_and_of_a_worker_too() {
    let mut core = limited_core(2, Some(1), None);
    add(&mut core, LIMITED, for_worker(0));
    add(&mut core, LIMITED, for_worker(1));
    add(&mut core, LIMITED, of_key(7));
    core.dispatch();
    assert_eq!((at(&core, 0), at(&core, 1)), (vec![1], vec![]));
    answer(&mut core, 0);
    assert_eq!((at(&core, 0), at(&core, 1)), (vec![], vec![2]));
    answer(&mut core, 1);
    assert_eq!(at(&core, 0).len() + at(&core, 1).len(), 1);
    assert_eq!(core.waiting, 0);
}

#[test]
fn a_rate_lets_so_many_start_and_wakes_the_supervisor_for_the_next() {
    let span = Duration::from_secs(3600);
    let mut core = limited_core(4, None, Some((2, span)));
    let before = Instant::now();
    let jobs: Vec<_> = (0..3).map(|_| add(&mut core, LIMITED, Rules::default())).collect();
    core.dispatch();
    assert_eq!(core.waiting, 1);
    assert!(core.wake, "its deadline has to be known");
    core.set_alarm();
    let alarm = core.lanes.as_ref().and_then(|lanes| lanes.alarm).expect("an alarm");
    assert!(alarm >= before + span && alarm <= Instant::now() + span);
    // What never started does not count.
    assert!(core.cancel(&jobs[0]));
    core.dispatch();
    assert_eq!(core.waiting, 0);
    core.set_alarm();
    assert_eq!(core.lanes.as_ref().and_then(|lanes| lanes.alarm), None, "nothing waits");
}

#[test]
fn a_job_with_a_rate_goes_to_an_idle_worker_and_what_comes_later_waits_with_it() {
    let mut core = limited_core(1, None, Some((10, Duration::from_secs(1))));
    core.mean = Some(100);
    (0..2).for_each(|_| drop(add_plain(&mut core)));
    core.dispatch();
    add(&mut core, LIMITED, Rules::default());
    add_plain(&mut core);
    core.dispatch();
    assert_eq!((at(&core, 0), core.waiting), (vec![1, 2], 2));
    answer(&mut core, 0);
    assert_eq!((at(&core, 0), core.waiting), (vec![3, 4], 0));
}

#[test]
fn jobs_for_each_worker_wait_for_it_and_end_with_it() {
    let mut core = plain_core(3);
    core.members[2].process = None;
    core.survey();
    (0..2).for_each(|_| drop(add_plain(&mut core)));
    core.dispatch();
    let runs: Vec<_> = (0..3).map(|slot| add(&mut core, PLAIN, for_worker(slot))).collect();
    core.dispatch();
    assert_eq!(core.waiting, 3);
    // The first goes on, the second is replaced, the third has still to come, and has to try twice.
    answer(&mut core, 0);
    assert_eq!(at(&core, 0), [runs[0].id()]);
    core.members[1].process = Some(process(1, 11));
    core.members[2].process = Some(Process { state: State::Starting { deadline: None }, ..process(2, 12) });
    core.survey();
    assert_eq!(cancelled(&runs[1]), "the worker that it was for ended before it had started");
    core.members[2].process = Some(process(2, 13));
    core.survey();
    core.dispatch();
    assert_eq!((at(&core, 2), core.waiting), (vec![runs[2].id()], 0));
}

#[test]
fn a_job_that_comes_back_from_the_worker_that_it_was_for_ends_when_that_is_gone() {
    let mut core = plain_core(1);
    let run = add(&mut core, PLAIN, for_worker(0));
    core.dispatch();
    let mut dead = core.members[0].process.take().expect("a process");
    let back = dead.take_back(0);
    core.members[0].process = Some(dead);
    core.requeue(back);
    core.members[0].process = Some(process(0, 2));
    core.survey();
    core.dispatch();
    assert_eq!(cancelled(&run), "the worker that it was for ended before it had started");
    assert_eq!((core.waiting, core.is_steered()), (0, false));
}

#[test]
fn a_worker_that_the_pool_has_no_place_for_any_more_takes_its_jobs_along() {
    let mut core = core(3, Settings { round_robin: true, ..Settings::default() });
    (0..3).for_each(|_| drop(add_plain(&mut core)));
    let turns: Vec<_> = (0..3).map(|_| add(&mut core, PLAIN, Rules { pin: Some(Pin::in_turn()), ..Rules::default() })).collect();
    let run = add(&mut core, PLAIN, for_worker(2));
    core.members.pop();
    core.survey();
    assert_eq!(cancelled(&run), "the worker that it was for ended before it had started");
    core.dispatch();
    (0..4).for_each(|_| (0..2).for_each(|slot| answer(&mut core, slot)));
    assert!(turns.iter().all(|cell| cell.is_finished()) && core.waiting == 0, "{turns:?}");
}

#[test]
fn jobs_in_turn_go_round() {
    let mut core = core(3, Settings { round_robin: true, ..Settings::default() });
    (0..6).for_each(|_| drop(add(&mut core, PLAIN, Rules { pin: Some(Pin::in_turn()), ..Rules::default() })));
    core.dispatch();
    assert_eq!([0, 1, 2].map(|slot| at(&core, slot)), [[1], [2], [3]]);
    answer(&mut core, 1);
    assert_eq!([0, 1, 2].map(|slot| at(&core, slot)), [[1], [5], [3]]);
}

#[test]
fn a_pause_takes_back_what_has_not_started_and_hands_out_nothing() {
    let mut core = plain_core(2);
    core.mean = Some(100);
    (0..5).for_each(|_| drop(add_plain(&mut core)));
    core.dispatch();
    core.pause();
    assert_eq!((at(&core, 0), at(&core, 1), core.waiting), (vec![], vec![], 5));
    add_plain(&mut core);
    core.dispatch();
    assert_eq!((core.waiting, core.is_idle()), (6, false));
    assert!(core.queue.iter().map(|job| job.cell.id()).eq(1..=6), "in order: {:?}", core.queue);
    core.resume();
    core.dispatch();
    assert_eq!(core.waiting, 0);
}

#[test]
fn a_job_that_is_put_off_waits_for_its_time_and_not_longer() {
    let mut core = limited_core(1, Some(1), None);
    let cell = add(&mut core, LIMITED, Rules::default());
    core.dispatch();
    let later = Instant::now() + Duration::from_secs(3600);
    let process = core.members[0].process.as_mut().expect("a process");
    let job = process.take_back(0).pop().expect("the job");
    core.survey();
    core.wake = false;
    core.try_later(later, job);
    core.dispatch();
    assert_eq!((core.waiting, at(&core, 0), core.wake, core.wakes_at), (1, vec![], true, Some(later)));
    // The place that it had among its like is free.
    let other = add(&mut core, LIMITED, Rules::default());
    core.dispatch();
    assert_eq!(at(&core, 0), [other.id()]);
    assert!(core.cancel(&cell) && core.cancel(&other));
    core.take_up_later(later);
    assert_eq!((core.waiting, core.is_steered()), (0, false));
    let cell = add(&mut core, LIMITED, Rules::default());
    core.dispatch();
    let job = core.members[0].process.as_mut().and_then(|process| process.take_back(0).pop()).expect("the job");
    core.survey();
    let now = Instant::now();
    core.try_later(now, job);
    core.take_up_later(now);
    core.dispatch();
    assert_eq!(at(&core, 0), [cell.id()], "its time has come");
}

#[test]
fn cancelling_finds_jobs_in_all_lanes_and_with_workers() {
    let mut core = limited_core(1, Some(1), None);
    core.mean = Some(100);
    let tagged = |rules: Rules| Rules { tag: Some("x".into()), ..rules };
    let mut jobs = Vec::new();
    for _ in 0..2 {
        jobs.push(add(&mut core, PLAIN, tagged(Rules::default())));
        jobs.push(add(&mut core, PLAIN, Rules { tag: Some("y".into()), ..Rules::default() }));
        jobs.push(add(&mut core, LIMITED, tagged(Rules::default())));
        jobs.push(add(&mut core, PLAIN, tagged(urgent(-1))));
        jobs.push(add(&mut core, PLAIN, tagged(for_worker(0))));
        jobs.push(add(&mut core, PLAIN, tagged(of_key(7))));
        core.dispatch();
    }
    let (handed_out, waiting) = (at(&core, 0).len(), core.waiting);
    assert!(handed_out > 5 && waiting > 0, "{handed_out} {waiting}");
    assert_eq!(core.cancel_tagged("x"), 10);
    assert_eq!(core.cancel_tagged("x"), 0);
    for cell in &jobs {
        let is_x = cell.tag().is_some_and(|tag| **tag == *"x");
        assert_eq!(cell.is_finished(), is_x);
        assert!(!is_x || cancelled(cell).starts_with("Pool::cancel_tagged"));
    }
    core.dispatch();
    assert_eq!((at(&core, 0), core.waiting), (vec![jobs[1].id(), jobs[7].id()], 0));
    assert!(core.cancel(&jobs[7]));
}

#[test]
fn each_job_in_any_lane_ends_with_a_pool_that_fails() {
    let mut core = limited_core(1, Some(1), None);
    core.pause();
    let rules = || [Rules::default(), urgent(3), of_key(7), for_worker(0)];
    let mut jobs: Vec<_> = rules().into_iter().map(|rules| add(&mut core, PLAIN, rules)).collect();
    jobs.extend(rules().into_iter().map(|rules| add(&mut core, LIMITED, rules)));
    assert!(core.cancel(&jobs[1]));
    assert_eq!((core.waiting, core.jobs_ended.count()), (7, 1));
    core.fail(&"no worker starts".into());
    assert!(jobs.iter().all(|cell| cell.is_finished()));
    assert_eq!((core.waiting, core.jobs_ended.count()), (0, 8), "each of them once");
    core.members[0].process.as_mut().expect("a process").stop(None, EndReason::PoolEnded);
}
