//! Panics as answers: the harness panics when something is not as it should be, and a soak still has a table to show.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};

thread_local! {
    static ATTEMPTING: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// From now on a panic within [`attempt`] says nothing by itself.
pub(crate) fn prepare() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if ATTEMPTING.get() {
            let place = panic.location().map(ToString::to_string);
            PLACE.set(place.unwrap_or_default());
        } else {
            usual(panic);
        }
    }));
}

/// Does it; what the panic said and where, if there was one.
pub(crate) fn attempt<T>(act: impl FnOnce() -> T) -> Result<T, String> {
    ATTEMPTING.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(act));
    ATTEMPTING.set(false);
    result.map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it failed");
        format!("{text} ({})", PLACE.take())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_panic_said_is_the_answer() {
        prepare();
        assert_eq!(attempt(|| 7), Ok(7));
        let why = attempt(|| assert_eq!(1 + 1, 3, "sums")).unwrap_err();
        assert!(why.contains("sums") && why.contains("attempt.rs:"), "{why}");
        assert!(attempt(|| panic!("plain")).is_err_and(|why: String| why.starts_with("plain (")));
    }
}
