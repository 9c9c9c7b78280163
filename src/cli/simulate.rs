//! `simulate`: a processor to test against; asks no cluster.

use std::path::PathBuf;

use nix::errno::Errno;

use super::error::Error;
use crate::exit::{FAILED, PORT};
use crate::roles::simulated::{Plan, alone};
use crate::wire::Trouble;

/// Simulates until interrupted.
pub(super) fn run(plan: &Plan) -> Result<(), Error> {
    alone::run(plan).map_err(|failure| {
        let (hint, exit) = match Errno::from_raw(failure.errno) {
            _ if names(&failure.what, &plan.replay) => {
                ("a recording is what `atlas-cluster capture` writes, at most 64M of it", FAILED)
            }
            _ if names(&failure.what, &plan.control) => {
                ("its folder must be there, and yours to write to; for example `--stats-socket /tmp/azm8.sock`", FAILED)
            }
            Errno::EADDRINUSE => {
                ("if another one is simulated there, give this one an --address of its own: 127.0.0.3", PORT)
            }
            Errno::EADDRNOTAVAIL => {
                ("the address must be one of this machine; all that begin with 127 are", PORT)
            }
            Errno::EACCES => ("take a --tcp-port of 1024 or more, or run this as root", PORT),
            _ => ("see 'atlas-cluster simulate --help'", FAILED),
        };
        Error::Refused(Trouble { message: failure.what, hint: Some(hint.to_owned()), exit })
    })
}

/// Whether the failure is about that file.
fn names(what: &str, path: &Option<PathBuf>) -> bool {
    path.as_ref().is_some_and(|path| what.contains(&path.display().to_string()))
}
