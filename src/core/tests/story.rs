//! The story of a world, one line an event: what happened, and what the core made of it. `seeds.rs` tells one.

use super::super::*;

/// What happened; a sign of life and the clock are worth a line only if something comes of them.
pub(super) struct Cause {
    text: String,
    dull: bool,
}

pub(super) fn cause(event: &Event) -> Cause {
    Cause { text: happened(event), dull: matches!(event, Event::Alive(_) | Event::Clock) }
}

pub(super) fn line(now: Tick, cause: &Cause, actions: &[Action]) -> Option<String> {
    let effects: Vec<String> = actions.iter().map(effect).collect();
    let (seconds, text) = (now.0 as f64 / 1e9, &cause.text);
    let line = || format!("{seconds:>9.3}  {text:<24} {}", effects.join(", ")).trim_end().to_owned();
    (!cause.dull || !actions.is_empty()).then(line)
}

/// One row of `list`.
pub(super) fn row(view: &SlotView) -> String {
    let SlotView { slot, status, run, generation, restarts, .. } = view;
    let run = run.map_or("-".into(), |run| run.0.to_string());
    let heir = view
        .heir
        .as_ref()
        .map_or(String::new(), |heir| format!(", heir run {} {:?}", heir.run.0, heir.status));
    format!("{slot}: {status:?}, run {run} gen {}, {restarts} restarts{heir}", generation.0)
}

fn happened(event: &Event) -> String {
    match event {
        Event::Bound(run) => format!("{} is bound", run.0),
        Event::Ready(run) => format!("{} READY", run.0),
        Event::Healthy(run) => format!("{} is well", run.0),
        Event::NeverHealthy(run) => format!("{} will never be well", run.0),
        Event::Alive(run) => format!("{} is alive", run.0),
        Event::TooFat(run) => format!("{} is too fat", run.0),
        Event::Exited(run) => format!("{} exited", run.0),
        Event::Finished(run) => format!("{} exited and is done", run.0),
        Event::Closed(slot) => format!("{slot} is closed"),
        Event::StillQueued { slot, bytes: Some(bytes) } => format!("{slot} has {bytes} bytes"),
        Event::StillQueued { slot, bytes: None } => format!("{slot} has half a batch"),
        Event::Clock => "the clock".into(),
        Event::Order(ticket, order) => match order {
            Order::Scale(scale) => format!("#{} scale {scale:?}", ticket.0),
            Order::Reload { generation, plan } => {
                format!(
                    "#{} reload gen {}, {} + roles {:b}",
                    ticket.0, generation.0, plan.workers, plan.roles.0
                )
            }
            Order::Restart(slots) => {
                let names: Vec<String> = slots.iter().map(ToString::to_string).collect();
                format!("#{} restart [{}]", ticket.0, names.join(", "))
            }
            Order::Stop { now } => format!("#{} stop{}", ticket.0, if *now { " now" } else { "" }),
        },
    }
}

fn effect(action: &Action) -> String {
    match action {
        Action::Spawn { slot, run, generation, heir } => {
            let who = if *heir { "heir" } else { "spawn" };
            format!("{who} {} of {slot} gen {}", run.0, generation.0)
        }
        Action::Signal(run, Sig::Term) => format!("TERM {}", run.0),
        Action::Signal(run, Sig::Kill) => format!("KILL {}", run.0),
        Action::Steer { bound, mask } => format!("steer {mask:0width$b}", width = usize::from(*bound)),
        Action::Close(slot) => format!("close {slot}"),
        Action::Abandon(slot) => format!("abandon {slot}"),
        Action::Answer(ticket, outcome) => format!("#{} {outcome:?}", ticket.0),
        Action::Tell(news) => format!("\"{}\"", told(news)),
        Action::Gone(verdict) => format!("gone: {verdict:?}"),
    }
}

fn told(news: &News) -> String {
    match news {
        News::Online { slot, run, .. } => format!("{slot} online with {}", run.0),
        News::Drains { slot, run } => format!("{slot} is drained by {}", run.0),
        News::AllOnline => "all online".into(),
        News::Waiting { slot, delay, unstable, .. } => {
            format!("{slot} waits {delay:?} after {unstable} unstable")
        }
        News::RestartNow { slot, run } => format!("{slot} restarts at once after {}", run.0),
        News::Errored { slot, unstable } => format!("{slot} errored after {unstable} unstable"),
        News::Finished { slot, run } => format!("{slot} stays empty after {}", run.0),
        News::Silent { run, .. } => format!("{} is silent", run.0),
        News::TooLate { run, .. } => format!("{} is late", run.0),
        News::KillTimeout { run, .. } => format!("{} did not leave", run.0),
        News::TooFat { run, .. } => format!("{} is too fat", run.0),
        News::ReloadStarted(generation) => format!("gen {} prepares", generation.0),
        News::ReloadCommitted(generation) => format!("gen {} takes over", generation.0),
        News::ReloadFailed(generation) => format!("gen {} failed", generation.0),
        News::Retired(slot) => format!("{slot} is retired"),
    }
}
