//! psirtd is killed again and again while mail arrives; afterwards nothing is lost, and nothing is there twice.
//!
//! The real daemon, a real Dovecot, a real Postfix. SIGKILL comes at random moments and at each named point
//! (`psirtd::crash::POINTS`); between two lives the index is now and then deleted, cut off or changed by a bit. The journal must
//! verify after every death. At the end the daemon is left in peace until everything is done, and the books are compared:
//! what was delivered to the mailbox, what `psirtd` says it has, what lies in the mailboxes of those who were written to.
//!
//! `make test` runs a short form, `make crash` the campaign. `PSIRTD_CRASH_KILLS` says how many times, `PSIRTD_CRASH_SEED` how
//! chance falls (the moments themselves are the machine's); both are printed.
//!
//! | module | has |
//! |---|---|
//! | `chance` | random numbers that can be had again |
//! | `post` | the mails that arrive, and which they were |
//! | `life` | the daemon from a start to a death, and damage to its index |
//! | `tally` | what happened, counted |
//! | `books` | the comparison at the end |

mod books;
mod chance;
mod life;
mod post;
mod tally;

use crate::servers::desk::{ADA, BEN, DESK, Desk, Plan, SOON};
use crate::support::dovecot::Dovecot;
use crate::support::postfix::Postfix;
use crate::support::{happens, wait_until};
use books::Books;
use chance::Chance;
use life::Life;
use post::Post;
use psirtd::crash::POINTS;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tally::Tally;

/// The short form: every point once or twice, and a few at random.
const SHORT: u64 = 36;
/// Every so many kills one comes at random.
const RANDOM_EVERY: u64 = 4;
/// A point that is not reached by then is not waited for.
const POINT_WITHIN: Duration = Duration::from_secs(15);
/// A store that has to be rebuilt takes a while.
const UP_WITHIN: Duration = Duration::from_secs(120);
/// Until everything that is left is done.
const DONE_WITHIN: Duration = Duration::from_secs(300);
/// A daemon that ends by itself is started again, as systemd does, but not for ever.
const STARTS_IN_VAIN: u32 = 3;
/// The ordinary limits are for floods, and this is one.
const NO_LIMITS: &str = "\n[limits]\nper_address_per_day = 1000000\nper_domain_per_hour = 1000000\nper_hour = 1000000\n\
    per_day = 1000000\nrelayed_per_author_per_day = 1000000\n";

/// When a life is to end.
enum End {
    /// So long after the process was started.
    Born(Duration),
    /// So long after it answered.
    Up(Duration),
    /// When it passes a point for the n-th time.
    At(&'static str, u64),
}

#[test]
fn killed_at_any_moment_it_loses_nothing_and_does_nothing_twice() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let kills: u64 = number("PSIRTD_CRASH_KILLS").unwrap_or(SHORT);
    let seed = number("PSIRTD_CRASH_SEED").unwrap_or_else(Chance::seed);
    println!("psirtd is killed {kills} times (PSIRTD_CRASH_SEED={seed})");
    let mut chance = Chance::new(seed);

    let imap = Dovecot::start();
    let smtp = Postfix::start(&imap, &[&[DESK, ADA, BEN], &post::REPORTERS[..]].concat());
    let mut plan = Plan::of(&imap, &smtp);
    plan.folders = post::FOLDERS.to_vec();
    plan.more = NO_LIMITS;
    let desk = Desk::new(&plan);
    let _evidence = Evidence(&desk);
    let post = Mutex::new(Post::new(&imap, chance.another()));
    let mut tally = Tally::new(kills);
    // the folders are there, and so is a journal
    post.lock().unwrap().opens();
    let mut first = Life::begin(&desk, None);
    assert!(first.comes_up(UP_WITHIN), "psirtd does not start:\n{}", first.log());
    first.kill();

    let enough = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // whatever ends this scope, the post ends, too
        let _stop = Stop(&enough);
        scope.spawn(|| arrives(&post, &imap, &enough));
        for number in 0..kills {
            let damage = chance.one_in(8).then(|| life::damage_index(&desk.state(), &mut chance)).flatten();
            tally.damaged(damage);
            // a damaged index is asked, or its rebuilding disturbed
            let end = if damage.is_some() { at_random(&mut chance) } else { end(number, &mut chance) };
            if matches!(end, End::At(..)) {
                post.lock().unwrap().deliver();
            }
            lives_and_dies(&desk, &end, damage.is_some(), &mut tally);
            let (code, _, complaint) = desk.says(&["journal", "verify"]);
            assert_eq!(code, 0, "after kill {number}: {complaint}");
            tally.progress(number + 1);
        }
    });
    let post = post.into_inner().unwrap();
    let mut last = life_in_peace(&desk, &imap, &smtp, &mut tally);
    let books = Books::open(&desk, &imap, &post);
    last.terminate();
    let doubles = books.compare();
    // an index that was caught up hundreds of times knows what a new one knows
    fs::remove_dir_all(desk.state().join("index")).unwrap();
    let mut anew = Life::begin(&desk, None);
    assert!(anew.comes_up(UP_WITHIN), "psirtd does not start");
    books.must_be_the_same(&Books::open(&desk, &imap, &post));
    anew.terminate();
    tally.print(&post, &doubles);
    tally.must_be_meaningful();
}

