//! Who records which processor: told to the workers through the meter table, for as long as the recorder's line is open.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use atlas::order::{FAILED, Refusal};
use table::{LinkWriter, Place};

/// How long a recorder that our predecessor knew may take to come back. Workers hand over to it meanwhile.
const GRACE: Duration = Duration::from_secs(5);

/// The recorders, by the number of the processor among all.
pub(crate) struct Recorders {
    of: BTreeMap<usize, Recorder>,
    /// Where recorders listen for datagrams.
    folder: Option<PathBuf>,
    /// Until then those that are not back are waited for.
    grace: Duration,
}

struct Recorder {
    place: Place,
    number: u64,
}

impl Recorders {
    /// As a predecessor left them: processors by their places.
    pub(crate) fn adopt(
        now: Duration,
        places: impl Iterator<Item = (usize, Place)>,
        table: LinkWriter<'_>,
        folder: Option<PathBuf>,
    ) -> Recorders {
        let known =
            |(peer, place): (usize, Place)| Some((peer, Recorder { place, number: table.recorder(place) }));
        let of = places.filter_map(known).filter(|(_, recorder)| recorder.number != 0).collect();
        Recorders { of, folder, grace: now + GRACE }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// From now on that processor is recorded; `is_followed`: somebody is connected who does it already.
    ///
    /// # Errors
    /// Why it is not.
    pub(crate) fn begin(
        &mut self,
        peer: usize,
        place: Option<Place>,
        number: u64,
        is_followed: bool,
        table: LinkWriter<'_>,
    ) -> Result<(), Refusal> {
        let refusal = |message: &str, hint: &str| Refusal {
            message: message.into(),
            hint: Some(hint.into()),
            exit: FAILED,
        };
        let Some(place) = place.filter(|_| number != 0) else {
            let full = "it has no place in the meter table, which is full";
            return Err(refusal(full, "configure fewer processors"));
        };
        if is_followed {
            return Err(refusal(
                "it is being recorded already",
                "wait for the end of that recording, or copy it",
            ));
        }
        // One that goes on after a reload that gave its processor another address.
        let elsewhere = |(at, one): (&usize, &Recorder)| (*at != peer && one.number == number).then_some(*at);
        if let Some(before) = self.of.iter().find_map(elsewhere).and_then(|at| self.of.remove(&at)) {
            table.set_recorder(before.place, 0);
        }
        if let Some(before) =
            self.of.insert(peer, Recorder { place, number }).filter(|one| one.number != number)
        {
            self.forget_socket(before.number);
        }
        table.set_recorder(place, number);
        Ok(())
    }

    /// Ends those whose line is closed.
    pub(crate) fn prune(
        &mut self,
        now: Duration,
        is_followed: impl Fn(usize) -> bool,
        table: LinkWriter<'_>,
    ) -> Vec<usize> {
        let over = |peer: &usize| now >= self.grace && !is_followed(*peer);
        let over: Vec<usize> = self.of.keys().copied().filter(over).collect();
        for recorder in over.iter().filter_map(|peer| self.of.remove(peer)).collect::<Vec<_>>() {
            table.set_recorder(recorder.place, 0);
            self.forget_socket(recorder.number);
        }
        over
    }

    /// A recorder that was killed leaves its socket behind.
    fn forget_socket(&self, number: u64) {
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_file(contract::tap::path(folder, number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use sys::map::Mapping;
    use table::Writer;

    #[test]
    fn a_recorder_whose_processor_moves_keeps_its_socket_and_leaves_the_old_place() {
        let segment = sys::map::segment("table", &table::head([1, 2]), table::BYTES, false).unwrap();
        let table = Mapping::new(segment.as_fd(), table::BYTES).unwrap();
        let (writer, link) = (Writer::new(table.words()).unwrap(), LinkWriter::new(table.words()).unwrap());
        let places = ["10.0.0.1", "10.0.0.2"].map(|one| writer.place(one.parse().unwrap()).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let at = Duration::from_secs;
        let both = || places.into_iter().enumerate();
        let adopt = |now| Recorders::adopt(now, both(), link, Some(folder.path().to_owned()));
        let socket = contract::tap::path(folder.path(), 7);
        let _listener = contract::tap::listen(&socket).unwrap();
        adopt(at(10)).begin(0, Some(places[0]), 7, false, link).unwrap();
        // Their addresses were exchanged: who recorded the first place asks for the second one.
        let mut next = adopt(at(20));
        next.begin(1, Some(places[1]), 7, false, link).unwrap();
        assert_eq!(places.map(|place| writer.recorder(place)), [0, 7]);
        assert_eq!(next.prune(at(30), |peer| peer == 1, link), Vec::<usize>::new());
        assert!(socket.exists(), "he is still there");
    }

    #[test]
    fn a_recorder_is_known_while_its_line_is_open_and_over_the_death_of_a_link() {
        let segment = sys::map::segment("table", &table::head([1, 2]), table::BYTES, false).unwrap();
        let table = Mapping::new(segment.as_fd(), table::BYTES).unwrap();
        let (writer, link) = (Writer::new(table.words()).unwrap(), LinkWriter::new(table.words()).unwrap());
        let place = writer.place("10.0.0.1".parse().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let at = Duration::from_secs;
        let adopt =
            |now| Recorders::adopt(now, [(0, place)].into_iter(), link, Some(folder.path().to_owned()));

        let mut first = adopt(at(10));
        assert!(first.is_empty() && first.begin(0, None, 7, false, link).is_err());
        first.begin(0, Some(place), 7, false, link).unwrap();
        assert_eq!(first.begin(0, Some(place), 8, true, link).unwrap_err().exit, FAILED);
        assert_eq!((writer.recorder(place), writer.recorded().count_ones()), (7, 1));
        let socket = contract::tap::path(folder.path(), 7);
        let _listener = contract::tap::listen(&socket).unwrap();

        let mut next = adopt(at(20));
        assert!(next.prune(at(24), |_| false, link).is_empty(), "it may come back");
        next.begin(0, Some(place), 7, false, link).unwrap();
        assert!(next.prune(at(30), |_| true, link).is_empty() && writer.recorder(place) == 7);
        assert_eq!((next.prune(at(31), |_| false, link), writer.recorded()), (vec![0], 0));
        assert!(next.is_empty() && !socket.exists(), "nothing stays behind");
    }
}
