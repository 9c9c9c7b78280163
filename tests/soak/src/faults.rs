//! The faults: what each is called, how it is performed, and what is to be seen of it afterwards.

use harness::Output;
use nix::sys::signal::Signal::{SIGKILL, SIGSEGV, SIGSTOP, SIGTERM};

use crate::squatter::Loot;
use crate::stage::Stage;

/// A row of the table.
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) perform: fn(&mut Stage) -> Hit,
    /// Panics if the fault did not happen, or if what should follow does not.
    pub(crate) expect: fn(&Stage, &Hit),
}

/// Whom a fault has hit, or what came of it.
pub(crate) enum Hit {
    Worker(usize),
    Everybody,
    Answer(Output),
    Squat(Output, Loot),
}

/// Each kind.
pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "SIGKILL",
        perform: |stage| stage.signal_any_worker(SIGKILL),
        expect: |stage, hit| stage.expect_death(hit, "SIGKILL", "killed by SIGKILL"),
    },
    Fault {
        name: "SIGKILL amid a backlog",
        perform: Stage::kill_amid_backlog,
        expect: |stage, hit| stage.expect_death(hit, "SIGKILL", "killed by SIGKILL"),
    },
    Fault {
        name: "SIGKILL again and again",
        perform: Stage::kill_into_backoff,
        expect: |stage, hit| stage.expect_death(hit, "SIGKILL", "unstable runs in a row"),
    },
    Fault {
        name: "SIGSEGV",
        perform: |stage| stage.crash_any_worker(SIGSEGV),
        expect: |stage, hit| stage.expect_death(hit, "SIGSEGV", "killed by SIGSEGV"),
    },
    Fault {
        name: "SIGTERM from outside",
        perform: |stage| stage.signal_any_worker(SIGTERM),
        expect: |stage, hit| stage.expect_death(hit, "code 0", "exited with code 0"),
    },
    Fault {
        name: "SIGSTOP until the watchdog",
        perform: |stage| stage.signal_any_worker(SIGSTOP),
        expect: |stage, hit| stage.expect_death(hit, "SIGKILL", "no sign of life"),
    },
    Fault {
        name: "a datagram that hangs",
        perform: |stage| stage.send_fault("hang"),
        expect: |stage, hit| stage.expect_death(hit, "SIGKILL", "no sign of life"),
    },
    Fault {
        name: "a datagram that aborts",
        perform: |stage| stage.send_fault("abort"),
        expect: |stage, hit| stage.expect_death(hit, "SIGABRT", "killed by SIGABRT"),
    },
    Fault {
        name: "a datagram that fattens",
        perform: |stage| stage.send_fault("fat"),
        expect: |stage, hit| stage.expect_death(hit, "code 0", "more memory than max_memory_restart"),
    },
    Fault {
        name: "restart of one worker",
        perform: Stage::restart_one,
        expect: |stage, hit| stage.expect_replaced(hit),
    },
    Fault {
        name: "restart of all workers",
        perform: |stage| stage.command(&["restart"]),
        expect: |stage, hit| stage.expect_all_replaced(hit),
    },
    Fault {
        name: "scaling",
        perform: Stage::scale_about,
        expect: |stage, hit| stage.expect_scaled_back(hit),
    },
    Fault {
        name: "SIGKILL amid scaling",
        perform: Stage::kill_amid_scaling,
        expect: |stage, hit| stage.expect_scaled_back(hit),
    },
    Fault {
        name: "reload by SIGHUP",
        perform: |stage| stage.hang_up(1),
        expect: |stage, hit| stage.expect_reloaded(hit),
    },
    Fault {
        name: "burst of SIGHUPs",
        perform: |stage| stage.hang_up(20),
        expect: |stage, hit| stage.expect_reloaded(hit),
    },
    Fault {
        name: "reload by command",
        perform: |stage| stage.command(&["reload", "--json"]),
        expect: |stage, hit| stage.expect_reloaded(hit),
    },
    Fault {
        name: "reload of a bad file",
        perform: Stage::reload_bad_file,
        expect: |stage, hit| stage.expect_untouched(hit, 2, "refused"),
    },
    Fault {
        name: "reload, an heir fails",
        perform: Stage::reload_failing_heir,
        expect: |stage, hit| stage.expect_untouched(hit, 1, "failed"),
    },
    Fault {
        name: "pause of the supervisor",
        perform: Stage::pause_supervisor,
        expect: |stage, _| stage.expect_same_processes(),
    },
    Fault {
        name: "a squatter",
        perform: Stage::let_squat,
        expect: |stage, hit| stage.expect_squatter_refused(hit),
    },
];
