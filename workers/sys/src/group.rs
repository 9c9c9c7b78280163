//! Reuseport groups: the socket options that make one, the program that steers inside one, and what the kernel
//! counts for a member.
//!
//! # The steering program
//! Classic BPF, attached to the group (SO_ATTACH_REUSEPORT_CBPF, socket(7)); it answers the place of a member.
//! ```text
//!       ld  protocol;  jeq 0x86dd → v6
//! v4:   header of 5 words? ldh source port, else 0;  add source address
//! v6:   xor of the source address's words;  add source port
//! mix:  mul 0x9E3779B1;  rsh 8;  st M[0];  mod bound              → home
//!       for each absent place d:  jeq d → spread
//!       ret a
//! spread: ld M[0];  div bound;  mod (number present);  jeq k → ret present[k] …
//! ```
//! So a flow's home depends on the number of members alone: a changed mask moves the flows of the places that changed
//! and no others, and they come home unchanged.
//!
//! With a random number in place of the hash a sender has no home, and each datagram goes to any member present:
//! ```text
//!       ld  random;  mod (number present)
//!       none absent?  ret a;  else  jeq k → ret present[k] …
//! ```

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{sock_filter, sock_fprog};
use socket2::SockRef;

/// The most members a program steers between.
pub const MAX_MEMBERS: usize = 64;

/// One instruction: classic BPF as the kernel takes it.
pub type Instruction = sock_filter;

/// Offset base of loads from the network header (linux/filter.h).
const NET: u32 = 0xfff0_0000;
/// Offset base of ancillary loads, and the one that gives skb->protocol.
const PROTOCOL: u32 = 0xffff_f000;
/// The ancillary load that gives a random number (SKF_AD_RANDOM).
const RANDOM: u32 = PROTOCOL + 56;
const ETH_P_IPV6: u32 = 0x86dd;

const LD_W_ABS: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const LD_H_ABS: u16 = (libc::BPF_LD | libc::BPF_H | libc::BPF_ABS) as u16;
const LD_B_ABS: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
const LD_IMM: u16 = (libc::BPF_LD | libc::BPF_IMM) as u16;
const LD_MEM: u16 = (libc::BPF_LD | libc::BPF_MEM) as u16;
const ST: u16 = libc::BPF_ST as u16;
const TAX: u16 = (libc::BPF_MISC | libc::BPF_TAX) as u16;
const JEQ: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const JA: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
const RET_A: u16 = (libc::BPF_RET | libc::BPF_A) as u16;
const RET_K: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
const ADD_X: u16 = (libc::BPF_ALU | libc::BPF_ADD | libc::BPF_X) as u16;
const XOR_X: u16 = (libc::BPF_ALU | libc::BPF_XOR | libc::BPF_X) as u16;
const MUL: u16 = (libc::BPF_ALU | libc::BPF_MUL | libc::BPF_K) as u16;
const DIV: u16 = (libc::BPF_ALU | libc::BPF_DIV | libc::BPF_K) as u16;
const MOD: u16 = (libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K) as u16;
const RSH: u16 = (libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K) as u16;

fn op(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 0, k }
}

fn jump_if(k: u32, then: u8, otherwise: u8) -> Instruction {
    Instruction { code: JEQ, jt: then, jf: otherwise, k }
}

/// The program for a group of `bound` members that steers to the members in `mask` (bit = place), each sender's
/// datagrams to one of them.
/// Bits at and above `bound` are ignored; a mask without any member means all of them. It never answers a place
/// outside the group: the kernel would then choose among all members by itself.
///
/// # Panics
/// If `bound` is 0 or above [`MAX_MEMBERS`].
#[must_use]
pub fn steering(bound: usize, mask: u64) -> Vec<Instruction> {
    let (present, absent) = members(bound, mask);
    let mut program = flow_hash();
    program.extend([op(ST, 0), op(MOD, bound as u32)]);
    for (i, &place) in absent.iter().enumerate() {
        let over_the_rest_and_ret = (absent.len() - i) as u8;
        program.push(jump_if(place, over_the_rest_and_ret, 0));
    }
    program.push(op(RET_A, 0));
    if !absent.is_empty() {
        program.extend([op(LD_MEM, 0), op(DIV, bound as u32), op(MOD, present.len() as u32)]);
        program.extend(pick(&present));
    }
    program
}

