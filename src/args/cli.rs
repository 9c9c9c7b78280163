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
    after_help = "Without a command, a cluster is started in the foreground.\n\
                  Any configuration key can be set with --set or in the environment: \
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
    /// Folder of the pid file and the control socket [env: ATLAS_CLUSTER_RUNTIME_DIR] [default: /run/atlas-cluster as root,
    /// else $XDG_RUNTIME_DIR/atlas-cluster]
    #[arg(long, global = true, value_name = "DIR", display_order = 100)]
    pub(super) runtime_dir: Option<PathBuf>,
    /// Log level: off, error, warn, info, debug or trace [env: ATLAS_CLUSTER_LOG_LEVEL] [default: info]
    #[arg(long, global = true, value_name = "LEVEL", display_order = 101)]
    pub(super) log_level: Option<String>,
}

/// Options of start.
#[derive(Debug, Args)]
pub(super) struct StartOptions {
    /// Number of workers, 1 to 64 [env: ATLAS_CLUSTER_WORKERS] [default: max, one for each CPU]
    #[arg(long, value_name = "N|max", allow_negative_numbers = true)]
    pub(super) workers: Option<String>,
    /// UDP address to listen on, may be repeated; port 0 is any free one, [::]:3131 is IPv6 and IPv4
    /// [env: ATLAS_CLUSTER_LISTEN, with commas] [default: 0.0.0.0:3131]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(super) listen: Vec<String>,
    /// flow: one sender's datagrams stay with one worker, in order; spread: each goes to a random one
    /// [env: ATLAS_CLUSTER_BALANCE] [default: flow]
    #[arg(long, value_name = "flow|spread")]
    pub(super) balance: Option<String>,
    /// Join a port that others have already bound, instead of refusing to start [env: ATLAS_CLUSTER_SHARE]
    #[arg(long)]
    pub(super) share: bool,
    /// TOML file [env: ATLAS_CLUSTER_CONFIG] [default: ./atlas-cluster.toml if there is one, then
    /// /etc/atlas-cluster/atlas-cluster.toml]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Start a simulated processor, too, and read its meters [env: ATLAS_CLUSTER_DEMO]
    #[arg(long)]
    pub(super) demo: bool,
    /// Set any configuration key, may be repeated: worker.watchdog=2s
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,

