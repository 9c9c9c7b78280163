//! What can go wrong with a load.

use std::io;
use std::net::{IpAddr, SocketAddr};

/// Why nothing, or not everything, was sent.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The plan contradicts itself, or is more than a kernel can do.
    #[error("{why}")]
    Plan {
        /// What is wrong, in one line.
        why: String,
        /// The way out, in one line.
        hint: String,
    },
    /// A sender has no socket.
    #[error("cannot send from {from} to {to}: {source}")]
    Socket {
        /// Where it was to be bound.
        from: IpAddr,
        /// Where it was to send.
        to: SocketAddr,
        /// What the kernel says.
        source: io::Error,
    },
    /// The kernel refuses to send.
    #[error("cannot send to {to}: {source}")]
    Send {
        /// Where to.
        to: SocketAddr,
        /// What the kernel says.
        source: io::Error,
    },
    /// A thread cannot be bound to a CPU.
    #[error("cannot run on CPU {cpu}: {source}")]
    Cpu {
        /// Which one.
        cpu: usize,
        /// What the kernel says.
        source: io::Error,
    },
}

impl Trouble {
    /// The way out, in one line.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Trouble::Plan { hint, .. } => hint.clone(),
            Trouble::Socket { from, source, .. } => match source.raw_os_error() {
                Some(code) if code == nix::libc::EMFILE => {
                    "fewer senders, or a higher limit on open files: ulimit -n".into()
                }
                _ => format!("{from} must be an address of this host; --from chooses others"),
            },
            Trouble::Send { .. } => "look at the route and at the size of the datagrams".into(),
            Trouble::Cpu { .. } => {
                "--cpu takes the number of a CPU that this process may use: taskset -cp $$".into()
            }
        }
    }
}
