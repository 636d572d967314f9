//! Which worker has had the jobs of a key, for the keys that were used last.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// The keys that are remembered at least, if so many are used.
const KEPT: usize = 16_384;

/// A worker: its slot and the process that fills it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) slot: usize,
    pub(super) incarnation: u64,
}

#[derive(Debug, Default)]
pub(super) struct Keys {
    /// With the count of uses at the last one.
    homes: HashMap<u64, (Home, u64)>,
    uses: u64,
    /// How many keys are at home with each incarnation that has some.
    counts: HashMap<u64, usize>,
}

impl Keys {
    pub(super) fn get(&self, key: u64) -> Option<Home> {
        self.homes.get(&key).map(|(home, _)| *home)
    }

    /// How many keys are at home with a process.
    pub(super) fn at(&self, incarnation: u64) -> usize {
        self.counts.get(&incarnation).copied().unwrap_or(0)
    }

    /// A job of the key goes there. Where too many keys are known, the half that was used longest ago is forgotten: all at once, so that
    /// it costs next to nothing each time.
    pub(super) fn put(&mut self, key: u64, home: Home) {
        self.uses += 1;
        let before = self.homes.insert(key, (home, self.uses)).map(|(before, _)| before.incarnation);
        if before != Some(home.incarnation) {
            *self.counts.entry(home.incarnation).or_default() += 1;
            before.into_iter().for_each(|before| self.leave(before));
        }
        if self.homes.len() > 2 * KEPT {
            let mut uses: Vec<u64> = self.homes.values().map(|(_, used)| *used).collect();
            let (_, oldest_kept, _) = uses.select_nth_unstable(self.homes.len() - KEPT);
            let oldest_kept = *oldest_kept;
            let gone: Vec<_> = self.homes.extract_if(|_, (_, used)| *used < oldest_kept).map(|(_, (home, _))| home).collect();
            gone.into_iter().for_each(|home| self.leave(home.incarnation));
        }
    }

    /// One key less is at home there.
    fn leave(&mut self, incarnation: u64) {
        if let Entry::Occupied(mut count) = self.counts.entry(incarnation) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_that_were_used_last_are_remembered_and_no_more_than_twice_as_many() {
        let home = |key: u64| Home { slot: 1, incarnation: key };
        let mut keys = Keys::default();
        let many = 5 * KEPT as u64;
        for key in 0..many {
            keys.put(key, home(key));
            // Used again and again, it is never forgotten.
            keys.put(0, home(0));
            assert!(keys.homes.len() <= 2 * KEPT);
        }
        let kept = KEPT as u64 - 1;
        assert!((many - kept..many).all(|key| keys.get(key) == Some(home(key))));
        assert_eq!((keys.get(0), keys.get(1)), (Some(home(0)), None));
        assert_eq!((keys.at(0), keys.at(1), keys.at(many - 1)), (1, 0, 1));
        assert_eq!(keys.counts.len(), keys.homes.len());
        keys.put(many - 1, home(0));
        assert_eq!((keys.at(0), keys.at(many - 1)), (2, 0));
    }
}
