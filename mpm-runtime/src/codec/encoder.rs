//! Encoded arguments before they are anywhere: small values as bytes, large runs as what they are. What is encoded enters
//! in order; pieces leave, so that a large run is copied once, straight to where it has to be.

use super::wire;

/// Runs from this size on, in bytes, are not copied but remembered: below it, a copy costs less than a piece of its own.
const LARGE: usize = 4096;

/// Where arguments are encoded. Large runs stay in the values, which are borrowed for `'v`.
///
/// Without a large run it allocates nothing beyond its buffer, which can be one that was used before.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Encoder<'v> {
    bytes: Vec<u8>,
    /// Large runs, in order, each with the number of `bytes` in front of it.
    runs: Vec<(usize, &'v [u8])>,
    /// Bytes of all runs together.
    in_runs: usize,
}

impl<'v> Encoder<'v> {
    /// Encodes into `buffer`, whose old content is forgotten.
    #[inline]
    pub fn new(mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        Self::behind(buffer)
    }

    /// Encodes behind what is in `buffer`.
    #[inline]
    pub(crate) fn behind(buffer: Vec<u8>) -> Self {
        Encoder { bytes: buffer, ..Self::default() }
    }

    /// Where what is no large run is appended. Nothing in front of it may be taken away again.
    #[inline]
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Appends a run with its length in front.
    pub(crate) fn put_run(&mut self, run: &'v [u8]) {
        if run.len() < LARGE {
            wire::put_run(run, &mut self.bytes);
        } else {
            wire::put_length(run, &mut self.bytes);
            self.runs.push((self.bytes.len(), run));
            self.in_runs += run.len();
        }
    }

    /// How many bytes all pieces have together.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.in_runs
    }

    #[inline]
    pub(crate) fn has_large_runs(&self) -> bool {
        !self.runs.is_empty()
    }

    /// All that was encoded, in order.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let ends = self.runs.iter().map(|(at, _)| *at).chain([self.bytes.len()]);
        let mut from = 0;
        let between = ends.map(move |to| self.bytes.get(std::mem::replace(&mut from, to)..to).unwrap_or_default());
        let runs = self.runs.iter().map(|(_, run)| *run).chain([&[][..]]);
        between.zip(runs).flat_map(<[&[u8]; 2]>::from)
    }

    /// The buffer, to be used again.
    #[inline]
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }

    /// All that was encoded, as one piece.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut whole = Vec::with_capacity(self.len());
        self.pieces().for_each(|piece| whole.extend_from_slice(piece));
        whole
    }

    /// As [`to_bytes`](Self::to_bytes): the buffer, if there are no large runs.
    pub fn into_bytes(self) -> Vec<u8> {
        if self.has_large_runs() { self.to_bytes() } else { self.bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_runs_stay_where_they_are_and_pieces_are_in_order() {
        let [first, second] = [1, 2].map(|byte| vec![byte; LARGE]);
        for runs in [&[][..], &[&b"abc"[..]], &[&first[..]], &[&first, b"", b"small", &second, &first[..LARGE - 1]]] {
            let mut encoder = Encoder::new(b"old".to_vec());
            let mut expected = Vec::new();
            for run in runs {
                encoder.bytes().push(7);
                expected.push(7);
                encoder.put_run(run);
                wire::put_run(run, &mut expected);
            }
            let large: Vec<_> = runs.iter().filter(|run| run.len() >= LARGE).map(|run| run.as_ptr()).collect();
            let kept: Vec<_> = encoder.pieces().map(<[u8]>::as_ptr).collect();
            assert!(large.iter().all(|run| kept.contains(run)), "a large run was copied");
            assert_eq!(encoder.len(), expected.len());
            assert_eq!(encoder.pieces().collect::<Vec<_>>().concat(), expected);
            assert_eq!(encoder.into_bytes(), expected);
        }
    }

    #[test]
    fn a_buffer_is_used_again() {
        let buffer = Vec::with_capacity(100);
        let start = buffer.as_ptr();
        let mut encoder = Encoder::new(buffer);
        encoder.put_run(b"some bytes");
        let buffer = encoder.into_bytes();
        assert_eq!((buffer.as_ptr(), buffer.len()), (start, 11));
    }
}
