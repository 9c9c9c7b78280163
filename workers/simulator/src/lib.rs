//! An AZM8 that behaves as the manual says; so far the sender of its meters.
