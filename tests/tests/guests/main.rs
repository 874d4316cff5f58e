//! Does Debian run? Machines as people use them, with guests that nobody here made.
//!
//! One program for all of them, so that a long test on one processor leaves no other idle.

mod bad;
mod boot;
mod command_line;
mod deterministic;
mod disk;
mod firmware;
mod installer;
mod modes;
mod network;
mod save;
mod symbols;
mod watch;
mod workloads;
