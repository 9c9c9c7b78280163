//! Tests of a conversation, line by line; the manual's own examples are tested over sockets (`tests/manual.rs`).

use super::*;
use crate::model::Product;

struct Talk {
    session: Session,
    model: Model,
    ledger: Ledger,
}

impl Talk {
    fn new() -> Talk {
        Talk { session: Session::default(), model: Model::new(Product::Azm8, 1), ledger: Ledger::default() }
    }

    fn says(&mut self, line: &str) -> Replies {
        self.session.handle(line.as_bytes(), &mut self.model, &mut self.ledger)
    }

    /// The lines of the answer; there must be no datagram.
    #[track_caller]
    fn lines(&mut self, line: &str) -> Vec<String> {
        let Replies { lines, datagrams, levels } = self.says(line);
        assert!(datagrams.is_empty() && levels.is_empty(), "{datagrams:?} {levels:?}");
        lines
    }
}

#[test]
fn what_is_not_there_is_answered_beside_what_is() {
    let mut talk = Talk::new();
    let error = r#"{"jsonrpc":"2.0","error":{"code":-32604,"message":"param 'ZoneGain_8' could not be found"},"id":7}"#;
    let both = r#"[{"param":"ZoneGain_7","fmt":"val"},{"param":"ZoneGain_8","fmt":"val"}]"#;
    let value = r#"{"param":"ZoneGain_7","val":0}"#;
    let result = format!(r#"{{"jsonrpc":"2.0","result":[{value}],"id":7}}"#);
    for method in ["get", "sub"] {
        let with_id = format!(r#"{{"method":"{method}","params":{both},"id":7}}"#);
        assert_eq!(talk.lines(&with_id), [result.as_str(), error], "{method}");
        let alone = format!(r#"{{"method":"{method}","params":{{"param":"ZoneGain_8"}},"id":7}}"#);
        assert_eq!(talk.lines(&alone), [error], "{method}");
    }
    for method in ["set", "bmp", "unsub"] {
        let params = r#"[{"param":"ZoneGain_7","val":-1},{"param":"ZoneGain_8","val":-1}]"#;
        let with_id = format!(r#"{{"method":"{method}","params":{params},"id":7}}"#);
        assert_eq!(talk.lines(&with_id), [error], "{method}");
    }
    for method in ["get", "sub", "set", "bmp", "unsub"] {
        let line = format!(r#"{{"method":"{method}","params":{{"param":"ZoneGain_8","val":1}}}}"#);
        assert!(talk.lines(&line).is_empty(), "{method} without an id");
    }
    assert_eq!(talk.ledger.stats("", Vec::new()).not_found, 12);
    assert_eq!(talk.ledger.stats("", Vec::new()).violations_total(), 0, "asking is allowed");
    assert_eq!(
        talk.lines(r#"{"method":"get","params":[],"id":1}"#),
        [r#"{"jsonrpc":"2.0","result":[],"id":1}"#]
    );
}

#[test]
fn ids_of_any_kind_come_back_as_they_were() {
    let mut talk = Talk::new();
    for id in ["7", "-1", "\"a \\\"b\\\"\"", "1.5", "[1,{\"x\":null}]", "false"] {
        let line = format!(r#"{{"method":"set","params":{{"param":"ZoneMute_0","val":1}},"id":{id}}}"#);
        assert_eq!(talk.lines(&line), [format!(r#"{{"jsonrpc":"2.0","result":"OK","id":{id}}}"#)]);
    }
    assert!(talk.lines(r#"{"method":"set","params":{"param":"ZoneMute_0","val":1},"id":null}"#).is_empty());
}

#[test]
fn a_subscription_is_for_one_parameter_and_format_and_made_once() {
    let mut talk = Talk::new();
    let sub = |format| format!(r#"{{"method":"sub","params":{{"param":"ZoneGain_2","fmt":"{format}"}}}}"#);
    let update = |value| {
        format!(r#"{{"jsonrpc":"2.0","method":"update","params":[{{"param":"ZoneGain_2",{value}}}]}}"#)
    };
    assert_eq!(talk.lines(&sub("val")), [update(r#""val":0"#)]);
    assert_eq!(talk.lines(&sub("pct")), [update(r#""pct":100"#)]);
    assert_eq!(talk.lines(&sub("val")), [update(r#""val":0"#)], "at once, again");
    let gain = talk.model.find("ZoneGain_2").expect("a gain");
    assert_eq!(talk.session.formats_of(gain).collect::<Vec<_>>(), [Format::Val, Format::Pct]);
    assert_eq!(talk.ledger.stats("", Vec::new()).subscriptions_peak, 1);
    talk.lines(r#"{"method":"unsub","params":{"param":"ZoneGain_2","fmt":"val"}}"#);
    talk.lines(r#"{"method":"unsub","params":{"param":"ZoneGain_2","fmt":"val"}}"#);
    assert_eq!(talk.session.formats_of(gain).collect::<Vec<_>>(), [Format::Pct]);
    assert_eq!(talk.ledger.stats("", Vec::new()).subscribers("ZoneGain_2", "pct"), 1);
}

#[test]
fn meters_are_told_by_udp_and_with_an_id_over_tcp_too() {
    let mut talk = Talk::new();
    let entry = r#"{"param":"ZoneMeter_0","val":-80}"#;
    let update = format!(r#"{{"jsonrpc":"2.0","method":"update","params":[{entry}]}}"#);
    let params = r#""params":[{"param":"ZoneMeter_0","fmt":"val"},{"param":"ZoneMute_0"}]"#;
    let without = talk.says(&format!(r#"{{"method":"sub",{params}}}"#));
    assert_eq!(without.levels, [update.as_str()]);
    assert_eq!(
        without.lines,
        [r#"{"jsonrpc":"2.0","method":"update","params":[{"param":"ZoneMute_0","val":0}]}"#]
    );
    let with = talk.says(&format!(r#"{{"method":"sub",{params},"id":10}}"#));
    assert_eq!(with.levels, [update.as_str()]);
    let result =
        format!(r#"{{"jsonrpc":"2.0","result":[{entry},{{"param":"ZoneMute_0","val":0}}],"id":10}}"#);
    assert_eq!(with.lines, [result]);
    assert_eq!(
        talk.lines(r#"{"method":"get","params":{"param":"ZoneMeter_0"}}"#),
        [format!(r#"{{"jsonrpc":"2.0","method":"getResp","params":[{entry}]}}"#)]
    );
}

#[test]
fn what_cannot_be_done_is_refused_with_an_id_and_counted_without() {
    let mut talk = Talk::new();
    #[rustfmt::skip]
    let table = [
        (r#""method":"set","params":{"param":"ZoneName_0","str":"x"}"#, -32602, "param 'ZoneName_0' is read only", "read_only"),
        (r#""method":"bmp","params":{"param":"ZoneMeter_0","val":1}"#, -32602, "param 'ZoneMeter_0' is read only", "read_only"),
        (r#""method":"set","params":{"param":"ZoneGain_0","val":"loud"}"#, -32602, "param 'ZoneGain_0' was given no value that it can take", "bad_value"),
        (r#""method":"set","params":{"param":"ZoneGain_0"}"#, -32602, "param 'ZoneGain_0' was given no value that it can take", "bad_value"),
        (r#""method":"sub","params":{"param":"KeepAlive","fmt":"str"}"#, -32602, "param 'KeepAlive' cannot be subscribed to", "bad_value"),
        (r#""method":"frob","params":{"param":"ZoneGain_0"}"#, -32601, "method 'frob' could not be found", "method"),
        (r#""method":"get","params":7"#, -32602, "params name no parameter", "shape"),
        (r#""params":[]"#, -32602, "there is no method", "shape"),
    ];
    let mut expected = 0;
    for (line, code, message, violation) in table {
        let answer = format!(r#"{{"jsonrpc":"2.0","error":{{"code":{code},"message":"{message}"}},"id":9}}"#);
        assert_eq!(talk.lines(&format!(r#"{{{line},"id":9}}"#)), [answer], "{line}");
        assert!(talk.lines(&format!("{{{line}}}")).is_empty(), "{line} without an id");
        expected += 2;
        let stats = talk.ledger.stats("", Vec::new());
        assert_eq!(stats.violations_total(), expected);
        assert!(stats.violations[violation] >= 2, "{line}");
    }
    for blank in ["", "\r", "  \t\r"] {
        assert!(talk.lines(blank).is_empty());
    }
    assert_eq!(talk.ledger.stats("", Vec::new()).violations_total(), expected, "blank lines are harmless");
    assert!(talk.lines("\u{feff}{}").is_empty());
    assert_eq!(talk.ledger.stats("", Vec::new()).violations["json"], 1);
}

#[test]
fn the_keep_alive_is_answered_over_both() {
    let mut talk = Talk::new();
    let without = talk.says(r#"{"jsonrpc":"2.0","method":"get","params":{"param":"KeepAlive","fmt":"str"}}"#);
    assert_eq!(without.lines, [atlas::message::KEEP_ALIVE]);
    assert_eq!(without.datagrams, [atlas::message::KEEP_ALIVE]);
    let with =
        talk.says(r#"{"method":"get","params":[{"param":"FirmwareVersion"},{"param":"KeepAlive"}],"id":1}"#);
    assert_eq!(
        with.lines,
        [
            r#"{"jsonrpc":"2.0","result":[{"param":"FirmwareVersion","str":"3.5.0"},{"param":"KeepAlive","str":"OK"}],"id":1}"#
        ]
    );
    assert_eq!(with.datagrams, [r#"{"jsonrpc":"2.0","result":[{"param":"KeepAlive","str":"OK"}],"id":1}"#]);
    let mut parser = atlas::Parser::new();
    for datagram in [&without.datagrams[0], &with.datagrams[0]] {
        assert_eq!(parser.parse(datagram.as_bytes()).expect("valid").class, atlas::Class::KeepAlive);
    }
}
