//! The supervisor replaces itself by the binary on disk: same pid, same children, same descriptors.
//!
//! ```text
//!   order ─▶ the binary is opened, and run with --takeover-check beside an offer of our state
//!              │ says X_TAKEOVER=format, exits 0            │ refuses, fails, hangs, is no program
//!              ▼                                            ▼
//!            a steady moment, the log is written          nothing has changed; the reason is told
//!              └─▶ freeze, exec ─▶ thaw
//!                                   └─▶ a reload, so that every role runs the new image
//! ```
//! What is executed is the open file that was checked, whatever lies at its path by then.

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use mio::unix::SourceFd;
use mio::{Interest, Token};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, FcntlArg, FdFlag, fcntl};
use nix::unistd::Pid;

use super::children::{Ending, Printing};
use super::desk::Asker;
use super::handover::{self, FORMATS, VARIABLE};
use super::held::Held;
use super::helper::Helper;
use super::log_writer::LAST_WORDS;
use super::notify::{Line, Said};
use super::tail::Tail;
use super::{Shell, clock, desk, image};
use crate::core::{ClusterState, Tick};
use crate::exit;
use crate::wire::{Answer, LastReload, Trouble};

/// The flag that the check is run with.
pub(crate) const CHECK: &str = "--takeover-check";
/// Token of the check's line.
pub(super) const LINE: Token = Token(3);
/// Token of what the check prints.
const OUTPUT: Token = Token(4);
/// What a binary may take to say that it could take over.
const PATIENCE: Duration = Duration::from_secs(10);
/// The way out of an upgrade that failed.
const TRY_AGAIN: &str = "the cluster runs on as it was; put a working binary there and try again";
/// Why there is no upgrade during a stop, and the way out.
const STOPPING: &str = "the cluster is stopping";
const START_AGAIN: &str = "start it again once it has stopped: it begins as the binary on disk";

/// An upgrade on its way.
pub(super) struct Upgrade {
    askers: Vec<Asker>,
    /// Who asked after the binary was opened, perhaps for another one: its failure is none of theirs.
    later: Vec<Asker>,
    image: OwnedFd,
    step: Step,
}

enum Step {
    /// The new binary looks at what it would get.
    Checking(Helper),
    /// It can take over, in this format: as soon as no start, reload or stop is under way.
    Checked(u32),
    /// The same, once the log's last lines are written, or `until` then: they would go with this image.
    Telling { format: u32, written: Receiver<()>, until: Tick },
}

impl Step {
    /// When it goes on without an event. What keeps us from being `steady` (a store above that does not read, a barrier)
    /// wakes the loop itself: to turn before that would be in vain, again and again.
    fn deadline(&self, steady: bool) -> Option<Tick> {
        match self {
            Step::Checking(helper) => helper.deadline(),
            Step::Checked(_) => steady.then(clock::now),
            Step::Telling { written, until, .. } => {
                steady.then(|| if written.is_empty() { *until } else { clock::now() })
            }
        }
    }
}

impl Upgrade {
    /// Who hears of it when it is done, or overtaken by a stop.
    fn everybody(&self) -> Vec<Asker> {
        self.askers.iter().chain(&self.later).cloned().collect()
    }
}

/// What the new binary says of it.
enum Reply {
    /// It can, in this format.
    Can(u32),
    /// It cannot, and why.
    Cannot(String),
}

impl Reply {
    fn of(said: Said) -> Option<Reply> {
        match said {
            Said::Takeover(format) => Some(Reply::Can(format)),
            Said::LastWords(reason, _) => Some(Reply::Cannot(reason)),
            Said::Bound
            | Said::Ready
            | Said::Alive
            | Said::Status(_)
            | Said::Warning(_)
            | Said::Keep(..)
            | Said::Forget(_)
            | Said::Garbage => None,
        }
    }
}

