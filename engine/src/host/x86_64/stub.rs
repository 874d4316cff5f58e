//! Cold stubs that tier 2's code ends with: machine code by hand, because Cranelift has no part in it.

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

/// Bytes of a stub that asks for a page.
pub const PAGE_STUB: usize = 18;

/// The stub that is called for the page of an access with `flags`. It passes them, so that the call takes no register.
pub fn page_stub(flags: u32, store: bool) -> [u8; PAGE_STUB] {
    let mut bytes = [0; PAGE_STUB];
    // mov dword [r15 + access], flags
    bytes[..3].copy_from_slice(&[0x41, 0xc7, 0x87]);
    bytes[3..7].copy_from_slice(&disp!(access).to_le_bytes());
    bytes[7..11].copy_from_slice(&flags.to_le_bytes());
    // jmp [r15 + thunk]
    let thunk = if store { disp!(thunks.page_store) } else { disp!(thunks.page_load) };
    bytes[11..14].copy_from_slice(&[0x41, 0xff, 0xa7]);
    bytes[14..].copy_from_slice(&thunk.to_le_bytes());
    bytes
}
