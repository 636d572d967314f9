//! Which worker has had the jobs of a key, for the keys that were used last.

use std::collections::HashMap;

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
}

impl Keys {
    pub(super) fn get(&self, key: u64) -> Option<Home> {
        self.homes.get(&key).map(|(home, _)| *home)
    }

    /// A job of the key goes there. Where too many keys are known, the half that was used longest ago is forgotten: all at once, so that
    /// it costs next to nothing each time.
    pub(super) fn put(&mut self, key: u64, home: Home) {
        self.uses += 1;
        self.homes.insert(key, (home, self.uses));
        if self.homes.len() > 2 * KEPT {
            let mut uses: Vec<u64> = self.homes.values().map(|(_, used)| *used).collect();
            let (_, oldest_kept, _) = uses.select_nth_unstable(self.homes.len() - KEPT);
            let oldest_kept = *oldest_kept;
            self.homes.retain(|_, (_, used)| *used >= oldest_kept);
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
    }
}
