//! The text of the unit.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::access;
use super::needs::{Needs, below_var_log};
use crate::clean::clean;
use crate::config::{Account, in_units};

/// The version that is assumed where there is no systemd: Debian 12's.
pub(super) const ASSUMED: u32 = 252;
/// From here on `Type=notify-reload` is known.
const NOTIFY_RELOAD: u32 = 253;
/// From here on restarts can come at growing intervals.
const RESTART_STEPS: u32 = 254;
/// Where the configuration of a package's service lies.
const CONFIG: &str = "/etc/atlas-cluster/atlas-cluster.toml";
/// The user that a package makes.
pub(super) const USER: &str = "atlas-cluster";
/// Where a package puts the program.
pub(super) const PROGRAM: &str = "/usr/bin/atlas-cluster";
/// Descriptors and locked memory that every cluster is allowed.
const DESCRIPTORS: u64 = 8192;
const LOCKED: u64 = 64 << 20;

/// What the unit depends on.
pub(super) struct Host {
    /// systemd's version; None if there is none to ask.
    pub(super) systemd: Option<u32>,
    pub(super) binary: PathBuf,
    /// The user [`USER`], if there is one.
    pub(super) user: Option<Account>,
    /// The file that it runs by, absolute.
    pub(super) config: Option<PathBuf>,
    pub(super) needs: Needs,
    /// A package brings it.
    pub(super) packaged: bool,
}

impl Host {
    /// Any one that the package is installed on, whatever its administrator configures.
    pub(super) fn packaged() -> Host {
        Host {
            systemd: Some(ASSUMED),
            binary: PathBuf::from(PROGRAM),
            user: Some(Account { name: USER.to_owned(), ..Account::default() }),
            config: Some(PathBuf::from(CONFIG)),
            needs: Needs::unknown(),
            packaged: true,
        }
    }

    /// As whom the supervisor runs; None for a user that systemd makes.
    pub(super) fn owner(&self) -> Option<Account> {
        if self.needs.other_user { Some(access::root()) } else { self.user.clone() }
    }
}

pub(super) fn unit(host: &Host) -> String {
    let version = host.systemd.unwrap_or(ASSUMED);
    let binary = command_word(&host.binary);
    let mut unit = heading(host, version);
    let reload = if version >= NOTIFY_RELOAD {
        "Type=notify-reload\n".to_owned()
    } else {
        format!("Type=notify\nExecReload={binary} reload\n")
    };
    let config = host.config.as_ref().map(|file| format!(" --config {}", command_word(file)));
    let _ = write!(unit, "[Service]\n{reload}ExecStart={binary} start{}\n", config.unwrap_or_default());
    unit.push_str(
        "NotifyAccess=main\n\
         Environment=ATLAS_CLUSTER_RUNTIME_DIR=/run/atlas-cluster\n\
         RuntimeDirectory=atlas-cluster\n\
         RuntimeDirectoryMode=0711\n\
         # What is in quarantine stays.\n\
         RuntimeDirectoryPreserve=yes\n\
         \n\
         # What the supervisor keeps outlives it: sockets, counters, the meter table.\n\
         FileDescriptorStoreMax=1152\n\
         Restart=always\n\
         RestartSec=100ms\n",
    );
    if version >= RESTART_STEPS {
        unit.push_str("RestartSteps=10\nRestartMaxDelaySec=15s\n");
    }
    unit.push_str(
        "# A bad configuration does not get better by trying again.\n\
         RestartPreventExitStatus=2\n\
         WatchdogSec=30s\n\
         # The supervisor stops its workers itself.\n\
         KillMode=mixed\n",
    );
    let _ = writeln!(unit, "TimeoutStopSec={}s", host.needs.stop);
    unit.push_str(&limits(&host.needs));
    unit.push_str(&user(host));
    unit.push_str(&folders(&host.needs));
    unit.push_str(&sandbox(&host.needs));
    unit.push_str("\n[Install]\nWantedBy=multi-user.target\n");
    unit
}

