//! Short sequences and the ops that they must become.

use super::*;
use crate::guest::riscv::TEMPS;
use crate::guest::riscv::disasm::{disassemble, reg_name};
use crate::guest::riscv::model::Ext;
use crate::guest::riscv::{KEY_FRM_RMM, KEY_FS_DIRTY, decode::decode_any};
use crate::ir::op::{Align, Fmt, FpFlags};
use crate::ir::print::{Names, print};
use crate::ir::verify::verify;
use crate::ir::{Boundary, JumpHint, MemFlags};

fn bytes(words: &[u32]) -> Vec<u8> {
    let mut v = Vec::new();
    for w in words {
        let len = if w & 3 == 3 { 4 } else { 2 };
        v.extend_from_slice(&w.to_le_bytes()[..len]);
    }
    v
}

fn lift_with(key: u32, words: &[u32]) -> Block {
    lift(&Model::default(), LiftInput { code: &bytes(words), key, max_insns: 64 })
}

fn text(block: &Block) -> String {
    let helper = |id| Helper::from_id(id).map(|h| Helper::DESC[h as usize].name);
    let asm = |b: &Boundary| {
        let raw = b.raw.to_le_bytes();
        Some(disassemble(&raw[..b.len as usize], b.offset as u64).0)
    };
    print(block, &Names { reg: &reg_name, helper: &helper, asm: &asm })
}

/// A golden text names the encodings itself, so it is lifted again and must come out the same.
#[track_caller]
fn golden(key: u32, want: &str) {
    let words: Vec<u32> = want
        .lines()
        .filter_map(|l| l.strip_prefix("; ")?.split(' ').nth(1))
        .filter_map(|w| u32::from_str_radix(w, 16).ok())
        .collect();
    let block = lift_with(key, &words);
    check(&block);
    assert_eq!(text(&block), want);
}

#[test]
fn golden_texts() {
    golden(KEY_FS_OFF, include_str!("golden/string_loop.txt"));
    golden(KEY_FS_OFF, include_str!("golden/call.txt"));
    golden(KEY_FS_OFF, include_str!("golden/atomic.txt"));
    golden(KEY_FS_OFF, include_str!("golden/bits.txt"));
    golden(KEY_FS_CLEAN, include_str!("golden/float.txt"));
    golden(KEY_FS_OFF, include_str!("golden/trap_entry.txt"));
    golden(KEY_FS_OFF, include_str!("golden/system.txt"));
}

fn ops(words: &[u32]) -> Vec<Op> {
    lift_with(KEY_FS_DIRTY, words).ops
}

fn exit(offset: i64) -> Op {
    Op { imm: offset, ..Op::new(Opcode::Exit) }
}
fn li(a: Reg, imm: i64) -> Op {
    Op { a, imm, ..Op::new(Opcode::Li) }
}
fn add_pc(a: Reg, imm: i64) -> Op {
    Op { a, imm, ..Op::new(Opcode::AddPc) }
}

#[test]
fn one_op_per_instruction() {
    // addi a0,a1,5; c.add a0,a2; ld a3,8(a0); c.sd a3,16(a0); bne a0,a3,-14
    let block = lift_with(KEY_FS_DIRTY, &[0x0055_8513, 0x9532, 0x0085_3683, 0xe914, 0xfed5_19e3]);
    let mem = MemFlags::plain(3).0;
    assert_eq!(
        block.ops,
        [
            Op::rri(Opcode::AddI, 10, 11, 5),
            Op::rrr(Opcode::Add, 10, 10, 12),
            Op { code: Opcode::Load64, a: 13, b: 10, c: 0, aux: mem, imm: 8 },
            Op { code: Opcode::Store64, a: 0, b: 10, c: 13, aux: mem, imm: 16 },
            Op { code: Opcode::BrNe, a: 0, b: 10, c: 13, aux: 16, imm: -2 },
        ]
    );
    assert_eq!(
        block.bounds.iter().map(|b| (b.offset, b.len)).collect::<Vec<_>>(),
        [(0, 4), (4, 2), (6, 4), (10, 2), (12, 4)]
    );
    assert_eq!((block.bytes, block.bounds[3].raw), (16, 0xe914));
}

