//! Folders that change while somebody follows.

use super::*;
use contract::logs::COMPRESSED;
use std::fs;
use std::io::Write;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(current: &str) -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.append(current);
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(format!("{FILE}{name}"))
    }

    fn append(&self, text: &str) {
        let mut file = File::options().append(true).create(true).open(self.path("")).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn turn_over(&self, number: u64) {
        fs::rename(self.path(""), self.path(&format!(".{number}"))).unwrap();
        self.append("");
    }

    fn compress(&self, name: &str) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(&fs::read(self.path(name)).unwrap()).unwrap();
        fs::remove_file(self.path(name)).unwrap();
        let bytes = out.finish().unwrap();
        fs::write(self.path(&format!("{name}{COMPRESSED}")), &bytes).unwrap();
        bytes
    }

    fn follower(&self) -> Follower {
        Follower::at_the_end(self.0.path()).unwrap()
    }
}

fn last(follower: &Follower) -> Vec<String> {
    follower.last(&Filter::default(), 100).unwrap().lines.into()
}

fn more(follower: &mut Follower) -> Vec<String> {
    let more = all(follower);
    assert_eq!(more.missed, [""; 0]);
    more.lines
}

fn all(follower: &mut Follower) -> More {
    let mut all = follower.more(&Filter::default()).unwrap();
    while all.again {
        let mut more = follower.more(&Filter::default()).unwrap();
        all.lines.append(&mut more.lines);
        all.missed.append(&mut more.missed);
        all.again = more.again;
    }
    all
}

#[test]
fn what_comes_while_the_last_lines_are_read_is_shown_once() {
    let folder = Folder::new("one\n");
    folder.turn_over(1);
    folder.append("two\nhal");
    let mut follower = folder.follower();
    folder.append("f\nthree\n");
    assert_eq!(last(&follower), ["one", "two"]);
    folder.turn_over(2);
    folder.append("four\n");
    folder.turn_over(3);
    folder.append("five\n");
    assert_eq!(last(&follower), ["one", "two"], "files that were filled since are none of before");
    folder.compress(".1");
    folder.compress(".3");
    assert_eq!(last(&follower), ["one", "two"]);
    assert_eq!(more(&mut follower), ["half", "three", "four", "five"]);
    assert_eq!((last(&folder.follower()).len(), more(&mut follower).len()), (6, 0));
}

#[test]
fn whoever_follows_outlives_whatever_lies_in_the_files_places() {
    let folder = Folder::new("one\n");
    let mut follower = folder.follower();
    let replace = |make: &dyn Fn(&Path)| {
        fs::remove_file(folder.path("")).unwrap();
        make(&folder.path(""));
    };
    let fifo = |path: &Path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    replace(&fifo);
    fifo(&folder.path(".1")); // nobody writes there: to open it would be to wait
    assert_eq!(more(&mut follower), [""; 0]);
    assert!(Follower::at_the_end(folder.0.path()).is_err_and(|e| is_no_file(&e)));
    replace(&|path| std::os::unix::fs::symlink("/etc/hostname", path).unwrap());
    assert_eq!(more(&mut follower), [""; 0]);
    fs::remove_dir_all(folder.0.path()).unwrap();
    assert_eq!(more(&mut follower), [""; 0]);
    fs::create_dir(folder.0.path()).unwrap();
    folder.append("two\n");
    fifo(&folder.path(".2"));
    let told = all(&mut follower);
    assert_eq!((&told.lines[..], told.missed.len()), (&["two".to_owned()][..], 2), "{told:?}");
    let shown = folder.follower().last(&Filter::default(), 100).unwrap();
    assert_eq!((shown.lines.len(), shown.damaged.len()), (1, 1), "{shown:?}");
}

#[test]
fn a_file_that_was_compressed_since_it_was_listed_is_read_all_the_same() {
    let folder = Folder::new("one\n");
    folder.turn_over(1);
    folder.compress(".1");
    let (lines, why) = tail(open(&folder.path(".1")).unwrap(), &Filter::default(), 100);
    assert_eq!((lines, why.is_none()), (VecDeque::from(["one".to_owned()]), true));
    assert_eq!(open(&folder.path(".2")).err().unwrap().kind(), ErrorKind::NotFound);
}

