//! Where the simulated processor of `--demo` takes commands: at a port that the kernel chose, told in a page of memory
//! that the simulator and link both see.
//!
//! No number is fixed, so two demos never meet; the page outlives both processes, as the listening socket does.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;

use sys::map::Mapping;

use crate::Lent;

/// Size of the page.
const BYTES: usize = 4096;
/// The page, as the cluster lends it.
pub const DEMO: Lent = Lent { name: "demo", bytes: BYTES, head: Vec::new };

/// The page, mapped.
pub struct DemoPort(Mapping);

impl DemoPort {
    /// Maps it.
    ///
    /// # Errors
    /// What mmap(2) says.
    pub fn of(page: BorrowedFd<'_>) -> io::Result<DemoPort> {
        Ok(DemoPort(Mapping::new(page, BYTES)?))
    }

    /// The TCP port; None before the first simulator listened.
    #[must_use]
    pub fn get(&self) -> Option<u16> {
        let word = self.0.words().first()?.load(Ordering::Acquire);
        u16::try_from(word).ok().filter(|port| *port != 0)
    }

    /// Tells it: the listening socket is there.
    pub fn tell(&self, port: u16) {
        if let Some(word) = self.0.words().first() {
            word.store(u64::from(port), Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn one_tells_the_other() {
        let page = sys::map::segment(DEMO.name, &(DEMO.head)(), BYTES, false).unwrap();
        let [one, other] = [(); 2].map(|()| DemoPort::of(page.as_fd()).unwrap());
        assert_eq!(other.get(), None);
        one.tell(5321);
        assert_eq!(other.get(), Some(5321));
        one.0.words()[0].store(1 << 20, Ordering::Relaxed);
        assert_eq!(other.get(), None, "what stands there is input, not truth");
    }
}
