//! What follows from one input on its way to the disk, and who waits for it.

use jiff::Timestamp;

use crate::domain::decide::Decision;
use crate::domain::event::{Event, What};
use crate::domain::letter::{Letter, LetterId};
use crate::domain::message::Digest;
use crate::open;
use crate::pipeline::{Answer, Recorded, Refused};
use crate::seal::{Held, Sealed};
use crate::store::journal::{Receipt, Record};

/// What follows from one input, before it is sealed.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) receipt: Option<Receipt>,
    pub(super) mail: Option<Vec<u8>>,
    pub(super) events: Vec<Event>,
    pub(super) letters: Vec<Letter>,
    /// Texts that people of the team wrote, each a file.
    pub(super) texts: Vec<(Digest, Vec<u8>)>,
}

impl From<Decision> for Step {
    fn from(decision: Decision) -> Self {
        Self { events: decision.events, letters: decision.letters, ..Self::default() }
    }
}

impl Step {
    /// With those of these texts that an event or a letter names: what was refused is kept nowhere but in its mail.
    pub(super) fn with_texts(self, texts: Vec<(Digest, Vec<u8>)>) -> Self {
        let is_named = |file: &Digest| {
            self.events.iter().any(|event| event.what.texts().contains(&file))
                || self.letters.iter().any(|letter| letter.text() == Some(file))
        };
        let texts = texts.into_iter().filter(|(file, _)| is_named(file)).collect();
        Self { texts, ..self }
    }

    /// As the draft of a batch sees it. The letters are not sealed yet, but they are there: the next mail of the same case counts
    /// its own letters from them.
    pub(super) fn record(&self, now: Timestamp) -> Record {
        let unsealed = self.letters.iter().map(|letter| {
            let (letter_id, kind, to) = (letter.id.clone(), letter.kind(), letter.to.clone());
            let (reason, mail) = ("not sealed yet".to_owned(), about(letter));
            let (text, copy) = (letter.text().cloned(), letter.copy().cloned());
            let what =
                What::LetterHeld { letter: letter_id, kind, to, reason, mail, withheld: false, text, copy };
            Event { at: now, case: letter.case().cloned(), what }
        });
        let events = self.events.iter().cloned().chain(unsealed).collect();
        Record { seq: 0, at: now, receipt: self.receipt.clone(), events }
    }
}

/// Whom to tell that it is durable.
pub(super) enum Reply {
    Mail(Answer<Recorded>, Result<Recorded, Refused>),
    Unit(Answer<()>),
    Text(Answer<String>, LetterId, Result<String, Refused>),
    Word(Answer<String>, Result<String, Refused>),
    /// What came of a command, and the letters that it wrote.
    Done(Answer<String>, Vec<LetterId>, Result<String, Refused>),
    None,
}

impl Reply {
    // whoever asked may have gone meanwhile: then nobody wants to hear it
    pub(super) fn durable(self, events: &[Event]) {
        match self {
            Self::Mail(answer, recorded) => drop(answer.send(recorded)),
            Self::Unit(answer) => drop(answer.send(Ok(()))),
            Self::Word(answer, done) => drop(answer.send(done)),
            Self::None => {}
            Self::Done(answer, letters, done) => {
                let held = events.iter().filter_map(|event| match &event.what {
                    What::LetterHeld { letter, reason, withheld: false, .. } if letters.contains(letter) => {
                        Some(format!("letter {letter} is HELD: {reason} (psirtd outbox)"))
                    }
                    _ => None,
                });
                let held: Vec<String> = held.collect();
                let done = done.map(|done| std::iter::once(done).chain(held).collect::<Vec<_>>().join("\n"));
                drop(answer.send(done));
            }
            Self::Text(answer, id, done) => {
                // a letter that was to be written anew may have been held again
                let held = events.iter().find_map(|event| match &event.what {
                    What::LetterHeld { letter, reason, .. } if *letter == id => Some(reason),
                    _ => None,
                });
                let done = held.map_or(done, |why| {
                    Err(Refused::Impossible(format!("letter {id} is still held: {why}")))
                });
                drop(answer.send(done));
            }
        }
    }

    pub(super) fn refused(self, why: &str) {
        let refused = Refused::Unrecorded(why.to_owned());
        match self {
            Self::Mail(answer, _) => drop(answer.send(Err(refused))),
            Self::Unit(answer) => drop(answer.send(Err(refused))),
            Self::Text(answer, ..) | Self::Word(answer, _) | Self::Done(answer, ..) => {
                drop(answer.send(Err(refused)))
            }
            Self::None => {}
        }
    }
}

/// What is journaled of a letter, and its file.
pub(super) fn posted(
    letter: &Letter,
    message_id: String,
    sealed: Result<Sealed, Held>,
    now: Timestamp,
) -> (Event, Option<(Digest, Vec<u8>)>) {
    let (id, kind, to, mail) = (letter.id.clone(), letter.kind(), letter.to.clone(), about(letter));
    let (text, copy) = (letter.text().cloned(), letter.copy().cloned());
    let (what, file) = match sealed {
        Ok(Sealed { bytes }) => {
            let digest = open::digest(&bytes);
            let what = What::LetterQueued {
                letter: id,
                kind,
                to,
                message_id,
                bytes: digest.clone(),
                mail,
                text,
                copy,
            };
            (what, Some((digest, bytes)))
        }
        Err(Held(reason)) => {
            (What::LetterHeld { letter: id, kind, to, reason, mail, withheld: false, text, copy }, None)
        }
    };
    (Event { at: now, case: letter.case().cloned(), what }, file)
}

/// The file of the mail a letter is about.
fn about(letter: &Letter) -> Option<Digest> {
    letter.occasion().map(|occasion| occasion.about.digest.clone())
}