#[test]
fn constants_fold() {
    // lui a0,0x12345; addi a0,a0,-1; c.slli a0,12; add a1,a0,x0; c.li a2,0; sub a3,a1,a2
    assert_eq!(
        ops(&[0x1234_5537, 0xfff5_0513, 0x0532, 0x0005_05b3, 0x4601, 0x40c5_86b3]),
        [
            li(10, 0x1234_5000),
            li(10, 0x1234_4fff),
            li(10, 0x0123_44ff_f000),
            li(11, 0x0123_44ff_f000),
            li(12, 0),
            li(13, 0x0123_44ff_f000),
            exit(20)
        ]
    );
    // lui of a negative number; addiw cuts to 32 bits
    assert_eq!(ops(&[0x8000_0537, 0xfff5_051b]), [li(10, -0x8000_0000), li(10, 0x7fff_ffff), exit(8)]);
    // a load forgets
    assert_eq!(ops(&[0x4505, 0x4108, 0x0505])[2], Op::rri(Opcode::AddI, 10, 10, 1));
}

#[test]
fn addresses_fold_against_the_block() {
    // c.nop; auipc a0,0x1; addi a0,a0,-8; c.add a0,x5 is unknown; auipc ra,0; jalr ra,20(ra)
    assert_eq!(
        ops(&[0x0001, 0x0000_1517, 0xff85_0513, 0x9516, 0x0000_0097, 0x0140_80e7]),
        [
            add_pc(10, 0x1002),
            add_pc(10, 0xffa),
            Op::rrr(Opcode::Add, 10, 10, 5),
            add_pc(1, 12),
            Op { a: 1, aux: 20, imm: 32, ..Op::new(Opcode::Jump) },
        ]
    );
}

#[test]
fn branches_on_known_numbers_are_jumps() {
    let jump = |aux, imm| Op { a: SINK, aux, imm, ..Op::new(Opcode::Jump) };
    assert_eq!(ops(&[0x0000_0863]), [jump(4, 16)]); // beq x0,x0,16
    assert_eq!(ops(&[0x4501, 0xe119]), [li(10, 0), jump(4, 4)]); // c.li a0,0; c.bnez a0,6
}

#[test]
fn absurd_jump_targets_stay_indirect() {
    // auipc a0,0; c.li a1,1; c.slli a1,40; c.add a0,a1; c.jr a0
    let v = ops(&[0x0000_0517, 0x4585, 0x15a2, 0x952e, 0x8502]);
    assert_eq!(v[3], add_pc(10, 1 << 40));
    assert_eq!(v[4].code, Opcode::JumpReg);
}

#[test]
fn x0_takes_and_gives_nothing() {
    // addi x0,a0,1; c.li x0,3; lui x0,1; lw x0,0(a0); add a0,x0,a1; amoadd.w x0,a1,(a0); sltu a2,x0,a3
    assert_eq!(
        ops(&[0x0015_0013, 0x400d, 0x1037, 0x0005_2003, 0x00b0_0533, 0x00b5_202f, 0x00d0_3633]),
        [
            Op { code: Opcode::LoadS32, a: SINK, b: 10, c: 0, aux: MemFlags::plain(2).0, imm: 0 },
            Op::rrr(Opcode::Mov, 10, 11, 0),
            Op {
                code: Opcode::AmoAdd,
                a: SINK,
                b: 10,
                c: 11,
                aux: MemFlags::plain(2).align(Align::Trap).0,
                imm: 0
            },
            Op::rrr(Opcode::Sltu, 12, 0, 13),
            exit(26),
        ]
    );
}

#[test]
fn jumps_carry_hints() {
    let jumpr = |a, b, c: JumpHint, aux, imm| Op { code: Opcode::JumpReg, a, b, c: c as u8, aux, imm };
    assert_eq!(ops(&[0x8082]), [jumpr(SINK, 1, JumpHint::Return, 2, 0)]); // ret
    assert_eq!(ops(&[0x9502]), [jumpr(1, 10, JumpHint::Call, 2, 0)]); // c.jalr a0
    assert_eq!(ops(&[0x8502]), [jumpr(SINK, 10, JumpHint::None, 2, 0)]); // c.jr a0
    assert_eq!(ops(&[0x0042_80e7]), [jumpr(1, 5, JumpHint::ReturnCall, 4, 4)]); // jalr ra,4(t0)
    assert_eq!(ops(&[0x0000_80e7]), [jumpr(1, 1, JumpHint::Call, 4, 0)]); // jalr ra,0(ra)
    assert_eq!(ops(&[0x0001, 0xbffd]), [Op { a: SINK, aux: 4, imm: 0, ..Op::new(Opcode::Jump) }]); // c.j -2
}

