//! Signals held back: they wait in the kernel, where even an exec leaves them, and no handler takes note of them.

use std::io;
use std::thread::{Builder, JoinHandle};

use nix::sys::signal::{SigSet, SigmaskHow};

/// While it is there, no handler runs in this thread, nor ever in one that is started meanwhile.
pub(crate) struct Held(SigSet);

impl Held {
    pub(crate) fn back() -> io::Result<Held> {
        Ok(Held(SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.thread_set_mask(); // refuses nothing but a `how` that it does not know
    }
}

/// Starts a thread beside the loop. It hears no signal: what the main thread holds back must find nobody else.
pub(super) fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let _held = Held::back()?;
    Builder::new().name(name.into()).spawn(work)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::Signal;

    #[test]
    fn a_thread_beside_the_loop_hears_no_signal_and_whoever_starts_it_goes_on_hearing() {
        let before = SigSet::thread_get_mask().unwrap();
        let (tell, told) = crossbeam_channel::bounded(1);
        let look = move || tell.send(SigSet::thread_get_mask().unwrap()).unwrap();
        thread("test", look).unwrap().join().unwrap();
        let its = told.recv().unwrap();
        for signal in [Signal::SIGTERM, Signal::SIGUSR2, Signal::SIGCHLD] {
            assert!(its.contains(signal), "{signal}");
        }
        assert_eq!(SigSet::thread_get_mask().unwrap(), before);
    }
}
