//! Call stacks by frame pointers, as GCC and Clang lay frames out with `-fno-omit-frame-pointer` and Linux for RISC-V is built: `s0` points behind the
//! frame, the return address is in the last word before it and the caller's `s0` in the one before that (RISC-V ELF psABI, "Frame pointer
//! convention").

/// `ra` and `s0`.
const RA: usize = 1;
const FP: usize = 8;

/// Kernel addresses have the top bit set.
fn is_kernel(address: u64) -> bool {
    address >> 63 != 0
}

/// See [`crate::guest::Guest::callers`]. The first is `ra`, which is the caller of a function without a frame, and in any other one of
/// these: the return address of its frame, or a place in the function itself to which a call of its own has returned.
pub fn callers(regs: &[u64], mut read: impl FnMut(u64) -> Option<u64>, out: &mut Vec<u64>) -> bool {
    let (Some(&ra), Some(&first)) = (regs.get(RA), regs.get(FP)) else { return false };
    out.push(ra);
    let mut fp = first;
    while out.len() < out.capacity() {
        if fp == 0 || (is_kernel(first) && !is_kernel(fp)) {
            // The frame of who has none: the kernel's entry, which was entered from a program, or the start of a thread.
            return true;
        }
        if fp % 8 != 0 {
            return false;
        }
        let (Some(ra), Some(next)) = (read(fp.wrapping_sub(8)), read(fp.wrapping_sub(16))) else {
            return false;
        };
        if ra == 0 {
            return true;
        }
        out.push(ra);
        if next == fp {
            return false;
        }
        fp = next;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const STACK: u64 = 0xffff_ffc8_0000_0000;

    /// Callers where frames, (frame pointer, return address, caller's frame pointer), are in memory.
    fn walk(ra: u64, fp: u64, frames: &[(u64, u64, u64)]) -> (Vec<u64>, bool) {
        let mut words = HashMap::new();
        for &(at, ra, next) in frames {
            words.insert(at - 8, ra);
            words.insert(at - 16, next);
        }
        let mut regs = [0; 32];
        (regs[RA], regs[FP]) = (ra, fp);
        let mut out = Vec::with_capacity(8);
        let whole = callers(&regs, |at| words.get(&at).copied(), &mut out);
        (out, whole)
    }

    #[test]
    fn frames_are_followed_to_the_outermost() {
        let (a, b) = (STACK + 0x100, STACK + 0x180);
        // A thread's start has no frame; a program's frame pointer is what the kernel's entry saved.
        for outermost in [0, 0x3f_ffff_f000] {
            let frames = [(a, 0x111, b), (b, 0x222, outermost)];
            assert_eq!(walk(0x99, a, &frames), (vec![0x99, 0x111, 0x222], true));
        }
        // From the interrupt's stack to the task's, which may lie lower.
        assert_eq!(walk(0x99, b, &[(b, 0x111, a), (a, 0x222, 0)]), (vec![0x99, 0x111, 0x222], true));
    }

    #[test]
    fn broken_chains_are_said_to_be_cut() {
        let a = STACK + 0x100;
        assert_eq!(walk(1, a + 4, &[]), (vec![1], false), "misaligned");
        assert_eq!(walk(1, a, &[]), (vec![1], false), "not mapped");
        assert_eq!(walk(1, a, &[(a, 2, a)]), (vec![1, 2], false), "itself");
        let (list, whole) = walk(1, a, &[(a, 2, a + 64), (a + 64, 3, a)]);
        assert!(list.len() >= 8 && !whole, "a ring is left in the end");
        assert!(!walk(1, 8, &[(u64::MAX - 7, 1, 1)]).1, "no overflow");
    }
}
