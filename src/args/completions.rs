//! What shells need to complete commands, options, values and files.
//!
//! clap_complete makes the scripts; what it cannot do, or does not do well, is mended here. tests/completions.rs tries each
//! in its shell.

use clap::builder::{PossibleValuesParser, ValueHint};
use clap::{Arg, Command, CommandFactory};
use clap_complete::Shell;

use super::cli::Cli;
use super::usage::{self, UsageError};
use crate::roles::simulated::fault::Kind;
use crate::roles::simulated::model::Product;

const NAME: &str = "atlas-cluster";
/// The shells that are known.
const SHELLS: [(&str, Shell); 3] = [("bash", Shell::Bash), ("zsh", Shell::Zsh), ("fish", Shell::Fish)];

/// The script for a shell.
pub(super) fn completions(shell: &str) -> Result<String, UsageError> {
    let Some((_, shell)) = SHELLS.into_iter().find(|(name, _)| *name == shell) else {
        let hint = "allowed: bash, zsh, fish; for example `completions bash`".to_owned();
        return Err(UsageError::value("completions", shell, "is not a known shell", hint));
    };
    let mut command = told();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, NAME, &mut text);
    let text = String::from_utf8_lossy(&text);
    Ok(match shell {
        Shell::Bash => text.replace(TORN, WHOLE).replacen(BASH, &format!("{BASH}{BASH_FIRST}"), 1),
        Shell::Zsh => text.replacen(ZSH, &format!("{ZSH}{ZSH_FIRST}"), 1),
        _ => text.replacen(FISH, FISH_MENDED, 1) + &fish_values(&command) + FISH_LAST,
    })
}

/// How clap's function for bash labels the commands of a program with a hyphen in its name, and how it calls them in the
/// same function: it would never find them.
const TORN: &str = "atlas__subcmd__cluster__subcmd__";
const WHOLE: &str = "atlas__cluster__subcmd__";
/// Where the function for bash knows the word that is written and the one before.
const BASH: &str = "    prev=\"$3\"\n";
const BASH_FIRST: &str = include_str!("completions/first.bash");
const ZSH: &str = "_atlas-cluster() {\n";
const ZSH_FIRST: &str = include_str!("completions/first.zsh");
/// The function for fish takes an option without its value for nonsense: just when the value is what is being written.
const FISH: &str = "    argparse -s (__fish_atlas_cluster_global_optspecs) -- $cmd 2>/dev/null\n";
const FISH_MENDED: &str = "    argparse -s (__fish_atlas_cluster_global_optspecs) -- $cmd 2>/dev/null\n    \
                           or argparse -s (__fish_atlas_cluster_global_optspecs) -- $cmd value 2>/dev/null\n";
const FISH_LAST: &str = include_str!("completions/last.fish");

/// What clap knows, and of each argument what it can be. Without the program behind `--`: for zsh it would stand in the
/// place of the command. Names are leaked: clap wants them for good, and the program ends with its answer.
fn told() -> Command {
    let known: &'static Command = Box::leak(Box::new(Cli::command()));
    let mut whole = with_arguments(Command::new(NAME), known);
    for verb in known.get_subcommands() {
        whole = whole.subcommand(with_arguments(Command::new(verb.get_name()), verb));
    }
    // For `--version`.
    whole.version(env!("CARGO_PKG_VERSION"))
}

fn with_arguments(command: Command, known: &Command) -> Command {
    let arguments = known.get_arguments().filter(|argument| argument.get_id() != "program").cloned();
    command.about(known.get_about().cloned().unwrap_or_default()).args(arguments.map(with_values))
}

/// An argument with its values, or with where they are to be found.
fn with_values(argument: Arg) -> Arg {
    let values = |values: Vec<&'static str>| PossibleValuesParser::new(values);
    let words = |text: &'static str| text.split(", ").filter(|word| !word.contains(' ')).collect();
    let parser = match argument.get_id().as_str() {
        "balance" => values(words("flow, spread")),
        "log_level" => values(words("off, error, warn, info, debug, trace")),
        "workers" => values(words("max")),
        "format" => values(words("val, pct, str")),
        "shell" => values(SHELLS.map(|(name, _)| name).to_vec()),
        "model" => values(Product::ALL.map(Product::name).to_vec()),
        "fault" => values(words(Kind::names().leak())),
        // Of `signal`, and of `man`.
        "name" => values(words(sys::signal::names().leak())),
        "verb" => values(words(usage::verbs().join(", ").leak())),
        "runtime_dir" => return argument.value_hint(ValueHint::DirPath),
        "config" | "file" | "replay" | "stats_socket" => return argument.value_hint(ValueHint::FilePath),
        // zsh would take what stands behind the colon for the name of a function.
        "listen" => return argument.value_hint(ValueHint::Other).value_name("ADDRESS"),
        "goal" => return argument,
        // zsh would show what the word is, and complete no option in its place.
        _ if argument.is_positional() || !argument.get_action().takes_values() => return argument,
        _ => return argument.value_hint(ValueHint::Other),
    };
    argument.value_parser(parser)
}

/// What clap leaves out for fish: what a command's own words can be.
fn fish_values(command: &Command) -> String {
    let mut lines = String::new();
    for verb in command.get_subcommands() {
        for word in verb.get_positionals() {
            let values = word.get_possible_values();
            let names: Vec<_> = values.iter().map(|value| value.get_name()).collect();
            if !names.is_empty() {
                lines += &format!(
                    "complete -c {NAME} -n \"__fish_atlas_cluster_using_subcommand {}\" -f -a \"{}\"\n",
                    verb.get_name(),
                    names.join(" ")
                );
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bash_finds_the_options_of_every_command() {
        let text = completions("bash").unwrap();
        let called: Vec<&str> =
            text.split("cmd=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let called = called.into_iter().filter(|name| !name.is_empty());
        for name in called.clone() {
            assert!(text.contains(&format!("\n        {name})\n")), "nothing is labelled {name}");
        }
        assert!(called.count() > Cli::command().get_subcommands().count());
    }

    #[test]
    fn every_shell_completes_verbs_options_and_values_and_each_mend_is_in_its_place() {
        for (shell, parts) in [
            ("bash", ["complete -F", BASH_FIRST]),
            ("zsh", ["#compdef atlas-cluster", ZSH_FIRST]),
            ("fish", ["complete -c atlas-cluster", FISH_MENDED]),
        ] {
            let text = completions(shell).unwrap();
            for part in parts.into_iter().chain(["describe", "balance", "flow", "spread", "azmp8", "USR1"]) {
                assert!(text.contains(part), "{shell}: {part}: {text}");
            }
            assert!(!text.contains("program --"), "{shell}: {text}");
        }
    }
}
