//! What a function names outside itself: its record, its pool of ops, and the signatures of slow paths.

use super::signature;
use cranelift_codegen::ir::{
    AbiParam, ExtFuncData, ExternalName, FuncRef, GlobalValue, GlobalValueData, SigRef, Signature,
    UserExternalName, UserExternalNameRef, types,
};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::FunctionBuilder;

/// Namespace of the symbol that stands for the translation's record.
pub const RECORD: u32 = 0;
/// Namespace of the symbol that stands for the pool of ops behind the code.
pub const POOL: u32 = 1;

/// Namespace of the stubs that ask for pages, by number.
pub const PAGE: u32 = 2;
/// Namespace of the symbol that stands for the idioms behind the code.
pub const IDIOM: u32 = 3;
/// Namespace of the symbol that stands for the counters of exits, behind the record's links.
pub const COUNTS: u32 = 4;

/// Namespace of the symbol that stands for the first hart's certificate, behind the counters.
pub const CERTIFICATES: u32 = 5;

/// Symbols and signatures.
pub struct Names {
    record: UserExternalNameRef,
    pool: UserExternalNameRef,
    idioms: UserExternalNameRef,
    counts: UserExternalNameRef,
    certificates: UserExternalNameRef,
    /// Translations.
    pub translation: SigRef,
    /// The thunk that runs ops.
    pub slow: SigRef,
    /// The thunk that runs idioms.
    pub one: SigRef,
    page: SigRef,
}

impl Names {
    /// Declares them.
    pub fn new(b: &mut FunctionBuilder) -> Names {
        let slow = |params| {
            let mut sig = Signature::new(CallConv::PreserveAll);
            sig.params = vec![AbiParam::new(types::I64); params];
            sig
        };
        let mut name =
            |namespace| b.func.declare_imported_user_function(UserExternalName { namespace, index: 0 });
        let (record, pool) = (name(RECORD), name(POOL));
        let (idioms, counts, certificates) = (name(IDIOM), name(COUNTS), name(CERTIFICATES));
        Names {
            record,
            pool,
            idioms,
            counts,
            certificates,
            translation: b.import_signature(signature()),
            slow: b.import_signature(slow(3)),
            one: b.import_signature(slow(1)),
            page: b.import_signature(slow(0)),
        }
    }

    fn near(b: &mut FunctionBuilder, name: UserExternalNameRef, offset: i64) -> GlobalValue {
        b.create_global_value(GlobalValueData::Symbol {
            name: ExternalName::user(name),
            offset: offset.into(),
            colocated: true,
            tls: false,
        })
    }

    /// Byte `offset` of the record.
    pub fn record(&self, b: &mut FunctionBuilder, offset: i64) -> GlobalValue {
        Names::near(b, self.record, offset)
    }

    /// The first hart's certificate.
    pub fn certificates(&self, b: &mut FunctionBuilder) -> GlobalValue {
        Names::near(b, self.certificates, 0)
    }

    /// Byte `offset` of the pool.
    pub fn pool(&self, b: &mut FunctionBuilder, offset: i64) -> GlobalValue {
        Names::near(b, self.pool, offset)
    }

    /// Byte `offset` of the idioms.
    pub fn idiom(&self, b: &mut FunctionBuilder, offset: i64) -> GlobalValue {
        Names::near(b, self.idioms, offset)
    }

    /// Byte `offset` of the counters of exits.
    pub fn counter(&self, b: &mut FunctionBuilder, offset: i64) -> GlobalValue {
        Names::near(b, self.counts, offset)
    }

    /// The stub `number` that asks for pages.
    pub fn page_stub(&self, b: &mut FunctionBuilder, number: u32) -> FuncRef {
        let name = UserExternalName { namespace: PAGE, index: number };
        let name = b.func.declare_imported_user_function(name);
        b.import_function(ExtFuncData {
            name: ExternalName::user(name),
            signature: self.page,
            colocated: true,
            patchable: false,
        })
    }
}
