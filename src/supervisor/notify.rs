//! What children say: sd_notify(3), from the supervisor's side.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use contract::private_datagram;

use super::runtime::make_folder;

/// The longest message that is understood, in bytes.
const MAX_MESSAGE: usize = 4096;
/// Messages read from one child in one turn: a child that floods must not keep the others waiting.
const MAX_PER_TURN: usize = 64;
/// No message is read any more in a turn that has brought so many descriptors.
const MAX_FDS_PER_TURN: usize = 256;
/// The longest name of a descriptor, in bytes.
const MAX_NAME: usize = 255;
/// The name of one that came without a name, or with one that cannot be.
const NO_NAME: &str = "stored";

/// One thing a child said.
#[derive(Debug)]
pub(super) enum Said {
    /// `X_BOUND=1`.
    Bound,
    /// `READY=1`.
    Ready,
    /// `WATCHDOG=1`.
    Alive,
    /// `STATUS=…`.
    Status(String),
    /// `X_WARNING=…`.
    Warning(String),
    /// `STATUS=…` with `ERRNO=…` beside it: why it ends.
    LastWords(String, i32),
    /// `FDSTORE=1` with its `FDNAME=` and descriptors.
    Keep(String, Vec<OwnedFd>),
    /// `FDSTOREREMOVE=1` with its `FDNAME=`.
    Forget(String),
    /// `X_TAKEOVER=…`: it could take over from us, in that format.
    Takeover(u32),
    /// Not a message of the contract.
    Garbage,
}

