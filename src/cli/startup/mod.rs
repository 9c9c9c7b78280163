//! `startup`: the service unit for this host and the configuration that it is to run.
//!
//! What systemd can do is asked of `systemctl`; who runs it, and by which file, of the host. The unit that a package
//! brings is the same text, for hosts that nobody has seen.

mod access;
mod needs;
mod unit;

use std::path::{Path, PathBuf};
use std::process::Command;

use super::complain;
use super::error::Error;
use super::terminal::{answer, print};
use super::text::clean_lines;
use crate::config::{Loaded, Overrides, known_user, load};
use crate::exit::{DONE, USAGE};
use needs::Needs;
use unit::{ASSUMED, Host, PROGRAM, USER, shell_word, unit};

/// Something that the unit alone cannot see to: what, and the way out.
type Note = (String, String);

/// Prints it, and on standard error what remains to be seen to; answers the exit code.
pub(super) fn run(packaged: bool, file: Option<&Path>) -> Result<u8, Error> {
    if packaged {
        print(&unit(&Host::packaged()))?;
        return Ok(DONE);
    }
    let loaded = match load(&Overrides::default(), file) {
        Ok(loaded) => loaded,
        Err(error) => {
            complain(&error.render());
            return Ok(USAGE);
        }
    };
    let host = this(&loaded);
    answer(&unit(&host))?;
    for (message, hint) in notes(&host, &loaded) {
        complain(&format!("atlas-cluster: {}\nhint: {}\n", clean_lines(&message), clean_lines(&hint)));
    }
    Ok(DONE)
}

/// The host that we are on.
fn this(loaded: &Loaded) -> Host {
    let user = known_user(USER);
    let needs = Needs::of(&loaded.config, user.as_ref());
    Host {
        systemd: systemd_version(),
        binary: std::env::current_exe().unwrap_or_else(|_| PathBuf::from(PROGRAM)),
        user,
        config: loaded.file.clone(),
        needs,
        packaged: false,
    }
}

fn notes(host: &Host, loaded: &Loaded) -> Vec<Note> {
    let mut notes = Vec::new();
    if host.systemd.is_none() {
        notes.push((
            format!("there is no systemctl to ask: this is a unit for systemd {ASSUMED} and newer"),
            "print it on the host where it is to run, to use the features of its systemd".into(),
        ));
    }
    let config = &loaded.config;
    let paths =
        [loaded.file.as_ref(), Some(&host.binary), config.worker.cwd.as_ref(), config.log.dir.as_ref()];
    for path in paths.into_iter().flatten().filter(|path| access::is_temporary(path)) {
        notes.push((
            format!("the service has a /tmp and a /var/tmp of its own, and does not see {}", path.display()),
            "move it, for example to /srv or /etc/atlas-cluster".into(),
        ));
    }
    if !host.needs.other_user {
        for path in [loaded.file.as_ref(), Some(&host.binary)].into_iter().flatten() {
            if !access::reads(path, host.user.as_ref()) {
                notes.push((
                    format!("the service does not run as root and cannot read {}", path.display()),
                    "move it, for example to /etc/atlas-cluster, or let others read it (chmod o+r, o+x for its folders)"
                        .into(),
                ));
            }
        }
    }
    notes.extend(config.log.dir.as_deref().and_then(|folder| about_logs(host, folder)));
    notes
}

/// systemd makes what lies in /var/log, and gives it to the service's user.
fn about_logs(host: &Host, folder: &Path) -> Option<Note> {
    needs::below_var_log(folder).is_none().then_some(())?;
    let shown = folder.display();
    let owner = host.owner().filter(|owner| !access::owns(folder, owner));
    match (host.owner(), owner) {
        (None, _) => Some((
            format!(
                "the service's user is made by systemd at each start, so log.dir {shown} cannot belong to it"
            ),
            format!(
                "choose a folder in /var/log, or make the user: useradd --system {USER}; then print the unit again"
            ),
        )),
        (Some(_), Some(owner)) => Some((
            format!("log.dir {shown} must exist and belong to {} before the service starts", owner.name),
            format!("install -d -o {} -m 750 {}", owner.name, shell_word(&shown.to_string())),
        )),
        (Some(_), None) => None,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_where_there_is_one() {
        for (text, version) in [
            ("systemd 252 (252.38-1~deb12u1)\n+PAM", Some(252)),
            ("systemd 257.7\n", Some(257)),
            ("systemd v9", None),
            ("", None),
        ] {
            assert_eq!(parse_version(text), version, "{text}");
        }
    }
}
