//! What the system must allow: descriptors, locked memory.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::config::Config;
use crate::exit;
use crate::wire::Trouble;

/// Raises the soft limit of descriptors to the hard one, and refuses to start where that is too low: what is kept for
/// each worker and its heir, clients, and what the process itself has open.
pub(super) fn descriptor_limit(config: &Config) -> Result<(), Trouble> {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return Ok(()) };
    let for_each_worker = config.listen.len() as u64 + 5;
    let needed = 32 + u64::from(config.workers) * for_each_worker;
    if hard < needed {
        let (workers, addresses) = (config.workers, config.listen.len());
        return Err(Trouble {
            message: format!(
                "{workers} workers on {addresses} addresses need {needed} descriptors, and the limit is {hard}"
            ),
            hint: Some("raise it (ulimit -n, LimitNOFILE=), or start fewer workers".into()),
            exit: exit::FAILED,
        });
    }
    if soft < hard {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    Ok(())
}

/// Workers lock their rings in memory where they may (mlock(2)). What holds for them is what holds for us, so it is tried:
/// root without CAP_IPC_LOCK, as in many containers, is bound by the limit like anybody else.
pub(super) fn warn_of_memlock(bytes: usize) {
    if let Err(e) = sys::map::may_lock(bytes) {
        let limit =
            getrlimit(Resource::RLIMIT_MEMLOCK).map_or("unknown".into(), |(soft, _)| soft.to_string());
        ::log::warn!(
            "workers cannot lock their receive rings in memory, {bytes} bytes each: {e}; LimitMEMLOCK is {limit}"
        );
    }
}
