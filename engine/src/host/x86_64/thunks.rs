//! In and out of compiled code, and from it to Rust. `jit/abi.rs` has the contract.
//!
//! No Rust code ever runs under the guest's MXCSR: every thunk that calls some puts the host's in and the guest's, with the
//! flags it had collected, back.

use crate::cache::jump::index;
use crate::disp;
use crate::exec::core::{Core, JumpEntry};
use crate::guest::Guest;
use crate::host::slow;
use crate::jit::abi::{Exit, STATE, Thunks};
use crate::jit::idiom;
use crate::mem::PAGE_MASK;
use crate::mem::tlb::FAST;
use std::arch::naked_asm;
use std::mem::offset_of;

/// MXCSR with all exceptions masked, for a RISC-V rounding mode. Modes that the host lacks are never used by compiled code.
pub const fn fcr(rm: u8) -> u32 {
    // RISC-V: nearest even, towards zero, down, up. x86: nearest, down, up, towards zero (Intel SDM volume 1, 10.2.3).
    let rounding = match rm {
        1 => 3,
        2 => 1,
        3 => 2,
        _ => 0,
    };
    0x1f80 | rounding << 13
}

/// The RISC-V flags (NX 1, UF 2, OF 4, DZ 8, NV 16) of an MXCSR (invalid 1, denormal 2, divide 4, overflow 8, underflow 16,
/// precision 32).
pub const fn fcr_flags(fcr: u32) -> u8 {
    ((fcr & 1) << 4 | (fcr >> 2 & 1) << 3 | (fcr >> 3 & 1) << 2 | (fcr >> 4 & 1) << 1 | fcr >> 5 & 1) as u8
}

/// Enters compiled code at `entry`.
///
/// # Safety
/// `core` is the first field of a live [`Cpu`](crate::exec::cpu::Cpu) that nothing else refers to meanwhile; `entry` is an entry
/// point by the contract of [`crate::jit::abi`] in memory that stays mapped until this returns.
pub unsafe fn enter(core: *mut Core, entry: u64) -> Exit {
    // SAFETY: by the contract of this function.
    Exit(unsafe { enter_code(core, entry) })
}

#[unsafe(naked)]
unsafe extern "sysv64" fn enter_code(core: *mut Core, entry: u64) -> u64 {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 8",
        "lea r15, [rdi + {state}]",
        "mov rax, rsi",
        "mov rdi, [r15 + {pc}]",
        "mov rsi, [r15 + {budget}]",
        "lea rcx, [rsp - 8]",
        "mov [r15 + {sp}], rcx",
        "ldmxcsr [r15 + {guest}]",
        "call rax",
        "stmxcsr [r15 + {left}]",
        "ldmxcsr [r15 + {host}]",
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
        state = const STATE,
        pc = const disp!(pc),
        budget = const disp!(budget),
        sp = const disp!(entry_sp),
        guest = const disp!(guest_fcr),
        left = const disp!(left_fcr),
        host = const disp!(host_fcr),
    )
}

#[unsafe(naked)]
unsafe extern "sysv64" fn leave() {
    naked_asm!(
        "mov [r15 + {pc}], rdi",
        "mov [r15 + {budget}], rsi",
        "ret",
        pc = const disp!(pc),
        budget = const disp!(budget),
    )
}

/// Where records of code that is gone point: leaves at the pc that was asked for.
#[unsafe(naked)]
unsafe extern "sysv64" fn gone_thunk() {
    naked_asm!(
        "mov [r15 + {pc}], rdi",
        "mov [r15 + {budget}], rsi",
        "mov eax, {lookup}",
        "ret",
        pc = const disp!(pc),
        budget = const disp!(budget),
        lookup = const Exit::LOOKUP as i32,
    )
}

/// Address of the thunk to which records of code that is gone point.
pub fn gone() -> u64 {
    gone_thunk as *const () as u64
}

/// The middle of each thunk that calls Rust: `rdi` to `rcx` are set up, the stack is aligned. Comes out with the exit word in
/// `rax` and the guest's MXCSR in force.
macro_rules! call_rust {
    () => {
        "stmxcsr [r15 + {left}]
         ldmxcsr [r15 + {host}]
         lea rdi, [r15 - {state}]
         call {target}
         ldmxcsr [r15 + {left}]
         test rax, rax"
    };
}

/// Leaves from any depth of the host stack, where the entry thunk pushed what it did, or goes on from there in other code
/// ([`Exit::ON_AT`]).
macro_rules! unwind {
    () => {
        "mov rsp, [r15 + {sp}]
         cmp rax, {on_at}
         jne 3f
         mov rdi, [r15 + {pc}]
         mov rsi, [r15 + {budget}]
         jmp [r15 + {value}]
         3:
         ret"
    };
}

/// Puts registers into the frame: its size, then offset and register of each.
macro_rules! save {
    ($bytes:literal $($at:literal $vector:ident),* ; $($to:literal $general:ident),*) => {
        concat!(
            "sub rsp, ", $bytes, "\n",
            $("movaps [rsp + ", $at, "], ", stringify!($vector), "\n",)*
            $("mov [rsp + ", $to, "], ", stringify!($general), "\n",)*
        )
    };
}

