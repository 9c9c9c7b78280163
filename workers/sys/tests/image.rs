//! What a process gives back of its program: alone in its process, for whatever runs beside it takes its code again.

/// KiB of the program's code that this process has mapped (proc_pid_smaps(5)).
fn mapped() -> u64 {
    let exe = std::fs::read_link("/proc/self/exe").expect("we run from a file");
    let exe = exe.to_str().expect("a path in UTF-8");
    let smaps = std::fs::read_to_string("/proc/self/smaps").expect("it is ours");
    let mut code = smaps.lines().skip_while(|line| !(line.contains(" r-xp ") && line.ends_with(exe)));
    let rss = code.find_map(|line| line.strip_prefix("Rss:")).expect("a line about resident memory");
    rss.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn code_that_is_not_used_any_more_is_no_memory_of_ours_and_comes_back_when_it_is() {
    let before = mapped();
    sys::image::give_back().expect("nothing is locked");
    let after = mapped();
    assert!(after < before, "{before} KiB before, {after} after");
    // Formats, allocates, reads files: all of it is back.
    assert!(mapped() > 0 && sys::map::segment("back", b"again", 4096, true).is_ok());
}
