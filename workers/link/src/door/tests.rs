//! The door with real sockets: who is slow, half gone, or in a hurry.

use super::followers::MAX_RECORDS;
use super::*;
use mio::{Events, Poll};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream as StdStream;
use std::time::Duration;

/// A turn of the loop around it.
fn turn(door: &mut Door, poll: &mut Poll) -> Vec<(Ticket, Asked)> {
    let mut events = Events::with_capacity(16);
    let wait = if door.has_more() { Duration::ZERO } else { Duration::from_millis(10) };
    poll.poll(&mut events, Some(wait)).unwrap();
    for event in &events {
        door.note(event.token());
    }
    door.poll_requests(poll.registry())
}

fn door() -> (tempfile::TempDir, Poll, Door) {
    let folder = tempfile::tempdir().unwrap();
    let poll = Poll::new().unwrap();
    let door = Door::open(None, folder.path(), &Notify::nobody(), poll.registry()).unwrap();
    (folder, poll, door)
}

/// Turns until a request is there; panics if none comes.
#[track_caller]
fn request(door: &mut Door, poll: &mut Poll) -> Ticket {
    let asked = (0..1000).find_map(|_| turn(door, poll).pop());
    asked.expect("a request").0
}

const GET: &[u8] = b"{\"verb\":\"get\",\"processor\":\"bar\",\"param\":\"ZoneGain_0\"}\n";

#[test]
fn who_says_no_more_after_his_request_is_answered_all_the_same() {
    let (folder, mut poll, mut door) = door();
    let mut asker = StdStream::connect(folder.path().join(LINK_SOCKET)).unwrap();
    asker.write_all(GET).unwrap();
    asker.shutdown(std::net::Shutdown::Write).unwrap();
    let ticket = request(&mut door, &mut poll);
    assert!(turn(&mut door, &mut poll).is_empty() && !door.has_more(), "his end is no reason to spin");
    door.answer(ticket, &Reply::default());
    turn(&mut door, &mut poll);
    assert!(door.clients.is_empty(), "and is forgotten once he has his answer");
    let mut answer = String::new();
    asker.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "{\"param\":\"\"}\n");
}

#[test]
fn a_line_that_makes_no_sense_is_answered_and_the_next_one_is_heard() {
    let (folder, mut poll, mut door) = door();
    let mut asker = StdStream::connect(folder.path().join(LINK_SOCKET)).unwrap();
    asker.write_all(&[b"x\n{\"verb\":\"del\"}\n", GET].concat()).unwrap();
    let ticket = request(&mut door, &mut poll);
    door.answer(ticket, &Reply::default());
    let mut lines = BufReader::new(asker).lines().map(|line| line.unwrap());
    let mut error = || serde_json::from_str::<Reply>(&lines.next().unwrap()).unwrap().error;
    assert_eq!(error().map(|refusal| refusal.exit), Some(2));
    assert!(error().is_some_and(|refusal| refusal.exit == 1 && refusal.message.contains("unsupported")));
    assert!(error().is_none());
}

#[test]
fn when_nobody_can_be_taken_it_is_tried_again_without_an_event() {
    // A listening socket that refuses to be one, in the place of a process out of descriptors.
    let deaf = std::os::unix::net::UnixDatagram::unbound().unwrap();
    let (folder, mut poll) = (tempfile::tempdir().unwrap(), Poll::new().unwrap());
    let mut door = Door::open(Some(deaf.into()), folder.path(), &Notify::nobody(), poll.registry()).unwrap();
    assert!(turn(&mut door, &mut poll).is_empty());
    assert!(!door.has_more() && door.deadline().is_some(), "not at once, but soon");
    door.close(poll.registry());
    assert_eq!(door.deadline(), None);
}

#[test]
fn a_line_without_an_end_is_answered_and_ends_the_connection() {
    let (folder, mut poll, mut door) = door();
    let mut asker = StdStream::connect(folder.path().join(LINK_SOCKET)).unwrap();
    asker.write_all(&[b'x'; MAX_FRAME]).unwrap();
    let mut answer = String::new();
    while !door.clients.is_empty() || door.accepting.is_ready() {
        assert!(turn(&mut door, &mut poll).is_empty());
    }
    asker.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("longer than 4096 bytes") && answer.contains("hint"), "{answer}");
}

#[test]
fn a_request_that_waits_behind_another_waits_for_nothing_else() {
    let (folder, mut poll, mut door) = door();
    let mut asker = StdStream::connect(folder.path().join(LINK_SOCKET)).unwrap();
    asker.write_all(&[GET, GET].concat()).unwrap();
    let first = request(&mut door, &mut poll);
    while door.has_more() {
        assert!(turn(&mut door, &mut poll).is_empty(), "one at a time");
    }
    door.answer(first, &Reply::default());
    assert!(door.has_more(), "nothing else will wake the loop");
    let second = request(&mut door, &mut poll);
    door.answer(second, &Reply::default());
    assert!(second > first && !door.has_more());
}