#[test]
fn a_damaged_file_costs_what_is_damaged() {
    let folder = Folder::new(&"one\n".repeat(10));
    folder.turn_over(1);
    let whole = folder.compress(".1");
    fs::write(folder.path(".1.gz"), &whole[..whole.len() - 4]).unwrap();
    folder.append("two\n");
    let shown = folder.follower().last(&Filter::default(), 100).unwrap();
    assert_eq!((shown.lines.back().map(String::as_str), shown.damaged.len()), (Some("two"), 1));
    assert!(shown.lines.len() > 1, "{shown:?}");
    assert!(shown.damaged[0].contains(".1.gz cannot be read to its end: "), "{shown:?}");
}

#[test]
fn a_file_that_was_emptied_and_has_grown_past_where_we_were_is_read_from_its_beginning() {
    let folder = Folder::new("one\n");
    let mut follower = folder.follower();
    folder.append("two\nhal");
    assert_eq!(more(&mut follower), ["two"]);
    let mut lines: Vec<String> = (0..20).map(|number| format!("after {number}")).collect();
    for first in ["flushed", "flushed again"] {
        fs::write(folder.path(""), "").unwrap();
        lines[0] = first.into();
        folder.append(&(lines.join("\n") + "\nhal"));
        assert_eq!(more(&mut follower), lines);
    }
    folder.append("f a line\n");
    assert_eq!(more(&mut follower), ["half a line"]);
    fs::write(folder.path(""), "").unwrap();
    folder.append("short\n");
    assert_eq!(more(&mut follower), ["short"]);
}

#[test]
fn what_came_during_a_long_stop_is_read_in_pieces() {
    let folder = Folder::new("one\n");
    let mut follower = folder.follower();
    let mut lines = Vec::new();
    for file in 0..4 {
        let some: Vec<String> = (0..50_000).map(|number| format!("line {number} of {file}")).collect();
        folder.append(&(some.join("\n") + "\n"));
        lines.extend(some);
        if file < 3 {
            folder.turn_over(1 + file);
        }
    }
    folder.compress(".2");
    let (mut read, mut pieces) = (Vec::new(), 0);
    loop {
        let mut piece = follower.more(&Filter::default()).unwrap();
        assert!(piece.lines.iter().map(|line| line.len() as u64 + 1).sum::<u64>() <= PIECE + MAX_LINE);
        assert_eq!(piece.missed, [""; 0]);
        read.append(&mut piece.lines);
        pieces += 1;
        if !piece.again {
            break;
        }
    }
    assert!(read == lines && pieces > 3, "{} of {} lines in {pieces} pieces", read.len(), lines.len());
}

#[test]
fn what_was_removed_or_damaged_before_it_was_read_is_told() {
    let folder = Folder::new("one\n");
    folder.turn_over(1);
    folder.append("two\n");
    let mut follower = folder.follower();
    for number in 2..6 {
        folder.append(&format!("the last of {number}\n"));
        folder.turn_over(number);
    }
    for number in 1..4 {
        fs::remove_file(folder.path(&format!(".{number}"))).unwrap();
    }
    let whole = folder.compress(".5");
    fs::write(folder.path(".5.gz"), &whole[..whole.len() - 9]).unwrap();
    folder.append("new\n");
    let told = all(&mut follower);
    let last = told.lines.last().map(String::as_str);
    assert_eq!((told.lines[..2].join(","), last), ("the last of 2,the last of 4".into(), Some("new")));
    assert_eq!(told.missed.len(), 2, "{told:?}");
    assert!(told.missed[0].contains("were removed before they were read"), "{told:?}");
    assert!(told.missed[1].contains(".5.gz cannot be read to its end: "), "{told:?}");
}

#[test]
fn after_a_flush_ours_is_known_by_how_it_begins() {
    let folder = Folder::new("one\n");
    // Nobody sees a number: the full files were removed.
    let mut follower = folder.follower();
    folder.append("two\n");
    folder.turn_over(7);
    folder.append("three\n");
    folder.turn_over(8);
    folder.compress(".7");
    folder.append("four\n");
    assert_eq!(more(&mut follower), ["two", "three", "four"]);
}
