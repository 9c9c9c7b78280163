//! Datagrams written by hand, each with its verdict: against the table, and against the oracle.

mod oracle;

use atlas::{Class, Malformed, Parser};
use oracle::{Meaning, agree};

const TABLE: &str = include_str!("corpus/datagrams.tsv");

/// Bytes written with `%0A` for any byte and `%<128*[>` for many of the same text.
fn bytes(written: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = written;
    while let Some((plain, escape)) = rest.split_once('%') {
        bytes.extend_from_slice(plain.as_bytes());
        if let Some(repeat) = escape.strip_prefix('<') {
            let (repeat, after) = repeat.split_once('>').expect("a repeat ends with >");
            let (times, text) = repeat.split_once('*').expect("a repeat is times*text");
            bytes.extend_from_slice(text.repeat(times.parse().expect("a number of times")).as_bytes());
            rest = after;
        } else {
            bytes.push(u8::from_str_radix(&escape[..2], 16).expect("two hexadecimal digits"));
            rest = &escape[2..];
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// A meaning as the table writes it: `meter ZoneMeter_0=-23.5 index`, `other`, `json`.
fn verdict(meaning: &Result<Meaning, Malformed>) -> String {
    let meaning = match meaning {
        Ok(meaning) => meaning,
        Err(reason) => return reason.name().to_owned(),
    };
    let mut words = vec![
        match meaning.class {
            Class::Meter => "meter",
            Class::KeepAlive => "keepalive",
            Class::Other => "other",
        }
        .to_owned(),
    ];
    words.extend(meaning.readings.iter().map(|reading| format!("{}={}", reading.meter, reading.level)));
    words.extend(meaning.index_out_of_range.then(|| "index".to_owned()));
    words.join(" ")
}

#[test]
fn every_datagram_of_the_corpus_gets_its_verdict() {
    let mut parser = Parser::new();
    let mut cases = 0;
    for line in TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let [name, expected, written] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("not three columns: {line}");
        };
        let meaning = agree(&mut parser, &bytes(written));
        assert_eq!(verdict(&meaning), expected, "{name}: {written}");
        cases += 1;
    }
    assert!(cases >= 200, "only {cases} cases: is the table whole?");
}

#[test]
fn every_prefix_and_every_changed_byte_of_the_corpus_agrees_with_the_oracle() {
    let mut parser = Parser::new();
    for line in TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let whole = bytes(line.rsplit('\t').next().expect("a last column"));
        if whole.len() > 200 {
            continue;
        }
        for end in 0..whole.len() {
            let _ = agree(&mut parser, &whole[..end]);
            let _ = agree(&mut parser, &whole[end..]);
            let mut changed = whole.clone();
            for byte in b"\"\\{}[],:0-.eu_ \x00\x1f\x80\xff" {
                changed[end] = *byte;
                let _ = agree(&mut parser, &changed);
            }
        }
    }
}
