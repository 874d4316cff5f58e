//! Device models, boards, boot loaders, disks and networks. `ARCHITECTURE.md` has the plan.

pub mod backend;
pub mod block;
pub mod board;
pub mod boot;
pub mod bus;
pub mod clint;
pub mod device;
pub mod flash;
pub mod fw_cfg;
pub mod irq;
pub mod metrics;
pub mod net;
pub mod pci;
pub mod plic;
pub mod rtc;
pub mod state;
pub mod syscon;
pub mod uart;
pub mod virtio;
