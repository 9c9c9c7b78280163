//! The options of `capture`.

use super::{UsageError, span};
use crate::config::{in_units, parse_size};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// Bounds of a recording, in bytes; as many as `simulate --replay` reads by default.
const SIZES: (u64, u64) = (4 << 10, 1 << 40);
const USUAL_SIZE: u64 = 64 << 20;

/// Options of capture.
#[derive(Debug, Args)]
pub(super) struct CaptureOptions {
    /// Name of a processor of the configuration, or its address
    processor: String,
    /// File to write; it must not exist yet
    file: PathBuf,
    /// Stop after this long [default: when interrupted]
    #[arg(long = "for", value_name = "DURATION", allow_hyphen_values = true)]
    duration: Option<String>,
    /// Stop before the file grows larger than this [default: 64M]
    #[arg(long, value_name = "SIZE")]
    max_size: Option<String>,
}

/// What is to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// The processor's name or address.
    pub processor: String,
    /// Where to; relative to the working directory.
    pub file: PathBuf,
    /// How long, at most.
    pub duration: Option<Duration>,
    /// The largest file, in bytes.
    pub max_size: u64,
}

pub(super) fn capture(options: CaptureOptions) -> Result<Capture, UsageError> {
    let CaptureOptions { processor, file, duration, max_size } = options;
    let duration = duration.as_deref().map(|text| span::CAPTURE.parse(text)).transpose()?;
    let max_size = max_size.as_deref().map_or(Ok(USUAL_SIZE), size_of)?;
    Ok(Capture { processor, file, duration, max_size })
}

fn size_of(text: &str) -> Result<u64, UsageError> {
    let (least, most) = SIZES;
    let hint = || {
        let (least, most) = (in_units(least), in_units(most));
        format!("allowed: a size from {least} to {most}; for example `--max-size 200M`")
    };
    match parse_size(text) {
        Some(Some(size)) if (least..=most).contains(&size) => Ok(size),
        Some(_) => Err(UsageError::value("--max-size", text, "is out of range", hint())),
        None => Err(UsageError::value("--max-size", text, "is not a size", hint())),
    }
}
