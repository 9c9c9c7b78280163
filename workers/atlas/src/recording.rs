//! How a recorder hears every line of a processor from the owner of its connection: one JSON object on a line each way.
//!
//! ```text
//! → {"verb":"capture","processor":"bar","recorder":3735928559}     until the asker hangs up
//! ← {"processor":"bar","address":"192.168.5.101","datagrams":true}
//! ← {"t":86400031,"from":"tcp","line":"…"}                         as in a recording, `t` in milliseconds since boot
//! ← {"left_out":3}                                                 the asker was too slow for these
//! ← {"error":{"message":"…","hint":"…","exit":2}}                  in place of the first answer: it will not be
//! ```
//! Datagrams do not come here: the workers hand them to the recorder of that number themselves.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::order::Refusal;

/// The verb of a subscription.
pub(crate) const VERB: &str = "capture";

/// Who wants to hear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subscription {
    verb: String,
    /// The processor's name in the configuration, or its address.
    pub processor: String,
    /// The number of the socket on which it takes datagrams; never 0.
    pub recorder: u64,
}

impl Subscription {
    /// To all that this processor sends.
    #[must_use]
    pub fn new(processor: &str, recorder: u64) -> Subscription {
        Subscription { verb: VERB.into(), processor: processor.into(), recorder }
    }
}

/// The first answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The processor's name in the configuration.
    pub processor: String,
    /// Its address.
    pub address: IpAddr,
    /// Whether the cluster's own workers read its datagrams: a program hands none over.
    pub datagrams: bool,
}

/// What a recorder hears.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Heard {
    /// It will not be, or no more.
    Error {
        /// Why.
        error: Refusal,
    },
    /// The first answer.
    Accepted(Accepted),
    /// Lines that the recorder was too slow for.
    LeftOut {
        /// How many.
        left_out: u64,
    },
}

/// The frame that says how many lines were left out.
#[must_use]
pub fn left_out(count: u64) -> String {
    format!("{{\"left_out\":{count}}}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_as_the_page_says() {
        let wanted = Subscription::new("bar", 3_735_928_559);
        let line = serde_json::to_string(&wanted).unwrap();
        assert_eq!(line, r#"{"verb":"capture","processor":"bar","recorder":3735928559}"#);

        let heard = |line: &str| serde_json::from_str::<Heard>(line).unwrap();
        let accepted =
            Accepted { processor: "bar".into(), address: "192.168.5.101".parse().unwrap(), datagrams: true };
        let line = r#"{"processor":"bar","address":"192.168.5.101","datagrams":true}"#;
        assert_eq!(serde_json::to_string(&accepted).unwrap(), line);
        assert_eq!(heard(line), Heard::Accepted(accepted));
        assert_eq!(heard(&left_out(3)), Heard::LeftOut { left_out: 3 });
        let error = r#"{"param":"","error":{"message":"no","hint":"go","exit":2}}"#;
        assert!(matches!(heard(error), Heard::Error { error } if error.exit == 2));
    }
}
