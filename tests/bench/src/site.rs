//! Where everything is: the cluster's binary, the peers, the tools, a folder for what they write.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::process;
use crate::trouble::{Trouble, cannot};

/// nginx's stream module, where Debian puts it.
const STREAM_MODULE: &str = "usr/lib/nginx/modules/ngx_stream_module.so";

/// A shell that becomes what its arguments say.
const BECOME: &str = r#"read go; exec "$0" "$@" </dev/null"#;

/// All that a run uses.
pub(crate) struct Site {
    pub(crate) cluster: PathBuf,
    pub(crate) node: PathBuf,
    /// PM2's command line, for Node.js.
    pub(crate) pm2: PathBuf,
    pub(crate) python: PathBuf,
    pub(crate) nginx: PathBuf,
    pub(crate) nginx_stream: PathBuf,
    pub(crate) perf: PathBuf,
    /// The scripts and configurations of the peers.
    pub(crate) peers: PathBuf,
    folder: TempDir,
}

impl Site {
    /// Finds everything; what is missing fails with the line that brings it.
    pub(crate) fn find(cluster: &Path, fetched: &Path) -> Result<Site, Trouble> {
        let absolute = |path: &Path| path.canonicalize().ok();
        let cluster = absolute(cluster)
            .ok_or_else(|| missing(cluster.display(), "cargo build --release -p atlas-cluster"))?;
        let fetch =
            format!("npm install --no-save --prefix {} pm2 (as scripts/bench.sh does)", fetched.display());
        let pm2 = fetched.join("node_modules/pm2/bin/pm2");
        let pm2 = absolute(&pm2).ok_or_else(|| missing("PM2", &fetch))?;
        let (nginx, nginx_stream) = nginx(fetched)?;
        let setpriv = on_path("setpriv");
        setpriv.ok_or_else(|| missing("setpriv", "apt-get install util-linux"))?;
        if !process::tells_time() {
            let hint = "a kernel with CONFIG_SCHED_INFO, as distributions have it";
            return Err(Trouble::broken("/proc/PID/task/TID/schedstat tells no CPU time", hint));
        }
        let folder = tempfile::Builder::new().prefix("acb-").tempdir_in("/tmp");
        let folder = folder.map_err(cannot("make a folder in /tmp"))?;
        Ok(Site {
            cluster,
            node: own_path("node", &["-p", "process.execPath"], "nodejs")?,
            pm2,
            python: own_path("python3", &["-c", "import sys; print(sys.executable)"], "python3")?,
            nginx,
            nginx_stream,
            perf: on_path("perf").ok_or_else(|| missing("perf", "apt-get install linux-perf"))?,
            peers: Path::new(env!("CARGO_MANIFEST_DIR")).join("peers"),
            folder,
        })
    }

    /// A fresh folder with a short path, for one subject; other users may look into it.
    pub(crate) fn new_folder(&self) -> Result<TempDir, Trouble> {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        let made = tempfile::Builder::new()
            .permissions(mode)
            .rand_bytes(4)
            .prefix("")
            .tempdir_in(self.folder.path());
        made.map_err(cannot(format_args!("make a folder in {}", self.folder.path().display())))
    }

    /// A command for [`crate::subject::Guarded::launch`]: it is ready to become the program once it reads a line, so that
    /// its start is measured from exec; and it gets TERM when this process ends, however it ends.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--", "sh", "-c", BECOME]).arg(program);
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("ATLAS_CLUSTER_") || text.starts_with("LISTEN_") || text == "NOTIFY_SOCKET" {
                command.env_remove(&name);
            }
        }
        command
    }
}

/// The first line that a program prints; empty if it does not run.
pub(crate) fn first_line(command: &mut Command) -> String {
    let output = command.output().map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    String::from_utf8_lossy(&output).lines().next().unwrap_or_default().trim().to_owned()
}

fn missing(what: impl std::fmt::Display, install: &str) -> Trouble {
    Trouble::Missing { what: what.to_string(), install: install.into() }
}

/// What an interpreter itself says: what lies in PATH may be a script of a version manager that takes its time.
fn own_path(program: &str, question: &[&str], package: &str) -> Result<PathBuf, Trouble> {
    let path = PathBuf::from(first_line(Command::new(program).args(question)));
    if path.is_absolute() { Ok(path) } else { Err(missing(program, &format!("apt-get install {package}"))) }
}

/// As scripts/bench.sh unpacks it, else as installed.
fn nginx(fetched: &Path) -> Result<(PathBuf, PathBuf), Trouble> {
    let places = [fetched.join("nginx"), PathBuf::from("/")];
    let files = places.map(|root| (root.join("usr/sbin/nginx"), root.join(STREAM_MODULE)));
    let found = files
        .into_iter()
        .find_map(|(program, module)| Some((program.canonicalize().ok()?, module.canonicalize().ok()?)));
    found.ok_or_else(|| missing("nginx with its stream module", "apt-get install nginx libnginx-mod-stream"))
}

fn on_path(program: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file())
}