fn heading(host: &Host, version: u32) -> String {
    let of_file =
        host.config.as_ref().filter(|_| !host.packaged).map(|file| shell_word(&file.display().to_string()));
    let (origin, manual) = if host.packaged {
        let origin = format!(
            "for systemd {version} and newer. Printed by `atlas-cluster startup --packaged`.\n\
             # Where it does not fit (a port below 1024, worker.user, high limits), print one for host and configuration,\n\
             # which takes precedence:\n"
        );
        (origin, "Documentation=man:atlas-cluster(1)\n")
    } else {
        let origin = format!(
            "for systemd {version}. Printed by `atlas-cluster startup`: print it again when users, ports, folders\n\
             # or limits of the configuration change; to install it:\n"
        );
        (origin, "")
    };
    let of_file = of_file.map(|file| format!(" --config {file}")).unwrap_or_default();
    format!(
        "# atlas-cluster {}, {origin}\
         #   atlas-cluster startup{of_file} > /etc/systemd/system/atlas-cluster.service\n\
         #   systemctl daemon-reload && systemctl enable --now atlas-cluster\n\
         \n\
         [Unit]\n\
         Description=atlas-cluster: UDP workers on one port, every audio meter readable from each\n\
         {manual}\
         Wants=network-online.target\n\
         After=network-online.target\n\
         # It never gives up.\n\
         StartLimitIntervalSec=0\n\
         \n",
        env!("CARGO_PKG_VERSION")
    )
}

