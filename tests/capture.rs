//! `capture`: everything that a processor sends is in the file, once, and can be sent again; whatever dies meanwhile.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;

use atlas::capture::{From, Record, parse};
use harness::{Cluster, PATIENCE, Processor, Program, cluster, free_port, need_root, process, wait_until};
use nix::sys::signal::Signal;

/// A recording that goes on.
struct Capture {
    program: Program,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Capture {
    #[track_caller]
    fn start(cluster: &Cluster, options: &[&str]) -> Capture {
        Capture::start_in(cluster, Command::new(cluster.binary()), options)
    }

    /// The same by another program, which executes the binary.
    #[track_caller]
    fn start_in(cluster: &Cluster, mut command: Command, options: &[&str]) -> Capture {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("bar.jsonl");
        command.args(["capture", "bar"]).arg(&file).args(options);
        command.arg("--runtime-dir").arg(cluster.runtime_dir());
        let program = Program::start(command);
        let first = program.first_said();
        assert!(first.starts_with("recording bar (127.0.2."), "{first}");
        Capture { program, file, _folder: folder }
    }

    /// What is in the file by now.
    #[track_caller]
    fn records(&self) -> Vec<Record> {
        let text = fs::read(&self.file).expect("the file");
        let whole = text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        whole.map(|line| parse(line).expect("a record")).collect()
    }

    fn numbers(&self) -> Vec<u32> {
        self.records().iter().filter_map(|record| number(&record.bytes)).collect()
    }

    /// Waits for its end; the exit code, and what it said after the first line.
    #[track_caller]
    fn wait(mut self) -> (i32, String, Vec<Record>) {
        let code = self.program.wait();
        let said = self.program.said();
        let (_, said) = said.split_once('\n').expect("the first line");
        let text = fs::read(&self.file).expect("the file");
        assert!(text.is_empty() || text.ends_with(b"\n"), "the last line is whole");
        (code, said.to_owned(), self.records())
    }

    #[track_caller]
    fn end(self, signal: Signal) -> (i32, String, Vec<Record>) {
        self.program.signal(signal);
        self.wait()
    }
}

/// A datagram that is no update, and not even text.
fn numbered(number: u32) -> Vec<u8> {
    [b"number ".as_slice(), number.to_string().as_bytes(), b" \xff\n\""].concat()
}

fn number(bytes: &[u8]) -> Option<u32> {
    let text = String::from_utf8_lossy(bytes.strip_prefix(b"number ")?).into_owned();
    text.split(' ').next()?.parse().ok()
}

fn of(records: &[Record], from: From) -> Vec<String> {
    let wanted = records.iter().filter(|record| record.from == from);
    wanted.map(|record| String::from_utf8_lossy(&record.bytes).into_owned()).collect()
}

/// A cluster and its processor, connected.
fn start(address: &str) -> (Cluster, Processor) {
    start_with(address, "")
}

/// The same with more configuration.
fn start_with(address: &str, more: &str) -> (Cluster, Processor) {
    let port = free_port();
    let processor = Processor::start(address, port);
    let config = processor.config("bar") + more;
    let cluster = cluster!().workers(2).listen(format!("127.0.0.1:{port}")).config(config).start();
    wait_until("the processor is connected", || {
        cluster.meters().processor(address).is_some_and(|bar| bar.connection == "connected")
    });
    (cluster, processor)
}

fn taps(runtime_dir: &Path) -> usize {
    let entries = fs::read_dir(runtime_dir).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("tap.")).count()
}

#[test]
fn what_a_processor_sends_is_in_the_file_and_is_sent_again() {
    let (cluster, processor) = start("127.0.2.1");
    let capture = Capture::start(&cluster, &[]);
    let sender = UdpSocket::bind("127.0.2.1:0").expect("the processor's address");
    for n in 0..100 {
        sender.send_to(&numbered(n), cluster.targets()[0]).expect("sent");
    }
    sender.send_to(b"", cluster.targets()[0]).expect("sent");
    assert_eq!(cluster.command(["get", "bar", "ZoneName_0"]).expect_code(0).stdout, "Patio\n");
    let name = r#""str":"Patio""#;
    wait_until("both are in the file", || {
        let records = capture.records();
        let empty = records.iter().any(|record| record.bytes.is_empty());
        empty && of(&records, From::Tcp).iter().any(|line| line.contains(name))
    });
    let (code, said, records) = capture.end(Signal::SIGINT);
    let (lines, datagrams) = (of(&records, From::Tcp), of(&records, From::Udp));
    let counts = [format!("{} line", lines.len()), format!("{} datagrams in", datagrams.len())];
    assert!(code == 0 && counts.iter().all(|count| said.contains(count)), "{code}: {said}");
    assert!(said.contains(": 0 lines and 0 datagrams"), "{said}");
    let numbers: Vec<u32> = records.iter().filter_map(|record| number(&record.bytes)).collect();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    assert!(records.iter().any(|record| record.bytes == numbered(7)), "byte for byte");
    let sent = processor.said();
    assert!(sent.windows(lines.len()).any(|window| window == lines), "{lines:#?} of {sent:#?}");
    assert_eq!((processor.connections().1, taps(&cluster.runtime_dir())), (1, 0), "nobody else connected");
    sent_again(&cluster, records);
}

