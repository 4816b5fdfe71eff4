//! What a mail tells the desk to do: the lines that begin with `!` at the top of what its author wrote, and the text below them.
//!
//! # What it is for
//! ```text
//! !take
//! !plan
//!
//! We build your example tonight, and ...        the text, which one of the commands takes
//! ```
//! Quoted text is not the author's: it is left out, with the line that introduces it, wherever it stands. So commands may stand below
//! what they answer, too. Code is not read for commands. What follows the line `-- ` is a signature.
//!
//! # Invariants
//! * All of a mail is understood, or nothing of it is carried out.
//! * A text that no command takes is a note for the team: nothing reaches the reporter by accident. A copy of another mail that is not
//!   quoted must not reach him either: such a text is refused.
//! * The case is named in what was signed: in the protected subject, or in a line `!case EX-2026-0001`.

use crate::domain::case::CaseId;
use crate::domain::command::{Command, Text, row_of};
use crate::domain::thread;

/// No mail has more commands.
const MOST: usize = 20;
/// A line that introduces a quotation goes on for so many lines, at most.
const ATTRIBUTION: usize = 3;

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Order {
    /// The case, if one is named.
    pub case: Option<CaseId>,
    /// The commands in order, as they were read.
    pub commands: Vec<Command>,
    /// Which of them takes the text.
    pub taker: Option<usize>,
    /// The text.
    pub text: Option<String>,
}

/// Why it is not clear what is to be done; what was said, and everything that is wrong with it, a line each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Misread {
    /// The lines that were meant for commands.
    pub said: Vec<String>,
    /// What is wrong.
    pub wrong: Vec<String>,
    /// The case, when one at least is clear.
    pub case: Option<CaseId>,
}

/// The words of an order.
pub fn words(order: &Result<Order, Misread>) -> Vec<String> {
    match order {
        Ok(order) => order.commands.iter().map(|command| command.word().to_owned()).collect(),
        Err(misread) => misread.said.iter().take(MOST).map(|line| first_word(line)).collect(),
    }
}

fn first_word(line: &str) -> String {
    let word = line.split_whitespace().next().unwrap_or_default();
    word.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(20).collect()
}

/// A mail begins with a command. `signed`: whoever signs his mail and puts `!` before a word means a command, even when there is no
/// such one; otherwise it may be an exclamation.
pub fn has_commands(text: &str, signed: bool) -> bool {
    let (own, ..) = own_words(text);
    let first = own.iter().find(|line| !line.trim().is_empty()).and_then(|line| line.strip_prefix('!'));
    let word = first.map(str::trim_start).and_then(|rest| rest.split_whitespace().next()).unwrap_or_default();
    let known = row_of(&word.to_lowercase()).is_some();
    known || (signed && word.starts_with(|c: char| c.is_ascii_alphabetic()))
}

/// Reads what a mail says. `subject` is the signed one; `prefix` is that of the desk's cases.
pub fn read(text: &str, subject: Option<&str>, prefix: &str) -> Result<Order, Misread> {
    let (lines, torn, open_fence) = own_words(text);
    let mut said = Vec::new();
    let mut rest = lines.iter().peekable();
    while let Some(line) = rest.next_if(|line| line.starts_with('!') || line.trim().is_empty()) {
        let command = line.strip_prefix('!').unwrap_or_default().trim();
        if line.trim().is_empty() {
            continue;
        }
        // a vector is longer than the line that some mail programs allow
        let goes_on = command.eq_ignore_ascii_case("severity");
        match rest.next_if(|next| goes_on && next.starts_with("CVSS:")) {
            Some(vector) => said.push(format!("{command} {}", vector.trim())),
            None => said.push(command.to_owned()),
        }
    }
    let torn = torn.and_then(|place| lines.get(..lines.len().saturating_sub(rest.len()))?.get(place));
    let text = rest.copied().collect::<Vec<_>>().join("\n");
    let text = text.trim_matches('\n').trim_end().to_owned();
    let named = subject.map_or_else(Vec::new, |subject| thread::named_in(subject, prefix));
    let order = understood(said, Some(text).filter(|text| !text.is_empty()), &named, torn.copied())?;
    let to_reporter =
        order.taker.and_then(|place| order.commands.get(place)).is_some_and(Command::writes_to_reporter);
    if open_fence && to_reporter {
        // what is quoted below it would go along
        let wrong = vec!["a block of code begins with ``` and does not end: end it, or the rest of the mail is taken for code".to_owned()];
        let said = order.commands.iter().map(|command| command.word().to_owned()).collect();
        return Err(Misread { said, wrong, case: order.case });
    }
    Ok(order)
}