/// The format that it can go on from, or what it did instead of saying so and leaving in peace.
fn judge(reply: Option<Reply>, ending: Ending, late: bool) -> Result<u32, String> {
    match (reply, ending) {
        (Some(Reply::Can(format)), Ending::Code(0)) if FORMATS.contains(&format) => Ok(format),
        (None | Some(Reply::Can(_) | Reply::Cannot(_)), Ending::Code(_) | Ending::Signal(_)) if late => {
            Err(format!("did not say within {} s that it can", PATIENCE.as_secs()))
        }
        (Some(Reply::Cannot(reason)), Ending::Code(_) | Ending::Signal(_)) => {
            Err(format!("cannot: {reason}"))
        }
        (None, Ending::Code(sys::process::EXIT_NO_EXEC)) => {
            Err("could not be executed: it is not a program for this machine, or is still being written"
                .into())
        }
        (None, Ending::Code(_) | Ending::Signal(_)) => {
            Err(format!("{ending} without a word about it: is it an atlas-cluster?"))
        }
        (Some(Reply::Can(format)), Ending::Code(_) | Ending::Signal(_)) => {
            Err(format!("{ending} after it said that it can, in format {format}"))
        }
    }
}

impl Shell {
    /// Begins an upgrade, or lets one more wait for the one on its way.
    pub(super) fn order_upgrade(&mut self, asker: Asker) {
        let Some(upgrade) = &mut self.upgrade else { return self.begin_upgrade(vec![asker]) };
        if desk::join(&mut upgrade.later, &asker) {
            log::info!("upgrade ordered while one is under way: another one follows if that fails");
        } else {
            self.refuse_to_wait(&asker, "an upgrade");
        }
    }

    fn begin_upgrade(&mut self, askers: Vec<Asker>) {
        if self.fleet.state() == ClusterState::Stopping {
            return self.tell_upgrade_failed(&askers, STOPPING, START_AGAIN);
        }
        let binary = self.binary.display().to_string();
        log::info!("upgrade ordered: asking {binary} whether it can take over");
        let begun = image::open(&self.binary)
            .map_err(|unfit| unfit.to_string())
            .and_then(|image| Ok((self.begin_check(&image).map_err(|e| e.to_string())?, image)));
        match begun {
            Ok((step, image)) => self.upgrade = Some(Upgrade { askers, later: Vec::new(), image, step }),
            Err(why) => self.tell_upgrade_failed(&askers, &format!("cannot run {binary}: {why}"), TRY_AGAIN),
        }
    }

    /// It is over; who asked later gets an upgrade of his own, of what lies there now.
    fn give_up(&mut self, upgrade: Upgrade, why: &str) {
        let Upgrade { askers, later, step, .. } = upgrade;
        drop(step); // the next check has a line of the same name
        self.tell_upgrade_failed(&askers, why, TRY_AGAIN);
        if !later.is_empty() {
            self.begin_upgrade(later);
        }
    }

