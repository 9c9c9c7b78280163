//! Looking at a cluster once a second, while the caller draws as often as it likes.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::client::{Client, PATIENCE};
use super::error::Error;
use super::snapshot::Snapshot;
use super::terminal::{Look, Screen, print};

/// How often the supervisor is asked, and how often a pipe gets a block.
const EVERY: Duration = Duration::from_secs(1);
/// How late a Ctrl-C or Ctrl-Z may be noticed.
const SLICE: Duration = Duration::from_millis(100);

/// What can be watched.
pub(super) trait Picture {
    /// How often it changes between two snapshots; None if it does not.
    const FRAMES: Option<Duration>;

    /// Takes up a new snapshot.
    fn look_at(&mut self, snapshot: Snapshot) -> Result<(), Error>;

    /// The picture as it is now.
    fn draw(&mut self, look: &Look) -> Result<String, Error>;
}

/// Draws `picture` until Ctrl-C, or until the cluster cannot be asked any more: on a terminal in place, else one
/// block a second, with `between` behind each.
pub(super) fn watch(
    client: &Client,
    picture: &mut impl Picture,
    in_place: bool,
    between: &str,
) -> Result<(), Error> {
    // The first question is asked here: if there is no cluster, the screen is never touched.
    picture.look_at(Snapshot::take(client, PATIENCE)?)?;
    let snapshots = snapshots(client.clone())?;
    if in_place && Look::now().terminal {
        on_screen(picture, &snapshots)
    } else {
        in_blocks(picture, &snapshots, between)
    }
}

fn on_screen<P: Picture>(
    picture: &mut P,
    snapshots: &Receiver<Result<Snapshot, Error>>,
) -> Result<(), Error> {
    let screen = Screen::enter()?;
    let mut due = Instant::now();
    while !screen.interrupted() {
        let anew = screen.rest()?;
        let now = Instant::now();
        if anew || due <= now {
            let look = Look::now();
            screen.show(&picture.draw(&look)?, look.rows)?;
            due = now + P::FRAMES.unwrap_or(EVERY);
        }
        match snapshots.recv_timeout(due.saturating_duration_since(now).min(SLICE)) {
            Ok(snapshot) => {
                picture.look_at(snapshot?)?;
                due = if P::FRAMES.is_none() { Instant::now() } else { due };
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
    Ok(())
}

fn in_blocks(
    picture: &mut impl Picture,
    snapshots: &Receiver<Result<Snapshot, Error>>,
    between: &str,
) -> Result<(), Error> {
    loop {
        print(&format!("{}{between}", picture.draw(&Look::now())?))?;
        let Ok(snapshot) = snapshots.recv() else { return Ok(()) };
        picture.look_at(snapshot?)?;
    }
}

/// Snapshots, one a second, up to the first error.
fn snapshots(client: Client) -> Result<Receiver<Result<Snapshot, Error>>, Error> {
    let (give, take) = sync_channel(1);
    look_every_second(client, move |snapshot| {
        let last = snapshot.is_err();
        give.send(snapshot).is_ok() && !last
    })?;
    Ok(take)
}

/// A thread that asks once a second, for as long as `go_on` says so of what was answered.
pub(super) fn look_every_second(
    client: Client,
    mut go_on: impl FnMut(Result<Snapshot, Error>) -> bool + Send + 'static,
) -> Result<(), Error> {
    let dir = client.dir().to_owned();
    let look = move || loop {
        thread::sleep(EVERY);
        if !go_on(Snapshot::take(&client, PATIENCE)) {
            return;
        }
    };
    thread::Builder::new()
        .name("snapshots".into())
        .spawn(look)
        .map_err(|source| Error::Io { dir, source })?;
    Ok(())
}
