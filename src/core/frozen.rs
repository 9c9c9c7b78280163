//! The seats as data: pairs, since a slot is no name that a key of JSON could be.

use super::event::Slot;
use super::slot::Seat;
use serde::{Deserialize, Deserializer, Serializer};
use std::collections::BTreeMap;

pub(super) fn serialize<S: Serializer>(seats: &BTreeMap<Slot, Seat>, out: S) -> Result<S::Ok, S::Error> {
    out.collect_seq(seats)
}

pub(super) fn deserialize<'d, D: Deserializer<'d>>(input: D) -> Result<BTreeMap<Slot, Seat>, D::Error> {
    Ok(Vec::<(Slot, Seat)>::deserialize(input)?.into_iter().collect())
}
