//! Brings files of older schema versions to the current one before they are read.

use super::diagnose::{Locator, Problem, toml_problem};
use std::borrow::Cow;

/// Current version of a machine's file.
pub const MACHINE_SCHEMA: u32 = 1;
/// Current version of the settings' file.
pub const SETTINGS_SCHEMA: u32 = 1;

/// Turns a table of version N into one of version N + 1.
type Step = fn(&mut toml::Table);

/// `STEPS[n]` leads from version n + 1 to version n + 2.
const MACHINE_STEPS: &[Step] = &[];
const SETTINGS_STEPS: &[Step] = &[];

/// The text of a machine's file in the current version.
pub(super) fn machine(text: &str) -> Result<Cow<'_, str>, Problem> {
    migrate(text, MACHINE_SCHEMA, MACHINE_STEPS)
}

/// The text of the settings' file in the current version.
pub(super) fn settings(text: &str) -> Result<Cow<'_, str>, Problem> {
    migrate(text, SETTINGS_SCHEMA, SETTINGS_STEPS)
}

fn migrate<'a>(text: &'a str, current: u32, steps: &[Step]) -> Result<Cow<'a, str>, Problem> {
    let mut table: toml::Table = toml::from_str(text).map_err(|e| toml_problem(text, &e))?;
    let at = |what: String, advice: &str| Locator::new(text).problem("schema", what, advice);
    let version = match table.get("schema") {
        None => {
            let advice = format!("Add the line \"schema = {current}\" at the top");
            return Err(at("The file does not say its schema version".to_owned(), &advice));
        }
        Some(value) => value.as_integer().and_then(|v| u32::try_from(v).ok()).filter(|v| *v > 0),
    };
    let Some(version) = version else {
        return Err(at(format!("The schema version must be a number from 1 to {current}"), ""));
    };
    if version > current {
        let what = format!("The file has schema version {version}, this program knows up to {current}");
        return Err(at(what, "Use the newer version of the program that wrote it"));
    }
    if version == current {
        return Ok(Cow::Borrowed(text));
    }
    for step in steps.iter().skip(version as usize - 1) {
        step(&mut table);
    }
    table.insert("schema".to_owned(), toml::Value::Integer(current.into()));
    toml::to_string_pretty(&table).map(Cow::Owned).map_err(|e| at(e.to_string(), ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rename_cores(table: &mut toml::Table) {
        if let Some(value) = table.remove("cores") {
            table.insert("harts".to_owned(), value);
        }
    }

    #[test]
    fn steps_run_from_the_files_version_on() {
        let text = migrate("schema = 1\ncores = 3\n", 2, &[rename_cores]).expect("a valid file");
        let table: toml::Table = toml::from_str(&text).expect("valid TOML");
        assert_eq!(table["harts"].as_integer(), Some(3));
        assert_eq!(table["schema"].as_integer(), Some(2));
        assert!(matches!(migrate("schema = 2\nharts = 3\n", 2, &[rename_cores]), Ok(Cow::Borrowed(_))));
    }

    #[test]
    fn unknown_versions_are_refused_with_their_place() {
        let newer = migrate("\nschema = 9\n", 1, &[]).expect_err("too new");
        assert_eq!((newer.line, newer.column), (2, 10));
        assert!(migrate("schema = 0", 1, &[]).is_err());
        assert!(migrate("schema = \"x\"", 1, &[]).is_err());
        assert!(migrate("name = \"x\"", 1, &[]).expect_err("none").advice.contains("schema = 1"));
        assert_eq!(migrate("schema = = 1", 1, &[]).expect_err("syntax").line, 1);
    }
}
