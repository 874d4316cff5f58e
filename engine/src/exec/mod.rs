//! Running harts: state, time, inputs, requests between harts, the run loop.

pub mod access;
mod compiled;
pub mod core;
pub mod cpu;
pub mod engine;
pub mod hart;
pub mod harts;
pub mod inputs;
pub mod mode;
pub mod state;
pub mod time;
pub mod vcpu;