/// Reads what was typed on the command line: one command, and the text that goes with it.
pub fn typed(case: Option<&CaseId>, line: &str, text: Option<String>) -> Result<Order, Misread> {
    let wrong = |why: String| Misread { said: vec![line.to_owned()], wrong: vec![why], case: case.cloned() };
    let command = Command::parse(line).map_err(wrong)?;
    let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    match (&text, command.text()) {
        (Some(_), Text::None) => return Err(wrong(format!("“{}” takes no text", command.word()))),
        (None, Text::Wanted) => {
            return Err(wrong(format!("“{}” needs a text: --text FILE, or --text -", command.word())));
        }
        _ => {}
    }
    Ok(Order { case: case.cloned(), commands: vec![command], taker: text.as_ref().map(|_| 0), text })
}

fn understood(
    said: Vec<String>,
    text: Option<String>,
    named: &[String],
    torn: Option<&str>,
) -> Result<Order, Misread> {
    let torn = torn.map(|line| {
        format!(
            "“{}” stands directly below a quotation: if it is yours, put an empty line before it",
            brief(line)
        )
    });
    let mut wrong: Vec<String> = torn.into_iter().collect();
    let mut commands = Vec::new();
    let mut lines = Vec::new();
    if said.len() > MOST {
        wrong.push(format!("more than {MOST} commands in one mail"));
    }
    for line in said.iter().take(MOST) {
        match line.split_once(char::is_whitespace) {
            Some((word, case)) if word.eq_ignore_ascii_case("case") => lines.push(CaseId::typed(case)),
            _ => match Command::parse(line) {
                Ok(command) => commands.push(command),
                Err(why) => wrong.push(format!("!{line}: {why}")),
            },
        }
    }
    let case = case_named(named, &lines).unwrap_or_else(|why| {
        wrong.push(why);
        None
    });
    if commands.is_empty() && wrong.is_empty() {
        wrong.push("there is no command: !help lists them".to_owned());
    }
    let taker = taker(&commands, text.as_deref()).unwrap_or_else(|why| {
        wrong.push(why);
        None
    });
    let to_reporter = taker.and_then(|place| commands.get(place)).is_some_and(Command::writes_to_reporter);
    if let Some(line) = text.as_deref().filter(|_| to_reporter).and_then(unquoted_copy) {
        wrong.push(format!(
            "the text would go to the reporter, and holds a copy of another mail that is not quoted, at “{line}”: take it out"
        ));
    }
    if wrong.is_empty() {
        // what nobody takes is for the team
        let leftover = text.is_some() && taker.is_none();
        let taker = taker.or(leftover.then_some(commands.len()));
        commands.extend(leftover.then_some(Command::Note));
        Ok(Order { case, commands, taker, text })
    } else {
        Err(Misread { said, wrong, case })
    }
}

/// The one case that is named.
fn case_named(subject: &[String], lines: &[CaseId]) -> Result<Option<CaseId>, String> {
    let in_subject: Vec<CaseId> = subject.iter().map(|case| CaseId::typed(case)).collect();
    let mut all: Vec<&CaseId> = in_subject.iter().chain(lines).collect();
    all.dedup();
    match (all.as_slice(), lines) {
        (_, [_, _, ..]) => Err("the case is named twice: one line !case, please".to_owned()),
        ([], _) => Ok(None),
        ([only], _) => Ok(Some((*only).clone())),
        ([one, other, ..], _) => {
            Err(format!("the case is named twice, as {one} and as {other}: which one is it?"))
        }
    }
}

/// The command that takes the text.
fn taker(commands: &[Command], text: Option<&str>) -> Result<Option<usize>, String> {
    let with = |wanted: Text| {
        commands
            .iter()
            .enumerate()
            .filter(move |(_, command)| command.text() == wanted)
            .map(|(place, _)| place)
    };
    let words = |places: &[usize]| {
        let all = places.iter().filter_map(|place| commands.get(*place));
        all.map(|command| format!("!{}", command.word())).collect::<Vec<_>>().join(" and ")
    };
    let (wanted, optional): (Vec<usize>, Vec<usize>) =
        (with(Text::Wanted).collect(), with(Text::Optional).collect());
    match (wanted.as_slice(), optional.as_slice(), text) {
        ([_, _, ..], ..) => {
            Err(format!("{} want the text, and there is only one: write a mail for each", words(&wanted)))
        }
        ([_], _, None) => {
            Err(format!("{} needs a text: write it below, after an empty line", words(&wanted)))
        }
        ([only], _, Some(_)) | ([], [only], Some(_)) => Ok(Some(*only)),
        ([], [_, _, ..], Some(_)) => {
            Err(format!("{} may both take the text: write a mail for each", words(&optional)))
        }
        _ => Ok(None),
    }
}

