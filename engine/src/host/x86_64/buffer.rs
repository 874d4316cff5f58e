//! The buffer that machine code is emitted into.
//!
//! The problem: a block's code is written once and thrown away or copied, thousands of times a second, so nothing may be
//! allocated per block or per instruction; and slow paths belong behind the fast ones though both are emitted at the same
//! moment, while the emitter knows which guest register is where. So there are two parts of fixed size, hot and cold;
//! [`Buffer::cold`] and [`Buffer::hot`] say into which the next instruction goes, labels join them, and
//! [`Buffer::finish`] lays cold behind hot. What does not fit is counted and dropped: [`Buffer::finish`] refuses it.

use dynasmrt::components::LabelRegistry;
use dynasmrt::relocations::Relocation;
use dynasmrt::x64::X64Relocation;
use dynasmrt::{AssemblyOffset, DynamicLabel, DynasmApi, DynasmLabelApi};

/// Bytes of each part.
const PART: usize = 64 << 10;

/// In a position: the cold part.
const COLD: u32 = 1 << 31;
/// The position of a label that is not placed.
const NOWHERE: u32 = u32::MAX;

struct Part {
    bytes: Box<[u8]>,
    len: usize,
}

impl Part {
    fn new() -> Part {
        Part { bytes: vec![0; PART].into_boxed_slice(), len: 0 }
    }

    #[inline(always)]
    fn push<const N: usize>(&mut self, bytes: [u8; N]) {
        if let Some(to) = self.bytes.get_mut(self.len..self.len + N) {
            to.copy_from_slice(&bytes);
        }
        self.len += N;
    }

    /// The low `n` bytes of `word`; at most eight bytes of slack behind them are touched.
    #[inline(always)]
    fn put(&mut self, word: u64, n: usize) {
        if let Some(to) = self.bytes.get_mut(self.len..self.len + 8) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        self.len += n;
    }

    fn contents(&self) -> Option<&[u8]> {
        // What did not fit with its slack was dropped.
        self.bytes.get(..self.len + 8).map(|b| &b[..self.len])
    }
}

/// A displacement that is filled in when all labels are placed.
#[derive(Clone, Copy)]
struct Fixup {
    /// Position of the field.
    at: u32,
    /// Position that the distance is counted from.
    from: u32,
    /// Bytes of the field: 1 or 4.
    size: u8,
    label: u32,
    addend: i32,
}

/// Why a block's code cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unfinished {
    /// It is longer than the buffer.
    TooLong,
    /// A label is used and not placed, or out of reach of a short jump: a mistake in the emitter.
    Label,
}

