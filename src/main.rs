//! atlas-cluster: any number of processes on one UDP port, and every audio meter readable from each.

pub mod amount;
pub mod args;
mod clean;
mod cli;
mod colour;
pub mod config;
mod core;
mod exit;
mod memory;
mod owners;
mod roles;
mod supervisor;
pub mod wire;

use std::io::Write as _;
use std::process::ExitCode;

use args::{Command, Invocation};
use clean::clean_lines;
use roles::ROLES;
use supervisor::{held::Held, launcher, resume, starter, upgrade};
use wire::Trouble;

fn main() -> ExitCode {
    let title = std::env::args_os().next().unwrap_or_default();
    let child = title.to_str().and_then(launcher::role_of).and_then(|name| ROLES.named(name));
    ExitCode::from(child.map_or_else(run_command, launcher::run))
}

fn run_command() -> u8 {
    // A supervisor hears every signal from its first moment on: it waits until the handlers are there.
    let held = Held::back();
    let mut arguments: Vec<_> = std::env::args_os().collect();
    // A supervisor asks whether we could take over from it, with the arguments that it was given.
    let check = arguments.get(1).is_some_and(|argument| argument == upgrade::CHECK);
    if check {
        arguments.remove(1);
    }
    let parsed = args::parse(arguments);
    let starts = !check && matches!(&parsed, Ok(Invocation { command: Command::Start(..), .. }));
    let held = held.ok().filter(|_| starts);
    let invocation = match parsed {
        Ok(invocation) => invocation,
        Err(e) => {
            complain(&e.render());
            return exit::USAGE;
        }
    };
    let length = invocation.runtime_dir.as_os_str().len();
    if length > wire::MAX_RUNTIME_DIR {
        drop(held); // whom nobody reads can still be told to end
        let message = format!("--runtime-dir: a path of {length} bytes is too long for the sockets below it");
        let hint = Some(format!("choose one of at most {} bytes", wire::MAX_RUNTIME_DIR));
        return report(&Trouble { message, hint, exit: exit::USAGE });
    }
    match invocation.command {
        Command::Start(..) if check => resume::check(&ROLES),
        Command::Start(overrides, _) if overrides.daemon() && !starter::in_background() => {
            cli::daemon::start(&invocation.runtime_dir, held)
        }
        Command::Start(overrides, file) => {
            let background = overrides.daemon();
            let start = supervisor::Start {
                runtime_dir: invocation.runtime_dir,
                log_level: invocation.log_level,
                overrides,
                file,
                background,
            };
            let ended = supervisor::run(start, &ROLES);
            drop(held);
            ended.unwrap_or_else(|trouble| report(&trouble))
        }
        Command::Check(check) => {
            let would = cli::Would {
                room: supervisor::room,
                too_low: |config| supervisor::limits::too_low(config, &ROLES),
                folder: supervisor::runtime::RuntimeDir::foresee,
                logs: supervisor::log_folder::foresee,
                memory: |config| supervisor::rehearsal::memory(config, &ROLES),
                processes: |config| supervisor::rehearsal::processes(config, &ROLES),
                port: launcher::foresee,
                program: supervisor::foreign::whereabouts,
                cwd: supervisor::foreign::no_way_to_cwd,
                refused: supervisor::runs_as::refused,
            };
            cli::check(&check, &invocation.runtime_dir, &would)
        }
        command => cli::run(&command, &invocation.runtime_dir),
    }
}

/// Says what failed, and the way out; answers the exit code.
fn report(trouble: &Trouble) -> u8 {
    let hint = trouble.hint.as_ref().map(|hint| format!("hint: {}\n", clean_lines(hint))).unwrap_or_default();
    complain(&format!("atlas-cluster: {}\n{hint}", clean_lines(&trouble.message)));
    trouble.exit
}

/// Writes to standard error; where that fails there is nobody to tell, and the exit code has to do.
fn complain(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
