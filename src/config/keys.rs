//! The table of keys: one row is all it takes to read a key from file, flags and environment.

use super::fault::{Fault, Faults, Message};
use super::kinds::{
    Address, Command, Directory, Environment, Kind, Name, OneOf, Optional, OrOff, Size, Span, Switch, Whole,
    Workers,
};
use super::listen::Listen;
use super::processors::Processors;
use super::runs_as::{Asking, CpuList, ExitCodes, Group, User, Variable};
use super::types::{Balance, Config, Processor};
use super::value::Value;
use contract::logs::Format;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const TIMEOUT: Span = Span(Duration::from_millis(10), HOUR);
const DELAY: Span = Span(Duration::ZERO, HOUR);
const COUNT: Whole<u64> = Whole(1, 1 << 30);
const ANY_SIZE: Size = Size(0, u64::MAX);
const SILENCE: Span = Span(Duration::from_millis(100), HOUR);

/// One row.
pub(super) struct Key<T: 'static> {
    /// Section and key, as `worker.watchdog`.
    pub(super) path: &'static str,
    /// A good value, as TOML; empty where none fits into a line.
    pub(super) example: &'static str,
    /// What it takes, and where it goes.
    pub(super) slot: &'static (dyn Slot<T> + Sync),
}

/// Every key of the configuration, in the order of the documentation.
#[rustfmt::skip]
pub(super) static KEYS: &[Key<Config>] = &[
    key("workers", "4", &config(Workers, |c| &mut c.workers)),
    key("listen", r#"["0.0.0.0:3131"]"#, &config(Listen, |c| &mut c.listen)),
    key("receive_buffer", r#""4M""#, &config(Size(4 << 10, 1 << 30), |c| &mut c.receive_buffer)),
    key("balance", r#""flow""#, &config(OneOf(BALANCES), |c| &mut c.balance)),
    key("share", "true", &config(Switch, |c| &mut c.share)),
    key("accept_unknown", "true", &config(Switch, |c| &mut c.accept_unknown)),
    key("stale_after", r#""3s""#, &config(SILENCE, |c| &mut c.stale_after)),
    key("demo", "true", &FlagOnly(config(Switch, |c| &mut c.demo), "use the flag --demo, or ATLAS_CLUSTER_DEMO=1")),
    key("daemon", "true", &FlagOnly(config(Switch, |c| &mut c.daemon), "use the flag --daemon, or ATLAS_CLUSTER_DAEMON=1")),
    key("runtime_dir", "", &Elsewhere("use the flag --runtime-dir DIR, or ATLAS_CLUSTER_RUNTIME_DIR")),

    key("worker.program", r#"["node", "server.js"]"#, &config(Command, |c| &mut c.worker.program)),
    key("worker.wait_ready", "true", &config(Switch, |c| &mut c.worker.wait_ready)),
    key("worker.health_command", r#"["curl", "-fsS", "http://127.0.0.1:8080/health"]"#, &config(Command, |c| &mut c.worker.health_command)),
    key("worker.health_interval", r#""500ms""#, &config(TIMEOUT, |c| &mut c.worker.health_interval)),
    key("worker.health_timeout", r#""1s""#, &config(TIMEOUT, |c| &mut c.worker.health_timeout)),
    key("worker.listen_timeout", r#""3s""#, &config(TIMEOUT, |c| &mut c.worker.listen_timeout)),
    key("worker.kill_signal", r#""SIGTERM""#, &config(Asking, |c| &mut c.worker.kill_signal)),
    key("worker.kill_timeout", r#""1600ms""#, &config(TIMEOUT, |c| &mut c.worker.kill_timeout)),
    key("worker.min_uptime", r#""1s""#, &config(DELAY, |c| &mut c.worker.min_uptime)),
    key("worker.max_restarts", "16", &config(Whole(0, u32::MAX), |c| &mut c.worker.max_restarts)),
    key("worker.stop_exit_codes", "[0]", &config(ExitCodes, |c| &mut c.worker.stop_exit_codes)),
    key("worker.exp_backoff_restart_delay", r#""100ms""#, &config(DELAY, |c| &mut c.worker.exp_backoff_restart_delay)),
    key("worker.exp_backoff_max_delay", r#""15s""#, &config(DELAY, |c| &mut c.worker.exp_backoff_max_delay)),
    key("worker.max_memory_restart", r#""200M""#, &config(Optional(Size(1 << 20, u64::MAX)), |c| &mut c.worker.max_memory_restart)),
    key("worker.watchdog", r#""10s""#, &config(OrOff(SILENCE), |c| &mut c.worker.watchdog)),
    key("worker.user", "", &config(Optional(User), |c| &mut c.worker.user)),
    key("worker.group", "", &config(Optional(Group), |c| &mut c.worker.group)),
    key("worker.cwd", r#""/srv/app""#, &config(Directory, |c| &mut c.worker.cwd)),
    key("worker.nice", "-5", &config(Optional(Whole(-20, 19)), |c| &mut c.worker.nice)),
    key("worker.cpu_affinity", r#""auto""#, &config(Optional(CpuList), |c| &mut c.worker.cpu_affinity)),
    key("worker.limit_nofile", "4096", &config(Optional(COUNT), |c| &mut c.worker.limits.nofile)),
    key("worker.limit_nproc", "64", &config(Optional(COUNT), |c| &mut c.worker.limits.nproc)),
    key("worker.limit_core", r#""0""#, &config(Optional(ANY_SIZE), |c| &mut c.worker.limits.core)),
    key("worker.limit_as", r#""1G""#, &config(Optional(ANY_SIZE), |c| &mut c.worker.limits.address_space)),
    key("worker.limit_memlock", r#""8M""#, &config(Optional(ANY_SIZE), |c| &mut c.worker.limits.memlock)),
    key("worker.increment_var", r#""PORT""#, &config(Optional(Variable), |c| &mut c.worker.increment_var)),
    key("worker.env", r#"{ PORT = "3000" }"#, &config(Environment, |c| &mut c.worker.env)),

    key("processor", "", &config(Processors, |c| &mut c.processor)),

    key("gateway", "", &Later("leave it out; `atlas-cluster meters --json` gives what the gateway will")),
    key("log.format", r#""text""#, &config(OneOf(FORMATS), |c| &mut c.log.format)),
    key("log.dir", r#""/var/log/atlas-cluster""#, &config(Directory, |c| &mut c.log.dir)),
    key("log.max_size", r#""10M""#, &config(Size(16 << 10, 1 << 40), |c| &mut c.log.max_size)),
    key("log.keep", "5", &config(Whole(0, 1000), |c| &mut c.log.keep)),
    key("log.gzip", "true", &config(Switch, |c| &mut c.log.gzip)),
    key("log.rate_limit", "1000", &config(Whole(0, 1_000_000), |c| &mut c.log.rate_limit)),
    key("mqtt", "", &Later("leave it out; `atlas-cluster meters --json` tells the levels")),
];

/// The keys of one `[[processor]]`.
#[rustfmt::skip]
pub(super) static PROCESSOR_KEYS: &[Key<Processor>] = &[
    key("processor.name", r#""bar""#, &processor(Name(64), |p| &mut p.name)),
    key("processor.address", r#""192.168.5.101""#, &processor(Address, |p| &mut p.address)),
    key("processor.tcp_port", "5321", &processor(Whole(1, u16::MAX), |p| &mut p.tcp_port)),
];

const BALANCES: &[(&str, Balance)] = &[("flow", Balance::Flow), ("spread", Balance::Spread)];

const FORMATS: &[(&str, Format)] = &[("text", Format::Text), ("json", Format::Json)];

const fn config<K: Kind>(kind: K, field: fn(&mut Config) -> &mut K::Output) -> Field<K, Config> {
    Field(kind, field)
}

const fn processor<K: Kind>(kind: K, field: fn(&mut Processor) -> &mut K::Output) -> Field<K, Processor> {
    Field(kind, field)
}

const fn key<T>(path: &'static str, example: &'static str, slot: &'static (dyn Slot<T> + Sync)) -> Key<T> {
    Key { path, example, slot }
}

/// What a row does with a value.
pub(super) trait Slot<T> {
    /// Checks the value and stores it in its place.
    fn put(&self, target: &mut T, value: &Value<'_>) -> Result<(), Faults>;

    /// What is allowed, as a noun phrase.
    fn takes(&self) -> String {
        String::new()
    }

    /// The value in `target` as one writes it in TOML; None if it has no form, or this key no value.
    fn show(&self, _target: &mut T) -> Option<String> {
        None
    }

    /// Whether `allowed here:` names the key.
    fn listed(&self) -> bool {
        true
    }

    /// Whether there is an environment variable for it.
    fn in_environment(&self) -> bool {
        true
    }

    /// For a key that no file may have: what to use instead.
    fn instead_of_file(&self) -> Option<&'static str> {
        None
    }
}

/// A value of some kind, and the field it fills.
struct Field<K: Kind, T>(K, fn(&mut T) -> &mut K::Output);

/// A field for flags and environment.
struct FlagOnly<K: Kind, T>(Field<K, T>, &'static str);

/// A key that is no part of the configuration, and what to use instead.
struct Elsewhere(&'static str);

/// A key promised for a later version, and what to do meanwhile.
struct Later(&'static str);

impl<K: Kind, T> Slot<T> for Field<K, T> {
    fn put(&self, target: &mut T, value: &Value<'_>) -> Result<(), Faults> {
        *(self.1)(target) = self.0.read(value)?;
        Ok(())
    }

    fn takes(&self) -> String {
        self.0.takes()
    }

    fn show(&self, target: &mut T) -> Option<String> {
        self.0.show((self.1)(target))
    }
}

impl<K: Kind, T> Slot<T> for FlagOnly<K, T> {
    fn put(&self, target: &mut T, value: &Value<'_>) -> Result<(), Faults> {
        self.0.put(target, value)
    }

    fn takes(&self) -> String {
        self.0.takes()
    }

    fn show(&self, target: &mut T) -> Option<String> {
        self.0.show(target)
    }

    fn listed(&self) -> bool {
        false
    }

    fn instead_of_file(&self) -> Option<&'static str> {
        Some(self.1)
    }
}

impl<T> Slot<T> for Elsewhere {
    fn put(&self, _: &mut T, _: &Value<'_>) -> Result<(), Faults> {
        Err(vec![Fault { span: None, message: Message::Elsewhere, hint: Some(self.0.to_owned()) }])
    }

    fn listed(&self) -> bool {
        false
    }

    fn in_environment(&self) -> bool {
        false
    }

    fn instead_of_file(&self) -> Option<&'static str> {
        Some(self.0)
    }
}

impl<T> Slot<T> for Later {
    fn put(&self, _: &mut T, _: &Value<'_>) -> Result<(), Faults> {
        Err(vec![Fault { span: None, message: Message::Later, hint: Some(self.0.to_owned()) }])
    }

    fn listed(&self) -> bool {
        false
    }

    fn in_environment(&self) -> bool {
        false
    }
}
