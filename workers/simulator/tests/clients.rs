//! What public clients say, and what each of them needs to hear: a test for each row of the table in `docs/protocol.md`.

mod common;

use common::{ALIVE, Bench, Client, KEEP_ALIVE};
use simulator::ledger::Stats;

/// A `sub` or `get` of these parameters; a line with its end.
fn ask(method: &str, format: &str, params: &[String], id: &str) -> String {
    let entry = |param| format!(r#"{{"param":"{param}","fmt":"{format}"}}"#);
    let entries: Vec<String> = params.iter().map(entry).collect();
    format!("{{\"jsonrpc\":\"2.0\",\"method\":\"{method}\",\"params\":[{}]{id}}}\n", entries.join(","))
}

fn numbered(name: &str, indices: std::ops::Range<u32>) -> Vec<String> {
    indices.map(|i| format!("{name}_{i}")).collect()
}

/// A Companion module: eight `sub` lines with arrays, id 10 on all, `val` and `pct` side by side, more than there is.
#[test]
fn a_companion_module_finds_values_in_its_results_and_updates() {
    let bench = Bench::new();
    let mut client = bench.client();
    let lines = [
        ask("sub", "str", &numbered("ZoneName", 0..8), r#","id":10"#),
        ask("sub", "val", &numbered("ZoneGain", 0..8), r#","id":10"#),
        ask("sub", "pct", &numbered("ZoneGain", 0..8), r#","id":10"#),
        ask("sub", "val", &numbered("ZoneMute", 0..8), r#","id":10"#),
        ask("sub", "val", &numbered("ZoneSource", 0..8), r#","id":10"#),
        ask("sub", "str", &numbered("SourceName", 0..14), r#","id":10"#),
        ask("sub", "val", &numbered("GroupActive", 0..12), r#","id":10"#),
        ask("sub", "val", &numbered("PlayMessage", 0..8), r#","id":10"#),
    ];
    client.send(lines.concat());
    let begin = r#"{"jsonrpc":"2.0","result":[{"param":"#;
    for first in [
        r#""ZoneName_0","str":"Patio"},{"#,
        r#""ZoneGain_0","val":-3},{"#,
        r#""ZoneGain_0","pct":96.25},{"#,
        r#""ZoneMute_0","val":0},{"#,
        r#""ZoneSource_0","val":0},{"#,
        r#""SourceName_0","str":"Juke box"},{"#,
        r#""GroupActive_0","val":0},{"#,
    ] {
        let line = client.line();
        assert!(line.starts_with(&format!("{begin}{first}")) && line.ends_with("],\"id\":10}\n"), "{line}");
    }
    for absent in 8..12 {
        client.expect(&format!(
            r#"{{"jsonrpc":"2.0","error":{{"code":-32604,"message":"param 'GroupActive_{absent}' could not be found"}},"id":10}}"#
        ));
    }
    assert!(client.line().starts_with(&format!(r#"{begin}"PlayMessage_0","val":0}}"#)));
    client.send("{\"jsonrpc\":\"2.0\",\"method\":\"set\",\"params\":{\"param\":\"ZoneGain_0\",\"pct\":50},\"id\":10}\n");
    client.expect(r#"{"jsonrpc":"2.0","result":"OK","id":10}"#);
    client.expect(r#"{"jsonrpc":"2.0","method":"update","params":[{"param":"ZoneGain_0","val":-40}]}"#);
    client.expect(r#"{"jsonrpc":"2.0","method":"update","params":[{"param":"ZoneGain_0","pct":50}]}"#);
}

/// The original sports-bar application: 30 single `sub` without an id; `get` and `set` with one.
#[test]
fn the_sports_bar_application_gets_results_by_id_and_one_object_in_each_datagram() {
    let bench = Bench::new();
    let mut client = bench.client();
    let meters = [numbered("SourceMeter", 0..14), numbered("ZoneMeter", 0..8), numbered("GroupMeter", 0..8)];
    let meters = meters.concat();
    assert_eq!(meters.len(), 30);
    for meter in &meters {
        client.send(format!(
            "{{\"jsonrpc\":\"2.0\",\"method\":\"sub\",\"params\":{{\"param\":\"{meter}\",\"fmt\":\"val\"}}}}\n"
        ));
    }
    client.send("{\"jsonrpc\":\"2.0\",\"method\":\"get\",\"params\":{\"param\":\"SourceName_1\",\"fmt\":\"str\"},\"id\":1}\n");
    client.expect(r#"{"jsonrpc":"2.0","result":[{"param":"SourceName_1","str":"Patio Band"}],"id":1}"#);
    client.send(
        "{\"jsonrpc\":\"2.0\",\"method\":\"set\",\"params\":{\"param\":\"ZoneMute_0\",\"val\":1},\"id\":2}\n",
    );
    client.expect(r#"{"jsonrpc":"2.0","result":"OK","id":2}"#);
    client.send("{\"jsonrpc\":\"2.0\",\"method\":\"get\",\"params\":{\"param\":\"ZoneGain_8\",\"fmt\":\"val\"},\"id\":7}\n");
    client.expect(r#"{"jsonrpc":"2.0","error":{"code":-32604,"message":"param 'ZoneGain_8' could not be found"},"id":7}"#);
    for meter in &meters {
        let text = String::from_utf8(bench.datagram()).expect("UTF-8");
        let begin = format!(r#"{{"jsonrpc":"2.0","method":"update","params":[{{"param":"{meter}","val":"#);
        assert!(
            text.starts_with(&begin) && text.ends_with("}]}") && text.matches("param\"").count() == 1,
            "{text}"
        );
    }
}

/// A Home Assistant integration: 88 `sub` and 88 `get` without an id, as fast as they can be written.
#[test]
fn a_home_assistant_integration_is_answered_by_get_resp_and_update_and_asks_for_meters_too() {
    let bench = Bench::new();
    let mut client = bench.client();
    let params: Vec<String> = ["Gain", "Mute", "Name", "Meter"]
        .iter()
        .flat_map(|what| {
            let zones = numbered(&format!("Zone{what}"), 0..8);
            [zones, numbered(&format!("Source{what}"), 0..14)].concat()
        })
        .collect();
    assert_eq!(params.len(), 88);
    let single = |method: &str, param: &String| {
        let format = if param.contains("Name") { "str" } else { "val" };
        format!(
            "{{\"jsonrpc\":\"2.0\",\"method\":\"{method}\",\"params\":{{\"param\":\"{param}\",\"fmt\":\"{format}\"}}}}\n"
        )
    };
    let all = |method| params.iter().map(|param| single(method, param)).collect::<String>();
    client.send(all("sub") + &all("get"));
    for param in params.iter().filter(|param| !param.contains("Meter")) {
        let line = client.line();
        let begin = format!(r#"{{"jsonrpc":"2.0","method":"update","params":[{{"param":"{param}","#);
        assert!(line.starts_with(&begin), "{line}");
    }
    for param in &params {
        let line = client.line();
        let begin = format!(r#"{{"jsonrpc":"2.0","method":"getResp","params":[{{"param":"{param}","#);
        assert!(line.starts_with(&begin), "{line}");
    }
    let stats: Stats = bench.simulator.stats();
    assert_eq!((stats.commands["sub"], stats.commands["get"], stats.subscriptions.len()), (88, 88, 88));
    assert!(stats.commands_per_second_peak >= 88, "not paced");
}

/// Another Home Assistant integration: `sub` arrays without an id.
#[test]
fn another_integration_gets_updates_for_names_gains_and_mutes() {
    let bench = Bench::new();
    let mut client = bench.client();
    client.send(ask("sub", "str", &numbered("ZoneName", 0..2), ""));
    client.expect(r#"{"jsonrpc":"2.0","method":"update","params":[{"param":"ZoneName_0","str":"Patio"},{"param":"ZoneName_1","str":"Bar"}]}"#);
    client.send(ask("sub", "val", &numbered("ZoneGain", 6..10), ""));
    client.expect(r#"{"jsonrpc":"2.0","method":"update","params":[{"param":"ZoneGain_6","val":0},{"param":"ZoneGain_7","val":0}]}"#);
    client.send(ask("sub", "val", &numbered("ZoneMute", 0..1), ""));
    client.expect(r#"{"jsonrpc":"2.0","method":"update","params":[{"param":"ZoneMute_0","val":0}]}"#);
    bench.simulator.rename("ZoneName_0", "Terrasse \"Süd\"");
    client.expect(
        r#"{"jsonrpc":"2.0","method":"update","params":[{"param":"ZoneName_0","str":"Terrasse \"Süd\""}]}"#,
    );
}

/// A shell script: one `get` on each connection, a blank line after it, and its half of the connection closed.
#[test]
fn a_shell_script_gets_its_answer_though_it_has_said_all() {
    let bench = Bench::new();
    for _ in 0..20 {
        let mut client = bench.client();
        client.send("{\"jsonrpc\":\"2.0\",\"method\":\"get\",\"params\":{\"param\":\"ZoneSource_3\",\"fmt\":\"val\"}}\n\n");
        client.stream().shutdown(std::net::Shutdown::Write).expect("half a close");
        let answer = "{\"jsonrpc\":\"2.0\",\"method\":\"getResp\",\"params\":[{\"param\":\"ZoneSource_3\",\"val\":14}]}\n";
        assert_eq!(String::from_utf8_lossy(&client.rest()), answer);
    }
    let stats = bench.until("disconnected", |stats| stats.connections.now == 0);
    assert_eq!((stats.connections.accepted, stats.violations_total()), (20, 0));
}

/// One line with 256 parameters, 11 092 bytes and more, was seen to work.
#[test]
fn one_line_may_ask_for_hundreds_of_parameters() {
    let bench = Bench::new();
    let mut client = bench.client();
    let params: Vec<String> =
        (14..22).flat_map(|mix| numbered(&format!("Mix_{mix}_SourceGain"), 0..32)).collect();
    let line = ask("sub", "val", &params, r#","id":1"#);
    assert!(params.len() == 256 && line.len() > 11_092);
    client.send(line);
    let line = client.line();
    assert_eq!(line.matches("\"val\":0").count(), 8 * 14, "those that there are");
    for _ in 0..8 * 18 {
        assert!(client.line().contains("-32604"));
    }
    client.expect_nothing_more();
}

/// Several clients of one host each have a connection and subscriptions of their own.
#[test]
fn clients_do_not_disturb_each_other() {
    let bench = Bench::new();
    let mut clients: Vec<Client> = (0..8).map(|_| bench.client()).collect();
    for client in &mut clients {
        client.send("{\"method\":\"sub\",\"params\":{\"param\":\"ZoneMeter_0\",\"fmt\":\"val\"}}\n");
        client.send(KEEP_ALIVE);
        client.expect(ALIVE);
    }
    let stats = bench.simulator.stats();
    assert_eq!((stats.connections.now, stats.subscribers("ZoneMeter_0", "val")), (8, 8));
    drop(clients.split_off(1));
    let stats = bench.until("alone", |stats| stats.connections.now == 1);
    assert_eq!((stats.connections.peak, stats.subscribers("ZoneMeter_0", "val")), (8, 1));
    assert_eq!(stats.subscriptions_peak, 8);
}
