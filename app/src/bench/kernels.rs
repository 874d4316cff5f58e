//! The kernels of the embedded guest as the benchmark runs them.

use super::case::Group;

/// A kernel of the embedded guest.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    /// Its name there.
    pub name: &'static str,
    /// What it is, for people.
    pub what: &'static str,
    /// What it is measured with.
    pub group: Group,
    /// Passes at full scale: half a second and more of native code on a fast host.
    passes: u32,
}

const fn kernel(name: &'static str, what: &'static str, group: Group, passes: u32) -> Kernel {
    Kernel { name, what, group, passes }
}

/// All, as `bench` of the guest lists them.
pub const KERNELS: [Kernel; 24] = [
    kernel("crc32", "table-driven checksum", Group::Integer, 90),
    kernel("sieve", "primes", Group::Integer, 130),
    kernel("sort", "heap sort", Group::Integer, 65),
    kernel("sha256", "rotate, add, choose", Group::Integer, 260),
    kernel("lz", "search of repetitions", Group::Integer, 140),
    kernel("matmul", "doubles, fused", Group::Float, 160),
    kernel("nbody", "sqrt and divide", Group::Float, 180),
    kernel("chaos", "singles", Group::Float, 90),
    kernel("fft", "doubles, butterflies", Group::Float, 240),
    kernel("plate", "means of neighbours", Group::Float, 350),
    kernel("copy", "memory by 8 bytes", Group::Memory, 240),
    kernel("fill", "memory by bytes", Group::Memory, 220),
    kernel("chase", "random walk, 4 MiB", Group::Memory, 5),
    kernel("strings", "words by single bytes", Group::Memory, 210),
    kernel("scatter", "random updates, 2 MiB", Group::Memory, 80),
    kernel("fib", "recursion", Group::Calls, 160),
    kernel("tak", "recursion, 3 arguments", Group::Calls, 230),
    kernel("indirect", "calls by table", Group::Calls, 45),
    kernel("switch", "a byte-code machine", Group::Calls, 330),
    kernel("amo", "add, or, swap, and", Group::Events, 42),
    kernel("cas", "compare and swap, lock", Group::Events, 85),
    kernel("syscall", "200,000 of user mode a pass", Group::Events, 30),
    kernel("fault", "102,400 page faults a pass", Group::Events, 30),
    kernel("context", "200,000 address spaces a pass", Group::Events, 10),
];

impl Kernel {
    /// Passes at this scale.
    pub fn passes(&self, scale: f64) -> u64 {
        ((f64::from(self.passes) * scale).round() as u64).clamp(1, 100_000)
    }

    /// Whether the same source is a program of the host's too.
    pub fn is_native(&self) -> bool {
        !matches!(self.name, "syscall" | "fault" | "context")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_of_the_guest_is_measured() {
        let sources = [
            include_str!("../../../assets/guest/src/kernels.c"),
            include_str!("../../../assets/guest/src/events.c"),
        ];
        let mut listed = 0;
        for line in sources.iter().flat_map(|s| s.lines()) {
            if let Some(name) = line.strip_prefix("    {\"").and_then(|l| l.split('"').next()) {
                listed += 1;
                assert!(KERNELS.iter().any(|k| k.name == name), "{name}");
            }
        }
        assert_eq!(listed, KERNELS.len());
    }

    #[test]
    fn passes_follow_the_scale() {
        assert_eq!((KERNELS[0].passes(1.0), KERNELS[0].passes(0.1), KERNELS[12].passes(0.001)), (90, 9, 1));
        assert_eq!(KERNELS[0].passes(1e9), 100_000);
    }
}