    /// Return to the shell once every worker is online; logs go to files [env: ATLAS_CLUSTER_DAEMON]
    #[arg(long)]
    pub(super) daemon: bool,
    /// Program to run as every worker instead of the built-in one; its slot's sockets are descriptors 3, 4, …
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
    /// Show the workers at a glance
    #[command(after_help = "Example:\n  atlas-cluster list --json")]
    List(Show),
    /// Show everything about the cluster, or one worker or role: processes, kept descriptors, limits, configuration
    #[command(after_help = "Example:\n  atlas-cluster describe\n  atlas-cluster describe 2 --json")]
    Describe {
        /// A worker's number or a role's name; without it the whole cluster
        #[arg(value_name = "ID")]
        id: Option<String>,
        /// Print JSON (docs/schema/describe.json)
        #[arg(long)]
        json: bool,
    },
    /// Show the meter table
    #[command(after_help = "Example:\n  atlas-cluster meters --watch")]
    Meters(Show),
    /// Show the whole cluster on one screen, live: workers, meters, log lines; keys to reload, restart and scale
    #[command(
        after_help = "Keys: arrows select, Tab goes to the next pane, r restarts what is selected, R reloads, + and - \
                            scale (each asks first), ? shows all keys, q quits.\n\nExample:\n  atlas-cluster monit"
    )]
    Monit,
    /// Would it start here? Prints OK, WARN and FAIL lines, with hints; takes the options of start
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
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Switch to the binary on disk, supervisor first; pid, sockets and counters stay; returns when it is over
    #[command(after_help = "Example:\n  atlas-cluster upgrade")]
    Upgrade {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Stop workers or roles and start them again, at once
    #[command(after_help = "Example:\n  atlas-cluster restart 0 2")]
    Restart {
        /// Worker numbers or role names; without any, every worker
        #[arg(value_name = "ID")]
        ids: Vec<String>,
    },
    /// Change the number of workers, losing nothing; returns when it is done
    #[command(after_help = "Example:\n  atlas-cluster scale +2")]
    Scale {
        /// N: exactly N workers (1 to 64); +N: N more; -N: N fewer
        #[arg(value_name = "N|+N|-N", allow_negative_numbers = true)]
        amount: String,
    },
    /// Send a signal to workers or roles, through the supervisor, which knows their processes
    #[command(after_help = "Example:\n  atlas-cluster signal USR1 0 2")]
    Signal {
        /// USR1, SIGUSR1 or 10
        #[arg(value_name = "NAME", allow_negative_numbers = true)]
        name: String,
        /// Worker numbers or role names
        #[arg(value_name = "ID", required = true)]
        ids: Vec<String>,
    },
    /// Simulate a processor to test against, until interrupted
    #[command(
        after_help = "A fault is KIND, KIND@TIME, KIND@TIME+DURATION or KIND+DURATION. Kinds: lockup, slow, half-open, \
                      garbage, reboot, rename, control-off, split, glued, crlf.\n\n\
                      Example:\n  atlas-cluster simulate --model azm8 --address 127.0.0.2 --fault lockup@30s"
    )]
    Simulate(SimulateOptions),
    /// Read a processor's parameter, through the one connection to it
    #[command(after_help = "Example:\n  atlas-cluster get bar ZoneName_0")]
    Get {
        #[command(flatten)]
        of: Of,
        /// Form of the value: val, pct or str [default: the parameter's usual form]
        #[arg(long, value_name = "val|pct|str")]
        format: Option<String>,
    },
    /// Set a processor's parameter, through the one connection to it
    #[command(after_help = "Example:\n  atlas-cluster set bar ZoneGain_0 -10\n  \
                            atlas-cluster set bar ZoneGain_0 50%\n  atlas-cluster set bar PlayMessage_2")]
    Set {
        #[command(flatten)]
        of: Of,
        /// A number, a percentage of the range, or text; none for a parameter that is only triggered
        #[arg(allow_hyphen_values = true)]
        value: Option<String>,
    },
    /// Change a processor's parameter by an amount, through the one connection to it
    #[command(after_help = "Example:\n  atlas-cluster bump bar ZoneGain_0 -3")]
    Bump {
        #[command(flatten)]
        of: Of,
        /// A number, or a percentage of the range
        #[arg(allow_hyphen_values = true)]
        value: Option<String>,
    },
    /// Turn a PM2 ecosystem file (JSON, or JavaScript if Node.js is installed) into a configuration
    #[command(after_help = "Example:\n  atlas-cluster import ecosystem.config.js > atlas-cluster.toml")]
    Import {
        /// The ecosystem file; a JavaScript file is executed
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Name of the app to import [default: the first]
        #[arg(long, value_name = "NAME")]
        app: Option<String>,
        /// Let the variables of `env_NAME` override those of `env`, as `pm2 start --env NAME` does
        #[arg(long, value_name = "NAME")]
        env: Option<String>,
    },
    /// Print the systemd unit for this host and configuration; print it again when either changes
    #[command(
        after_help = "Example:\n  atlas-cluster startup --config FILE > /etc/systemd/system/atlas-cluster.service"
    )]
    Startup {
        /// TOML file that the unit runs [env: ATLAS_CLUSTER_CONFIG] [default: the one that a start here would find:
        /// ./atlas-cluster.toml if there is one, then /etc/atlas-cluster/atlas-cluster.toml]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Print the unit that packages install: for any host with systemd 252 or newer, /usr/bin and the user atlas-cluster
        #[arg(long)]
        packaged: bool,
    },
    /// Print the completion script for bash, zsh or fish
    #[command(
        after_help = "Example:\n  atlas-cluster completions bash > /etc/bash_completion.d/atlas-cluster"
    )]
    Completions {
        /// bash, zsh or fish
        #[arg(value_name = "SHELL")]
        shell: String,
    },
    /// Print the man page of the program or of a command, for `man -l -` or a file
    #[command(after_help = "Example:\n  atlas-cluster man reload | man -l -")]
    Man {
        /// The command
        #[arg(value_name = "COMMAND")]
        verb: Option<String>,
    },
    /// Show what the cluster and its processes printed, where logs go to files
    #[command(after_help = "Example:\n  atlas-cluster logs -f --worker 2\n  \
                      atlas-cluster logs --since 10m --grep 'error|warn'")]
    Logs(LogOptions),
    /// Empty the log files
    #[command(after_help = "Example:\n  atlas-cluster flush")]
    Flush,
    /// Record what a processor sends, lines and datagrams, until interrupted
    #[command(
        after_help = "`simulate --replay FILE` sends the recording again; it reads up to 64M of it.\n\n\
                      Example:\n  atlas-cluster capture bar bar.jsonl --for 60s"
    )]
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
    /// Print the values in force and where each came from; check nothing
    #[arg(long)]
    pub(super) effective: bool,
    /// Print JSON
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
    /// Keep showing new lines, until interrupted
    #[arg(short, long)]
    pub(super) follow: bool,
    /// Show at most N existing lines [default: 15; with --since all of them]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) lines: Option<String>,
    /// Show only lines of this worker (number), this role (name), or `supervisor`
    #[arg(long, value_name = "ID")]
    pub(super) worker: Option<String>,
    /// Skip lines older than this: how long ago (10m), or when (2026-01-31T18:30:00Z)
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<String>,
    /// Show only lines that match this regular expression
    #[arg(long, value_name = "RE")]
    pub(super) grep: Option<String>,
}

/// How to show something.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Refresh until interrupted
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