/// As [`steering`], each datagram to a random one of the members in `mask`, whoever sent it.
///
/// # Panics
/// If `bound` is 0 or above [`MAX_MEMBERS`].
#[must_use]
pub fn spreading(bound: usize, mask: u64) -> Vec<Instruction> {
    let (present, absent) = members(bound, mask);
    let mut program = vec![op(LD_W_ABS, RANDOM), op(MOD, present.len() as u32)];
    if absent.is_empty() {
        program.push(op(RET_A, 0));
    } else {
        program.extend(pick(&present));
    }
    program
}

/// The places that are steered to, never none, and the others.
fn members(bound: usize, mask: u64) -> (Vec<u32>, Vec<u32>) {
    assert!((1..=MAX_MEMBERS).contains(&bound), "a group of {bound} members");
    let inside = |place: &u32| mask >> place & 1 == 1;
    let members = 0..bound as u32;
    let (present, absent): (Vec<u32>, Vec<u32>) = members.clone().partition(inside);
    if present.is_empty() { (members.collect(), Vec::new()) } else { (present, absent) }
}

/// Answers `present[A]`.
fn pick(present: &[u32]) -> Vec<Instruction> {
    let mut program = Vec::new();
    for (k, &place) in present.iter().enumerate() {
        program.extend([jump_if(k as u32, 0, 1), op(RET_K, place)]);
    }
    program.push(op(RET_K, present[0]));
    program
}

/// Leaves a 24-bit hash of source address and port in A.
fn flow_hash() -> Vec<Instruction> {
    let v4 = [
        op(LD_B_ABS, NET),
        op(AND, 0x0f),
        jump_if(5, 2, 0),
        op(LD_IMM, 0), // options follow the address: the port is elsewhere, the address alone must do
        op(JA, 1),
        op(LD_H_ABS, NET + 20),
        op(TAX, 0),
        op(LD_W_ABS, NET + 12),
        op(ADD_X, 0),
    ];
    let v6 = [
        op(LD_W_ABS, NET + 8),
        op(TAX, 0),
        op(LD_W_ABS, NET + 12),
        op(XOR_X, 0),
        op(TAX, 0),
        op(LD_W_ABS, NET + 16),
        op(XOR_X, 0),
        op(TAX, 0),
        op(LD_W_ABS, NET + 20),
        op(XOR_X, 0),
        op(TAX, 0),
        op(LD_H_ABS, NET + 40),
        op(ADD_X, 0),
    ];
    let mut program = vec![op(LD_W_ABS, PROTOCOL), jump_if(ETH_P_IPV6, v4.len() as u8 + 1, 0)];
    program.extend(v4);
    program.push(op(JA, v6.len() as u32));
    program.extend(v6);
    program.extend([op(MUL, 0x9E37_79B1), op(RSH, 8)]);
    program
}

/// Attaches `program` to the group of `socket`, in place of the one before; it takes effect at once for all members.
///
/// # Errors
/// EINVAL if the socket has no SO_REUSEPORT and no group; else what setsockopt(2) says.
pub fn attach(socket: BorrowedFd<'_>, program: &[Instruction]) -> io::Result<()> {
    let len = u16::try_from(program.len()).map_err(io::Error::other)?;
    let program = sock_fprog { len, filter: program.as_ptr().cast_mut() };
    set(socket, libc::SO_ATTACH_REUSEPORT_CBPF, &program)
}

