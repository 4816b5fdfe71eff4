//! What happened, counted.

use super::End;
use super::books::Doubles;
use super::life::{Damage, Death, Life};
use super::post::Post;
use psirtd::crash::POINTS;
use std::collections::BTreeMap;
use std::time::Instant;

/// What a start says it has found, and what it is called in the table.
const FOUND: [(&str, &str); 5] = [
    ("index: caught up with ", "index caught up with the journal"),
    ("index: there was none, built from ", "index built anew, there was none"),
    ("it is rebuilt from the journal", "index unusable, moved aside"),
    ("journal: an unfinished batch", "torn end of the journal cut off"),
    ("psirtd died while it opened this mail", "mail recorded unopened"),
];

#[derive(Default)]
struct Aimed {
    died: u64,
    missed: u64,
}

pub struct Tally {
    kills: u64,
    began: Instant,
    points: BTreeMap<&'static str, Aimed>,
    /// Killed from outside: in the first moments, and when it was up.
    random: [u64; 2],
    damages: BTreeMap<Damage, u64>,
    found: BTreeMap<&'static str, u64>,
    /// Its last words.
    by_itself: BTreeMap<String, u64>,
}

impl Tally {
    #[allow(clippy::disallowed_methods)] // it is the time that is printed
    pub fn new(kills: u64) -> Tally {
        Tally {
            kills,
            began: Instant::now(),
            points: POINTS.iter().map(|point| (*point, Aimed::default())).collect(),
            random: [0; 2],
            damages: BTreeMap::new(),
            found: BTreeMap::new(),
            by_itself: BTreeMap::new(),
        }
    }

    pub fn damaged(&mut self, damage: Option<Damage>) {
        if let Some(damage) = damage {
            *self.damages.entry(damage).or_default() += 1;
        }
    }

    pub fn life(&mut self, end: &End, life: &Life, by_itself: Option<Death>) {
        self.restarted(life);
        if let Some(Death::Ended(status)) = by_itself {
            let log = life.log();
            println!("psirtd ended by itself ({status}):\n{log}");
            let words = log.lines().last().unwrap_or("without a word").to_owned();
            *self.by_itself.entry(words).or_default() += 1;
            return;
        }
        match end {
            End::Born(_) => self.random[0] += 1,
            End::Up(_) => self.random[1] += 1,
            End::At(point, _) => {
                let aimed = self.points.get_mut(point).unwrap();
                match by_itself {
                    Some(_) => aimed.died += 1,
                    None => aimed.missed += 1,
                }
            }
        }
    }

    /// What a start had to say.
    pub fn restarted(&mut self, life: &Life) {
        let log = life.log();
        for (words, name) in FOUND {
            if log.contains(words) {
                *self.found.entry(name).or_default() += 1;
            }
        }
    }

    pub fn progress(&self, number: u64) {
        if number.is_multiple_of(50) {
            println!("{number} of {} kills after {} s", self.kills, self.began.elapsed().as_secs());
        }
    }

    pub fn print(&self, post: &Post<'_>, doubles: &Doubles) {
        let line = |number: u64, what: &str| println!("{number:>6}  {what}");
        println!("\n{} kills in {} s", self.kills, self.began.elapsed().as_secs());
        for point in POINTS {
            let Aimed { died, missed } = self.points[point];
            let missed =
                if missed > 0 { format!(" ({missed} more did not reach it)") } else { String::new() };
            line(died, &format!("at “{point}”{missed}"));
        }
        line(self.random[0], "at random, within 0.4 s of the start");
        line(self.random[1], "at random, when it was up");
        println!("between two lives");
        self.damages.iter().for_each(|(damage, number)| line(*number, &format!("index: {damage:?}")));
        println!("and after a restart");
        FOUND.iter().for_each(|(_, name)| line(self.found.get(name).copied().unwrap_or(0), name));
        self.by_itself.iter().for_each(|(words, number)| line(*number, &format!("ended by itself: {words}")));
        println!("mails that arrived");
        post.kinds().iter().for_each(|(name, number)| line(*number as u64, name));
        line(post.copied_back, "copied back into a folder");
        println!("letters");
        doubles.lines().iter().for_each(|(name, number)| line(*number, name));
    }

    /// A campaign in which hardly anybody died where he should proves nothing.
    pub fn must_be_meaningful(&self) {
        let died: u64 = self.points.values().map(|aimed| aimed.died).sum();
        let missed: u64 = self.points.values().map(|aimed| aimed.missed).sum();
        assert!(died >= missed * 4, "{missed} of {} did not reach their point", died + missed);
    }
}