/// Takes them out again.
macro_rules! restore {
    ($bytes:literal $($at:literal $vector:ident),* ; $($to:literal $general:ident),*) => {
        concat!(
            $("movaps ", stringify!($vector), ", [rsp + ", $at, "]\n",)*
            $("mov ", stringify!($general), ", [rsp + ", $to, "]\n",)*
            "add rsp, ", $bytes,
        )
    };
}

/// What slow paths of tier 1 preserve and Rust does not: everything but `rax`, `rcx`, `rdx` and `xmm0` to `xmm3` (the rest may hold
/// registers of the guest).
macro_rules! of_tier1 {
    ($do:ident) => {
        $do!(240
            0 xmm4, 16 xmm5, 32 xmm6, 48 xmm7, 64 xmm8, 80 xmm9, 96 xmm10, 112 xmm11, 128 xmm12, 144 xmm13, 160 xmm14, 176 xmm15;
            192 rdi, 200 rsi, 208 r8, 216 r9, 224 r10, 232 r11)
    };
}

/// What slow paths of tier 2 preserve and Rust does not: everything. The stack is 8 modulo 16 there.
macro_rules! of_tier2 {
    ($do:ident) => {
        $do!(328
            0 xmm0, 16 xmm1, 32 xmm2, 48 xmm3, 64 xmm4, 80 xmm5, 96 xmm6, 112 xmm7,
            128 xmm8, 144 xmm9, 160 xmm10, 176 xmm11, 192 xmm12, 208 xmm13, 224 xmm14, 240 xmm15;
            256 rax, 264 rcx, 272 rdx, 280 rsi, 288 rdi, 296 r8, 304 r9, 312 r10, 320 r11)
    };
}

/// A slow path: what it preserves, and how its arguments become those of the function in Rust.
macro_rules! slow_path {
    ($name:ident, $target:path, $of:ident, $($arguments:literal),*) => {
        #[unsafe(naked)]
        unsafe extern "sysv64" fn $name<G: Guest>() {
            naked_asm!(
                $of!(save),
                $($arguments,)*
                call_rust!(),
                "jnz 2f",
                $of!(restore),
                "ret",
                "2:",
                unwind!(),
                pc = const disp!(pc),
                budget = const disp!(budget),
                value = const disp!(value),
                on_at = const Exit::ON_AT as i32,
                left = const disp!(left_fcr),
                host = const disp!(host_fcr),
                state = const STATE,
                sp = const disp!(entry_sp),
                target = sym $target,
            )
        }
    };
}

/// One of tier 1: `rax`, `rcx`, `rdx` and the budget in.
macro_rules! tier1_thunk {
    ($name:ident, $target:path) => {
        slow_path!($name, $target, of_tier1, "mov [r15 + {budget}], rsi", "mov rsi, rax", "xchg rcx, rdx");
    };
}

/// One of tier 2: (op, meta, instruction pc) in `rdi`, `rsi`, `rdx`, the first of them, or nothing.
macro_rules! tier2_thunk {
    ($name:ident, $target:path) => {
        slow_path!($name, $target, of_tier2, "mov rcx, rdx", "mov edx, esi", "mov rsi, rdi");
    };
}

tier1_thunk!(load, slow::load::<G>);
tier1_thunk!(store, slow::store::<G>);
tier1_thunk!(op, slow::op::<G, false>);

tier2_thunk!(walk_load, slow::page_load::<G>);
tier2_thunk!(walk_store, slow::page_store::<G>);
tier2_thunk!(op_all, slow::op::<G, true>);
tier2_thunk!(idiom, idiom::run::run::<G>);
tier2_thunk!(op_saved, slow::op::<G, false>);

/// A TLB miss of tier 2, which often is one of a slot only: the TLB is asked first, if the access is aligned. The address is in
/// `value`, the flags are in `access`, the addend comes back in `value`. Every register is preserved.
macro_rules! page_thunk {
    ($name:ident, $walk:ident, $table:expr, $mask:expr) => {
        #[unsafe(naked)]
        unsafe extern "sysv64" fn $name<G: Guest>() {
            naked_asm!(
                "push rax",
                "push rcx",
                "push rdx",
                "mov rdx, [r15 + {value}]",
                "mov ecx, [r15 + {access}]",
                "and ecx, 7",
                "mov eax, 1",
                "shl eax, cl",
                "dec eax",
                "test rdx, rax",
                "jnz 2f",
                "mov rax, rdx",
                "shr rax, 8",
                "and rax, [r15 + {mask}]",
                "add rax, [r15 + {table}]",
                "and rdx, {page}",
                "cmp rdx, [rax]",
                "jne 2f",
                "mov rax, [rax + 8]",
                "mov [r15 + {value}], rax",
                "pop rdx",
                "pop rcx",
                "pop rax",
                "ret",
                "2:",
                "pop rdx",
                "pop rcx",
                "pop rax",
                "jmp {walk}",
                table = const disp!(tlb.fast) + FAST[$table] as i32,
                mask = const disp!(tlb.fast) + FAST[$mask] as i32,
                page = const PAGE_MASK as i64 as i32,
                value = const disp!(value),
                access = const disp!(access),
                walk = sym $walk::<G>,
            )
        }
    };
}

