//! The thin binary over the `vitrine` library.

use std::process::ExitCode;

fn main() -> ExitCode {
    vitrine::cli::main()
}
