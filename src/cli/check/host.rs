//! What the host must allow: buffers, memory, descriptors, a folder, a program, a kernel.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use contract::counted;
use socket2::{Domain, Protocol, Socket, Type};

use super::report::{Line, Report};
use super::{Config, Would};
use crate::exit::FAILED;
use crate::roles::ROLES;

/// The oldest kernel that has all that is used.
const OLDEST: (u32, u32) = (5, 11);

/// How many descriptors there may be.
pub(super) fn limits(report: &mut Report, config: &Config, would: &Would) {
    const NAME: &str = "descriptors";
    report.add((would.room)(config).map_or_else(
        || Line::ok(NAME, format!("enough for {}", counted(config.workers.into(), "worker"))),
        |trouble| Line::of(NAME, trouble),
    ));
    (would.too_low)(config).into_iter().for_each(|trouble| report.add(Line::of("worker", trouble)));
}

/// Whether log files could be written, where there are any.
pub(super) fn logs(report: &mut Report, dir: &Path, config: &Config, beside: bool, would: &Would) {
    const NAME: &str = "log files";
    match (would.logs)(dir, config, beside) {
        Ok(None) => {}
        Ok(Some((folder, None))) => report.add(Line::ok(NAME, format!("in {}", folder.display()))),
        Ok(Some((folder, Some(why)))) => {
            let what =
                format!("lines would be lost, and counted, until {} can be written: {why}", folder.display());
            report.add(Line::warn(
                NAME,
                what,
                "choose a folder that can be written with log.dir, or make it so",
            ));
        }
        Err(trouble) => report.add(Line::of(NAME, trouble)),
    }
}

/// Buffers and segments.
pub(super) fn memory(report: &mut Report, config: &Config, would: &Would) {
    (would.memory)(config).into_iter().for_each(|trouble| report.add(Line::of("shared memory", trouble)));
    report.add(receive_buffer(config));
    if let Some(seat) = ROLES.of_workers(config).seat {
        report.add(locked_memory(seat.bytes));
    }
}

/// What workers are and run as. Beside a cluster its own processes count.
pub(super) fn workers(report: &mut Report, config: &Config, beside: bool, would: &Would) {
    let too_many = if beside { None } else { (would.processes)(config) };
    too_many.into_iter().for_each(|trouble| report.add(Line::of("processes", trouble)));
    for (why, hint) in (would.refused)(&config.worker) {
        report.add(Line::fail("worker", why, hint, FAILED));
    }
    if let Some(why) = (would.cwd)(config) {
        let hint = "make it, let worker.user enter it, or name another one";
        report.add(Line::fail("working directory", why, hint, FAILED));
    }
    let worker = &config.worker;
    for (name, program) in [("program", &worker.program), ("health command", &worker.health_command)] {
        let Some(program) = program else { continue };
        report.add(match (would.program)(config, program) {
            Ok(file) => Line::ok(name, format!("{}: {}", program.name, file.display())),
            Err(why) => {
                let hint = "install it, make it executable (chmod +x), or name it by its whole path";
                Line::fail(name, why, hint, FAILED)
            }
        });
    }
}

/// The kernel is asked for one, as it will be for each worker.
fn receive_buffer(config: &Config) -> Line {
    let wanted = config.receive_buffer;
    let asked = || {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM.cloexec(), Some(Protocol::UDP))?;
        sys::group::receive_buffer(socket.as_fd(), u32::try_from(wanted).unwrap_or(u32::MAX))
    };
    judge_receive_buffer(wanted, asked())
}

fn judge_receive_buffer(wanted: u64, asked: io::Result<u32>) -> Line {
    const NAME: &str = "receive buffer";
    match asked {
        // Of 1 GiB the kernel grants a byte less.
        Ok(granted) if u64::from(granted) + 1 >= wanted => {
            Line::ok(NAME, format!("{wanted} bytes for each worker"))
        }
        Ok(granted) => {
            let what = format!("the kernel grants {granted} of the {wanted} bytes of receive_buffer");
            let hint = format!(
                "sysctl -w net.core.rmem_max={wanted}, and a line `net.core.rmem_max = {wanted}` in /etc/sysctl.d"
            );
            Line::warn(NAME, what, hint)
        }
        Err(why) => {
            let hint = "it needs a UDP socket like any worker's: see `ulimit -n`, and what a sandbox forbids \
                        (seccomp, RestrictAddressFamilies=)";
            Line::warn(NAME, format!("cannot be asked for: {why}"), hint)
        }
    }
}

fn locked_memory(bytes: usize) -> Line {
    const NAME: &str = "locked memory";
    match sys::map::may_lock(bytes) {
        Ok(()) => Line::ok(NAME, format!("{bytes} bytes for each worker")),
        Err(why) => {
            let what =
                format!("a worker cannot lock its {bytes} bytes of received datagrams in memory: {why}");
            Line::warn(
                NAME,
                what,
                "LimitMEMLOCK=64M in the unit, or `ulimit -l`: without it, want of memory can cost a datagram",
            )
        }
    }
}

/// The kernel's version.
pub(super) fn kernel(report: &mut Report) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    report.add(judge_kernel(release.trim()));
}

fn judge_kernel(release: &str) -> Line {
    const NAME: &str = "kernel";
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) if (major, minor) >= OLDEST => Line::ok(NAME, format!("Linux {release}")),
        (Some(_), Some(_)) => {
            let what = format!("Linux {release} is too old");
            Line::fail(NAME, what, format!("it must be {}.{} or newer", OLDEST.0, OLDEST.1), FAILED)
        }
        _ => {
            let hint = format!("it must be {}.{} or newer: `uname -r`", OLDEST.0, OLDEST.1);
            Line::warn(NAME, format!("its version cannot be read: `{release}`"), hint)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Status;
    use super::*;

    #[test]
    fn a_kernel_is_old_enough_or_not() {
        for (release, status) in [
            ("6.18.0-rc1", Status::Ok),
            ("5.11.0", Status::Ok),
            ("5.10.0-28-amd64", Status::Fail),
            ("4.19.0", Status::Fail),
            ("10.0", Status::Ok),
            ("", Status::Warn),
            ("next", Status::Warn),
        ] {
            assert_eq!(judge_kernel(release).status, status, "{release}");
        }
    }

    #[test]
    fn a_socket_that_is_refused_is_no_matter_of_the_network() {
        let refused = judge_receive_buffer(4096, Err(io::Error::from_raw_os_error(nix::libc::EMFILE)));
        let mut report = Report::default();
        report.add(refused);
        let said = report.draw(&crate::cli::terminal::Look {
            terminal: false,
            colour: false,
            columns: 80,
            rows: 24,
        });
        assert!(said.contains("cannot be asked for: Too many open files"), "{said}");
        assert!(said.contains("`ulimit -n`") && !said.contains("127.0.0.1"), "{said}");
        assert_eq!(judge_receive_buffer(4096, Ok(4096)).status, Status::Ok);
        assert_eq!(judge_receive_buffer(4096, Ok(1024)).status, Status::Warn);
    }
}
