//! Decisions about rates, as pure functions of the time: whether one more job may start.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The most starts that are remembered for a target.
pub(super) const MOST: u32 = 65_536;

/// So many starts and no more in any span of time of this length: a sliding window over a log of the last starts. A token bucket of
/// the same figures would let twice as many through where an idle time ends in the middle of a span.
#[derive(Debug)]
pub(super) struct Window {
    most: usize,
    span: Duration,
    /// When jobs started, and which: as many as count still, oldest first.
    starts: VecDeque<(Instant, u64)>,
}

impl Window {
    pub(super) fn new(most: u32, span: Duration) -> Self {
        Self { most: usize::try_from(most).unwrap_or(usize::MAX), span, starts: VecDeque::new() }
    }

    /// When the next job may start, if that is not now.
    pub(super) fn closed_until(&mut self, now: Instant) -> Option<Instant> {
        let end = |start: Instant, span| start.checked_add(span);
        while self.starts.pop_front_if(|(start, _)| end(*start, self.span).is_some_and(|end| end <= now)).is_some() {}
        let (oldest, _) = self.starts.front().filter(|_| self.starts.len() >= self.most)?;
        // A span that never ends lets nothing more through; nor will anybody see that.
        end(*oldest, self.span).or_else(|| now.checked_add(Duration::from_secs(u32::MAX.into())))
    }

    /// A job starts.
    pub(super) fn enter(&mut self, now: Instant, job: u64) {
        self.starts.push_back((now, job));
    }

    /// A job was taken back before it had started.
    pub(super) fn leave(&mut self, job: u64) {
        // The newest of that id: one that is tried again has started more than once.
        if let Some(at) = self.starts.iter().rposition(|(_, id)| *id == job) {
            self.starts.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_secs(10);

    #[test]
    fn no_span_of_time_has_more_starts_than_allowed() {
        let zero = Instant::now();
        let at = |seconds| zero + Duration::from_secs(seconds);
        let mut window = Window::new(3, SPAN);
        // When a job asks, and until when it has to wait.
        let table = [
            (0, None),
            (4, None),
            (9, None),
            (9, Some(10)),
            (10, None),
            (11, Some(14)),
            (13, Some(14)),
            (14, None),
            (18, Some(19)),
            (40, None),
            (40, None),
            (40, None),
            (40, Some(50)),
        ];
        for (id, (now, expected)) in table.into_iter().enumerate() {
            let closed = window.closed_until(at(now));
            assert_eq!(closed, expected.map(at), "job {id} at {now}");
            if closed.is_none() {
                window.enter(at(now), id as u64);
            }
        }
    }

    #[test]
    fn a_job_that_was_taken_back_does_not_count() {
        let now = Instant::now();
        let mut window = Window::new(2, SPAN);
        window.enter(now, 1);
        window.enter(now, 2);
        assert!(window.closed_until(now).is_some());
        window.leave(1);
        window.leave(7);
        assert_eq!(window.closed_until(now), None);
        window.enter(now, 3);
        assert_eq!(window.closed_until(now), now.checked_add(SPAN), "job 2 counts still");
    }

    #[test]
    fn a_span_without_end_stays_closed() {
        let now = Instant::now();
        let mut window = Window::new(1, Duration::MAX);
        window.enter(now, 1);
        assert!(window.closed_until(now).is_some_and(|until| until > now));
    }
}
