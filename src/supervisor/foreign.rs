//! Becoming a program of somebody else's: the last thing a launcher does, in the child.
//!
//! The slot's sockets and its store lie from descriptor 3 on already: the supervisor lays them out so, and a socket that
//! was made here has taken the place held open for it. Whatever else is open closes at exec.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use contract::{Contract, Failure, Role, SOCKET};
use nix::fcntl::{AT_FDCWD, AtFlags, FcntlArg, FdFlag, fcntl};
use nix::libc::{E2BIG, EACCES, ELOOP, ENAMETOOLONG, ENOENT, ENOEXEC, ENOTDIR};
use nix::unistd::{AccessFlags, faccessat};

use super::{launcher, runs_as};
use crate::config::{Config, Program};

/// What stands in the worker slots where the configuration names a program.
pub(crate) static ROLE: Role =
    Role { name: "program", sockets: true, quarantine: false, seat: None, shared: &[], main };

/// How the last words of a launcher begin whose program cannot be run.
const CANNOT_RUN: &str = "cannot run ";
/// What is said of a program that will not run later either. Anything else may be over in a moment: no memory, no
/// process, a file that is being written.
const LASTING: [i32; 6] = [ENOENT, EACCES, ENOTDIR, ELOOP, ENAMETOOLONG, ENOEXEC];
/// Said where a program has taken its socket out of the group.
pub(super) const LEAVE_SOCKETS: &str = "a program must not connect, close or unshare (SO_REUSEPORT) the sockets that it \
                                        is given: stop the cluster, and start it without that";
/// The longest argument that execve(2) takes, in bytes, with its end (MAX_ARG_STRLEN).
const MAX_ARGUMENT: usize = 128 << 10;
/// So much of a script's first line the kernel reads (BINPRM_BUF_SIZE).
const MAX_FIRST_LINE: u64 = 256;
/// Where programs are looked for without a PATH.
const USUAL_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

fn main(mut contract: Contract) -> Result<(), Failure> {
    let config = launcher::configuration(&contract)?;
    let Some(program) = config.worker.program else {
        return Err(Failure { what: "the configuration names no program".into(), errno: 0 });
    };
    let sockets = contract.take_sockets().into_iter().enumerate();
    let sockets = sockets.map(|(i, socket)| (format!("{SOCKET}{i}"), socket));
    let (names, descriptors): (Vec<String>, Vec<OwnedFd>) = sockets.chain(contract.take_stored()).unzip();
    pass_on(&descriptors)?;
    // What exec does not touch is right already: LISTEN_PID (the pid stays), NOTIFY_SOCKET, NODE_APP_INSTANCE, the
    // parent-death signal.
    let given = [
        ("LISTEN_FDS".into(), descriptors.len().to_string().into()),
        ("LISTEN_FDNAMES".into(), names.join(":").into()),
    ];
    Err(become_program(&program, std::env::vars_os().chain(given)))
}

/// Looks the program up and becomes it, with these variables but for those that are ours; comes back with why not.
pub(super) fn become_program(
    program: &Program,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Failure {
    let file = match find(&program.name) {
        Ok(file) => file,
        Err(failure) => return failure,
    };
    sys::process::die_of_file_limit();
    let own = |name: &OsString| name.to_string_lossy().starts_with(contract::OWN);
    let why = Command::new(&file)
        .arg0(&program.name)
        .args(&program.arguments)
        .env_clear()
        .envs(variables.into_iter().filter(|(name, _)| !own(name)))
        .exec();
    let mut failure = cannot_run(&program.name, &why);
    if why.raw_os_error() == Some(ENOENT) {
        failure.what.push_str("; an interpreter or loader that it needs is missing");
    }
    failure
}

/// Whether those are the last words of somebody who should have become a program that cannot be run at all.
pub(super) fn cannot_ever_run(words: &str, errno: i32) -> bool {
    words.starts_with(CANNOT_RUN) && LASTING.contains(&errno)
}

/// Leaves descriptors open over exec, at the numbers that the contract promises.
fn pass_on(descriptors: &[OwnedFd]) -> Result<(), Failure> {
    for (number, fd) in (sys::process::FIRST_FD..).zip(descriptors) {
        if fd.as_raw_fd() != number {
            let what = format!("descriptor {number} of the program lies at {}", fd.as_raw_fd());
            return Err(Failure { what, errno: 0 });
        }
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))
            .map_err(|e| Failure::of("cannot pass a descriptor on", &e.into()))?;
    }
    Ok(())
}

