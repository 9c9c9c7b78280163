//! Many threads on one table and one page, as processes would be.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use table::counters::{self, Counter, Counters, Faces};
use table::{ConnectionState, LinkWriter, Reader, Writer};

fn words(head: &[u8], bytes: usize) -> Vec<AtomicU64> {
    let mut words: Vec<AtomicU64> =
        head.chunks(8).map(|word| AtomicU64::new(u64::from_ne_bytes(word.try_into().unwrap()))).collect();
    words.resize_with(bytes / 8, AtomicU64::default);
    words
}

fn fresh_table() -> Vec<AtomicU64> {
    words(&table::head([0x0123_4567_89ab_cdef, 42]), table::BYTES)
}

fn v4(number: u16) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + u32::from(number)))
}

#[test]
fn no_reader_sees_half_a_face() {
    const BATCHES_TO_MEET: u32 = 200;
    let page = words(&counters::page_head(4096), 4096);
    thread::scope(|scope| {
        let reader = || {
            let (mut last, mut met) = (0, 0);
            while met < BATCHES_TO_MEET {
                let Some((batch, face)) = counters::read(&page[..]) else { continue };
                assert_eq!(face.get(Counter::Datagrams), batch - 1, "the face belongs to its batch");
                assert_eq!(face.get(Counter::Meter), batch - 1);
                assert_eq!(face.get(Counter::Replayed), batch - 1);
                assert!(batch >= last, "time does not run backwards");
                met += u32::from(batch > last);
                last = batch;
            }
        };
        let readers = [scope.spawn(reader), scope.spawn(reader)];
        let faces = Faces::new(&page, 4096).unwrap();
        let mut counters = Counters::default();
        while readers.iter().any(|reader| !reader.is_finished()) {
            faces.arm();
            for counter in [Counter::Datagrams, Counter::Meter, Counter::Replayed] {
                counters.add(counter, 1);
            }
            faces.commit(&counters);
        }
    });
}

#[test]
fn claimers_of_one_address_get_one_place() {
    for _ in 0..200 {
        let table = fresh_table();
        let start = Barrier::new(3);
        // Each begins with other addresses, so that different ones race for the same free place too.
        let claim = &|first: u16| {
            let writer = Writer::new(&table).unwrap();
            start.wait();
            let mut places = vec![None; 64];
            (0..64)
                .map(|step| (first + step) % 64)
                .for_each(|n| places[usize::from(n)] = writer.place(v4(n)));
            places
        };
        let places: Vec<_> = thread::scope(|scope| {
            let claimers = [0, 21, 42].map(|first| scope.spawn(move || claim(first)));
            claimers.into_iter().map(|claimer| claimer.join().unwrap()).collect()
        });
        assert!(places.windows(2).all(|two| two[0] == two[1]));
        let mut distinct: Vec<_> = places[0].iter().map(|place| place.unwrap().index()).collect();
        distinct.sort_unstable();
        assert!(distinct.into_iter().eq(0..64));
        let mut seen: Vec<_> = Reader::new(&table[..]).unwrap().processors().map(|p| p.address).collect();
        seen.sort_unstable();
        assert!(seen.into_iter().eq((0..64).map(v4)));
    }
}

#[test]
fn the_65th_processor_is_refused_and_the_others_go_on() {
    let table = fresh_table();
    let writer = Writer::new(&table).unwrap();
    let places: Vec<_> = (0..64).map(|number| writer.place(v4(number)).unwrap()).collect();
    assert_eq!(writer.place(v4(64)), None);
    assert_eq!(writer.place(IpAddr::V6(Ipv6Addr::LOCALHOST)), None);
    for (number, place) in (0..64).zip(places) {
        assert_eq!(writer.place(v4(number)), Some(place));
    }
}

#[test]
fn a_mapped_address_is_the_ipv4_address() {
    let table = fresh_table();
    let writer = Writer::new(&table).unwrap();
    let place = writer.place("::ffff:192.168.5.101".parse().unwrap()).unwrap();
    assert_eq!(writer.place("192.168.5.101".parse().unwrap()), Some(place));
    let six = writer.place("fe80::".parse().unwrap()).unwrap();
    let reader = Reader::new(&table[..]).unwrap();
    let address = |place| reader.processors().find(|p| p.place == place).unwrap().address.to_string();
    assert_eq!((address(place).as_str(), address(six).as_str()), ("192.168.5.101", "fe80::"));
}

#[test]
fn a_claimer_that_died_before_it_wrote_the_address_stalls_nobody() {
    let table = fresh_table();
    let writer = Writer::new(&table).unwrap();
    let place = writer.place(v4(1)).unwrap();
    let entry = 128 + place.index() * 8;
    for half in [&[entry][..], &[entry, entry + 1, entry + 2]] {
        half.iter().for_each(|word| table[*word].store(0, Ordering::Relaxed));
        let reader = Reader::new(&table[..]).unwrap();
        assert_eq!(reader.processors().count(), 0, "readers skip it");
        assert_eq!(writer.place(v4(1)), Some(place), "the next writer finishes the claim");
        assert_eq!(reader.processors().map(|p| p.address).collect::<Vec<_>>(), [v4(1)]);
    }
}

