//! Who is bound to a UDP port: read from /proc, as far as /proc tells this user.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::clean::clean;

/// The most bytes of `/proc/net/udp` that are read: some 400 000 sockets.
const MAX_TABLE: u64 = 64 << 20;
/// The most descriptors that are looked at, over all processes.
const MAX_DESCRIPTORS: usize = 1_000_000;
/// What a descriptor of a cluster's frozen configuration is, and the most of it that is read.
const CONFIGURATION: &str = "/memfd:config ";
const MAX_CONFIGURATION: u64 = 4 << 20;
/// The longest process name there is (TASK_COMM_LEN), with room.
const MAX_NAME: u64 = 64;

/// Names a child's notify address, in its environment.
const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// A UDP socket, and who holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The first process, by pid, that has it open; None where /proc hides it.
    pub(crate) pid: Option<u32>,
    /// That process's name, free of control characters.
    pub(crate) name: Option<String>,
    /// User who made the socket.
    pub(crate) uid: u32,
    /// Inode of the socket; 0 if it has none any more.
    pub(crate) inode: u64,
    /// What it is bound to.
    pub(crate) address: SocketAddr,
}

/// The sockets of this network namespace that are bound to an address that overlaps one of `addresses`.
pub(crate) fn on_port(addresses: &[SocketAddr]) -> Vec<Owner> {
    Proc::here().on_port(addresses)
}

/// How many sockets of this network namespace are bound to exactly `address`, those that are being closed left out.
pub(crate) fn count_on(address: SocketAddr) -> usize {
    let table = if address.is_ipv4() { "udp" } else { "udp6" };
    let sockets = Proc::here().sockets_in("self", &[table], &[address]);
    let inodes = sockets.iter().filter(|owner| owner.address == address).map(|owner| owner.inode);
    // The kernel counts lines between two reads of the table: what is bound meanwhile before them makes it tell one twice.
    inodes.filter(|&inode| inode != 0).collect::<HashSet<_>>().len()
}

/// As [`on_port`], in the network namespace of `supervisor` and without the sockets that it holds: those are its
/// cluster's, because it keeps a duplicate of each. Empty where its descriptors can't be read.
pub(crate) fn strangers(supervisor: u32, addresses: &[SocketAddr]) -> Vec<Owner> {
    Proc::here().strangers(supervisor, addresses)
}

/// All of them by name, each once. With `ours`, what is bound to another address says so.
pub(crate) fn named(owners: &[Owner], ours: Option<SocketAddr>) -> String {
    let elsewhere = |owner: &Owner| match ours {
        Some(address) if address != owner.address => format!(" on {}", owner.address),
        Some(_) | None => String::new(),
    };
    let mut names: Vec<String> =
        owners.iter().map(|owner| format!("{}{}", name_of(owner), elsewhere(owner))).collect();
    names.dedup(); // one process may hold many sockets
    names.join(", ")
}

/// `node (pid 77, uid 1000)`; where /proc hides the process, what is known of its socket.
fn name_of(owner: &Owner) -> String {
    let Owner { pid, name, uid, inode, address: _ } = owner;
    match (pid, name) {
        (Some(pid), Some(name)) => format!("{name} (pid {pid}, uid {uid})"),
        (Some(pid), None) => format!("pid {pid} (uid {uid})"),
        (None, _) => format!("a process of uid {uid} (socket inode {inode}; /proc hides the pid)"),
    }
}

/// Whether this is an atlas-cluster that does not share its port. It steers: who joined would get nothing, and take
/// the place of its next worker.
pub(crate) fn keeps_its_port(owner: &Owner) -> bool {
    owner.pid.is_some_and(|pid| Proc::here().share_of(pid) == Some(false))
}

/// Whether a process is a worker of some atlas-cluster whose supervisor is gone, or is itself gone by now: the kernel
/// is about to kill it, or has. The children of a supervisor run the supervisor's own image, or a program that was given
/// a notify address: the one of a cluster that ran in our runtime directory lies where ours does.
pub(crate) fn is_orphan_of_ours(pid: u32) -> bool {
    let own = std::env::var_os(NOTIFY_SOCKET).map(PathBuf::from);
    Proc::here().is_orphan_of_ours(pid, own.as_deref().and_then(Path::parent))
}

/// Where /proc is mounted.
struct Proc(PathBuf);

impl Proc {
    fn here() -> Proc {
        Proc(PathBuf::from("/proc"))
    }

    fn on_port(&self, addresses: &[SocketAddr]) -> Vec<Owner> {
        let mut owners = self.sockets("self", addresses);
        self.find_holders(&mut owners);
        owners
    }