/// Where a program, or health command, of a configuration would be found, or why it could not be run.
pub(crate) fn whereabouts(config: &Config, program: &Program) -> Result<PathBuf, String> {
    let worker = &config.worker;
    let path = worker.env.get("PATH").map(OsString::from).or_else(|| std::env::var_os("PATH"));
    let here = worker.cwd.clone().or_else(|| std::env::current_dir().ok()).unwrap_or_default();
    let path = path.unwrap_or_else(|| USUAL_PATH.into());
    if program.arguments.iter().any(|argument| argument.len() >= MAX_ARGUMENT) {
        return Err(cannot_run(&program.name, &io::Error::from_raw_os_error(E2BIG)).what);
    }
    let found = runs_as::as_worker(worker, || find_in(&program.name, &path, &here));
    found.and_then(|found| found).map_err(|failure| failure.what)
}

/// Why workers could not change to their directory, if they could not.
pub(crate) fn no_way_to_cwd(config: &Config) -> Option<String> {
    let folder = config.worker.cwd.as_ref()?;
    let enter = || {
        if !folder.metadata()?.is_dir() {
            return Err(io::Error::from_raw_os_error(ENOTDIR));
        }
        may(folder, AccessFlags::X_OK)
    };
    let cannot =
        |why: &io::Error| Failure::of(format_args!("cannot change to worker.cwd {}", folder.display()), why);
    let entered =
        runs_as::as_worker(&config.worker, enter).and_then(|entered| entered.map_err(|e| cannot(&e)));
    entered.err().map(|failure| failure.what)
}

/// The file of a program, for a process whose environment and working directory are the worker's already.
fn find(name: &str) -> Result<PathBuf, Failure> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| USUAL_PATH.into());
    find_in(name, &path, &std::env::current_dir().unwrap_or_default())
}

/// As it is if there is a `/` in the name, else the first in `path` that can be executed; what is relative counts from
/// `here`.
fn find_in(name: &str, path: &OsStr, here: &Path) -> Result<PathBuf, Failure> {
    if name.contains('/') {
        let file = here.join(name);
        return executable(&file)
            .map_err(|why| {
                let mut failure = cannot_run(name, &why);
                if Path::new(name).is_relative() {
                    failure.what.push_str(&format!("; the working directory is {}", here.display()));
                }
                failure
            })
            .and_then(|()| runnable(name, file, here));
    }
    let mut why = io::Error::from_raw_os_error(ENOENT);
    for folder in std::env::split_paths(path) {
        // An empty entry is the working directory.
        let file = here.join(folder).join(name);
        match executable(&file) {
            Ok(()) => return runnable(name, file, here),
            Err(e) if e.raw_os_error() == Some(EACCES) => why = e,
            Err(_) => {}
        }
    }
    let mut failure = cannot_run(name, &why);
    failure.what.push_str(&format!("; PATH is {}", path.display()));
    Err(failure)
}

/// As execve(2) would judge it: a directory is refused with EACCES.
fn executable(file: &Path) -> io::Result<()> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::from_raw_os_error(EACCES));
    }
    may(file, AccessFlags::X_OK)
}