/// A child's own address: who writes there is that child.
#[derive(Debug)]
pub(super) struct Line {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Line {
    /// Binds `folder/name`, 0600. The folder is made anew if somebody swept it away: a worker must not stay dead for that.
    pub(super) fn open(folder: &Path, name: &str) -> io::Result<Line> {
        let path = folder.join(name);
        let bind = || private_datagram(&path);
        let socket = match bind() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                make_folder(folder)?;
                bind()
            }
            bound => bound,
        };
        let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
        let socket = socket.map_err(named)?;
        socket.set_nonblocking(true)?;
        Ok(Line { socket, path })
    }

    /// One that was opened before an exec.
    pub(super) fn opened_before(socket: OwnedFd, path: PathBuf) -> Line {
        Line { socket: UnixDatagram::from(socket), path }
    }

    pub(super) fn socket(&self) -> &UnixDatagram {
        &self.socket
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What was said since the last call; whether there may be more.
    pub(super) fn read(&self) -> (Vec<Said>, bool) {
        let (mut said, mut buffer, mut fds) = (Vec::new(), [0; MAX_MESSAGE], 0);
        for _ in 0..MAX_PER_TURN {
            if fds >= MAX_FDS_PER_TURN {
                break;
            }
            match sys::fds::receive(self.socket.as_fd(), &mut buffer) {
                Ok(message) if message.truncated => said.push(Said::Garbage),
                Ok(message) => {
                    fds += message.fds.len();
                    parse(&buffer[..message.bytes], message.fds, &mut said);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return (said, false),
            }
        }
        (said, true)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A message is lines of `NAME=value`; names that mean nothing here are allowed, as systemd allows them.
fn parse(message: &[u8], fds: Vec<OwnedFd>, said: &mut Vec<Said>) {
    let Ok(text) = std::str::from_utf8(message) else { return said.push(Said::Garbage) };
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let before = said.len();
    let name = value("FDNAME").filter(|name| is_name(name));
    let is = |name: &str| value(name) == Some("1");
    match (is("FDSTORE"), is("FDSTOREREMOVE")) {
        (true, _) if fds.is_empty() => said.push(Said::Garbage),
        (true, _) => said.push(Said::Keep(name.unwrap_or(NO_NAME).to_owned(), fds)),
        (false, true) => said.push(name.map_or(Said::Garbage, |name| Said::Forget(name.to_owned()))),
        // Closing what came with it is the answer to a barrier.
        (false, false) if fds.is_empty() || is("BARRIER") => {}
        (false, false) => said.push(Said::Garbage),
    }
    let clean = |text: &str| text.chars().filter(|c| !c.is_control()).collect();
    if let Some(warning) = value("X_WARNING") {
        said.push(Said::Warning(clean(warning)));
    }
    if let Some(status) = value("STATUS") {
        let status = clean(status);
        said.push(match value("ERRNO") {
            Some(errno) => Said::LastWords(status, errno.parse().unwrap_or(0)),
            None => Said::Status(status),
        });
    }
    if let Some(format) = value("X_TAKEOVER").and_then(|format| format.parse().ok()) {
        said.push(Said::Takeover(format));
    }
    for (name, what) in [("X_BOUND", Said::Bound), ("READY", Said::Ready), ("WATCHDOG", Said::Alive)] {
        if is(name) {
            said.push(what);
        }
    }
    if said.len() == before && !text.lines().any(|line| line.contains('=')) {
        said.push(Said::Garbage);
    }
}

/// Printable ASCII without a colon, which stands between names in LISTEN_FDNAMES.
fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte == b' ' || (byte.is_ascii_graphic() && byte != b':');
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(message: &str, fds: usize) -> Vec<String> {
        let mut said = Vec::new();
        let fd = || OwnedFd::from(UnixDatagram::unbound().unwrap());
        parse(message.as_bytes(), (0..fds).map(|_| fd()).collect(), &mut said);
        let short = |said: &Said| match said {
            Said::Keep(name, fds) => format!("Keep {} {name}", fds.len()),
            Said::Forget(name) => format!("Forget {name}"),
            Said::Status(text) => format!("Status {text}"),
            Said::Warning(text) => format!("Warning {text}"),
            Said::LastWords(text, errno) => format!("LastWords {text} {errno}"),
            Said::Bound | Said::Ready | Said::Alive | Said::Takeover(_) | Said::Garbage => {
                format!("{said:?}")
            }
        };
        said.iter().map(short).collect()
    }

    #[test]
    fn messages_are_understood_and_everything_else_is_garbage_or_ignored() {
        for (message, fds, expected) in [
            ("READY=1", 0, &["Ready"][..]),
            ("X_BOUND=1\nREADY=1\nWATCHDOG=1\n", 0, &["Bound", "Ready", "Alive"]),
            ("STATUS=all well", 0, &["Status all well"]),
            ("X_WARNING=not\u{7} alone", 0, &["Warning not alone"]),
            ("STATUS=no\u{1b}[31m port\nERRNO=98", 0, &["LastWords no[31m port 98"]),
            ("FDSTORE=1\nFDNAME=udp0\nFDPOLL=0", 1, &["Keep 1 udp0"]),
            ("FDSTORE=1\nFDNAME=two words", 2, &["Keep 2 two words"]),
            ("FDSTORE=1\nFDNAME=udp0", 0, &["Garbage"]),
            ("FDSTORE=1", 1, &["Keep 1 stored"]),
            ("FDSTORE=1\nFDNAME=", 1, &["Keep 1 stored"]),
            ("FDSTORE=1\nFDNAME=a:b", 1, &["Keep 1 stored"]),
            ("FDSTORE=1\nFDNAME=\u{e4}", 1, &["Keep 1 stored"]),
            ("FDSTOREREMOVE=1\nFDNAME=a", 0, &["Forget a"]),
            ("FDSTOREREMOVE=1", 0, &["Garbage"]),
            ("BARRIER=1", 1, &[]),
            ("READY=1", 1, &["Garbage", "Ready"]),
            ("READY=0", 0, &[]),
            ("STOPPING=1\nMAINPID=4", 0, &[]),
            ("READY", 0, &["Garbage"]),
            ("", 0, &["Garbage"]),
        ] {
            assert_eq!(parsed(message, fds), expected, "{message:?}");
        }
        let mut said = Vec::new();
        parse(b"READY=1\xff", Vec::new(), &mut said);
        assert!(matches!(said[..], [Said::Garbage]));
    }

    #[test]
    fn a_name_has_at_most_255_bytes() {
        assert!(is_name(&"x".repeat(MAX_NAME)) && !is_name(&"x".repeat(MAX_NAME + 1)) && !is_name(""));
    }

    #[test]
    fn a_turn_that_brought_many_descriptors_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let line = Line::open(folder.path(), "0.1").unwrap();
        let child = UnixDatagram::unbound().unwrap();
        child.connect(line.path()).unwrap();
        let fds = vec![child.as_fd(); 200];
        for _ in 0..3 {
            sys::fds::send(child.as_fd(), b"FDSTORE=1", &fds, sys::fds::Wait::Never).unwrap();
        }
        let turns = [line.read(), line.read()].map(|(said, more)| (said.len(), more));
        assert_eq!(turns, [(2, true), (1, false)]);
    }

    #[test]
    fn one_turn_reads_a_bounded_number_and_says_that_there_is_more() {
        let folder = tempfile::tempdir().unwrap();
        let line = Line::open(folder.path(), "0.1").unwrap();
        let child = UnixDatagram::unbound().unwrap();
        child.connect(line.path()).unwrap();
        child.set_nonblocking(true).unwrap();
        let mut sent = 0;
        while child.send(b"WATCHDOG=1").is_ok() {
            sent += 1;
        }
        assert!(sent > 0);
        let (said, more) = line.read();
        assert_eq!((said.len(), more), (sent.min(MAX_PER_TURN), sent >= MAX_PER_TURN));
        let path = line.path().to_owned();
        drop(line);
        assert!(!path.exists());
    }
}
