//! The steering program, run by an interpreter for every mask and by the kernel for a few.

use super::*;
use socket2::{Domain, Socket, Type};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;

/// Runs a program on a packet: `load(k, bytes)` answers a load, as the kernel would.
fn run(program: &[Instruction], load: impl Fn(u32, u16) -> u32) -> u32 {
    let (mut a, mut x, mut memory, mut at) = (0u32, 0u32, [0u32; 16], 0usize);
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        at += 1;
        match code {
            LD_W_ABS | LD_H_ABS | LD_B_ABS => a = load(k, code),
            LD_IMM => a = k,
            LD_MEM => a = memory[k as usize],
            ST => memory[k as usize] = a,
            TAX => x = a,
            AND => a &= k,
            ADD_X => a = a.wrapping_add(x),
            XOR_X => a ^= x,
            MUL => a = a.wrapping_mul(k),
            DIV => a /= k,
            MOD => a %= k,
            RSH => a >>= k,
            JA => at += k as usize,
            JEQ => at += usize::from(if a == k { jt } else { jf }),
            RET_A => return a,
            RET_K => return k,
            other => panic!("an instruction the program has no business with: {other:#x}"),
        }
    }
}

/// Runs a spreading program, for which the kernel draws `random`.
fn spread(program: &[Instruction], random: u32) -> u32 {
    run(program, |k, code| {
        assert_eq!((k, code), (RANDOM, LD_W_ABS), "it looks at nothing but the random number");
        random
    })
}

/// Masks of few members and of many.
fn masks() -> Vec<u64> {
    let some = (0..400u64).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    (0..256).chain(some).chain([u64::MAX]).collect()
}

#[derive(Clone, Copy)]
enum Packet {
    V4 { address: u32, port: u16, options: bool },
    V6 { address: [u32; 4], port: u16 },
}

fn steer(program: &[Instruction], packet: Packet) -> u32 {
    run(program, |k, code| match (packet, k.wrapping_sub(NET)) {
        (Packet::V4 { .. }, _) if k == PROTOCOL => 0x0800,
        (Packet::V6 { .. }, _) if k == PROTOCOL => ETH_P_IPV6,
        (Packet::V4 { options, .. }, 0) if code == LD_B_ABS => 0x40 | if options { 7 } else { 5 },
        (Packet::V4 { address, .. }, 12) => address,
        (Packet::V4 { port, options: false, .. }, 20) => u32::from(port),
        (Packet::V6 { address, .. }, n @ (8 | 12 | 16 | 20)) => address[(n as usize - 8) / 4],
        (Packet::V6 { port, .. }, 40) => u32::from(port),
        (_, n) => panic!("a load the packet has no answer for: {n}"),
    })
}

fn packets() -> impl Iterator<Item = Packet> {
    (0..300u32).flat_map(|i| {
        let (address, port) = (0x7f00_0001 + i % 7, (40_000 + i * 13) as u16);
        [
            Packet::V4 { address, port, options: false },
            Packet::V4 { address: address + i, port, options: true },
            Packet::V6 { address: [0x2001_0db8, i, 0, address], port },
        ]
    })
}

#[test]
fn every_answer_is_a_member_in_the_mask_and_no_flow_moves_without_need() {
    for bound in [1, 2, 3, 4, 5, 8, 16, 63, 64] {
        let all = u64::MAX >> (64 - bound);
        let whole = steering(bound, all);
        for mask in masks() {
            let program = steering(bound, mask);
            let present = if mask & all == 0 { all } else { mask & all };
            for packet in packets().step_by(17) {
                let (home, place) = (steer(&whole, packet), steer(&program, packet));
                assert_eq!(present >> place & 1, 1, "bound {bound} mask {mask:b}: {place} is absent");
                if present >> home & 1 == 1 {
                    assert_eq!(
                        place, home,
                        "bound {bound} mask {mask:b}: moved although its home is present"
                    );
                }
            }
        }
    }
}

#[test]
fn flows_spread_over_the_members_and_an_absent_ones_flows_over_the_rest() {
    for (bound, mask) in [(4, 0b1111u64), (4, 0b1011), (16, 0xfff7)] {
        let program = steering(bound, mask);
        let mut counts = vec![0usize; bound];
        packets().for_each(|packet| counts[steer(&program, packet) as usize] += 1);
        let fair = packets().count() / mask.count_ones() as usize;
        for (place, &count) in counts.iter().enumerate() {
            let expected = if mask >> place & 1 == 1 { fair / 2..fair * 2 } else { 0..1 };
            assert!(expected.contains(&count), "place {place} of {mask:b} got {count}, fair is {fair}");
        }
    }
}