    fn strangers(&self, supervisor: u32, addresses: &[SocketAddr]) -> Vec<Owner> {
        let supervisor = supervisor.to_string();
        // Looked at before and after: a slot that retires or starts meanwhile is no stranger.
        let Some(mut own) = self.inodes_of(&supervisor) else { return Vec::new() };
        let mut owners = self.sockets(&supervisor, addresses);
        let Some(later) = self.inodes_of(&supervisor) else { return Vec::new() };
        own.extend(later);
        owners.retain(|owner| !own.contains(&owner.inode));
        self.find_holders(&mut owners);
        owners
    }

    /// The sockets bound to one of `addresses` in the network namespace of `process`, their holders unknown yet.
    fn sockets(&self, process: &str, addresses: &[SocketAddr]) -> Vec<Owner> {
        self.sockets_in(process, &["udp", "udp6"], addresses)
    }

    fn sockets_in(&self, process: &str, tables: &[&str], addresses: &[SocketAddr]) -> Vec<Owner> {
        let mut found = Vec::new();
        for table in tables {
            let Ok(file) = File::open(self.0.join(process).join("net").join(table)) else { continue };
            for line in BufReader::new(file.take(MAX_TABLE)).split(b'\n').map_while(Result::ok) {
                let owner = std::str::from_utf8(&line).ok().and_then(parse);
                found.extend(
                    owner.filter(|owner| addresses.iter().any(|listen| overlap(*listen, owner.address))),
                );
            }
        }
        found
    }

    /// Fills in pid and name of those whose descriptor this user may see.
    fn find_holders(&self, owners: &mut [Owner]) {
        let mut wanted: HashMap<u64, Vec<usize>> = HashMap::new();
        for (at, owner) in owners.iter().enumerate().filter(|(_, owner)| owner.inode != 0) {
            wanted.entry(owner.inode).or_default().push(at);
        }
        let mut left = MAX_DESCRIPTORS;
        for pid in self.pids() {
            if wanted.is_empty() || left == 0 {
                return;
            }
            for inode in self.descriptors(&pid.to_string()).into_iter().flatten().take(left) {
                left -= 1;
                for at in inode.and_then(|inode| wanted.remove(&inode)).into_iter().flatten() {
                    owners[at].pid = Some(pid);
                    owners[at].name = self.name(pid);
                }
            }
        }
    }

    /// What the configuration says of `share` by which an atlas-cluster runs: its processes have that segment.
    fn share_of(&self, pid: u32) -> Option<bool> {
        let folder = self.0.join(pid.to_string()).join("fd");
        let mut descriptors = fs::read_dir(folder).ok()?.map_while(Result::ok).take(MAX_DESCRIPTORS);
        let is_configuration = |target: PathBuf| target.to_string_lossy().starts_with(CONFIGURATION);
        let segment = descriptors.find(|entry| fs::read_link(entry.path()).is_ok_and(is_configuration))?;
        let text = File::open(segment.path()).ok()?.take(MAX_CONFIGURATION);
        serde_json::from_reader::<_, serde_json::Value>(text).ok()?.get("share")?.as_bool()
    }

    /// Whether the environment of `pid` tells of a notify address in `folder`.
    fn notifies(&self, pid: u32, folder: &Path) -> bool {
        let environment = fs::read(self.0.join(pid.to_string()).join("environ")).unwrap_or_default();
        let prefix = [NOTIFY_SOCKET.as_bytes(), b"=", folder.as_os_str().as_bytes(), b"/"].concat();
        environment.split(|&byte| byte == 0).any(|variable| variable.starts_with(&prefix))
    }

