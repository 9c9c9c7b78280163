//! The null sink: epoll and recvmmsg of 64 × 4 KiB that throws everything away. The physical limit for this way of
//! receiving.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use socket2::{Domain, Socket, Type};
use sys::discard::Discard;

use crate::port;
use crate::subjects::{MARK, READY, RECEIVED, page};
use crate::trouble::{Trouble, cannot};

const BATCH: usize = 64;
const PAYLOAD: usize = 4096;

/// Receives at `address` until it is killed; counts in the page at `path`.
pub(crate) fn run(address: SocketAddr, path: &Path) -> Result<(), Trouble> {
    let socket = bind(address).map_err(cannot(format_args!("bind UDP {address}")))?;
    let file = File::options().read(true).write(true).open(path);
    let page = file.and_then(|file| page(&file)).map_err(cannot(format_args!("map {}", path.display())))?;
    receive(&socket, page.words()).map_err(cannot(format_args!("receive at {address}")))
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    socket.set_reuse_port(true)?;
    socket.set_recv_buffer_size(port::room())?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// One epoll_wait and, as long as batches are full, one recvmmsg after another: a short one means an empty queue, and
/// what comes later makes a new edge (epoll(7)).
fn receive(socket: &UdpSocket, words: &[AtomicU64]) -> io::Result<()> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0))?;
    let (mut discard, mut events, mut received) = (Discard::new(BATCH, PAYLOAD), [EpollEvent::empty()], 0);
    words[READY].store(1, Ordering::Release);
    loop {
        match epoll.wait(&mut events, EpollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
        loop {
            let got = match discard.receive(socket.as_fd()) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => 0,
                got => got?,
            };
            for i in 0..got {
                if let Ok(mark) = discard.payload(i).try_into() {
                    words[MARK].store(u64::from_ne_bytes(mark), Ordering::Release);
                }
            }
            received += got as u64;
            words[RECEIVED].store(received, Ordering::Release);
            if got < BATCH {
                break;
            }
        }
    }
}
