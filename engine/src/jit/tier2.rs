//! Tier 2: compiles regions with Cranelift.
//!
//! What comes out holds no host address and no relocation (invariant 4 of the design): helpers are reached through the state,
//! the record rip-relative, and everything else that the code refers to lies behind it. Anything else that Cranelift would
//! want is an error, so that such code is never published.

use super::across::PageMap;
use super::emitted::{Emitted, RecordRef};
pub use super::lower::Form;
use super::lower::{self, CERTIFICATES, COUNTS, IDIOM, Lowered, PAGE, POOL, RECORD};
use super::record::link_offset;
use super::region::Region;
use crate::host;
use crate::ir::Op;
use crate::watch::apart::Mark;
use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::{ExternalName, Function, UserExternalName};
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable};
use cranelift_codegen::{Context, Final, FinalizedMachReloc, FinalizedRelocTarget, MachSrcLoc};
use cranelift_frontend::FunctionBuilderContext;
use thiserror::Error;

/// Tier 2 cannot work on this host.
#[derive(Debug, Error)]
pub enum HostError {
    /// Cranelift does not know the host.
    #[error("the optimising compiler does not know this processor: {0}")]
    Unknown(&'static str),
    /// Cranelift refused a setting.
    #[error("the optimising compiler refused a setting: {0}")]
    Setting(String),
}

/// A region could not be compiled; it stays in the tier below.
#[derive(Debug, Error)]
pub enum CompileError {
    /// There is nothing to compile.
    #[error("the region is empty")]
    Empty,
    /// Cranelift gave up.
    #[error("code generation failed: {0}")]
    Codegen(String),
    /// The code would depend on an address.
    #[error("the code needs a relocation: {0}")]
    Relocation(String),
}

/// Alignment of the code and of the ops behind it.
pub const ALIGNMENT: usize = 16;

/// The compiler. Holds memory that it reuses; make one for each worker and keep it.
pub struct Tier2 {
    isa: OwnedTargetIsa,
    context: Context,
    builder: FunctionBuilderContext,
    marks: bool,
}

fn settings(verify: bool) -> Result<settings::Flags, settings::SetError> {
    let mut flags = settings::builder();
    flags.set("opt_level", "none")?;
    flags.set("regalloc_algorithm", "backtracking")?;
    flags.set("enable_verifier", if verify { "true" } else { "false" })?;
    flags.set("enable_pinned_reg", "true")?;
    flags.set("enable_probestack", "false")?;
    flags.set("unwind_info", "false")?;
    // Tail calls need it.
    flags.set("preserve_frame_pointers", "true")?;
    Ok(settings::Flags::new(flags))
}

impl Tier2 {
    /// A compiler for the CPU that we run on.
    pub fn new() -> Result<Tier2, HostError> {
        Tier2::made(cfg!(test))
    }

    fn made(verify: bool) -> Result<Tier2, HostError> {
        let isa = cranelift_native::builder().map_err(HostError::Unknown)?;
        let flags = settings(verify).map_err(|e| HostError::Setting(e.to_string()))?;
        let isa = isa.finish(flags).map_err(|e| HostError::Setting(e.to_string()))?;
        Ok(Tier2 { isa, context: Context::new(), builder: FunctionBuilderContext::new(), marks: false })
    }

    /// From now on notes which code belongs to which instruction.
    pub fn mark(&mut self) {
        self.marks = true;
    }

    /// Compiles a region.
    pub fn compile(&mut self, region: &Region) -> Result<Emitted, CompileError> {
        self.compile_as(region, Form::Region)
    }

    /// Compiles a region, or a single block.
    pub fn compile_as(&mut self, region: &Region, form: Form) -> Result<Emitted, CompileError> {
        if region.blocks.is_empty() {
            return Err(CompileError::Empty);
        }
        self.context.clear();
        let config = self.isa.frontend_config();
        let (func, builder) = (&mut self.context.func, &mut self.builder);
        let lowered = lower::lower(region, (form, self.marks), func, builder, config);
        let compiled = self.context.compile(&*self.isa, &mut ControlPlane::default());
        compiled.map_err(|e| CompileError::Codegen(format!("{:?}", e.inner)))?;
        let Some(code) = self.context.compiled_code() else {
            return Err(CompileError::Codegen("no code".into()));
        };
        let pages = region.pages.clone();
        let mut out = finish(&self.context.func, code.code_buffer(), code.buffer.relocs(), &lowered, pages)?;
        if self.marks {
            note(&mut out.marks, code.buffer.get_srclocs_sorted());
        } else {
            out.marks.clear();
        }
        Ok(out)
    }

