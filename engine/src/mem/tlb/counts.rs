//! What a TLB counts.

/// Counts of one hart's TLB since power-on. Plain adds. Accesses that its tables answered are not counted: emitted code sees
/// to those by itself.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct TlbCounts {
    /// Loads, stores and fetches that the tables did not answer: by page, also where no table may (devices, pages with code).
    pub misses: [u64; 3],
    /// Loads and stores among them that held translations answered. The rest walked.
    pub held: [u64; 2],
    /// Flushes of all of an address space, of all but its global pages, of a page, of a page unless it is global.
    pub flushes: [u64; 4],
    /// Table sets that flushes cleared.
    pub cleared: u64,
    /// Times that a flush voided the code look-ups of a set.
    pub voided: u64,
    /// Sets reused for another address space.
    pub evicted_sets: u64,
    /// Tables that grew.
    pub grown: u64,
    /// Tables that shrank.
    pub shrunk: u64,
}

impl TlbCounts {
    /// Walks for loads, stores and fetches, those that ended in a fault included.
    pub fn walks(&self) -> [u64; 3] {
        let [load, store, fetch] = self.misses;
        [load - self.held[0], store - self.held[1], fetch]
    }
}
