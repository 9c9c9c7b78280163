//! nginx's stream module: a session for each datagram, thrown away.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::script::output_to;
use crate::port;
use crate::process;
use crate::site::Site;
use crate::subject::{Guarded, Subject};
use crate::trouble::{Trouble, cannot};

/// It runs.
pub(crate) struct Nginx {
    child: Guarded,
    address: SocketAddr,
    /// Where `stub_status` answers.
    status: PathBuf,
    started_in: Duration,
    _folder: TempDir,
}

impl Nginx {
    pub(crate) fn start(site: &Site, workers: usize) -> Result<Nginx, Trouble> {
        let (folder, address) = (site.new_folder()?, port::free()?);
        let (config, log) = (folder.path().join("nginx.conf"), folder.path().join("log"));
        let template =
            fs::read_to_string(site.peers.join("nginx.conf")).map_err(cannot("read nginx.conf"))?;
        let text = template
            .replace("{module}", &site.nginx_stream.to_string_lossy())
            .replace("{workers}", &workers.to_string())
            .replace("{folder}", &folder.path().to_string_lossy())
            .replace("{port}", &address.port().to_string())
            .replace("{room}", &port::room().to_string());
        fs::write(&config, text).map_err(cannot("write nginx.conf"))?;
        let mut command = site.command(&site.nginx);
        command.arg("-p").arg(folder.path()).args(["-e", "stderr", "-c"]).arg(&config);
        output_to(&mut command, &log)?;
        let (mut child, began) = Guarded::launch(&mut command)?;
        let (pid, status) = (child.pid(), folder.path().join("status"));
        let ready = || {
            let bound = port::queue(address).is_ok_and(|queue| queue.sockets == workers);
            (bound && process::tree(pid).len() > workers && accepted(&status).is_ok()).then_some(())
        };
        child.wait_for("nginx", ready, || fs::read_to_string(&log).unwrap_or_default())?;
        Ok(Nginx { child, address, status, started_in: began.elapsed(), _folder: folder })
    }
}

/// What `stub_status` counts as accepted, its own requests taken out: a datagram of a new session is one of them.
fn accepted(status: &PathBuf) -> Result<u64, Trouble> {
    let doing = format!("ask nginx at {}", status.display());
    let ask = || {
        let mut stream = UnixStream::connect(status)?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    };
    let answer = ask().map_err(cannot(doing))?;
    parse(&answer).ok_or_else(|| Trouble::broken("nginx's status is not as known", answer))
}

/// The line below "server accepts handled requests": each connection of ours makes one request.
fn parse(answer: &str) -> Option<u64> {
    let line = answer.lines().skip_while(|line| !line.starts_with("server accepts")).nth(1)?;
    let numbers: Vec<u64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
    let [accepts, _, requests] = numbers[..] else { return None };
    accepts.checked_sub(requests)
}

impl Subject for Nginx {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn roots(&self) -> Vec<i32> {
        vec![self.child.pid()]
    }

    fn received(&mut self) -> Result<u64, Trouble> {
        accepted(&self.status)
    }

    fn started_in(&self) -> Duration {
        self.started_in
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_are_what_was_accepted_without_our_own_requests() {
        let answer = "HTTP/1.1 200 OK\r\n\r\nActive connections: 1 \nserver accepts handled requests\n 1002 1002 2 \nReading: 0\n";
        assert_eq!(parse(answer), Some(1000));
        assert_eq!(parse("HTTP/1.1 404"), None);
    }
}
