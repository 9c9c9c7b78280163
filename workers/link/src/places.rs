//! The processors' places in the table.

use std::net::IpAddr;
use std::os::fd::BorrowedFd;

use contract::Seat;
use table::{LinkWriter, Place, Writer};

/// The place of each address, claimed if need be, with nobody else's names in it. None where the table is full of other
/// processors that are configured. What is known of everybody else is forgotten.
pub(crate) fn claim(
    addresses: &[IpAddr],
    table: &Writer<'_>,
    link: &LinkWriter<'_>,
    segment: BorrowedFd<'_>,
) -> Vec<Option<Place>> {
    let claim = |&address: &IpAddr| {
        let place = table.place(address).or_else(|| {
            // In a full table room is made by one process at a time, as the workers do it.
            let _turn = Seat::wait(segment).ok()?;
            table.place_by_right(address, |other| addresses.contains(&other))
        });
        place.inspect(|place| link.adopt(*place))
    };
    let places: Vec<Option<Place>> = addresses.iter().map(claim).collect();
    link.disown(|place| places.contains(&Some(place)));
    places
}
