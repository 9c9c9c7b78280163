//! How a process stands before the kernel: its program, user, limits and sandbox, as /proc tells this user.

use std::fs;
use std::path::PathBuf;

use serde::Serialize;

use super::super::process::read;

/// What is read of a file of /proc at most.
const MAX_FILE: u64 = 16 << 10;
/// Descriptors that are counted at the most.
const MAX_DESCRIPTORS: usize = 1 << 20;

/// A process, as far as /proc tells.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Standing {
    /// Its number.
    pub(super) pid: u32,
    /// The file that it executes; ` (deleted)` behind it if another one took its place.
    pub(super) exe: Option<String>,
    /// Its effective user.
    pub(super) uid: Option<u32>,
    /// Descriptors that are open.
    pub(super) open_files: Option<u64>,
    /// Memory that is locked, in bytes.
    pub(super) locked_bytes: Option<u64>,
    /// What it may have.
    pub(super) limits: Option<Limits>,
    /// What it may not do.
    pub(super) sandbox: Option<Sandbox>,
}

/// Limits in force (getrlimit(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Limits {
    /// RLIMIT_NOFILE.
    pub(super) open_files: Limit,
    /// RLIMIT_MEMLOCK, in bytes.
    pub(super) locked_memory: Limit,
}

/// A limit; null is "unlimited".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Limit {
    /// In force.
    pub(super) soft: Option<u64>,
    /// Up to which the process may raise it.
    pub(super) hard: Option<u64>,
}

/// How it is confined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Sandbox {
    /// It can gain no privileges by exec.
    pub(super) no_new_privs: bool,
    /// `off`, `strict`, or `filter`: system calls are refused.
    pub(super) seccomp: &'static str,
    /// Effective capabilities, in hexadecimal digits; all zeros is none.
    pub(super) capabilities: String,
}

impl Standing {
    /// That of the process with this pid.
    pub(super) fn of(pid: u32) -> Standing {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let (status, limits) = (read(pid, "status", MAX_FILE), read(pid, "limits", MAX_FILE));
        let field = |name: &str| status.as_deref().and_then(|status| field(status, name));
        Standing {
            pid,
            exe: fs::read_link(folder.join("exe")).ok().map(|exe| exe.display().to_string()),
            // Real, effective, saved, file system (proc_pid_status(5)).
            uid: field("Uid").and_then(|uids| uids.split_whitespace().nth(1)?.parse().ok()),
            open_files: fs::read_dir(folder.join("fd"))
                .ok()
                .map(|entries| entries.take(MAX_DESCRIPTORS).count() as u64),
            locked_bytes: field("VmLck").and_then(kilobytes),
            limits: limits.as_deref().and_then(Limits::parse),
            sandbox: status.as_deref().and_then(Sandbox::parse),
        }
    }
}

impl Limits {
    fn parse(text: &str) -> Option<Limits> {
        Some(Limits {
            open_files: Limit::parse(text, "Max open files")?,
            locked_memory: Limit::parse(text, "Max locked memory")?,
        })
    }
}

impl Limit {
    fn parse(text: &str, name: &str) -> Option<Limit> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let mut words = line.split_whitespace();
        let mut limit = || match words.next()? {
            "unlimited" => Some(None),
            number => Some(Some(number.parse().ok()?)),
        };
        Some(Limit { soft: limit()?, hard: limit()? })
    }
}

impl Sandbox {
    fn parse(status: &str) -> Option<Sandbox> {
        Some(Sandbox {
            no_new_privs: field(status, "NoNewPrivs")? == "1",
            seccomp: match field(status, "Seccomp")? {
                "0" => "off",
                "1" => "strict",
                _ => "filter",
            },
            capabilities: field(status, "CapEff")?.to_owned(),
        })
    }
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// `300 kB`.
fn kilobytes(text: &str) -> Option<u64> {
    text.strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_known_and_nobody_is_not() {
        let me = Standing::of(std::process::id());
        assert_eq!(me.exe, std::env::current_exe().ok().map(|exe| exe.display().to_string()));
        assert_eq!(me.uid, Some(nix::unistd::geteuid().as_raw()));
        assert!(me.open_files.is_some_and(|open| open >= 3), "{me:?}");
        let limits = me.limits.expect("limits");
        let (soft, _) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(limits.open_files.soft, Some(soft));
        assert!(me.sandbox.is_some_and(|sandbox| sandbox.capabilities.len() == 16));
        assert_eq!(Standing::of(u32::MAX), Standing { pid: u32::MAX, ..Standing::default() });
    }

    #[test]
    fn what_the_kernel_writes_is_read() {
        let limits = "Limit Soft Limit Hard Limit Units\n\
                      Max locked memory         8388608              unlimited            bytes\n\
                      Max open files            1024                 1048576              files\n";
        let open_files = Limit { soft: Some(1024), hard: Some(1_048_576) };
        let locked_memory = Limit { soft: Some(8 << 20), hard: None };
        assert_eq!(Limits::parse(limits), Some(Limits { open_files, locked_memory }));
        let status = "Uid:\t1\t2\t3\t4\nCapEff:\t0000000000000400\nNoNewPrivs:\t1\nSeccomp:\t2\n";
        let sandbox = Sandbox::parse(status).expect("a sandbox");
        assert_eq!((sandbox.no_new_privs, sandbox.seccomp), (true, "filter"));
        assert_eq!((kilobytes("300 kB"), kilobytes("x"), Limits::parse("")), (Some(307_200), None, None));
    }
}
