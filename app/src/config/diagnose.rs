//! Mistakes in a configuration, with line and column and what to do about them.

use std::fmt;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// One mistake.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Line, from 1; 0 when the description is not from a text.
    pub line: usize,
    /// Column in characters, from 1; 0 when the description is not from a text.
    pub column: usize,
    /// The field, as in `drives[0].file`; empty for a syntax error.
    pub field: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub advice: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "{}:{}: ", self.line, self.column)?;
        }
        write!(f, "{}", self.what)?;
        if !self.advice.is_empty() {
            write!(f, ". {}", self.advice)?;
        }
        Ok(())
    }
}

/// All mistakes of one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// The file, or another name of where the text came from.
    pub source_name: String,
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            let gap = if problem.line > 0 { "" } else { " " };
            write!(f, "{}:{gap}{problem}", self.source_name)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl ConfigError {
    pub(super) fn new(source: &str, problems: Vec<Problem>) -> ConfigError {
        ConfigError { source_name: source.to_owned(), problems }
    }

    pub(super) fn unreadable(source: &str, error: &std::io::Error) -> ConfigError {
        let problem = Problem {
            line: 0,
            column: 0,
            field: String::new(),
            what: format!("The file cannot be read: {error}"),
            advice: "Check the path and its permissions".to_owned(),
        };
        ConfigError::new(source, vec![problem])
    }

    pub(super) fn of_toml(source: &str, text: &str, error: &toml::de::Error) -> ConfigError {
        ConfigError::new(source, vec![toml_problem(text, error)])
    }
}

/// A syntax or type error of the TOML reader as a problem.
pub(super) fn toml_problem(text: &str, error: &toml::de::Error) -> Problem {
    let (line, column) = error.span().map_or((1, 1), |s| position(text, s.start));
    Problem {
        line,
        column,
        field: String::new(),
        what: error.message().replace('\n', "; "),
        advice: String::new(),
    }
}

/// Line and column, both from 1, of a byte offset.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// Finds where in a text the value of a field is.
pub(super) struct Locator<'a> {
    text: &'a str,
    document: Option<toml::Spanned<DeTable<'a>>>,
}

impl<'a> Locator<'a> {
    pub(super) fn new(text: &'a str) -> Locator<'a> {
        Locator { text, document: DeTable::parse(text).ok() }
    }

    /// A problem with the value at `field` (`drives[0].file`), or with the nearest enclosing value that the text has.
    pub(super) fn problem(&self, field: &str, what: String, advice: &str) -> Problem {
        let (line, column) =
            if self.text.is_empty() { (0, 0) } else { position(self.text, self.span(field).start) };
        Problem { line, column, field: field.to_owned(), what, advice: advice.to_owned() }
    }

    fn span(&self, field: &str) -> Range<usize> {
        let Some(document) = &self.document else { return 0..0 };
        let mut found = 0..0;
        let mut table = Some(document.get_ref());
        let mut array: Option<&toml::de::DeArray<'_>> = None;
        for step in field.split(['.', '[', ']']).filter(|s| !s.is_empty()) {
            let next = match (table, array) {
                (Some(t), _) => t.get(step),
                (None, Some(a)) => step.parse::<usize>().ok().and_then(|i| a.get(i)),
                (None, None) => None,
            };
            let Some(value) = next else { break };
            found = value.span();
            table = value.get_ref().as_table();
            array = match value.get_ref() {
                DeValue::Array(a) => Some(a),
                _ => None,
            };
        }
        found
    }
}
