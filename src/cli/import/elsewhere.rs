//! PM2 keys that have no counterpart, and what to use in their place.

/// What is said of a PM2 key that has no counterpart.
pub(super) const ELSEWHERE: &[(&[&str], &str)] = &[
    (
        &["watch", "ignore_watch", "watch_options", "watch_delay"],
        "for development: `watchexec -- atlas-cluster reload`, or entr; a reload loses nothing",
    ),
    (&["cron_restart", "cron"], "a systemd timer, or cron, that runs `atlas-cluster reload`"),
    (&["autorestart"], "whoever ends is started again; what runs once is a job for systemd-run or cron"),
    (
        &[
            "out_file",
            "output",
            "out",
            "error_file",
            "error",
            "err_file",
            "log_file",
            "log",
            "combine_logs",
            "merge_logs",
            "log_date_format",
            "time",
            "log_type",
            "disable_logs",
        ],
        "all output goes to the files of `log.dir` (`atlas-cluster logs`), or where the cluster's goes: under systemd to the \
         journal",
    ),
    (
        &["pid_file", "pid"],
        "`atlas-cluster list --json` tells every pid; the supervisor's is in RUNTIME_DIR/pid",
    ),
    (&["instance_var"], "the number of the worker is in NODE_APP_INSTANCE, PM2's own default"),
    (&["treekill"], "what is left of a worker's process group is always killed with it"),
    (&["shutdown_with_message"], "a worker is told to leave by SIGTERM"),
    (&["port"], "write it into `env`, if the program reads it; UDP sockets come as descriptor 3 on"),
    (&["namespace", "append_env_to_name"], "one cluster has one runtime directory: that is its name"),
    (&["post_update"], "your deployment runs it, before `atlas-cluster reload`"),
    (&["filter_env"], "`UnsetEnvironment=` in the unit, or `env -u NAME atlas-cluster …`"),
    (&["node_version"], "name that Node.js by its whole path in worker.program"),
    (&["kill_retry_time"], "SIGKILL comes once, after kill_timeout, to the whole process group"),
];
/// PM2 keys that mean nothing here, or what happens anyway.
pub(super) const NOTHING: &[&str] = &[
    "name",
    "exec_mode",
    "force",
    "vizion",
    "pmx",
    "automation",
    "trace",
    "disable_trace",
    "sysmonit",
    "v8",
    "event_loop_inspector",
    "deep_monitoring",
    "source_map_support",
    "disable_source_map_support",
    "windowsHide",
    "autostart",
    "km_link",
];
