//! Where things go in RAM, by QEMU's rules for this board, which firmware and kernels are used to.

use super::error::BootError;
use super::file::BootFile;
use crate::board::map::{RAM_BASE, Range};

const MIB: u64 = 1 << 20;
/// Kernels start at multiples of this.
pub(super) const KERNEL_ALIGN: u64 = 2 * MIB;
const FDT_ALIGN: u64 = 2 * MIB;
const PAGE: u64 = 4096;
/// The device tree stays below, for firmware that knows 32-bit addresses.
const FDT_LIMIT: u64 = 3 << 30;
/// The initial ramdisk goes to the middle of RAM, but not further up than this.
const INITRD_MAX: u64 = 512 * MIB;

/// The first place for a kernel behind firmware that ends at `firmware_end`.
pub(super) fn kernel(firmware_end: u64) -> u64 {
    firmware_end.next_multiple_of(KERNEL_ALIGN)
}

/// Room from `at` to the end of RAM, if `file` with `need` bytes fits there.
pub(super) fn check_fits(file: &BootFile, at: u64, need: u64, end: u64) -> Result<(), BootError> {
    let room = end.saturating_sub(at);
    if need <= room {
        return Ok(());
    }
    Err(BootError::TooLarge { role: file.role, path: file.path.clone(), need, at, room })
}

/// The device tree: as far up as it may be.
pub(super) fn fdt(ram: Range, len: u64) -> u64 {
    let top = (ram.base + ram.size).min(FDT_LIMIT);
    (top.saturating_sub(len) & !(FDT_ALIGN - 1)).max(RAM_BASE)
}

/// The initial ramdisk: in the middle of RAM, or right behind a kernel that reaches further; below the device tree if
/// that is above.
pub(super) fn initrd(file: &BootFile, ram: Range, kernel_end: u64, fdt: u64) -> Result<u64, BootError> {
    let need = file.all().len();
    let middle = ram.base + (ram.size / 2).min(INITRD_MAX);
    let behind = kernel_end.next_multiple_of(PAGE);
    let ram_end = ram.base + ram.size;
    let fits = |at: u64| {
        let end = if at <= fdt { fdt } else { ram_end };
        at.checked_add(need).is_some_and(|e| e <= end)
    };
    if let Some(at) = [middle.max(behind), behind].into_iter().find(|at| fits(*at)) {
        return Ok(at);
    }
    // With much RAM there is room above the device tree.
    let above = (fdt + FDT_ALIGN).max(behind);
    check_fits(
        file,
        if fits(above) { above } else { behind },
        need,
        if fits(above) { ram_end } else { fdt },
    )?;
    Ok(above)
}
