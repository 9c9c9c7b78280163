//! What a user reads of what became of his command.

use atlas::order::{FAILED, MAX_FRAME, Refusal, Reply, USAGE};

use crate::connection::Outcome;

/// The most bytes of a processor's own words that are passed on.
const MAX_WORDS: usize = 500;

/// The answer about `param` of the processor `name`; never longer than a frame.
pub(crate) fn of(outcome: Outcome, name: &str, param: &str) -> Reply {
    let reply = whole(outcome, name, param);
    let bytes = serde_json::to_vec(&reply).map_or(usize::MAX, |frame| frame.len());
    if bytes < MAX_FRAME {
        return reply;
    }
    let message = format!("{name} answered more about {param} than can be passed on");
    let hint = Some(format!("an answer takes {MAX_FRAME} bytes at the most"));
    let error = Some(Refusal { message, hint, exit: FAILED });
    Reply { param: param.into(), error, ..Reply::default() }
}

fn whole(outcome: Outcome, name: &str, param: &str) -> Reply {
    let failed = |message: String, hint: &str| Refusal { message, hint: Some(hint.into()), exit: FAILED };
    let sent = matches!(outcome, Outcome::TimedOut | Outcome::Lost);
    let again = matches!(outcome, Outcome::Left);
    let nothing_sent = "nothing was sent; `atlas-cluster meters` shows the state of the connection";
    let error = match outcome {
        Outcome::Done => return Reply { param: param.into(), ..Reply::default() },
        Outcome::Value(value) => {
            return Reply { param: param.into(), value: Some(value), ..Reply::default() };
        }
        Outcome::Refused(why) => failed(
            format!(
                "{name} refused {param}: {}",
                why[..why.floor_char_boundary(MAX_WORDS)].replace(char::is_control, " ")
            ),
            "which parameters exist depends on the processor's configuration",
        ),
        Outcome::TimedOut => failed(
            format!("{name} did not answer about {param} in time"),
            "it may have been done nevertheless: `atlas-cluster get` shows it",
        ),
        Outcome::NotSent => {
            failed(format!("{param} could not be sent to {name} in time"), "nothing was sent; try again")
        }
        Outcome::Left => failed(
            format!("{param} could not be sent to {name} before link was replaced"),
            "nothing was sent; try again",
        ),
        Outcome::Lost => failed(
            format!("the connection to {name} ended before it answered about {param}"),
            "it may have been done nevertheless: `atlas-cluster get` shows it",
        ),
        Outcome::Unresponsive => failed(
            format!("{name} is unresponsive: its connection is up and commands get no answer"),
            "nothing was sent; if it stays so, power-cycle the processor",
        ),
        Outcome::Disconnected => failed(format!("there is no connection to {name}"), nothing_sent),
        Outcome::Busy => failed(
            format!("too many commands wait for {name}"),
            "nothing was sent; for names, mutes and levels no command is needed: `atlas-cluster meters`",
        ),
    };
    Reply { param: param.into(), value: None, sent, again, error: Some(error) }
}

/// Nobody of that name is configured.
pub(crate) fn unknown_processor(name: &str, known: &[&str]) -> Refusal {
    let message = format!("no processor is called `{}`", name.escape_debug());
    Refusal { message, hint: Some(format!("configured: {}", known.join(", "))), exit: USAGE }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atlas::control::Value;

    #[test]
    fn who_may_have_been_heard_is_told_so() {
        let sent = |outcome| of(outcome, "bar", "ZoneGain_0").sent;
        assert!([Outcome::TimedOut, Outcome::Lost].into_iter().all(sent));
        let not = [
            Outcome::NotSent,
            Outcome::Left,
            Outcome::Unresponsive,
            Outcome::Disconnected,
            Outcome::Busy,
            Outcome::Done,
        ];
        assert!(!not.into_iter().any(sent));
        assert!(of(Outcome::Left, "bar", "ZoneGain_0").again);
    }

    #[test]
    fn whatever_a_processor_says_fits_a_frame() {
        let frame = |reply: &Reply| serde_json::to_vec(reply).unwrap().len();
        for words in ["x".repeat(60_000), "\u{1}ü\"".repeat(20_000)] {
            let refused = of(Outcome::Refused(words.clone()), "bar", "ZoneGain_0");
            assert!(frame(&refused) < MAX_FRAME && refused.error.unwrap().message.contains("refused"));
            let value = of(Outcome::Value(Value::Str(words)), "bar", "ZoneName_0");
            assert!(frame(&value) < MAX_FRAME && value.error.unwrap().message.contains("more about"));
        }
        let value = Value::Str("Patio".into());
        assert_eq!(of(Outcome::Value(value.clone()), "bar", "ZoneName_0").value, Some(value));
    }
}