#[test]
fn widths_and_moves() {
    // sext.w a0,a1; c.addiw a0,0; zext.w a0,a0 (add.uw); xor a0,a1,x0; c.slli a0,0 (hint)
    assert_eq!(
        ops(&[0x0005_851b, 0x2501, 0x0805_053b, 0x0005_c533, 0x0502]),
        [
            Op::rrr(Opcode::SextW, 10, 11, 0),
            Op::rrr(Opcode::SextW, 10, 10, 0),
            Op::rrr(Opcode::ZextW, 10, 10, 0),
            Op::rrr(Opcode::Mov, 10, 11, 0),
            exit(16),
        ]
    );
}

#[test]
fn float_state_guards() {
    let fadd = 0x00c5_f553; // fadd.s fa0,fa1,fa2,dyn
    let fsd = 0x00a5_3027; // fsd fa0,0(a0)
    let op = Op { code: Opcode::FAdd, a: 42, b: 43, c: 44, aux: FpFlags::boxed(Fmt::S, 7).0, imm: 0 };
    let illegal = |raw: u32| Op {
        a: SINK,
        aux: CallSite::new(Helper::Illegal as u16, 0).0,
        imm: raw as i64,
        ..Op::new(Opcode::CallEnd)
    };
    assert_eq!(lift_with(KEY_FS_OFF, &[fadd]).ops, [illegal(fadd)]);
    assert_eq!(lift_with(KEY_FS_OFF, &[fsd]).ops, [illegal(fsd)]);
    assert_eq!(lift_with(KEY_FS_DIRTY | KEY_FRM_INVALID, &[fadd]).ops, [illegal(fadd)]);
    assert_eq!(lift_with(KEY_FS_DIRTY | KEY_FRM_INVALID, &[fadd & !0x7000]).ops[0].code, Opcode::FAdd);
    assert_eq!(lift_with(KEY_FS_DIRTY, &[fadd]).ops, [op, exit(4)]);
    let rmm = Op { aux: FpFlags::boxed(Fmt::S, 4).0, ..op };
    assert_eq!(lift_with(KEY_FS_DIRTY | KEY_FRM_RMM, &[fadd]).ops, [rmm, exit(4)]);
    let rtz = Op { aux: FpFlags::boxed(Fmt::S, 1).0, ..op };
    assert_eq!(lift_with(KEY_FS_DIRTY | KEY_FRM_RMM, &[fadd & !0x7000 | 0x1000]).ops, [rtz, exit(4)]);
    let clean = lift_with(KEY_FS_CLEAN, &[fsd, fadd, fadd]);
    let dirty = Op { a: SINK, aux: CallSite::new(Helper::FloatDirty as u16, 1).0, ..Op::new(Opcode::Call) };
    assert_eq!(clean.ops[1..], [dirty, op, op, exit(12)]);
    assert_eq!(clean.bounds.iter().map(|b| b.op).collect::<Vec<_>>(), [0, 1, 3]);
    // feq.s x0,.. may set flags; fclass.s does not
    assert_eq!(lift_with(KEY_FS_CLEAN, &[0xa0b5_2053]).ops.len(), 3);
    assert_eq!(lift_with(KEY_FS_CLEAN, &[0xe005_1553]).ops.len(), 2);
}

#[test]
fn float_formats() {
    // fcvt.d.s fa0,fa1; fcvt.wu.h a0,fa1,rtz; fmadd.d fa0,fa1,fa2,fa3,rne; fli.d fa0,min; flw fa0,4(a0); fmv.x.w a0,fa0
    let v = ops(&[0x4205_8553, 0xc415_9553, 0x6ac5_8543, 0xf210_8553, 0x0045_2507, 0xe005_0553]);
    let float = |code, a, b, c, f: FpFlags| Op { code, a, b, c, aux: f.0, imm: 0 };
    assert_eq!(v[0], float(Opcode::FCvt, 42, 43, 0, FpFlags::boxed(Fmt::D, 0).from(Fmt::S)));
    assert_eq!(v[1], float(Opcode::FToU32, 10, 43, 0, FpFlags::boxed(Fmt::H, 1)));
    assert_eq!(v[2], float(Opcode::FMadd, 42, 43, 44, FpFlags::boxed(Fmt::D, 0).d(45)));
    assert_eq!(v[3], li(42, f64::MIN_POSITIVE.to_bits() as i64));
    assert_eq!((v[4].code, v[4].a, v[4].imm), (Opcode::LoadBox32, 42, 4));
    assert_eq!(v[5], float(Opcode::FMoveX, 10, 42, 0, FpFlags::boxed(Fmt::S, 0)));
}

