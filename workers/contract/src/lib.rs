//! systemd's contract from the worker's side.
