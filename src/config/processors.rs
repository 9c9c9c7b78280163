//! The processors: a list of tables, each with keys of its own.

use super::fault::{Fault, Faults, Message, refused, wrong_type};
use super::keys::PROCESSOR_KEYS;
use super::kinds::Kind;
use super::suggest;
use super::types::{Config, MAX_PROCESSORS, PROCESSOR_PORT, Processor};
use super::value::{Value, quoted};
use super::walk;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use toml::de::DeTable;

/// Every `[[processor]]` of the file.
pub(super) struct Processors;

/// The keys without default.
const REQUIRED: &[&str] = &["name", "address"];

/// What the simulated processor of `--demo` is called.
const DEMO: &str = "demo";

/// The processor that `--demo` brings along is one more. Its port is the kernel's choice, and is 0 here. Where nobody else
/// is configured, strangers stay welcome.
///
/// # Errors
/// Why there is no room for it, and the way out.
pub(super) fn bring_demo(config: &mut Config) -> Result<(), (String, String)> {
    if !config.demo {
        return Ok(());
    }
    let others = &config.processor;
    if others.len() >= MAX_PROCESSORS {
        let why = format!("there is no room for its processor beside {MAX_PROCESSORS} others");
        return Err((why, "leave one [[processor]] out".to_owned()));
    }
    if others.iter().any(|processor| processor.name == DEMO) {
        let why = format!("its processor is called {}, and so is one of the file", quoted(DEMO));
        return Err((why, "give that [[processor]] another name".to_owned()));
    }
    let Some(address) = free_address(config) else {
        let why = "its processor needs the address ::1, which one of the file has".to_owned();
        return Err((why, "leave that [[processor]] out, or listen at an IPv4 address too".to_owned()));
    };
    config.accept_unknown |= config.processor.is_empty();
    config.processor.push(Processor { name: DEMO.to_owned(), address, tcp_port: 0 });
    Ok(())
}

/// A loopback address that the cluster hears and no other processor has: processors are told apart by theirs.
fn free_address(config: &Config) -> Option<IpAddr> {
    let is_free = |address: &IpAddr| config.processor.iter().all(|processor| processor.address != *address);
    if config.listen.iter().any(|listen| listen.is_ipv4() || listen.ip().is_unspecified()) {
        return (2..=u8::MAX).map(|last| IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))).find(is_free);
    }
    Some(IpAddr::V6(Ipv6Addr::LOCALHOST)).filter(is_free)
}

impl Kind for Processors {
    type Output = Vec<Processor>;

    fn read(&self, value: &Value<'_>) -> Result<Vec<Processor>, Faults> {
        let Value::Toml(_) = value else { return Err(refused(value, "is not a list of tables")) };
        let items = value.items().ok_or_else(|| wrong_type(value))?;
        if items.len() > MAX_PROCESSORS {
            let message = Message::Sentence(format!("{} processors are too many", items.len()));
            return Err(vec![Fault { span: None, message, hint: None }]);
        }
        let mut processors: Vec<Processor> = Vec::new();
        let mut faults = Faults::new();
        for item in &items {
            let Value::Toml(written) = item else { continue };
            match written.get_ref().as_table() {
                None => faults.extend(wrong_type(item)),
                Some(table) => match read_one(table, written.span()) {
                    Err(fault) => faults.extend(fault),
                    Ok(processor) => {
                        faults.extend(duplicates(&processors, &processor, table));
                        processors.push(processor);
                    }
                },
            }
        }
        if faults.is_empty() { Ok(processors) } else { Err(faults) }
    }

    fn show(&self, value: &Vec<Processor>) -> Option<String> {
        let mut tables = Vec::new();
        for processor in value {
            let mut processor = processor.clone();
            let keys = PROCESSOR_KEYS.iter().filter_map(|key| {
                let name = key.path.rsplit('.').next()?;
                Some(format!("{name} = {}", key.slot.show(&mut processor)?))
            });
            tables.push(format!("{{ {} }}", keys.collect::<Vec<_>>().join(", ")));
        }
        Some(format!("[{}]", tables.join(", ")))
    }

    fn takes(&self) -> String {
        format!("at most {MAX_PROCESSORS} processors, each under a line [[processor]] of its own")
    }
}

/// Why this can be nobody's own address.
pub(super) fn no_host(address: IpAddr) -> Option<&'static str> {
    if address.is_unspecified() {
        Some("cannot be a processor's address: it stands for any address")
    } else if address.is_multicast() {
        Some("cannot be a processor's address: it is a multicast group")
    } else if address == IpAddr::V4(Ipv4Addr::BROADCAST) {
        Some("cannot be a processor's address: it is the broadcast address")
    } else {
        None
    }
}

/// One table; the keys it lacks are faults at its beginning.
fn read_one(table: &DeTable<'_>, span: Range<usize>) -> Result<Processor, Faults> {
    let mut processor = Processor {
        name: String::new(),
        address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        tcp_port: PROCESSOR_PORT,
    };
    let filled = walk::fill(PROCESSOR_KEYS, "processor", table, &mut processor);
    let mut faults: Faults = filled.findings.into_iter().map(Fault::from).collect();
    for &key in REQUIRED.iter().filter(|&&key| !table.contains_key(key)) {
        let message = Message::Sentence(format!("a [[processor]] has no `{key}`"));
        let hint = suggest::assignment(PROCESSOR_KEYS, "processor", key);
        faults.push(Fault { span: Some(span.clone()), message, hint: Some(format!("add {hint}")) });
    }
    if faults.is_empty() { Ok(processor) } else { Err(faults) }
}

/// What the processor has in common with an earlier one but must not.
fn duplicates(earlier: &[Processor], new: &Processor, table: &DeTable<'_>) -> Faults {
    let clashes = [
        ("name", new.name.clone(), earlier.iter().any(|other| other.name == new.name)),
        ("address", new.address.to_string(), earlier.iter().any(|other| other.address == new.address)),
    ];
    // Whoever names a processor may give either.
    let is_called =
        |name: &str, address: IpAddr| name.parse::<IpAddr>().is_ok_and(|name| name.to_canonical() == address);
    let mut faults = Faults::new();
    for other in earlier {
        for (key, named, addressed) in [("name", new, other), ("address", other, new)] {
            if is_called(&named.name, addressed.address) {
                let message = Message::Sentence(format!(
                    "{} is the name of one processor and the address of another",
                    quoted(&named.name)
                ));
                let hint = Some("give that one another name: commands take either".to_owned());
                faults.push(Fault { span: table.get(key).map(|value| value.span()), message, hint });
            }
        }
    }
    for (key, shown, _) in clashes.into_iter().filter(|(_, _, clash)| *clash) {
        let message = Message::Sentence(format!("two processors have the {key} {}", quoted(&shown)));
        let hint =
            Some(format!("each processor has {} {key} of its own", if key == "name" { "a" } else { "an" }));
        faults.push(Fault { span: table.get(key).map(|value| value.span()), message, hint });
    }
    faults
}
