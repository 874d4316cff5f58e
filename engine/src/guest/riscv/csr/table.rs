//! The table of CSRs.

use super::{Csr, counter, env, float, interrupt, pmpregs, status, trapregs};
use crate::exec::cpu::Cpu;
use crate::guest::riscv::Riscv;
use crate::guest::riscv::model::{Ext, Model};

type Hart = Cpu<Riscv>;

const fn group(number: u16, count: u16, name: &'static str, first: u16) -> Csr {
    Csr {
        number,
        count,
        name,
        first,
        exists: |_| true,
        allowed: |_, _| true,
        read: |_, _| 0,
        write: |_, _, _, _| {},
    }
}

const fn one(number: u16, name: &'static str) -> Csr {
    group(number, 1, name, 0)
}

impl Csr {
    const fn exists(mut self, f: fn(&Model) -> bool) -> Csr {
        self.exists = f;
        self
    }
    const fn allowed(mut self, f: fn(&Hart, u16) -> bool) -> Csr {
        self.allowed = f;
        self
    }
    const fn read(mut self, f: fn(&Hart, u16) -> u64) -> Csr {
        self.read = f;
        self
    }
    const fn write(mut self, f: fn(&mut Hart, u16, u64, u64)) -> Csr {
        self.write = f;
        self
    }
}

/// Every CSR that some model has.
pub const TABLE: &[Csr] = &[
    one(0x001, "fflags").allowed(float::on).read(float::fflags).write(float::set_fflags),
    one(0x002, "frm").allowed(float::on).read(float::frm).write(float::set_frm),
    one(0x003, "fcsr").allowed(float::on).read(float::fcsr).write(float::set_fcsr),
    // Supervisor.
    one(0x100, "sstatus").read(status::sstatus).write(status::set_sstatus),
    one(0x104, "sie").read(interrupt::sie).write(interrupt::set_sie),
    one(0x105, "stvec").read(|c, _| c.ext.s.tvec).write(trapregs::set_stvec),
    one(0x106, "scounteren").read(|c, _| c.ext.scounteren as u64).write(counter::set_scounteren),
    one(0x10a, "senvcfg").read(|c, _| c.ext.senvcfg).write(env::set_senvcfg),
    one(0x140, "sscratch").read(|c, _| c.ext.s.scratch).write(|c, _, v, _| c.ext.s.scratch = v),
    one(0x141, "sepc").read(|c, _| c.ext.s.epc).write(|c, _, v, _| c.ext.s.epc = v & !1),
    one(0x142, "scause").read(|c, _| c.ext.s.cause).write(|c, _, v, _| c.ext.s.cause = v),
    one(0x143, "stval").read(|c, _| c.ext.s.tval).write(|c, _, v, _| c.ext.s.tval = v),
    one(0x144, "sip").read(interrupt::sip).write(interrupt::set_sip),
    one(0x14d, "stimecmp")
        .exists(|m| m.has(Ext::Sstc))
        .allowed(counter::stimecmp_allowed)
        .read(|c, _| c.ext.stimecmp)
        .write(counter::set_stimecmp),
    one(0x180, "satp").allowed(status::satp_allowed).read(|c, _| c.ext.satp).write(status::set_satp),
    // Machine.
    one(0x300, "mstatus").read(status::mstatus).write(status::set_mstatus),
    one(0x301, "misa").read(|_, _| status::MISA),
    one(0x302, "medeleg").read(|c, _| c.ext.medeleg).write(trapregs::set_medeleg),
    one(0x303, "mideleg").read(|c, _| c.ext.mideleg).write(interrupt::set_mideleg),
    one(0x304, "mie").read(|c, _| c.ext.mie).write(interrupt::set_mie),
    one(0x305, "mtvec").read(|c, _| c.ext.m.tvec).write(trapregs::set_mtvec),
    one(0x306, "mcounteren").read(|c, _| c.ext.mcounteren as u64).write(counter::set_mcounteren),
    one(0x30a, "menvcfg").read(|c, _| c.ext.menvcfg).write(env::set_menvcfg),
    one(0x320, "mcountinhibit").read(|c, _| c.ext.mcountinhibit as u64).write(counter::set_mcountinhibit),
    group(0x323, 29, "mhpmevent", 3).read(counter::hpm_event).write(counter::set_hpm_event),
    one(0x340, "mscratch").read(|c, _| c.ext.m.scratch).write(|c, _, v, _| c.ext.m.scratch = v),
    one(0x341, "mepc").read(|c, _| c.ext.m.epc).write(|c, _, v, _| c.ext.m.epc = v & !1),
    one(0x342, "mcause").read(|c, _| c.ext.m.cause).write(|c, _, v, _| c.ext.m.cause = v),
    one(0x343, "mtval").read(|c, _| c.ext.m.tval).write(|c, _, v, _| c.ext.m.tval = v),
    one(0x344, "mip").read(interrupt::mip).write(interrupt::set_mip),
    one(0x3a0, "pmpcfg0").exists(pmpregs::exist).read(pmpregs::cfg::<0>).write(pmpregs::set_cfg::<0>),
    one(0x3a2, "pmpcfg2").exists(pmpregs::exist).read(pmpregs::cfg::<8>).write(pmpregs::set_cfg::<8>),
    group(0x3b0, 16, "pmpaddr", 0).exists(pmpregs::exist).read(pmpregs::addr).write(pmpregs::set_addr),
    // Debug triggers: there are none, which a type of 0 in `tdata1` says.
    one(0x7a0, "tselect"),
    group(0x7a1, 3, "tdata", 1),
    // Counters.
    one(0xb00, "mcycle").read(counter::cycle).write(counter::set_fixed::<0>),
    one(0xb02, "minstret").read(counter::instret).write(counter::set_fixed::<1>),
    group(0xb03, 29, "mhpmcounter", 3).read(counter::hpm).write(counter::set_hpm),
    one(0xc00, "cycle").exists(zicntr).allowed(counter::enabled::<0>).read(counter::cycle),
    one(0xc01, "time").exists(zicntr).allowed(counter::enabled::<1>).read(counter::time),
    one(0xc02, "instret").exists(zicntr).allowed(counter::enabled::<2>).read(counter::instret),
    group(0xc03, 29, "hpmcounter", 3)
        .exists(|m| m.has(Ext::Zihpm))
        .allowed(counter::enabled::<3>)
        .read(counter::hpm),
    // Identity.
    one(0xf11, "mvendorid"),
    one(0xf12, "marchid"),
    one(0xf13, "mimpid"),
    one(0xf14, "mhartid").read(|c, _| c.ext.hart_id as u64),
    one(0xf15, "mconfigptr"),
];

fn zicntr(m: &Model) -> bool {
    m.has(Ext::Zicntr)
}