/// What `simulate --replay` makes of a recording.
#[track_caller]
fn sent_again(cluster: &Cluster, mut records: Vec<Record>) {
    let update = r#"{"jsonrpc":"2.0","method":"update","params":[{"param":"ZoneGain_0","val":-7}]}"#;
    records.push(Record { from: From::Tcp, bytes: update.into(), ..records[0].clone() });
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("again.jsonl");
    let mut text = Vec::new();
    records.iter().for_each(|record| atlas::capture::write(&mut text, record).expect("memory takes it"));
    fs::write(&file, text).expect("a file");
    let meters = UdpSocket::bind("127.0.0.1:0").expect("a port");
    meters.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let port = meters.local_addr().expect("its address").port().to_string();
    let mut command = Command::new(cluster.binary());
    command.args(["simulate", "--address=127.0.2.9", "--tcp-port=0", "--meter-port", &port, "--replay"]);
    command.arg(&file);
    let mut simulated = Program::start(command);
    let first = simulated.line();
    let tcp = first.rsplit(' ').next().expect(&first).to_owned();
    let client = TcpStream::connect(&tcp).expect("it listens");
    client.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let mut buffer = [0; 8192];
    for wanted in records.iter().filter(|record| record.from == From::Udp) {
        let got = meters.recv(&mut buffer).expect("a datagram");
        assert_eq!(String::from_utf8_lossy(&buffer[..got]), String::from_utf8_lossy(&wanted.bytes));
    }
    let mut lines = BufReader::new(client).lines();
    let answers = of(&records, From::Tcp).into_iter().filter(|line| line.contains(r#""id":"#)).count();
    assert!(answers > 0, "{records:#?}");
    assert_eq!(lines.next().expect("a line").expect("text"), update, "answers were for whoever asked then");
}

#[test]
fn it_goes_on_whatever_is_killed_and_has_each_datagram_once() {
    let (cluster, processor) = start("127.0.2.2");
    let capture = Capture::start(&cluster, &[]);
    let sender = UdpSocket::bind("127.0.2.2:0").expect("the processor's address");
    let mut sent = 0;
    for round in 0..12 {
        let before = cluster.role("link");
        for _ in 0..50 {
            sender.send_to(&numbered(sent), cluster.targets()[0]).expect("sent");
            sent += 1;
            match (round % 3, sent % 50) {
                (0, 20 | 21) => {
                    let _ = cluster.kill_worker(sent as usize % 2);
                }
                (1, 20) => process::signal(before, Signal::SIGKILL),
                _ => {}
            }
        }
        wait_until(format_args!("{sent} datagrams are in the file"), || {
            capture.numbers().len() >= sent as usize
        });
        if round % 3 == 1 {
            wait_until("another link runs", || cluster.role("link") != before);
        }
        if round == 8 {
            cluster.command(["reload"]).expect_code(0);
        }
    }
    let heard = of(&capture.records(), From::Tcp).len();
    wait_until("lines of the newest link are in the file", || {
        let _ = cluster.command(["get", "bar", "ZoneName_0"]);
        of(&capture.records(), From::Tcp).len() > heard
    });
    let mut numbers = capture.numbers();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..sent).collect::<Vec<_>>(), "each once");
    let (code, said, records) = capture.end(Signal::SIGTERM);
    assert_eq!(code, 0, "{said}");
    let mut all = processor.said().into_iter();
    for line in of(&records, From::Tcp) {
        assert!(all.any(|sent| sent == line), "each as it was sent, in that order, once: {line}");
    }
    assert_eq!(processor.connections().1, 1, "one connection at a time");
    assert_eq!(cluster.list().cluster.totals.dropped, Some(0));
}