#[test]
fn csr_writes_that_change_the_translation_of_code_end_the_block() {
    let last = |raw: u32| ops(&[raw])[0].code;
    assert_eq!(last(0xc010_2573), Opcode::Call); // rdtime a0
    assert_eq!(last(0x1000_2573), Opcode::Call); // csrr a0,sstatus
    assert_eq!(last(0x1001_7073), Opcode::Call); // csrci sstatus,2
    assert_eq!(last(0x1000_7073), Opcode::Call); // csrci sstatus,0
    assert_eq!(last(0x1405_1073), Opcode::Call); // csrw sscratch,a0
    assert_eq!(last(0x1805_1073), Opcode::CallEnd); // csrw satp,a0
    assert_eq!(last(0x0020_1073), Opcode::CallEnd); // fsrm x0
    assert_eq!(last(0x0010_1073), Opcode::Call); // fsflags x0
    let op = ops(&[0x1405_1573])[0];
    assert_eq!((op.a, op.b, op.imm, CallSite(op.aux).id()), (10, 10, 0x1405_1573, Helper::Csr as u16));
}

#[test]
fn atomics_keep_their_ordering() {
    // lr.d.aq a0,(a1); sc.d.rl a2,a0,(a1); amocas.w x0,a2,(a1)
    let v = ops(&[0x1405_b52f, 0x1aa5_b62f, 0x28c5_a02f]);
    let f = |size| MemFlags::plain(size).align(Align::Trap);
    assert_eq!((v[0].code, v[0].aux), (Opcode::LoadReserved, f(3).order(true, false).0));
    assert_eq!((v[1].code, v[1].aux), (Opcode::StoreCond, f(3).order(false, true).0));
    assert_eq!(v[2], li(64, 0));
    assert_eq!(v[3], Op { code: Opcode::CompareSwap, a: 64, b: 11, c: 12, aux: f(2).0, imm: 0 });
}

#[test]
fn fences() {
    // fence rw,w; fence.tso; pause; fence r,0 (hint); fence.i
    let v = ops(&[0x0310_000f, 0x8330_000f, 0x0100_000f, 0x0200_000f, 0x0000_100f]);
    assert_eq!(
        v.iter().map(|o| (o.code, o.aux & 0xffff)).collect::<Vec<_>>(),
        [(Opcode::Fence, 0x31), (Opcode::Fence, 0x33), (Opcode::CallEnd, Helper::FenceI as u32),]
    );
}

#[test]
fn blocks_end_where_code_ends() {
    let code = bytes(&[0x0505, 0x0505, 0x0055_8513]);
    let lift =
        |n: usize, max| lift(&Model::default(), LiftInput { code: &code[..n], key: 0, max_insns: max });
    assert_eq!(lift(1, 64), Block::default());
    assert_eq!(lift(0, 64), Block::default());
    let cut = lift(7, 64);
    assert_eq!((cut.insns(), cut.bytes, cut.ops[2]), (2, 4, exit(4)));
    let one = lift(8, 1);
    assert_eq!((one.insns(), one.bytes, one.ops.len()), (1, 2, 2));
    let long = super::lift(
        &Model::default(),
        LiftInput { code: &bytes(&[0x0505; 500]), key: 0, max_insns: u32::MAX },
    );
    assert_eq!(long.insns(), MAX_INSNS);
}

/// Every block is well formed, and reads and writes only registers and its own temporaries.
fn check(block: &Block) {
    let helpers = |id| Helper::from_id(id).is_some();
    let result = verify(block, TEMPS, &helpers);
    assert_eq!(result, Ok(()), "{}", text(block));
    for op in &block.ops {
        assert_ne!(op.dest(), Some(0), "x0 is written: {op:?}");
    }
}

#[test]
fn all_compressed_encodings_lift() {
    for half in (0..0x1_0000u32).filter(|h| h & 3 != 3) {
        let block = lift_with(KEY_FS_CLEAN, &[half]);
        check(&block);
        let illegal =
            CallSite(block.ops[0].aux).id() == Helper::Illegal as u16 && block.ops[0].code == Opcode::CallEnd;
        assert_eq!(illegal, decode_any(half).is_none(), "{half:#x}");
    }
}

#[test]
fn random_words_lift() {
    let mut models = [Model::default(), Model::default()];
    for e in Ext::ALL {
        models[1].set(*e, false);
    }
    let mut x = 0x9e37_79b9_7f4a_7c15u64;
    for n in 0..400_000u32 {
        // xorshift64
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        let code = x.to_le_bytes();
        let block = lift(&models[n as usize & 1], LiftInput { code: &code, key: n % 8, max_insns: 4 });
        if block != Block::default() {
            check(&block);
        }
    }
}
