//! The receivers, one file each.

mod cluster;
mod nginx;
mod null;
mod pm2;
mod script;
mod tally;

pub(crate) use cluster::{Cluster, Table};
pub(crate) use nginx::Nginx;
pub(crate) use null::{MARK, Null, READY, RECEIVED, page};
pub(crate) use pm2::Pm2;
pub(crate) use script::Script;
