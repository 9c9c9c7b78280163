//! PM2's names: which mean the same key, and which keys are translated.

use super::elsewhere::{ELSEWHERE, NOTHING};

/// Names of the same key; the first is what it is called here.
const SAME: &[&[&str]] = &[
    &["script", "exec", "cmd", "command"],
    &["interpreter", "exec_interpreter"],
    &["node_args", "interpreter_args"],
    &["out_file", "out", "output", "out_log"],
    &["error_file", "error", "err", "err_file", "err_log"],
    &["log_file", "log"],
    &["pid_file", "pid"],
    &["cron_restart", "cron"],
    &["merge_logs", "combine_logs"],
    &["uid", "user"],
];

/// Keys that are looked at where they belong.
const TRANSLATED: &[&str] = &[
    "name",
    "append_env_to_name",
    "instances",
    "exec_mode",
    "script",
    "cwd",
    "interpreter",
    "node_args",
    "args",
    "wait_ready",
    "listen_timeout",
    "kill_timeout",
    "min_uptime",
    "exp_backoff_restart_delay",
    "restart_delay",
    "max_restarts",
    "max_memory_restart",
    "env",
    "port",
    "stop_exit_codes",
    "increment_var",
    "instance_var",
    "uid",
    "gid",
];

/// What a key is called here. PM2 takes each of its names in camel case, too: `killTimeout`.
pub(super) fn known_as(written: &str) -> String {
    let snake = in_snake_case(written);
    match SAME.iter().find(|names| names.contains(&snake.as_str())) {
        Some(names) => names[0].to_owned(),
        None if is_known(&snake) => snake,
        None => written.to_owned(),
    }
}

/// Whether it is looked at elsewhere.
pub(super) fn is_translated(key: &str) -> bool {
    TRANSLATED.contains(&key)
}

fn is_known(key: &str) -> bool {
    is_translated(key) || NOTHING.contains(&key) || ELSEWHERE.iter().any(|(keys, _)| keys.contains(&key))
}

fn in_snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 2);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every name of a key that PM2 7.0.4 knows (lib/API/schema.json), and a few that its programs look at beside.
    const THEIRS: &str = "script exec name name_prefix filter_env namespace install_url cwd args exec_interpreter interpreter \
        node_args interpreterArgs interpreter_args out_file out output out_log error_file error err err_file err_log log_file \
        log disable_logs log_type log_date_format time env max_memory_restart pid_file pid restart_delay \
        exp_backoff_restart_delay source_map_support disable_source_map_support wait_ready instances kill_timeout \
        shutdown_with_message listen_timeout cron_restart cron merge_logs combine_logs vizion autostart autorestart \
        stop_exit_codes watch_delay watch ignore_watch watch_options min_uptime max_restarts execute_command exec_mode force \
        append_env_to_name post_update trace disable_trace v8 event_loop_inspector deep_monitoring increment_var instance_var \
        pmx automation treekill port username uid user gid windowsHide kill_retry_time write io cmd command maxMemoryRestart \
        execMode nodeArgs killTimeout logDateFormat";

    #[test]
    fn every_key_of_pm2_s_is_known_by_each_of_its_names() {
        for name in THEIRS.split_whitespace() {
            assert!(is_known(&known_as(name)), "{name}");
        }
        assert_eq!((known_as("colour"), known_as("env_Prod")), ("colour".to_owned(), "env_Prod".to_owned()));
    }
}
