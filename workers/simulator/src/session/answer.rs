//! Messages as the processor writes them, without the end of their line.

/// A parameter could not be found; seen at a real processor.
pub const NOT_FOUND: i32 = -32604;
/// JSON-RPC's for a method that is not known; nobody knows what a real processor says.
pub const UNKNOWN_METHOD: i32 = -32601;
/// JSON-RPC's for parameters that make no sense, here also for those that cannot be changed; nobody knows what a real
/// processor says.
pub const BAD_PARAMS: i32 = -32602;

/// A subscription's update.
#[must_use]
pub fn update(entries: &[String]) -> String {
    method("update", entries)
}

/// The answer to a `get` without an id.
#[must_use]
pub fn get_resp(entries: &[String]) -> String {
    method("getResp", entries)
}

/// The answer with values to a `get` or a `sub` with an id.
#[must_use]
pub fn values(entries: &[String], id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","result":[{}],"id":{id}}}"#, entries.join(","))
}

/// The answer to a `set`, a `bmp` or an `unsub` with an id.
#[must_use]
pub fn ok(id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","result":"OK","id":{id}}}"#)
}

/// The answer to what cannot be done.
#[must_use]
pub fn error(code: i32, message: &str, id: &str) -> String {
    let message = serde_json::Value::String(message.to_owned());
    format!(r#"{{"jsonrpc":"2.0","error":{{"code":{code},"message":{message}}},"id":{id}}}"#)
}

fn method(name: &str, entries: &[String]) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"{name}","params":[{}]}}"#, entries.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_forms_of_the_facts() {
        let entry = [r#"{"param":"ZoneName_0","str":"Patio"}"#.to_owned()];
        for (written, expected) in [
            (
                get_resp(&entry),
                r#"{"jsonrpc":"2.0","method":"getResp","params":[{"param":"ZoneName_0","str":"Patio"}]}"#,
            ),
            (
                values(&entry, "3"),
                r#"{"jsonrpc":"2.0","result":[{"param":"ZoneName_0","str":"Patio"}],"id":3}"#,
            ),
            (ok("10"), r#"{"jsonrpc":"2.0","result":"OK","id":10}"#),
            (
                error(NOT_FOUND, "param 'ZoneGain_8' could not be found", "7"),
                r#"{"jsonrpc":"2.0","error":{"code":-32604,"message":"param 'ZoneGain_8' could not be found"},"id":7}"#,
            ),
        ] {
            assert_eq!(written, expected);
        }
        let keep_alive = [r#"{"param":"KeepAlive","str":"OK"}"#.to_owned()];
        assert_eq!(get_resp(&keep_alive), atlas::message::KEEP_ALIVE);
        let meter = atlas::MeterId { kind: atlas::Kind::Zone, index: 0 };
        assert_eq!(
            update(&[r#"{"param":"ZoneMeter_0","val":-23.5}"#.to_owned()]),
            atlas::message::update(&[(meter, atlas::CentiDb(-2350))])
        );
    }
}
