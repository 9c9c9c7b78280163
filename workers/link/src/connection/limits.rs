//! Every number that a connection keeps to, with its reason.

use std::time::Duration;

/// Parameters of one message. The most loaded public client asks for dozens in one array; sixteen make a line of about
/// 700 bytes, which one TCP segment holds, and a lost answer costs little.
pub(crate) const BATCH: usize = 16;
/// Between two messages: at most ten a second. A processor's control port was locked up by 24 queries each 30 s beside
/// 14 each 5 s, for days; ours stop once everything is subscribed.
pub(crate) const GAP: Duration = Duration::from_millis(100);
/// Between two messages that only look for what is probably not there.
pub(crate) const SWEEP_GAP: Duration = Duration::from_secs(1);
/// From one look for meters that nobody expects to the next: zones and mixes can be added without a reconnect.
pub(crate) const SWEEP_EVERY: Duration = Duration::from_secs(6 * 3600);
/// An answer later than this is overdue. They take milliseconds, seconds while the processor is busy.
pub(crate) const ANSWER: Duration = Duration::from_secs(5);
/// The same, where subscriptions were seen to get no answer and queries do.
pub(crate) const UNANSWERED: Duration = Duration::from_secs(1);
/// How long after an error more errors may come for the same message, one for each parameter.
pub(crate) const MORE_ERRORS: Duration = Duration::from_millis(200);
/// A TCP connection opens within this, or is given up.
pub(crate) const CONNECT: Duration = Duration::from_secs(5);
/// Silence of ours before a keep-alive. The manual wants one each 5 minutes; clients were seen to send them each 30 s.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Between two commands to a processor that answers none: a locked-up port is not hammered.
pub(crate) const BREAKER: Duration = Duration::from_secs(60);
/// Unanswered probes after which a connection that brings no levels either is given up for a new one.
pub(crate) const PROBES: u32 = 3;
/// The first wait after a connection that failed; it doubles.
pub(crate) const BACKOFF: Duration = Duration::from_millis(250);
/// The longest wait while a processor may be booting: who comes back is found within 5 s.
pub(crate) const BACKOFF_SOON: Duration = Duration::from_secs(4);
/// How long it may be booting.
pub(crate) const SOON: Duration = Duration::from_secs(300);
/// The longest wait.
pub(crate) const BACKOFF_CAP: Duration = Duration::from_secs(30);
/// A connection that answered for this long was a good one: the next failure is a first one again.
pub(crate) const STABLE: Duration = Duration::from_secs(10);
/// Commands of users that wait.
pub(crate) const COMMANDS: usize = 32;
/// From a command's arrival until it is sent, or given up: its answer may take [`ANSWER`] more.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Whoever leaves sends nothing in its last quarter, or in this much of it: that is for the answer.
pub(crate) const LAST_ANSWER: Duration = Duration::from_millis(250);
/// All meters silent for this long: they are subscribed anew. A processor that was reset answers that with a reset.
pub(crate) const ALL_SILENT: Duration = Duration::from_secs(2);
/// An answer later than this, while no level comes either: the far end is gone without a word, and a new connection is
/// worth more than this one.
pub(crate) const LAST_CHANCE: Duration = Duration::from_secs(1);
/// One meter silent for this long while others are heard: the slowest rate that was told is one reading a second.
pub(crate) const SILENT: Duration = Duration::from_secs(5);
/// Still silent so long after it was subscribed anew: it is reported.
pub(crate) const REPORT: Duration = Duration::from_secs(10);
/// From one such subscription of a meter to the next, while it stays silent.
pub(crate) const RENEW_EVERY: Duration = Duration::from_secs(600);
/// The same, while all are silent: the service that sends them may start later than the one that takes commands. A few
/// messages a minute lock nobody up.
pub(crate) const RENEW_ALL_EVERY: Duration = Duration::from_secs(60);
/// Lines for the log at once; one an hour in the long run: in a week fewer than 200, whatever happens.
pub(crate) const LINES: u32 = 20;
/// Of these so many are kept for what lasts: the log's last word about a processor must not be wrong for long.
pub(crate) const RESERVE: u32 = 5;
/// What could not be told at once is told when it has been so for this long.
pub(crate) const LASTS: Duration = Duration::from_secs(60);
/// One more line each.
pub(crate) const LINE_EVERY: Duration = Duration::from_secs(3600);

/// The indices that processors and public clients are known to use, by kind: they are asked for first. Sources of an AZM8
/// are 0 … 13, zones 0 … 7; groups were seen from 0; mixes begin at 14 on an AZM8, at 8 on an AZM4.
pub(crate) const LIKELY: [(atlas::Kind, std::ops::Range<u8>); 4] = [
    (atlas::Kind::Zone, 0..8),
    (atlas::Kind::Source, 0..14),
    (atlas::Kind::Mix, 8..22),
    (atlas::Kind::Group, 0..12),
];
