//! Who is measured: this program in each of its modes, the host itself, other emulators.

use super::case::{Case, Plan, Take};
use super::guest::Guest;
use super::meter::{self, MeterError, Reading};
use super::native::{FULL_SECONDS, Native, NativeError};
use super::peer::Peer;
use crate::machine::api::{EngineMode, UserError};
use crate::machine::build::sentence;
use serde::Serialize;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// What a subject is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// This program.
    Ours,
    /// The host's own code.
    Native,
    /// Another emulator.
    Peer,
}

/// Who is measured.
#[derive(Clone, Debug)]
pub enum Subject {
    /// This program in a mode.
    Ours {
        /// Its file.
        program: PathBuf,
        /// The mode.
        mode: EngineMode,
        /// `--engine-tuning`, or nothing.
        tuning: Option<String>,
    },
    /// The kernels as code of the host.
    Native(Native),
    /// Another emulator.
    Peer(Peer),
}

/// One figure.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sample {
    /// In the unit of the case.
    pub value: f64,
    /// CPU seconds of the busiest thread, where the unit is CPU seconds.
    pub vcpu: Option<f64>,
}

/// A subject gave no figure.
#[derive(Debug, Error)]
pub enum SubjectError {
    /// An emulator.
    #[error(transparent)]
    Meter(#[from] MeterError),
    /// A native program.
    #[error(transparent)]
    Native(#[from] NativeError),
}

impl SubjectError {
    /// The same for people.
    pub fn told(&self, case: &str, subject: &str) -> UserError {
        let next = match self {
            SubjectError::Meter(MeterError::Start { .. }) => "Install it, or leave --against out.",
            SubjectError::Meter(MeterError::Late(..)) => "Raise --limit.",
            SubjectError::Meter(_) => "Run the guest by hand and look at its console.",
            SubjectError::Native(_) => "Leave the native rows out with --no-native.",
        };
        UserError::new(sentence(&self.to_string()), format!("{case}, {subject}"), next)
    }
}

impl Subject {
    /// What the table calls it.
    pub fn name(&self) -> &str {
        match self {
            Subject::Ours { mode, .. } => mode.word(),
            Subject::Native(native) => native.variant.name(),
            Subject::Peer(peer) => &peer.name,
        }
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        match self {
            Subject::Ours { .. } => Kind::Ours,
            Subject::Native(_) => Kind::Native,
            Subject::Peer(_) => Kind::Peer,
        }
    }

    /// Program and arguments for a guest, if it runs such guests at all.
    fn command(&self, guest: &Guest, more: Option<&str>) -> Option<Vec<OsString>> {
        match self {
            Subject::Ours { program, mode, tuning } => {
                let mut command = vec![program.into(), "run".into(), "--engine".into(), mode.word().into()];
                let tuning: Vec<&str> = tuning.as_deref().into_iter().chain(more).collect();
                if !tuning.is_empty() {
                    command.extend(["--engine-tuning".into(), tuning.join(",").into()]);
                }
                command.extend(guest.words());
                Some(command)
            }
            Subject::Native(_) => None,
            Subject::Peer(peer) => peer.command(guest),
        }
    }

    /// Whether there is anything to measure.
    pub fn fits(&self, case: &Case) -> bool {
        match self {
            Subject::Native(_) => case.native.is_some(),
            Subject::Ours { mode, .. } => match case.take {
                Take::Tuned { mode: only, .. } => *mode == only,
                _ => true,
            },
            Subject::Peer(_) if matches!(case.take, Take::Tuned { .. } | Take::Harts { .. }) => false,
            Subject::Peer(_) => self.command(&case.plan.guest, None).is_some(),
        }
    }

    fn read(&self, plan: &Plan, limit: Duration) -> Result<Reading, SubjectError> {
        self.read_tuned(plan, None, limit)
    }

    fn read_tuned(&self, plan: &Plan, more: Option<&str>, limit: Duration) -> Result<Reading, SubjectError> {
        let command = self.command(&plan.guest, more).unwrap_or_default();
        Ok(meter::run(&command, &plan.watch, limit)?)
    }

    /// Runs a case once, at this scale.
    pub fn sample(&self, case: &Case, scale: f64, limit: Duration) -> Result<Sample, SubjectError> {
        if let Take::Tuned { with, without, .. } = case.take {
            let [with, without] = [with, without].map(|t| self.read_tuned(&case.plan, Some(t), limit));
            return Ok(Sample { value: 100.0 * (with?.cpu / without?.cpu - 1.0), vcpu: None });
        }
        let reading = match (self, case.native) {
            (Subject::Native(native), Some(passes)) => {
                native.read(case.name, passes, FULL_SECONDS * scale.min(1.0))?
            }
            _ => self.read(&case.plan, limit)?,
        };
        let value = match &case.take {
            Take::Cpu | Take::Tiers | Take::Tuned { .. } => {
                return Ok(Sample { value: reading.cpu, vcpu: reading.vcpu });
            }
            Take::Each { events, without } => {
                (reading.cpu - self.read(without, limit)?.cpu) * 1e9 / *events as f64
            }
            Take::Harts { alone } => {
                let alone = self.read(alone, limit)?;
                alone.vcpu.unwrap_or_default() / reading.vcpu.unwrap_or(f64::NAN)
            }
            Take::Peak => reading.peak_kib.unwrap_or_default() as f64 / 1024.0,
            Take::Wall => reading.wall * 1e3,
            Take::Share => 100.0 * reading.cpu / reading.wall,
        };
        Ok(Sample { value, vcpu: None })
    }
}