/// The file, if it is neither a program of another machine nor a script whose interpreter cannot be run: execve(2) would
/// name the script alone.
fn runnable(name: &str, file: PathBuf, here: &Path) -> Result<PathBuf, Failure> {
    let mut begin = Vec::new();
    let read = File::open(&file).and_then(|file| file.take(MAX_FIRST_LINE).read_to_end(&mut begin));
    if is_foreign(&begin) {
        let mut failure = cannot_run(name, &io::Error::from_raw_os_error(ENOEXEC));
        failure.what.push_str("; it is not a program for this machine");
        return Err(failure);
    }
    // What cannot be read may well be run.
    let line = read.ok().and_then(|_| begin.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next());
    let word = line.and_then(|line| line.split(|byte| b" \t".contains(byte)).find(|word| !word.is_empty()));
    let Some(interpreter) = word.map(|word| here.join(OsStr::from_bytes(word))) else { return Ok(file) };
    executable(&interpreter).map(|()| file).map_err(|why| {
        let mut failure = cannot_run(name, &why);
        failure.what.push_str(&format!("; its first line names {} as interpreter", interpreter.display()));
        failure
    })
}

/// An ELF file of another machine, or a piece of one: the C library would have the shell read what the kernel refuses.
fn is_foreign(begin: &[u8]) -> bool {
    // elf(5): e_machine; beside our own that of the 32-bit programs that such a kernel may run.
    let machines: &[u16] = match std::env::consts::ARCH {
        "x86_64" => &[62, 3],
        "aarch64" => &[183, 40],
        "riscv64" => &[243],
        _ => return false,
    };
    begin.starts_with(b"\x7fELF")
        && begin.get(18..20).is_none_or(|bytes| !machines.contains(&u16::from_le_bytes([bytes[0], bytes[1]])))
}

/// As access(2) tells, for the user that this thread is for the file system.
fn may(path: &Path, what: AccessFlags) -> io::Result<()> {
    Ok(faccessat(AT_FDCWD, path, what, AtFlags::AT_EACCESS)?)
}

fn cannot_run(name: &str, why: &io::Error) -> Failure {
    Failure::of(format_args!("{CANNOT_RUN}{name}"), why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_in_path_or_by_its_path_or_the_reason_is_told() {
        let shell = find("sh").unwrap();
        assert!(shell.ends_with("sh") && shell.is_absolute(), "{shell:?}");
        assert_eq!(find("/bin/sh").unwrap(), Path::new("/bin/sh"));
        for (name, errno, texts) in [
            ("no-such-program", ENOENT, &["cannot run no-such-program: No such file", "; PATH is /"][..]),
            (
                "./no/such/program",
                ENOENT,
                &["cannot run ./no/such/program: No such", "; the working directory is /"],
            ),
            ("/etc/passwd", EACCES, &["cannot run /etc/passwd: Permission denied (os error 13)"]),
            ("/etc", EACCES, &["cannot run /etc: Permission denied"]),
            ("/nowhere/x", ENOENT, &["cannot run /nowhere/x: No such file"]),
        ] {
            let failure = find(name).unwrap_err();
            assert_eq!(failure.errno, errno, "{failure}");
            assert!(texts.iter().all(|text| failure.what.contains(text)), "{failure}");
        }
    }

    #[test]
    fn a_script_is_as_good_as_its_interpreter() {
        let place = tempfile::tempdir().unwrap();
        let script = place.path().join("script");
        let name = script.to_str().unwrap();
        for (text, errno) in [
            ("#!/bin/sh\n", None),
            ("#! \t/bin/sh -e\n", None),
            ("#!\n", None),
            ("", None),
            ("\u{7f}ELF", Some(ENOEXEC)),
            ("\u{7f}ELF\u{2}\u{1}\u{1}.........\u{2}\u{0}\u{16}\u{0}", Some(ENOEXEC)), // S/390
            ("#!/no/such interpreter\n", Some(ENOENT)),
            ("#!/etc/passwd", Some(EACCES)),
            ("#!/etc\n", Some(EACCES)),
        ] {
            std::fs::write(&script, text).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&script, mode).unwrap();
            let found = find(name);
            assert_eq!(found.as_ref().err().map(|failure| failure.errno), errno, "{text:?}: {found:?}");
            let said = found.err().map(|failure| {
                let why = if failure.errno == ENOEXEC {
                    "; it is not a program"
                } else {
                    "; its first line names /"
                };
                failure.what.contains(why)
            });
            assert!(said.unwrap_or(true), "{text:?}");
        }
    }
}
