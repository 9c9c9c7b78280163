//! What the host must allow: buffers, memory, descriptors, a folder, a program, a kernel.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use contract::logs::FILE;
use nix::errno::Errno;
use nix::unistd::{AccessFlags, eaccess, geteuid};
use socket2::{Domain, Protocol, Socket, Type};

use super::report::{Line, Report};
use super::{Config, Would};
use crate::exit::{FAILED, PORT, USAGE};
use crate::roles::ROLES;
use crate::wire::PID_FILE;

/// The oldest kernel that has all that is used.
const OLDEST: (u32, u32) = (5, 11);

/// A line for each limit, and one for each program.
pub(super) fn examine(report: &mut Report, config: &Config, would: &Would) {
    report.add(receive_buffer(config));
    if let Some(seat) = ROLES.of_workers(config).seat {
        report.add(locked_memory(seat.bytes));
    }
    report.add(match (would.room)(config) {
        None => Line::ok("descriptors", format!("enough for {} workers", config.workers)),
        Some(trouble) => {
            let hint = trouble.hint.unwrap_or_default();
            Line::fail("descriptors", trouble.message, hint, trouble.exit)
        }
    });
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
    if let Some(why) = (would.cwd)(config) {
        report.add(Line::fail(
            "program",
            why,
            "make it, let worker.user enter it, or name another one",
            FAILED,
        ));
    }
    for (why, hint) in (would.refused)(&config.worker) {
        report.add(Line::fail("worker", why, hint, FAILED));
    }
}

/// Whether log files could be written in `folder`, which need not be there yet.
pub(super) fn logs(folder: &Path) -> Line {
    const NAME: &str = "log files";
    let shown = folder.display();
    let file = folder.join(FILE);
    let there = file.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let what = if there.is_dir() { AccessFlags::W_OK | AccessFlags::X_OK } else { AccessFlags::W_OK };
    let why = match eaccess(there, what) {
        Ok(()) if there == file || there.is_dir() => return Line::ok(NAME, format!("in {shown}")),
        Ok(()) => Errno::ENOTDIR,
        Err(why) => why,
    };
    let message = format!("cannot write logs to {shown}: {}: {why}", there.display());
    let hint = "choose a folder that can be written with log.dir, or make it so";
    if why == Errno::EROFS {
        Line::warn(NAME, message, hint)
    } else {
        Line::fail(NAME, message, hint, FAILED)
    }
}

/// The kernel is asked for one, as it will be for each worker.
fn receive_buffer(config: &Config) -> Line {
    const NAME: &str = "receive buffer";
    let wanted = config.receive_buffer;
    let asked = || {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM.cloexec(), Some(Protocol::UDP))?;
        sys::group::receive_buffer(socket.as_fd(), u32::try_from(wanted).unwrap_or(u32::MAX))
    };
    match asked() {
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
            Line::warn(NAME, format!("cannot be asked for: {why}"), format!("is {} up?", Ipv4Addr::LOCALHOST))
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

/// Whether a cluster that does not answer holds the directory, or it cannot be used; and the exit code of that.
pub(super) fn folder(folder: &Path) -> Result<(), (String, u8)> {
    let Ok(found) = fs::metadata(folder) else {
        let above = folder.ancestors().skip(1).find(|above| above.exists()).unwrap_or(Path::new("/"));
        let writable = eaccess(above, AccessFlags::W_OK | AccessFlags::X_OK);
        return writable.map_err(|why| (format!("it cannot be made in {}: {why}", above.display()), USAGE));
    };
    let (owner, us) = (found.uid(), geteuid().as_raw());
    match () {
        () if !found.is_dir() => Err(("it is no directory".into(), USAGE)),
        () if is_locked(&folder.join(PID_FILE)) => {
            Err(("a cluster holds it, and does not answer".into(), PORT))
        }
        () if owner != us => Err((format!("it belongs to uid {owner}, and we are uid {us}"), USAGE)),
        () if found.mode() & 0o1002 == 0o1002 => Err(("everybody may write there".into(), USAGE)),
        () => eaccess(folder, AccessFlags::W_OK | AccessFlags::X_OK)
            .map_err(|why| (format!("it cannot be written: {why}"), USAGE)),
    }
}

/// Whether a supervisor has the lock on its pid file; looked at without taking it.
fn is_locked(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| contract::is_locked(file.as_fd()))
}

#[cfg(test)]
mod tests {
    use super::super::report::Status;
    use super::*;
    use std::os::unix::fs::PermissionsExt;

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
    fn log_files_go_where_they_can_be_written() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(logs(&place.path().join("to/be/made")).status, Status::Ok);
        fs::write(place.path().join(FILE), "").unwrap();
        assert_eq!(logs(place.path()).status, Status::Ok);
        assert_eq!(logs(&place.path().join(FILE)).status, Status::Fail, "it is no folder");
    }

    #[test]
    fn a_folder_can_be_used_or_says_why_not() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(folder(place.path()), Ok(()));
        assert_eq!(folder(&place.path().join("to/be/made")), Ok(()));
        let file = place.path().join("pid");
        fs::write(&file, "1\n").unwrap();
        assert_eq!(folder(&file), Err(("it is no directory".into(), USAGE)));
        assert_eq!(folder(place.path()), Ok(()), "a pid file that nobody holds");
        let held = File::options().write(true).open(&file).unwrap();
        let seat = contract::Seat::try_take(held.as_fd()).unwrap();
        assert_eq!(folder(place.path()).unwrap_err().1, PORT);
        drop(seat);
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        assert_eq!(folder(place.path()), Err(("everybody may write there".into(), USAGE)));
    }
}
