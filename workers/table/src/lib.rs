//! The meter table and the two-faced counters.
