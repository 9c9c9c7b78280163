//! `describe`: everything about the cluster, or about one of its workers or roles.

mod draw;
mod shape;
mod standing;

use super::client::{Client, PATIENCE};
use super::error::Error;
use super::json;
use super::snapshot::Snapshot;
use super::terminal::{Look, print};
use super::text::clean;
use crate::exit::USAGE;
use crate::wire::Trouble;
use shape::Description;

/// Shows it; of one slot alone if `id` names one.
pub(super) fn run(client: &Client, id: Option<&str>, as_json: bool) -> Result<(), Error> {
    let (snapshot, described) = Snapshot::described(client, PATIENCE)?;
    let mut description = Description::new(&snapshot, described, client.dir());
    if let Some(id) = id
        && !description.narrow(id)
    {
        return Err(Error::Refused(Trouble {
            message: format!("there is no worker and no role `{}`", clean(id)),
            hint: Some(format!("there are: {}", description.ids().join(", "))),
            exit: USAGE,
        }));
    }
    print(&if as_json {
        json::whole(&description)
    } else {
        draw::draw(&description, id.is_none(), jiff::Timestamp::now(), &Look::now())
    })
}