#[test]
fn a_random_number_goes_to_any_member_in_the_mask_and_to_no_other() {
    for bound in [1, 2, 3, 4, 5, 8, 16, 63, 64] {
        let all = u64::MAX >> (64 - bound);
        for mask in masks() {
            let present = if mask & all == 0 { all } else { mask & all };
            let program = spreading(bound, mask);
            let mut reached = 0u64;
            for random in (0..present.count_ones()).chain([u32::MAX, u32::MAX - 1, 0x8000_0000]) {
                reached |= 1 << spread(&program, random);
            }
            assert_eq!(reached, present, "bound {bound} mask {mask:b}");
        }
    }
}

fn member(address: SocketAddr) -> UdpSocket {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket.into()
}

/// Binds `n` members on a free port of `address`, and answers them with the address they share.
fn group(address: &str, n: usize) -> (Vec<UdpSocket>, SocketAddr) {
    let first = member(address.parse().unwrap());
    let shared = first.local_addr().unwrap();
    let mut members = vec![first];
    members.extend((1..n).map(|_| member(shared)));
    (members, shared)
}

#[test]
fn the_kernel_takes_the_program_and_obeys_it() {
    for (bind, target) in
        [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1"), ("[::]:0", "127.0.0.1"), ("[::]:0", "::1")]
    {
        let (members, shared) = group(bind, 4);
        attach(members[0].as_fd(), &steering(4, 0b0101)).unwrap();
        let target = SocketAddr::new(target.parse().unwrap(), shared.port());
        for i in 0..64u8 {
            let any = if target.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
            UdpSocket::bind(any).unwrap().send_to(&[i], target).unwrap();
        }
        let mut got = [0; 4];
        for (place, member) in members.iter().enumerate() {
            while member.recv(&mut [0; 8]).is_ok() {
                got[place] += 1;
            }
        }
        assert!(got[0] > 8 && got[2] > 8, "{bind} to {target}: {got:?}");
        assert_eq!((got[1], got[3], got[0] + got[2]), (0, 0, 64), "{bind} to {target}: {got:?}");
    }
    attach(group("127.0.0.1:0", 1).0[0].as_fd(), &steering(64, 1 << 63)).expect("the longest programs fit");
    attach(group("127.0.0.1:0", 1).0[0].as_fd(), &steering(64, u64::MAX >> 1))
        .expect("the longest programs fit");
}

#[test]
fn the_kernel_spreads_one_sender_over_the_members_in_the_mask() {
    for (bind, target) in [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1"), ("[::]:0", "127.0.0.1")] {
        let (members, shared) = group(bind, 4);
        let target = SocketAddr::new(target.parse().unwrap(), shared.port());
        let any = if target.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let sender = UdpSocket::bind(any).unwrap();
        for mask in [0b1111u64, 0b1101] {
            attach(members[0].as_fd(), &spreading(4, mask)).unwrap();
            let mut got = [0u32; 4];
            for _ in 0..10 {
                (0..40).for_each(|i| _ = sender.send_to(&[i], target).unwrap());
                for (place, member) in members.iter().enumerate() {
                    while member.recv(&mut [0; 8]).is_ok() {
                        got[place] += 1;
                    }
                }
            }
            let fair = 400 / mask.count_ones();
            assert_eq!(got.iter().sum::<u32>(), 400, "{bind} {mask:b}: {got:?}");
            for (place, &count) in got.iter().enumerate() {
                let expected = if mask >> place & 1 == 1 { fair / 2..fair * 2 } else { 0..1 };
                assert!(expected.contains(&count), "{bind} {mask:b}: {got:?}");
            }
        }
    }
    attach(group("127.0.0.1:0", 1).0[0].as_fd(), &spreading(64, u64::MAX >> 1)).expect("the longest fits");
}

#[test]
fn the_queue_tells_what_waits_and_what_was_dropped() {
    let (members, shared) = group("127.0.0.1:0", 1);
    let socket = members[0].as_fd();
    let granted = receive_buffer(socket, 4096).unwrap();
    assert!(granted >= 4096, "{granted}");
    assert_eq!(queue(socket).unwrap(), Queue::default());
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..1000 {
        sender.send_to(&[0; 100], shared).unwrap();
    }
    let mut read = 0;
    let full = queue(socket).unwrap();
    while members[0].recv(&mut [0; 128]).is_ok() {
        read += 1;
    }
    let empty = queue(socket).unwrap();
    assert!(full.bytes > 0 && read > 0);
    assert_eq!((empty.bytes, read + empty.dropped), (0, 1000));
}