/// Machine code under construction, in two parts. Reused from block to block.
pub struct Buffer {
    now: Part,
    other: Part,
    /// [`COLD`] while `now` is the cold part.
    side: u32,
    /// Only dynasm can make labels, so they are kept.
    labels: Vec<DynamicLabel>,
    registry: LabelRegistry,
    places: Vec<u32>,
    fixups: Vec<Fixup>,
    /// Local labels as they were last placed.
    locals: Vec<(&'static str, u32)>,
    /// References to local labels to come.
    ahead: Vec<(&'static str, Fixup)>,
}

impl Default for Buffer {
    fn default() -> Buffer {
        Buffer {
            now: Part::new(),
            other: Part::new(),
            side: 0,
            labels: Vec::new(),
            registry: LabelRegistry::new(),
            places: Vec::new(),
            fixups: Vec::new(),
            locals: Vec::new(),
            ahead: Vec::new(),
        }
    }
}

impl Buffer {
    /// Empties both parts and forgets all labels.
    pub fn clear(&mut self) {
        self.hot();
        self.now.len = 0;
        self.other.len = 0;
        self.places.clear();
        self.fixups.clear();
        self.locals.clear();
        self.ahead.clear();
    }

    /// What follows goes to the hot part.
    #[inline]
    pub fn hot(&mut self) {
        if self.side == COLD {
            self.swap();
        }
    }

    /// What follows goes to the cold part.
    #[inline]
    pub fn cold(&mut self) {
        if self.side != COLD {
            self.swap();
        }
    }

    fn swap(&mut self) {
        std::mem::swap(&mut self.now, &mut self.other);
        self.side ^= COLD;
    }

    /// A new label, to be placed by `=>label` in either part.
    #[inline]
    pub fn label(&mut self) -> DynamicLabel {
        let id = self.places.len();
        self.places.push(NOWHERE);
        match self.labels.get(id) {
            Some(label) => *label,
            None => {
                let label = self.registry.new_dynamic_label();
                self.labels.push(label);
                label
            }
        }
    }

    /// Appends the low `n` bytes of `word`.
    #[inline(always)]
    pub fn put(&mut self, word: u64, n: usize) {
        self.now.put(word, n);
    }

    /// Where the next byte goes; turn it into an offset with [`Buffer::resolve`] when all is emitted.
    #[inline(always)]
    pub fn position(&self) -> u32 {
        self.side | self.now.len as u32
    }

    /// Where the next bytes of the hot and of the cold part go, as positions.
    pub fn positions(&self) -> [u32; 2] {
        let (now, other) = (self.now.len as u32, self.other.len as u32);
        if self.side == COLD { [other, COLD | now] } else { [now, COLD | other] }
    }

    /// The offset in the finished code of a position.
    pub fn resolve(&self, position: u32) -> u32 {
        if position & COLD == 0 { position } else { (position & !COLD) + self.hot_len() }
    }

    /// The offset in the finished code of a label that is placed.
    pub fn offset_of(&self, label: DynamicLabel) -> u32 {
        self.resolve(self.places.get(label.get_id()).copied().unwrap_or(NOWHERE))
    }

    fn hot_len(&self) -> u32 {
        (if self.side == COLD { self.other.len } else { self.now.len }) as u32
    }

    /// The code: hot part, cold part, and the fields with distances from one to the other. They take the place of what is in `code` and
    /// `joins`. Returns where the cold part begins.
    pub fn finish_into(&mut self, code: &mut Vec<u8>, joins: &mut Vec<u32>) -> Result<u32, Unfinished> {
        self.hot();
        let (hot, cold) = match (self.now.contents(), self.other.contents()) {
            (Some(hot), Some(cold)) => (hot, cold),
            _ => return Err(Unfinished::TooLong),
        };
        code.clear();
        joins.clear();
        code.extend_from_slice(hot);
        code.extend_from_slice(cold);
        if !self.ahead.is_empty() {
            return Err(Unfinished::Label);
        }
        for f in &self.fixups {
            let place = self.places.get(f.label as usize).copied().unwrap_or(NOWHERE);
            if place == NOWHERE {
                return Err(Unfinished::Label);
            }
            let target = i64::from(self.resolve(place)) + i64::from(f.addend);
            let distance = target - i64::from(self.resolve(f.from));
            let at = self.resolve(f.at) as usize;
            let field = code.get_mut(at..at + usize::from(f.size)).ok_or(Unfinished::Label)?;
            if (place ^ f.at) & COLD != 0 {
                if f.size != 4 {
                    return Err(Unfinished::Label);
                }
                joins.push(at as u32);
            }
            match f.size {
                1 => field
                    .copy_from_slice(&i8::try_from(distance).map_err(|_| Unfinished::Label)?.to_le_bytes()),
                _ => field.copy_from_slice(&(distance as i32).to_le_bytes()),
            }
        }
        Ok(self.hot_len())
    }

    /// The code in memory of its own.
    #[cfg(test)]
    pub fn finish(&mut self) -> Result<Vec<u8>, Unfinished> {
        let mut code = vec![1];
        self.finish_into(&mut code, &mut Vec::new()).map(|_| code)
    }

    #[inline]
    fn fixup(
        &self,
        label: u32,
        addend: isize,
        field_offset: u8,
        ref_offset: u8,
        kind: X64Relocation,
    ) -> Fixup {
        let here = self.position();
        Fixup {
            at: here - u32::from(field_offset),
            from: here - u32::from(ref_offset),
            size: kind.size() as u8,
            label,
            addend: addend as i32,
        }
    }

    fn local(&self, name: &str) -> Option<u32> {
        self.locals.iter().find(|l| l.0 == name).map(|l| l.1)
    }

    fn set_local(&mut self, name: &'static str, id: u32) {
        match self.locals.iter_mut().find(|l| l.0 == name) {
            Some(l) => l.1 = id,
            None => self.locals.push((name, id)),
        }
    }
}

impl Extend<u8> for Buffer {
    #[inline(always)]
    fn extend<T: IntoIterator<Item = u8>>(&mut self, bytes: T) {
        bytes.into_iter().for_each(|b| self.push(b));
    }
}

impl<'a> Extend<&'a u8> for Buffer {
    #[inline(always)]
    fn extend<T: IntoIterator<Item = &'a u8>>(&mut self, bytes: T) {
        bytes.into_iter().for_each(|b| self.push(*b));
    }
}

impl DynasmApi for Buffer {
    /// Of the part that is being written.
    #[inline(always)]
    fn offset(&self) -> AssemblyOffset {
        AssemblyOffset(self.now.len)
    }
    #[inline(always)]
    fn push(&mut self, byte: u8) {
        self.now.push([byte]);
    }
    fn align(&mut self, alignment: usize, with: u8) {
        while !self.now.len.is_multiple_of(alignment) {
            self.push(with);
        }
    }
    #[inline(always)]
    fn push_i16(&mut self, value: i16) {
        self.now.push(value.to_le_bytes());
    }
    #[inline(always)]
    fn push_i32(&mut self, value: i32) {
        self.now.push(value.to_le_bytes());
    }
    #[inline(always)]
    fn push_i64(&mut self, value: i64) {
        self.now.push(value.to_le_bytes());
    }
    #[inline(always)]
    fn push_u16(&mut self, value: u16) {
        self.now.push(value.to_le_bytes());
    }
    #[inline(always)]
    fn push_u32(&mut self, value: u32) {
        self.now.push(value.to_le_bytes());
    }
    #[inline(always)]
    fn push_u64(&mut self, value: u64) {
        self.now.push(value.to_le_bytes());
    }
}

impl DynasmLabelApi for Buffer {
    type Relocation = X64Relocation;