fn brief(line: &str) -> String {
    line.chars().take(80).collect()
}

/// The lines that the author of a mail wrote himself: without what is quoted, and without what follows `-- `.
pub fn own_lines(text: &str) -> Vec<&str> {
    own_words(text).0
}

/// The lines that the author wrote: what is quoted is not his, nor what follows `-- `. And the place of the first that begins with `!`
/// directly below a quotation: some programs break the lines that they quote, and leave the end of one standing as if it were his; and
/// whether a block of code does not end.
fn own_words(text: &str) -> (Vec<&str>, Option<usize>, bool) {
    let mut own: Vec<&str> = Vec::new();
    let mut torn = None;
    let mut below_quotation = false;
    let mut fenced = false;
    let mut quoting = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if !fenced && line.trim_end() == "--" {
            break;
        }
        let quoted = !fenced && line.starts_with('>');
        if quoted && !quoting {
            drop_attribution(&mut own);
        }
        // an empty line between two quotations belongs to neither
        quoting = quoted || (quoting && line.trim().is_empty());
        if !quoted {
            if below_quotation && line.starts_with('!') {
                torn.get_or_insert(own.len());
            }
            own.push(line.trim_end());
        }
        below_quotation = quoted;
    }
    (own, torn, fenced)
}

/// “On Friday, Rita wrote:”, which may go on for a line or two.
fn drop_attribution(own: &mut Vec<&str>) {
    let end = own.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last.saturating_add(1));
    let block = own
        .iter()
        .take(end)
        .rev()
        .take(ATTRIBUTION.saturating_add(1))
        .take_while(|line| !line.is_empty())
        .count();
    // a line of the author's own may end like that, too: “Yes, but:”
    let says_who = |line: &&str| {
        const WROTE: [&str; 6] = ["wrote", "writes", "schrieb", "écrit", "escribió", "scritto"];
        line.contains(|c: char| c.is_ascii_digit() || c == '@')
            || WROTE.iter().any(|word| line.contains(word))
    };
    let block_lines = own.get(end.saturating_sub(block)..end).unwrap_or_default();
    let introduces =
        block_lines.last().is_some_and(|line| line.ends_with(':')) && block_lines.iter().any(says_who);
    let commands = block_lines.iter().any(|line| line.starts_with('!'));
    if introduces && !commands && block <= ATTRIBUTION {
        own.truncate(end.saturating_sub(block));
    }
}

