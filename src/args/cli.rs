//! What clap knows: verbs, options and their help.

#![allow(rustdoc::broken_intra_doc_links, reason = "the help of options is not Markdown: [::] is an address")]

use super::capture::CaptureOptions;
use super::simulate::SimulateOptions;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Any number of UDP workers on one port: they restart and reload without losing a datagram.
#[derive(Debug, Parser)]
#[command(
    name = "atlas-cluster",
    bin_name = "atlas-cluster",
    version,
    override_usage = "atlas-cluster [start] [OPTIONS] [-- PROGRAM ARGS…]\n       atlas-cluster COMMAND [OPTIONS]",
    after_help = "Without a command it starts a cluster in the foreground.\n\
                  Any key of the configuration can be given by --set, or in the environment: \
                  worker.watchdog is ATLAS_CLUSTER_WORKER_WATCHDOG.\n\n\
                  Example:\n  atlas-cluster --workers 4 --listen 0.0.0.0:3131"
)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    /// Only for the help: these options bring `start` with them before clap sees them.
    #[command(flatten)]
    pub(super) start: StartOptions,
    #[command(subcommand)]
    pub(super) verb: Option<Verb>,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(super) struct Global {
    /// Pid file and control socket [env: ATLAS_CLUSTER_RUNTIME_DIR] [default: /run/atlas-cluster as root,
    /// else $XDG_RUNTIME_DIR/atlas-cluster]
    #[arg(long, global = true, value_name = "DIR", display_order = 100)]
    pub(super) runtime_dir: Option<PathBuf>,
    /// off, error, warn, info, debug or trace [env: ATLAS_CLUSTER_LOG_LEVEL] [default: info]
    #[arg(long, global = true, value_name = "LEVEL", display_order = 101)]
    pub(super) log_level: Option<String>,
}

/// Options of start.
#[derive(Debug, Args)]
pub(super) struct StartOptions {
    /// Number of workers, 1 to 64 [env: ATLAS_CLUSTER_WORKERS] [default: max, one for each CPU]
    #[arg(long, value_name = "N|max", allow_negative_numbers = true)]
    pub(super) workers: Option<String>,
    /// UDP address, may be repeated; port 0 is any free one, [::]:3131 is IPv6 and IPv4
    /// [env: ATLAS_CLUSTER_LISTEN, with commas] [default: 0.0.0.0:3131]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(super) listen: Vec<String>,
    /// flow: one sender's datagrams stay with one worker, in order; spread: each goes to a random one
    /// [env: ATLAS_CLUSTER_BALANCE] [default: flow]
    #[arg(long, value_name = "flow|spread")]
    pub(super) balance: Option<String>,
    /// Join a port that others have already bound, in place of refusing it [env: ATLAS_CLUSTER_SHARE]
    #[arg(long)]
    pub(super) share: bool,
    /// TOML file [env: ATLAS_CLUSTER_CONFIG] [default: ./atlas-cluster.toml if there is one, then
    /// /etc/atlas-cluster/atlas-cluster.toml]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Bring a simulated processor along and read its meters [env: ATLAS_CLUSTER_DEMO]
    #[arg(long)]
    pub(super) demo: bool,
    /// Any key of the configuration, may be repeated: worker.watchdog=2s
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,

    /// Come back to the shell once every worker is online; logs go to files [env: ATLAS_CLUSTER_DAEMON]
    #[arg(long)]
    pub(super) daemon: bool,
    /// What runs as every worker in place of the built-in one, with its slot's sockets from descriptor 3 on
    #[arg(last = true, value_name = "PROGRAM ARGS")]
    pub(super) program: Vec<String>,
}

