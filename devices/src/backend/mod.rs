//! What devices are connected to outside the machine: one trait per kind, each with a null implementation.

pub mod chardev;
