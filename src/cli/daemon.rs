//! `--daemon`: the supervisor is started in a session of its own; this command waits until it is online.

use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::client::Client;
use super::error::Error;
use super::logs;
use super::progress::{Wait, during};
use super::terminal::print;
use super::text::clean_lines;
use crate::exit::{DONE, FAILED};
use crate::wire::{Begun, MAX_ANSWER, STARTER, Trouble};

/// Log lines that are shown of a start that failed.
const LAST_LINES: usize = 20;

/// Starts this very program again, with the same arguments, in the background; gives the exit code. What it waits for is
/// asked in `runtime_dir`.
///
/// `held` is what holds signals back: the supervisor hears them from its first moment on, so it inherits that; but whoever
/// only waits for it ends by them.
pub(crate) fn start(runtime_dir: &Path, held: impl Sized) -> u8 {
    let begun = begin();
    drop(held);
    let done = begun.and_then(|child| wait(child, &Client::new(runtime_dir)));
    super::conclude(done.map_err(Error::of_order))
}

fn begin() -> Result<Child, Error> {
    let cannot = |e: std::io::Error| {
        let message = format!("cannot start the supervisor in the background: {e}");
        Error::Refused(Trouble { message, hint: None, exit: FAILED })
    };
    // Whatever our shell left open stays here.
    sys::fds::close_at_exec(sys::process::FIRST_FD).map_err(cannot)?;
    let mut arguments = std::env::args_os();
    let mut command = Command::new("/proc/self/exe");
    command.arg0(arguments.next().unwrap_or_default()).args(arguments);
    command.env(STARTER, std::process::id().to_string());
    contract::ADDRESSED.iter().for_each(|name| _ = command.env_remove(name));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(cannot)
}

fn wait(mut child: Child, client: &Client) -> Result<u8, Error> {
    let before = jiff::Timestamp::now();
    let mut word = Vec::new();
    if let Some(line) = child.stdout.take() {
        // Its end is as good as a word.
        let hear = || line.take(MAX_ANSWER as u64).read_to_end(&mut word);
        let _ = during(client, Wait::Start(child.id()), hear);
    }
    match serde_json::from_slice::<Begun>(&word) {
        Ok(Begun { pid, logs, trouble: None }) => {
            print(&format!("cluster online: pid {pid}, logs in {}\n", clean_lines(&logs)))?;
            Ok(DONE)
        }
        Ok(Begun { logs, trouble: Some(trouble), .. }) => {
            let _ = child.wait();
            let exit = trouble.exit;
            super::complain(&Error::Refused(trouble).report());
            let last = logs::last_lines(Path::new(&logs), LAST_LINES, before);
            if !last.is_empty() {
                super::complain(&format!("the last lines in {}:\n{last}", clean_lines(&logs)));
            }
            Ok(exit)
        }
        Err(_) => ended(&mut child),
    }
}

/// It has ended without a word to us: what there was to say it has said on standard error.
fn ended(child: &mut Child) -> Result<u8, Error> {
    let refused = |message: String| {
        let hint = Some("without --daemon it tells what it does".into());
        Err(Error::Refused(Trouble { message, hint, exit: FAILED }))
    };
    match child.wait() {
        Ok(status) => match (status.code().and_then(|code| u8::try_from(code).ok()), status.signal()) {
            (Some(DONE), _) => refused("the cluster was stopped before it was online".into()),
            (Some(code), _) => Ok(code),
            (None, Some(signal)) => {
                refused(format!("the supervisor was killed by {}", sys::wait::signal_name(signal)))
            }
            (None, None) => refused(format!("the supervisor ended: {status}")),
        },
        Err(e) => refused(format!("cannot wait for the supervisor: {e}")),
    }
}