/// For a shell, to be copied by a reader.
pub(super) fn shell_word(text: &str) -> String {
    let text = clean(text);
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+".contains(c));
    if plain { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// A worker's limits go no higher than the service's.
fn limits(needs: &Needs) -> String {
    let own = &needs.limits;
    let descriptors = own.nofile.map_or(DESCRIPTORS, |wanted| wanted.max(DESCRIPTORS));
    let locked = own.memlock.map_or(LOCKED, |wanted| wanted.max(LOCKED));
    let mut text = format!("LimitNOFILE={descriptors}\nLimitMEMLOCK={}\n", in_units(locked));
    for (is_set, line) in [
        (own.nproc.is_some(), "LimitNPROC=infinity\n"),
        (own.core.is_some_and(|bytes| bytes > 0), "LimitCORE=0:infinity\n"),
        (own.address_space.is_some(), "LimitAS=infinity\n"),
    ] {
        text.push_str(if is_set { line } else { "" });
    }
    if let Some(nice) = needs.nice {
        let _ = writeln!(text, "LimitNICE={nice}");
    }
    text + "\n"
}

/// A user of its own: whoever shares it could bind a more specific address of the port.
fn user(host: &Host) -> String {
    let needs = &host.needs;
    let user = match (needs.other_user, &host.user) {
        (true, _) => "# It binds the sockets, then each worker becomes worker.user.\nUser=root\n".to_owned(),
        (false, Some(user)) => format!("User={}\n", user.name),
        (false, None) => "DynamicUser=yes\n".to_owned(),
    };
    let group = needs.group.map(|group| format!("Group={group}\n")).unwrap_or_default();
    let capabilities = needs.capabilities();
    // Nobody has to hand root its own.
    let ambient = if needs.other_user { "" } else { capabilities.as_str() };
    format!("{user}{group}CapabilityBoundingSet={capabilities}\nAmbientCapabilities={ambient}\nUMask=0077\n")
}

/// What can be written beside the runtime directory.
fn folders(needs: &Needs) -> String {
    let below = needs.logs.as_deref().map(|folder| (folder, below_var_log(folder)));
    let mut text = match below {
        None => "# For log.dir = \"/var/log/atlas-cluster\".\nLogsDirectory=atlas-cluster\nLogsDirectoryMode=0750\n".to_owned(),
        Some((_, Some(below))) => format!("LogsDirectory={}\nLogsDirectoryMode=0750\n", quoted(below)),
        Some((folder, None)) => format!("ReadWritePaths={}\n", quoted(&optional(folder))),
    };
    if let Some(cwd) = needs.cwd.as_ref().filter(|cwd| cwd.parent().is_some()) {
        let _ = write!(
            text,
            "# All that the program may write, beside a /tmp of its own: add what else it needs.\nReadWritePaths={}\n",
            quoted(&optional(cwd))
        );
    }
    text
}

/// What is missing is told by the cluster, which says how to make it.
fn optional(path: &Path) -> PathBuf {
    let mut optional = std::ffi::OsString::from("-");
    optional.push(path);
    optional.into()
}

fn sandbox(needs: &Needs) -> String {
    let mut text = String::from(
        "NoNewPrivileges=yes\n\
         ProtectSystem=strict\n\
         ProtectHome=read-only\n\
         PrivateTmp=yes\n\
         PrivateDevices=yes\n\
         ProtectClock=yes\n\
         ProtectControlGroups=yes\n\
         ProtectHostname=yes\n\
         ProtectKernelLogs=yes\n\
         ProtectKernelModules=yes\n\
         ProtectKernelTunables=yes\n\
         RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK\n\
         RestrictNamespaces=yes\n\
         RestrictRealtime=yes\n\
         RestrictSUIDSGID=yes\n\
         LockPersonality=yes\n\
         RemoveIPC=yes\n\
         SystemCallArchitectures=native\n\
         SystemCallFilter=@system-service\n\
         SystemCallErrorNumber=EPERM\n",
    );
    if !needs.writes_code {
        text.push_str("MemoryDenyWriteExecute=yes\n");
    }
    text
}

/// As a word of ExecStart= (systemd.service(5), "Command lines"), where variables are put in.
fn command_word(path: &Path) -> String {
    quoted(path).replace('$', "$$")
}

/// As a word of a setting that takes several (systemd.syntax(7), "Quoting").
fn quoted(path: &Path) -> String {
    let text = path.display().to_string().replace('%', "%%");
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+%".contains(c));
    if plain { text } else { format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Limits, Program};

    fn host(systemd: Option<u32>) -> Host {
        Host {
            systemd,
            binary: PROGRAM.into(),
            user: None,
            config: None,
            needs: Needs::of(&Config::default(), None),
            packaged: false,
        }
    }

    fn service() -> Account {
        Account { name: USER.into(), uid: 990, gid: 990, ..Account::default() }
    }

    #[test]
    fn each_systemd_gets_what_it_knows() {
        let has = |version, line: &str| unit(&host(version)).lines().any(|found| found == line);
        assert!(has(Some(252), "Type=notify") && has(Some(252), "ExecReload=/usr/bin/atlas-cluster reload"));
        assert!(has(None, "Type=notify") && !has(Some(252), "RestartSteps=10"));
        assert!(has(Some(253), "Type=notify-reload") && !has(Some(253), "RestartSteps=10"));
        assert!(has(Some(257), "RestartSteps=10") && !unit(&host(Some(257))).contains("ExecReload"));
    }

    #[test]
    fn the_unit_runs_by_the_file_it_was_made_for() {
        let mut host = host(Some(252));
        assert!(unit(&host).contains("\nExecStart=/usr/bin/atlas-cluster start\n"));
        host.binary = "/opt/my tools/50%/atlas-cluster".into();
        host.config = Some("/srv/a$b/c.toml".into());
        let start = "\nExecStart=\"/opt/my tools/50%%/atlas-cluster\" start --config \"/srv/a$$b/c.toml\"\n";
        assert!(unit(&host).contains(start), "{}", unit(&host));
        assert!(unit(&host).contains("\n#   atlas-cluster startup --config '/srv/a$b/c.toml' > /etc/"));
    }

    /// The unit for that configuration on a host with, and one without the user of a package.
    fn units(change: impl Fn(&mut Config)) -> [String; 2] {
        let mut config = Config::default();
        change(&mut config);
        [Some(service()), None].map(|user| {
            let needs = Needs::of(&config, user.as_ref());
            unit(&Host { user, needs, ..host(Some(252)) })
        })
    }

    #[test]
    fn each_configuration_gets_what_it_needs_and_no_more() {
        type Row = (fn(&mut Config), &'static str, &'static [&'static str], &'static [&'static str]);
        #[rustfmt::skip]
        let rows: &[Row] = &[
            (|_| (), "nothing",
             &["CapabilityBoundingSet=", "AmbientCapabilities=", "LimitNOFILE=8192", "LimitMEMLOCK=64M", "LogsDirectory=atlas-cluster", "MemoryDenyWriteExecute=yes"],
             &["User=root", "ReadWritePaths=", "LimitNICE=", "LimitNPROC=", "LimitCORE=", "LimitAS=", "Group="]),
            (|c| c.listen = vec!["0.0.0.0:514".parse().unwrap()], "a low port",
             &["CapabilityBoundingSet=CAP_NET_BIND_SERVICE", "AmbientCapabilities=CAP_NET_BIND_SERVICE"], &["User=root"]),
            (|c| c.worker.user = Some(Account { uid: 1000, ..service() }), "another user",
             &["User=root", "CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_CHOWN CAP_KILL CAP_DAC_OVERRIDE", "AmbientCapabilities="], &["DynamicUser="]),
            (|c| c.worker.group = Some(29), "a group", &["Group=29", "CapabilityBoundingSet="], &["User=root"]),
            (|c| c.log.dir = Some("/var/log/a b/c".into()), "logs",
             &["LogsDirectory=\"a b/c\"", "LogsDirectoryMode=0750"], &["ReadWritePaths=", "LogsDirectory=atlas-cluster"]),
            (|c| c.log.dir = Some("/srv/log".into()), "logs elsewhere", &["ReadWritePaths=-/srv/log"], &["LogsDirectory="]),
            (|c| { c.worker.program = Some(Program { name: "node".into(), arguments: vec![] }); c.worker.cwd = Some("/srv/app".into()) }, "a program",
             &["ReadWritePaths=-/srv/app"], &["MemoryDenyWriteExecute=yes"]),
            (|c| c.worker.limits = Limits { nofile: Some(65536), memlock: Some(128 << 20), nproc: Some(9), core: Some(1), address_space: Some(1) }, "high limits",
             &["LimitNOFILE=65536", "LimitMEMLOCK=128M", "LimitNPROC=infinity", "LimitCORE=0:infinity", "LimitAS=infinity"], &[]),
            (|c| c.worker.limits = Limits { nofile: Some(77), memlock: Some(1), ..Limits::default() }, "low limits",
             &["LimitNOFILE=8192", "LimitMEMLOCK=64M"], &[]),
            (|c| c.worker.nice = Some(-5), "more of the CPU", &["LimitNICE=-5"], &[]),
            (|c| c.worker.nice = Some(5), "less of the CPU", &[], &["LimitNICE="]),
        ];
        for (change, what, present, absent) in rows {
            for text in units(change) {
                for line in *present {
                    assert!(text.lines().any(|found| found == *line), "{what}: {line} in\n{text}");
                }
                for begin in *absent {
                    assert!(
                        !text.lines().any(|found| found.starts_with(begin)),
                        "{what}: no {begin} in\n{text}"
                    );
                }
            }
        }
        let [named, made] = units(|_| ());
        assert!(named.contains("\nUser=atlas-cluster\n") && made.contains("\nDynamicUser=yes\n"));
        let [itself, _] = units(|config| config.worker.user = Some(service()));
        assert!(
            itself.contains("\nUser=atlas-cluster\nCapabilityBoundingSet=\n"),
            "nothing to change: {itself}"
        );
    }

    #[test]
    fn the_package_s_unit_is_for_every_host_and_configuration() {
        let text = unit(&Host::packaged());
        for line in [
            "Type=notify",
            "ExecStart=/usr/bin/atlas-cluster start --config /etc/atlas-cluster/atlas-cluster.toml",
            "ExecReload=/usr/bin/atlas-cluster reload",
            "User=atlas-cluster",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
        assert!(!text.contains("MemoryDenyWriteExecute") && !text.contains("RestartSteps"), "{text}");
    }
}
