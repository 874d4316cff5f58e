//! Cold stubs of links that tier 2's code ends with: machine code by hand, because Cranelift has no part in it.

use crate::disp;
use crate::jit::abi::Exit;

/// Bytes of a stub.
pub const LINK_STUB: usize = 14;

// The address of a slot alone is the exit word.
const _: () = assert!(Exit::LINK == 0);

/// The stub that a link slot holds while it is not linked: it leaves with the slot's address. Also where in it the
/// displacement of the slot is to be filled in.
pub fn link_stub() -> ([u8; LINK_STUB], usize) {
    let mut bytes = [0; LINK_STUB];
    // lea rax, [rip + slot]
    bytes[..3].copy_from_slice(&[0x48, 0x8d, 0x05]);
    // jmp [r15 + thunks.leave]
    bytes[7..10].copy_from_slice(&[0x41, 0xff, 0xa7]);
    bytes[10..].copy_from_slice(&disp!(thunks.leave).to_le_bytes());
    (bytes, 3)
}
