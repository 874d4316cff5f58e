//! The window, the command line and the machines of Vitrine as a library.

pub mod bench;
pub mod cli;
pub mod config;
pub mod gui;
pub mod images;
pub mod machine;
pub mod symbols;
pub mod watch;
