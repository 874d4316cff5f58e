//! Running harts: state, time, inputs, requests between harts, the run loop.

pub mod access;
mod answer;
mod apart;
pub mod compare;
mod compiled;
pub mod core;
pub mod cpu;
pub mod engine;
mod explain;
pub mod hart;
pub mod harts;
pub mod inputs;
mod lookup;
pub mod mode;
mod rounds;
mod sampling;
pub mod state;
pub mod time;
pub mod traps;
pub mod vcpu;
