//! The Atlas third-party control protocol: parameters, messages, parser; pure.
//!
//! A processor pushes its meters as JSON datagrams. [`Parser`] turns the bytes of one datagram into
//! [`Reading`]s, or into the one reason why it is [`Malformed`]; [`message`] writes such datagrams.
//! Over TCP it takes commands ([`control`] writes them) and answers ([`answer`] reads them); [`params`] is the table of
//! what it has, [`order`] how a user asks for it through the owner of the connection, who understands him by [`asked`]. What it sends can be recorded:
//! [`capture`] is the file, [`recording`] how it is asked for.
//!
//! ```
//! use atlas::{CentiDb, Class, Kind, MeterId, Parser};
//!
//! let mut parser = Parser::new();
//! let datagram = br#"{"jsonrpc":"2.0","method":"update","params":[{"param":"ZoneMeter_0","val":-23.5}]}"#;
//! let parsed = parser.parse(datagram).expect("a valid datagram");
//! assert_eq!(parsed.class, Class::Meter);
//! assert_eq!(parsed.readings[0].meter, MeterId { kind: Kind::Zone, index: 0 });
//! assert_eq!(parsed.readings[0].level, CentiDb(-2350));
//! ```

pub mod answer;
pub mod asked;
pub mod capture;
pub mod control;
mod cursor;
mod level;
pub mod lines;
mod malformed;
pub mod message;
mod meter;
mod number;
pub mod order;
mod param;
pub mod params;
mod parser;
mod plain;
pub mod recording;
mod text;

pub use level::CentiDb;
pub use malformed::Malformed;
pub use meter::{INDICES, Kind, MeterId, Reading};
pub use parser::{Class, MAX_DATAGRAM, Parsed, Parser};
