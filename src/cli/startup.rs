//! `startup`: the service unit for this host.
//!
//! What systemd can do is asked of `systemctl`; who runs it, which file it runs by and which port it binds, of the host.
//! The unit that a package brings is the same text, for hosts that nobody has seen.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::complain;
use super::error::Error;
use super::terminal::print;
use crate::config::{Config, Overrides, is_user, load};

/// The version that is assumed where there is no systemd: Debian 12's.
const ASSUMED: u32 = 252;
/// From here on `Type=notify-reload` is known.
const NOTIFY_RELOAD: u32 = 253;
/// From here on restarts can come at growing intervals.
const RESTART_STEPS: u32 = 254;
/// Where the configuration of a service lies.
const CONFIG: &str = "/etc/atlas-cluster/atlas-cluster.toml";
/// The user that a package makes.
const USER: &str = "atlas-cluster";
/// Where a package puts the program.
const PROGRAM: &str = "/usr/bin/atlas-cluster";

/// What the unit depends on.
struct Host {
    /// systemd's version; None if there is none to ask.
    systemd: Option<u32>,
    binary: PathBuf,
    /// There is a user of that name.
    user: bool,
    /// There is a configuration at [`CONFIG`].
    configured: bool,
    needs: Needs,
    /// A package brings it.
    packaged: bool,
}

/// What a configuration asks of the unit.
struct Needs {
    /// A port below 1024.
    low_port: bool,
    /// A program that writes the code that it runs, as Node.js and others do.
    writes_code: bool,
    /// Longer than that no stop takes, in seconds.
    stop: u64,
}

impl Needs {
    fn of(config: &Config) -> Needs {
        Needs {
            low_port: config.listen.iter().any(|address| (1..1024).contains(&address.port())),
            writes_code: config.worker.program.is_some(),
            stop: config.worker.kill_timeout.as_secs() + 15,
        }
    }
}

impl Host {
    /// The one we are on.
    fn this() -> Host {
        let configured = Path::new(CONFIG).exists();
        let config = load(&Overrides::default(), configured.then_some(Path::new(CONFIG)));
        Host {
            systemd: systemd_version(),
            binary: std::env::current_exe().unwrap_or_else(|_| PathBuf::from(PROGRAM)),
            user: is_user(USER),
            configured,
            needs: Needs::of(&config.map(|loaded| loaded.config).unwrap_or_default()),
            packaged: false,
        }
    }

    /// Any one that the package is installed on, whatever its administrator configures; a low port, which few want,
    /// is his to grant.
    fn packaged() -> Host {
        Host {
            systemd: Some(ASSUMED),
            binary: PathBuf::from(PROGRAM),
            user: true,
            configured: true,
            needs: Needs { low_port: false, writes_code: true, stop: 90 },
            packaged: true,
        }
    }
}

/// Prints it; on standard error what it was decided by, where that is not obvious.
pub(super) fn run(packaged: bool) -> Result<(), Error> {
    let host = if packaged { Host::packaged() } else { Host::this() };
    if host.systemd.is_none() {
        complain(&format!(
            "atlas-cluster: there is no systemctl to ask: this is a unit for systemd {ASSUMED} and newer\n\
             hint: print it on the host where it is to run, to use what that one can do\n"
        ));
    }
    print(&unit(&host))
}

/// `systemd 252 (252.38-1~deb12u1)` is its first line.
fn systemd_version() -> Option<u32> {
    let answer = Command::new("systemctl").arg("--version").output().ok()?;
    parse_version(&String::from_utf8_lossy(&answer.stdout))
}

fn parse_version(text: &str) -> Option<u32> {
    let number = text.strip_prefix("systemd ")?.split(|c: char| !c.is_ascii_digit()).next()?;
    number.parse().ok()
}

