//! Several harts on threads of their own: what must hold between them whatever the host's scheduler does.

#[allow(dead_code)]
mod asm;
mod code;
mod control;
mod determinism;
mod evict;
mod litmus;
mod lockstep;
mod machine;
mod paging;
mod pins;
mod sampled;
mod sync;
mod traps;
