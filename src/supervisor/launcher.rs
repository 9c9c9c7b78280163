//! What a child does first, whatever its role: tie its life to the supervisor's, get the slot's sockets bound.
//!
//! This runs in the child. A socket is handed up before it is bound, so no moment exists in which a bound socket has
//! one owner alone; what an earlier launcher left half done is taken up where it was left.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use contract::{Contract, Failure, LISTEN, PARENT, PLACE, Role, SOCKET, TITLE};
use nix::fcntl::OFlag;
use nix::libc::ECONNREFUSED;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use socket2::{Domain, Protocol, Socket, Type};

use super::{advice, place, runs_as, sharing};
use crate::config::Config;
use crate::wire::Trouble;
use crate::{exit, owners};

/// Why a bind is refused where nobody else is on the port.
pub(super) const BY_US: &str =
    "; it is held by this very cluster: its program has changed a socket that it was given";
/// How often, and how far apart, a launcher looks whether orphans are gone: half a second in all.
pub(super) const ORPHAN_LOOKS: u32 = 50;
pub(super) const ORPHAN_WAIT: Duration = Duration::from_millis(10);

/// The name of the role that a process with this title (its first argument) is to become; None for one that a user started.
pub(crate) fn role_of(title: &str) -> Option<&str> {
    title.strip_prefix(TITLE)?.split_whitespace().next()
}

/// Becomes `role`; answers the exit code.
pub(crate) fn run(role: &Role) -> u8 {
    sys::process::set_name(c"atlas-cluster");
    sys::process::die_of_faults();
    sys::process::outlive_file_limit();
    let contract = match Contract::from_environment() {
        Ok(contract) => contract,
        Err(failure) => {
            return misused(&failure, "this name is for the cluster's own children");
        }
    };
    // A copy of the line, to say how it ended: the role takes the contract with it.
    let line = contract::Notify::from_environment();
    let (failure, code) = match become_role(role, contract) {
        Ok(()) => return exit::DONE,
        Err(ending) => ending,
    };
    if let Ok(line) = line {
        line.failed(&failure);
    }
    code
}

/// Says that nobody but a supervisor starts us so; unless there was one, which is gone: then nobody is left to be told.
pub(super) fn misused(failure: &Failure, hint: &str) -> u8 {
    if failure.errno != ECONNREFUSED {
        crate::complain(&format!("atlas-cluster: {failure}\nhint: {hint}\n"));
    }
    exit::USAGE
}

fn become_role(role: &Role, mut contract: Contract) -> Result<(), (Failure, u8)> {
    let failed = |failure| (failure, exit::FAILED);
    die_with_parent(&contract).map_err(failed)?;
    let config = configuration(&contract).map_err(failed)?;
    if role.sockets {
        bind_slot(&mut contract, &config)?;
        contract.notify.bound();
        settle(&contract, &config).map_err(failed)?;
    }
    (role.main)(contract).map_err(failed)
}

/// Becomes what a worker runs as, in its folder.
pub(super) fn settle(contract: &Contract, config: &Config) -> Result<(), Failure> {
    if runs_as::settle(&config.worker, contract.instance)? {
        die_with_parent(contract)?; // a change of user takes the signal back
    }
    let Some(folder) = &config.worker.cwd else { return Ok(()) };
    std::env::set_current_dir(folder)
        .map_err(|e| Failure::of(format_args!("cannot change to worker.cwd {}", folder.display()), &e))
}

/// The configuration of the generation.
pub(super) fn configuration(contract: &Contract) -> Result<Config, Failure> {
    serde_json::from_str(&contract.config()?)
        .map_err(|e| Failure { what: format!("the configuration segment makes no sense: {e}"), errno: 0 })
}

/// The kernel kills us when the thread that forked us is gone; if that happened before we asked, the pipe tells.
fn die_with_parent(contract: &Contract) -> Result<(), Failure> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)
        .map_err(|e| Failure::of("cannot ask for a parent-death signal", &e.into()))?;
    match contract.get(PARENT) {
        Some(pipe) if !sys::process::hung_up(pipe) => Ok(()),
        Some(_) | None => Err(Failure { what: "the supervisor is gone".into(), errno: 0 }),
    }
}

/// Makes, or takes up, one socket for each listen address. Only a refused bind has the exit code of one.
fn bind_slot(contract: &mut Contract, config: &Config) -> Result<(), (Failure, u8)> {
    let failed = |failure| (failure, exit::FAILED);
    let listen = std::env::var(LISTEN).unwrap_or_default();
    let addresses: Result<Vec<SocketAddr>, _> = listen.split(',').map(str::parse).collect();
    let addresses = addresses.map_err(|e| {
        failed(Failure { what: format!("cannot understand {LISTEN}={listen}: {e}"), errno: 0 })
    })?;
    for (i, address) in addresses.into_iter().enumerate() {
        let name = format!("{SOCKET}{i}");
        let socket = match contract.take(&name) {
            Ok(kept) => Socket::from(kept),
            Err(_) => make(contract, config, address, &name).map_err(failed)?,
        };
        let is_fresh = sys::group::port_of(socket.as_fd()).is_ok_and(|port| port == 0);
        let bind = || {
            if is_fresh {
                match config.share {
                    true => sharing::join(&socket, address, contract.instance, &contract.notify)?,
                    false => bind(&socket, address, contract.instance)?,
                }
            }
            if config.share { sharing::open(&socket) } else { seal(&socket, contract.instance) }
        };
        bind().map_err(|e| (refused(address, &e, Some(nix::unistd::getppid())), exit::PORT))?;
        if is_fresh && !config.share {
            place::keep(contract, address, &name).map_err(|failure| (failure, exit::PORT))?;
        }
        let socket = into_place(contract, i, socket)
            .map_err(|e| failed(Failure::of(format_args!("cannot lay out the socket {name}"), &e)))?;
        contract.put(name, socket);
    }
    Ok(())
}