/// Waits until every datagram whose way was chosen by a program that was replaced before this call lies in its socket's
/// queue. It takes 12 … 14 ms, at most 81 were measured: never where somebody waits for the thread.
///
/// The kernel runs the program and queues the datagram in one read-side section of RCU, and
/// membarrier(MEMBARRIER_CMD_GLOBAL) ends after all sections that had begun before it. (Where one processor alone is
/// online it does not wait: there a delivery, a softirq, is over before anybody else runs.)
///
/// # Errors
/// What membarrier(2) says: EINVAL where processors run without a tick (nohz_full), ENOSYS or EPERM where it is not
/// offered. Then nothing is proven.
pub fn barrier() -> io::Result<()> {
    let none: libc::c_uint = 0;
    // SAFETY: the call takes three numbers and touches no memory of ours.
    match unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, none, none) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes a socket that is not bound yet one of an interface that does not exist (SO_BINDTOIFINDEX): whatever it is bound
/// to, nothing is delivered to it.
///
/// # Errors
/// What setsockopt(2) says.
pub fn hear_nothing(socket: BorrowedFd<'_>) -> io::Result<()> {
    set(socket, libc::SO_BINDTOIFINDEX, &libc::c_int::MAX)
}

/// Asks for the arrival time of each datagram beside it (SO_TIMESTAMPNS).
///
/// # Errors
/// What setsockopt(2) says.
pub fn stamp_arrivals(socket: BorrowedFd<'_>) -> io::Result<()> {
    set(socket, libc::SO_TIMESTAMPNS, &1i32)
}

/// Asks for a receive buffer of `bytes` (the kernel doubles it for its own overhead), past `net.core.rmem_max` where
/// privileged; answers how many of `bytes` the kernel grants.
///
/// # Errors
/// What setsockopt(2) says.
pub fn receive_buffer(socket: BorrowedFd<'_>, bytes: u32) -> io::Result<u32> {
    let wanted = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    if set(socket, libc::SO_RCVBUFFORCE, &wanted).is_err() {
        set(socket, libc::SO_RCVBUF, &wanted)?;
    }
    Ok(get::<libc::c_int>(socket, libc::SO_RCVBUF)?.0.unsigned_abs() / 2)
}

/// The port a UDP socket is bound to; 0 if it is not bound.
///
/// # Errors
/// What getsockname(2) says.
pub fn port_of(socket: BorrowedFd<'_>) -> io::Result<u16> {
    Ok(SockRef::from(&socket).local_addr()?.as_socket().map_or(0, |address| address.port()))
}

/// What the kernel says of a socket's receive queue (SO_MEMINFO).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Memory of what waits, the kernel's own overhead included; 0 exactly when nothing waits.
    pub bytes: u64,
    /// Datagrams thrown away on a full buffer since the socket was made (a 32-bit count in the kernel).
    pub dropped: u32,
}

/// Reads the queue of `socket`; true for any owner of a duplicate, also when no worker reads it.
///
/// # Errors
/// What getsockopt(2) says.
pub fn queue(socket: BorrowedFd<'_>) -> io::Result<Queue> {
    // linux/sock_diag.h: SK_MEMINFO_RMEM_ALLOC is word 0, SK_MEMINFO_DROPS word 8.
    let (info, len) = get::<[u32; 9]>(socket, libc::SO_MEMINFO)?;
    if len < size_of_val(&info) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "SO_MEMINFO is shorter than nine words"));
    }
    Ok(Queue { bytes: u64::from(info[0]), dropped: info[8] })
}

fn set<T>(socket: BorrowedFd<'_>, option: libc::c_int, value: &T) -> io::Result<()> {
    let (value, len) = (std::ptr::from_ref(value).cast(), size_of::<T>() as libc::socklen_t);
    // SAFETY: `value` points at `len` readable bytes; what it points at in turn (a program) outlives the call.
    match unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value, len) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn get<T: Default>(socket: BorrowedFd<'_>, option: libc::c_int) -> io::Result<(T, usize)> {
    let (mut value, mut len) = (T::default(), size_of::<T>() as libc::socklen_t);
    let place = std::ptr::from_mut(&mut value).cast();
    // SAFETY: `place` has room for `len` bytes, and T (an integer, or an array of them) is valid whatever they are.
    match unsafe { libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, place, &mut len) } {
        0 => Ok((value, len as usize)),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests;
