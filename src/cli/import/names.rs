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
