//! Messages as a processor writes them, in the manual's form; the senders of this house use them.

use std::fmt::Write as _;

use crate::{CentiDb, MeterId};

/// The answer to `get` of `KeepAlive`, over UDP and TCP alike; without the newline that ends a line of TCP.
pub const KEEP_ALIVE: &str =
    r#"{"jsonrpc":"2.0","method":"getResp","params":[{"param":"KeepAlive","str":"OK"}]}"#;

/// An update of these meters, one datagram: about 37 bytes and 40 for each meter.
pub fn update(levels: &[(MeterId, CentiDb)]) -> String {
    let mut datagram = String::new();
    write_update(&mut datagram, levels);
    datagram
}

/// Appends what [`update`] returns to a buffer that the caller keeps.
pub fn write_update(out: &mut String, levels: &[(MeterId, CentiDb)]) {
    out.push_str(r#"{"jsonrpc":"2.0","method":"update","params":["#);
    for (place, (meter, level)) in levels.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        write!(out, r#"{comma}{{"param":"{meter}","val":{level}}}"#).expect("a String takes every write");
    }
    out.push_str("]}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Class, INDICES, Kind, Parser, Reading};

    #[test]
    fn an_update_has_the_manuals_form() {
        let meter = MeterId { kind: Kind::Zone, index: 0 };
        assert_eq!(
            update(&[(meter, CentiDb(-2350))]),
            r#"{"jsonrpc":"2.0","method":"update","params":[{"param":"ZoneMeter_0","val":-23.5}]}"#
        );
        let other = MeterId { kind: Kind::Mix, index: 14 };
        assert_eq!(
            update(&[(meter, CentiDb(-8000)), (other, CentiDb(-2345))]),
            r#"{"jsonrpc":"2.0","method":"update","params":[{"param":"ZoneMeter_0","val":-80},{"param":"MixMeter_14","val":-23.45}]}"#
        );
        assert_eq!(update(&[]), r#"{"jsonrpc":"2.0","method":"update","params":[]}"#);
    }

    #[test]
    fn what_is_written_is_read() {
        let mut parser = Parser::new();
        for kind in Kind::ALL {
            let levels: Vec<_> = (0..INDICES as u8)
                .map(|index| (MeterId { kind, index }, CentiDb(i16::from(index) * -127)))
                .collect();
            let datagram = update(&levels);
            let parsed = parser.parse(datagram.as_bytes()).expect("our own datagram");
            let expected: Vec<_> = levels.iter().map(|&(meter, level)| Reading { meter, level }).collect();
            assert_eq!(parsed.readings, expected);
        }
        assert_eq!(parser.parse(KEEP_ALIVE.as_bytes()).expect("our own answer").class, Class::KeepAlive);
    }
}