/// What a failed run leaves behind.
struct Evidence<'d>(&'d Desk);

impl Drop for Evidence<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let kept = std::env::temp_dir().join(format!("psirtd-crash-{}", std::process::id()));
            let moved = fs::rename(self.0.dir(), &kept);
            eprintln!("--- the desk is kept in {}: {moved:?}", kept.display());
        }
    }
}

struct Stop<'f>(&'f AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Mails arrive all the time, unless too many wait already.
fn arrives(post: &Mutex<Post<'_>>, imap: &Dovecot, enough: &AtomicBool) {
    while !enough.load(Ordering::Relaxed) {
        if post::waiting(imap) < 30 {
            post.lock().unwrap().deliver();
        }
        let pause = post.lock().unwrap().pause();
        happens(pause, || enough.load(Ordering::Relaxed));
    }
}

fn end(number: u64, chance: &mut Chance) -> End {
    if number % RANDOM_EVERY == RANDOM_EVERY - 1 {
        return at_random(chance);
    }
    let aimed = number - number / RANDOM_EVERY;
    let point = POINTS[usize::try_from(aimed).unwrap() % POINTS.len()];
    // the inbox passes its points once for many mails, the others for each letter again
    let most = if ["fetched", "recorded, not marked", "marked"].contains(&point) { 2 } else { 6 };
    // in the short form each has but one chance
    let first_round = usize::try_from(aimed).unwrap() < POINTS.len();
    End::At(point, if first_round { 1 } else { 1 + chance.below(most) })
}

fn at_random(chance: &mut Chance) -> End {
    match chance.one_in(3) {
        true => End::Born(Duration::from_millis(chance.below(400))),
        false => End::Up(Duration::from_millis(100 + chance.below(600))),
    }
}

/// One life, or a few, when psirtd ends by itself.
fn lives_and_dies(desk: &Desk, end: &End, damaged: bool, tally: &mut Tally) {
    for _ in 0..STARTS_IN_VAIN {
        let die_at = match end {
            End::At(point, times) => Some((*point, *times)),
            End::Born(_) | End::Up(_) => None,
        };
        let mut life = Life::begin(desk, die_at);
        match end {
            End::Born(age) => drop(life.is_over_within(*age)),
            End::Up(age) => {
                life.comes_up(UP_WITHIN);
                for question in ["cases", "outbox"].into_iter().filter(|_| damaged) {
                    let (code, _, complaint) = desk.says(&[question]);
                    assert_eq!(code, 0, "after damage to the index, psirtd {question}: {complaint}");
                }
                life.is_over_within(*age);
            }
            End::At(..) => {
                life.comes_up(UP_WITHIN);
                life.is_over_within(POINT_WITHIN);
            }
        }
        assert!(life.is_over() || life.has_come_up() || matches!(end, End::Born(_)), "{}", life.log());
        let by_itself = life.kill();
        tally.life(end, &life, by_itself);
        if !matches!(by_itself, Some(life::Death::Ended(_))) {
            return;
        }
    }
    panic!("psirtd ended by itself {STARTS_IN_VAIN} times, and would not come up again");
}

/// Nobody kills it any more: everything that is left is done.
fn life_in_peace(desk: &Desk, imap: &Dovecot, smtp: &Postfix, tally: &mut Tally) -> Life {
    let mut life = Life::begin(desk, None);
    assert!(life.comes_up(UP_WITHIN), "{}", life.log());
    tally.restarted(&life);
    wait_until("every mail is put away", DONE_WITHIN, || post::waiting(imap) == 0);
    let all_tried = || desk.outbox().iter().all(|letter| letter["state"] != "active");
    wait_until("every letter was tried", DONE_WITHIN, || happens(Duration::from_secs(1), all_tried));
    wait_until("every letter was delivered", SOON, || smtp.is_idle());
    life
}
