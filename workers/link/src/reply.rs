//! What a user reads of what became of his command.

use atlas::order::{FAILED, Refusal, Reply, USAGE};

use crate::connection::Outcome;

/// The answer about `param` of the processor `name`.
pub(crate) fn of(outcome: Outcome, name: &str, param: &str) -> Reply {
    let failed = |message: String, hint: &str| Refusal { message, hint: Some(hint.into()), exit: FAILED };
    let nothing_sent = "nothing was sent; `atlas-cluster meters` shows the state of the connection";
    let error = match outcome {
        Outcome::Done => return Reply { param: param.into(), ..Reply::default() },
        Outcome::Value(value) => {
            return Reply { param: param.into(), value: Some(value), error: None };
        }
        Outcome::Refused(why) => failed(
            format!("{name} refused {param}: {}", why.replace(char::is_control, " ")),
            "which parameters there are is the processor's configuration",
        ),
        Outcome::TimedOut => failed(
            format!("{name} did not answer about {param} in time"),
            "it may have been done all the same: `atlas-cluster get` tells",
        ),
        Outcome::NotSent => failed(
            format!("{param} could not be sent to {name} in time: too many commands were before it"),
            "nothing was sent; try again",
        ),
        Outcome::Lost => failed(
            format!("the connection to {name} ended before it answered about {param}"),
            "it may have been done all the same: `atlas-cluster get` tells",
        ),
        Outcome::Unresponsive => failed(
            format!("{name} is unresponsive: its connection is up and commands get no answer"),
            "nothing was sent; if it stays so, power-cycle the processor",
        ),
        Outcome::Disconnected => failed(format!("there is no connection to {name}"), nothing_sent),
        Outcome::Busy => failed(
            format!("too many commands wait for {name}"),
            "nothing was sent; names, mutes and levels come by themselves: `atlas-cluster meters`",
        ),
    };
    Reply { param: param.into(), value: None, error: Some(error) }
}

/// Nobody of that name is configured.
pub(crate) fn unknown_processor(name: &str, known: &[&str]) -> Refusal {
    let message = format!("no processor is called `{}`", name.escape_debug());
    Refusal { message, hint: Some(format!("configured: {}", known.join(", "))), exit: USAGE }
}
