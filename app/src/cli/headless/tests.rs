use super::*;
use crate::machine::api::{EngineMode, channel};

/// Runs the loop against a machine that is played by `guest` on a thread.
fn played(
    plan: Plan,
    guest: impl FnOnce(crate::machine::api::MachineEnd) + Send + 'static,
) -> Result<u8, Failure> {
    let (machine, end) = channel("played", &["ttyS0"], 1, EngineMode::Interpreter);
    let thread = std::thread::spawn(move || guest(end));
    let result = drive(&machine, plan);
    thread.join().expect("the guest's thread ends");
    result
}

fn off(end: &crate::machine::api::MachineEnd, exit: GuestExit) {
    end.set_state(RunState::Off { exit });
}

fn to_file(path: PathBuf) -> Plan {
    Plan { ports: vec![PortTarget::File(path)], ..Plan::default() }
}

#[test]
fn the_guests_code_is_the_exit_status_and_all_output_is_written() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("serial");
    let code = played(to_file(path.clone()), |end| {
        end.set_state(RunState::Running);
        end.serial()[0].push_output(b"hello ");
        std::thread::sleep(Duration::from_millis(20));
        end.serial()[0].push_output(b"world");
        off(&end, GuestExit::Code(7));
    });
    assert_eq!(code.ok(), Some(7));
    assert_eq!(std::fs::read(path).expect("the file"), b"hello world");
}

#[test]
fn exit_statuses() {
    assert_eq!(played(Plan::default(), |end| off(&end, GuestExit::Code(0))).ok(), Some(0));
    assert_eq!(played(Plan::default(), |end| off(&end, GuestExit::SwitchedOff)).ok(), Some(0));
    let failure = played(Plan::default(), |end| {
        end.set_state(RunState::Failed(crate::machine::api::UserError::new("It broke", "", "")));
    });
    assert_eq!(failure.expect_err("a failure").code(), EXIT_ERROR);
    assert_eq!((guest_code(0), guest_code(255), guest_code(256), guest_code(-1)), (0, 255, 1, 255));
}

#[test]
fn the_time_ends_the_run() {
    let plan = Plan { timeout: Some(Duration::from_millis(30)), ..Plan::default() };
    let code = played(plan, |end| {
        let request = end.commands.recv().expect("a command");
        assert_eq!(request.command, Command::PowerOff);
        end.done(request.id);
        off(&end, GuestExit::SwitchedOff);
    });
    assert_eq!(code.ok(), Some(EXIT_TIMEOUT));
}

#[test]
fn the_time_ends_with_a_saved_state_or_its_error() {
    let plan =
        || Plan { timeout: Some(Duration::from_millis(10)), save: Some("s".into()), ..Plan::default() };
    let code = played(plan(), |end| {
        let request = end.commands.recv().expect("a command");
        assert_eq!(request.command, Command::SaveState { path: "s".into(), then: AfterSave::PowerOff });
        end.done(request.id);
        off(&end, GuestExit::Suspended);
    });
    assert_eq!(code.ok(), Some(EXIT_TIMEOUT));
    let failure = played(plan(), |end| {
        let request = end.commands.recv().expect("a command");
        end.failed(request.id, crate::machine::api::UserError::new("The disk is full", "s", ""));
        assert_eq!(end.commands.recv().expect("a command").command, Command::PowerOff);
        off(&end, GuestExit::SwitchedOff);
    });
    let failure = failure.expect_err("a failure");
    assert!(failure.code() == EXIT_ERROR && failure.text().contains("disk is full"));
}

#[test]
fn a_file_that_cannot_be_made_is_said() {
    let failure = played(to_file("/no/such/folder/serial".into()), drop).expect_err("a failure");
    assert!(failure.text().contains("/no/such/folder/serial"));
}