    fn begin_check(&self, image: &OwnedFd) -> io::Result<Step> {
        let line = Line::open(self.children.notify_folder(), "takeover")?;
        let (state, _) = self.freeze(&[]);
        let offers: Vec<(String, OwnedFd)> = FORMATS
            .iter()
            .map(|&format| Ok((format!("state{format}"), handover::sealed(&state.write(format)?)?)))
            .collect::<io::Result<_>>()?;
        let descriptors: Vec<(String, BorrowedFd<'_>)> =
            offers.iter().map(|(name, fd)| (name.clone(), fd.as_fd())).collect();
        let arguments = ["atlas-cluster".into(), CHECK.into()].into_iter();
        let arguments: Vec<OsString> = arguments.chain(std::env::args_os().skip(1)).collect();
        let environment = vec![("NODE_APP_INSTANCE".into(), "0".into())];
        // Not where we print: whatever lies there may print what it likes.
        let (tail, output) = Tail::open(self.poll.registry(), OUTPUT)?;
        let printing = Printing { image: image.as_fd(), output: Some(output.as_fd()) };
        let pid = self.children.execute(printing, &arguments, &line, &descriptors, environment)?;
        let fd = line.socket().as_raw_fd();
        self.poll.registry().register(&mut SourceFd(&fd), LINE, Interest::READABLE)?;
        Ok(Step::Checking(Helper::new(pid, line, tail, PATIENCE)))
    }

    /// When there is something to be done without an event.
    pub(super) fn upgrade_deadline(&self) -> Option<Tick> {
        self.upgrade.as_ref()?.step.deadline(self.is_steady())
    }

    /// A process that is no run has ended: the check, if it is that.
    pub(super) fn end_check(&mut self, dead: Pid, ending: Ending) {
        let Some(Upgrade { step: Step::Checking(helper), .. }) = &mut self.upgrade else { return };
        if helper.pid() != dead {
            return;
        }
        let (said, printed) = helper.last_words();
        let reply = said.into_iter().filter_map(Reply::of).next_back();
        let printed = printed.filter(|_| reply.is_none());
        let printed = printed.map(|line| format!(" (it printed: {line})")).unwrap_or_default();
        let judgement = judge(reply, ending, helper.is_late()).map_err(|why| why + &printed);
        let Some(mut upgrade) = self.upgrade.take() else { return };
        match judgement {
            Ok(format) => {
                upgrade.step = Step::Checked(format);
                self.upgrade = Some(upgrade);
            }
            Err(why) => {
                let what = format!("{} was asked whether it can take over, and {why}", self.binary.display());
                self.give_up(upgrade, &what);
            }
        }
    }

    /// The step that an upgrade can take now. It does not return if that is the last one.
    pub(super) fn advance_upgrade(&mut self) {
        let Some(upgrade) = &mut self.upgrade else { return };
        match &mut upgrade.step {
            Step::Checking(helper) => helper.watch(),
            Step::Checked(format) => {
                let format = *format;
                if self.is_steady() {
                    self.tell_and_wait(format);
                }
            }
            Step::Telling { format, written, until } => {
                let (format, told) = (*format, !written.is_empty() || *until <= clock::now());
                if told && self.is_steady() {
                    self.become_the_next(format);
                }
            }
        }
    }

    /// Nothing is under way that the next image would not find again.
    fn is_steady(&self) -> bool {
        self.fleet.is_steady()
            && self.events.is_empty()
            && self.kept.above.is_idle()
            && self.closing.is_idle()
    }

    fn tell_and_wait(&mut self, format: u32) {
        log::info!("{} can take over, and does", self.binary.display());
        let (tell, written) = bounded(1);
        let waker = self.closing.waker();
        self.log.when_written(move || {
            let _ = tell.send(());
            let _ = waker.wake();
        });
        if let Some(upgrade) = &mut self.upgrade {
            upgrade.step = Step::Telling { format, written, until: clock::now().after(LAST_WORDS) };
        }
    }

    /// A stop overtakes an upgrade.
    pub(super) fn forget_upgrade(&mut self) {
        if let Some(upgrade) = self.upgrade.take() {
            if let Step::Checking(helper) = &upgrade.step {
                helper.kill();
            }
            self.tell_upgrade_failed(&upgrade.everybody(), STOPPING, START_AGAIN);
        }
    }

    /// Signals are held back from here on, so that the next image hears them; those that a handler has noted before are
    /// known to this one alone: they come first, and the upgrade waits for a later turn.
    fn become_the_next(&mut self, format: u32) {
        self.health.end_all();
        let held = Held::back();
        let noted = self.noted_signals();
        if !noted.is_empty() {
            drop(held);
            return self.act_on(noted);
        }
        let Some(upgrade) = self.upgrade.take() else { return };
        let error = match held.and_then(|_held| self.replace(&upgrade, format)) {
            Ok(never) => match never {},
            Err(e) => e,
        };
        let what = format!("cannot execute {}: {error}", self.binary.display());
        self.give_up(upgrade, &what);
        self.reap(); // whoever died since this turn's reaping: his signal was taken above
    }

    /// Becomes the new image; what comes back is why not, and then everything is as before. Signals are held back.
    fn replace(&self, upgrade: &Upgrade, format: u32) -> io::Result<std::convert::Infallible> {
        let askers = upgrade.everybody();
        let (state, packing) = self.freeze(&askers);
        let text = handover::sealed(&state.write(format)?)?;
        let variable =
            (OsString::from(VARIABLE), format!("{}:{}", std::process::id(), text.as_raw_fd()).into());
        let environment = std::env::vars_os().filter(|(name, _)| *name != *VARIABLE).chain([variable]);
        let environment: Vec<CString> = environment
            .map(|(name, value)| c_string(&[name.as_bytes(), b"=", value.as_bytes()].concat()))
            .collect::<io::Result<_>>()?;
        let arguments: Vec<CString> =
            std::env::args_os().map(|argument| c_string(argument.as_bytes())).collect::<io::Result<_>>()?;
        let keep = |flag: FdFlag| {
            let mut all = packing.descriptors().chain([text.as_fd()]);
            all.try_for_each(|fd| fcntl(fd, FcntlArg::F_SETFD(flag)).map(drop))
        };
        let result = keep(FdFlag::empty()).and_then(|()| {
            nix::unistd::execveat(&upgrade.image, c"", &arguments, &environment, AtFlags::AT_EMPTY_PATH)
        });
        let _ = keep(FdFlag::FD_CLOEXEC);
        result.map_err(io::Error::from)
    }

    fn tell_upgrade_failed(&mut self, askers: &[Asker], why: &str, hint: &str) {
        log::error!("upgrade failed, nothing was changed: {why}");
        let report = LastReload {
            result: "failed".into(),
            generation: self.fleet.generation().0,
            error: Some(why.to_owned()),
        };
        let error = Trouble { message: why.to_owned(), hint: Some(hint.to_owned()), exit: exit::FAILED };
        for asker in askers {
            if let Asker::Client(client) = *asker {
                let answer =
                    Answer { reload: Some(report.clone()), error: Some(error.clone()), ..Answer::default() };
                self.control.answer(client, answer, Vec::new());
            }
        }
    }
}

fn c_string(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| Errno::EINVAL.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::Signal;

    #[test]
    fn the_loop_turns_for_an_upgrade_only_when_it_can_go_on() {
        let (tell, written) = bounded(1);
        let late = Tick(u64::MAX);
        let telling = Step::Telling { format: 1, written, until: late };
        assert_eq!((Step::Checked(1).deadline(false), telling.deadline(false)), (None, None));
        assert!(Step::Checked(1).deadline(true).is_some_and(|due| due <= clock::now()));
        assert_eq!(telling.deadline(true), Some(late));
        tell.send(()).unwrap();
        assert!(telling.deadline(true).is_some_and(|due| due <= clock::now()), "it is written");
        assert_eq!(telling.deadline(false), None);
    }

    #[test]
    fn only_one_that_says_so_and_leaves_in_peace_takes_over() {
        let (can, cannot) = (|format| Some(Reply::Can(format)), Some(Reply::Cannot("no".into())));
        let killed = Ending::Signal(Signal::SIGKILL as i32);
        for (reply, ending, late, judgement) in [
            (can(1), Ending::Code(0), false, Ok(1)),
            (can(1), Ending::Code(0), true, Ok(1)),
            (can(1), killed, false, Err("killed by SIGKILL after it said that it can, in format 1")),
            (can(1), killed, true, Err("did not say within 10 s that it can")),
            (
                can(99),
                Ending::Code(0),
                false,
                Err("exited with code 0 after it said that it can, in format 99"),
            ),
            (cannot, Ending::Code(1), false, Err("cannot: no")),
            (
                None,
                Ending::Code(127),
                false,
                Err("could not be executed: it is not a program for this machine, or is still being written"),
            ),
            (
                None,
                Ending::Code(0),
                false,
                Err("exited with code 0 without a word about it: is it an atlas-cluster?"),
            ),
            (None, killed, true, Err("did not say within 10 s that it can")),
        ] {
            assert_eq!(judge(reply, ending, late), judgement.map_err(str::to_owned));
        }
    }
}
