//! Where a job is, in one word.

/// Where a job is. Read and written under the pool's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the queue.
    Queue,
    /// It has its outcome: no one has it any more.
    Dead,
    /// With the member of this slot, as the request of this number.
    Member(u32, u32),
}

impl Place {
    const QUEUE: u64 = u64::MAX;
    const DEAD: u64 = u64::MAX - 1;

    pub(super) fn pack(self) -> u64 {
        match self {
            Self::Queue => Self::QUEUE,
            Self::Dead => Self::DEAD,
            Self::Member(slot, number) => u64::from(slot) << 32 | u64::from(number),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the halves of the word are taken apart on purpose")]
    pub(super) fn unpack(word: u64) -> Self {
        match word {
            Self::QUEUE => Self::Queue,
            Self::DEAD => Self::Dead,
            word => Self::Member((word >> 32) as u32, word as u32),
        }
    }
}
