//! What goes out as garbage: each piece a line over TCP and a datagram over UDP.

/// One after the other; none is a message that means something.
pub(super) const PIECES: [&[u8]; 10] = [
    b"garbage",
    b"\xff\xfe\x00\x01",
    b"",
    b"{\"jsonrpc\":\"2.0\",\"method\":\"update\",\"params\":[{\"param\":\"ZoneMeter_0\",\"val\":",
    b"{\"jsonrpc\":\"2.0\",\"method\":\"update\",\"params\":[{\"param\":\"ZoneMeter_0\"}]}",
    b"{\"jsonrpc\":\"2.0\",\"method\":\"update\",\"params\":[{\"param\":\"ZoneMeter_0\",\"val\":\"loud\"}]}",
    b"{\"jsonrpc\":\"2.0\",\"method\":\"update\",\"params\":[{\"param\":\"ZoneGain_0\",\"val\":1e999}]}",
    b"{\"jsonrpc\":\"2.0\",\"result\":null,\"id\":-1}",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    &[b'x'; 5000],
];
