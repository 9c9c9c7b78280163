//! PM2 keys that have no counterpart, and what to use in their place.

const PM2_IO: &str =
    "pm2.io has no counterpart: feed `list --json`, `describe --json` and the logs into what you have";

/// What is said of a PM2 key that has no counterpart.
pub(super) const ELSEWHERE: &[(&[&str], &str)] = &[
    (
        &["watch", "ignore_watch", "watch_options", "watch_delay"],
        "for development: `watchexec -- atlas-cluster reload`, or entr; a reload loses nothing",
    ),
    (&["cron_restart"], "a systemd timer, or cron, that runs `atlas-cluster reload`"),
    (
        &["autorestart"],
        "a process that ends is always started again; what runs once is a job for systemd-run or cron",
    ),
    (&["autostart"], "`systemctl enable` the unit or not; `systemctl start` starts it"),
    (
        &[
            "out_file",
            "error_file",
            "log_file",
            "merge_logs",
            "log_date_format",
            "time",
            "log_type",
            "disable_logs",
        ],
        "all output goes to the files of `log.dir`, each line with its time (`atlas-cluster logs`), or where the cluster's \
         goes: under systemd to the journal",
    ),
    (&["pid_file"], "`atlas-cluster list --json` tells every pid; the supervisor's is in RUNTIME_DIR/pid"),
    (&["treekill"], "what is left of a worker's process group is always killed with it"),
    (&["shutdown_with_message"], "a worker is told to leave by a signal, `kill_signal`"),
    (&["namespace", "name_prefix"], "one cluster has one runtime directory: that is its name"),
    (&["post_update"], "your deployment runs it, before `atlas-cluster reload`"),
    (&["filter_env"], "`UnsetEnvironment=` in the unit, or `env -u NAME atlas-cluster …`"),
    (&["node_version"], "name that Node.js by its whole path in worker.program"),
    (&["kill_retry_time"], "SIGKILL comes once, after kill_timeout, to the whole process group"),
    (&["source_map_support"], "`--enable-source-maps` behind `node` in worker.program"),
    (&["force"], "a second cluster has another --runtime-dir"),
    (&["username"], "PM2 notes who started it; `uid` and `gid` say as whom it runs"),
    (&["install_url"], "install it by npm or git; nothing is downloaded here"),
    (&["io", "pmx", "trace", "v8", "event_loop_inspector", "deep_monitoring", "sysmonit", "km_link"], PM2_IO),
    (&["vizion"], "your deployment knows what version runs"),
];

/// PM2 keys that are switches, and mean nothing here whether on or off.
pub(super) const NOTHING: &[&str] = &[
    "vizion",
    "pmx",
    "automation",
    "disable_trace",
    "disable_source_map_support",
    "windows_hide",
    "execute_command",
    "write",
    "km_link",
];