/// The line at which a copy of another mail begins, as some mail programs put it below without quoting it; or of one of the desk's own
/// letters, in which stands what the reporter must not read.
fn unquoted_copy(text: &str) -> Option<&str> {
    const FIELDS: [&str; 16] = [
        "from:",
        "to:",
        "cc:",
        "sent:",
        "date:",
        "subject:",
        "von:",
        "an:",
        "gesendet:",
        "datum:",
        "betreff:",
        "de :",
        "de:",
        "envoyé :",
        "objet :",
        "à :",
    ];
    let is_field = |line: &&str| {
        let line = line.trim_start_matches(['*', ' ']).to_lowercase();
        FIELDS.iter().any(|field| line.starts_with(field))
    };
    let divides = |line: &str| {
        let dashes = line.trim_start().chars().take_while(|c| matches!(c, '-' | '_')).count();
        let said = line.to_lowercase();
        let words = [
            "original",
            "forward",
            "ursprüngliche",
            "weitergeleitet",
            "the mail ---",
            "message d'origine",
            "reenviado",
        ];
        (dashes >= 5 && words.iter().any(|word| said.contains(word)))
            || (dashes >= 20 && line.trim().chars().all(|c| c == '_'))
    };
    let lines: Vec<&str> = text.lines().collect();
    let copied = |place: usize| lines.iter().skip(place).take(4).filter(|line| is_field(line)).count() >= 3;
    let begins =
        lines.iter().enumerate().find(|(place, line)| divides(line) || (is_field(line) && copied(*place)));
    begins.map(|(_, line)| line.trim())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn order(text: &str) -> Result<Order, Misread> {
        read(text, Some("Re: [EX-2026-0001] Heap overflow"), "EX")
    }

    fn said(text: &str) -> String {
        match order(text) {
            Ok(order) => {
                let taker = order.taker.and_then(|place| order.commands.get(place)).map_or("", Command::word);
                let text = order.text.unwrap_or_default().replace('\n', "|");
                let words: Vec<&str> = order.commands.iter().map(Command::word).collect();
                format!("{} {}: {text}", words.join(" "), taker).trim().to_owned()
            }
            Err(misread) => misread.wrong.join("|"),
        }
    }

    #[test]
    fn commands_stand_at_the_top_and_take_the_text_below() {
        for (text, read) in [
            ("!take\n", "take :"),
            ("\n!take\n!plan\n\nWe look.\n\nSoon.\n-- \nAda\n", "take plan plan: We look.||Soon."),
            ("!take\n\nI know that code.\n", "take note note: I know that code."),
            ("!accept\n!take\nThank you.\n", "accept take accept: Thank you."),
            // top and bottom posting, and what introduces a quotation
            (
                "!take\n\nOn Fri, 20 Nov 2026, the desk\n<security@example.org> wrote:\n> !close\n> x\n",
                "take :",
            ),
            ("On Friday the desk wrote:\n> !close\n>\n> x\n\n!take\n", "take :"),
            ("!reply\n\nYes:\n\n> is it so?\n\nIt is.\n", "reply reply: Yes:|||It is."),
            // code is text, whatever is in it
            ("!reply\n\n```\n!close\n> x\n-- \n```\nso\n", "reply reply: ```|!close|> x|--|```|so"),
            ("!reply\nfirst\n!close\n", "reply reply: first|!close"),
            ("!severity\nCVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H\n", "severity :"),
        ] {
            assert_eq!(said(text), read, "{text}");
        }
        for text in ["> !take\n", "Hello,\n!take\n", "```\n!take\n```\n", "", "    !take"] {
            assert!(!has_commands(text, true), "{text}");
        }
        assert!(has_commands("!take\n", false) && has_commands("!tak\n", true));
        for text in ["!important\n", "!!! URGENT\n"] {
            assert!(!has_commands(text, false), "{text}");
        }
        assert!(!has_commands("!!! URGENT\n", true));
    }

    #[test]
    fn half_of_a_mail_is_never_understood() {
        for (text, wrong) in [
            ("!take\n!tak\n", "!tak: “tak” is no command; “help” lists them; did you mean “take”?"),
            (
                "!reply\n!note\n\nx\n",
                "!reply and !note want the text, and there is only one: write a mail for each",
            ),
            ("!accept\n!close\n\nx\n", "!accept and !close may both take the text: write a mail for each"),
            ("!reply\n", "!reply needs a text: write it below, after an empty line"),
            (
                "!case EX-2026-0001\n!case EX-2026-0001\n!take\n",
                "the case is named twice: one line !case, please",
            ),
            (
                "!case EX-2026-0002\n!take\n",
                "the case is named twice, as EX-2026-0001 and as EX-2026-0002: which one is it?",
            ),
            ("!case EX-2026-0001\n", "there is no command: !help lists them"),
        ] {
            assert_eq!(said(text), wrong, "{text}");
        }
    }

    #[test]
    fn the_case_is_named_once() {
        let case = |text: &str, subject: Option<&str>| {
            read(text, subject, "EX").unwrap().case.map(|case| case.to_string())
        };
        assert_eq!(case("!take", None), None);
        assert_eq!(case("!case ex-2026-0002\n!take", None).as_deref(), Some("EX-2026-0002"));
        assert_eq!(
            case("!case EX-2026-0001\n!take", Some("Re: [EX-2026-0001] x")).as_deref(),
            Some("EX-2026-0001")
        );
        assert_eq!(case("!take", Some("Re: [other] [EX-2026-0001] x")).as_deref(), Some("EX-2026-0001"));
        assert!(read("!take", Some("[EX-2026-0001] [EX-2026-0002]"), "EX").is_err());
    }

    #[test]
    fn a_copy_that_is_not_quoted_does_not_go_to_the_reporter() {
        for copy in [
            "-----Original Message-----\nFrom: x",
            "From: Example <security@example.org>\nSent: Friday\nTo: Ada\nSubject: x",
            "*Von:* desk\n*Gesendet:* Freitag\n*An:* Ada\n*Betreff:* x",
            "------------------------------------------------------ the mail ------",
            "________________________________\n",
        ] {
            assert!(said(&format!("!reply\n\nYes.\n\n{copy}\n")).starts_with("the text would go"), "{copy}");
            assert!(said(&format!("!note\n\nYes.\n\n{copy}\n")).starts_with("note note: Yes."), "{copy}");
        }
        assert_eq!(said("!reply\n\nFrom: means the author.\n"), "reply reply: From: means the author.");
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[!>a-z:\\- \n`]{0,200}") {
            if let Ok(order) = order(&text) {
                prop_assert!(!order.commands.is_empty());
                prop_assert_eq!(order.text.is_some(), order.taker.is_some());
            }
        }
    }
}
