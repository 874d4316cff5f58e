//! Where the kernel's image lies in physical memory.
//!
//! It is in one piece, and the token table is in it, so there are only as many possibilities as the image has pages. What tells
//! the right one is text at the place of a symbol.

use super::super::memory::Space;
use super::super::place::Placement;
use super::super::table::Table;
use super::addresses::Addresses;
use engine::mem::PAGE_SIZE;

/// A symbol, and what stands so many bytes behind it.
struct Mark {
    symbol: &'static str,
    offset: u64,
    text: &'static [u8],
}

/// In the order in which they are tried.
const MARKS: [Mark; 2] = [
    // init/version.c. Not among the symbols without CONFIG_KALLSYMS_ALL.
    Mark { symbol: "linux_banner", offset: 0, text: b"Linux version " },
    // The header of an Image (Documentation/arch/riscv/boot-image-header.rst). Some versions free it after boot.
    Mark { symbol: "_start", offset: 0x30, text: b"RISCV\0\0\0RSC\x05" },
];

/// Finds the image. `inside` is a physical address in it.
pub fn find(space: &Space<'_>, table: &Table, addresses: &Addresses, inside: u64) -> Option<Placement> {
    let image = addresses.image..*addresses.all.last()?;
    MARKS.iter().find_map(|mark| {
        let symbol = table.named(mark.symbol).next()?.address.checked_add(mark.offset)?;
        // Possible virtual addresses of `inside`: one in each page of the image.
        let first = (image.start & !(PAGE_SIZE - 1)).checked_add(inside % PAGE_SIZE)?;
        let possible = (first..image.end).step_by(PAGE_SIZE as usize);
        let mut right = possible
            .map(|address| inside.wrapping_sub(address))
            .filter(|delta| stands(space, symbol.wrapping_add(*delta), mark.text));
        let delta = right.next()?;
        // Two answers are none.
        right.next().is_none().then(|| Placement::new(image.clone(), image.start.wrapping_add(delta)))
    })
}

fn stands(space: &Space<'_>, pa: u64, text: &[u8]) -> bool {
    pa.checked_add(text.len() as u64).and_then(|end| space.bytes(pa..end)).is_some_and(|bytes| bytes == text)
}
