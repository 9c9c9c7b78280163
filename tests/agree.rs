//! What keeps a start from working is told by `check` before: the same exit code, and the same thing named.

use std::fs::{self, Permissions};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{Builder, Output, Place, cluster, need_root};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::Value;
use socket2::{Domain, Socket, Type};

/// A user who is nobody in particular.
const USER: u32 = 54321;
const AS_USER: [&str; 4] = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"];
/// root that can do nothing that others cannot.
const POWERLESS: [&str; 3] = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"];
/// root that can do all but this.
macro_rules! without {
    ($right:literal) => {
        ["setpriv", concat!("--inh-caps=-", $right), concat!("--bounding-set=-", $right)]
    };
}
const LISTEN: &str = "listen = [\"127.0.0.1:0\"]\n";

/// A way to start; `@` is the place's folder in what is written, told and wrapped.
struct Setup {
    config: String,
    arguments: Vec<&'static str>,
    wrapper: Vec<&'static str>,
}

fn setup(config: impl Into<String>) -> Setup {
    let config = config.into();
    let config = if config.contains("listen =") { config } else { format!("{LISTEN}{config}") };
    Setup { config, arguments: Vec::new(), wrapper: Vec::new() }
}

impl Setup {
    fn arguments(mut self, arguments: &[&'static str]) -> Setup {
        self.arguments = arguments.to_vec();
        self
    }

    fn wrapped(mut self, wrapper: &[&[&'static str]]) -> Setup {
        self.wrapper = wrapper.concat();
        self
    }

    fn by_user(self) -> Setup {
        self.wrapped(&[&AS_USER])
    }

    fn told(place: &Place, words: &[&'static str]) -> Vec<String> {
        let folder = place.folder().to_str().expect("text");
        words.iter().map(|word| word.replace('@', folder)).collect()
    }

    fn check(&self, place: &Place) -> Output {
        let words =
            [Setup::told(place, &self.wrapper), vec![env!("CARGO_BIN_EXE_atlas-cluster").into()]].concat();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(["check", "--json", "--config"]).arg(place.config_file());
        command.env("ATLAS_CLUSTER_RUNTIME_DIR", place.runtime_dir()).env("ATLAS_CLUSTER_WORKERS", "2");
        command.args(Setup::told(place, &self.arguments));
        harness::run(command)
    }

    fn start(&self, place: &Place) -> Builder {
        let wrapper = Setup::told(place, &self.wrapper);
        let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
        let builder = cluster!().place(place).listen_as_configured().wrapped_in(&wrapper);
        Setup::told(place, &self.arguments).into_iter().fold(builder, Builder::arg)
    }

    fn write(&self, place: &Place) {
        place.write_config(&self.config.replace('@', place.folder().to_str().expect("text")));
    }

    /// Neither would do, by that exit code, and both say so.
    #[track_caller]
    fn fails(&self, prepare: impl FnOnce(&Path), code: i32, says: &str) {
        let place = Place::new();
        prepare(place.folder());
        self.write(&place);
        let before = files(place.folder());
        let checked = self.check(&place);
        assert_eq!(files(place.folder()), before, "nothing is made: {checked:#?}");
        let started = self.start(&place).run();
        assert_eq!((checked.code, started.code), (Some(code), Some(code)), "{checked:#?}\n{started:#?}");
        started.expect_said(&[says, "hint: "]);
        let report: Value = checked.json();
        let lines = report["checks"].as_array().expect("checks").iter();
        let mut failed = lines.filter(|line| line["status"] == "fail");
        let first = failed.next().and_then(|line| line["message"].as_str()).unwrap_or_default();
        assert!(first.contains(says), "{says:?} is not what is told first: {checked:#?}");
    }

    /// Both do.
    #[track_caller]
    fn does(&self, prepare: impl FnOnce(&Path)) {
        let place = Place::new();
        prepare(place.folder());
        self.write(&place);
        let before = files(place.folder());
        let checked = self.check(&place).expect_code(0);
        assert_eq!(files(place.folder()), before, "nothing is made: {checked:#?}");
        let _online = self.start(&place).start();
    }
}

/// What lies there before, and what is said of it.
type Case = (fn(&Path), &'static str);

/// Everything below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, is_folder) = (entry.path(), entry.file_type().is_ok_and(|kind| kind.is_dir()));
        found.extend(if is_folder { files(&path) } else { Vec::new() });
        found.push(path);
    }
    found.sort();
    found
}

fn nothing(_: &Path) {}

fn folder(path: impl AsRef<Path>, mode: u32) {
    fs::create_dir_all(&path).expect("a folder");
    fs::set_permissions(&path, Permissions::from_mode(mode)).expect("a mode");
}

/// The runtime directory, which is there before.
fn run(at: &Path) -> PathBuf {
    folder(at.join("run"), 0o755);
    at.join("run")
}

fn file(path: impl AsRef<Path>, text: &str, mode: u32) {
    fs::write(&path, text).expect("a file");
    fs::set_permissions(&path, Permissions::from_mode(mode)).expect("a mode");
}

fn give(path: &Path) {
    chown(path, Some(USER), Some(USER)).expect("root may");
}

#[test]
fn an_address_that_cannot_be_bound() {
    let at = |address: &str| setup(format!("listen = [\"{address}\"]\n"));
    for address in ["192.0.2.1:0", "192.0.2.1:3131", "[2001:db8::1]:0"] {
        at(address).fails(nothing, 3, &format!("cannot bind UDP {address}: Cannot assign requested address"));
    }
    at("[fe80::1%77]:0").fails(nothing, 3, "cannot bind UDP [fe80::1%77]:0: No such device");
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address = stranger.local_addr().expect("its address");
    let said = format!("cannot bind UDP {address}: Address already in use (os error 98); it is held by ");
    at(&address.to_string()).fails(nothing, 3, &said);
    setup("listen = [\"127.0.0.1:0\", \"192.0.2.1:0\"]\n").fails(nothing, 3, "cannot bind UDP 192.0.2.1:0");
    setup("listen = [\"127.0.0.1:0\", \"[::1]:0\"]\n").does(nothing);
}

#[test]
fn a_low_port_of_a_user() {
    need_root();
    let low = setup("listen = [\"127.0.0.1:81\"]\n").by_user();
    low.fails(give, 3, "cannot bind UDP 127.0.0.1:81: Permission denied");
}

/// A socket on a free port of an address, open to others or not.
fn stranger(domain: Domain, address: &str, reuse_address: bool, reuse_port: bool) -> (Socket, u16) {
    let socket = Socket::new(domain, Type::DGRAM, None).expect("a socket");
    socket.set_reuse_address(reuse_address).expect("an option");
    socket.set_reuse_port(reuse_port).expect("an option");
    let address: SocketAddr = format!("{address}:0").parse().expect("an address");
    socket.bind(&address.into()).expect("a port");
    let port = socket.local_addr().expect("bound").as_socket().expect("an address").port();
    (socket, port)
}

#[test]
fn a_port_that_is_to_be_shared() {
    for (domain, theirs, ours) in [
        (Domain::IPV4, "127.0.0.1", "127.0.0.1"),
        (Domain::IPV4, "127.0.0.1", "0.0.0.0"),
        (Domain::IPV4, "127.0.0.1", "[::]"),
        (Domain::IPV6, "[::1]", "[::1]"),
        (Domain::IPV6, "[::1]", "[::]"),
    ] {
        let at = |port: u16| setup(format!("listen = [\"{ours}:{port}\"]\nshare = true\n"));
        let (_closed, port) = stranger(domain, theirs, false, false);
        at(port).fails(nothing, 3, "Address already in use (os error 98); it is held by ");
        for (address, also) in [(true, false), (false, true)] {
            let (open, port) = stranger(domain, theirs, address, also);
            let sender = UdpSocket::bind(format!("{theirs}:0")).expect("a socket");
            let place = Place::new();
            at(port).write(&place);
            at(port).check(&place).expect_code(0);
            sender.send_to(b"x", format!("{theirs}:{port}")).expect("sent");
            UdpSocket::from(open).recv(&mut [0; 8]).expect("check takes nothing from him");
            let (_open, port) = stranger(domain, theirs, address, also);
            at(port).does(nothing);
        }
    }
    let other = cluster!().start();
    let at = setup(format!("listen = [\"127.0.0.1:{}\"]\nshare = true\n", other.port()));
    at.fails(nothing, 3, "it is held by atlas-cluster");
}

#[test]
fn a_runtime_directory_that_cannot_be_used() {
    need_root();
    for path in ["/proc/x", "/sys/x", "/dev/null/x"] {
        let at = setup("").arguments(match path {
            "/proc/x" => &["--runtime-dir", "/proc/x"],
            "/sys/x" => &["--runtime-dir", "/sys/x"],
            _ => &["--runtime-dir", "/dev/null/x"],
        });
        at.fails(nothing, 2, &format!("cannot use the runtime directory {path}: "));
    }
    let cases: [Case; 10] = [
        (|at| file(at.join("run"), "", 0o644), "Not a directory"),
        (|at| symlink("/nowhere/at/all", at.join("run")).expect("a link"), "File exists"),
        (|at| folder(at.join("run"), 0o1777), "anybody may write there"),
        (|at| folder(at.join("run/pid"), 0o755), "Is a directory"),
        (|at| mkfifo(&run(at).join("pid"), Mode::S_IRWXU).expect("a FIFO"), "its pid file is not a file"),
        (|at| folder(at.join("run/control"), 0o755), "cannot remove "),
        (|at| folder(at.join("run/link.sock"), 0o755), "cannot remove "),
        (|at| file(run(at).join("notify"), "", 0o644), "cannot remove "),
        (|at| symlink("/nowhere", run(at).join("pid")).expect("a link"), "Too many levels of symbolic links"),
        (|at| give(&run(at)), "it belongs to uid 54321, and we are uid 0"),
    ];
    for (prepare, why) in cases {
        setup("").fails(prepare, 2, why);
    }
    setup("").wrapped(&[&POWERLESS]).fails(|at| folder(at.join("run"), 0o555), 2, "Permission denied");
    setup("").wrapped(&[&["prlimit", "--fsize=0"]]).fails(nothing, 2, "File too large");
    setup("").by_user().fails(nothing, 2, "Permission denied");
    let of_root = |at: &Path| {
        give(&run(at));
        folder(at.join("run/notify/x"), 0o755);
    };
    setup("").by_user().fails(of_root, 2, "cannot remove ");
    setup("").does(|at| folder(at.join("run"), 0o777));
    setup("").by_user().does(give);
}

#[test]
fn a_folder_for_log_files_that_cannot_be_used() {
    need_root();
    for path in ["/proc/zz", "/sys/zz", "/dev/null/zz"] {
        let at = setup(format!("[log]\ndir = \"{path}\"\n"));
        at.fails(nothing, 1, &format!("cannot write logs to {path}: "));
    }
    let long = format!("[log]\ndir = \"@/{}\"\n", "x".repeat(300));
    setup(long).fails(nothing, 1, "File name too long");
    let logs = || setup("[log]\ndir = \"@/logs\"\n");
    let cases: [Case; 6] = [
        (|at| file(at.join("logs"), "", 0o644), "File exists"),
        (|at| symlink("/nowhere/at/all", at.join("logs")).expect("a link"), "File exists"),
        (|at| folder(at.join("logs/atlas-cluster.log"), 0o755), "Is a directory"),
        (
            |at| {
                folder(at.join("logs"), 0o755);
                symlink("/nowhere", at.join("logs/atlas-cluster.log")).expect("a link");
            },
            "Too many levels of symbolic links",
        ),
        (
            |at| {
                folder(at.join("logs"), 0o755);
                mkfifo(&at.join("logs/atlas-cluster.log"), Mode::S_IRWXU).expect("a pipe");
            },
            "No such device or address",
        ),
        (
            |at| {
                folder(at.join("run"), 0o755);
                file(at.join("run/logs"), "", 0o644);
            },
            "File exists",
        ),
    ];
    for (prepare, why) in cases {
        logs().fails(prepare, 1, why);
    }
    let of_root = |at: &Path| {
        give(at);
        folder(at.join("logs"), 0o755);
    };
    logs().by_user().fails(of_root, 1, "Permission denied");
    let elsewhere = Place::new();
    let taken = format!("[log]\ndir = \"{}\"\n", elsewhere.folder().join("logs").display());
    let _other = cluster!().config(&taken).start();
    setup(taken).fails(nothing, 3, "another cluster writes its log files to ");
}

#[test]
fn limits_under_which_nothing_lives() {
    need_root();
    let worker = |keys: &str| setup(format!("[worker]\n{keys}\n"));
    let program = "program = [\"sleep\", \"100\"]\nwait_ready = false\n";
    // Where one that is said to be enough is not, the role opens more by now: OF_A_WORKER and OF_A_LAUNCHER in
    // src/supervisor/limits.rs are to follow.
    worker("limit_nofile = 13").fails(nothing, 2, "worker.limit_nofile of 13 is too low: a worker has 14 ");
    worker("limit_nofile = 14").does(nothing);
    let wide = "listen = [\"127.0.0.1:0\", \"127.0.0.2:0\", \"127.0.0.3:0\"]\n[worker]\nlimit_nofile = ";
    setup(format!("{wide}15\n")).fails(nothing, 2, "worker.limit_nofile of 15 is too low: a worker has 16 ");
    setup(format!("{wide}16\n")).does(nothing);
    worker(&format!("{program}limit_nofile = 8")).fails(nothing, 2, "worker.limit_nofile of 8 is too low");
    worker(&format!("{program}limit_nofile = 9")).does(nothing);
    worker("limit_as = \"2M\"").fails(nothing, 2, "worker.limit_as of 2097152 is too low: a worker has ");
    setup("").wrapped(&[&["prlimit", "--nofile=100:100"]]).fails(nothing, 1, "and the limit is 100");
    setup("").wrapped(&[&["prlimit", "--fsize=1000"]]).fails(
        nothing,
        1,
        "cannot start the supervisor: File too large",
    );
    // Another user than elsewhere: all of his processes count.
    let alone = ["setpriv", "--reuid=54323", "--regid=54323", "--clear-groups", "prlimit"];
    let few = |number: &'static str| setup("").wrapped(&[&alone, &[number]]);
    let give = |at: &Path| chown(at, Some(54323), Some(54323)).expect("root may");
    few("--nproc=1:1").fails(give, 1, "Resource temporarily unavailable");
    few("--nproc=3:3").fails(give, 1, "Resource temporarily unavailable");
    few("--nproc=4:4").does(give);
}

#[test]
fn what_a_worker_cannot_become() {
    need_root();
    let worker = |keys: &str| setup(format!("[worker]\n{keys}\n"));
    for (lacking, why) in [
        (without!("chown"), "cannot make uid "),
        (without!("setgid"), "cannot change to group "),
        (without!("setuid"), "cannot become worker.user nobody: "),
        (without!("kill"), "cannot run workers as worker.user nobody: CAP_KILL is missing"),
        (without!("dac_override"), "cannot run workers as worker.user nobody: CAP_DAC_OVERRIDE is missing"),
    ] {
        worker("user = \"nobody\"").wrapped(&[&lacking]).fails(nothing, 1, why);
    }
    worker("group = \"daemon\"").wrapped(&[&POWERLESS]).fails(nothing, 1, "cannot change to group 1: ");
    worker("nice = -5").wrapped(&[&POWERLESS]).fails(nothing, 1, "cannot set worker.nice to -5: ");
    worker("cpu_affinity = \"1000\"").fails(nothing, 1, "cannot set worker.cpu_affinity: ");
    worker("cwd = \"@/no\"").fails(nothing, 1, "cannot change to worker.cwd ");
    let closed = |at: &Path| folder(at.join("closed"), 0o700);
    worker("user = \"nobody\"\ncwd = \"@/closed\"").fails(closed, 1, "cannot change to worker.cwd ");
    worker("user = \"nobody\"\nnice = 5").does(nothing);
    worker("user = \"root\"").by_user().fails(give, 2, "`root` is another user");
}

#[test]
fn a_program_that_cannot_be_run() {
    let program = |name: &str| setup(format!("[worker]\nwait_ready = false\nprogram = [\"{name}\"]\n"));
    let health = |name: &str| {
        setup(format!(
            "[worker]\nwait_ready = false\nprogram = [\"sleep\", \"100\"]\nhealth_command = [\"{name}\"]\n"
        ))
    };
    let script = |text: &'static str| move |at: &Path| file(at.join("script"), text, 0o755);
    for what in [&program as &dyn Fn(&str) -> Setup, &health] {
        what("no-such-program").fails(nothing, 1, "cannot run no-such-program: No such file");
        what("/etc/passwd").fails(nothing, 1, "cannot run /etc/passwd: Permission denied");
        let missing = script("#!/no/such/interpreter\n");
        what("@/script").fails(missing, 1, "; its first line names /no/such/interpreter as interpreter");
        what("@/script").fails(
            script("#!/etc/passwd\n"),
            1,
            "; its first line names /etc/passwd as interpreter",
        );
    }
    let long = format!("[worker]\nwait_ready = false\nprogram = [\"true\", \"{}\"]\n", "x".repeat(128 << 10));
    setup(long).fails(nothing, 1, "cannot run true: Argument list too long");
    program("@/script").does(script("#!/bin/sh\nexec sleep 100\n"));
    health("true").does(nothing);
}

#[test]
fn of_several_things_the_first_that_a_start_meets() {
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address = stranger.local_addr().expect("its address");
    let all = format!("listen = [\"{address}\"]\n[log]\ndir = \"/proc/zz\"\n[worker]\ncwd = \"/no/such\"\n");
    let bad = |at: &Path| file(at.join("run"), "", 0o644);
    setup(format!("workers = 0\n{all}")).fails(bad, 2, "workers: `0` is out of range");
    setup(&all).wrapped(&[&["prlimit", "--nofile=100:100"]]).fails(bad, 1, "and the limit is 100");
    setup(&all).fails(bad, 2, "cannot use the runtime directory ");
    setup(&all).fails(nothing, 1, "cannot write logs to /proc/zz");
    setup(all.replace("dir = \"/proc/zz\"", "")).fails(nothing, 3, "cannot bind UDP ");
}