#[test]
fn it_ends_at_its_time_or_size_and_with_the_cluster() {
    let (cluster, _processor) = start("127.0.2.3");
    let (code, said, records) = Capture::start(&cluster, &["--for", "1s"]).wait();
    let datagrams = format!("{} datagram", of(&records, From::Udp).len());
    assert!(code == 0 && said.contains("ended by --for") && said.contains(&datagrams), "{code}: {said}");
    let small = Capture::start(&cluster, &["--max-size", "4K"]);
    let file = small.file.clone();
    let size = move || fs::metadata(&file).map_or(0, |file| file.len());
    wait_until("it is full", || size() > 3800);
    let (code, said, _) = small.wait();
    assert!(code == 0 && said.contains("ended by --max-size"), "{code}: {said}");

    let first = Capture::start(&cluster, &[]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("second");
    let second = cluster.command(["capture", "127.0.2.3", file.to_str().expect("UTF-8")]);
    let _ =
        second.expect_code(1).expect_said(&["cannot record bar: it is being recorded already", "\nhint: "]);
    assert!(!file.exists());
    wait_until("it records", || !first.records().is_empty());
    assert_eq!(taps(&cluster.runtime_dir()), 1);
    cluster.signal(Signal::SIGTERM);
    assert_eq!(cluster.wait_for_end(), 0);
    let (code, said, _) = first.wait();
    assert_eq!(code, 4, "{said}");
    assert!(said.starts_with("recorded ") && said.contains("no cluster is running"), "{said}");
    assert_eq!(cluster.files_left(), Vec::<String>::new());
}

#[test]
fn workers_of_another_user_hand_over_too_and_those_of_the_next_one() {
    need_root();
    let (cluster, processor) = start_with("127.0.2.6", "[worker]\nuser = \"nobody\"\n");
    let capture = Capture::start(&cluster, &[]);
    let sender = UdpSocket::bind("127.0.2.6:0").expect("the processor's address");
    for n in 0..20 {
        sender.send_to(&numbered(n), cluster.targets()[0]).expect("sent");
    }
    wait_until("all of them are in the file", || capture.numbers() == (0..20).collect::<Vec<_>>());
    cluster.place().write_config(&(processor.config("bar") + "[worker]\nuser = \"daemon\"\n"));
    cluster.command(["reload"]).expect_code(0);
    let mut next = 100;
    wait_until("theirs are, too", || {
        next += 1;
        sender.send_to(&numbered(next), cluster.targets()[0]).expect("sent");
        capture.numbers().iter().any(|number| *number > 100)
    });
    let (code, said, _) = capture.end(Signal::SIGINT);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn a_file_that_may_not_grow_keeps_what_is_whole() {
    let (cluster, _processor) = start("127.0.2.7");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -f 16 && exec \"$@\"", "sh"]).arg(cluster.binary());
    let (code, said, records) = Capture::start_in(&cluster, command, &[]).wait();
    assert_eq!(code, 1, "{said}");
    let (lines, datagrams) = (of(&records, From::Tcp).len(), of(&records, From::Udp).len());
    assert!(lines + datagrams > 0, "something was whole: {said}");
    let counts =
        format!("recorded {lines} line{} and {datagrams} datagrams in ", if lines == 1 { "" } else { "s" });
    let why = ["atlas-cluster: cannot write ", ": File too large", "\nhint: "];
    assert!(said.starts_with(&counts) && why.iter().all(|part| said.contains(part)), "{said}");
    assert_eq!(said.lines().count(), 3, "{said}");
}

#[test]
fn one_that_is_killed_leaves_nothing_behind_and_another_may_begin() {
    let (cluster, _processor) = start("127.0.2.4");
    let killed = Capture::start(&cluster, &[]);
    wait_until("it records", || !killed.records().is_empty());
    let (code, _, _) = killed.end(Signal::SIGKILL);
    assert_eq!(code, -1);
    wait_until("its socket is gone", || taps(&cluster.runtime_dir()) == 0);
    let next = Capture::start(&cluster, &[]);
    wait_until("the next one records", || !next.records().is_empty());
}

#[test]
fn what_cannot_be_recorded_is_told_with_the_way_out_and_leaves_no_file() {
    let (cluster, _processor) = start("127.0.2.5");
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (new, old, nowhere) = (path("new"), path("old"), path("none/new"));
    fs::write(&old, "mine").expect("a file");
    for (processor, file, code, said) in [
        ("attic", &new, 2, "no processor is called `attic`"),
        ("bar", &old, 2, "exists already"),
        ("bar", &nowhere, 1, "none/new: No such file or directory"),
    ] {
        let output = cluster.command(["capture", processor, file]).expect_code(code);
        let _ = output.expect_said(&[said, "\nhint: "]);
    }
    assert!(!Path::new(&new).exists());
    assert_eq!(fs::read_to_string(&old).expect("it is there"), "mine");
    cluster.signal(Signal::SIGTERM);
    assert_eq!(cluster.wait_for_end(), 0);
    let _ = cluster.command(["capture", "bar", &new]).expect_code(4).expect_said(&["\nhint: "]);
    let none = cluster!().start();
    let output = none.command(["capture", "bar", &new]).expect_code(2);
    let _ = output.expect_said(&["no processor is configured", "\nhint: "]);
    assert!(!Path::new(&new).exists());
}
