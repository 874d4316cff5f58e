use super::*;

fn run(line: &str) -> u8 {
    run_with(std::iter::once("vitrine").chain(line.split(' ')).map(OsString::from).collect())
}

#[test]
fn bad_arguments_have_a_status_of_their_own() {
    for line in [
        "run -kernle x",
        "run --banana",
        "run -kernel",
        "run -m 0 -kernel x",
        "run -smp 0 -kernel x",
        "run -smp 99 -kernel x",
        "run -m lots -kernel x",
        "run --timeout never -kernel x",
        "run --timeout -1 -kernel x",
        "run --headless",
        "run no-such-machine",
        "run /",
        "run -vga std -kernel x",
        "run -display vnc -kernel x",
        "banana",
        "images dance",
        "debug symbols",
        "debug symbols --at here -kernel x",
        "debug symbols --timeout -1 -kernel x",
        "debug ir -kernel /no/such/file --at here",
    ] {
        let code = run(line);
        assert!(code == report::EXIT_USAGE || line.starts_with("debug ir"), "{line}: {code}");
        assert_ne!(code, 0, "{line}");
    }
}

#[test]
fn files_that_are_not_there_are_errors() {
    for line in [
        "run --headless -kernel /no/such/file",
        "run --headless -kernel /",
        "run --headless -kernel /dev/null -initrd /no/such/file",
        "run --headless -kernel /dev/null -drive file=/no/such/file,format=raw",
        "debug disasm -kernel /no/such/file",
        "debug symbols -kernel /no/such/file",
        "debug symbols --symbols /no/such/file",
        "images fetch windows",
        "images path .. x",
    ] {
        assert_eq!(run(line), report::EXIT_ERROR, "{line}");
    }
}

#[test]
fn help_and_version_are_no_failures() {
    for line in
        ["--help", "--version", "run -help", "run -h", "images --help", "debug ir --help", "debug symbols -h"]
    {
        assert_eq!(run(line), 0, "{line}");
    }
}

#[test]
fn clap_finds_its_own_definitions_sound() {
    use clap::CommandFactory;
    Cli::command().debug_assert();
}