    fn is_orphan_of_ours(&self, pid: u32, notify: Option<&Path>) -> bool {
        let process = self.0.join(pid.to_string());
        // Empty for a zombie, an error for one that is reaped.
        let Ok(title) = fs::read(process.join("cmdline")) else { return true };
        if !title.is_empty() && !title.starts_with(contract::TITLE.as_bytes()) {
            return notify.is_some_and(|folder| self.notifies(pid, folder));
        }
        let status = fs::read_to_string(process.join("status")).unwrap_or_default();
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).map(str::trim);
        let exe = |process: &str| fs::read_link(self.0.join(process).join("exe")).ok();
        parent.is_none_or(|parent| exe(parent).is_none_or(|parent| exe(&pid.to_string()) != Some(parent)))
    }

    fn pids(&self) -> Vec<u32> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().map_while(Result::ok);
        let mut pids: Vec<u32> =
            entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        pids.sort_unstable();
        pids
    }

    fn inodes_of(&self, process: &str) -> Option<HashSet<u64>> {
        Some(self.descriptors(process)?.take(MAX_DESCRIPTORS).flatten().collect())
    }

    /// For each descriptor of `process` the inode if it is a socket; None if they can't be read.
    fn descriptors(&self, process: &str) -> Option<impl Iterator<Item = Option<u64>> + use<>> {
        let entries = fs::read_dir(self.0.join(process).join("fd")).ok()?;
        Some(entries.map_while(Result::ok).map(|entry| {
            let target = fs::read_link(entry.path()).ok()?;
            target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
        }))
    }

    fn name(&self, pid: u32) -> Option<String> {
        let mut name = Vec::new();
        let file = File::open(self.0.join(pid.to_string()).join("comm")).ok()?;
        file.take(MAX_NAME).read_to_end(&mut name).ok()?;
        let name = String::from_utf8_lossy(&name);
        // A process may call itself what it likes, escape sequences too.
        let name = clean(name.trim());
        (!name.is_empty()).then_some(name)
    }
}

/// One line of `/proc/net/udp` or `udp6`; None for the heading and whatever else is not a socket.
fn parse(line: &str) -> Option<Owner> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let address = parse_address(fields.next()?)?;
    // Remote address, state, queues, timer, retransmissions; then uid, timeout, inode.
    let uid = fields.nth(5)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    Some(Owner { pid: None, name: None, uid, inode, address })
}

/// `0100007F:0C3B`: words as the kernel has them in memory, printed as numbers; the port as a number.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    if !address.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let word =
        |at: usize| Some(u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes());
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let bytes: [u8; 16] = words.as_flattened().try_into().ok()?;
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, u16::from_str_radix(port, 16).ok()?))
}

