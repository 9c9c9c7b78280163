//! Becoming a health command: what its process does, in the child. It runs as the worker does that it is asked about.

use contract::{ADDRESSED, Contract, Failure, LISTEN, Role};

use super::{foreign, launcher};

/// What runs for a moment beside a worker that is being started.
pub(crate) static ROLE: Role =
    Role { name: "health", sockets: false, quarantine: false, seat: None, shared: &[], main };

/// Variable with the pid of the worker that is asked about: systemd's name for it.
pub(super) const MAIN_PID: &str = "MAINPID";
/// Variable with the port of the first listen address.
const LISTEN_PORT: &str = "LISTEN_PORT";

fn main(contract: Contract) -> Result<(), Failure> {
    let config = launcher::configuration(&contract)?;
    let Some(command) = &config.worker.health_command else {
        return Err(Failure { what: "the configuration names no health command".into(), errno: 0 });
    };
    launcher::settle(&contract, &config)?;
    // Nothing that we were given is for the command: the contract is between the cluster and its workers.
    drop(contract);
    let variables = std::env::vars_os().filter(|(name, _)| !ADDRESSED.iter().any(|ours| name == ours));
    let port = std::env::var(LISTEN).unwrap_or_default();
    let port = port.split(',').next().and_then(|address| Some(address.rsplit_once(':')?.1.to_owned()));
    let port = port.map(|port| (LISTEN_PORT.into(), port.into()));
    Err(foreign::become_program(command, variables.chain(port)))
}
