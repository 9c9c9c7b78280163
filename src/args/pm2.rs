//! What those who know PM2 may type: where it is here.

/// PM2's verbs and options under which it is found here.
const HERE: &[(&[&str], &str)] = &[
    (&["ls", "l", "ps", "status"], "list"),
    (&["jlist", "prettylist", "slist", "pid", "id"], "list --json"),
    (&["show", "desc", "info", "env", "report"], "describe"),
    (&["dash", "dashboard", "imonit"], "monit"),
    (&["delete", "del", "kill"], "stop"),
    (&["startOrReload", "startOrGracefulReload", "gracefulReload"], "reload"),
    (&["startOrRestart"], "restart"),
    (&["sendSignal"], "signal"),
    (&["update", "updatePM2"], "upgrade"),
    (&["save", "dump", "resurrect"], "startup"),
    (&["init", "ecosystem"], "check --effective"),
    (&["-i", "--instances"], "--workers"),
    (&["--no-daemon"], "start"),
];
/// Those that have no counterpart.
const NOWHERE: &[&str] = &[
    "attach",
    "cleardump",
    "deploy",
    "inspect",
    "install",
    "link",
    "logrotate",
    "plus",
    "pull",
    "reloadLogs",
    "reset",
    "send",
    "serve",
    "trigger",
    "uninstall",
    "unstartup",
    "--cron",
    "--cron-restart",
    "--ignore-watch",
    "--name",
    "-n",
    "--namespace",
    "--no-autorestart",
    "--only",
    "--watch",
];

/// The way out for somebody who types it.
pub(super) fn instead_of(word: &str) -> Option<String> {
    if NOWHERE.contains(&word) {
        return Some(format!("PM2's `{word}` has no counterpart here; docs/pm2.md says what to use"));
    }
    let (_, here) = HERE.iter().find(|(theirs, _)| theirs.contains(&word))?;
    Some(format!("PM2's `{word}` is `atlas-cluster {here}` here"))
}
