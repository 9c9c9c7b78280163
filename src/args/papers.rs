//! Man pages, made from what clap knows.

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::cli::Cli;
use super::usage::{self, UsageError};

const NAME: &str = "atlas-cluster";

/// The page of a command, or of the whole.
pub(super) fn man(verb: Option<&str>) -> Result<String, UsageError> {
    // Whoever reads pages needs no `help`.
    let mut whole = Cli::command().disable_help_subcommand(true);
    whole.build();
    let page = match verb {
        None => Page { title: NAME.to_owned(), command: whole, whole: true },
        Some(verb) => {
            let command = whole.find_subcommand(verb).cloned();
            let command = command.ok_or_else(|| usage::unknown_verb(verb))?;
            Page { title: format!("{NAME}-{verb}"), command, whole: false }
        }
    };
    page.render().map_err(|e| UsageError::new(&format!("cannot make the page: {e}"), String::new()))
}

struct Page {
    title: String,
    command: Command,
    whole: bool,
}

impl Page {
    fn render(self) -> std::io::Result<String> {
        let Page { title, command, whole } = self;
        let man = Man::new(command.display_name(title.clone()).disable_help_subcommand(true))
            .title(title)
            .section("1")
            .source(concat!("atlas-cluster ", env!("CARGO_PKG_VERSION")))
            .manual("atlas-cluster");
        let mut text = Vec::new();
        man.render_title(&mut text)?;
        man.render_name_section(&mut text)?;
        man.render_synopsis_section(&mut text)?;
        man.render_description_section(&mut text)?;
        man.render_options_section(&mut text)?;
        if whole {
            man.render_subcommands_section(&mut text)?;
        }
        man.render_extra_section(&mut text)?;
        if whole {
            common().to_writer(&mut text)?;
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// What stands on the page of the whole beside what clap knows.
fn common() -> Roff {
    let mut roff = Roff::default();
    for (heading, rows) in [("EXIT STATUS", EXITS), ("SIGNALS", SIGNALS), ("FILES", FILES)] {
        roff.control("SH", [heading]);
        for (name, meaning) in rows {
            roff.control("TP", []);
            roff.text([bold(*name)]);
            roff.text([roman(*meaning)]);
        }
    }
    roff
}

const EXITS: &[(&str, &str)] = &[
    ("0", "Done."),
    ("1", "It was tried and failed."),
    ("2", "Bad usage or bad configuration: nothing was started or changed."),
    (
        "3",
        "The port cannot be bound, or somebody else is on it; a cluster already runs in that directory, or writes its logs \
         to the same folder.",
    ),
    ("4", "No cluster is running in that runtime directory."),
];
const SIGNALS: &[(&str, &str)] = &[
    ("HUP", "Read the configuration again and replace every worker, in two phases."),
    ("TERM, INT", "Drain and stop; a second one stops at once."),
    ("QUIT", "Stop at once."),
    ("USR1", "Reopen log files."),
    ("USR2", "Upgrade: become the binary on disk, then reload."),
    ("TTIN, TTOU", "One worker more, one fewer."),
];
const FILES: &[(&str, &str)] = &[
    (
        "./atlas-cluster.toml, /etc/atlas-cluster/atlas-cluster.toml",
        "The configuration, unless --config names one.",
    ),
    (
        "/run/atlas-cluster, $XDG_RUNTIME_DIR/atlas-cluster",
        "The runtime directory, unless --runtime-dir names one.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_a_man_page() {
        let whole = Cli::command();
        for verb in whole.get_subcommands().map(Command::get_name) {
            let page = man(Some(verb)).unwrap();
            let named = format!(".TH atlas\\-cluster\\-{verb} 1").replace("\\-", "-");
            assert!(page.replace("\\-", "-").contains(&named) && page.contains("Example:"), "{page}");
        }
        let page = man(None).unwrap().replace("\\-", "-");
        for part in [
            ".TH atlas-cluster 1",
            "worker.watchdog is ATLAS_CLUSTER_WORKER_WATCHDOG",
            "atlas-cluster-reload(1)",
            "EXIT STATUS",
            "SIGNALS",
            "FILES",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert_eq!(man(Some("lits")).unwrap_err().to_string(), "unknown command 'lits'");
    }
}
