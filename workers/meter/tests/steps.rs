//! The worker killed after every single instruction of a batch: whatever it was at, its successors finish each datagram
//! once, and every counter is exact.
//!
//! A tracer lets a real worker process make `k` instructions (ptrace(2), PTRACE_SINGLESTEP; a system call is one) and
//! kills it; a fresh process takes the slot over and does the rest. So for each k, until the batch is done. The gate takes
//! every instruction around each system call and each change of the ring's control words, and a sample of the others;
//! `STEPS=all` takes every one (with `--profile soak` as in a release).

mod stepper;

use nix::sys::signal::Signal;
use stepper::{Scene, Trial, explore};

const METER: &str = r#"{"method":"update","params":[{"param":"ZoneMeter_1","val":-23.5}],"seq":"#;

fn meter(seq: u64, extra: &str) -> Vec<u8> {
    format!("{METER}{seq}{extra}}}").into_bytes()
}

/// A meter, an empty one, another meter.
fn healthy() -> Vec<Vec<u8>> {
    vec![meter(0, ""), Vec::new(), meter(1, "")]
}

/// The third kills whoever reads it.
fn poisonous() -> Vec<Vec<u8>> {
    vec![meter(0, ""), Vec::new(), meter(1, r#","fault":"poison""#), meter(2, "")]
}

const RECEIVING: Scene = Scene {
    name: "receiving",
    datagrams: healthy,
    deaths_before: 0,
    traced: "receive",
    dies_of: Signal::SIGKILL,
    sample: 150,
};

#[test]
fn a_batch_is_exact_wherever_in_it_its_receiver_dies() {
    explore(&RECEIVING, |trial: &Trial| {
        assert_eq!((trial.marked, trial.poison_deaths), (2, 0));
        assert_eq!((trial.meter, trial.malformed, trial.quarantined, trial.records), (2, 1, 0, 0));
    });
}

#[test]
fn one_fault_condemns_nobody_wherever_it_happens() {
    let scene = Scene { name: "a fault", dies_of: Signal::SIGSEGV, sample: 50, ..RECEIVING };
    explore(&scene, |trial: &Trial| {
        assert_eq!((trial.marked, trial.poison_deaths), (2, 0));
        assert_eq!((trial.meter, trial.malformed, trial.quarantined, trial.records), (2, 1, 0, 0));
    });
}

#[test]
fn a_first_suspicion_is_no_judgement_wherever_in_it_its_holder_dies() {
    let scene = Scene {
        name: "suspecting",
        datagrams: poisonous,
        deaths_before: 1,
        traced: "all",
        sample: 80,
        ..RECEIVING
    };
    explore(&scene, |trial: &Trial| {
        assert!((2..=3).contains(&trial.poison_deaths), "never aside before the second death: {trial:?}");
        assert_eq!(trial.marked, 2);
        assert_eq!((trial.meter, trial.malformed, trial.quarantined, trial.records), (2, 1, 1, 1));
    });
}

#[test]
fn a_datagram_is_put_aside_once_wherever_in_it_its_judge_dies() {
    let scene = Scene {
        name: "putting aside",
        datagrams: poisonous,
        deaths_before: 2,
        traced: "all",
        sample: 30,
        ..RECEIVING
    };
    explore(&scene, |trial: &Trial| {
        assert_eq!((trial.marked, trial.poison_deaths), (2, 2));
        assert_eq!((trial.meter, trial.malformed, trial.quarantined, trial.records), (2, 1, 1, 1));
    });
}
