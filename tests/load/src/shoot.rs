//! A row of datagrams of one sender goes to the kernel.

use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, sendmmsg, sendmsg};

use crate::plan::MAX_ROW;
use crate::senders::Sender;
use crate::{Trouble, Way};

/// How long a kernel without buffers is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a refused row is tried again before it is given up.
const TRIES: usize = 3;

/// Buffers and headers of one thread.
pub(crate) struct Gun {
    way: Way,
    bytes: Vec<u8>,
    headers: MultiHeaders<()>,
    /// Sends that met ECONNREFUSED.
    pub(crate) refused: u64,
}

impl Gun {
    pub(crate) fn new(way: Way) -> Gun {
        Gun { way, bytes: Vec::new(), headers: MultiHeaders::preallocate(MAX_ROW, None), refused: 0 }
    }

    /// Sends datagrams `first` … `first + row - 1` from `sender`; answers how many the kernel took.
    pub(crate) fn fire(&mut self, sender: &Sender, first: u64, row: usize) -> Result<usize, Trouble> {
        let bytes = sender.template.bytes();
        self.bytes.resize(bytes * row, 0);
        for (seq, i) in (first..).zip(0..row) {
            sender.template.render(seq, &mut self.bytes[i * bytes..(i + 1) * bytes]);
        }
        let (began, mut sent, mut refused) = (Instant::now(), 0, 0);
        while sent < row && refused < TRIES {
            match self.try_send(sender, bytes, sent, row) {
                Ok(more) => sent += more,
                // An earlier datagram of this socket met nobody: the news takes the place of one send.
                Err(e) if e.kind() == ErrorKind::ConnectionRefused => refused += 1,
                Err(e) if is_full(&e) && began.elapsed() < PATIENCE => thread::yield_now(),
                Err(source) => return Err(Trouble::Send { to: sender.to, source }),
            }
        }
        self.refused += refused as u64;
        Ok(sent)
    }

    /// One call; answers how many datagrams went with it.
    fn try_send(&mut self, sender: &Sender, bytes: usize, sent: usize, row: usize) -> io::Result<usize> {
        let (rest, left) = (&self.bytes[sent * bytes..], row - sent);
        if left == 1 {
            return sender.socket.send(rest).map(|_| 1);
        }
        let raw = sender.socket.as_raw_fd();
        match self.way {
            Way::Segments => {
                let size = u16::try_from(bytes).map_err(io::Error::other)?;
                let segments = [ControlMessage::UdpGsoSegments(&size)];
                sendmsg::<()>(raw, &[IoSlice::new(rest)], &segments, MsgFlags::empty(), None)?;
                Ok(left)
            }
            Way::Many => {
                let parts: Vec<[IoSlice<'_>; 1]> = match bytes {
                    0 => vec![[IoSlice::new(&[])]; left],
                    _ => rest.chunks_exact(bytes).map(|part| [IoSlice::new(part)]).collect(),
                };
                let nowhere = [None::<()>; MAX_ROW]; // the sockets are connected
                let gone = sendmmsg(raw, &mut self.headers, &parts, nowhere, [], MsgFlags::empty())?;
                Ok(gone.count())
            }
        }
    }
}

/// No buffer at the moment.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
        || error.raw_os_error() == Some(Errno::ENOBUFS as i32)
}
