//! What a worker is told of a job beside its arguments, as one number: the note of a request.

use std::time::Duration;

/// Limits of which a worker has to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Note {
    /// How long the job may run.
    pub(crate) limit: Option<Duration>,
    /// The CPU time that it uses is looked at.
    pub(crate) measures_cpu: bool,
}

const CPU: u32 = 1 << 31;

impl Note {
    /// `{ milliseconds: 31 bits, measures CPU: 1 bit }`, from the lowest; 0 for a job without limits. A limit is told in whole
    /// milliseconds, at least one; those of more than 24 days are told as that.
    pub(crate) fn pack(self) -> u32 {
        let millis = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX).clamp(1, CPU - 1);
        self.limit.map_or(0, millis) | if self.measures_cpu { CPU } else { 0 }
    }

    pub(crate) fn unpack(note: u32) -> Self {
        let millis = note & !CPU;
        Self { limit: (millis > 0).then(|| Duration::from_millis(millis.into())), measures_cpu: note & CPU != 0 }
    }
}

/// Why a running job is asked to end. The numbers travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Ask {
    TimedOut = 1,
    Cancelled = 2,
    PoolEnds = 3,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_come_back_as_they_were_but_for_what_is_less_than_a_millisecond() {
        let ms = Duration::from_millis;
        let table = [
            (None, false, None),
            (None, true, None),
            (Some(ms(1)), true, Some(ms(1))),
            (Some(ms(30_000)), false, Some(ms(30_000))),
            (Some(Duration::from_nanos(1)), false, Some(ms(1))),
            (Some(Duration::MAX), false, Some(ms(u64::from(CPU - 1)))),
        ];
        for (limit, measures_cpu, expected) in table {
            let note = Note::unpack(Note { limit, measures_cpu }.pack());
            assert_eq!(note, Note { limit: expected, measures_cpu });
        }
        assert_eq!(Note::default().pack(), 0);
    }
}