/// Whether a datagram could belong to both. `[::]` is taken to receive IPv4 too, as it does unless it was told not to.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (a, b) = (one.ip().to_canonical(), other.ip().to_canonical());
    let same_family = a.is_ipv4() == b.is_ipv4();
    let takes_all = |ip: IpAddr| ip.is_unspecified() && (same_family || ip.is_ipv6());
    one.port() == other.port() && one.port() != 0 && (a == b || takes_all(a) || takes_all(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::unix::fs::symlink;

    const HEADING: &str = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout \
                           inode ref pointer drops";

    fn line(address: &str, uid: u32, inode: u64) -> String {
        format!(
            "  12: {address} 00000000:0000 07 00000000:00000000 00:00000000 00000000 {uid:>5}        0 {inode} 2 \
             0000000000000000 0"
        )
    }

    fn proc(files: &[(&str, &str)], links: &[(&str, &str)]) -> (tempfile::TempDir, Proc) {
        let dir = tempfile::tempdir().unwrap();
        let make = |path: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        files.iter().for_each(|(path, text)| fs::write(make(path), text).unwrap());
        links.iter().for_each(|(path, target)| symlink(target, make(path)).unwrap());
        let proc = Proc(dir.path().to_owned());
        (dir, proc)
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn lines_of_the_kernel_are_read() {
        let four = parse(&line("0100007F:0C3B", 1000, 77)).unwrap();
        assert_eq!((four.address, four.uid, four.inode), ("127.0.0.1:3131".parse().unwrap(), 1000, 77));
        let six = parse(&line("B80D0120000000000000000001000000:0C3B", 0, 1)).unwrap();
        assert_eq!(six.address, "[2001:db8::1]:3131".parse().unwrap());
    }

    #[test]
    fn odd_lines_are_passed_over() {
        let odd = ["", " ", HEADING, "1:", "1: x:y", "1: 0100007F", "1: 0100007F:zz a b c d e 1 2 3"];
        let odd =
            odd.into_iter().chain(["1: 0100007F:0C3B 0 0 0 0 0 uid 0 7", "1: é0100007:0C3B 0 0 0 0 0 1 0 7"]);
        let odd = odd.chain(["1: +100007F:0C3B 0 0 0 0 0 1 0 7", "1: 0100007F:10C3B 0 0 0 0 0 1 0 7"]);
        for line in odd {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }

    #[test]
    fn addresses_overlap_where_a_datagram_could_belong_to_both() {
        let overlap = |a: &str, b: &str| {
            let (a, b) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!(overlap(a, b), overlap(b, a));
            overlap(a, b)
        };
        assert!(overlap("0.0.0.0:3131", "127.0.0.1:3131") && overlap("10.0.0.1:3131", "10.0.0.1:3131"));
        assert!(overlap("[::]:3131", "10.0.0.1:3131") && overlap("[::]:3131", "[::1]:3131"));
        assert!(overlap("[::]:3131", "0.0.0.0:3131") && overlap("[::ffff:10.0.0.1]:3131", "10.0.0.1:3131"));
        assert!(!overlap("0.0.0.0:3131", "0.0.0.0:3132") && !overlap("10.0.0.1:3131", "10.0.0.2:3131"));
        assert!(!overlap("0.0.0.0:3131", "[::1]:3131") && !overlap("0.0.0.0:0", "0.0.0.0:0"));
    }

    #[test]
    fn the_cluster_s_own_sockets_are_no_strangers() {
        let table =
            [HEADING.into(), line("00000000:0C3B", 0, 10), line("00000000:0C3B", 7, 20), "junk".into()];
        let table = table.join("\n");
        let files =
            [("400/net/udp", table.as_str()), ("self/net/udp", &table), ("401/comm", "node\u{1b}[2J\n")];
        let links = [("400/fd/3", "socket:[10]"), ("400/fd/4", "/dev/null"), ("401/fd/9", "socket:[20]")];
        let (_dir, proc) = proc(&files, &links);
        let listen = ["127.0.0.1:3131".parse().unwrap()];
        let strangers = proc.strangers(400, &listen);
        assert_eq!(strangers.len(), 1);
        assert_eq!((strangers[0].pid, strangers[0].uid, strangers[0].inode), (Some(401), 7, 20));
        assert_eq!(strangers[0].name.as_deref(), Some("node\u{fffd}[2J"));
        let all = proc.on_port(&listen);
        assert_eq!(all.iter().map(|owner| owner.pid).collect::<Vec<_>>(), [Some(400), Some(401)]);
    }

    #[test]
    fn where_the_supervisor_s_descriptors_are_hidden_nobody_is_accused() {
        let table = line("00000000:0C3B", 0, 10);
        let (_dir, proc) = proc(&[("400/net/udp", &table), ("self/net/udp", &table)], &[]);
        let listen = ["0.0.0.0:3131".parse().unwrap()];
        assert_eq!(proc.strangers(400, &listen), []);
        assert_eq!((proc.on_port(&listen)[0].pid, proc.on_port(&listen).len()), (None, 1));
    }

    #[test]
    fn a_real_socket_is_found_with_its_process() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = UdpSocket::bind(address) else { continue };
            let owners = on_port(&[socket.local_addr().unwrap()]);
            assert_eq!(owners.len(), 1, "{owners:?}");
            assert_eq!(owners[0].address, socket.local_addr().unwrap());
            assert!(owners[0].pid.is_some_and(|pid| pid == std::process::id()));
            assert!(strangers(std::process::id(), &[socket.local_addr().unwrap()]).is_empty());
        }
    }

    #[test]
    fn a_worker_is_an_orphan_once_its_parent_is_another_program() {
        let title = "atlas-cluster: meter 2 gen 7\0";
        for (title, parent, orphan) in [
            (title, "PPid:\t100\n", false),
            (title, "PPid:\t1\n", true),
            ("", "PPid:\t1\n", true),
            ("node\0", "PPid:\t1\n", false),
            ("./atlas-cluster\0--workers\x004\0", "PPid:\t1\n", false),
        ] {
            let files = [("200/cmdline", title), ("200/status", parent)];
            let links = [
                ("100/exe", "/opt/atlas-cluster"),
                ("200/exe", "/opt/atlas-cluster"),
                ("1/exe", "/sbin/init"),
            ];
            let (_folder, proc) = proc(&files, &links);
            assert_eq!(proc.is_orphan_of_ours(200, None), orphan, "{title:?} {parent:?}");
            assert!(proc.is_orphan_of_ours(300, None), "gone");
        }
    }

    #[test]
    fn a_program_is_an_orphan_of_the_cluster_whose_notify_address_it_has() {
        let environ = "A=b\0NOTIFY_SOCKET=/run/a/notify/0.1\0";
        let (_folder, proc) = proc(&[("200/cmdline", "node\0"), ("200/environ", environ)], &[]);
        for (notify, orphan) in [("/run/a/notify", true), ("/run/a/not", false), ("/run/b/notify", false)] {
            assert_eq!(proc.is_orphan_of_ours(200, Some(Path::new(notify))), orphan, "{notify}");
        }
    }

    #[test]
    fn a_place_that_is_not_proc_is_no_trouble() {
        assert!(Proc(PathBuf::from("/nowhere")).on_port(&["0.0.0.0:1".parse().unwrap()]).is_empty());
    }
}
