//! What a process writes to a pipe, kept by a thread.

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    ended: bool,
}

impl Log {
    /// Reads until every process that has this pipe is gone.
    pub(crate) fn of(mut pipe: impl Read + Send + 'static) -> Log {
        let log = Log::default();
        let kept = Arc::clone(&log.kept);
        thread::spawn(move || {
            let mut buffer = [0; 8192];
            loop {
                let read = pipe.read(&mut buffer).unwrap_or(0);
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.bytes.extend_from_slice(&buffer[..read]);
                kept.ended = read == 0;
                if kept.ended {
                    return;
                }
            }
        });
        log
    }

    pub(crate) fn text(&self) -> String {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept.bytes).into_owned()
    }

    /// Whether nobody can write to it any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).ended
    }
}