fn unit(host: &Host) -> String {
    let version = host.systemd.unwrap_or(ASSUMED);
    let binary = quoted(&host.binary);
    let mut unit = heading(host, version);
    let reload = if version >= NOTIFY_RELOAD {
        "Type=notify-reload\n".to_owned()
    } else {
        format!("Type=notify\nExecReload={binary} reload\n")
    };
    let config = format!("{binary} start --config {CONFIG}");
    let start = if host.configured { config } else { format!("{binary} start") };
    let _ = write!(unit, "[Service]\n{reload}ExecStart={start}\n");
    unit.push_str(
        "NotifyAccess=main\n\
         Environment=ATLAS_CLUSTER_RUNTIME_DIR=/run/atlas-cluster\n\
         RuntimeDirectory=atlas-cluster\n\
         RuntimeDirectoryMode=0711\n\
         # What is in quarantine stays.\n\
         RuntimeDirectoryPreserve=yes\n\
         # For log.dir = \"/var/log/atlas-cluster\".\n\
         LogsDirectory=atlas-cluster\n\
         LogsDirectoryMode=0750\n\
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
         # The supervisor sends its workers away itself.\n\
         KillMode=mixed\n",
    );
    let _ = write!(unit, "TimeoutStopSec={}s\nLimitNOFILE=8192\nLimitMEMLOCK=64M\n\n", host.needs.stop);
    unit.push_str(&user(host));
    unit.push_str(&sandbox(host));
    unit.push_str("\n[Install]\nWantedBy=multi-user.target\n");
    unit
}

fn heading(host: &Host, version: u32) -> String {
    let (origin, manual) = if host.packaged {
        let origin = format!(
            "for systemd {version} and newer. Printed by `atlas-cluster startup --packaged`.\n\
             # Where this does not fit, as for a port below 1024, have one made for host and configuration; it goes before:\n"
        );
        (origin, "Documentation=man:atlas-cluster(1)\n")
    } else {
        (format!("for systemd {version}. Printed by `atlas-cluster startup`; to install it:\n"), "")
    };
    format!(
        "# atlas-cluster {}, {origin}\
         #   atlas-cluster startup > /etc/systemd/system/atlas-cluster.service\n\
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

/// A user of its own: whoever shares it could bind a more specific address of the port.
fn user(host: &Host) -> String {
    let user = if host.user { format!("User={USER}\n") } else { "DynamicUser=yes\n".to_owned() };
    let capabilities = if host.needs.low_port { "CAP_NET_BIND_SERVICE" } else { "" };
    format!("{user}CapabilityBoundingSet={capabilities}\nAmbientCapabilities={capabilities}\nUMask=0077\n")
}

fn sandbox(host: &Host) -> String {
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
    if !host.needs.writes_code {
        text.push_str("MemoryDenyWriteExecute=yes\n");
    }
    text
}

/// As a word of ExecStart= (systemd.service(5), "Command lines").
fn quoted(path: &Path) -> String {
    let text = path.display().to_string().replace('%', "%%");
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+%".contains(c));
    if plain { text } else { format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Program;

    fn host(systemd: Option<u32>) -> Host {
        Host {
            systemd,
            binary: PROGRAM.into(),
            user: false,
            configured: false,
            needs: Needs::of(&Config::default()),
            packaged: false,
        }
    }

    #[test]
    fn each_systemd_gets_what_it_knows() {
        let has = |version, line: &str| unit(&host(version)).lines().any(|found| found == line);
        assert!(has(Some(252), "Type=notify") && has(Some(252), "ExecReload=/usr/bin/atlas-cluster reload"));
        assert!(has(None, "Type=notify") && !has(Some(252), "RestartSteps=10"));
        assert!(has(Some(253), "Type=notify-reload") && !has(Some(253), "RestartSteps=10"));
        assert!(has(Some(257), "RestartSteps=10") && !unit(&host(Some(257))).contains("ExecReload"));
        for (text, version) in [
            ("systemd 252 (252.38-1~deb12u1)\n+PAM", Some(252)),
            ("systemd 257.7\n", Some(257)),
            ("systemd v9", None),
            ("", None),
        ] {
            assert_eq!(parse_version(text), version, "{text}");
        }
    }

    #[test]
    fn the_unit_fits_the_host_and_the_configuration() {
        let mut host = host(Some(252));
        assert!(unit(&host).contains("DynamicUser=yes\nCapabilityBoundingSet=\nAmbientCapabilities=\n"));
        assert!(unit(&host).contains("MemoryDenyWriteExecute=yes"));
        host.user = true;
        let mut config = Config { listen: vec!["0.0.0.0:514".parse().unwrap()], ..Config::default() };
        config.worker.program = Some(Program { name: "node".into(), arguments: vec![] });
        host.needs = Needs::of(&config);
        let text = unit(&host);
        assert!(text.contains("User=atlas-cluster\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\n"), "{text}");
        assert!(!text.contains("MemoryDenyWriteExecute"), "{text}");
        host.binary = "/opt/my tools/50%/atlas-cluster".into();
        assert!(unit(&host).contains("ExecStart=\"/opt/my tools/50%%/atlas-cluster\" start"));
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