#[test]
fn who_begins_anew_takes_what_was_kept_before_out_of_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let address = folder.path().join("notify");
    let supervisor = std::os::unix::net::UnixDatagram::bind(&address).unwrap();
    let notify = Notify::to(address.as_os_str()).unwrap();
    let poll = Poll::new().unwrap();
    Door::open(None, folder.path(), &notify, poll.registry()).unwrap();
    let heard = || {
        let mut buffer = [0; 256];
        let count = supervisor.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..count].to_vec()).unwrap()
    };
    assert_eq!(heard(), "FDSTOREREMOVE=1\nFDNAME=commands");
    assert!(heard().starts_with("FDSTORE=1\nFDNAME=commands"));
}

#[test]
fn who_records_too_slowly_is_told_what_he_missed_and_holds_up_nobody() {
    let (folder, mut poll, mut door) = door();
    let mut recorder = StdStream::connect(folder.path().join(LINK_SOCKET)).unwrap();
    recorder.write_all(b"{\"verb\":\"capture\",\"processor\":\"bar\",\"recorder\":7}\n").unwrap();
    let (ticket, asked) = loop {
        if let Some(asked) = turn(&mut door, &mut poll).pop() {
            break asked;
        }
    };
    assert!(matches!(asked, Asked::Recording(wanted) if wanted.recorder == 7));
    door.follow(ticket, 3);
    door.answer(ticket, &Reply::default());
    assert!(door.is_followed(3) && !door.is_followed(2));

    let record = [&[b'x'; 10_000][..], b"\n"].concat();
    let told = 1000;
    for _ in 0..told {
        door.tell(3, &record);
        door.tell(2, b"for nobody\n");
    }
    let waiting = door.clients.values().map(|client| client.output.len()).sum::<usize>();
    assert!(waiting <= MAX_RECORDS, "{waiting}");

    // He reads at last, to the end of what waits.
    let reader = std::thread::spawn(move || {
        let (mut records, mut missed) = (0, 0);
        for line in BufReader::new(&recorder).lines().skip(1) {
            let line = line.unwrap();
            match line.strip_prefix("{\"left_out\":") {
                Some(count) => missed += count.trim_end_matches('}').parse::<u64>().unwrap(),
                None => records += 1,
            }
            if missed > 0 {
                break;
            }
        }
        (records, missed)
    });
    while !reader.is_finished() {
        turn(&mut door, &mut poll);
    }
    let (records, missed) = reader.join().unwrap();
    assert!(records > 0 && missed > 0 && records + missed == told, "{records} and {missed}");
    while door.is_followed(3) {
        turn(&mut door, &mut poll);
    }
}

#[test]
fn who_was_taken_is_served_to_the_end_and_who_comes_then_waits_for_the_next_one() {
    let (folder, mut poll, mut door) = door();
    let connect = || StdStream::connect(folder.path().join(LINK_SOCKET)).unwrap();
    let now = clock::boot(); // it stands still: the hesitant one is not late, however slow this is
    let (mut asker, mut hesitant, mut idle) = (connect(), connect(), connect());
    idle.write_all(GET).unwrap();
    let ticket = request(&mut door, &mut poll);
    door.answer(ticket, &Reply::default());
    asker.write_all(GET).unwrap();
    let first = request(&mut door, &mut poll);
    asker.write_all(GET).unwrap();
    door.close(poll.registry());
    let mut late = connect();
    late.write_all(GET).unwrap();
    assert!(turn(&mut door, &mut poll).is_empty() && door.let_go(now), "two are left");
    assert_eq!(door.clients.len(), 2, "who has his answer is gone, and the late one is not taken");
    hesitant.write_all(GET).unwrap();
    let third = request(&mut door, &mut poll);
    door.answer(third, &Reply::default());
    door.answer(first, &Reply::default());
    assert!(door.let_go(now), "what was said before is answered, too");
    let second = request(&mut door, &mut poll);
    asker.write_all(GET).unwrap();
    door.answer(second, &Reply::default());
    assert!(!door.let_go(now), "and what is said from then on is not taken");
    let mut answers = String::new();
    hesitant.read_to_string(&mut answers).unwrap();
    assert_eq!(
        asker.read_to_string(&mut answers).unwrap_err().kind(),
        ErrorKind::ConnectionReset,
        "so he knows"
    );
    assert_eq!(answers, "{\"param\":\"\"}\n".repeat(3));
    let next = Door::open(
        Some(door.listener.as_fd().try_clone_to_owned().unwrap()),
        folder.path(),
        &Notify::nobody(),
        poll.registry(),
    );
    (door, asker) = (next.unwrap(), late);
    let ticket = request(&mut door, &mut poll);
    door.answer(ticket, &Reply::default());
    assert_eq!(asker.read(&mut [0; 64]).unwrap(), 13);
}

#[test]
fn who_records_holds_nobody_up() {
    let (folder, mut poll, mut door) = door();
    let mut recorder = StdStream::connect(folder.path().join(LINK_SOCKET)).unwrap();
    recorder.write_all(b"{\"verb\":\"capture\",\"processor\":\"bar\",\"recorder\":7}\n").unwrap();
    let ticket = request(&mut door, &mut poll);
    door.follow(ticket, 3);
    door.answer(ticket, &Reply::default());
    door.close(poll.registry());
    assert!(!door.let_go(clock::boot()) && door.is_followed(3), "he is told what comes meanwhile");
}