#[test]
fn the_newest_reading_wins_in_whatever_order_they_are_stored() {
    let table = fresh_table();
    let writer = Writer::new(&table).unwrap();
    let reader = Reader::new(&table[..]).unwrap();
    let place = writer.place(v4(1)).unwrap();
    assert_eq!((reader.level(place, 2, 0), reader.meters(place).count()), (None, 0));
    for (micros, level) in [(500, -100), (900, -8000), (900, -8000), (700, 0)] {
        assert!(writer.store(place, 2, 0, micros, level));
    }
    assert_eq!(
        reader.level(place, 2, 0),
        Some((900, -8000)),
        "a quiet reading that is newer beats a loud one"
    );
    assert!(writer.store(place, 3, 63, 1, 0));
    assert!(!writer.store(place, 4, 0, 1, 0) && !writer.store(place, 0, 64, 1, 0), "no such meters");
    let all: Vec<_> = reader.meters(place).map(|m| (m.kind, m.index, m.micros, m.centi_db)).collect();
    assert_eq!(all, [(2, 0, 900, -8000), (3, 63, 1, 0)]);
    [50, 90, 70].into_iter().for_each(|micros| writer.heard(place, micros));
    assert_eq!(reader.processors().next().unwrap().heard, Some(90));
}

#[test]
fn readings_of_many_writers_are_never_torn() {
    let table = fresh_table();
    let place = Writer::new(&table).unwrap().place(v4(1)).unwrap();
    thread::scope(|scope| {
        let writers: Vec<_> = (0..3u64)
            .map(|writer_number| {
                let table = &table;
                scope.spawn(move || {
                    let writer = Writer::new(table).unwrap();
                    for micros in (1..200_000).filter(|micros| micros % 3 == writer_number) {
                        writer.store(place, 0, 0, micros, (micros % 30_000) as i16);
                    }
                })
            })
            .collect();
        let reader = Reader::new(&table[..]).unwrap();
        let mut last = 0;
        while writers.iter().any(|writer| !writer.is_finished()) {
            let Some((micros, level)) = reader.level(place, 0, 0) else { continue };
            assert_eq!(micros % 30_000, level as u64, "time and level of one reading");
            assert!(micros >= last);
            last = micros;
        }
        assert_eq!(reader.level(place, 0, 0), Some((199_999, 19_999)));
    });
}

#[test]
fn what_link_has_not_written_is_unknown_and_what_it_is_writing_is_not_shown() {
    let table = fresh_table();
    let place = Writer::new(&table).unwrap().place(v4(1)).unwrap();
    let reader = Reader::new(&table[..]).unwrap();
    let known = || (reader.name(place, 2, 1), reader.muted(place, 2, 1), reader.connection(place));
    assert_eq!(known(), (None, None, None));
    let link = LinkWriter::new(&table).unwrap();
    link.adopt(place);
    link.set_name(place, 2, 1, Some("Patio"));
    link.set_muted(place, 2, 1, Some(true));
    link.set_connection(place, ConnectionState::Connected);
    assert_eq!(known(), (Some("Patio".into()), Some(true), Some(ConnectionState::Connected)));
    assert_eq!((reader.name(place, 2, 0), reader.muted(place, 2, 0)), (None, None), "its neighbour");
    let sequence = &table[17_408 + place.index() * 2560];
    sequence.fetch_add(1, Ordering::Release);
    assert_eq!(known(), (None, None, None), "being written");
    let prefix = Reader::new(&table[..table::STORE_BYTES / 8]).unwrap();
    assert_eq!(prefix.connection(place), None, "a worker's mapping ends before it");
}

#[test]
fn no_reader_sees_half_a_name() {
    let table = fresh_table();
    let place = Writer::new(&table).unwrap().place(v4(1)).unwrap();
    let link = LinkWriter::new(&table).unwrap();
    link.adopt(place);
    let names = ["Patio Band, Patio Band, Patio Band", "Juke box, Juke box, Juke box, Juke box, Juke box"];
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let reader = Reader::new(&table[..]).unwrap();
            let mut met = [0; 2];
            while met.iter().any(|met| *met < 200) {
                let Some(name) = reader.name(place, 1, 14) else { continue };
                let which = names.iter().position(|known| *known == name);
                met[which.unwrap_or_else(|| panic!("half a name: {name}"))] += 1;
            }
        });
        for name in names.iter().cycle() {
            link.set_name(place, 1, 14, Some(name));
            if reader.is_finished() {
                break;
            }
        }
    });
}