    /// The function that was compiled last, as text.
    pub fn clif(&self) -> String {
        self.context.func.display().to_string()
    }
}

/// Adds what each piece of the function is to marks of what follows it.
fn note(marks: &mut Vec<(u32, Mark)>, locations: &[MachSrcLoc<Final>]) {
    let mut end = 0;
    for l in locations {
        if l.start > end {
            // What the allocator or the function's frame put in between.
            marks.push((end, Mark::Head));
        }
        let mark = if l.loc.is_default() { Mark::Head } else { Mark::Insn(l.loc.bits()) };
        marks.push((l.start, mark));
        end = l.end;
    }
    marks.sort_by_key(|(at, _)| *at);
    marks.dedup_by_key(|(_, mark)| *mark);
}

fn pad(code: &mut Vec<u8>) {
    code.resize(code.len().next_multiple_of(ALIGNMENT), 0);
}

/// Appends the cold stubs of the links and the pool of ops, and resolves what refers to them.
fn finish(
    func: &Function,
    code: &[u8],
    relocs: &[FinalizedMachReloc],
    lowered: &Lowered,
    pages: PageMap,
) -> Result<Emitted, CompileError> {
    let mut out = Emitted { code: code.to_vec(), pages, ..Emitted::default() };
    out.marks.push((code.len() as u32, Mark::Stub));
    for slot in 0..lowered.links.len() {
        let (bytes, at) = host::link_stub();
        out.stubs.push(out.code.len() as u32);
        out.refs.push(RecordRef { at: (out.code.len() + at) as u32, offset: link_offset(slot) });
        out.code.extend_from_slice(&bytes);
    }
    let pages = out.code.len();
    for &(flags, store) in &lowered.pages {
        out.code.extend_from_slice(&host::page_stub(flags, store));
    }
    let page_bytes = (out.code.len() - pages) / lowered.pages.len().max(1);
    out.sites.clone_from(&lowered.sites);
    pad(&mut out.code);
    let pool = out.code.len();
    out.marks.push((pool as u32, Mark::Data));
    lowered.pool.iter().for_each(|op| out.code.extend_from_slice(&bytes_of(op)));
    let idioms = out.code.len();
    lowered.idioms.iter().for_each(|idiom| out.code.extend_from_slice(idiom.bytes()));
    let certificates = link_offset(out.words());
    for reloc in relocs {
        let local = |name: &UserExternalName| match name.namespace {
            POOL => Some(pool),
            IDIOM => Some(idioms),
            PAGE => Some(pages + name.index as usize * page_bytes),
            _ => None,
        };
        let in_record = |name: &UserExternalName| match name.namespace {
            RECORD => Some(0),
            COUNTS => Some(link_offset(lowered.links.len())),
            CERTIFICATES => Some(certificates),
            _ => None,
        };
        resolve(func, &mut out, reloc, in_record, local)?;
    }
    Ok(out)
}

/// Fills in one displacement, or says that it is one of the record. `in_record`: where in the record a name is; `local`: where what
/// lies behind the code is.
fn resolve(
    func: &Function,
    out: &mut Emitted,
    reloc: &FinalizedMachReloc,
    in_record: impl Fn(&UserExternalName) -> Option<i32>,
    local: impl Fn(&UserExternalName) -> Option<usize>,
) -> Result<(), CompileError> {
    let refused = || CompileError::Relocation(format!("{reloc:?}"));
    let FinalizedRelocTarget::ExternalName(ExternalName::User(name)) = reloc.target else {
        return Err(refused());
    };
    if reloc.kind != Reloc::X86CallPCRel4 {
        return Err(refused());
    }
    // The displacement counts from the four bytes behind it, and so does the addend.
    let offset = i32::try_from(reloc.addend + 4).map_err(|_| refused())?;
    let name = &func.params.user_named_funcs()[name];
    if let Some(base) = in_record(name) {
        out.refs.push(RecordRef { at: reloc.offset, offset: base + offset });
        return Ok(());
    }
    let target = local(name).ok_or_else(refused)?;
    let at = reloc.offset as usize;
    let displacement = (target as i64 + offset as i64 - at as i64 - 4) as i32;
    let bytes = out.code.get_mut(at..at + 4).ok_or_else(refused)?;
    bytes.copy_from_slice(&displacement.to_le_bytes());
    Ok(())
}

/// An op as it lies in memory.
fn bytes_of(op: &Op) -> [u8; size_of::<Op>()] {
    let mut bytes = [0; size_of::<Op>()];
    bytes[std::mem::offset_of!(Op, code)] = op.code as u8;
    bytes[std::mem::offset_of!(Op, a)] = op.a;
    bytes[std::mem::offset_of!(Op, b)] = op.b;
    bytes[std::mem::offset_of!(Op, c)] = op.c;
    let (aux, imm) = (std::mem::offset_of!(Op, aux), std::mem::offset_of!(Op, imm));
    bytes[aux..aux + 4].copy_from_slice(&op.aux.to_ne_bytes());
    bytes[imm..imm + 8].copy_from_slice(&op.imm.to_ne_bytes());
    bytes
}