    fn local_label(&mut self, name: &'static str) {
        let label = self.label();
        let id = label.get_id() as u32;
        self.dynamic_label(label);
        let mut ahead = std::mem::take(&mut self.ahead);
        ahead.retain(|(wanted, fixup)| {
            let keep = *wanted != name;
            if !keep {
                self.fixups.push(Fixup { label: id, ..*fixup });
            }
            keep
        });
        self.ahead = ahead;
        self.set_local(name, id);
    }

    /// A global label is a local one that is placed once.
    fn global_label(&mut self, name: &'static str) {
        self.local_label(name);
    }

    #[inline]
    fn dynamic_label(&mut self, id: DynamicLabel) {
        let here = self.position();
        if let Some(place) = self.places.get_mut(id.get_id()) {
            *place = here;
        }
    }

    fn forward_relocation(
        &mut self,
        name: &'static str,
        addend: isize,
        field: u8,
        from: u8,
        kind: X64Relocation,
    ) {
        let fixup = self.fixup(0, addend, field, from, kind);
        self.ahead.push((name, fixup));
    }

    fn backward_relocation(
        &mut self,
        name: &'static str,
        addend: isize,
        field: u8,
        from: u8,
        kind: X64Relocation,
    ) {
        let fixup = self.fixup(self.local(name).unwrap_or(NOWHERE), addend, field, from, kind);
        self.fixups.push(fixup);
    }

    fn global_relocation(
        &mut self,
        name: &'static str,
        addend: isize,
        field: u8,
        from: u8,
        kind: X64Relocation,
    ) {
        match self.local(name) {
            Some(_) => self.backward_relocation(name, addend, field, from, kind),
            None => self.forward_relocation(name, addend, field, from, kind),
        }
    }

    #[inline]
    fn dynamic_relocation(
        &mut self,
        id: DynamicLabel,
        addend: isize,
        field: u8,
        from: u8,
        kind: X64Relocation,
    ) {
        let fixup = self.fixup(id.get_id() as u32, addend, field, from, kind);
        self.fixups.push(fixup);
    }

    /// Emitted code holds no absolute address: such a reference is a label that is never placed.
    fn value_relocation(&mut self, _: usize, field: u8, from: u8, kind: X64Relocation) {
        let fixup = self.fixup(NOWHERE, 0, field, from, kind);
        self.fixups.push(fixup);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dynasmrt::dynasm;

    #[test]
    fn cold_code_lies_behind_hot_code_and_labels_join_them() {
        let mut b = Buffer::default();
        for _ in 0..2 {
            b.clear();
            let (slow, back) = (b.label(), b.label());
            dynasm!(b ; .arch x64 ; jz =>slow ; =>back ; ret);
            b.cold();
            let at = b.position();
            dynasm!(b ; .arch x64 ; =>slow ; nop ; jmp =>back);
            b.hot();
            dynasm!(b ; .arch x64 ; nop);
            let code = b.finish().expect("code");
            // jz rel32; ret; nop | nop; jmp rel32
            assert_eq!(code, [0x0f, 0x84, 2, 0, 0, 0, 0xc3, 0x90, 0x90, 0xe9, 0xf8, 0xff, 0xff, 0xff]);
            assert_eq!((b.resolve(at), b.offset_of(back)), (8, 6));
            let mut joins = Vec::new();
            assert_eq!((b.finish_into(&mut Vec::new(), &mut joins), joins), (Ok(8), vec![2, 10]));
        }
    }

    #[test]
    fn local_labels_mean_the_nearest() {
        let mut b = Buffer::default();
        dynasm!(b ; .arch x64 ; jz >over ; nop ; over: ; jz <over ; jz >over ; over:);
        let code = b.finish().expect("code");
        assert_eq!(code[2..6], 1i32.to_le_bytes());
        assert_eq!(code[9..13], (-6i32).to_le_bytes());
        assert_eq!(code[15..19], 0i32.to_le_bytes());
    }

    #[test]
    fn what_cannot_be_finished_says_so() {
        let mut b = Buffer::default();
        let nowhere = b.label();
        dynasm!(b ; .arch x64 ; jz =>nowhere);
        assert_eq!(b.finish(), Err(Unfinished::Label));
        b.clear();
        dynasm!(b ; .arch x64 ; jz >nowhere);
        assert_eq!(b.finish(), Err(Unfinished::Label));
        b.clear();
        for _ in 0..PART + 1 {
            b.push(0x90);
        }
        assert_eq!(b.finish(), Err(Unfinished::TooLong));
        b.clear();
        assert_eq!(b.finish(), Ok(Vec::new()));
    }
}
