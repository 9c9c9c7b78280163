//! The options of `simulate`: they become a plan.

use super::{UsageError, span};
use crate::roles::simulated::Plan;
use crate::roles::simulated::fault::{self, Kind, MAX_PLANNED, Planned};
use crate::roles::simulated::model::Product;
use crate::roles::simulated::plan::{ADDRESS, MAX_BATCH, MAX_CONNECTIONS, MAX_RATE, METER_PORT, TCP_PORT};
use clap::Args;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Options of simulate.
#[derive(Debug, Args)]
pub(super) struct SimulateOptions {
    /// Model: azm4, azm8, azmp4 or azmp8 [default: azm8]
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Its IP address; each simulated processor needs one of its own [default: 127.0.0.2]
    #[arg(long, value_name = "ADDR")]
    address: Option<String>,
    /// TCP port to listen on; 0 is any free one [default: 5321]
    #[arg(long, value_name = "PORT", allow_negative_numbers = true)]
    tcp_port: Option<String>,
    /// UDP port of the subscribers, to which meters are sent [default: 3131]
    #[arg(long, value_name = "PORT", allow_negative_numbers = true)]
    meter_port: Option<String>,
    /// Readings per second of each meter, 1 to 1000 [default: 10]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    rate: Option<String>,
    /// Meters per datagram, 1 to 64 [default: 1]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    batch: Option<String>,
    /// What goes wrong and when, may be repeated: lockup@30s, reboot@1m+10s
    #[arg(long, value_name = "KIND@TIME+DURATION")]
    fault: Vec<String>,
    /// Close a connection after this long without input [default: 5m]
    #[arg(long, value_name = "DURATION")]
    inactivity: Option<String>,
    /// Most connections at the same time, 1 to 1024 [default: 64]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    connections: Option<String>,
    /// Unix socket that answers `stats` and takes `fault KIND DURATION`, one per line
    #[arg(long, value_name = "PATH")]
    stats_socket: Option<PathBuf>,
    /// Recording to send in a loop instead of its own meters: the datagrams, and all lines but answers
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Seed of the simulated music: the same seed plays the same [default: 1]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<String>,
}

/// The processor that the options ask for.
pub(super) fn plan(options: &SimulateOptions) -> Result<Plan, UsageError> {
    let usual = Plan::default();
    let connections = (1, MAX_CONNECTIONS as u64);
    let number = |option, text, bounds, default| number(option, text, bounds, default);
    let rate = number("--rate", &options.rate, (1, u64::from(MAX_RATE)), 10)?;
    let faults = options.fault.iter().map(|text| planned(text)).collect::<Result<Vec<_>, _>>()?;
    if faults.len() > MAX_PLANNED {
        let hint = format!("allowed: at most {MAX_PLANNED}; more can be brought about over --stats-socket");
        return Err(UsageError::new(&format!("--fault: {} are too many", faults.len()), hint));
    }
    Ok(Plan {
        product: value("--model", &options.model, "is not a model", &models(), usual.product)?,
        seed: number("--seed", &options.seed, (0, u64::MAX), usual.seed)?,
        address: value(
            "--address",
            &options.address,
            "is not an IP address",
            "for example `--address 127.0.0.3`",
            ADDRESS,
        )?,
        tcp_port: number("--tcp-port", &options.tcp_port, (0, 65535), u64::from(TCP_PORT))? as u16,
        meter_port: number("--meter-port", &options.meter_port, (1, 65535), u64::from(METER_PORT))? as u16,
        interval: Duration::from_secs(1) / rate as u32,
        batch: number("--batch", &options.batch, (1, MAX_BATCH as u64), usual.batch as u64)? as usize,
        inactivity: options
            .inactivity
            .as_deref()
            .map_or(Ok(usual.inactivity), |text| span::INACTIVITY.parse(text))?,
        connections: number("--connections", &options.connections, connections, usual.connections as u64)?
            as usize,
        faults,
        replay: options.replay.clone(),
        control: options.stats_socket.clone(),
    })
}

fn models() -> String {
    format!("allowed: {}; for example `--model azm8`", Product::ALL.map(Product::name).join(", "))
}

fn value<T: FromStr>(
    option: &str,
    text: &Option<String>,
    why: &str,
    hint: &str,
    default: T,
) -> Result<T, UsageError> {
    let Some(text) = text else { return Ok(default) };
    text.parse().map_err(|_| UsageError::value(option, text, why, hint.to_owned()))
}

fn number(
    option: &str,
    text: &Option<String>,
    (low, high): (u64, u64),
    default: u64,
) -> Result<u64, UsageError> {
    let hint = format!("allowed: a whole number from {low} to {high}; for example `{option} {default}`");
    let number = value(option, text, "is not a whole number", &hint, i128::from(default))?;
    match u64::try_from(number) {
        Ok(number) if (low..=high).contains(&number) => Ok(number),
        Ok(_) | Err(_) => Err(UsageError::value(option, &number.to_string(), "is out of range", hint)),
    }
}

fn planned(text: &str) -> Result<Planned, UsageError> {
    text.parse().map_err(|why: fault::BadFault| {
        let hint = format!(
            "allowed: {}, each with @TIME and +DURATION; for example `--fault lockup@30s`",
            Kind::names()
        );
        UsageError::value("--fault", text, &why.to_string(), hint)
    })
}