page_thunk!(page_load, walk_load, 0, 1);
page_thunk!(page_store, walk_store, 2, 3);

/// Leaves a region before an instruction: counts what it has run.
#[unsafe(naked)]
unsafe extern "sysv64" fn leave_poll() {
    naked_asm!(
        "mov rcx, [r15 + {entered}]",
        "sub rcx, rsi",
        "add [r15 + {insns}], rcx",
        "mov [r15 + {pc}], rdi",
        "mov [r15 + {budget}], rsi",
        "mov eax, {kind}",
        "ret",
        entered = const disp!(tier2_entered),
        insns = const disp!(tier2_insns),
        pc = const disp!(pc),
        budget = const disp!(budget),
        kind = const (Exit::POLL | Exit::REGION) as i32,
    )
}

/// Goes on at the guest pc in `rdi` if the jump cache has it by the tag in `{tag}`; else falls through.
macro_rules! probe {
    () => {
        "mov eax, edi
        shr eax, {fold}
        xor eax, edi
        and eax, {mask}
        shl eax, {shift}
        add rax, [r15 + {jumps}]
        mov rcx, [r15 + {tag}]
        cmp rdi, [rax]
        jne 2f
        cmp rcx, [rax + {at_tag}]
        jne 2f
        mov rax, [rax + {at_record}]
        inc qword ptr [r15 + {hits}]
        jmp [rax]
        2:"
    };
}

/// Goes on at the guest pc by the jump cache, the likelier tag first, then as [`lookup`].
#[unsafe(naked)]
unsafe extern "sysv64" fn probe<G: Guest>() {
    naked_asm!(
        probe!(),
        "jmp {lookup}",
        fold = const index::FOLD,
        mask = const index::MASK as i32,
        shift = const index::SHIFT,
        jumps = const disp!(jumps),
        tag = const disp!(tag),
        at_tag = const offset_of!(JumpEntry, tag),
        at_record = const offset_of!(JumpEntry, record),
        hits = const disp!(jump_hits),
        lookup = sym lookup::<G>,
    )
}

/// Goes on at the guest pc, which the jump cache does not have by the likelier tag: by the other tag, then by what Rust knows;
/// else leaves.
#[unsafe(naked)]
unsafe extern "sysv64" fn lookup<G: Guest>() {
    naked_asm!(
        probe!(),
        "mov [r15 + {pc}], rdi",
        "mov [r15 + {budget}], rsi",
        "sub rsp, 8",
        call_rust!(),
        "lea rsp, [rsp + 8]",
        "jz 3f",
        "mov rdi, [r15 + {pc}]",
        "mov rsi, [r15 + {budget}]",
        "jmp rax",
        "3:",
        "mov eax, {kind}",
        "ret",
        fold = const index::FOLD,
        mask = const index::MASK as i32,
        shift = const index::SHIFT,
        jumps = const disp!(jumps),
        tag = const disp!(other_tag),
        at_tag = const offset_of!(JumpEntry, tag),
        at_record = const offset_of!(JumpEntry, record),
        hits = const disp!(jump_hits),
        pc = const disp!(pc),
        budget = const disp!(budget),
        left = const disp!(left_fcr),
        host = const disp!(host_fcr),
        state = const STATE,
        kind = const Exit::LOOKUP as i32,
        target = sym slow::lookup::<G>,
    )
}

/// As [`lookup`], from a region: counts what it has run.
#[unsafe(naked)]
unsafe extern "sysv64" fn leave_lookup<G: Guest>() {
    naked_asm!(
        "mov rcx, [r15 + {entered}]",
        "sub rcx, rsi",
        "add [r15 + {insns}], rcx",
        "jmp {lookup}",
        entered = const disp!(tier2_entered),
        insns = const disp!(tier2_insns),
        lookup = sym lookup::<G>,
    )
}

const _: () = assert!(offset_of!(JumpEntry, pc) == 0);

/// The addresses of the thunks of a guest ISA.
pub fn thunks<G: Guest>() -> Thunks {
    let at = |f: unsafe extern "sysv64" fn()| f as *const () as u64;
    Thunks {
        leave: at(leave),
        load: at(load::<G>),
        store: at(store::<G>),
        op: at(op::<G>),
        leave_poll: at(leave_poll),
        probe: at(probe::<G>),
        lookup: at(lookup::<G>),
        leave_lookup: at(leave_lookup::<G>),
        page_load: at(page_load::<G>),
        page_store: at(page_store::<G>),
        op_all: at(op_all::<G>),
        idiom: at(idiom::<G>),
        op_saved: at(op_saved::<G>),
    }
}