/// What can be asked of a cluster.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Run a cluster in the foreground
    #[command(
        override_usage = "atlas-cluster [start] [OPTIONS] [-- PROGRAM ARGS…]",
        after_help = "Example:\n  atlas-cluster start --workers 4 --listen '[::]:3131'\n  \
                      atlas-cluster start --workers 4 -- python3 server.py"
    )]
    Start(StartOptions),
    /// The workers at a glance
    #[command(after_help = "Example:\n  atlas-cluster list --json")]
    List(Show),
    /// Everything about the cluster, or about one worker or role: processes, what is kept, limits, configuration
    #[command(after_help = "Example:\n  atlas-cluster describe\n  atlas-cluster describe 2 --json")]
    Describe {
        /// A worker's number or a role's name; all of them if none is given
        #[arg(value_name = "ID")]
        id: Option<String>,
        /// As JSON (docs/schema/describe.json)
        #[arg(long)]
        json: bool,
    },
    /// The meter table
    #[command(after_help = "Example:\n  atlas-cluster meters --watch")]
    Meters(Show),
    /// The whole cluster on one screen, live: workers, meters, log lines; keys reload, restart and scale
    #[command(
        after_help = "Keys: arrows choose, Tab changes the part, r restarts what is chosen, R reloads, + and - scale \
                            (each asks first), ? tells all of them, q quits.\n\nExample:\n  atlas-cluster monit"
    )]
    Monit,
    /// Would it start here? OK, WARN and FAIL lines, each with the way out; takes the options of start
    #[command(
        override_usage = "atlas-cluster check [OPTIONS] [-- PROGRAM ARGS…]",
        after_help = "Example:\n  atlas-cluster check --config /etc/atlas-cluster/atlas-cluster.toml\n  \
                      atlas-cluster check --effective"
    )]
    Check(CheckOptions),
    /// Tell whether a cluster is running
    #[command(after_help = "Example:\n  atlas-cluster ping && echo running")]
    Ping,
    /// Wait until the cluster is online, or stopped
    #[command(after_help = "Example:\n  atlas-cluster wait --for online --timeout 10s")]
    Wait {
        /// What to wait for: online or stopped
        #[arg(
            long = "for",
            value_enum,
            hide_possible_values = true,
            default_value = "online",
            value_name = "STATE"
        )]
        goal: Goal,
        /// Give up after this long, with exit code 1
        #[arg(long, default_value = "30s", value_name = "DURATION")]
        timeout: String,
    },
    /// Drain and stop the cluster; returns when every process is gone
    #[command(after_help = "Example:\n  atlas-cluster stop")]
    Stop {
        /// Stop at once, without draining
        #[arg(long)]
        now: bool,
    },
    /// Read the configuration again and replace every worker, losing nothing; returns when it is over
    #[command(after_help = "Example:\n  atlas-cluster reload")]
    Reload {
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Become the binary on disk: supervisor, then workers; pid, sockets and counters stay; returns when it is over
    #[command(after_help = "Example:\n  atlas-cluster upgrade")]
    Upgrade {
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Stop and start workers, at once
    #[command(after_help = "Example:\n  atlas-cluster restart 0 2")]
    Restart {
        /// Workers; all of them if none is given
        #[arg(value_name = "ID")]
        ids: Vec<String>,
    },
    /// More or fewer workers, losing nothing; returns when it is done
    #[command(after_help = "Example:\n  atlas-cluster scale +2")]
    Scale {
        /// Exactly N workers (1 to 64), or so many more, or so many fewer
        #[arg(value_name = "N|+N|-N", allow_negative_numbers = true)]
        amount: String,
    },
    /// Send a signal to the processes of workers, through the supervisor, who knows which they are
    #[command(after_help = "Example:\n  atlas-cluster signal USR1 0 2")]
    Signal {
        /// USR1, SIGUSR1 or 10
        #[arg(value_name = "NAME", allow_negative_numbers = true)]
        name: String,
        /// Workers or roles
        #[arg(value_name = "ID", required = true)]
        ids: Vec<String>,
    },
    /// A processor to test against, until interrupted
    #[command(
        after_help = "A fault is KIND, KIND@TIME, KIND@TIME+DURATION or KIND+DURATION. Kinds: lockup, slow, half-open, \
                      garbage, reboot, rename, control-off, split, glued, crlf.\n\n\
                      Example:\n  atlas-cluster simulate --model azm8 --address 127.0.0.2 --fault lockup@30s"
    )]
    Simulate(SimulateOptions),
    /// The value of a processor's parameter, asked through the one connection to it
    #[command(after_help = "Example:\n  atlas-cluster get bar ZoneName_0")]
    Get {
        #[command(flatten)]
        of: Of,
        /// Its form: val, pct or str; without it the parameter's usual one
        #[arg(long, value_name = "val|pct|str")]
        format: Option<String>,
    },
    /// Set a processor's parameter, through the one connection to it
    #[command(after_help = "Example:\n  atlas-cluster set bar ZoneGain_0 -10\n  \
                            atlas-cluster set bar ZoneGain_0 50%\n  atlas-cluster set bar PlayMessage_2")]
    Set {
        #[command(flatten)]
        of: Of,
        /// A number, percents of the range, or text; not needed for what is only triggered
        #[arg(allow_hyphen_values = true)]
        value: Option<String>,
    },
    /// Change a processor's parameter by so much, through the one connection to it
    #[command(after_help = "Example:\n  atlas-cluster bump bar ZoneGain_0 -3")]
    Bump {
        #[command(flatten)]
        of: Of,
        /// A number, or percents of the range
        #[arg(allow_hyphen_values = true)]
        value: Option<String>,
    },
    /// Turn a PM2 ecosystem file (JSON, or JavaScript where Node.js is) into a configuration
    #[command(after_help = "Example:\n  atlas-cluster import ecosystem.config.js > atlas-cluster.toml")]
    Import {
        /// A JavaScript file is executed
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// One of several apps, by its name; without it the first
        #[arg(long, value_name = "NAME")]
        app: Option<String>,
        /// With the variables of `env_NAME` over those of `env`, as `pm2 start --env NAME` has them
        #[arg(long, value_name = "NAME")]
        env: Option<String>,
    },
    /// Print the systemd unit for this host and a configuration; where that changes, print it anew
    #[command(
        after_help = "Example:\n  atlas-cluster startup --config FILE > /etc/systemd/system/atlas-cluster.service"
    )]
    Startup {
        /// TOML file that the unit is to run [env: ATLAS_CLUSTER_CONFIG] [default: the one that a start here would find:
        /// ./atlas-cluster.toml if there is one, then /etc/atlas-cluster/atlas-cluster.toml]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// The unit that packages bring: for any host with systemd 252 or newer, /usr/bin and the user atlas-cluster
        #[arg(long)]
        packaged: bool,
    },
    /// What a shell needs to complete commands and options: bash, zsh, fish
    #[command(
        after_help = "Example:\n  atlas-cluster completions bash > /etc/bash_completion.d/atlas-cluster"
    )]
    Completions {
        /// bash, zsh or fish
        #[arg(value_name = "SHELL")]
        shell: String,
    },
    /// The man page, of the whole or of a command; for `man -l -`, or a file
    #[command(after_help = "Example:\n  atlas-cluster man reload | man -l -")]
    Man {
        /// A command
        #[arg(value_name = "COMMAND")]
        verb: Option<String>,
    },
    /// What the cluster and its processes printed, where that goes to files
    #[command(after_help = "Example:\n  atlas-cluster logs -f --worker 2\n  \
                      atlas-cluster logs --since 10m --grep 'error|warn'")]
    Logs(LogOptions),
    /// Empty the log files
    #[command(after_help = "Example:\n  atlas-cluster flush")]
    Flush,
    /// Record what a processor sends, lines and datagrams, until interrupted
    #[command(after_help = "The file is what `simulate --replay FILE` sends again; it reads 64M of it.\n\n\
                      Example:\n  atlas-cluster capture bar bar.jsonl --for 60s")]
    Capture(CaptureOptions),
    /// Print the version
    #[command(after_help = "Example:\n  atlas-cluster version")]
    Version,
}

