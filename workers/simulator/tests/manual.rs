//! The manual's own examples (ATS006993 Rev B), byte for byte over real sockets.

mod common;

use common::{ALIVE, Bench, KEEP_ALIVE};

const SUB_METERS: &str = "{\"jsonrpc\":\"2.0\",\"method\":\"sub\",\"params\":[{\"param\":\"SourceMeter_0\",\"fmt\":\"val\"},{\"param\":\"SourceMeter_1\",\"fmt\":\"val\"}]}\n";

#[test]
fn a_set_is_silent_and_with_an_id_ok() {
    let bench = Bench::new();
    let mut client = bench.client();
    client
        .send("{\"jsonrpc\":\"2.0\",\"method\":\"set\",\"params\":{\"param\":\"ZoneGain_0\",\"pct\":50}}\n");
    client.expect_nothing_more();
    client.send("{\"jsonrpc\":\"2.0\",\"method\":\"set\",\"params\":{\"param\":\"ZoneGain_0\",\"pct\":50},\"id\":7}\n");
    client.expect(r#"{"jsonrpc":"2.0","result":"OK","id":7}"#);
    client.send(
        "{\"jsonrpc\":\"2.0\",\"method\":\"get\",\"params\":{\"param\":\"ZoneGain_0\",\"fmt\":\"val\"}}\n",
    );
    client.expect(r#"{"jsonrpc":"2.0","method":"getResp","params":[{"param":"ZoneGain_0","val":-40}]}"#);
}

#[test]
fn a_bump_moves_several_and_stops_at_the_ends() {
    let bench = Bench::new();
    let mut client = bench.client();
    let bump = "{\"jsonrpc\":\"2.0\",\"method\":\"bmp\",\"params\":[{\"param\":\"SourceGain_0\",\"val\":-1},{\"param\":\"SourceGain_1\",\"val\":2}]}\n";
    let get = "{\"jsonrpc\":\"2.0\",\"method\":\"get\",\"params\":[{\"param\":\"SourceGain_0\",\"fmt\":\"val\"},{\"param\":\"SourceGain_1\",\"fmt\":\"pct\"}]}\n";
    for gain in [-1, -2] {
        client.send(bump);
        client.send(get);
        client.expect(&format!(
            r#"{{"jsonrpc":"2.0","method":"getResp","params":[{{"param":"SourceGain_0","val":{gain}}},{{"param":"SourceGain_1","pct":100}}]}}"#
        ));
    }
}

#[test]
fn a_subscription_is_updated_at_once_then_at_changes_until_it_ends() {
    let bench = Bench::new();
    let mut client = bench.client();
    let update = |db: i32| {
        format!(r#"{{"jsonrpc":"2.0","method":"update","params":[{{"param":"ZoneGain_1","val":{db}}}]}}"#)
    };
    client.send(
        "{\"jsonrpc\":\"2.0\",\"method\":\"sub\",\"params\":{\"param\":\"ZoneGain_1\",\"fmt\":\"val\"}}\n",
    );
    client.expect(&update(-6));
    client
        .send("{\"jsonrpc\":\"2.0\",\"method\":\"set\",\"params\":{\"param\":\"ZoneGain_1\",\"val\":-20}}\n");
    client.expect(&update(-20));
    bench
        .client()
        .send("{\"jsonrpc\":\"2.0\",\"method\":\"set\",\"params\":{\"param\":\"ZoneGain_1\",\"val\":9}}\n");
    client.expect(&update(0));
    client.send("{\"jsonrpc\":\"2.0\",\"method\":\"unsub\",\"params\":{\"param\":\"ZoneGain_1\",\"fmt\":\"val\"},\"id\":10}\n");
    client.expect(r#"{"jsonrpc":"2.0","result":"OK","id":10}"#);
    client
        .send("{\"jsonrpc\":\"2.0\",\"method\":\"set\",\"params\":{\"param\":\"ZoneGain_1\",\"val\":-20}}\n");
    client.expect_nothing_more();
}

#[test]
fn meters_go_by_udp_one_object_in_each_datagram_until_the_connection_ends() {
    let bench = Bench::new();
    let mut client = bench.client();
    client.send(SUB_METERS);
    for meter in ["SourceMeter_0", "SourceMeter_1"] {
        let (datagram, from) = bench.datagram_from();
        assert_eq!(from.to_string(), "127.0.0.2");
        assert_eq!(
            String::from_utf8_lossy(&datagram),
            format!(r#"{{"jsonrpc":"2.0","method":"update","params":[{{"param":"{meter}","val":-80}}]}}"#)
        );
    }
    bench.datagram_that(|text| {
        text.starts_with(r#"{"jsonrpc":"2.0","method":"update","params":[{"param":"SourceMeter_1","val":-"#)
            && !text.contains("-80")
    });
    client.expect_nothing_more();
    client.send("{\"jsonrpc\":\"2.0\",\"method\":\"unsub\",\"params\":{\"param\":\"SourceMeter_0\",\"fmt\":\"val\"},\"id\":10}\n");
    client.expect(r#"{"jsonrpc":"2.0","result":"OK","id":10}"#);
    let stats = bench.simulator.stats();
    assert_eq!(
        (stats.subscribers("SourceMeter_0", "val"), stats.subscribers("SourceMeter_1", "val")),
        (0, 1)
    );
    drop(client);
    let stats = bench.until("without subscriptions", |stats| stats.subscriptions.is_empty());
    assert_eq!((stats.connections.now, stats.connections.peak), (0, 1));
}

#[test]
fn a_name_and_the_keep_alive_can_be_asked_for() {
    let bench = Bench::new();
    let mut client = bench.client();
    client.send(
        "{\"jsonrpc\":\"2.0\",\"method\":\"get\",\"params\":{\"param\":\"ZoneName_0\",\"fmt\":\"str\"}}\n",
    );
    client.expect(r#"{"jsonrpc":"2.0","method":"getResp","params":[{"param":"ZoneName_0","str":"Patio"}]}"#);
    client.send("{\"jsonrpc\":\"2.0\",\"method\":\"get\",\"params\":{\"param\":\"ZoneName_0\",\"fmt\":\"str\"},\"id\":3}\n");
    client.expect(r#"{"jsonrpc":"2.0","result":[{"param":"ZoneName_0","str":"Patio"}],"id":3}"#);
    client.send(KEEP_ALIVE);
    client.expect(ALIVE);
    assert_eq!(bench.datagram(), ALIVE.as_bytes());
}

#[test]
fn the_manuals_misprints_are_read() {
    let bench = Bench::new();
    let mut client = bench.client();
    client.send(
        "{\"jsonrpc\":\"2.0\",\"method\":\"get\",\"params\":{\"param\":\"ZoneName_0\",\"val\":\"str\"}}\n",
    );
    client.expect(r#"{"jsonrpc":"2.0","method":"getResp","params":[{"param":"ZoneName_0","str":"Patio"}]}"#);
    client.send(
        "{\"jsonrpc\":\"2.0\",\"method\":\"get\",\"params\":{\"param\":\"ZoneGain_2\",\"fmt\":\"val \"}}\n",
    );
    client.expect(r#"{"jsonrpc":"2.0","method":"getResp","params":[{"param":"ZoneGain_2","val":0}]}"#);
    assert_eq!(bench.simulator.stats().violations_total(), 0);
}

#[test]
fn line_ends_and_segments_do_not_matter() {
    let bench = Bench::new();
    let mut client = bench.client();
    let get = r#" { "jsonrpc" : "2.0" , "method" : "get" , "params" : { "param" : "ZoneGain_2" } } "#;
    let answer = r#"{"jsonrpc":"2.0","method":"getResp","params":[{"param":"ZoneGain_2","val":0}]}"#;
    client.send(format!("\n\r\n  \n{get}\r\n\n{get}\n"));
    client.expect(answer);
    client.expect(answer);
    for byte in get.bytes().chain([b'\n']) {
        client.send([byte]);
    }
    client.expect(answer);
    assert_eq!(bench.simulator.stats().violations_total(), 0);
}

#[test]
fn values_are_clamped_and_groups_uncombine_each_other() {
    let bench = Bench::new();
    let mut client = bench.client();
    client.send("{\"method\":\"sub\",\"params\":[{\"param\":\"GroupGain_0\",\"fmt\":\"val\"},{\"param\":\"GroupCombine_0\",\"fmt\":\"val\"},{\"param\":\"ZoneGrouped_0\",\"fmt\":\"val\"}],\"id\":1}\n");
    client.expect(r#"{"jsonrpc":"2.0","result":[{"param":"GroupGain_0","val":0},{"param":"GroupCombine_0","val":0},{"param":"ZoneGrouped_0","val":0}],"id":1}"#);
    let update = |param, val| {
        format!(r#"{{"jsonrpc":"2.0","method":"update","params":[{{"param":"{param}","val":{val}}}]}}"#)
    };
    client.send("{\"method\":\"set\",\"params\":{\"param\":\"GroupGain_0\",\"pct\":-74}}\n");
    client.expect(&update("GroupGain_0", -80));
    client.send("{\"method\":\"set\",\"params\":{\"param\":\"GroupActive_0\",\"val\":1}}\n");
    client.expect(&update("GroupCombine_0", 1));
    client.expect(&update("ZoneGrouped_0", 1));
    client.send("{\"method\":\"set\",\"params\":{\"param\":\"GroupActive_1\",\"val\":1}}\n");
    client.expect(&update("GroupCombine_0", 0));
    client.expect(&update("ZoneGrouped_0", 0));
    client.expect_nothing_more();
}

/// The examples of `docs/protocol.md`, in their order over one connection: what stands there is what is answered.
#[test]
fn the_examples_of_the_documentation_are_answered_as_they_stand_there() {
    let text = include_str!("../../../docs/protocol.md");
    let (_, text) = text.split_once("## Messages").expect("the section");
    let block = text.split("```").nth(1).expect("its examples");
    let examples: Vec<(&str, &str)> = block
        .lines()
        .filter_map(|line| line.split_once('→'))
        .map(|(asked, said)| (asked.trim(), said.trim()))
        .collect();
    assert!(examples.len() >= 11, "{examples:#?}");
    let bench = Bench::new();
    let mut client = bench.client();
    for (asked, said) in examples {
        client.send(format!("{asked}\n"));
        // A remark follows the answer: over which way it comes, that more of its kind follow.
        let (answer, remark) = said.rsplit_once('}').map_or(("", said), |(answer, remark)| (answer, remark));
        let answer = format!("{answer}}}");
        match remark {
            "nothing" => client.expect_nothing_more(),
            "" => client.expect(&answer),
            ", over TCP and UDP" => {
                client.expect(&answer);
                bench.datagram_that(|text| text == answer);
            }
            ", …, over UDP" => {
                bench.datagram_that(|text| text == answer);
                client.expect_nothing_more();
            }
            other => panic!("nobody knows how to check `{other}` behind {asked}"),
        }
    }
    assert_eq!(bench.simulator.stats().violations_total(), 0);
}

#[test]
fn an_error_names_the_parameter_and_bears_the_id() {
    let bench = Bench::new();
    let mut client = bench.client();
    for (method, rest) in [
        ("get", r#""fmt":"val""#),
        ("sub", r#""fmt":"val""#),
        ("set", r#""val":-3"#),
        ("bmp", r#""val":-3"#),
        ("unsub", r#""fmt":"val""#),
    ] {
        client.send(format!("{{\"jsonrpc\":\"2.0\",\"method\":\"{method}\",\"params\":{{\"param\":\"ZoneGain_8\",{rest}}},\"id\":7}}\n"));
        client.expect(r#"{"jsonrpc":"2.0","error":{"code":-32604,"message":"param 'ZoneGain_8' could not be found"},"id":7}"#);
    }
}

#[test]
fn a_subscribed_action_is_told_each_time_it_is_triggered() {
    let bench = Bench::new();
    let mut client = bench.client();
    client.send(
        "{\"jsonrpc\":\"2.0\",\"method\":\"sub\",\"params\":{\"param\":\"RecallScene_2\",\"fmt\":\"val\"}}\n",
    );
    client.expect(r#"{"jsonrpc":"2.0","method":"update","params":[{"param":"RecallScene_2","val":0}]}"#);
    for _ in 0..3 {
        client.send("{\"jsonrpc\":\"2.0\",\"method\":\"set\",\"params\":{\"param\":\"RecallScene_2\",\"val\":1},\"id\":4}\n");
        client.expect(r#"{"jsonrpc":"2.0","result":"OK","id":4}"#);
        client.expect(r#"{"jsonrpc":"2.0","method":"update","params":[{"param":"RecallScene_2","val":1}]}"#);
    }
}

#[test]
fn val_and_pct_of_one_parameter_run_side_by_side() {
    let bench = Bench::new();
    let mut client = bench.client();
    for format in ["val", "pct"] {
        client.send(format!("{{\"jsonrpc\":\"2.0\",\"method\":\"sub\",\"params\":{{\"param\":\"Mix_14_SourceGain_0\",\"fmt\":\"{format}\"}},\"id\":1}}\n"));
    }
    client.expect(r#"{"jsonrpc":"2.0","result":[{"param":"Mix_14_SourceGain_0","val":0}],"id":1}"#);
    client.expect(r#"{"jsonrpc":"2.0","result":[{"param":"Mix_14_SourceGain_0","pct":100}],"id":1}"#);
    client.send("{\"jsonrpc\":\"2.0\",\"method\":\"set\",\"params\":{\"param\":\"Mix_14_SourceGain_0\",\"val\":-20}}\n");
    client.expect(
        r#"{"jsonrpc":"2.0","method":"update","params":[{"param":"Mix_14_SourceGain_0","val":-20}]}"#,
    );
    client
        .expect(r#"{"jsonrpc":"2.0","method":"update","params":[{"param":"Mix_14_SourceGain_0","pct":75}]}"#);
}

#[test]
fn indices_are_the_processors_own() {
    for (product, mixes, sources) in [("azm8", 14..22, 14), ("azm4", 8..12, 8)] {
        let bench = Bench::with(|plan| plan.product = product.parse().expect("a product"));
        let mut client = bench.client();
        let mut exists = |param: String| {
            client.send(format!("{{\"jsonrpc\":\"2.0\",\"method\":\"get\",\"params\":{{\"param\":\"{param}\",\"fmt\":\"str\"}},\"id\":1}}\n"));
            !client.line().contains("-32604")
        };
        let found: Vec<u32> = (0..40).filter(|index| exists(format!("MixName_{index}"))).collect();
        assert!(found.into_iter().eq(mixes), "{product}");
        assert!(exists(format!("SourceName_{}", sources - 1)) && !exists(format!("SourceName_{sources}")));
    }
}