/// A socket that was made here takes the number that was held open for it; an adopted one has its own.
fn into_place(contract: &mut Contract, i: usize, socket: Socket) -> io::Result<OwnedFd> {
    match contract.take(&format!("{PLACE}{i}")) {
        Ok(mut place) => {
            nix::unistd::dup3(&socket, &mut place, OFlag::O_CLOEXEC)?;
            Ok(place)
        }
        Err(_) => Ok(OwnedFd::from(socket)),
    }
}

/// A fresh socket, of which the supervisor has a duplicate before it is bound.
fn make(contract: &Contract, config: &Config, address: SocketAddr, name: &str) -> Result<Socket, Failure> {
    let make = || {
        let socket = unbound(config, address)?;
        contract.notify.store(name, socket.as_fd())?;
        io::Result::Ok(socket)
    };
    make().map_err(|e| not_made(address, &e))
}

fn unbound(config: &Config, address: SocketAddr) -> io::Result<Socket> {
    // O_NONBLOCK is the socket's and not the process's. A program finds it as systemd hands sockets out.
    let kind = if config.worker.program.is_some() { Type::DGRAM } else { Type::DGRAM.nonblocking() };
    let socket = Socket::new(Domain::for_address(address), kind.cloexec(), Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?; // [::] takes IPv4 too
    }
    sys::group::receive_buffer(socket.as_fd(), u32::try_from(config.receive_buffer).unwrap_or(u32::MAX))?;
    Ok(socket)
}

fn not_made(address: SocketAddr, why: &io::Error) -> Failure {
    Failure::of(format_args!("cannot make a socket for UDP {address}"), why)
}

/// Binds a socket as slot 0 does, for as long as the answer is kept; and with whom it would be shared. Where others are
/// on a port that is to be shared, it hears nothing of what they hear.
///
/// # Errors
/// As a start would say it.
pub(crate) fn foresee(
    config: &Config,
    address: SocketAddr,
) -> Result<(OwnedFd, Vec<owners::Owner>), Trouble> {
    let failed = |failure: Failure| Trouble { message: failure.what, hint: None, exit: exit::FAILED };
    let socket = unbound(config, address).map_err(|e| failed(not_made(address, &e)))?;
    let bound = match config.share {
        true => sharing::foresee(&socket, address),
        false => bind(&socket, address, 0).map(|()| Vec::new()),
    };
    let others = bound.map_err(|e| advice::on_port(refused(address, &e, None), config.share))?;
    Ok((socket.into(), others))
}

/// Slot 0 binds with neither option: the kernel refuses if anybody is there, however he bound. A steering program
/// needs the option while it is attached, and stays. The others join the group.
fn bind(socket: &Socket, address: SocketAddr, slot: u8) -> io::Result<()> {
    if slot == 0 {
        socket.set_reuse_port(true)?;
        sys::group::attach(socket.as_fd(), &sys::group::steering(1, 1))?;
        socket.set_reuse_port(false)?;
    } else {
        socket.set_reuse_port(true)?;
        socket.set_reuse_address(true)?;
    }
    bind_after_orphans(socket, address)
}

/// Workers whose supervisor was killed are being killed by the kernel: a cluster that starts in that very moment waits
/// for them. Anybody else on the port is a refusal, at once.
fn bind_after_orphans(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    for _ in 0..ORPHAN_LOOKS {
        match socket.bind(&address.into()) {
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
                let owners = owners::on_port(&[address]);
                // A process that ends has no descriptors any more when its sockets are closed.
                let uid = nix::unistd::geteuid().as_raw();
                let may_go =
                    |owner: &owners::Owner| owner.pid.map_or(owner.uid == uid, owners::is_orphan_of_ours);
                if !owners.iter().all(may_go) {
                    return Err(e);
                }
            }
            bound => return bound,
        }
        std::thread::sleep(ORPHAN_WAIT);
    }
    socket.bind(&address.into())
}

/// Open to our own group, closed to a thief: one member without SO_REUSEADDR shuts out everybody who brings it.
fn seal(socket: &Socket, slot: u8) -> io::Result<()> {
    socket.set_reuse_address(false)?; // slot 0 has it where the socket was bound by whoever started the cluster
    if slot == 0 { socket.set_reuse_port(true) } else { Ok(()) }
}

/// Why the port could not be bound, and who is on it: perhaps the supervisor that wants it.
fn refused(address: SocketAddr, why: &io::Error, supervisor: Option<Pid>) -> Failure {
    let mut failure = Failure::of(format_args!("cannot bind UDP {address}"), why);
    if why.kind() == io::ErrorKind::AddrInUse {
        let owners = owners::on_port(&[address]);
        let parent = supervisor.map(|pid| pid.as_raw().unsigned_abs());
        if owners.iter().any(|owner| owner.pid.is_some() && owner.pid == parent) {
            failure.what.push_str(BY_US);
        } else if !owners.is_empty() {
            failure.what.push_str(&format!("; it is held by {}", owners::named(&owners, None)));
        }
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_names_a_role_and_a_users_command_does_not() {
        for (title, role) in [
            ("atlas-cluster: meter 2 gen 7", Some("meter")),
            ("atlas-cluster: simulator gen 1", Some("simulator")),
            ("atlas-cluster", None),
            ("./atlas-cluster", None),
            ("atlas-cluster: ", None),
        ] {
            assert_eq!(role_of(title), role, "{title}");
        }
    }
}
