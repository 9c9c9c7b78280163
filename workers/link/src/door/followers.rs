//! Clients that hear every line of a processor: each as fast as he reads, and no faster.

use atlas::recording;

use super::Door;
use super::client::Client;
use crate::connection::Ticket;

/// Bytes that wait for one who records: five of the longest lines, if each byte of them is escaped.
pub(super) const MAX_RECORDS: usize = 2 << 20;

impl Door {
    /// Whoever asked this hears every line of that processor from now on, until he hangs up.
    pub(crate) fn follow(&mut self, ticket: Ticket, peer: usize) {
        let asker = self.clients.values_mut().find(|client| client.busy == Some(ticket));
        asker.into_iter().for_each(|client| client.follows = Some(peer));
    }

    /// Whether somebody hears every line of that processor.
    pub(crate) fn is_followed(&self, peer: usize) -> bool {
        self.clients.values().any(|client| client.follows == Some(peer))
    }

    /// Tells a record to who follows that processor. What he is too slow for he is told the number of.
    pub(crate) fn tell(&mut self, peer: usize, record: &[u8]) {
        self.clients.retain(|_, client| {
            if client.follows != Some(peer) {
                return true;
            }
            if client.output.len() + record.len() > MAX_RECORDS {
                client.left_out += 1;
                return true;
            }
            client.tell_left_out();
            client.output.extend_from_slice(record);
            client.flush().is_ok()
        });
    }
}

impl Client {
    /// Once there is room again.
    pub(super) fn tell_left_out(&mut self) {
        if self.left_out > 0 && self.output.len() < MAX_RECORDS / 2 {
            let count = std::mem::take(&mut self.left_out);
            self.output.extend_from_slice(recording::left_out(count).as_bytes());
        }
    }
}
