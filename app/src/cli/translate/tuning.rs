//! `--engine-tuning`: thresholds and sizes of the engine's tiers.

use crate::cli::list::KeyValues;
use crate::cli::report::Failure;
use crate::config::EngineTuning;
use crate::machine::build::sentence;
use engine::exec::mode::BlockCompilers;

/// Applies the option's entries; what it does not name stays.
pub fn apply(text: &str, tuning: &mut EngineTuning) -> Result<(), Failure> {
    let mut list = KeyValues::parse("engine-tuning", text, None)?;
    let fields = [
        ("tier1-runs", &mut tuning.tier1_runs),
        ("tier2-runs", &mut tuning.tier2_runs),
        ("tier2-eager-runs", &mut tuning.tier2_eager_runs),
        ("workers", &mut tuning.workers),
    ];
    for (key, field) in fields {
        if let Some(value) = list.take_number(key)? {
            let narrow = u32::try_from(value);
            *field =
                Some(narrow.map_err(|_| {
                    list.wrong(format!("{key}={value} is too large"), "Use a smaller number.")
                })?);
        }
    }
    if let Some(size) = list.take("code-cache") {
        tuning.code_cache = Some(size.parse().map_err(|e: String| list.wrong(sentence(&e), ""))?);
    }
    if let Some(on) = list.take_switch("counters")? {
        tuning.counters = Some(on);
    }
    if let Some(word) = list.take("tier1-compiler") {
        tuning.tier1_compiler = Some(match word.as_str() {
            "direct" => BlockCompilers::Direct,
            "cranelift" => BlockCompilers::Cranelift,
            _ => {
                let what = format!("There is no compiler \"{word}\" for tier 1");
                return Err(list.wrong(what, "There are: direct, cranelift."));
            }
        });
    }
    list.finish()
}
