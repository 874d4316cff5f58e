//! The addresses of the symbols: 32-bit offsets to a base, or, in kernels without `CONFIG_KALLSYMS_BASE_RELATIVE`, 64-bit addresses.
//!
//! With `CONFIG_KALLSYMS_ABSOLUTE_PERCPU` (x86, up to Linux 6.14) offsets are signed: those from 0 on are absolute, and -1 is the
//! base itself.

use super::super::memory::Space;
use super::names::Names;
use super::tokens::Tokens;

/// What a kernel's image spans at most.
const MAX_SPAN: u64 = 1 << 31;
/// Symbols that every kernel has, lowest address first: its code lies between them.
const CODE: [&str; 2] = ["_stext", "_etext"];

/// The addresses of all symbols.
pub struct Addresses {
    /// As the names, lowest first.
    pub all: Vec<u64>,
    /// The lowest one in the kernel's image.
    pub image: u64,
    /// A place where something stands that is another if the kernel moves: the base, or the first address. And what stood there.
    pub anchor: (u64, Vec<u8>),
}

/// How addresses are written down.
#[derive(Clone, Copy)]
enum Form {
    /// Offsets without a sign.
    Offsets,
    /// Offsets of which the negative ones are relative.
    Signed,
    /// Addresses.
    Absolute,
}

impl Addresses {
    /// Finds and reads the addresses of these names.
    pub fn read(space: &Space<'_>, tokens: &Tokens, names: &Names) -> Option<Addresses> {
        let count = names.len() as u64;
        let (offsets, absolute) = ((4 * count).next_multiple_of(8), 8 * count);
        // Where addresses and base stand: behind the token index, or before the names.
        let relative = [
            (Some(tokens.end), tokens.end.checked_add(offsets)),
            (names.start.checked_sub(8 + offsets), names.start.checked_sub(8)),
        ];
        let relative = relative.into_iter().filter_map(|(at, base)| {
            [Form::Offsets, Form::Signed].into_iter().find_map(|form| of_form(space, names, form, at?, base))
        });
        let plain = [Some(tokens.end), names.start.checked_sub(absolute)];
        let plain = plain.into_iter().filter_map(|at| of_form(space, names, Form::Absolute, at?, None));
        relative.chain(plain).next()
    }
}

fn of_form(space: &Space<'_>, names: &Names, form: Form, at: u64, base_at: Option<u64>) -> Option<Addresses> {
    let width = if matches!(form, Form::Absolute) { 8 } else { 4 };
    let bytes = space.bytes(at..at.checked_add(width * names.len() as u64)?)?;
    let anchor_at = base_at.unwrap_or(at);
    let anchor = space.array::<8>(anchor_at)?;
    let base = u64::from_le_bytes(anchor);
    let all: Vec<u64> = match form {
        Form::Absolute => bytes.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect(),
        _ => bytes.as_chunks::<4>().0.iter().map(|b| address(form, base, *b)).collect::<Option<_>>()?,
    };
    let image = image(form, base, &all)?;
    let ordered = all.is_sorted() && *all.last()? - image <= MAX_SPAN;
    (ordered && holds_code(names, &all, image)).then(|| Addresses {
        image,
        all,
        anchor: (anchor_at, anchor.to_vec()),
    })
}

fn address(form: Form, base: u64, bytes: [u8; 4]) -> Option<u64> {
    match (form, i32::from_le_bytes(bytes)) {
        (Form::Signed, offset) if offset >= 0 => u64::try_from(offset).ok(),
        (Form::Signed, offset) => base.checked_add(offset.unsigned_abs().into())?.checked_sub(1),
        _ => base.checked_add(u32::from_le_bytes(bytes).into()),
    }
}

/// The lowest address in the image. The base is the lowest address that is relative to it. Before the kernel has relocated itself a base may
/// be 0; then it is too early.
fn image(form: Form, base: u64, all: &[u64]) -> Option<u64> {
    let lowest = match form {
        Form::Signed => *all.get(all.partition_point(|a| *a < base))?,
        _ => *all.first()?,
    };
    let fits = matches!(form, Form::Absolute) || lowest == base;
    (fits && lowest != 0).then_some(lowest)
}

/// Whether the symbols around a kernel's code are there, in the image, and in order.
fn holds_code(names: &Names, all: &[u64], image: u64) -> bool {
    let of = |wanted: &str| {
        names.iter().zip(all).find(|((_, name), _)| *name == wanted).map(|(_, address)| *address)
    };
    let [Some(start), Some(end)] = CODE.map(of) else { return false };
    image <= start && start < end
}
