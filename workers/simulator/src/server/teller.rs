//! Lines for whoever watches: few, whatever the clients do.

use std::time::Duration;

use contract::counted;

/// The most lines in one second; the rest is counted.
const A_SECOND: u32 = 10;

/// Where lines go.
pub type Tell = Box<dyn FnMut(&str) + Send>;

/// Tells what happens, with the time since the start before it.
pub(super) struct Teller {
    tell: Tell,
    /// The second under way, and the lines in it.
    second: (u64, u32),
}

impl Teller {
    pub(super) fn new(tell: Tell) -> Teller {
        Teller { tell, second: (0, 0) }
    }

    pub(super) fn say(&mut self, now: Duration, line: &str) {
        if self.second.0 != now.as_secs() {
            let left_out = self.second.1.saturating_sub(A_SECOND);
            self.second = (now.as_secs(), 0);
            if left_out > 0 {
                (self.tell)(&format!(
                    "{:9.3} s  and {} more in that second",
                    now.as_secs_f64(),
                    counted(left_out.into(), "line")
                ));
            }
        }
        self.second.1 += 1;
        if self.second.1 <= A_SECOND {
            (self.tell)(&format!("{:9.3} s  {line}", now.as_secs_f64()));
        }
    }
}
