//! The Atlas third-party control protocol: parameters, messages, parser; pure.
