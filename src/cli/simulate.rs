//! `simulate`: a processor to test against; asks no cluster.

use nix::errno::Errno;

use super::error::Error;
use crate::exit::{FAILED, PORT};
use crate::roles::simulated::{Plan, alone};
use crate::wire::Trouble;

/// Simulates until interrupted.
pub(super) fn run(plan: &Plan) -> Result<(), Error> {
    alone::run(plan).map_err(|failure| {
        let (hint, exit) = match Errno::from_raw(failure.errno) {
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
