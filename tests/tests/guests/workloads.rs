//! Real programs in the guest: they must end well, with the output that they have on QEMU.
//!
//! A miscompiled instruction shows here long before it shows anywhere else: each of these programs checks megabytes of its own
//! results against a hash. Each runs in the default mode, one of them in the other modes too, and all in all modes with `VITRINE_ALL_MODES`.

use anyhow::Result;
use tests::guest::all_modes;
use tests::guest::switching::modes;
use tests::guest::workload::{Way, compare};
use vitrine::machine::api::EngineMode;

/// In the default mode; in all modes where that is wanted, on one hart and on four, and with the mode switched all the time.
fn compare_everywhere(jobs: &[&str]) -> Result<()> {
    let mut ways = vec![Way { mode: Some(EngineMode::default()), harts: 1 }];
    if all_modes() {
        ways = modes().into_iter().map(|m| Way { mode: Some(m), harts: 1 }).collect();
        ways.extend([1, 4].map(|harts| Way { mode: None, harts }));
        ways.push(Way { mode: Some(EngineMode::default()), harts: 4 });
    }
    compare(jobs, &ways)
}

#[test]
fn exec_and_python_say_what_they_say_on_qemu() -> Result<()> {
    compare_everywhere(&["exec", "python"])
}

#[test]
fn openssl_says_what_it_says_on_qemu() -> Result<()> {
    compare_everywhere(&["ossl_sha256", "ossl_aes"])
}

#[test]
fn zstd_says_what_it_says_on_qemu() -> Result<()> {
    compare_everywhere(&["zstd"])
}

#[test]
fn xz_says_what_it_says_on_qemu() -> Result<()> {
    compare_everywhere(&["xz"])
}

#[test]
fn every_mode_says_what_qemu_says() -> Result<()> {
    let others = modes().into_iter().filter(|m| *m != EngineMode::default());
    compare(&["exec"], &others.map(|m| Way { mode: Some(m), harts: 1 }).collect::<Vec<_>>())
}

#[test]
fn switching_modes_is_not_seen() -> Result<()> {
    compare(&["exec"], &[1, 4].map(|harts| Way { mode: None, harts }))
}
