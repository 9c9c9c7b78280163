//! How a cluster is to be started.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Cluster, Faults, Ledger, Output, Place, run};

/// Room in each slot's receive buffer: tests are about losses in the cluster, not about a machine that is busy with
/// other tests. Root may have more than `net.core.rmem_max`; others get what that grants.
const RECEIVE_BUFFER: &str = "64M";

/// What `start` is told, and where.
#[derive(Clone, Debug)]
pub struct Builder {
    pub(crate) binary: PathBuf,
    place: Option<Place>,
    config: Option<String>,
    pub(crate) wrapper: Vec<OsString>,
    arguments: Vec<OsString>,
    listen: Option<Vec<String>>,
    environment: Vec<(OsString, OsString)>,
    output: Option<PathBuf>,
}

impl Builder {
    /// For clusters of `binary`, or of `ATLAS_CLUSTER_TEST_BINARY`; two workers on a free port of 127.0.0.1.
    #[must_use]
    pub fn new(binary: impl Into<PathBuf>) -> Builder {
        let binary =
            std::env::var_os("ATLAS_CLUSTER_TEST_BINARY").map_or_else(|| binary.into(), PathBuf::from);
        let builder = Builder {
            binary,
            place: None,
            config: None,
            wrapper: Vec::new(),
            arguments: Vec::new(),
            listen: Some(Vec::new()),
            environment: Vec::new(),
            output: None,
        };
        builder.workers(2).env("ATLAS_CLUSTER_RECEIVE_BUFFER", RECEIVE_BUFFER)
    }

    /// The binary that will be started.
    #[must_use]
    pub fn binary_path(&self) -> &Path {
        &self.binary
    }

    /// Another binary.
    #[must_use]
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Builder {
        self.binary = path.into();
        self
    }

    /// How many workers, unless an argument or the configuration says so.
    #[must_use]
    pub fn workers(self, workers: usize) -> Builder {
        self.env("ATLAS_CLUSTER_WORKERS", workers.to_string())
    }

    /// The configuration says how many workers.
    #[must_use]
    pub fn workers_as_configured(mut self) -> Builder {
        self.environment.retain(|(name, _)| name != "ATLAS_CLUSTER_WORKERS");
        self
    }

    /// An address to listen on in place of `127.0.0.1:0`; may be repeated.
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Builder {
        self.listen.get_or_insert_default().push(address.into());
        self
    }

    /// No `--listen`: the configuration says where.
    #[must_use]
    pub fn listen_as_configured(mut self) -> Builder {
        self.listen = None;
        self
    }

    /// Text of the configuration file. Without it the file is what the place has, or empty.
    #[must_use]
    pub fn config(mut self, text: impl Into<String>) -> Builder {
        self.config = Some(text.into());
        self
    }

    /// A place that outlives this cluster, in place of one of its own.
    #[must_use]
    pub fn place(mut self, place: &Place) -> Builder {
        self.place = Some(place.clone());
        self
    }

    /// A variable of the supervisor's environment; a later one replaces an earlier one.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Builder {
        let name = name.into();
        self.environment.retain(|(other, _)| *other != name);
        self.environment.push((name, value.into()));
        self
    }

    /// The workers mark this ledger.
    #[must_use]
    pub fn ledger(self, ledger: &Ledger) -> Builder {
        self.env("ATLAS_CLUSTER_LEDGER", ledger.path())
    }

    /// The workers look for ordered faults here.
    #[must_use]
    pub fn faults(self, faults: &Faults) -> Builder {
        self.env("ATLAS_CLUSTER_FAULTS", faults.folder())
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Builder {
        self.arguments.push(argument.into());
        self
    }

    /// Arguments behind `--`: a program in place of the built-in worker. No argument may follow.
    #[must_use]
    pub fn program<'a>(mut self, words: impl IntoIterator<Item = &'a str>) -> Builder {
        self.arguments.push("--".into());
        self.arguments.extend(words.into_iter().map(OsString::from));
        self
    }

    /// A file to which standard output is appended, the workers' too.
    #[must_use]
    pub fn output(mut self, file: impl Into<PathBuf>) -> Builder {
        self.output = Some(file.into());
        self
    }

    /// A command that runs the binary: `unshare -pf …`.
    #[must_use]
    pub fn wrapped_in(mut self, command: &[&str]) -> Builder {
        self.wrapper = command.iter().map(Into::into).collect();
        self
    }

    /// Starts it and waits until every worker is online.
    ///
    /// # Panics
    /// When it does not come online.
    #[track_caller]
    #[must_use]
    pub fn start(self) -> Cluster {
        let cluster = self.spawn();
        cluster.expect_state("online");
        cluster
    }

    /// Starts it and waits for nothing.
    ///
    /// # Panics
    /// When it can't be started.
    #[track_caller]
    #[must_use]
    pub fn spawn(self) -> Cluster {
        let (mut command, place) = self.prepare();
        let output = self.output.as_ref().map(|file| {
            let file = std::fs::File::options().create(true).append(true).open(file);
            Stdio::from(file.expect("a file for standard output"))
        });
        command.stdin(Stdio::null()).stdout(output.unwrap_or_else(Stdio::null)).stderr(Stdio::piped());
        let child = command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        Cluster::adopt(child, self.binary, place)
    }

    /// Starts what is expected to end by itself, and waits for its end. Nothing may be left of it.
    ///
    /// # Panics
    /// When it does not end, or leaves processes.
    #[track_caller]
    #[must_use]
    pub fn run(self) -> Output {
        let (command, place) = self.prepare();
        let output = run(command);
        let left = crate::process::with_variable(&place.mark());
        assert!(left.is_empty(), "{output:#?} left {left:#?}");
        output
    }

    pub(crate) fn prepare(&self) -> (Command, Place) {
        let place = self.place.clone().unwrap_or_else(Place::new);
        if let Some(text) = &self.config {
            place.write_config(text);
        } else if !place.config_file().exists() {
            place.write_config("");
        }
        let mut words = self
            .wrapper
            .iter()
            .chain([self.binary.as_os_str().to_owned()].iter())
            .cloned()
            .collect::<Vec<_>>();
        let mut command = Command::new(words.remove(0));
        forget_cluster(&mut command);
        command.args(words).env("ATLAS_CLUSTER_RUNTIME_DIR", place.runtime_dir());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.arg("start").arg("--config").arg(place.config_file());
        for address in self.listen.iter().flatten() {
            command.args(["--listen", address]);
        }
        if self.listen.as_ref().is_some_and(Vec::is_empty) {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.args(&self.arguments);
        (command, place)
    }
}

/// What the test's own environment says to a cluster is not meant for this one; what the command was given is.
pub(crate) fn forget_cluster(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let is_given = command.get_envs().any(|(given, _)| given == name);
        if is_given {
            continue;
        }
        if text.starts_with("ATLAS_CLUSTER_") || text.starts_with("LISTEN_") || text == "NOTIFY_SOCKET" {
            command.env_remove(&name);
        }
    }
}
