//! `simulate` as a process of its own.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::Command;

use harness::{PATIENCE, Program, cluster, run};
use nix::sys::signal::Signal;

fn start(arguments: &[&str]) -> Program {
    let mut command = Command::new(cluster!().binary_path());
    command.arg("simulate").args(arguments);
    Program::start(command)
}

#[test]
fn it_says_where_it_is_answers_counts_and_ends_when_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("stats");
    let meters = UdpSocket::bind("127.0.0.1:0").expect("a port");
    meters.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let port = meters.local_addr().expect("its address").port().to_string();
    let path = socket.to_str().expect("UTF-8");
    let mut simulated = start(&[
        "--model=azm4",
        "--address=127.0.0.9",
        "--tcp-port=0",
        "--meter-port",
        &port,
        "--stats-socket",
        path,
        "--fault",
        "lockup@1h",
    ]);
    let first = simulated.line();
    let tcp = first.strip_prefix("simulating an AZM4 on TCP ").expect(&first).to_owned();
    assert!(tcp.starts_with("127.0.0.9:") && !tcp.ends_with(":0"), "{tcp}");
    assert_eq!(
        simulated.line(),
        format!("subscribers get 10 readings a second of each meter on UDP port {port}")
    );
    assert_eq!(simulated.line(), format!("counts and faults at {path}"));
    assert_eq!(simulated.line(), "planned: lockup@1h");

    let mut client = BufReader::new(TcpStream::connect(&tcp).expect("it listens"));
    client.get_ref().set_read_timeout(Some(PATIENCE)).expect("a time-out");
    client
        .get_mut()
        .write_all(b"{\"method\":\"sub\",\"params\":{\"param\":\"MixMeter_8\",\"fmt\":\"val\"},\"id\":1}\n")
        .expect("it takes lines");
    let mut answer = String::new();
    client.read_line(&mut answer).expect("an answer");
    assert_eq!(
        answer,
        "{\"jsonrpc\":\"2.0\",\"result\":[{\"param\":\"MixMeter_8\",\"val\":-80}],\"id\":1}\n"
    );
    let mut datagram = [0; 4096];
    let (_, from) = meters.recv_from(&mut datagram).expect("a meter");
    assert_eq!(from.ip().to_string(), "127.0.0.9");
    assert!(simulated.line().contains("connection 1 from 127.0.0.1:"));

    let mut control = BufReader::new(UnixStream::connect(&socket).expect("the socket"));
    control.get_mut().write_all(b"fault reboot 1h\nstats\n").expect("it takes orders");
    let mut answers = control.lines().map(|line| line.expect("an answer"));
    assert_eq!(answers.next().expect("one"), r#"{"done":true}"#);
    let stats: serde_json::Value = serde_json::from_str(&answers.next().expect("one")).expect("JSON");
    assert_eq!((&stats["faults"][0], &stats["connections"]["now"]), (&"reboot".into(), &0.into()));
    assert!(simulated.line().ends_with("reboot begins"));

    simulated.signal(Signal::SIGTERM);
    assert_eq!((simulated.wait(), socket.exists()), (0, false));
}

#[test]
fn an_address_that_cannot_be_had_is_told_with_the_way_out() {
    let mut first = start(&["--address=127.0.0.10", "--tcp-port=0"]);
    let line = first.line();
    let (_, port) = line.rsplit_once(':').expect(&line);
    for (arguments, said) in [
        (vec!["--address=127.0.0.10", "--tcp-port", port], "Address already in use"),
        (vec!["--address=192.0.2.1"], "Cannot assign requested address"),
    ] {
        let mut second = Command::new(cluster!().binary_path());
        second.arg("simulate").args(arguments);
        run(second).expect_code(3).expect_said(&["atlas-cluster: cannot ", said, "\nhint: "]);
    }
    let mut none = Command::new(cluster!().binary_path());
    none.args(["simulate", "--tcp-port=0", "--replay=/nonexistent"]);
    run(none)
        .expect_code(1)
        .expect_said(&["cannot read the recording /nonexistent: No such file", "\nhint: "]);
}
