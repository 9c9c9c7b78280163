//! The one floor with unsafe: safe doors to what the kernel offers and no crate does.