/// Options of check.
#[derive(Debug, Args)]
pub(super) struct CheckOptions {
    #[command(flatten)]
    pub(super) start: StartOptions,
    /// Print the values in force, each with where it came from, and check nothing
    #[arg(long)]
    pub(super) effective: bool,
    /// As JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// A parameter of a processor.
#[derive(Debug, Args)]
pub(super) struct Of {
    /// Name of a [[processor]] of the configuration, or its address
    pub(super) processor: String,
    /// For example ZoneGain_0
    pub(super) param: String,
}

/// Which lines of the logs.
#[derive(Debug, Args)]
pub(super) struct LogOptions {
    /// Go on with those to come, until interrupted
    #[arg(short, long)]
    pub(super) follow: bool,
    /// At most so many of those there are [default: 15; with --since all of them]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) lines: Option<String>,
    /// Only those of this worker (its number), of this role (its name), or of `supervisor`
    #[arg(long, value_name = "ID")]
    pub(super) worker: Option<String>,
    /// None older than this: how long ago (10m), or when (2026-01-31T18:30:00Z)
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<String>,
    /// Only those in which this regular expression is found
    #[arg(long, value_name = "RE")]
    pub(super) grep: Option<String>,
}

/// How to show something.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// As JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Again and again, until interrupted
    #[arg(long)]
    pub(super) watch: bool,
}

/// What `wait` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Goal {
    /// A cluster is there, and every worker is online
    Online,
    /// No cluster is running
    Stopped,
}
