//! `--watch` on a real terminal: whatever ends or stops it gives the terminal back.

use harness::{Terminal, cluster};
use nix::sys::signal::Signal;

const WATCHES: [&[&str]; 2] = [&["list", "--watch"], &["meters", "--watch"]];

#[track_caller]
fn expect_drawn(screen: &Terminal) {
    screen.expect("it is drawn", |text| {
        screen.is_taken() && (text.contains("atlas-cluster online") || text.contains("no processor"))
    });
}

#[test]
fn whatever_ends_it_gives_the_terminal_back() {
    let cluster = cluster!().workers(2).start();
    for watch in WATCHES {
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
            let mut screen = cluster.on_a_terminal(watch, (80, 24), |_| ());
            expect_drawn(&screen);
            screen.signal(signal);
            assert_eq!(screen.wait_for_end(), Some(0), "{watch:?} {signal}");
            screen.expect_given_back();
        }
    }
}

#[test]
fn it_stops_and_goes_on_as_a_shell_wants() {
    let cluster = cluster!().workers(2).start();
    for watch in WATCHES {
        let screen = cluster.on_a_terminal(watch, (80, 24), |_| ());
        for _ in 0..2 {
            expect_drawn(&screen);
            screen.press("\u{1a}").expect_stopped().expect_given_back();
            screen.signal(Signal::SIGCONT);
        }
        expect_drawn(&screen);
    }
}
