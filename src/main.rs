//! atlas-cluster
fn main() {}
